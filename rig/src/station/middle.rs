//! A man in the middle: rewrites what terminal and band tell each other, as a hostile card or a relay would.

use std::time::Duration;

use band_sim::wire::tlv::{self, Tag, Writer};

/// One thing he does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bend {
    /// In which exchanges.
    pub of: Exchange,
    /// In which of them alone, from 1; `None` in each.
    pub nth: Option<u32>,
    /// What he changes, in this order.
    pub changes: Vec<Change>,
}

/// An exchange by its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exchange {
    /// SELECT of the directory.
    Ppse,
    /// SELECT of an application.
    Select,
    /// GET PROCESSING OPTIONS.
    Gpo,
    /// READ RECORD.
    ReadRecord,
    /// GENERATE AC.
    GenerateAc,
    /// Whatever the command.
    Any,
}

impl Exchange {
    /// All of them, by the word of the language.
    pub const ALL: [(&'static str, Self); 6] = [
        ("ppse", Self::Ppse),
        ("select", Self::Select),
        ("gpo", Self::Gpo),
        ("read_record", Self::ReadRecord),
        ("generate_ac", Self::GenerateAc),
        ("any", Self::Any),
    ];

    fn is(self, command: &[u8]) -> bool {
        let of_directory = command.get(5..).is_some_and(|name| name.starts_with(b"2PAY"));
        match (self, command.get(1)) {
            (Self::Any, _) => true,
            (Self::Ppse, Some(0xA4)) => of_directory,
            (Self::Select, Some(0xA4)) => !of_directory,
            (Self::Gpo, Some(0xA8)) | (Self::ReadRecord, Some(0xB2)) | (Self::GenerateAc, Some(0xAE)) => true,
            _ => false,
        }
    }
}

/// What he changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another command reaches the band.
    Command(Vec<u8>),
    /// Another answer reaches the terminal.
    Answer(Vec<u8>),
    /// An object has another value; one that was not there is put into the outermost template.
    Set(Tag, Vec<u8>),
    /// The last bit of an object is flipped.
    Flip(Tag),
    /// An object is left out.
    LeaveOut(Tag),
    /// An object is said twice.
    Double(Tag),
    /// Bytes stand behind the data.
    Append(Vec<u8>),
    /// No more than so many bytes of the answer come.
    Keep(usize),
    /// The answer comes so much later.
    Late(Duration),
    /// The band asks for more time for ever.
    NeverAnswers,
}

/// The man at work in one payment.
#[derive(Clone, Debug, Default)]
pub struct Middle {
    bends: Vec<Bend>,
    /// For each bend, how many exchanges of its kind there were.
    seen: Vec<u32>,
    /// For each bend, whether it changed something.
    struck: Vec<bool>,
    /// Those that are in force in the exchange under way.
    now: Vec<usize>,
}

/// An answer as the terminal gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bent {
    /// Its bytes.
    pub answer: Vec<u8>,
    /// How much later it comes; `None` never.
    pub late: Option<Duration>,
    /// Whether it is another one than the band gave.
    pub changed: bool,
}

impl Middle {
    /// A man who does these things.
    #[must_use]
    pub fn new(bends: Vec<Bend>) -> Self {
        Self { seen: vec![0; bends.len()], struck: vec![false; bends.len()], now: vec![], bends }
    }

    /// The command that reaches the band.
    pub fn command(&mut self, command: Vec<u8>) -> Vec<u8> {
        self.now.clear();
        let mut other = None;
        let states = self.seen.iter_mut().zip(&mut self.struck);
        for (at, (bend, (seen, struck))) in self.bends.iter().zip(states).enumerate() {
            if !bend.of.is(&command) {
                continue;
            }
            *seen += 1;
            if bend.nth.is_some_and(|nth| nth != *seen) {
                continue;
            }
            self.now.push(at);
            for change in &bend.changes {
                if let Change::Command(sent) = change {
                    other = Some(sent.clone());
                    *struck = true;
                }
            }
        }
        other.unwrap_or(command)
    }

