//! GET PROCESSING OPTIONS: what the card wants to know, and its answer: what it can do (AIP) and where its data lie (AFL).

use band_sim::wire::aip;
use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::sw::Sw;
use band_sim::wire::tlv::{self, Tag};
use band_sim::wire::tvr::Finding;
use band_sim::wire::{hex::Hex, tag};

use super::entry_point::elsewhere;
use super::io::{Outcome, Step};
use super::transaction::{Decision, Kernel, Next, Pending, Secret, Stop, Transaction};
use super::{kernel2, read_records};

/// The longest PDOL values that fit into a short command with their template around them.
const MAX_PDOL_BYTES: usize = 252;

/// GET PROCESSING OPTIONS with the values the PDOL asks for.
pub(super) fn command(transaction: &mut Transaction) -> Decision<Next> {
    let pdol = transaction.application.pdol.clone().unwrap_or_default();
    if pdol.total_len() > MAX_PDOL_BYTES {
        return Err(Stop::card_error(format!(
            "the PDOL asks for {} bytes, more than a command holds",
            pdol.total_len()
        )));
    }
    let values = pdol.fill(|tag| transaction.value(tag));
    if transaction.explains {
        let tags: Vec<String> = pdol.entries().map(|(tag, _)| tag.to_string()).collect();
        let asked = if tags.is_empty() { "nothing".into() } else { tags.join(" ") };
        transaction.note(Step::Gpo, format_args!("the card asks for {asked}"));
    }
    // EMV 4.4 B3 6.5.8.3
    let data = tlv::Writer::new().put(tag::TAG_83_COMMAND_TEMPLATE, &values).finish();
    transaction.application.pdol_values = Secret(values);
    Ok(Next::Send(Pending::Gpo, CApdu::new(0x80, 0xA8, 0x00, 0x00).with_data(data).with_ne(256)))
}

/// Takes the answer and goes on to the records.
pub(super) fn handle(transaction: &mut Transaction, answer: &RApdu) -> Decision<Next> {
    let kernel = transaction.application.kernel;
    check_status_word(transaction, answer.sw)?;
    store(transaction, &answer.data).map_err(Stop::card_error)?;
    let card = &transaction.application.card;
    let Some([first, second]) = card.array::<2>(tag::TAG_82_AIP) else {
        return Err(Stop::card_error("the card gave no application interchange profile"));
    };
    let afl = card.value(tag::TAG_94_AFL).unwrap_or_default().to_vec();
    if transaction.explains {
        transaction.note(Step::Gpo, format_args!("AIP {first:02X} {second:02X}: {}", in_words([first, second])));
    }
    if kernel == Kernel::Kernel2 {
        // C-2 S3.10 and S3.12
        if afl.is_empty() {
            return Err(Stop::card_error("the card gave no application file locator"));
        }
        if second & 0x80 == 0 {
            return Err(Stop::card_error("the card has no EMV mode, and this terminal no mag-stripe mode"));
        }
        // C-2 7.3: this terminal has no relay resistance protocol.
        transaction.application.tvr.set(Finding::RELAY_NOT_PERFORMED);
        kernel2::choose_contactless_limit(transaction)?;
    }
    read_records::begin(transaction, &afl)
}

fn check_status_word(transaction: &Transaction, sw: Sw) -> Decision<()> {
    let kernel = transaction.application.kernel;
    match (kernel, sw) {
        (_, Sw::OK) => Ok(()),
        // C-2 S3.8, C-3 5.2.2.2
        (_, Sw::CONDITIONS_NOT_SATISFIED) => Err(Stop::select_next(format!("GET PROCESSING OPTIONS: {sw}"))),
        (Kernel::Kernel3, Sw::REFERENCED_DATA_INVALIDATED) => {
            Err(Stop::end(elsewhere(&transaction.config), format!("GET PROCESSING OPTIONS: {sw}")))
        }
        // The device wants its holder first ("see phone"). That kernel 3 takes 6986 for this is `assumed` (facts/emv.md 2).
        (Kernel::Kernel3, Sw::NO_CURRENT_EF) => {
            Err(Stop::end(Outcome::PresentAgain, "the device wants its holder first (6986)"))
        }
        _ => Err(Stop::card_error(format!("GET PROCESSING OPTIONS: {sw}"))),
    }
}

/// Both formats of the answer (EMV 4.4 B3 6.5.8.4). Kernel 3 knows only the second.
fn store(transaction: &mut Transaction, data: &[u8]) -> Result<(), String> {
    let kernel = transaction.application.kernel;
    let card = &mut transaction.application.card;
    match only_object(data)? {
        (tag::TAG_80_RESPONSE_TEMPLATE_1, value) if kernel == Kernel::Kernel2 => {
            let Some((aip, afl)) = value.split_at_checked(2) else { return Err("80 is shorter than an AIP".into()) };
            card.store(tag::TAG_82_AIP, aip, kernel)?;
            card.store(tag::TAG_94_AFL, afl, kernel)
        }
        (tag::TAG_77_RESPONSE_TEMPLATE_2, value) => card.store_template(value, kernel),
        (other, _) => Err(format!("the answer is a {other}, not a response template")),
    }
}

/// The one data object that makes up an answer.
pub(super) fn only_object(data: &[u8]) -> Result<(Tag, &[u8]), String> {
    let mut objects = tlv::walk(data);
    let object = objects.next().ok_or("the answer is empty")?.map_err(|error| format!("malformed answer: {error}"))?;
    match objects.next() {
        None => Ok((object.tag, object.value)),
        Some(_) => Err(format!("something follows {}", Hex(tag_bytes(object.tag)))),
    }
}

fn tag_bytes(tag: Tag) -> Vec<u8> {
    let mut bytes = Vec::new();
    tag.encode_into(&mut bytes);
    bytes
}

fn in_words(profile: [u8; 2]) -> String {
    let words: Vec<&str> = aip::words(&profile).collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}
