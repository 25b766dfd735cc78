//! The fixtures folder: bands, card products, terminals, accounts and the warranty registry, by the names scenarios use.

#![allow(clippy::result_large_err, reason = "an error ends the reading of a file")]

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
use crate::scenario::error::FileError;
use crate::scenario::load;
use crate::scenario::names::Names;
use crate::scenario::perform::characteristic_word;
use crate::terminal::config::{CaPublicKey, TerminalConfig};

/// The warranty registry within the folder.
const REGISTRY: &str = "warranty/registry.yaml";

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

/// Fixtures that cannot be used: every mistake in every file.
#[derive(Debug)]
pub struct FixtureError {
    mistakes: Vec<FileError>,
}

impl FixtureError {
    /// What is wrong, file by file.
    #[must_use]
    pub fn mistakes(&self) -> &[FileError] {
        &self.mistakes
    }
}

impl fmt::Display for FixtureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes: Vec<_> = self.mistakes.iter().map(ToString::to_string).collect();
        write!(f, "the fixtures cannot be used\n{}", mistakes.join("\n"))
    }
}

impl std::error::Error for FixtureError {}

impl Fixtures {
    /// Reads the folder.
    ///
    /// # Errors
    /// What is missing, unreadable or malformed, with its place: a mistake in one file does not hide one in the next.
    pub fn load(root: &Path) -> Result<Self, FixtureError> {
        let mut reader = Reader::default();
        let profiles = reader.folder::<BandProfile>(&root.join("profiles"));
        let products = reader.folder(&root.join("cards"));
        let terminals = reader.terminals(root);
        let accounts = reader.accounts(&root.join("accounts.yaml"));
        let warranty = reader.take(load::values(&root.join(REGISTRY)));
        let card_keys = reader.take(load::values(&root.join("keys/issuers.yaml")));
        let pairing_key =
            reader.take(load_pairing_key(&root.join("keys/pairing.pem")).map_err(|mistake| vec![mistake]));
        match (accounts, warranty, card_keys, pairing_key) {
            (Some(accounts), Some(warranty), Some(card_keys), Some(pairing_key)) if reader.mistakes.is_empty() => {
                Ok(Self {
                    profiles: profiles.into_iter().map(shared).collect(),
                    products,
                    terminals: terminals.into_iter().map(shared).collect(),
                    accounts,
                    warranty,
                    card_keys,
                    pairing_key,
                })
            }
            _ => Err(FixtureError { mistakes: reader.mistakes }),
        }
    }

    /// Reads the warranty registry alone.
    ///
    /// # Errors
    /// As [`Fixtures::load`].
    pub fn load_warranty(root: &Path) -> Result<WarrantyRegistry, FixtureError> {
        load::values(&root.join(REGISTRY)).map_err(|mistakes| FixtureError { mistakes })
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

/// Reads on after a mistake, so that all are told at once.
#[derive(Debug, Default)]
struct Reader {
    mistakes: Vec<FileError>,
}

impl Reader {
    fn take<T>(&mut self, read: Result<T, Vec<FileError>>) -> Option<T> {
        read.map_err(|mistakes| self.mistakes.extend(mistakes)).ok()
    }

    fn folder<T: DeserializeOwned>(&mut self, folder: &Path) -> BTreeMap<String, T> {
        let files = self.take(yaml_files(folder).map_err(|mistake| vec![mistake])).unwrap_or_default();
        let read = |(name, path): (String, PathBuf)| Some((name, self.take(load::values(&path))?));
        files.into_iter().filter_map(read).collect()
    }

    /// The terminals; one whose file names no certification authority's key knows the keys of `keys/authorities.yaml`.
    fn terminals(&mut self, root: &Path) -> BTreeMap<String, TerminalConfig> {
        let authorities: Vec<CaPublicKey> =
            self.take(load::values(&root.join("keys/authorities.yaml"))).unwrap_or_default();
        let mut terminals = self.folder::<TerminalConfig>(&root.join("terminals"));
        for terminal in terminals.values_mut().filter(|terminal| terminal.ca_public_keys.is_empty()) {
            terminal.ca_public_keys.clone_from(&authorities);
        }
        for (name, terminal) in &terminals {
            let path = root.join("terminals").join(format!("{name}.yaml")).display().to_string();
            let wrong = terminal.contradictions().into_iter();
            self.mistakes.extend(wrong.map(|wrong| FileError::whole(path.clone(), wrong)));
        }
        terminals
    }

    fn accounts(&mut self, path: &Path) -> Option<Vec<AccountRecord>> {
        let accounts: Vec<AccountRecord> = self.take(load::values(path))?;
        for (at, account) in accounts.iter().enumerate() {
            if accounts.iter().take(at).any(|other| other.name == account.name) {
                let twice = format!("there are two accounts `{}`", account.name.0);
                self.mistakes.push(FileError::whole(path.display().to_string(), twice));
            }
        }
        Some(accounts)
    }
}

/// The YAML files of a folder by their names without the ending, in order.
fn yaml_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, FileError> {
    let failed = |message: String| FileError::whole(folder.display().to_string(), message);
    let entries = std::fs::read_dir(folder).map_err(|error| failed(format!("failed to list this folder: {error}")))?;
    let mut files = vec![];
    for entry in entries {
        let path = entry.map_err(|error| failed(format!("failed to list this folder: {error}")))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        match path.file_stem().and_then(|stem| stem.to_str()) {
            Some(stem) => files.push((stem.to_owned(), path)),
            None => return Err(failed(format!("the name of {} is not UTF-8", path.display()))),
        }
    }
    files.sort();
    Ok(files)
}

fn load_pairing_key(path: &Path) -> Result<PairingKey, FileError> {
    let failed = |message: String| FileError::whole(path.display().to_string(), message);
    let pem = std::fs::read_to_string(path).map_err(|error| failed(format!("failed to read it: {error}")))?;
    PairingKey::from_pem(&pem).map_err(|error| failed(format!("this is no private key in PEM: {error}")))
}
