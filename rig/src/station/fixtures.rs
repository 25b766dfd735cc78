//! The fixtures folder: bands, card products, terminals, accounts and the warranty registry, by the names scenarios use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use band_sim::band::profile::BandProfile;
use band_sim::wire::gatt::CharacteristicId;
use serde::de::DeserializeOwned;

use crate::cloud::account::AccountRecord;
use crate::cloud::certificates::CardKeys;
use crate::cloud::pairing::PairingKey;
use crate::cloud::product::CardProduct;
use crate::cloud::warranty::WarrantyRegistry;
use crate::scenario::names::Names;
use crate::scenario::perform::characteristic_word;
use crate::terminal::config::{CaPublicKey, TerminalConfig};
use crate::yaml;

/// Everything in the folder, read once and shared by all cases.
#[derive(Clone, Debug)]
pub struct Fixtures {
    /// Bands, by file stem.
    pub profiles: BTreeMap<String, Arc<BandProfile>>,
    /// Card products, by file stem.
    pub products: BTreeMap<String, CardProduct>,
    /// Terminals, by file stem.
    pub terminals: BTreeMap<String, Arc<TerminalConfig>>,
    /// Accounts.
    pub accounts: Vec<AccountRecord>,
    /// The warranty registry.
    pub warranty: WarrantyRegistry,
    /// The keys of issuers and cards for offline data authentication.
    pub card_keys: CardKeys,
    /// The vendor's key that signs first pairings.
    pub pairing_key: PairingKey,
}

/// A fixture could not be read.
#[derive(Debug)]
pub struct FixtureError {
    path: PathBuf,
    message: String,
}

impl fmt::Display for FixtureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fixture {}: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for FixtureError {}

impl Fixtures {
    /// Reads the folder.
    ///
    /// # Errors
    /// The first file that is missing, unreadable or malformed, with its place.
    pub fn load(root: &Path) -> Result<Self, FixtureError> {
        Ok(Self {
            profiles: load_folder::<BandProfile>(&root.join("profiles"))?.into_iter().map(shared).collect(),
            products: load_folder(&root.join("cards"))?,
            terminals: load_terminals(root)?,
            accounts: load_file(&root.join("accounts.yaml"))?,
            warranty: Self::load_warranty(root)?,
            card_keys: load_file(&root.join("keys/issuers.yaml"))?,
            pairing_key: load_pairing_key(&root.join("keys/pairing.pem"))?,
        })
    }

    /// Reads the warranty registry alone.
    ///
    /// # Errors
    /// As [`Fixtures::load`].
    pub fn load_warranty(root: &Path) -> Result<WarrantyRegistry, FixtureError> {
        load_file(&root.join("warranty/registry.yaml"))
    }

    /// The names that scenarios may use.
    #[must_use]
    pub fn names(&self) -> Names {
        Names {
            cards: self.products.keys().cloned().collect(),
            profiles: self.profiles.keys().cloned().collect(),
            terminals: self.terminals.keys().cloned().collect(),
            accounts: self.accounts.iter().map(|account| account.name.0.clone()).collect(),
            countries: self.warranty.countries.keys().cloned().collect(),
            characteristics: CharacteristicId::ALL.iter().filter_map(characteristic_word).collect(),
        }
    }
}

/// The fixtures folder that belongs to a scenario path: `fixtures` beside it or above it, else in the working folder.
#[must_use]
pub fn find_root(scenarios: &Path) -> PathBuf {
    let start = scenarios.canonicalize().unwrap_or_else(|_| scenarios.to_path_buf());
    let beside = start.ancestors().map(|folder| folder.join("fixtures")).find(|it| it.join("profiles").is_dir());
    beside.unwrap_or_else(|| PathBuf::from("fixtures"))
}

fn shared<T>((name, value): (String, T)) -> (String, Arc<T>) {
    (name, Arc::new(value))
}

/// The terminals; one whose file names no certification authority's key knows the keys of `keys/authorities.yaml`.
fn load_terminals(root: &Path) -> Result<BTreeMap<String, Arc<TerminalConfig>>, FixtureError> {
    let authorities: Vec<CaPublicKey> = load_file(&root.join("keys/authorities.yaml"))?;
    let mut terminals = load_folder::<TerminalConfig>(&root.join("terminals"))?;
    for terminal in terminals.values_mut().filter(|terminal| terminal.ca_public_keys.is_empty()) {
        terminal.ca_public_keys.clone_from(&authorities);
    }
    Ok(terminals.into_iter().map(shared).collect())
}

fn load_folder<T: DeserializeOwned>(folder: &Path) -> Result<BTreeMap<String, T>, FixtureError> {
    let failed = |message: String| FixtureError { path: folder.to_path_buf(), message };
    let entries = std::fs::read_dir(folder).map_err(|error| failed(format!("failed to list: {error}")))?;
    let mut loaded = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(format!("failed to list: {error}")))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            return Err(failed(format!("failed to name {}: not UTF-8", path.display())));
        };
        loaded.insert(stem.to_owned(), load_file(&path)?);
    }
    Ok(loaded)
}

fn load_file<T: DeserializeOwned>(path: &Path) -> Result<T, FixtureError> {
    let text = read(path)?;
    yaml::from_str(&text).map_err(|message| FixtureError { path: path.to_path_buf(), message })
}

fn load_pairing_key(path: &Path) -> Result<PairingKey, FixtureError> {
    let pem = read(path)?;
    PairingKey::from_pem(&pem).map_err(|error| FixtureError { path: path.to_path_buf(), message: error.to_string() })
}

fn read(path: &Path) -> Result<String, FixtureError> {
    std::fs::read_to_string(path)
        .map_err(|error| FixtureError { path: path.to_path_buf(), message: format!("failed to read: {error}") })
}
