//! The one property every codec pair must have, written once.

use alloc::vec::Vec;
use core::fmt::Debug;

use super::DecodeError;

/// Decoding what was just encoded gives the value back.
pub(crate) fn value_survives<T: PartialEq + Debug>(
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) {
    let bytes = encode(value);
    assert_eq!(decode(&bytes).as_ref(), Ok(value), "through {bytes:02X?}");
}

/// Any bytes either fail inside their own length, or give a value that survives encoding. Never a panic.
pub(crate) fn bytes_are_harmless<T: PartialEq + Debug>(
    bytes: &[u8],
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) {
    match decode(bytes) {
        Ok(value) => value_survives(&value, encode, decode),
        Err(error) => assert!(error.at <= bytes.len(), "{error} lies outside {bytes:02X?}"),
    }
}