    /// The answer that reaches the terminal.
    pub fn answer(&mut self, answer: Vec<u8>) -> Bent {
        let mut bent = Bent { answer, late: Some(Duration::ZERO), changed: false };
        for at in &self.now {
            let Some(bend) = self.bends.get(*at) else { continue };
            for change in &bend.changes {
                let changed = change.bend(&mut bent);
                bent.changed |= changed;
                if let Some(struck) = self.struck.get_mut(*at) {
                    *struck |= changed;
                }
            }
        }
        bent
    }

    /// The first thing he found no occasion for, counted from 0.
    #[must_use]
    pub fn idle(&self) -> Option<usize> {
        self.struck.iter().position(|struck| !struck)
    }
}

impl Change {
    /// Whether it had an effect on the answer.
    fn bend(&self, bent: &mut Bent) -> bool {
        let (data, sw) = bent.answer.split_at(bent.answer.len().saturating_sub(2));
        let rewritten = |data: Option<Vec<u8>>| data.map(|data| [data.as_slice(), sw].concat());
        let object = |tag: Tag, how: &dyn Fn(&[u8]) -> Vec<Vec<u8>>| rewritten(rewrite(data, tag, MOST_TEMPLATES, how));
        let answer = match self {
            Self::Command(_) => return false,
            Self::Answer(answer) => Some(answer.clone()),
            Self::Set(tag, value) => {
                object(*tag, &|_| vec![value.clone()]).or_else(|| rewritten(insert(data, *tag, value)))
            }
            Self::Flip(tag) => object(*tag, &|value| vec![flipped(value)]),
            Self::LeaveOut(tag) => object(*tag, &|_| vec![]),
            Self::Double(tag) => object(*tag, &|value| vec![value.to_vec(); 2]),
            Self::Append(bytes) => Some([data, bytes.as_slice(), sw].concat()),
            Self::Keep(bytes) => bent.answer.get(..*bytes).map(<[u8]>::to_vec),
            Self::Late(time) => {
                bent.late = bent.late.map(|late| late.saturating_add(*time));
                return true;
            }
            Self::NeverAnswers => {
                bent.late = None;
                return true;
            }
        };
        let Some(answer) = answer.filter(|answer| *answer != bent.answer) else { return false };
        bent.answer = answer;
        true
    }
}

fn flipped(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if let Some(last) = value.last_mut() {
        *last ^= 1;
    }
    value
}

/// Templates within templates that are looked into; cards have four.
const MOST_TEMPLATES: u32 = 8;

/// The objects with `how` done to each value of this tag, in any template; `None` when there is none or they are no objects.
fn rewrite(data: &[u8], target: Tag, deeper: u32, how: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) -> Option<Vec<u8>> {
    let mut found = false;
    let mut written = Writer::new();
    for object in tlv::walk(data) {
        let object = object.ok()?;
        if object.tag == target {
            found = true;
            written = how(object.value).into_iter().fold(written, |written, value| written.put(target, value));
            continue;
        }
        let opens = object.tag.is_constructed() && deeper > 0;
        let inner = opens.then(|| rewrite(object.value, target, deeper - 1, how)).flatten();
        found |= inner.is_some();
        written = written.put(object.tag, inner.as_deref().unwrap_or(object.value));
    }
    found.then(|| written.finish())
}

/// The object put at the end of the outermost template, if there is one.
fn insert(data: &[u8], tag: Tag, value: &[u8]) -> Option<Vec<u8>> {
    let outer = tlv::walk(data).next()?.ok().filter(|outer| outer.tag.is_constructed())?;
    Some(Writer::new().nest(outer.tag, |inside| inside.raw(outer.value).put(tag, value)).finish())
}

#[cfg(test)]
mod tests {
    use band_sim::wire::tag;
    use proptest::prelude::*;

    use super::*;

