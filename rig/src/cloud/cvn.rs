//! Cryptogram versions: which data a cryptogram covers, under which key, and how the issuer answers. One row per version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::crypto::{
    Block, Padding, TdesKey, arpc_method_1, arpc_method_2, card_master_key, card_master_key_option_a,
    common_session_key, retail_mac,
};

/// A cryptogram version number, written in hex as on the wire. Table: facts/emv.md 3.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CryptogramVersion {
    /// `0A`, Visa 10: the card's master key itself over the fixed list and the CVR.
    Visa10,
    /// `12`, Visa 18: EMV session key over the fixed list and all issuer application data.
    Visa18,
    /// `16`, Visa 22: as Visa 18.
    Visa22,
    /// `10`, Mastercard 16: Mastercard session key, CVR.
    Mastercard16,
    /// `11`, Mastercard 17: Mastercard session key, CVR and counters.
    Mastercard17,
    /// `14`, Mastercard 20: EMV session key, CVR.
    Mastercard20,
    /// `15`, Mastercard 21: EMV session key, CVR and counters.
    Mastercard21,
}

/// What the terminal and the card put into a cryptogram, by tag.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// 9F02.
    pub amount_authorised: [u8; 6],
    /// 9F03.
    pub amount_other: [u8; 6],
    /// 9F1A.
    pub terminal_country: [u8; 2],
    /// 95.
    pub tvr: [u8; 5],
    /// 5F2A.
    pub currency: [u8; 2],
    /// 9A.
    pub date: [u8; 3],
    /// 9C.
    pub transaction_type: u8,
    /// 9F37.
    pub unpredictable_number: [u8; 4],
    /// 82.
    pub aip: [u8; 2],
    /// 9F36.
    pub atc: [u8; 2],
    /// 9F10.
    pub iad: &'a [u8],
}

impl CryptogramVersion {
    const ALL: [(u8, Self); 7] = [
        (0x0A, Self::Visa10),
        (0x12, Self::Visa18),
        (0x16, Self::Visa22),
        (0x10, Self::Mastercard16),
        (0x11, Self::Mastercard17),
        (0x14, Self::Mastercard20),
        (0x15, Self::Mastercard21),
    ];

    /// The byte in issuer application data.
    #[must_use]
    pub fn byte(self) -> u8 {
        Self::ALL.iter().find(|(_, version)| *version == self).map_or(0, |(byte, _)| *byte)
    }

    /// Derivation key index and cryptogram version of issuer application data.
    // M/Chip: DKI, CVN, CVR… · Visa formats 0, 1, 3: 06, DKI, CVN, 03, CVR… (facts/emv.md 3.7)
    #[must_use]
    pub fn identifiers(self, iad: &[u8]) -> Option<(u8, u8)> {
        match (self.is_visa(), iad) {
            (false, [dki, cvn, ..]) | (true, [0x06, dki, cvn, ..]) => Some((*dki, *cvn)),
            _ => None,
        }
    }

    /// The card's master key of an issuer's, for a card with this number and sequence number: option A, or option B, which differs
    /// for numbers of more than 16 digits.
    // facts/emv.md 3.7, column MK
    #[must_use]
    pub fn card_master_key(self, issuer: &TdesKey, pan: &str, psn: u8) -> TdesKey {
        match self {
            Self::Visa18 | Self::Visa22 => card_master_key(issuer, pan, psn),
            _ => card_master_key_option_a(issuer, pan, psn),
        }
    }

    /// The card verification results in issuer application data.
    #[must_use]
    pub fn cvr(self, iad: &[u8]) -> Option<&[u8]> {
        if self.is_visa() { iad.get(3..7) } else { iad.get(2..8) }
    }

    /// Whether the card verification results say that the first GENERATE AC made an ARQC. The cryptogram covers them, but not the
    /// cryptogram information data beside it: without this, an AAC could be passed off as an ARQC.
    // M/Chip Requirements appendix B, VIS 1.6 appendix: b6 b5 of the first byte, 10 is an ARQC; Visa's has a length byte before it
    #[must_use]
    pub fn is_arqc(self, iad: &[u8]) -> bool {
        let first = self.cvr(iad).and_then(|cvr| cvr.get(usize::from(self.is_visa())));
        first.is_some_and(|byte| byte & 0x30 == 0x20)
    }

