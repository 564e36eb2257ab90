//! The one model of time: cached tokens, the parts of a request's time, and the speeds
//! of each model. No other room divides tokens by milliseconds.
