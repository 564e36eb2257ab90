//! What costs time here, and what to do: one file for each rule.

/// STAND-IN until the findings land.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Finding {}
