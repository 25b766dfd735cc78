//! What the card said: its data objects, checked as they come in, and never printed unmasked.
//!
//! An object of length zero counts as absent. A second object of the same name, one that only the terminal may make, or one
//! of a wrong length ends the application (EMV 4.4 B3 7.5 and 10.2).

use std::fmt;
use std::ops::Range;

use band_sim::wire::tag::{self, Secret};
use band_sim::wire::tlv::{self, Tag};

use super::transaction::Kernel;
use crate::mask::{Pan, Track2};

/// The card's data objects of one application.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct CardData {
    /// From the answer to SELECT; an object read later takes precedence.
    control: Objects,
    /// From GET PROCESSING OPTIONS, the records and GENERATE AC.
    read: Objects,
}

/// About as many objects as the records of a card have, and their bytes.
const USUAL_OBJECTS: usize = 40;
const USUAL_BYTES: usize = 1000;

/// Values by tag, one behind the other in one buffer: a card gives some forty of them.
#[derive(Clone, Default, PartialEq, Eq)]
struct Objects {
    /// By tag; the range lies in `bytes`.
    places: Vec<(Tag, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Objects {
    fn get(&self, tag: Tag) -> Option<&[u8]> {
        let at = self.places.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        let (_, place) = self.places.get(at)?;
        self.bytes.get(place.clone())
    }

    /// Whether there was none of this name; else the first one stays.
    fn insert(&mut self, tag: Tag, value: &[u8]) -> bool {
        let Err(at) = self.places.binary_search_by_key(&tag, |(tag, _)| *tag) else { return false };
        if self.places.is_empty() {
            self.places.reserve(USUAL_OBJECTS);
            self.bytes.reserve(USUAL_BYTES);
        }
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.places.insert(at, (tag, begin..self.bytes.len()));
        true
    }

    fn iter(&self) -> impl Iterator<Item = (Tag, &[u8])> {
        self.places.iter().map(|(tag, place)| (*tag, self.bytes.get(place.clone()).unwrap_or_default()))
    }
}

impl CardData {
    /// The value, unless absent or empty.
    pub(super) fn value(&self, tag: Tag) -> Option<&[u8]> {
        self.read.get(tag).or_else(|| self.control.get(tag))
    }

    /// The value, when it has exactly `N` bytes.
    pub(super) fn array<const N: usize>(&self, tag: Tag) -> Option<[u8; N]> {
        self.value(tag)?.try_into().ok()
    }

    /// The value of an object of one byte.
    pub(super) fn byte(&self, tag: Tag) -> Option<u8> {
        self.array::<1>(tag).map(|[byte]| byte)
    }

    /// The card number (5A, or else the one in 57).
    pub(super) fn pan(&self) -> Option<Pan> {
        let own = self.value(tag::TAG_5A_PAN).and_then(Pan::from_compressed_numeric);
        own.or_else(|| self.track2()?.pan())
    }

    /// Track 2 equivalent data (57).
    pub(super) fn track2(&self) -> Option<Track2> {
        self.value(tag::TAG_57_TRACK_2_EQUIVALENT_DATA).map(Track2::new)
    }

    /// Keeps the primitive objects of a file control information template.
    pub(super) fn store_control(&mut self, template: &[u8]) -> Result<(), String> {
        for object in tlv::walk_deep(template) {
            let (_, object) = object.map_err(|error| format!("the file control information is malformed: {error}"))?;
            if !object.tag.is_constructed() && !object.value.is_empty() {
                // The first of a name counts.
                self.control.insert(object.tag, object.value);
            }
        }
        Ok(())
    }

    /// Keeps the primitive objects of a template that was read.
    pub(super) fn store_template(&mut self, template: &[u8], kernel: Kernel) -> Result<(), String> {
        for object in tlv::walk_deep(template) {
            let (_, object) = object.map_err(|error| format!("malformed data object: {error}"))?;
            if !object.tag.is_constructed() {
                self.store(object.tag, object.value, kernel)?;
            }
        }
        Ok(())
    }

    /// Keeps one object.
    pub(super) fn store(&mut self, tag: Tag, value: &[u8], kernel: Kernel) -> Result<(), String> {
        if is_made_by_terminal(tag, kernel) {
            return match kernel {
                // EMV Contactless C-2 4.1.4: what the card must not set is a parsing error; kernel 3 passes over it.
                Kernel::Kernel2 => Err(format!("the card may not set {tag}")),
                Kernel::Kernel3 => Ok(()),
            };
        }
        if value.is_empty() {
            return Ok(());
        }
        if !has_right_length(tag, value.len()) {
            return Err(format!("{tag} has a wrong length of {} bytes", value.len()));
        }
        // EMV 4.4 B3 10.2
        if self.read.insert(tag, value) { Ok(()) } else { Err(format!("{tag} occurs twice")) }
    }
}

impl fmt::Debug for CardData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.control.iter().chain(self.read.iter());
        f.debug_map().entries(objects.map(|(tag, value)| (tag, Masked { tag, value }))).finish()
    }
}

