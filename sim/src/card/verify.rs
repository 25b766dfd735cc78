//! VERIFY: the holder's PIN, compared in the card (contact only). A card has one when its personalisation brought it; the bands'
//! own tokens have none.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::command::{require_class, require_p1_p2};
use super::crypto::Block;
use super::registry::Applet;
use super::session::{Interface, Phase, PinVerification};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

/// A PIN in a card. Printed masked, wiped when dropped.
#[derive(Clone)]
pub struct OfflinePin {
    reference: Zeroizing<Block>,
    /// So many wrong tries in a row block it, 1 to 15.
    pub try_limit: u8,
}

impl OfflinePin {
    /// What follows the PIN block in its data grouping, so that it can be enciphered.
    // ISO 9797-1 padding method 2
    const PADDING: &[u8] = &[0x80, 0, 0, 0, 0, 0, 0, 0];

    /// The PIN block of data grouping 8010, and the tries of 9010: how many are left, how many there may be.
    ///
    /// `None` when the block is none of EMV's, or the numbers do not fit.
    // EMV CPS 1.1 for the numbers of the groupings; that two bytes are in 9010 and a padding in 8010 is assumed
    #[must_use]
    pub fn decode(block: &[u8], tries: &[u8]) -> Option<Self> {
        let (reference, padding) = block.split_first_chunk::<8>()?;
        let &[left, try_limit @ 1..=15] = tries else { return None };
        let fits = is_pin_block(reference) && padding == Self::PADDING && left <= try_limit;
        fits.then(|| Self { reference: Zeroizing::new(*reference), try_limit })
    }
}

impl fmt::Debug for OfflinePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfflinePin(masked, {} tries)", self.try_limit)
    }
}

/// `2`, how many digits, 4 to 12 digits, `F` to the end.
// EMV 4.4 B3 table 25
fn is_pin_block(block: &Block) -> bool {
    let nibbles = block.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect::<Vec<u8>>();
    let [0x2, length @ 4..=12, digits @ ..] = nibbles.as_slice() else { return false };
    let (pin, filler) = digits.split_at(usize::from(*length).min(digits.len()));
    pin.iter().all(|digit| *digit < 10) && filler.iter().all(|nibble| *nibble == 0xF)
}

/// VERIFY. How it is made is looked at only by a card that has a PIN: any other does not know the instruction.
#[derive(Clone, Copy, Debug)]
pub struct Verify<'a> {
    command: &'a CApdu,
}

impl<'a> Verify<'a> {
    pub const fn new(command: &'a CApdu) -> Self {
        Self { command }
    }

    /// P1 00, P2 80 plaintext PIN; the data is the PIN block.
    // EMV 4.4 B3 6.5.12.2, 6.5.12.3
    fn pin_block(self) -> Result<&'a Block, Sw> {
        require_class(self.command, 0x00)?;
        require_p1_p2(self.command, 0x00, 0x80)?;
        self.command.data.as_slice().try_into().map_err(|_| Sw::WRONG_LENGTH)
    }
}

/// What issuer and terminal are told of the PIN.
#[derive(Clone, Copy, Debug, Default)]
pub struct PinStatus {
    /// How VERIFY went in this transaction.
    pub verification: PinVerification,
    /// 9F17; `None` where there is no PIN.
    pub tries_left: Option<u8>,
}

impl PinStatus {
    /// Whether there is a PIN that takes no more tries.
    pub const fn is_blocked(self) -> bool {
        matches!(self.tries_left, Some(0))
    }
}

