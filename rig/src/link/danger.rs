//! Commands that can harm a real card for good. A link to a card that is not known to be simulated refuses them by default.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use band_sim::wire::apdu::CApdu;

/// A kind of command that can harm a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// EXTERNAL AUTHENTICATE.
    ExternalAuthenticate,
    /// INITIALIZE UPDATE.
    InitializeUpdate,
    /// VERIFY.
    Verify,
    /// PUT KEY.
    PutKey,
    /// DELETE.
    Delete,
    /// INSTALL and LOAD.
    Install,
    /// STORE DATA and PUT DATA.
    StoreData,
    /// SET STATUS.
    SetStatus,
    /// Issuer scripts: APPLICATION BLOCK and UNBLOCK, CARD BLOCK, PIN CHANGE.
    IssuerScript,
    /// UPDATE, WRITE and ERASE of files and records.
    Write,
    /// Commands to the reader itself, other than asking for a card's number.
    Reader,
}

impl Danger {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ExternalAuthenticate,
        Self::InitializeUpdate,
        Self::Verify,
        Self::PutKey,
        Self::Delete,
        Self::Install,
        Self::StoreData,
        Self::SetStatus,
        Self::IssuerScript,
        Self::Write,
        Self::Reader,
    ];

    /// What is dangerous about a command; `None` for one that a terminal may send to any card.
    #[must_use]
    pub fn of(command: &CApdu) -> Option<Self> {
        if command.cla == 0xFF {
            // PC/SC part 3 3.2.2.1.3: GET DATA.
            return (command.ins != 0xCA).then_some(Self::Reader);
        }
        // EMV 4.4 B3 6.5 and GPCS 2.3.1 table 11-2 give an instruction two meanings by the class in some places; both are
        // dangerous or neither is, but for 82, whose GENERATE AC sibling is AE.
        Some(match command.ins {
            0x82 => Self::ExternalAuthenticate,
            0x50 => Self::InitializeUpdate,
            0x20 | 0x21 => Self::Verify,
            0xD8 => Self::PutKey,
            0xE4 => Self::Delete,
            0xE6 | 0xE8 => Self::Install,
            0xE2 | 0xDA | 0xDB => Self::StoreData,
            0xF0 => Self::SetStatus,
            0x16 | 0x18 | 0x1E | 0x24 | 0x2C => Self::IssuerScript,
            0x0C..=0x0F | 0xD0..=0xD2 | 0xD6 | 0xD7 | 0xDC | 0xDD => Self::Write,
            _ => return None,
        })
    }

    /// Its word on the command line and in station files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ExternalAuthenticate => "external-authenticate",
            Self::InitializeUpdate => "initialize-update",
            Self::Verify => "verify",
            Self::PutKey => "put-key",
            Self::Delete => "delete",
            Self::Install => "install",
            Self::StoreData => "store-data",
            Self::SetStatus => "set-status",
            Self::IssuerScript => "issuer-script",
            Self::Write => "write",
            Self::Reader => "reader",
        }
    }

    /// What may happen.
    #[must_use]
    pub const fn risk(self) -> &'static str {
        match self {
            Self::ExternalAuthenticate => {
                "each wrong cryptogram counts against the card's tries and may lock it for ever"
            }
            Self::InitializeUpdate => "cards count the secure channels that were begun and not finished, and may lock",
            Self::Verify => "each wrong PIN counts against the card's tries and may block it",
            Self::PutKey => "replaced keys are lost, and with them every right to manage the card",
            Self::Delete => "what is deleted does not come back",
            Self::Install => "it changes what is on the card",
            Self::StoreData => "it overwrites data that only the issuer can restore",
            Self::SetStatus => "some states of a card's life cycle are final",
            Self::IssuerScript => "it blocks the card or its PIN, and only the issuer can unblock them",
            Self::Write => "it overwrites what is on the card",
            Self::Reader => "readers do anything with their own commands, up to new firmware",
        }
    }
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Danger {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::word).join(", ");
        Self::ALL
            .into_iter()
            .find(|it| it.word() == word)
            .ok_or_else(|| format!("no such permission; there are {}", known()))
    }
}

/// What may be sent although it is dangerous.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permits(BTreeSet<Danger>);

impl Permits {
    /// Everything: for a card that is simulated.
    #[must_use]
    pub fn everything() -> Self {
        Danger::ALL.into_iter().collect()
    }

    /// Whether a command may be sent.
    ///
    /// # Errors
    /// The danger that is not permitted.
    pub fn check(&self, command: &CApdu) -> Result<(), Danger> {
        match Danger::of(command) {
            Some(danger) if !self.0.contains(&danger) => Err(danger),
            _ => Ok(()),
        }
    }
}

impl FromIterator<Danger> for Permits {
    fn from_iter<T: IntoIterator<Item = Danger>>(dangers: T) -> Self {
        Self(dangers.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(cla: u8, ins: u8) -> CApdu {
        CApdu { cla, ins, p1: 0, p2: 0, data: vec![], ne: None, extended: false }
    }

    #[test]
    fn a_payment_needs_no_permission() {
        let none = Permits::default();
        // SELECT, GET PROCESSING OPTIONS, READ RECORD, GENERATE AC, GET DATA, GET CHALLENGE, INTERNAL AUTHENTICATE, GET RESPONSE.
        for (cla, ins) in [
            (0, 0xA4),
            (0x80, 0xA8),
            (0, 0xB2),
            (0x80, 0xAE),
            (0x80, 0xCA),
            (0, 0x84),
            (0, 0x88),
            (0, 0xC0),
            (0xFF, 0xCA),
        ] {
            assert_eq!(none.check(&command(cla, ins)), Ok(()), "{cla:02X} {ins:02X}");
        }
    }

    #[test]
    fn what_can_harm_is_refused_in_every_class_until_it_is_permitted() {
        let cases = [
            (0x82, Danger::ExternalAuthenticate),
            (0x20, Danger::Verify),
            (0xD8, Danger::PutKey),
            (0xE4, Danger::Delete),
            (0xE6, Danger::Install),
            (0xE2, Danger::StoreData),
            (0xF0, Danger::SetStatus),
            (0x24, Danger::IssuerScript),
            (0xD6, Danger::Write),
        ];
        for (ins, danger) in cases {
            for cla in [0x00, 0x04, 0x0C, 0x10, 0x80, 0x84, 0x90, 0xA0] {
                assert_eq!(Permits::default().check(&command(cla, ins)), Err(danger), "{cla:02X} {ins:02X}");
                assert_eq!(Permits::from_iter([danger]).check(&command(cla, ins)), Ok(()));
            }
        }
        assert_eq!(Permits::default().check(&command(0xFF, 0x00)), Err(Danger::Reader));
    }

    #[test]
    fn nothing_is_refused_where_everything_is_permitted() {
        for ins in 0..=u8::MAX {
            assert_eq!(Permits::everything().check(&command(0x80, ins)), Ok(()));
        }
    }

    #[test]
    fn words_are_read_as_they_are_shown() {
        for danger in Danger::ALL {
            assert_eq!(danger.word().parse(), Ok(danger));
            assert!(!danger.risk().is_empty());
        }
        assert!("format".parse::<Danger>().unwrap_err().contains("external-authenticate"));
    }
}