/// A value as far as it may be shown.
struct Masked<'a> {
    tag: Tag,
    value: &'a [u8],
}

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match tag::info(self.tag).map_or(Secret::Key, |row| row.secret) {
            Secret::No => self.value.iter().try_for_each(|byte| write!(f, "{byte:02X}")),
            Secret::Pan => match Pan::from_compressed_numeric(self.value) {
                Some(pan) => write!(f, "{pan}"),
                None => write!(f, "({} bytes)", self.value.len()),
            },
            Secret::Track2 => write!(f, "{}", Track2::new(self.value)),
            Secret::Key | Secret::Signed => write!(f, "({} bytes)", self.value.len()),
        }
    }
}

/// Whether only the terminal makes this object.
fn is_made_by_terminal(tag: Tag, kernel: Kernel) -> bool {
    match tag {
        tag::TAG_81_AMOUNT_AUTHORISED_BINARY
        | tag::TAG_95_TVR
        | tag::TAG_9A_TRANSACTION_DATE
        | tag::TAG_9B_TSI
        | tag::TAG_9C_TRANSACTION_TYPE
        | tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE
        | tag::TAG_9F01_ACQUIRER_IDENTIFIER
        | tag::TAG_9F02_AMOUNT_AUTHORISED
        | tag::TAG_9F03_AMOUNT_OTHER
        | tag::TAG_9F04_AMOUNT_OTHER_BINARY
        | tag::TAG_9F06_AID_TERMINAL
        | tag::TAG_9F09_TERMINAL_APPLICATION_VERSION
        | tag::TAG_9F15_MERCHANT_CATEGORY_CODE
        | tag::TAG_9F16_MERCHANT_IDENTIFIER
        | tag::TAG_9F1A_TERMINAL_COUNTRY_CODE
        | tag::TAG_9F1C_TERMINAL_IDENTIFICATION
        | tag::TAG_9F1D_TERMINAL_RISK_DATA
        | tag::TAG_9F21_TRANSACTION_TIME
        | tag::TAG_9F33_TERMINAL_CAPABILITIES
        | tag::TAG_9F34_CVM_RESULTS
        | tag::TAG_9F35_TERMINAL_TYPE
        | tag::TAG_9F37_UNPREDICTABLE_NUMBER
        | tag::TAG_9F40_ADDITIONAL_CAPABILITIES => true,
        // Kernel 2 knows 9F66 as data of the card's mag-stripe mode.
        tag::TAG_9F66_TTQ => kernel == Kernel::Kernel3,
        _ => false,
    }
}

