//! Reading the application's records: the file locator is checked, each record parsed, and what a payment cannot do without
//! must be there afterwards (EMV 4.4 B3 10.2, EMV Contactless C-2 S4).

use std::collections::VecDeque;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::{tag, tlv};

use super::io::Step;
use super::transaction::{Application, Decision, Kernel, Next, Pending, Stop, Transaction};
use super::{kernel2, kernel3};

/// At most this many records of one application are read. Real cards have fewer than ten.
const MAX_RECORDS: usize = 64;
/// At most this many bytes of records are authenticated (C-2 4.5.2 and its limit of 2048 bytes).
const MAX_SIGNED_BYTES: usize = 2048;

/// A record to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Short file identifier, 1 to 30.
    sfi: u8,
    /// Record number, 1 to 255.
    number: u8,
    /// The card's certificate signs it.
    signed: bool,
}

/// Plans the reading, and reads the first record.
pub(super) fn begin(transaction: &mut Transaction, afl: &[u8]) -> Decision<Next> {
    let records =
        records(afl).map_err(|error| Stop::card_error(format!("the application file locator is wrong: {error}")))?;
    let signed = records.iter().filter(|record| record.signed).count();
    transaction.note(Step::ReadRecords, format_args!("{} records, {signed} of them signed", records.len()));
    transaction.application.records = records;
    read_next(transaction)
}

/// Takes one record, and reads the next or goes on to the decisions.
pub(super) fn handle(transaction: &mut Transaction, answer: &RApdu) -> Decision<Next> {
    let Some(record) = transaction.application.records.pop_front() else {
        return Err(Stop::card_error("a record came that nobody asked for"));
    };
    if !answer.sw.is_ok() {
        return Err(Stop::card_error(format!("record {} of file {}: {}", record.number, record.sfi, answer.sw)));
    }
    store(&mut transaction.application, record, &answer.data)
        .map_err(|error| Stop::card_error(format!("record {} of file {}: {error}", record.number, record.sfi)))?;
    read_next(transaction)
}

fn read_next(transaction: &mut Transaction) -> Decision<Next> {
    let Some(record) = transaction.application.records.front() else {
        return match transaction.application.kernel {
            Kernel::Kernel2 => kernel2::decide(transaction),
            Kernel::Kernel3 => kernel3::decide(transaction),
        };
    };
    // EMV 4.4 B3 6.5.11.2: P2 b3 says that P1 is a record number.
    let command = CApdu::new(0x00, 0xB2, record.number, record.sfi << 3 | 0x04).with_ne(256);
    Ok(Next::Send(Pending::Record, command))
}

/// The records that an application file locator names, in order (EMV 4.4 B3 10.2).
fn records(afl: &[u8]) -> Result<VecDeque<Record>, String> {
    let mut records = VecDeque::new();
    let (entries, rest) = afl.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are no whole entries", afl.len()));
    }
    for &[file, first, last, signed] in entries {
        let sfi = file >> 3;
        if file & 0x07 != 0 || !(1..=30).contains(&sfi) {
            return Err(format!("{file:02X} is no short file identifier"));
        }
        if first == 0 || last < first {
            return Err(format!("records {first} to {last} of file {sfi}"));
        }
        if signed > last - first + 1 {
            return Err(format!("{signed} of {} records of file {sfi} are signed", last - first + 1));
        }
        let of_file = (first..=last).map(|number| Record { sfi, number, signed: number - first < signed });
        records.extend(of_file.take(MAX_RECORDS + 1));
        if records.len() > MAX_RECORDS {
            return Err(format!("more than {MAX_RECORDS} records"));
        }
    }
    Ok(records)
}

fn store(application: &mut Application, record: Record, data: &[u8]) -> Result<(), String> {
    let template = template(data);
    // EMV 4.4 B3 10.3: of files 1 to 10 the content of 70 is signed, of the others the whole record.
    let is_emv_file = record.sfi <= 10;
    if record.signed {
        let signed = &mut application.signed;
        match (template, is_emv_file) {
            (Some(content), true) => signed.bytes.0.extend_from_slice(content),
            (Some(_), false) => signed.bytes.0.extend_from_slice(data),
            (None, _) => {
                signed.unfit = Some(format!("record {} of file {} is no template 70", record.number, record.sfi))
            }
        }
        if signed.bytes.0.len() > MAX_SIGNED_BYTES {
            signed.unfit = Some(format!("more than {MAX_SIGNED_BYTES} bytes of records are signed"));
        }
    }
    match template {
        Some(content) if is_emv_file => application.card.store_template(content, application.kernel),
        None if is_emv_file => Err("no template 70".into()),
        // Files 11 to 30 are proprietary: a terminal does not interpret them.
        _ => Ok(()),
    }
}

/// The content of the one template 70 that makes up a record.
fn template(data: &[u8]) -> Option<&[u8]> {
    let mut objects = tlv::walk(data);
    let object = objects.next()?.ok()?;
    (object.tag == tag::TAG_70_RECORD_TEMPLATE && objects.next().is_none()).then_some(object.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_locator_names_records_in_order_and_the_signed_ones_come_first() {
        let records = records(&[0x08, 1, 3, 2, 0x18, 5, 5, 0]).unwrap();
        let names: Vec<_> = records.iter().map(|record| (record.sfi, record.number, record.signed)).collect();
        assert_eq!(names, [(1, 1, true), (1, 2, true), (1, 3, false), (3, 5, false)]);
    }

    #[test]
    fn a_file_locator_out_of_range_is_refused() {
        for wrong in [
            &[0x08, 1, 1][..],
            &[0x00, 1, 1, 0],
            &[0xF8, 1, 1, 0],
            &[0x09, 1, 1, 0],
            &[0x08, 0, 1, 0],
            &[0x08, 2, 1, 0],
            &[0x08, 1, 1, 2],
            &[0x08, 1, 0xFF, 0],
            &[0x08, 1, 40, 0, 0x10, 1, 40, 0],
        ] {
            assert!(records(wrong).is_err(), "{wrong:02X?}");
        }
        assert!(records(&[0x08, 0xFF, 0xFF, 1]).is_ok());
    }

    #[test]
    fn of_a_proprietary_file_the_whole_record_is_signed_and_nothing_is_read() {
        let mut application = Application::default();
        let record = [0x70, 0x03, 0x9F, 0x36, 0x00];
        store(&mut application, Record { sfi: 11, number: 1, signed: true }, &record).unwrap();
        assert_eq!(application.signed.bytes.0, record);
        store(&mut application, Record { sfi: 10, number: 1, signed: true }, &record).unwrap();
        assert_eq!(application.signed.bytes.0, [&record[..], &record[2..]].concat());
    }

    #[test]
    fn a_record_without_its_template_is_refused() {
        let emv = Record { sfi: 1, number: 1, signed: false };
        for wrong in [&[][..], &[0x70], &[0x70, 0x02, 0x5A], &[0x70, 0x00, 0x70, 0x00], &[0x77, 0x00]] {
            assert!(store(&mut Application::default(), emv, wrong).is_err(), "{wrong:02X?}");
        }
    }
}
