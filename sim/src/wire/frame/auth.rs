//! Authentication on H:0009: writes without response one way, notifications the other.
//!
//! Two dialects are in use for the same exchange. Open clients say `02 00` and `03 00 …`; others, the vendor's among
//! them, set the top bit of the command: `82 00 02 01 00` or `82 14 02`, then `83 00 …` or `83 14 …`. The band answers
//! each in its own dialect.

use alloc::vec::Vec;
use core::fmt;

use super::reply::ReplyCode;
use crate::wire::{DecodeError, DecodeErrorKind};

/// The flag byte of the vendor's own apps, the only ones that pair with a signature.
pub const FLAGS_SIGNED_PAIRING: u8 = 0x14;

const PAIR: u8 = 0x01;
const RANDOM: u8 = 0x02;
const ANSWER: u8 = 0x03;
const DIALECT_BIT: u8 = 0x80;
const REPLY: u8 = 0x10;
const MAX_TAIL: usize = 3;
const SIGNATURE_TAIL: [u8; 4] = [0; 4];

/// The 16 bytes band and phone share. Its `Debug` shows nothing of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthKey(pub [u8; 16]);

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(masked)")
    }
}

/// Which form of the commands is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `02`, `03`.
    Plain,
    /// `82`, `83`.
    Crypt,
}

impl Dialect {
    const fn bit(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Crypt => DIALECT_BIT,
        }
    }

    const fn of(command: u8) -> Self {
        if command & DIALECT_BIT == 0 { Self::Plain } else { Self::Crypt }
    }

    /// The command byte that asks for a random number, which its reply repeats.
    #[must_use]
    pub const fn random_command(self) -> u8 {
        RANDOM | self.bit()
    }

    /// The command byte that carries the answer, which its reply repeats.
    #[must_use]
    pub const fn answer_command(self) -> u8 {
        ANSWER | self.bit()
    }
}

/// What the phone writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `01 <flags> <16>`: take this key, after the person has confirmed it on the band.
    Pair {
        /// 00 or 08.
        flags: u8,
        /// The key in the clear.
        key: AuthKey,
    },
    /// `01 14`: how do you want to be paired?
    PairProbe,
    /// `02 <flags>`, `82 <flags> …`: send a random number.
    Random {
        /// Form of the command.
        dialect: Dialect,
        /// 00, 08 or 14.
        flags: u8,
        /// Whatever follows the flags, at most three bytes; `02` or `02 01 00` were seen.
        tail: Vec<u8>,
    },
    /// `03 <flags> <16>`, `83 <flags> <16>`: the random number under the key, one block of AES-128-ECB.
    Answer {
        /// Form of the command.
        dialect: Dialect,
        /// 00, 08 or 14.
        flags: u8,
        /// The encrypted block.
        block: [u8; 16],
    },
    /// Any other command.
    Unknown(Vec<u8>),
}

impl Request {
    /// Reads a write to H:0009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&command, rest)) = bytes.split_first() else {
            return Err(DecodeErrorKind::Truncated.at(0));
        };
        let dialect = Dialect::of(command);
        match (command & !DIALECT_BIT, dialect) {
            (PAIR, Dialect::Plain) if rest == [FLAGS_SIGNED_PAIRING] => Ok(Self::PairProbe),
            (PAIR, Dialect::Plain) => {
                let (flags, key) = flags_and_block(rest)?;
                Ok(Self::Pair { flags, key: AuthKey(key) })
            }
            (RANDOM, _) => {
                let Some((&flags, tail)) = rest.split_first() else {
                    return Err(DecodeErrorKind::Truncated.at(1));
                };
                if tail.len() > MAX_TAIL {
                    return Err(DecodeErrorKind::TrailingBytes.at(2 + MAX_TAIL));
                }
                Ok(Self::Random { dialect, flags, tail: tail.to_vec() })
            }
            (ANSWER, _) => {
                let (flags, block) = flags_and_block(rest)?;
                Ok(Self::Answer { dialect, flags, block })
            }
            _ => Ok(Self::Unknown(bytes.to_vec())),
        }
    }

    /// The bytes to write to H:0009.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Pair { flags, key } => [&[PAIR, *flags], &key.0[..]].concat(),
            Self::PairProbe => [PAIR, FLAGS_SIGNED_PAIRING].to_vec(),
            Self::Random { dialect, flags, tail } => [&[dialect.random_command(), *flags], &tail[..]].concat(),
            Self::Answer { dialect, flags, block } => [&[dialect.answer_command(), *flags], &block[..]].concat(),
            Self::Unknown(bytes) => bytes.clone(),
        }
    }
}

fn flags_and_block(rest: &[u8]) -> Result<(u8, [u8; 16]), DecodeError> {
    let Some((&flags, block)) = rest.split_first() else {
        return Err(DecodeErrorKind::Truncated.at(1));
    };
    let Some((&block, after)) = block.split_first_chunk() else {
        return Err(DecodeErrorKind::Truncated.at(2 + block.len()));
    };
    if !after.is_empty() {
        return Err(DecodeErrorKind::TrailingBytes.at(18));
    }
    Ok((flags, block))
}

