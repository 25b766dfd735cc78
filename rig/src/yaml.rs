//! YAML for fixtures: plain values with the place of any mistake. Scenario files have their own, stricter reader.

use serde::de::DeserializeOwned;

/// Reads one document.
///
/// # Errors
/// What is wrong and where, with the offending lines.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}
