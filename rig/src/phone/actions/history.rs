//! A card's history as its own log has it (R4).
//!
//! EMV 4.4 B3 Annex D: the FCI names the file and the number of records (9F4D), GET DATA gives their format (9F4F), READ RECORD
//! gives them, newest first, as values without tags.

use band_sim::wire::apdu::CApdu;
use band_sim::wire::dol::Dol;
use band_sim::wire::tag::{
    TAG_5F2A_TRANSACTION_CURRENCY_CODE, TAG_9A_TRANSACTION_DATE, TAG_9F02_AMOUNT_AUTHORISED, TAG_9F4D_LOG_ENTRY,
    TAG_9F4F_LOG_FORMAT, TAG_9F21_TRANSACTION_TIME, TAG_9F27_CID, TAG_9F36_ATC,
};
use band_sim::wire::tlv::{find, find_deep};

use crate::cloud::api::{CardId, Refusal};

use crate::phone::app::App;
use crate::phone::connection::{Ensure, Need};
use crate::phone::io::{LogEntry, Shown};
use crate::phone::nfc_channel::Channel;
use crate::phone::script::Transmit;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// R4: only the last ten are shown.
const MAX_ENTRIES: u8 = 10;
const SW_OK: u16 = 0x9000;
const SW_RECORD_NOT_FOUND: u16 = 0x6A83;

/// Reads the log of one card.
#[derive(Clone, Debug)]
pub(in crate::phone) struct History {
    card: CardId,
    sfi: u8,
    records: u8,
    format: Dol,
    entries: Vec<LogEntry>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Agreeing,
    Opening,
    Selecting,
    ReadingFormat,
    ReadingRecord,
}

impl History {
    pub(in crate::phone) fn new(card: CardId) -> Self {
        Self { card, sfi: 0, records: 0, format: Dol::default(), entries: Vec::new(), stage: Stage::Beginning }
    }

    fn agreed(&mut self, app: &App) -> Result<Step, Refusal> {
        if !app.card(&self.card)?.history {
            return Err(Refusal::NotConfirmed);
        }
        if app.link.channel_open {
            return self.select(app);
        }
        self.stage = Stage::Opening;
        call(Channel::Open)
    }

    fn select(&mut self, app: &App) -> Result<Step, Refusal> {
        self.stage = Stage::Selecting;
        let aid = app.card(&self.card)?.instance_aid.clone();
        transmit(&CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(aid).with_ne(256))
    }

    fn selected(&mut self, fci: &[u8]) -> Result<Step, Refusal> {
        // A card that names no log keeps none.
        let Some(&[sfi, records]) = find_deep(fci, TAG_9F4D_LOG_ENTRY) else { return self.show() };
        (self.sfi, self.records) = (sfi, records.min(MAX_ENTRIES));
        self.stage = Stage::ReadingFormat;
        transmit(&CApdu::new(0x80, 0xCA, 0x9F, 0x4F).with_ne(256))
    }

    fn read_next(&mut self) -> Result<Step, Refusal> {
        let read = u8::try_from(self.entries.len()).unwrap_or(u8::MAX);
        if read >= self.records {
            return self.show();
        }
        self.stage = Stage::ReadingRecord;
        transmit(&CApdu::new(0x00, 0xB2, read + 1, self.sfi << 3 | 0x04).with_ne(256))
    }

    fn show(&mut self) -> Result<Step, Refusal> {
        done(Value::Shown(Shown::History { entries: std::mem::take(&mut self.entries) }))
    }
}

impl Resume for History {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                app.may_use_cards()?;
                self.stage = Stage::Agreeing;
                call(Ensure::new(Need::Agreed))
            }
            Stage::Agreeing => {
                wake.value()?;
                self.agreed(app)
            }
            Stage::Opening => {
                wake.value()?;
                self.select(app)
            }
            Stage::Selecting => self.selected(&accepted(wake)?),
            Stage::ReadingFormat => {
                let answer = accepted(wake)?;
                let format = find(&answer, TAG_9F4F_LOG_FORMAT).and_then(|format| Dol::decode(format).ok());
                self.format = format.ok_or(Refusal::UnexpectedStatusWord)?;
                self.read_next()
            }
            Stage::ReadingRecord => match wake.answer()? {
                (record, SW_OK) => {
                    self.entries.push(log_entry(&self.format, &record));
                    self.read_next()
                }
                (_, SW_RECORD_NOT_FOUND) => self.show(),
                _ => Err(Refusal::UnexpectedStatusWord),
            },
        }
    }
}

fn transmit(command: &CApdu) -> Result<Step, Refusal> {
    call(Transmit::new(command.encode()))
}

fn accepted(wake: Wake) -> Result<Vec<u8>, Refusal> {
    match wake.answer()? {
        (data, SW_OK) => Ok(data),
        _ => Err(Refusal::UnexpectedStatusWord),
    }
}

/// What a record says of the fields the app shows; zeros for what it does not say.
fn log_entry(format: &Dol, record: &[u8]) -> LogEntry {
    let mut entry = LogEntry { amount_minor: 0, currency: 0, date: [0; 3], time: [0; 3], atc: 0, cid: 0 };
    for (tag, value) in format.split(record) {
        match tag {
            TAG_9F02_AMOUNT_AUTHORISED => entry.amount_minor = bcd(value),
            TAG_5F2A_TRANSACTION_CURRENCY_CODE => entry.currency = u16::try_from(bcd(value)).unwrap_or(0),
            TAG_9A_TRANSACTION_DATE => entry.date = value.try_into().unwrap_or_default(),
            TAG_9F21_TRANSACTION_TIME => entry.time = value.try_into().unwrap_or_default(),
            TAG_9F36_ATC => entry.atc = value.try_into().map_or(0, u16::from_be_bytes),
            TAG_9F27_CID => entry.cid = value.first().copied().unwrap_or_default(),
            _ => {}
        }
    }
    entry
}

/// A number in format n; digits past what fits are lost, bytes that are no digits count as they are.
fn bcd(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number: u64, byte| {
        let two_digits = u64::from(byte >> 4) * 10 + u64::from(byte & 0x0F);
        number.wrapping_mul(100).wrapping_add(two_digits)
    })
}
