//! The third byte of a `10 …` reply: how a request went.

use core::fmt;

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $name:ident = $byte:literal, $text:literal;)*) => {
        /// How a request went. Codes 01 to 04 are the same on every characteristic, the others belong to authentication.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReplyCode {
            $($(#[$doc])* $name,)*
            /// A code nobody has named.
            Unknown(u8),
        }

        impl ReplyCode {
            /// The code of this byte.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Self {
                match byte {
                    $($byte => Self::$name,)*
                    byte => Self::Unknown(byte),
                }
            }

            /// Its byte.
            #[must_use]
            pub const fn byte(self) -> u8 {
                match self {
                    $(Self::$name => $byte,)*
                    Self::Unknown(byte) => byte,
                }
            }
        }

        impl fmt::Display for ReplyCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => write!(f, concat!("{:02X} ", $text), $byte),)*
                    Self::Unknown(byte) => write!(f, "{byte:02X}"),
                }
            }
        }
    };
}

reply_codes! {
    /// Done.
    Success = 0x01, "success";
    /// Not now; in pairing, the person denied it on the band.
    InvalidState = 0x02, "invalid state or denied";
    /// The band does not know the command.
    UnknownCommand = 0x03, "unknown command";
    /// It did not work.
    Failed = 0x04, "failed";
    /// The key is wrong.
    KeyError = 0x07, "key error";
    /// The key is wrong; what a Mi Smart Band 4 answers.
    WrongKey = 0x08, "wrong key";
    /// The band tells how it wants to be paired.
    PairingInfo = 0x81, "pairing information";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives() {
        for byte in 0..=u8::MAX {
            assert_eq!(ReplyCode::from_byte(byte).byte(), byte);
        }
    }
}
