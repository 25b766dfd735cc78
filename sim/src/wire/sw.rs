//! Status words, with their meaning in words.

use core::fmt;

use serde::{Deserialize, Serialize};

/// SW1 SW2, a card's only way to say how a command went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sw(u16);

/// Names a status word once for the constant, its documentation and its text.
macro_rules! status_words {
    ($($name:ident $value:literal $meaning:literal)*) => {
        impl Sw {
            $(#[doc = concat!("`", stringify!($value), "`: ", $meaning, ".")] pub const $name: Self = Self($value);)*
        }

        fn fixed_meaning(value: u16) -> Option<&'static str> {
            Some(match value {
                $($value => $meaning,)*
                _ => return None,
            })
        }
    };
}

// ISO 7816-4 5.1.3 tables 5 and 6; EMV 4.4 B3 6.3.5; GPCS 2.3.1 11.1.3 and the tables of each command;
// GPC Amendment C 3.11 for 6310, 6320 and 6330.
status_words! {
    OK 0x9000 "ok"
    WARNING_UNCHANGED 0x6200 "warning, nothing changed"
    DATA_CORRUPTED 0x6281 "part of the answer may be corrupted"
    END_OF_FILE 0x6282 "end of file before all wanted bytes"
    SELECTED_FILE_DEACTIVATED 0x6283 "selected file deactivated (application blocked)"
    FILE_TERMINATED 0x6285 "selected file terminated"
    AUTHENTICATION_FAILED 0x6300 "authentication failed"
    MORE_DATA_AVAILABLE 0x6310 "more data available"
    SOME_FAILED 0x6320 "some of the applications could not be changed"
    CONFLICT 0x6330 "conflicting applications"
    EXECUTION_ERROR 0x6400 "execution error, nothing changed"
    MEMORY_FAILURE 0x6581 "memory failure"
    SECURITY_ISSUE 0x6600 "security-related issue"
    WRONG_LENGTH 0x6700 "wrong length"
    CLASS_FUNCTION_NOT_SUPPORTED 0x6800 "function in the class byte not supported"
    LOGICAL_CHANNEL_NOT_SUPPORTED 0x6881 "logical channel not supported"
    SECURE_MESSAGING_NOT_SUPPORTED 0x6882 "secure messaging not supported"
    LAST_COMMAND_EXPECTED 0x6883 "last command of the chain expected"
    CHAINING_NOT_SUPPORTED 0x6884 "command chaining not supported"
    COMMAND_NOT_ALLOWED 0x6900 "command not allowed"
    SECURITY_STATUS_NOT_SATISFIED 0x6982 "security status not satisfied"
    AUTHENTICATION_BLOCKED 0x6983 "authentication method blocked"
    REFERENCED_DATA_INVALIDATED 0x6984 "referenced data invalidated (kernel 3: use another interface)"
    CONDITIONS_NOT_SATISFIED 0x6985 "conditions of use not satisfied"
    NO_CURRENT_EF 0x6986 "command not allowed, no current file"
    SECURE_MESSAGING_MISSING 0x6987 "secure messaging data objects missing"
    SECURE_MESSAGING_INCORRECT 0x6988 "secure messaging data objects incorrect"
    APPLET_SELECT_FAILED 0x6999 "applet selection failed"
    WRONG_PARAMETERS 0x6A00 "wrong parameters"
    WRONG_DATA 0x6A80 "incorrect data"
    FUNCTION_NOT_SUPPORTED 0x6A81 "function not supported (card blocked)"
    NOT_FOUND 0x6A82 "file or application not found"
    RECORD_NOT_FOUND 0x6A83 "record not found"
    NOT_ENOUGH_MEMORY 0x6A84 "not enough memory"
    LC_INCONSISTENT_WITH_TLV 0x6A85 "length inconsistent with the data objects"
    INCORRECT_P1_P2 0x6A86 "incorrect P1 P2"
    LC_INCONSISTENT_WITH_P1_P2 0x6A87 "length inconsistent with P1 P2"
    REFERENCED_DATA_NOT_FOUND 0x6A88 "referenced data not found"
    ALREADY_EXISTS 0x6A89 "file already exists"
    NAME_ALREADY_EXISTS 0x6A8A "name already exists"
    WRONG_P1_P2 0x6B00 "wrong P1 P2"
    INS_NOT_SUPPORTED 0x6D00 "instruction not supported"
    CLA_NOT_SUPPORTED 0x6E00 "class not supported"
    UNKNOWN 0x6F00 "no precise diagnosis"
    ALGORITHM_NOT_SUPPORTED 0x9484 "algorithm not supported"
    INVALID_KEY_CHECK_VALUE 0x9485 "invalid key check value"
}

impl Sw {
    /// SW1 SW2 as one number.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// SW1 SW2 as one number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// `61xx`: `remaining` more bytes wait for GET RESPONSE; 256 and more are said as `6100`.
    #[must_use]
    pub const fn more(remaining: usize) -> Self {
        Self(0x6100 | if remaining < 0x100 { remaining as u16 } else { 0 })
    }

