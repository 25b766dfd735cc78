//! A payment as text: what was sent, what came back, which rule decided what, and the receipt.

use std::time::Duration;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::dol::Dol;
use band_sim::wire::tlv::{self, Tag};
use band_sim::wire::tvr::Tvr;
use band_sim::wire::{hex::Hex, tag};

use super::drive::{Carried, Happened, Moment};
use super::{Place, Told};
use crate::decode;
use crate::mask::Masker;
use crate::report::paint::{Paint, Role};
use crate::report::text::human;
use crate::terminal::io::Outcome;
use crate::terminal::receipt;

/// The whole text, in lines of at most `width` columns, 40 or more.
pub(super) fn rendered(told: &Told<'_>, paint: Paint, width: usize) -> String {
    let (masker, lists) = (told.masker, Lists::default());
    let mut page = Page { paint, width, masker, lists, text: String::new(), exchanges: 0 };
    let (terminal, merchant) = (&told.terminal.name, &told.terminal.merchant.name);
    page.painted(Role::Head, &format!("{} at {terminal}", told.amount));
    let place = match told.place {
        Place::Band(cards) => format!("in the band: {cards}"),
        #[cfg(feature = "pcsc")]
        Place::Reader(name) => format!("the card in the reader {name}; a stand-in for its bank approves unseen"),
    };
    page.painted(Role::Faint, &format!("{merchant}; {place}"));
    for moment in &told.payment.moments {
        page.moment(moment);
    }
    page.ending(told);
    page.text
}

/// Data object lists that the card gave, to name what the terminal fills in.
#[derive(Default)]
struct Lists {
    pdol: Option<Dol>,
    cdol1: Option<Dol>,
}

struct Page<'a> {
    paint: Paint,
    width: usize,
    masker: &'a Masker,
    lists: Lists,
    text: String,
    exchanges: u32,
}

