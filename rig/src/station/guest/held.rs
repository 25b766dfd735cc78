//! A folder that one program at a time writes to: whoever ran beside another one would take its results for its own.
//!
//! It is the folder itself that is locked (`flock`), so nothing is left of it, and who is killed holds it no longer.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// So many programs find a folder in the cache at the same time.
const MOST_AT_ONCE: usize = 16;

/// A folder that is ours while this lives.
#[derive(Debug)]
pub struct Held {
    folder: PathBuf,
    /// `None` where the file system knows no locks.
    _lock: Option<File>,
}

impl Held {
    /// Takes this folder; makes it when it is not there. `None`: somebody else has it.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn take(folder: &Path) -> Result<Option<Self>, String> {
        let failed = |error: std::io::Error| format!("failed to write to {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        let opened = File::open(folder).map_err(failed)?;
        let lock = match opened.try_lock() {
            Ok(()) => Some(opened),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => None,
        };
        Ok(Some(Self { folder: folder.to_owned(), _lock: lock }))
    }

    /// Takes `last` in this cache, or one beside it when somebody else has that.
    ///
    /// # Errors
    /// As [`Held::take`]; too many others.
    pub fn spare(cache: &Path) -> Result<Self, String> {
        for number in 0..MOST_AT_ONCE {
            let name = if number == 0 { "last".to_owned() } else { format!("beside{number}") };
            if let Some(held) = Self::take(&cache.join(name))? {
                return Ok(held);
            }
        }
        Err(format!("{MOST_AT_ONCE} virtual stations keep their logs in {} already; give one `--out`", cache.display()))
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_programs_until_that_has_ended() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("a/b");
        let held = Held::take(&folder).unwrap().expect("nobody has it");
        assert!(Held::take(&folder).unwrap().is_none());
        drop(held);
        assert!(Held::take(&folder).unwrap().is_some());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is left of it");
    }

    #[test]
    fn who_comes_second_keeps_its_logs_beside_the_first() {
        let cache = tempfile::tempdir().unwrap();
        let name = |held: &Held| held.folder().strip_prefix(cache.path()).unwrap().display().to_string();
        let first = Held::spare(cache.path()).unwrap();
        let second = Held::spare(cache.path()).unwrap();
        assert_eq!([name(&first), name(&second)], ["last", "beside1"]);
        drop(first);
        assert_eq!(name(&Held::spare(cache.path()).unwrap()), "last");
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let top = tempfile::NamedTempFile::new().unwrap();
        let folder = top.path().join("station");
        assert!(Held::take(&folder).unwrap_err().contains(&folder.display().to_string()));
    }
}