impl Card {
    /// Between GET PROCESSING OPTIONS and the first cryptogram. The try is counted before the PIN is looked at, so that cutting
    /// the power gains none. A block that is no PIN block is a wrong PIN.
    // EMV 4.4 B3 6.5.12, 10.5.1. 6984 says that the PIN was blocked before this transaction: from VIS 1.6 (assumed for all)
    pub(super) fn handle_verify(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: Verify<'_>,
    ) -> Answer {
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.clone().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let pin = payment.offline_pin.as_ref().filter(|_| interface == Interface::Contact);
        let pin = pin.ok_or(Sw::INS_NOT_SUPPORTED)?;
        let sent = command.pin_block()?;
        if !matches!(phase, Phase::Initiated(_)) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let Some(tries_left) = applet.pin_tries_left.checked_sub(1) else {
            return Err(match self.session(interface).pin {
                PinVerification::Failed => Sw::AUTHENTICATION_BLOCKED,
                PinVerification::NotPerformed | PinVerification::Passed => Sw::REFERENCED_DATA_INVALIDATED,
            });
        };
        self.registry.commit_pin_tries(&mut self.nvm, slot, tries_left)?;
        if !super::crypto::equal(sent, &*pin.reference) {
            self.session_mut(interface).pin = PinVerification::Failed;
            return Err(Sw::tries_left(tries_left));
        }
        self.registry.commit_pin_tries(&mut self.nvm, slot, pin.try_limit)?;
        self.session_mut(interface).pin = PinVerification::Passed;
        Ok(RApdu::sw(Sw::OK))
    }

    /// In the field there is no PIN.
    pub(super) fn pin_status(&self, interface: Interface, slot: u8) -> PinStatus {
        let has_pin = |applet: &&Applet| applet.payment.as_ref().is_some_and(|payment| payment.offline_pin.is_some());
        match self.registry.applet(slot).filter(has_pin) {
            Some(applet) if interface == Interface::Contact => {
                PinStatus { verification: self.session(interface).pin, tries_left: Some(applet.pin_tries_left) }
            }
            _ => PinStatus::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::*;
    use super::super::ins;
    use super::*;
    use crate::wire::{tag, tlv};

    const CONTACT: Interface = Interface::Contact;
    const WRONG: Block = [0x24, 0x12, 0x35, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

    fn card_with_pin(tries: [u8; 2]) -> Card {
        signing(&Personalisation { signs: true, cvn: 0x14, pin_tries: Some(tries), ..Personalisation::default() })
    }

    /// A transaction begins on contacts.
    fn begun(mut card: Card) -> Card {
        card.reset(CONTACT);
        assert_eq!(select(&mut card, CONTACT, &instance(1)).sw, Sw::OK);
        assert_eq!(card.handle(CONTACT, &processing_options()).sw, Sw::OK);
        card
    }

    fn with(data: &[u8]) -> CApdu {
        CApdu::new(0x00, 0x20, 0x00, 0x80).with_data(data)
    }

    fn verify(card: &mut Card, pin: Block) -> u16 {
        card.handle(CONTACT, &with(&pin)).sw.value()
    }

    /// 9F17.
    fn tries_left(card: &mut Card) -> Option<u8> {
        let answer = card.handle(CONTACT, &CApdu::new(0x80, 0xCA, 0x9F, 0x17).with_ne(256));
        tlv::find(&answer.data, tag::TAG_9F17_PIN_TRY_COUNTER).map(|value| value[0])
    }

    /// Bytes 1 to 4 of the card verification results of a declined transaction.
    fn results(card: &mut Card) -> [u8; 4] {
        let answer = card.handle(CONTACT, &Purchase::default().generate_ac(0x00));
        let data = tlv::find_deep(&answer.data, tag::TAG_9F10_IAD).unwrap();
        data[2..6].try_into().unwrap()
    }

    #[test]
    fn a_right_pin_is_taken_and_gives_back_the_tries() {
        let mut card = begun(card_with_pin([2, 3]));
        assert_eq!(tries_left(&mut card), Some(2));
        assert_eq!(verify(&mut card, WRONG), 0x63C1);
        assert_eq!(tries_left(&mut card), Some(1));
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x9000);
        assert_eq!(tries_left(&mut card), Some(3));
        // Performed and successful; three tries; domestic.
        assert_eq!(results(&mut card), [0x85, 0x00, 0x03, 0x02]);
        // The next transaction knows nothing of it.
        assert_eq!(results(&mut begun(card)), [0x80, 0x00, 0x03, 0x22]);
    }

    #[test]
    fn a_wrong_pin_shows_in_the_results_of_the_card() {
        let mut card = begun(card_with_pin([3, 3]));
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x9000);
        assert_eq!(verify(&mut card, WRONG), 0x63C2);
        assert_eq!(results(&mut card), [0x84, 0x00, 0x02, 0x12]);
    }

    #[test]
    fn the_last_wrong_pin_blocks_it_until_the_issuer_unblocks_it() {
        let mut card = begun(card_with_pin([3, 3]));
        assert_eq!([(); 5].map(|()| verify(&mut card, WRONG)), [0x63C2, 0x63C1, 0x63C0, 0x6983, 0x6983]);
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x6983);
        assert_eq!(results(&mut card), [0x84, 0x00, 0x00, 0x1A]);
        card.power_off();
        card.power_on();
        let mut card = begun(card);
        assert_eq!((tries_left(&mut card), verify(&mut card, PIN_BLOCK)), (Some(0), 0x6984));
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x6984);
        assert_eq!(results(&mut card), [0x80, 0x00, 0x00, 0x2A]);