/// Lengths of the objects a decision rests on (EMV 4.4 B3 A1; EMV Contactless C-2 and C-3 A.1).
fn has_right_length(tag: Tag, len: usize) -> bool {
    match tag {
        tag::TAG_82_AIP
        | tag::TAG_9F36_ATC
        | tag::TAG_5F28_ISSUER_COUNTRY_CODE
        | tag::TAG_9F07_AUC
        | tag::TAG_9F08_APPLICATION_VERSION
        | tag::TAG_9F42_APPLICATION_CURRENCY_CODE
        | tag::TAG_9F6C_CTQ => len == 2,
        tag::TAG_94_AFL => len <= 252 && len.is_multiple_of(4),
        tag::TAG_57_TRACK_2_EQUIVALENT_DATA => len <= 19,
        tag::TAG_5A_PAN => len <= 10,
        tag::TAG_5F24_EXPIRATION_DATE | tag::TAG_5F25_EFFECTIVE_DATE => len == 3,
        tag::TAG_5F34_PSN | tag::TAG_8F_CA_PUBLIC_KEY_INDEX | tag::TAG_9F27_CID => len == 1,
        tag::TAG_8C_CDOL1 => len <= 252,
        tag::TAG_8E_CVM_LIST => (8..=252).contains(&len) && len.is_multiple_of(2),
        tag::TAG_9F0D_IAC_DEFAULT | tag::TAG_9F0E_IAC_DENIAL | tag::TAG_9F0F_IAC_ONLINE => len == 5,
        tag::TAG_9F10_IAD => len <= 32,
        tag::TAG_9F26_APPLICATION_CRYPTOGRAM => len == 8,
        tag::TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT | tag::TAG_9F47_ICC_PUBLIC_KEY_EXPONENT => len <= 3,
        tag::TAG_9F69_CARD_AUTHENTICATION_DATA => (5..=16).contains(&len),
        tag::TAG_9F6E_THIRD_PARTY_DATA => (4..=32).contains(&len),
        tag::TAG_DF4B_POS_CARDHOLDER_INTERACTION => len == 3,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAN: [u8; 8] = [0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34];

    #[test]
    fn an_object_that_occurs_twice_is_refused() {
        let mut card = CardData::default();
        card.store(tag::TAG_9F36_ATC, &[0, 1], Kernel::Kernel2).unwrap();
        assert_eq!(card.store(tag::TAG_9F36_ATC, &[0, 1], Kernel::Kernel2), Err("9F36 occurs twice".into()));
    }

    #[test]
    fn a_card_cannot_set_what_the_terminal_decides() {
        let mut card = CardData::default();
        assert!(card.store(tag::TAG_95_TVR, &[0; 5], Kernel::Kernel2).is_err());
        card.store(tag::TAG_95_TVR, &[0; 5], Kernel::Kernel3).unwrap();
        card.store(tag::TAG_9F66_TTQ, &[0; 4], Kernel::Kernel3).unwrap();
        assert_eq!(card, CardData::default());
    }

    #[test]
    fn an_empty_object_is_an_absent_one() {
        let mut card = CardData::default();
        card.store(tag::TAG_5A_PAN, &[], Kernel::Kernel2).unwrap();
        assert_eq!(card.value(tag::TAG_5A_PAN), None);
    }

    #[test]
    fn what_is_printed_of_a_card_hides_its_number_and_its_holder() {
        let mut card = CardData::default();
        card.store(tag::TAG_5A_PAN, &PAN, Kernel::Kernel2).unwrap();
        card.store(
            tag::TAG_57_TRACK_2_EQUIVALENT_DATA,
            &[&PAN[..], &[0xD2, 0x51, 0x22, 0x01]].concat(),
            Kernel::Kernel2,
        )
        .unwrap();
        card.store(tag::TAG_5F20_CARDHOLDER_NAME, b"MUSTERMANN/ERIKA", Kernel::Kernel2).unwrap();
        card.store(tag::TAG_9F36_ATC, &[0, 1], Kernel::Kernel2).unwrap();
        assert_eq!(
            format!("{card:?}"),
            "{Tag(57): 541333******0434=…, Tag(5A): 541333******0434, Tag(5F20): (16 bytes), Tag(9F36): 0001}"
        );
    }
}
