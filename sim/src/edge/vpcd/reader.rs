//! What a reader itself says about the card in it: the answer to reset and the pseudo-APDU for its number.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::rng::Rng;
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// How the card lies in the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// In its field.
    Contactless,
    /// On its contacts.
    Contact,
}

/// Class of the commands that a reader answers itself (PC/SC part 3, 3.2).
const CLA_READER: u8 = 0xFF;
const INS_GET_DATA: u8 = 0xCA;

/// The answer to reset that the reader shows.
#[must_use]
pub fn answer_to_reset(coupling: Coupling, historical_bytes: &[u8]) -> Vec<u8> {
    // ISO 7816-3 8.2: at most 15.
    let historical = historical_bytes.get(..15).unwrap_or(historical_bytes);
    let count = u8::try_from(historical.len()).unwrap_or(0);
    let interface: &[u8] = match coupling {
        // PC/SC part 3, 3.1.3.2.3: T0, TD1 and TD2 of a contactless card.
        Coupling::Contactless => &[0x80 | count, 0x80, 0x01],
        // EMV 4.4 B1 8.3: T0, TB1, TC1, TD1, TD2, TA3 and TB3; no programming voltage, no extra guard time, T=0 first, and
        // T=1 with blocks of 254 bytes, BWI 4 and CWI 5. Some programs connect with one protocol only; in the virtual
        // reader either carries whole APDUs.
        Coupling::Contact => &[0xE0 | count, 0x00, 0x00, 0x80, 0x31, 0xFE, 0x45],
    };
    let checked = [interface, historical].concat();
    let check = checked.iter().fold(0, |sum, byte| sum ^ byte);
    [&[0x3B], &checked[..], &[check]].concat()
}

/// A random single-size UID as cards in phones and wearables show it: another one each time they come into a field.
// ISO 14443-3 6.5.4: 08 and three random bytes
#[must_use]
pub fn random_uid(rng: &mut Rng) -> [u8; 4] {
    let [a, b, c] = rng.array();
    [0x08, a, b, c]
}

/// The reader's own answer to a command of its class; `None` for one that goes to the card.
#[must_use]
pub fn answer(coupling: Coupling, uid: &[u8], historical_bytes: &[u8], command: &[u8]) -> Option<Vec<u8>> {
    if command.first() != Some(&CLA_READER) {
        return None;
    }
    let Ok(command) = CApdu::decode(command) else { return Some(RApdu::sw(Sw::WRONG_LENGTH).encode()) };
    if coupling == Coupling::Contact || command.ins != INS_GET_DATA || command.p2 != 0 {
        return Some(RApdu::sw(Sw::FUNCTION_NOT_SUPPORTED).encode());
    }
    let data = match command.p1 {
        0x00 => uid,
        0x01 => historical_bytes,
        _ => return Some(RApdu::sw(Sw::FUNCTION_NOT_SUPPORTED).encode()),
    };
    Some(limited(data, command.ne).encode())
}

/// What reaches the card of a command that arrived without Le although its answer is data.
///
/// Many programs leave Le away: with T=0 the reader would fetch the answer by GET RESPONSE, and with T=1 and in the field cards are
/// known to answer all the same. The card itself goes by the letter (ISO 7816-4 5.1: no Le, no data), so the reader asks for all.
#[must_use]
pub fn asking(command: &[u8]) -> Cow<'_, [u8]> {
    let leaves_le_away = CApdu::decode(command).is_ok_and(|command| {
        let by_name_with_answer = command.p1 == 0x04 && command.p2 & 0x0C == 0;
        !command.extended
            && command.ne.is_none()
            && !command.data.is_empty()
            && match (command.cla, command.ins) {
                // SELECT, on any channel; INTERNAL AUTHENTICATE.
                (0x00..=0x03, 0xA4) => by_name_with_answer,
                (0x00, 0x88) => true,
                // GET PROCESSING OPTIONS, GENERATE AC, INITIALIZE UPDATE, GET STATUS.
                (0x80, 0xA8 | 0xAE | 0x50 | 0xF2) => true,
                _ => false,
            }
    });
    if leaves_le_away { Cow::Owned([command, &[0x00]].concat()) } else { Cow::Borrowed(command) }
}

/// PC/SC part 3, 3.2.2.1.3: less asked for than there is names the right length, more ends early.
fn limited(data: &[u8], ne: Option<u32>) -> RApdu {
    let ne = ne.and_then(|ne| usize::try_from(ne).ok()).filter(|ne| *ne != ALL);
    match ne {
        Some(ne) if ne < data.len() => RApdu::sw(Sw::wrong_le(data.len())),
        Some(ne) if ne > data.len() => RApdu { data: data.into(), sw: END_OF_DATA },
        _ => RApdu { data: data.into(), sw: Sw::OK },
    }
}

