//! A band that survives restarts: its two memories in a file, replaced as a whole before an answer that depends on them goes out.
//!
//! The file is JSON with a digest. It holds what a real band holds: keys and card numbers, in clear. It is written for its owner
//! only, into a new file that then takes the place of the old one, so that it is whole whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Memory, MemoryImage};
use band_sim::edge::drive::Handle;
use band_sim::rng::Rng;
use band_sim::wire::hex::Hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Trouble;

/// Rises when the form of the file changes.
const VERSION: u32 = 1;
/// Far more than any band fills.
const MOST_FILE_BYTES: u64 = 16 << 20;

/// Everything that makes a band this band.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    profile: BandProfile,
    seed: u64,
    /// How often it was started from this file.
    starts: u64,
    memory: Option<MemoryImage>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    band_state: u32,
    sha256: Hex,
    state: State,
}

impl State {
    /// A band as it leaves the factory.
    pub(super) fn new(profile: &BandProfile, seed: u64) -> Self {
        Self { profile: profile.clone(), seed, starts: 0, memory: None }
    }

    /// The state in a file; `None` when there is no file yet.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, Trouble> {
        let failed = |what: String| Trouble::Input(format!("failed to use the state file {}: {what}", path.display()));
        let length = match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
            Ok(metadata) => metadata.len(),
        };
        if length > MOST_FILE_BYTES {
            return Err(failed(format!("{length} bytes, more than any band's state has")));
        }
        let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
        Self::decode(&bytes).map(Some).map_err(failed)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let file: StateFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if file.band_state != VERSION {
            return Err(format!("its version is {}, this program reads {VERSION}", file.band_state));
        }
        if file.sha256 != file.state.digest()? {
            return Err("its digest is wrong: it was changed or is not whole".to_owned());
        }
        Ok(file.state)
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let file = StateFile { band_state: VERSION, sha256: self.digest()?, state: self.clone() };
        serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())
    }

    fn digest(&self) -> Result<Hex, String> {
        let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        Ok(Hex(Sha256::digest(bytes).to_vec()))
    }

    /// The state of the next start.
    pub(super) const fn started_again(mut self) -> Self {
        self.starts += 1;
        self
    }

    /// The state of a band with this address.
    pub(super) fn moved_to(mut self, address: Option<[u8; 6]>) -> Self {
        if let Some(address) = address {
            self.profile.identity.address.value = Hex(address.to_vec());
        }
        self
    }

    /// What kind of band it is.
    pub(super) fn profile(&self) -> Arc<BandProfile> {
        Arc::new(self.profile.clone())
    }

    /// The band it describes, switched on.
    pub(super) fn band(&self, epoch_unix_us: i64) -> Band {
        let profile = self.profile();
        match self.memory.clone() {
            Some(memory) => Band::restored(profile, self.band_rng(), epoch_unix_us, memory, self.starts),
            None => Band::new(profile, self.band_rng(), epoch_unix_us),
        }
    }

    /// The seed of everything random around the band, another one at each start.
    pub(super) fn rng(&self) -> Rng {
        let rng = Rng::new(self.seed);
        if self.starts == 0 { rng } else { rng.fork(&format!("start {}", self.starts)) }
    }

    /// The seed of the band itself, the same at each start.
    pub(super) fn band_rng(&self) -> Rng {
        Rng::new(self.seed).fork("band")
    }
}

/// Keeps a state in its file.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    state: State,
}

impl Keeper {
    pub(super) const fn new(path: PathBuf, state: State) -> Self {
        Self { path, state }
    }

    fn save(&mut self, band: &Band) -> Result<(), Trouble> {
        self.state.memory = Some(band.memory_image());
        let written =
            self.state.encode().and_then(|bytes| replace(&self.path, &bytes).map_err(|error| error.to_string()));
        written.map_err(|error| {
            Trouble::Station(format!("failed to write the state file {}: {error}", self.path.display()))
        })
    }
}

/// Why the state could not be kept, once it could not.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Trouble>>>);

impl Failure {
    pub(super) fn take(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, trouble: Trouble) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }
}

/// Writes the file now and whenever the band's memory has changed. A band whose memory cannot be kept is stopped.
pub(super) fn keep(handle: &Handle, keeper: Option<Keeper>) -> Result<Failure, Trouble> {
    let failure = Failure::default();
    let Some(mut keeper) = keeper else { return Ok(failure) };
    handle.inspect(|band| keeper.save(band))?;
    let writes = |band: &Band| (band.nvm_writes(Memory::SecureElement), band.nvm_writes(Memory::Device));
    let mut kept = handle.inspect(writes);
    handle.on_settled({
        let (handle, failure) = (handle.clone(), failure.clone());
        move |band| {
            if writes(band) == kept {
                return;
            }
            kept = writes(band);
            if let Err(trouble) = keeper.save(band) {
                tracing::error!("{trouble}");
                failure.set(trouble);
                // Not from here: the band is locked while it is looked at.
                let handle = handle.clone();
                std::thread::spawn(move || handle.stop());
            }
        }
    });
    Ok(failure)
}

/// The file has either its old content or this one, also when the power goes.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = new_name(path);
    // What a crash may have left there has another owner or other rights, for all we know.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // Windows cannot open a folder, and has the name at once.
    if cfg!(unix) { File::open(folder_of(path))?.sync_all() } else { Ok(()) }
}

/// Where the new file grows: beside the old one, as only within a file system one takes the place of another at once.
pub(super) fn new_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.new"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
