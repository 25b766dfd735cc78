//! Advertising data: a row of structures, each `<length> <type> <data>` (Core Specification 5.4, volume 3, part C 11).

use alloc::vec::Vec;

use super::{DecodeError, DecodeErrorKind};

/// The most bytes legacy advertising or a scan response holds.
pub const MAX_BYTES: usize = 31;

/// One structure of advertising data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdStructure {
    /// What it is, as numbered in the Bluetooth SIG's assigned numbers.
    pub kind: u8,
    /// At most 254 bytes.
    pub data: Vec<u8>,
}

impl AdStructure {
    /// Flags.
    pub const FLAGS: u8 = 0x01;
    /// Complete list of 16-bit service UUIDs.
    pub const SERVICES_16: u8 = 0x03;
    /// Complete local name.
    pub const NAME: u8 = 0x09;
    /// Manufacturer specific data.
    pub const MANUFACTURER: u8 = 0xFF;
}

/// Reads all structures. A length of zero ends the data early (part C 11).
pub fn decode(bytes: &[u8]) -> Result<Vec<AdStructure>, DecodeError> {
    let mut structures = Vec::new();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        if length == 0 {
            break;
        }
        let Some((structure, after)) = after.split_at_checked(usize::from(length)) else {
            return Err(DecodeErrorKind::Truncated.at(bytes.len()));
        };
        if let Some((&kind, data)) = structure.split_first() {
            structures.push(AdStructure { kind, data: data.to_vec() });
        }
        rest = after;
    }
    Ok(structures)
}

/// Writes the structures one after the other. Data past the 254th byte of a structure is cut.
#[must_use]
pub fn encode(structures: &[AdStructure]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for structure in structures {
        let length = u8::try_from(structure.data.len() + 1).unwrap_or(u8::MAX);
        bytes.extend([length, structure.kind]);
        bytes.extend(structure.data.iter().take(usize::from(length) - 1));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use proptest::prelude::*;

    #[test]
    fn a_structure_that_breaks_off_is_refused() {
        assert_eq!(decode(&[2, 1, 6, 3, 9, b'M']), Err(DecodeErrorKind::Truncated.at(6)));
        assert_eq!(decode(&[2, 1, 6, 0, 9]), Ok(Vec::from([AdStructure { kind: 1, data: Vec::from([6]) }])));
    }

    proptest! {
        #[test]
        fn structures_survive(parts in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..255)), 0..5)) {
            let structures: Vec<_> = parts.into_iter().map(|(kind, data)| AdStructure { kind, data }).collect();
            value_survives(&structures, |all| encode(all), decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            bytes_are_harmless(&bytes, |all: &Vec<_>| encode(all), decode);
        }
    }
}