/// What Le 00 stands for.
const ALL: usize = 256;
const END_OF_DATA: Sw = Sw::new(0x6282);

#[cfg(test)]
mod tests {
    use super::*;

    const UID: [u8; 4] = [0x08, 1, 2, 3];

    fn contactless(command: &[u8]) -> Option<Vec<u8>> {
        answer(Coupling::Contactless, &UID, &[0x80], command)
    }

    #[test]
    fn the_answer_to_reset_has_the_form_of_its_coupling_and_adds_up() {
        assert_eq!(answer_to_reset(Coupling::Contactless, &[]), [0x3B, 0x80, 0x80, 0x01, 0x01]);
        assert!(
            answer_to_reset(Coupling::Contactless, &[0x80, 0x31]).starts_with(&[0x3B, 0x82, 0x80, 0x01, 0x80, 0x31])
        );
        assert_eq!(
            answer_to_reset(Coupling::Contact, &[]),
            [0x3B, 0xE0, 0x00, 0x00, 0x80, 0x31, 0xFE, 0x45, 0xEA],
            "T=0 and T=1, for programs that connect with one of them only"
        );
        for coupling in [Coupling::Contactless, Coupling::Contact] {
            let atr = answer_to_reset(coupling, &[0x55; 40]);
            assert!(atr.len() <= 33 && atr[1] & 0x0F == 15, "{atr:02X?}");
            assert_eq!(atr[1..].iter().fold(0, |sum, byte| sum ^ byte), 0, "{atr:02X?}");
        }
    }

    #[test]
    fn the_number_of_a_contactless_card_is_told_as_pc_sc_wants_it() {
        let told = [&UID[..], &[0x90, 0x00]].concat();
        assert_eq!(contactless(&[0xFF, 0xCA, 0x00, 0x00, 0x00]), Some(told.clone()));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x00, 0x00, 0x04]), Some(told.clone()));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x00, 0x00]), Some(told));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x00, 0x00, 0x02]), Some([0x6C, 0x04].into()));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x00, 0x00, 0x0A]), Some([&UID[..], &[0x62, 0x82]].concat()));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x01, 0x00, 0x00]), Some([0x80, 0x90, 0x00].into()));
    }

    #[test]
    fn a_card_on_contacts_has_no_such_number() {
        let answer = answer(Coupling::Contact, &UID, &[], &[0xFF, 0xCA, 0x00, 0x00, 0x00]);
        assert_eq!(answer, Some([0x6A, 0x81].into()));
    }

    #[test]
    fn other_commands_of_the_class_are_not_the_cards_either() {
        assert_eq!(contactless(&[0xFF, 0x00, 0x40, 0x00]), Some([0x6A, 0x81].into()));
        assert_eq!(contactless(&[0xFF, 0xCA, 0x02, 0x00, 0x00]), Some([0x6A, 0x81].into()));
        assert_eq!(contactless(&[0xFF]), Some([0x67, 0x00].into()));
        assert_eq!(contactless(&[0x00, 0xA4, 0x04, 0x00]), None);
        assert_eq!(contactless(&[]), None);
    }

    #[test]
    fn an_answer_that_is_not_asked_for_is_asked_for() {
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x07][..], &[0xA0, 0, 0, 0, 4, 0x10, 0x10]].concat();
        assert_eq!(*asking(&select), [&select[..], &[0x00]].concat());
        let options = [0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00];
        assert_eq!(*asking(&options), [&options[..], &[0x00]].concat());
        // Asked for already; nothing to come; secured; no command at all.
        let asked = [&options[..], &[0x10]].concat();
        let without_answer = [&[0x00, 0xA4, 0x04, 0x0C, 0x01], &[0xA0][..]].concat();
        let secured = [0x84, 0xF2, 0x80, 0x00, 0x02, 0x4F, 0x00];
        let verify = [0x00, 0x20, 0x00, 0x80, 0x01, 0x24];
        for command in [&asked[..], &without_answer, &secured, &verify, &[0x00, 0xA4, 0x04, 0x00], &[0x80, 0xA8], &[]] {
            assert_eq!(*asking(command), *command);
        }
    }

    #[test]
    fn every_field_sees_another_number() {
        let mut rng = Rng::new(5);
        let (first, second) = (random_uid(&mut rng), random_uid(&mut rng));
        assert_ne!(first, second);
        assert_eq!([first[0], second[0]], [0x08; 2]);
    }
}