    /// `6Cxx`: ask again with this Ne; 256 is said as `6C00`.
    #[must_use]
    pub const fn wrong_le(exact: usize) -> Self {
        Self(0x6C00 | if exact < 0x100 { exact as u16 } else { 0 })
    }

    /// `63Cx`: verification failed, `tries_left` more (at most 15 can be said).
    #[must_use]
    pub const fn tries_left(tries_left: u8) -> Self {
        Self(0x63C0 | if tries_left < 0x10 { tries_left as u16 } else { 0xF })
    }

    /// Whether it is 9000.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == Self::OK.0
    }

    /// SW1.
    #[must_use]
    pub const fn sw1(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// SW2.
    #[must_use]
    pub const fn sw2(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Display for Sw {
    /// `6A82 file or application not found`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X} ", self.0)?;
        if let Some(meaning) = fixed_meaning(self.0) {
            return f.write_str(meaning);
        }
        match (self.sw1(), self.sw2()) {
            (0x61, 0) => write!(f, "ok, 256 or more bytes wait"),
            (0x61, 1) => write!(f, "ok, 1 more byte waits"),
            (0x61, n) => write!(f, "ok, {n} more bytes wait"),
            (0x6C, 0) => write!(f, "wrong Le, 256 bytes available"),
            (0x6C, 1) => write!(f, "wrong Le, 1 byte available"),
            (0x6C, n) => write!(f, "wrong Le, {n} bytes available"),
            (0x63, n @ 0xC0..=0xCF) => match n & 0xF {
                1 => write!(f, "verification failed, 1 try left"),
                tries => write!(f, "verification failed, {tries} tries left"),
            },
            // The first byte alone still says whose fault it was (ISO 7816-4 table 5).
            (0x62, _) => write!(f, "warning, nothing changed"),
            (0x63, _) => write!(f, "warning, something changed"),
            (0x64, _) => write!(f, "execution error, nothing changed"),
            (0x65, _) => write!(f, "execution error, something changed"),
            (0x66, _) => write!(f, "security-related issue"),
            (0x68, _) => write!(f, "function in the class byte not supported"),
            (0x69, _) => write!(f, "command not allowed"),
            (0x6A, _) => write!(f, "wrong parameters"),
            _ => write!(f, "unknown status"),
        }
    }
}

impl fmt::Debug for Sw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sw({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn known_words_say_what_they_mean() {
        for (value, text) in [
            (0x9000, "9000 ok"),
            (0x6A82, "6A82 file or application not found"),
            (0x6985, "6985 conditions of use not satisfied"),
            (0x6310, "6310 more data available"),
            (0x6100, "6100 ok, 256 or more bytes wait"),
            (0x6101, "6101 ok, 1 more byte waits"),
            (0x6113, "6113 ok, 19 more bytes wait"),
            (0x6C00, "6C00 wrong Le, 256 bytes available"),
            (0x6C01, "6C01 wrong Le, 1 byte available"),
            (0x6C2A, "6C2A wrong Le, 42 bytes available"),
            (0x63C0, "63C0 verification failed, 0 tries left"),
            (0x63C1, "63C1 verification failed, 1 try left"),
            (0x63CF, "63CF verification failed, 15 tries left"),
        ] {
            assert_eq!(Sw::new(value).to_string(), text);
        }
        assert_eq!(format!("{:?}", Sw::OK), "Sw(9000 ok)");
    }

    #[test]
    fn unknown_words_say_at_least_whose_fault_it_was() {
        for (value, text) in [
            (0x62F1, "62F1 warning, nothing changed"),
            (0x63F1, "63F1 warning, something changed"),
            (0x64F1, "64F1 execution error, nothing changed"),
            (0x65F1, "65F1 execution error, something changed"),
            (0x66F1, "66F1 security-related issue"),
            (0x68F1, "68F1 function in the class byte not supported"),
            (0x69F1, "69F1 command not allowed"),
            (0x6AF1, "6AF1 wrong parameters"),
            (0x1234, "1234 unknown status"),
        ] {
            assert_eq!(Sw::new(value).to_string(), text);
        }
    }

    #[test]
    fn counted_words_hold_their_count() {
        assert_eq!(
            [Sw::more(1), Sw::more(255), Sw::more(256), Sw::more(9999)].map(Sw::value),
            [0x6101, 0x61FF, 0x6100, 0x6100]
        );
        assert_eq!([Sw::wrong_le(42), Sw::wrong_le(255), Sw::wrong_le(256)].map(Sw::value), [0x6C2A, 0x6CFF, 0x6C00]);
        assert_eq!(
            [Sw::tries_left(0), Sw::tries_left(3), Sw::tries_left(15), Sw::tries_left(16)].map(Sw::value),
            [0x63C0, 0x63C3, 0x63CF, 0x63CF]
        );
    }

    #[test]
    fn every_word_starts_with_its_number() {
        for value in 0..=u16::MAX {
            let text = Sw::new(value).to_string();
            assert!(text.starts_with(&format!("{value:04X} ")) && text.len() > 5, "{text}");
            assert_eq!(Sw::new(value).is_ok(), value == 0x9000);
            assert_eq!(u16::from_be_bytes([Sw::new(value).sw1(), Sw::new(value).sw2()]), value);
        }
    }
}
