//! The names that scenarios may use: what the fixtures hold.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The names that scenarios may use. An empty set means that nothing is known, and every name of that kind is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Card products: `add_card: { card: … }`.
    pub cards: BTreeSet<String>,
    /// Bands: `given: { band: … }`.
    pub profiles: BTreeSet<String>,
    /// Terminals: `tap: { terminal: … }`.
    pub terminals: BTreeSet<String>,
    /// Accounts: `sign_in: …`.
    pub accounts: BTreeSet<String>,
    /// Countries of the warranty registry: `check_warranty: { country: … }`.
    pub countries: BTreeSet<String>,
    /// Characteristics of the band: `write: { characteristic: … }`.
    pub characteristics: BTreeSet<String>,
}

/// The names of the YAML files in a folder, without their ending.
///
/// # Errors
/// When the folder cannot be read.
pub fn file_stems(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut stems = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "yaml")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            stems.insert(stem.to_owned());
        }
    }
    Ok(stems)
}