        let cryptogram = card.session(CONTACT).script_cryptogram.unwrap();
        let header = [0x84, ins::PIN_CHANGE_UNBLOCK, 0x00, 0x00, 0x08];
        let keys = &card.registry.applets[0];
        let mac = keys.payment.as_ref().unwrap().risk.cvn.script_mac(
            &crate::card::crypto::TdesKey::new(*b"ICC master key 2"),
            header,
            keys.counters.atc,
            cryptogram,
        );
        let script = CApdu::new(0x84, ins::PIN_CHANGE_UNBLOCK, 0x00, 0x00).with_data(mac);
        let change = CApdu { p2: 0x02, ..script.clone() };
        assert_eq!(card.handle(CONTACT, &change).sw, Sw::INCORRECT_P1_P2);
        assert_eq!(card.handle(CONTACT, &script).sw, Sw::OK);
        let mut card = begun(card);
        assert_eq!((tries_left(&mut card), verify(&mut card, PIN_BLOCK)), (Some(3), 0x9000));
    }

    #[test]
    fn only_a_plaintext_pin_within_a_transaction_is_compared() {
        let mut card = card_with_pin([3, 3]);
        select(&mut card, CONTACT, &instance(1));
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x6985);
        let mut card = begun(card);
        let before = card.nvm_digest();
        for (command, sw) in [
            (CApdu { cla: 0x80, ..with(&PIN_BLOCK) }, Sw::CLA_NOT_SUPPORTED),
            (CApdu { p1: 0x01, ..with(&PIN_BLOCK) }, Sw::INCORRECT_P1_P2),
            (CApdu { p2: 0x00, ..with(&PIN_BLOCK) }, Sw::INCORRECT_P1_P2),
            // Enciphered.
            (CApdu { p2: 0x88, ..with(&PIN_BLOCK) }, Sw::INCORRECT_P1_P2),
            (with(&[]), Sw::WRONG_LENGTH),
            (with(&PIN_BLOCK[..7]), Sw::WRONG_LENGTH),
            (with(&[&PIN_BLOCK[..], &[0xFF]].concat()), Sw::WRONG_LENGTH),
        ] {
            assert_eq!(card.handle(CONTACT, &command).sw, sw, "{command:02X?}");
        }
        results(&mut card);
        assert_eq!(verify(&mut card, PIN_BLOCK), 0x6985);
        assert_eq!(card.nvm_digest(), before);
    }

    #[test]
    fn in_the_field_there_is_no_pin() {
        let mut card = card_with_pin([3, 3]);
        select(&mut card, Interface::Contactless, &instance(1));
        card.handle(Interface::Contactless, &processing_options());
        assert_eq!(card.handle(Interface::Contactless, &with(&PIN_BLOCK)).sw, Sw::INS_NOT_SUPPORTED);
        let counter = CApdu::new(0x80, 0xCA, 0x9F, 0x17).with_ne(256);
        assert_eq!(card.handle(Interface::Contactless, &counter).sw, Sw::REFERENCED_DATA_NOT_FOUND);
    }

    #[test]
    fn a_card_without_a_pin_does_not_know_the_instruction_however_it_is_made() {
        let mut card = begun(signing(&Personalisation { signs: true, cvn: 0x14, ..Personalisation::default() }));
        for command in [with(&PIN_BLOCK), with(&[]), CApdu { p2: 0, ..with(&PIN_BLOCK) }] {
            assert_eq!(card.handle(CONTACT, &command).sw, Sw::INS_NOT_SUPPORTED);
        }
        assert_eq!(tries_left(&mut card), None);
    }

    #[test]
    fn a_try_is_counted_before_the_pin_is_looked_at_wherever_power_is_cut() {
        let fresh = begun(card_with_pin([3, 3]));
        let writes_of = |pin| {
            let mut card = fresh.clone();
            verify(&mut card, pin);
            card.nvm_writes() - fresh.nvm_writes()
        };
        let (wrong, right) = (writes_of(WRONG), writes_of(PIN_BLOCK));
        for nth in 1..=right {
            let cut = |pin| {
                let mut card = fresh.clone();
                card.cut_power_at_write(Some(nth));
                assert!(verify(&mut card, pin) == 0x6F00 || nth > wrong);
                let torn = card.nvm_digest();
                card.power_on();
                (torn, tries_left(&mut begun(card)).unwrap())
            };
            let (of_right, of_wrong) = (cut(PIN_BLOCK), cut(WRONG));
            if nth <= wrong {
                // Nothing tells one from the other.
                assert_eq!(of_right, of_wrong, "write {nth}");
            }
            assert!((2..=3).contains(&of_right.1), "write {nth}");
        }
        assert!(right > wrong);
    }

    #[test]
    fn cutting_the_power_gains_no_try() {
        let mut card = begun(card_with_pin([3, 3]));
        let mut answers = 0;
        for nth in (1..=4).cycle().take(40) {
            card.cut_power_at_write(Some(nth));
            let sw = verify(&mut card, WRONG);
            answers += usize::from(sw >> 4 == 0x63C);
            card.power_off();
            card.power_on();
            card = begun(card);
        }
        assert!(answers <= 3, "{answers} wrong PINs were judged");
    }

    #[test]
    fn a_pin_block_has_four_to_twelve_digits_and_is_filled_up() {
        let is = |text: u64| is_pin_block(&text.to_be_bytes());
        for good in [0x2412_34FF_FFFF_FFFF, 0x2512_345F_FFFF_FFFF, 0x2C12_3456_7890_12FF] {
            assert!(is(good), "{good:016X}");
        }
        for bad in [
            0x1412_34FF_FFFF_FFFF,
            0x2312_3FFF_FFFF_FFFF,
            0x2D12_3456_7890_123F,
            0x2412_3AFF_FFFF_FFFF,
            0x2412_345F_FFFF_FFFF,
            0x2412_34FF_FFFF_FFF0,
        ] {
            assert!(!is(bad), "{bad:016X}");
        }
    }

    #[test]
    fn a_pin_and_its_tries_fit_or_make_none() {
        let block = [0x24, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0];
        let pin = OfflinePin::decode(&block, &[2, 3]).unwrap();
        assert_eq!(alloc::format!("{pin:?}"), "OfflinePin(masked, 3 tries)");
        for tries in [&[][..], &[3], &[0, 0], &[4, 3], &[16, 16], &[3, 3, 3]] {
            assert!(OfflinePin::decode(&block, tries).is_none(), "{tries:?}");
        }
        for length in [0, 8, 15] {
            assert!(OfflinePin::decode(&block[..length], &[3, 3]).is_none(), "{length}");
        }
        assert!(OfflinePin::decode(&[&block[..8], &[0; 8]].concat(), &[3, 3]).is_none());
    }
}