/// What the band notifies: `10 <command> <code> …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The command byte it answers, dialect bit included.
    pub command: u8,
    /// How it went.
    pub code: ReplyCode,
    /// The random number, the [`PairingInfo`], or nothing.
    pub data: Vec<u8>,
}

impl Reply {
    /// The reply without data.
    #[must_use]
    pub const fn new(command: u8, code: ReplyCode) -> Self {
        Self { command, code, data: Vec::new() }
    }

    /// The reply that brings the random number.
    #[must_use]
    pub fn random(dialect: Dialect, random: [u8; 16]) -> Self {
        Self { command: dialect.random_command(), code: ReplyCode::Success, data: random.to_vec() }
    }

    /// The reply that says how to pair.
    #[must_use]
    pub fn pairing_info(info: &PairingInfo) -> Self {
        Self { command: PAIR, code: ReplyCode::PairingInfo, data: info.encode() }
    }

    /// The reply to [`Request::Pair`] and the end of a signed pairing: `10 01 <code>`.
    #[must_use]
    pub const fn paired(code: ReplyCode) -> Self {
        Self::new(PAIR, code)
    }

    /// Reads a notification of H:0009.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [REPLY, command, code, data @ ..] => {
                Ok(Self { command: *command, code: ReplyCode::from_byte(*code), data: data.to_vec() })
            }
            [] | [REPLY, ..] => Err(DecodeErrorKind::Truncated.at(bytes.len())),
            _ => Err(DecodeErrorKind::BadValue.at(0)),
        }
    }

    /// The bytes to notify.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&[REPLY, self.command, self.code.byte()], &self.data[..]].concat()
    }
}

/// How a band wants to be paired, the data of `10 01 81`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairingInfo {
    /// One byte: only the version.
    Version(u8),
    /// With a signature by the key of this hash.
    Signed {
        /// High four bits; 0 means the hash is named `SHA1:`.
        algorithm: u8,
        /// Low four bits.
        version: u8,
        /// Hash of the public key the band will check the signature with.
        public_key_hash: [u8; 16],
    },
}

impl PairingInfo {
    /// Reads the data of the reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&first, hash)) = bytes.split_first() else {
            return Err(DecodeErrorKind::Truncated.at(0));
        };
        if hash.is_empty() {
            return Ok(Self::Version(first));
        }
        let public_key_hash = hash.try_into().map_err(|_| DecodeErrorKind::BadLength.at(1))?;
        Ok(Self::Signed { algorithm: first >> 4, version: first & 0x0F, public_key_hash })
    }

    /// The data of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Version(version) => Vec::from([*version]),
            Self::Signed { algorithm, version, public_key_hash } => {
                [&[algorithm << 4 | version & 0x0F], &public_key_hash[..]].concat()
            }
        }
    }
}

/// The cloud's signature on its way to the band: `83 14 <signature> 00 00 00 00`, over H:0020 as type 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnswer {
    /// 14.
    pub flags: u8,
    /// Over SHA-256(address, big-endian ‖ random number).
    pub signature: Vec<u8>,
}

impl SignedAnswer {
    /// The command byte the reply on H:0009 repeats.
    pub const COMMAND: u8 = ANSWER | DIALECT_BIT;