    /// The key that makes this payment's cryptogram.
    #[must_use]
    pub fn session_key(self, master: &TdesKey, signed: &Signed<'_>) -> TdesKey {
        let [a, b] = signed.atc;
        match self {
            Self::Visa10 => *master,
            Self::Mastercard16 | Self::Mastercard17 => {
                let [w, x, y, z] = signed.unpredictable_number;
                common_session_key(master, [a, b, 0, 0, w, x, y, z])
            }
            _ => common_session_key(master, [a, b, 0, 0, 0, 0, 0, 0]),
        }
    }

    /// The bytes that the cryptogram covers; `None` when the issuer application data is too short.
    #[must_use]
    pub fn input(self, signed: &Signed<'_>) -> Option<Vec<u8>> {
        let mut input = [
            signed.amount_authorised.as_slice(),
            &signed.amount_other,
            &signed.terminal_country,
            &signed.tvr,
            &signed.currency,
            &signed.date,
            &[signed.transaction_type],
            &signed.unpredictable_number,
            &signed.aip,
            &signed.atc,
        ]
        .concat();
        match self {
            Self::Visa18 | Self::Visa22 => input.extend_from_slice(signed.iad),
            _ => input.extend_from_slice(self.cvr(signed.iad)?),
        }
        if self.covers_counters() {
            // M/Chip: two bytes of data authentication code stand between the CVR and the counters.
            input.extend_from_slice(signed.iad.get(10..18)?);
        }
        Some(input)
    }

    /// The application cryptogram over `input`.
    #[must_use]
    pub fn cryptogram(self, session_key: &TdesKey, input: &[u8]) -> Block {
        let padding = if self == Self::Visa10 { Padding::Method1 } else { Padding::Method2 };
        retail_mac(session_key, input, padding)
    }

    /// Issuer authentication data (91) that answers `arqc`: the ARPC, and the response code or a card status update of zeros.
    #[must_use]
    pub fn issuer_authentication_data(
        self,
        master: &TdesKey,
        session_key: &TdesKey,
        arqc: Block,
        arc: [u8; 2],
    ) -> Vec<u8> {
        let key = if self.answers_under_session_key() { session_key } else { master };
        match self {
            Self::Visa18 | Self::Visa22 => [arpc_method_2(key, arqc, [0; 4], &[]), [0; 4]].concat(),
            _ => [arpc_method_1(key, arqc, arc).as_slice(), &arc].concat(),
        }
    }

    const fn is_visa(self) -> bool {
        matches!(self, Self::Visa10 | Self::Visa18 | Self::Visa22)
    }

    const fn covers_counters(self) -> bool {
        matches!(self, Self::Mastercard17 | Self::Mastercard21)
    }

    const fn answers_under_session_key(self) -> bool {
        !matches!(self, Self::Visa10 | Self::Mastercard16 | Self::Mastercard17)
    }
}

impl fmt::Display for CryptogramVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.byte())
    }
}

impl FromStr for CryptogramVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let byte = u8::from_str_radix(text, 16).ok();
        let row = Self::ALL.iter().find(|(known, _)| Some(*known) == byte);
        row.map(|(_, version)| *version).ok_or_else(|| {
            let known = Self::ALL.map(|(byte, _)| format!("{byte:02X}")).join(", ");
            format!("unknown cryptogram version {text:?}; known are {known} (hex)")
        })
    }
}

