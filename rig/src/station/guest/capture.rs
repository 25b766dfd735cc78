//! The guest's Bluetooth as `btmon` wrote it, made into one whole file.
//!
//! The guest starts another `btmon` where one ends early, and a machine that is switched off leaves half a record behind: what an
//! analyser opens is all parts in order, with whole records only.
//!
//! Source: btsnoop as `btmon -w` writes it (BlueZ `src/shared/btsnoop.c`): a header of 16 bytes; records of 24 bytes, of which bytes
//! 4 to 7 hold the length of the data that follows, all big-endian.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The file's name.
pub const NAME: &str = "hci.btsnoop";
const HEADER_BYTES: usize = 16;
const MAGIC: &[u8] = b"btsnoop\0";
const RECORD_HEAD_BYTES: usize = 24;

/// What was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Records: packets and what the kernel said about them.
    pub records: u64,
    /// How many times a `btmon` was started for it.
    pub parts: u32,
}

/// The name of a part, from 0.
fn part_name(part: u32) -> String {
    format!("hci.{part}.btsnoop")
}

/// Removes what an earlier run may have left.
pub(super) fn clear(share: &Path) {
    for part in 0.. {
        if fs::remove_file(share.join(part_name(part))).is_err() {
            break;
        }
    }
    let _ = fs::remove_file(share.join(NAME));
}

/// Puts the parts in `share` together as one capture in `into`; the parts are gone afterwards.
///
/// # Errors
/// When a file cannot be read or written.
pub fn gather(share: &Path, into: &Path) -> Result<Captured, String> {
    let path = into.join(NAME);
    let failed = |error: io::Error| format!("failed to write the capture {}: {error}", path.display());
    let mut out = io::BufWriter::new(fs::File::create(&path).map_err(failed)?);
    let mut captured = Captured::default();
    let mut has_header = false;
    loop {
        let part = share.join(part_name(captured.parts));
        let bytes = match fs::read(&part) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(format!("failed to read {}: {error}", part.display())),
        };
        if let Some(header) = bytes.get(..HEADER_BYTES).filter(|header| header.starts_with(MAGIC)) {
            if !std::mem::replace(&mut has_header, true) {
                out.write_all(header).map_err(failed)?;
            }
            let (records, end) = whole_records(&bytes);
            out.write_all(bytes.get(HEADER_BYTES..end).unwrap_or_default()).map_err(failed)?;
            captured.records += records;
        }
        captured.parts += 1;
    }
    out.flush().map_err(failed)?;
    for part in 0..captured.parts {
        fs::remove_file(share.join(part_name(part))).map_err(failed)?;
    }
    Ok(captured)
}

/// How many whole records there are, and where the last one ends.
fn whole_records(bytes: &[u8]) -> (u64, usize) {
    let (mut records, mut end) = (0, HEADER_BYTES);
    loop {
        let length = bytes.get(end + 4..end + 8).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
        let next = length
            .and_then(|length| usize::try_from(length).ok())
            .map(|length| (end + RECORD_HEAD_BYTES).saturating_add(length));
        match next.filter(|next| *next <= bytes.len()) {
            Some(next) => (records, end) = (records + 1, next),
            None => return (records, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        [MAGIC, &1_u32.to_be_bytes(), &2001_u32.to_be_bytes()].concat()
    }

    fn record(data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], &length, &[0; 16], data].concat()
    }

    #[test]
    fn parts_become_one_capture_of_whole_records() {
        let share = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let (one, two, three) = (record(&[1, 2, 3]), record(&[]), record(&[4; 40]));
        for cut in 0..three.len() {
            let first = [&header()[..], &one, &two].concat();
            let second = [&header()[..], &one, &three[..cut]].concat();
            fs::write(share.path().join("hci.0.btsnoop"), first).unwrap();
            fs::write(share.path().join("hci.1.btsnoop"), second).unwrap();
            let captured = gather(share.path(), out.path()).unwrap();
            assert_eq!(captured, Captured { records: 3, parts: 2 });
            assert_eq!(fs::read(out.path().join(NAME)).unwrap(), [&header()[..], &one, &two, &one].concat());
            assert_eq!(fs::read_dir(share.path()).unwrap().count(), 0, "the parts are gone");
        }
    }

    #[test]
    fn nothing_and_nonsense_make_no_records() {
        let share = tempfile::tempdir().unwrap();
        assert_eq!(gather(share.path(), share.path()).unwrap(), Captured { records: 0, parts: 0 });
        for bytes in [&b""[..], b"btsnoop\0", &[0xFF; 100]] {
            fs::write(share.path().join("hci.0.btsnoop"), bytes).unwrap();
            assert_eq!(gather(share.path(), share.path()).unwrap(), Captured { records: 0, parts: 1 });
        }
        let lies = [&header()[..], &[0xFF; 24]].concat();
        fs::write(share.path().join("hci.0.btsnoop"), lies).unwrap();
        assert_eq!(gather(share.path(), share.path()).unwrap(), Captured { records: 0, parts: 1 });
    }
}