    /// Reads a reassembled transfer of type 4.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [Self::COMMAND, flags, rest @ ..] = bytes else {
            let at = usize::from(bytes.first() == Some(&Self::COMMAND));
            let kind = if bytes.len() == at { DecodeErrorKind::Truncated } else { DecodeErrorKind::BadValue };
            return Err(kind.at(at));
        };
        let Some((signature, tail)) = rest.split_last_chunk() else {
            return Err(DecodeErrorKind::Truncated.at(bytes.len()));
        };
        if *tail != SIGNATURE_TAIL {
            return Err(DecodeErrorKind::BadValue.at(2 + signature.len()));
        }
        Ok(Self { flags: *flags, signature: signature.to_vec() })
    }

    /// The payload of the transfer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&[Self::COMMAND, self.flags], &self.signature[..], &SIGNATURE_TAIL].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use alloc::vec;
    use proptest::prelude::*;

    fn any_request() -> impl Strategy<Value = Request> {
        let dialect = prop_oneof![Just(Dialect::Plain), Just(Dialect::Crypt)];
        prop_oneof![
            Just(Request::PairProbe),
            any::<(u8, [u8; 16])>().prop_map(|(flags, key)| Request::Pair { flags, key: AuthKey(key) }),
            (dialect.clone(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=MAX_TAIL))
                .prop_map(|(dialect, flags, tail)| Request::Random { dialect, flags, tail }),
            (dialect, any::<u8>(), any::<[u8; 16]>()).prop_map(|(dialect, flags, block)| Request::Answer {
                dialect,
                flags,
                block
            }),
        ]
    }

    #[test]
    fn the_forms_clients_send_are_understood() {
        let random = |dialect, flags, tail: &[u8]| Request::Random { dialect, flags, tail: tail.to_vec() };
        for (bytes, request) in [
            (&[0x02, 0x00][..], random(Dialect::Plain, 0x00, &[])),
            (&[0x02, 0x08], random(Dialect::Plain, 0x08, &[])),
            (&[0x82, 0x00, 0x02, 0x01, 0x00], random(Dialect::Crypt, 0x00, &[0x02, 0x01, 0x00])),
            (&[0x82, 0x14, 0x02], random(Dialect::Crypt, 0x14, &[0x02])),
            (&[0x82, 0x14], random(Dialect::Crypt, 0x14, &[])),
            (&[0x01, 0x14], Request::PairProbe),
            (&[0x05, 0x00], Request::Unknown(vec![0x05, 0x00])),
            (&[0x81, 0x14], Request::Unknown(vec![0x81, 0x14])),
        ] {
            assert_eq!(Request::decode(bytes), Ok(request.clone()));
            assert_eq!(request.encode(), bytes);
        }
    }

    #[test]
    fn a_request_that_breaks_off_or_runs_on_says_where() {
        assert_eq!(Request::decode(&[]), Err(DecodeErrorKind::Truncated.at(0)));
        assert_eq!(Request::decode(&[0x03]), Err(DecodeErrorKind::Truncated.at(1)));
        assert_eq!(Request::decode(&[0x03, 0x00, 0xAA]), Err(DecodeErrorKind::Truncated.at(3)));
        assert_eq!(Request::decode(&[0x03; 19]), Err(DecodeErrorKind::TrailingBytes.at(18)));
        assert_eq!(Request::decode(&[0x01, 0x00]), Err(DecodeErrorKind::Truncated.at(2)));
        assert_eq!(Request::decode(&[0x02; 6]), Err(DecodeErrorKind::TrailingBytes.at(5)));
    }

    #[test]
    fn a_key_is_never_printed() {
        let request = Request::Pair { flags: 0, key: AuthKey([0xA5; 16]) };
        let printed = alloc::format!("{request:?}").to_lowercase();
        assert!(!printed.contains("a5") && !printed.contains("165"), "{printed}");
    }

    #[test]
    fn replies_read_as_the_sources_show_them() {
        assert_eq!(Reply::new(0x03, ReplyCode::WrongKey).encode(), [0x10, 0x03, 0x08]);
        assert_eq!(Reply::new(0x83, ReplyCode::Success).encode(), [0x10, 0x83, 0x01]);
        assert_eq!(Reply::paired(ReplyCode::InvalidState).encode(), [0x10, 0x01, 0x02]);
        let info = PairingInfo::Signed { algorithm: 0, version: 2, public_key_hash: [0xAB; 16] };
        let bytes = Reply::pairing_info(&info).encode();
        assert_eq!((bytes.len(), &bytes[..4]), (20, &[0x10, 0x01, 0x81, 0x02][..]));
        assert_eq!(Reply::decode(&[0x11, 0, 0]), Err(DecodeErrorKind::BadValue.at(0)));
        assert_eq!(Reply::decode(&[0x10, 0x01]), Err(DecodeErrorKind::Truncated.at(2)));
    }

    #[test]
    fn a_signature_needs_its_four_zeros() {
        let answer = SignedAnswer { flags: 0x14, signature: vec![7; 3] };
        assert_eq!(answer.encode(), [0x83, 0x14, 7, 7, 7, 0, 0, 0, 0]);
        assert_eq!(SignedAnswer::decode(&[0x83, 0x14, 7, 0, 0, 0, 1]), Err(DecodeErrorKind::BadValue.at(3)));
        assert_eq!(SignedAnswer::decode(&[0x83, 0x14, 0, 0, 0]), Err(DecodeErrorKind::Truncated.at(5)));
        assert_eq!(SignedAnswer::decode(&[0x83]), Err(DecodeErrorKind::Truncated.at(1)));
        assert_eq!(SignedAnswer::decode(&[0x82, 0x14]), Err(DecodeErrorKind::BadValue.at(0)));
    }

    proptest! {
        #[test]
        fn requests_survive(request in any_request()) {
            value_survives(&request, Request::encode, Request::decode);
        }

        #[test]
        fn replies_survive(command: u8, code: u8, data: Vec<u8>) {
            let reply = Reply { command, code: ReplyCode::from_byte(code), data };
            value_survives(&reply, Reply::encode, Reply::decode);
        }

        #[test]
        fn signatures_survive(flags: u8, signature: Vec<u8>) {
            value_survives(&SignedAnswer { flags, signature }, SignedAnswer::encode, SignedAnswer::decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            bytes_are_harmless(&bytes, Request::encode, Request::decode);
            bytes_are_harmless(&bytes, Reply::encode, Reply::decode);
            bytes_are_harmless(&bytes, PairingInfo::encode, PairingInfo::decode);
            bytes_are_harmless(&bytes, SignedAnswer::encode, SignedAnswer::decode);
        }
    }
}