impl Serialize for CryptogramVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CryptogramVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use band_sim::wire::hex::Hex;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.parse::<Hex>().expect("hex").0
    }

    fn array<const N: usize>(hex: &str) -> [u8; N] {
        bytes(hex).try_into().expect("length")
    }

    fn master() -> TdesKey {
        let issuer = TdesKey::new(array("0123456789ABCDEFFEDCBA9876543210"));
        card_master_key_option_a(&issuer, "1234567890123456", 0)
    }

    fn visa(iad: &[u8]) -> Signed<'_> {
        Signed {
            amount_authorised: array("000000004000"),
            amount_other: [0; 6],
            terminal_country: array("0124"),
            tvr: array("8000048000"),
            currency: array("0124"),
            date: array("191105"),
            transaction_type: 1,
            unpredictable_number: array("52BF4585"),
            aip: array("1800"),
            atc: array("001C"),
            iad,
        }
    }

    fn mastercard(iad: &[u8]) -> Signed<'_> {
        Signed {
            amount_authorised: array("000000009999"),
            tvr: array("8000000000"),
            date: array("209906"),
            transaction_type: 0,
            unpredictable_number: array("ABCDEF12"),
            ..visa(iad)
        }
    }

    fn check(version: CryptogramVersion, signed: &Signed<'_>, arc: &str, arqc: &str, answer: &str) {
        let key = version.session_key(&master(), signed);
        let input = version.input(signed).expect("input");
        let made = version.cryptogram(&key, &input);
        assert_eq!(made, array::<8>(arqc), "ARQC of {version}");
        let data = version.issuer_authentication_data(&master(), &key, made, array(arc));
        assert_eq!(data, bytes(answer), "ARPC of {version}");
    }

    // facts/emv.md 3.7, from pyemv's HSM-checked tests
    #[test]
    fn visa_cryptograms_match_an_hsm() {
        let iad = bytes("06010A03A06010");
        check(CryptogramVersion::Visa10, &visa(&iad), "3030", "29CCA15AE665FA2E", "28993816AFAE4AEB 3030");
        let iad = bytes("06011203A0B800");
        check(CryptogramVersion::Visa18, &visa(&iad), "3030", "7A788EA6B8A3E733", "9AF514C1 00000000");
        assert!(CryptogramVersion::Visa18.is_arqc(&iad));
        assert!(!CryptogramVersion::Visa18.is_arqc(&bytes("0601120380B800")), "an AAC");
        check(CryptogramVersion::Visa22, &visa(&iad), "3030", "7A788EA6B8A3E733", "9AF514C1 00000000");
    }

    // facts/emv.md 3.7, from pyemv's HSM-checked tests
    #[test]
    fn mastercard_cryptograms_match_an_hsm() {
        let iad = |cvn: &str| bytes(&format!("01{cvn} A00003220000 0000 00000000000322FF"));
        let rows = [
            ("10", "24CCF3DEE3158C70", "73F6BBF389A6586C 0010"),
            ("11", "EAE8A620A75648D8", "29CF11FBDB9CA650 0010"),
            ("14", "CD29615D6452E70E", "DFD0956606B68D64 0010"),
            ("15", "C30E54BE496CF5E5", "4F51F9CC63CE8B3C 0010"),
        ];
        for (cvn, arqc, answer) in rows {
            let version = cvn.parse::<CryptogramVersion>().expect("known");
            check(version, &mastercard(&iad(cvn)), "0010", arqc, answer);
            assert_eq!(version.identifiers(&iad(cvn)), Some((1, version.byte())));
            assert!(version.is_arqc(&iad(cvn)));
        }
    }

    #[test]
    fn short_issuer_application_data_gives_no_input() {
        for (_, version) in CryptogramVersion::ALL {
            for length in 0..18 {
                let iad = [6; 18];
                let signed = visa(&iad[..length]);
                let _ = (version.input(&signed), version.identifiers(signed.iad), version.is_arqc(signed.iad));
            }
        }
        assert_eq!(CryptogramVersion::Mastercard17.input(&visa(&[0; 17])), None);
        assert_eq!(CryptogramVersion::Mastercard16.input(&visa(&[0; 7])), None);
        assert_eq!(CryptogramVersion::Visa10.input(&visa(&[0; 6])), None);
    }

    #[test]
    fn a_version_is_written_and_read_in_hex() {
        for (byte, version) in CryptogramVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(version.byte(), byte);
        }
        assert!("20".parse::<CryptogramVersion>().expect_err("unknown").contains("0A, 12, 16, 10, 11, 14, 15"));
    }
}
