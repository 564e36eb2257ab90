//! What costs time here, and what to do: one file for each rule.
