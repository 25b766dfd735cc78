//! An adapter is one band's: a second one would ask for the handles of the first, and bluetoothd 5.66 may drop what has them.
//!
//! The claim is a socket with an abstract name (unix(7)): nothing of it is left in the file system, and it ends with its process.

use alloc::borrow::ToOwned;
use alloc::format;
use core::time::Duration;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::Printed;
use super::world::{BluezError, World};

/// How long a band that was killed may take to be gone, and how often it is looked.
const GONE_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// That no other band serves on this adapter, while this lives.
pub(super) struct Claim {
    address: [u8; 6],
    _name: UnixListener,
}

impl Claim {
    /// Claims the adapter, unless `held` is of this adapter already.
    pub(super) async fn keep(held: &mut Option<Self>, world: &World) -> Result<(), BluezError> {
        let address = world.address();
        if held.as_ref().is_some_and(|claim| claim.address == address) {
            return Ok(());
        }
        let claiming = async {
            loop {
                match named(address) {
                    Err(error) if error.kind() == ErrorKind::AddrInUse => tokio::time::sleep(LOOK).await,
                    named => break named.map_err(|error| BluezError::Machine(format!("{error}"))),
                }
            }
        };
        let taken = |_| BluezError::Taken { adapter: world.adapter().name().to_owned() };
        let name = tokio::time::timeout(GONE_WITHIN, claiming).await.map_err(taken)??;
        *held = Some(Self { address, _name: name });
        Ok(())
    }
}

fn named(address: [u8; 6]) -> std::io::Result<UnixListener> {
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("bandrig band on {}", Printed(address)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_claimed_once_until_its_band_has_ended() {
        let first = named([0xD4, 0x2F, 0, 0, 0, 1]).unwrap();
        assert_eq!(named([0xD4, 0x2F, 0, 0, 0, 1]).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(named([0xD4, 0x2F, 0, 0, 0, 2]).is_ok(), "another adapter");
        drop(first);
        assert!(named([0xD4, 0x2F, 0, 0, 0, 1]).is_ok());
    }
}