    const GPO: &[u8] = &[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0];
    const ANSWER: &[u8] = &[0x77, 0x0A, 0x82, 0x02, 0x18, 0x80, 0x94, 0x04, 0x08, 0x01, 0x01, 0x00, 0x90, 0x00];

    fn bent(changes: Vec<Change>) -> (Bent, Option<usize>) {
        let mut middle = Middle::new(vec![Bend { of: Exchange::Gpo, nth: None, changes }]);
        middle.command(GPO.to_vec());
        (middle.answer(ANSWER.to_vec()), middle.idle())
    }

    #[test]
    fn objects_get_other_values_and_the_lengths_around_them_follow() {
        let set = |tag, value: &[u8]| bent(vec![Change::Set(tag, value.to_vec())]).0.answer;
        assert_eq!(set(tag::TAG_82_AIP, &[1]), [0x77, 0x09, 0x82, 0x01, 1, 0x94, 0x04, 8, 1, 1, 0, 0x90, 0]);
        let new = set(tag::TAG_9F6C_CTQ, &[0, 0x80]);
        assert_eq!(new, [0x77, 0x0F, 0x82, 2, 0x18, 0x80, 0x94, 4, 8, 1, 1, 0, 0x9F, 0x6C, 2, 0, 0x80, 0x90, 0]);
        assert_eq!(bent(vec![Change::Flip(tag::TAG_82_AIP)]).0.answer[5], 0x81);
        assert_eq!(bent(vec![Change::LeaveOut(tag::TAG_82_AIP)]).0.answer.len(), ANSWER.len() - 4);
        assert_eq!(bent(vec![Change::Double(tag::TAG_94_AFL)]).0.answer.len(), ANSWER.len() + 6);
    }

    #[test]
    fn what_changes_nothing_is_told() {
        assert_eq!(
            bent(vec![Change::Flip(tag::TAG_9F6C_CTQ)]),
            (Bent { answer: ANSWER.to_vec(), late: Some(Duration::ZERO), changed: false }, Some(0))
        );
        assert_eq!(bent(vec![Change::Keep(3)]).1, None);
        assert_eq!(bent(vec![Change::NeverAnswers]).0.late, None);
    }

    #[test]
    fn only_the_exchange_that_was_named_is_changed() {
        let bend = Bend { of: Exchange::Select, nth: Some(2), changes: vec![Change::Command(vec![1])] };
        let mut middle = Middle::new(vec![bend]);
        let select = [0, 0xA4, 4, 0, 1, 0xA0].to_vec();
        let directory = [&[0, 0xA4, 4, 0, 14][..], b"2PAY.SYS.DDF01"].concat();
        assert_eq!(middle.command(directory.clone()), directory);
        assert_eq!(middle.command(select.clone()), select);
        assert_eq!(middle.command(select.clone()), [1]);
        assert_eq!(middle.command(select.clone()), select);
    }

    #[test]
    fn templates_without_end_end() {
        let nested = (0..20_000).fold(vec![0x82, 0x00], |inner: Vec<u8>, _| match inner.len() {
            0..60_000 => Writer::new().put(Tag::new(0x70), inner).finish(),
            _ => inner,
        });
        let mut bent = Bent { answer: nested, late: None, changed: false };
        assert!(!Change::Flip(tag::TAG_82_AIP).bend(&mut bent));
    }

    proptest! {
        #[test]
        fn any_answer_can_be_bent(answer in proptest::collection::vec(any::<u8>(), 0..80), keep in 0_usize..90) {
            for change in [
                Change::Set(tag::TAG_82_AIP, vec![0]),
                Change::Flip(tag::TAG_82_AIP),
                Change::Double(tag::TAG_82_AIP),
                Change::Append(vec![0]),
                Change::Keep(keep),
            ] {
                let mut bent = Bent { answer: answer.clone(), late: None, changed: false };
                let _ = change.bend(&mut bent);
            }
        }
    }
}