impl Page<'_> {
    /// A line as it is.
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn plain(&mut self, text: &str) {
        self.folded(&[(None, text)]);
    }

    fn painted(&mut self, role: Role, text: &str) {
        self.folded(&[(Some(role), text)]);
    }

    /// Pieces of text, each in its colour, one behind the other. Where the page ends a new line begins, indented a little more.
    fn folded(&mut self, pieces: &[(Option<Role>, &str)]) {
        let margin = pieces.first().map_or(0, |(_, text)| text.len() - text.trim_start().len()) + 2;
        let (mut line, mut column) = (String::new(), 0);
        for &(role, text) in pieces {
            let mut piece = String::new();
            for word in text.split_inclusive(' ') {
                if column > margin && column + word.trim_end().chars().count() > self.width {
                    line += &self.coloured(role, piece.trim_end());
                    self.line(&line);
                    (line, column) = (" ".repeat(margin), margin);
                    piece.clear();
                }
                piece += word;
                column += word.chars().count();
            }
            line += &self.coloured(role, &piece);
        }
        self.line(&line);
    }

    fn coloured(&self, role: Option<Role>, text: &str) -> String {
        match role {
            Some(role) if !text.is_empty() => self.paint.paint(role, text).to_string(),
            _ => text.to_owned(),
        }
    }

    /// A line at the left margin with a time at the right one.
    fn heading(&mut self, text: &str, time: Duration) {
        let time = human(time);
        let room = self.width.saturating_sub(time.chars().count() + 1);
        self.line("");
        self.folded(&[(Some(Role::Head), &format!("{text:<room$} ")), (Some(Role::Faint), &time)]);
    }

    fn moment(&mut self, moment: &Moment) {
        match &moment.what {
            Happened::Exchange { command, carried } => self.exchange(moment.at, command, carried),
            Happened::Lost { command, why } => {
                self.command(moment.at, command);
                self.painted(Role::Bad, &format!("    no answer: {why}"));
            }
            Happened::Note(note) => {
                let step = format!("  » {}", note.step.to_string().replace('_', " "));
                let text = format!(": {}", self.masker.text(&note.text));
                self.folded(&[(Some(Role::Place), &step), (None, &text)]);
            }
            Happened::Online { request, reply, time } => {
                self.heading("  The bank is asked", moment.at);
                self.objects(&request.chip_data, 4);
                let answer = match reply {
                    None => "no answer: it cannot be reached".to_owned(),
                    Some(reply) => {
                        let reason = serde_json::to_value(reply.reason).unwrap_or_default();
                        let reason = reason.as_str().unwrap_or_default().replace('_', " ");
                        format!("answer {} after {}: {reason}", String::from_utf8_lossy(&reply.arc), human(*time))
                    }
                };
                self.plain(&format!("    {answer}"));
            }
            Happened::Pin { typed, time } => {
                self.heading("  The customer is asked for the PIN", moment.at);
                let typed = if *typed { "types one" } else { "types none" };
                self.plain(&format!("    {typed} after {}", human(*time)));
            }
        }
    }

    fn command(&mut self, at: Duration, bytes: &[u8]) {
        self.exchanges += 1;
        let command = CApdu::decode(bytes).ok();
        let summary = command.as_ref().map_or_else(|| "no command".to_owned(), decode::summarize_command);
        self.heading(&format!("{:>2}  {summary}", self.exchanges), at);
        let hex = self.masker.command(bytes);
        self.wrapped('>', &hex);
        if let Some(command) = command {
            self.filled_in(&command);
        }
    }

    fn exchange(&mut self, at: Duration, command: &[u8], carried: &Carried) {
        self.command(at, command);
        let hex = self.masker.answer(command, &carried.answer);
        self.wrapped('<', &hex);
        let Ok(answer) = RApdu::decode(&carried.answer) else {
            return self.painted(Role::Bad, "    not even a status word");
        };
        let role = if answer.sw.is_ok() { Role::Good } else { Role::Bad };
        let time = match carried.parts {
            None => human(carried.time),
            Some(parts) => format!(
                "{}: {} to the card, {} in it, {} back",
                human(carried.time),
                human(parts.to_card),
                human(parts.computing),
                human(parts.to_reader)
            ),
        };
        let answered = format!("    {}   ", answer.sw);
        self.folded(&[(Some(role), &answered), (Some(Role::Faint), &time)]);
        if !decode::is_later_piece(command, &answer.data) {
            self.objects(&answer.data, 4);
            self.remember(&answer.data);
        }
    }

    /// Bytes in hex, in as many lines as they need.
    fn wrapped(&mut self, mark: char, hex: &str) {
        let tokens: Vec<&str> = hex.split(' ').collect();
        // Two digits and a space each, behind a margin of six; more than thirty nobody counts.
        for (at, chunk) in tokens.chunks((self.width.saturating_sub(5) / 3).clamp(1, 30)).enumerate() {
            let mark = if at == 0 { mark } else { ' ' };
            self.painted(Role::Faint, &format!("    {mark} {}", chunk.join(" ")));
        }
    }

    fn objects(&mut self, data: &[u8], indent: usize) {
        let explained = if data.is_empty() { String::new() } else { decode::explain_tlv(data, indent) };
        for line in self.masker.text(&explained).into_owned().lines() {
            self.plain(line);
        }
    }

    /// What the terminal fills into the card's list, by name.
    fn filled_in(&mut self, command: &CApdu) {
        let (list, data) = match command.ins {
            0xA8 => {
                (self.lists.pdol.as_ref(), tlv::find(&command.data, tag::TAG_83_COMMAND_TEMPLATE).unwrap_or_default())
            }
            0xAE => (self.lists.cdol1.as_ref(), command.data.as_slice()),
            _ => return,
        };
        let Some(list) = list.filter(|list| list.total_len() == data.len()) else { return };
        let values: Vec<String> = list.split(data).map(|(tag, value)| named(tag, value)).collect();
        for value in values {
            self.plain(&format!("      {value}"));
        }
    }

    fn remember(&mut self, data: &[u8]) {
        let list = |tag| tlv::find_deep(data, tag).and_then(|list| Dol::decode(list).ok());
        self.lists.pdol = list(tag::TAG_9F38_PDOL).or_else(|| self.lists.pdol.take());
        self.lists.cdol1 = list(tag::TAG_8C_CDOL1).or_else(|| self.lists.cdol1.take());
    }

    fn ending(&mut self, told: &Told<'_>) {
        let (receipt, payment) = (&told.payment.receipt, told.payment);
        let role = match receipt.outcome {
            Outcome::Approved => Role::Good,
            Outcome::Declined | Outcome::EndApplication => Role::Bad,
            _ => Role::Odd,
        };
        self.heading("  The end", payment.time);
        let outcome = format!("    {}", receipt.outcome.to_string().to_uppercase());
        let reason = format!(": {}", self.masker.text(&receipt.reason));
        self.folded(&[(Some(role), &outcome), (None, &reason)]);
        self.plain(&format!("    on the display: {}", receipt.message));
        self.plain(&format!(
            "    terminal verification results (95) {}: {}",
            Hex(receipt.tvr.to_vec()),
            Tvr(receipt.tvr)
        ));
        let (card, whole) = (human(payment.card_time), human(payment.time));
        self.plain(&format!("    the card was needed for {card}, the whole took {whole}"));
        self.line("");
        let lines = receipt.lines();
        let edge = self.paint.paint(Role::Faint, format!("    +{:-<1$}+", "", receipt::COLUMNS + 2)).to_string();
        self.line(&edge);
        for line in lines {
            let line = self.masker.text(&line).into_owned();
            let width = receipt::COLUMNS;
            let bar = self.paint.paint(Role::Faint, "|").to_string();
            self.line(&format!("    {bar} {line:<width$} {bar}"));
        }
        self.line(&edge);
    }
}

/// `9F02 Amount, Authorised (Numeric): 00 00 00 00 04 20`.
pub(super) fn named(tag: Tag, value: &[u8]) -> String {
    let name = tag::info(tag).map_or("(unknown)", |row| row.name);
    format!("{tag} {name}: {}", decode::masked_value(tag, value))
}
