//! `man_in_the_middle`: what a hostile card or a relay does to a payment, in the words of the language.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use band_sim::wire::tlv::Tag;
use schemars::JsonSchema;
use serde::Deserialize;

use super::span::At;
use super::units::{Bytes, DurationExpr, TagName};
use crate::station::middle::{self, Change, Exchange};

/// One thing that a man in the middle does: `{ at: gpo, set: { 9F6C: 00 80 } }`. Changes are made in the order of the fields.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bend {
    /// In which exchange: `ppse`, `select`, `gpo`, `read_record`, `generate_ac` or `any`; `read_record 2` for one of them alone.
    pub at: At<Spot>,
    /// The command that reaches the band instead.
    #[serde(default)]
    pub command: Option<At<Bytes>>,
    /// The answer that reaches the terminal instead, with its status word.
    #[serde(default)]
    pub answer: Option<At<Bytes>>,
    /// New values of data objects, the lengths around them follow; one that was not there is put into the outermost template.
    #[serde(default)]
    pub set: Option<BTreeMap<TagName, At<Bytes>>>,
    /// Data objects whose last bit is flipped.
    #[serde(default)]
    pub flip: Option<Vec<At<TagName>>>,
    /// Data objects that are left out.
    #[serde(default)]
    pub leave_out: Option<Vec<At<TagName>>>,
    /// Data objects that are said twice.
    #[serde(default)]
    pub double: Option<Vec<At<TagName>>>,
    /// Bytes behind the data, before the status word.
    #[serde(default)]
    pub append: Option<At<Bytes>>,
    /// No more than so many bytes of the answer come, the status word among them.
    #[serde(default)]
    pub keep: Option<At<u32>>,
    /// The answer comes so much later.
    #[serde(default)]
    pub late: Option<At<DurationExpr>>,
    /// `true`: the band asks for more time (WTX) for ever.
    #[serde(default)]
    pub endless_wtx: bool,
}

/// `read_record 2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The kind of exchange.
    pub of: Exchange,
    /// Which of them, from 1; `None` each.
    pub nth: Option<u32>,
}

impl FromStr for Spot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = Exchange::ALL.map(|(word, _)| word).join(", ");
        let wrong = || format!("`{text}` is not an exchange; write one of {words}, or `read_record 2` for one alone");
        let (word, nth) = match text.trim().split_once(' ') {
            None => (text.trim(), None),
            Some((word, nth)) => (word, Some(nth.trim().parse().ok().filter(|nth| *nth > 0).ok_or_else(wrong)?)),
        };
        let (_, of) = Exchange::ALL.iter().find(|(known, _)| *known == word).ok_or_else(wrong)?;
        Ok(Self { of: *of, nth })
    }
}

impl Bend {
    /// Whether it changes something at all.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        let changes = self.changes(Duration::ZERO);
        !changes.is_empty()
    }

    /// As the station does it; `late` is how late that is under the settings in force.
    #[must_use]
    pub fn for_station(&self, late: Duration) -> middle::Bend {
        middle::Bend { of: self.at.value.of, nth: self.at.value.nth, changes: self.changes(late) }
    }

    fn changes(&self, late: Duration) -> Vec<Change> {
        let bytes = |bytes: &At<Bytes>| bytes.value.0.clone();
        let tags = |tags: &Option<Vec<At<TagName>>>, change: fn(Tag) -> Change| -> Vec<Change> {
            tags.iter().flatten().map(|tag| change(Tag::new(tag.value.0))).collect()
        };
        let set = self.set.iter().flatten().map(|(tag, value)| Change::Set(Tag::new(tag.0), bytes(value)));
        let mut changes: Vec<Change> = vec![];
        changes.extend(self.command.as_ref().map(|command| Change::Command(bytes(command))));
        changes.extend(self.answer.as_ref().map(|answer| Change::Answer(bytes(answer))));
        changes.extend(set);
        changes.extend(tags(&self.flip, Change::Flip));
        changes.extend(tags(&self.leave_out, Change::LeaveOut));
        changes.extend(tags(&self.double, Change::Double));
        changes.extend(self.append.as_ref().map(|more| Change::Append(bytes(more))));
        let keep = self.keep.as_ref().map(|keep| usize::try_from(keep.value).unwrap_or(usize::MAX));
        changes.extend(keep.map(Change::Keep));
        changes.extend(self.late.as_ref().map(|_| Change::Late(late)));
        changes.extend(self.endless_wtx.then_some(Change::NeverAnswers));
        changes
    }
}
