//! The band on a Bluetooth adapter: its address, its key, and what the edge tells, as lines and logs.

use std::str::FromStr;

use band_sim::edge::bluez::{self, BluezError, Config, Difference, Notice, Peripheral};
use band_sim::edge::drive::Handle;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::hex::Hex;

use super::{Trouble, say};

/// A key from the command line: 32 hex digits, or `@` and a file that holds them.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) AuthKey);

impl FromStr for Key {
    type Err = String;

    /// The text itself is in no message: it may be a key with one digit too many.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = |file| std::fs::read_to_string(file).map_err(|error| format!("failed to read {file}: {error}"));
        let text = text.strip_prefix('@').map_or_else(|| Ok(text.to_owned()), read)?;
        let bytes = text.trim().parse::<Hex>().ok().and_then(|Hex(bytes)| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(|bytes| Self(AuthKey(bytes))).ok_or_else(|| "a key is 32 hex digits".to_owned())
    }
}

/// The address the band will have.
pub(super) fn address(adapter: &str) -> Result<[u8; 6], Trouble> {
    bluez::adapter_address(adapter).map_err(|error| trouble(&error))
}

/// Serves the band; says where.
pub(super) fn start(adapter: &str, handle: &Handle) -> Result<Peripheral, Trouble> {
    let config = Config { adapter: adapter.to_owned() };
    Peripheral::start(handle, config, |notice| tell(&notice)).map_err(|error| trouble(&error))
}

fn tell(notice: &Notice) {
    match notice {
        Notice::Serving { adapter, differences, .. } => {
            say(&format!("bluetooth: on {adapter}"));
            tracing::info!("{notice}");
            for difference in differences {
                match difference {
                    // Whoever looks for it does not find the band.
                    Difference::ManufacturerData => tracing::info!("unlike the band: {difference}"),
                    _ => tracing::debug!("unlike the band: {difference}"),
                }
            }
        }
        Notice::Connected { .. } | Notice::Disconnected { .. } => tracing::info!("{notice}"),
        Notice::TurnedAway { .. } | Notice::Lost { .. } => tracing::warn!("{notice}"),
        Notice::Broken(_) => tracing::error!("{notice}"),
    }
}

fn trouble(error: &BluezError) -> Trouble {
    Trouble::Station(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_digits_or_a_file_and_never_said_again() {
        let digits = "30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45";
        let key = digits.parse::<Key>().unwrap();
        assert_eq!(key.0.0[15], 0x45);
        assert!(!format!("{key:?}").contains("45"), "{key:?}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "30313233343536373839404142434445\n").unwrap();
        assert!(format!("@{}", file.display()).parse::<Key>().unwrap().0 == key.0);
        for wrong in ["", "3031", "303132333435363738394041424344454", "zz", "@/nowhere"] {
            let message = wrong.parse::<Key>().unwrap_err();
            assert!(!message.contains("3031"), "{message}");
        }
    }
}
