//! Non-volatile memory whose every commit is atomic, over a simulated flash that can lose power in the middle of a write.
//!
//! The flash has two banks. The active one holds a header and a log of commits, each written in one go:
//!
//! ```text
//! bank   = 'B' · epoch (4) · 'B' · commit*
//! commit = body length (4) · 'H' · body · 'C'       body = (key (4) · length (4) or FFFFFFFF for "removed" · value)*
//! ```
//!
//! Flash is programmed in order, at most [`PAGE_BYTES`] at a time, and an erased byte is FF. A write that is cut lands as
//! a prefix. So a mark that can be read proves that all bytes before it were written, and **the commit point is the
//! programming of the final mark `C`**: before it, recovery skips the commit; from it on, the commit counts.
//!
//! When the log would grow past its bound, the commit goes as one snapshot of everything into the other bank. Its commit
//! point is the second bank mark `B`, written last; then the old bank is erased, which takes the first mark away first.
//! Recovery takes the bank of the highest epoch among those that show both marks.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use sha2::{Digest, Sha256};

use crate::rng::Rng;

/// The name of an object in the store.
pub type Key = u32;

/// The most bytes one physical write programs.
pub const PAGE_BYTES: usize = 128;

const BANK_MARK: u8 = b'B';
const BANK_HEADER_BYTES: usize = 6;
const COMMIT_HEAD_MARK: u8 = b'H';
const COMMIT_HEAD_BYTES: usize = 5;
const COMMIT_MARK: u8 = b'C';
const ENTRY_HEAD_BYTES: usize = 8;
const REMOVED: u32 = u32::MAX;
/// Far more than any commit has; a flash from elsewhere may claim anything.
const MOST_COMMIT_BYTES: usize = 1 << 20;
/// Log bytes that are always allowed beyond one and a half times the live content.
const LOG_SLACK_BYTES: usize = 1024;

/// Power was lost during a write. What is stored is found out by [`Nvm::recover`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLost;

impl fmt::Display for PowerLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("power lost during a write to non-volatile memory")
    }
}

impl core::error::Error for PowerLost {}

/// The store. Its `Debug` tells sizes, never contents.
#[derive(Clone)]
pub struct Nvm {
    /// What is programmed of each bank; bytes beyond the end are erased.
    banks: [Vec<u8>; 2],
    active: Bank,
    epoch: u32,
    /// Where each live value lies in the active bank.
    index: BTreeMap<Key, Span>,
    live_bytes: usize,
    writes: u64,
    cut_at: Option<u64>,
    powered: bool,
    tear: Rng,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bank {
    A,
    B,
}

/// Offset and length; 32 bits suffice, as keys of the index count a lot when ten thousand stores live in one process.
#[derive(Clone, Copy)]
struct Span {
    at: u32,
    len: u32,
}

impl Nvm {
    /// An empty, formatted store. `tear` decides how much of a cut write lands.
    #[must_use]
    pub fn new(tear: Rng) -> Self {
        Self {
            banks: [Vec::from(bank_header(0)), Vec::new()],
            active: Bank::A,
            epoch: 0,
            index: BTreeMap::new(),
            live_bytes: 0,
            writes: 0,
            cut_at: None,
            powered: true,
            tear,
        }
    }

    /// The committed value of `key`.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&[u8]> {
        self.bank(self.active).get(self.index.get(&key)?.range())
    }

    /// All keys that have a value, in order.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.index.keys().copied()
    }

    /// The keys of a range, in order.
    pub fn keys_in(&self, range: Range<Key>) -> impl Iterator<Item = Key> + '_ {
        self.index.range(range).map(|(key, _)| *key)
    }

    /// Sets (`Some`) or removes (`None`) several values at once: all of them or, if power is lost, possibly none.
    ///
    /// A key named twice ends with its last value. Committing nothing writes nothing. Without power it is refused.
    pub fn commit(&mut self, changes: &[(Key, Option<&[u8]>)]) -> Result<(), PowerLost> {
        if !self.powered {
            return Err(PowerLost);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let body_bytes =
            changes.iter().map(|(_, value)| ENTRY_HEAD_BYTES + value.map_or(0, <[u8]>::len)).sum::<usize>();
        let used = self.bank(self.active).len();
        if used + COMMIT_HEAD_BYTES + body_bytes + 1 > self.log_bound(changes) {
            return self.compact(changes);
        }
        let mut commit = Vec::with_capacity(COMMIT_HEAD_BYTES + body_bytes + 1);
        commit.extend(length(body_bytes).to_le_bytes());
        commit.push(COMMIT_HEAD_MARK);
        for (key, value) in changes {
            push_entry(&mut commit, *key, *value);
        }
        commit.push(COMMIT_MARK);
        self.program(self.active, &commit)?;
        let start = used + COMMIT_HEAD_BYTES;
        self.apply(start..start + body_bytes);
        Ok(())
    }

    /// After power loss: reads the flash again and takes up the state of the last commit that counts.
    pub fn recover(&mut self) {
        self.powered = true;
        self.cut_at = None;
        let epochs = [Bank::A, Bank::B].map(|bank| bank_epoch(self.bank(bank)));
        (self.active, self.epoch) = match epochs {
            [Some(a), Some(b)] if b > a => (Bank::B, b),
            [None, Some(b)] => (Bank::B, b),
            [Some(a), _] => (Bank::A, a),
            // Unreachable while every erase follows a marked bank of a higher epoch; an unformatted store is empty.
            [None, None] => (Bank::A, 0),
        };
        self.index.clear();
        self.live_bytes = 0;
        let (found, end) = commits(self.bank(self.active));
        // The log goes on after the place a torn commit claimed, so that its rest is never taken for something else.
        let active = self.active;
        self.bank_mut(active).resize(end, 0xFF);
        for body in found {
            self.apply(body);
        }
    }

    /// The flash itself, both banks: what is programmed of them.
    #[must_use]
    pub fn flash(&self) -> [&[u8]; 2] {
        let [a, b] = &self.banks;
        [a, b]
    }

    /// Another flash in the place of this one, without power: [`Nvm::recover`] takes up what it holds. Any bytes will do;
    /// those that no store has written count as an empty one.
    pub fn replace_flash(&mut self, banks: [Vec<u8>; 2]) {
        let formatted = banks.iter().any(|bank| bank_epoch(bank).is_some());
        self.banks = if formatted { banks } else { [Vec::from(bank_header(0)), Vec::new()] };
        self.powered = false;
    }

    /// Whether power is on; a cut write turns it off, [`Nvm::recover`] turns it on.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Power is lost here and now, between two writes.
    pub fn lose_power(&mut self) {
        self.powered = false;
    }

    /// Lets the `nth` physical write from now (1 is the next one) be torn and power be lost in it; `None` calls it off.
    pub fn cut_power_at_write(&mut self, nth: Option<u64>) {
        self.cut_at = nth.map(|nth| self.writes.saturating_add(nth.max(1)));
    }

    /// Physical writes (programmed pages and erased banks) since the store was made.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// SHA-256 over the committed keys and values: equal digests, equal content, however it came about.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for key in self.keys() {
            let value = self.get(key).unwrap_or_default();
            digest.update(key.to_le_bytes());
            digest.update(length(value.len()).to_le_bytes());
            digest.update(value);
        }
        digest.finalize().into()
    }

    /// Bytes of flash in use, both banks.
    #[must_use]
    pub fn flash_bytes(&self) -> usize {
        self.banks.iter().map(Vec::len).sum()
    }

    fn bank(&self, bank: Bank) -> &Vec<u8> {
        let [a, b] = &self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    fn bank_mut(&mut self, bank: Bank) -> &mut Vec<u8> {
        let [a, b] = &mut self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    /// How long the active bank may get: it stays within a constant factor of what it stores.
    fn log_bound(&self, changes: &[(Key, Option<&[u8]>)]) -> usize {
        let incoming = changes.iter().filter_map(|(_, value)| Some(value.as_ref()?.len())).sum::<usize>();
        let live = self.live_bytes + incoming;
        BANK_HEADER_BYTES + live + live / 2 + LOG_SLACK_BYTES
    }

    /// Writes everything, with `changes` made, as one snapshot into the other bank and makes that the active one.
    fn compact(&mut self, changes: &[(Key, Option<&[u8]>)]) -> Result<(), PowerLost> {
        let target = self.active.other();
        let epoch = self.epoch.wrapping_add(1);
        let snapshot = self.snapshot(changes);
        if !self.bank(target).is_empty() {
            self.erase(target)?;
        }
        // The header's place stays erased until the snapshot is complete: its mark is the commit point.
        self.bank_mut(target).reserve_exact(BANK_HEADER_BYTES + snapshot.len() + LOG_SLACK_BYTES / 2);
        self.bank_mut(target).resize(BANK_HEADER_BYTES, 0xFF);
        self.program(target, &snapshot)?;
        self.program_header(target, epoch)?;

        let old = self.active;
        (self.active, self.epoch) = (target, epoch);
        self.index.clear();
        self.live_bytes = 0;
        let body = BANK_HEADER_BYTES + COMMIT_HEAD_BYTES..(BANK_HEADER_BYTES + snapshot.len()).saturating_sub(1);
        self.apply(body);
        self.erase(old)
    }

    fn snapshot(&self, changes: &[(Key, Option<&[u8]>)]) -> Vec<u8> {
        let mut content = self.keys().filter_map(|key| Some((key, self.get(key)?))).collect::<BTreeMap<Key, &[u8]>>();
        for (key, value) in changes {
            match value {
                Some(value) => content.insert(*key, value),
                None => content.remove(key),
            };
        }
        let body_bytes = content.values().map(|value| ENTRY_HEAD_BYTES + value.len()).sum::<usize>();
        let mut snapshot = Vec::with_capacity(COMMIT_HEAD_BYTES + body_bytes + 1);
        snapshot.extend(length(body_bytes).to_le_bytes());
        snapshot.push(COMMIT_HEAD_MARK);
        for (key, value) in content {
            push_entry(&mut snapshot, key, Some(value));
        }
        snapshot.push(COMMIT_MARK);
        snapshot
    }

    /// Takes a commit that counts, lying at `body` of the active bank, into the index.
    fn apply(&mut self, body: Range<usize>) {
        for (key, value) in entries(self.bank(self.active), body).collect::<Vec<_>>() {
            let old = match value {
                Some(span) => self.index.insert(key, span),
                None => self.index.remove(&key),
            };
            let footprint = |span: Span| ENTRY_HEAD_BYTES + span.range().len();
            self.live_bytes = self.live_bytes.saturating_sub(old.map_or(0, footprint)) + value.map_or(0, footprint);
        }
    }

    /// Appends to a bank, page by page.
    fn program(&mut self, bank: Bank, bytes: &[u8]) -> Result<(), PowerLost> {
        if self.bank(bank).capacity() - self.bank(bank).len() < bytes.len() {
            self.bank_mut(bank).reserve_exact(bytes.len() + LOG_SLACK_BYTES / 2);
        }
        for page in bytes.chunks(PAGE_BYTES) {
            let landing = self.start_write(page.len());
            let stored = page.get(..landing.len()).unwrap_or(page);
            self.bank_mut(bank).extend_from_slice(stored);
            landing.finish()?;
        }
        Ok(())
    }

    fn program_header(&mut self, bank: Bank, epoch: u32) -> Result<(), PowerLost> {
        let header = bank_header(epoch);
        let landing = self.start_write(header.len());
        for (cell, byte) in self.bank_mut(bank).iter_mut().zip(header).take(landing.len()) {
            *cell = byte;
        }
        landing.finish()
    }

    fn erase(&mut self, bank: Bank) -> Result<(), PowerLost> {
        let landing = self.start_write(self.bank(bank).len());
        if let Landing::Whole(_) = landing {
            // Fresh, so that an erased bank costs no memory.
            *self.bank_mut(bank) = Vec::new();
            return Ok(());
        }
        for cell in self.bank_mut(bank).iter_mut().take(landing.len()) {
            *cell = 0xFF;
        }
        landing.finish()
    }

    /// Counts a physical write of `len` bytes and says how much of it lands.
    fn start_write(&mut self, len: usize) -> Landing {
        self.writes += 1;
        if self.cut_at != Some(self.writes) {
            return Landing::Whole(len);
        }
        self.cut_at = None;
        self.powered = false;
        Landing::Torn(self.tear.below(len as u64 + 1) as usize)
    }
}

impl fmt::Debug for Nvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nvm")
            .field("objects", &self.index.len())
            .field("flash_bytes", &self.flash_bytes())
            .field("writes", &self.writes)
            .field("powered", &self.powered)
            .finish_non_exhaustive()
    }
}

impl Bank {
    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl Span {
    fn range(self) -> Range<usize> {
        let start = self.at as usize;
        start..start + self.len as usize
    }
}

/// How much of a physical write reaches the flash.
#[derive(Clone, Copy)]
enum Landing {
    Whole(usize),
    Torn(usize),
}

impl Landing {
    const fn len(self) -> usize {
        match self {
            Self::Whole(len) | Self::Torn(len) => len,
        }
    }

    const fn finish(self) -> Result<(), PowerLost> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Torn(_) => Err(PowerLost),
        }
    }
}

/// Lengths of this store fit in 32 bits; longer ones are impossible in memory of a band and read back as cut.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(REMOVED - 1)
}

fn push_entry(out: &mut Vec<u8>, key: Key, value: Option<&[u8]>) {
    out.extend(key.to_le_bytes());
    out.extend(value.map_or(REMOVED, |value| length(value.len())).to_le_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

const fn bank_header(epoch: u32) -> [u8; BANK_HEADER_BYTES] {
    let [e0, e1, e2, e3] = epoch.to_le_bytes();
    [BANK_MARK, e0, e1, e2, e3, BANK_MARK]
}

fn bank_epoch(bank: &[u8]) -> Option<u32> {
    match bank.first_chunk()? {
        &[BANK_MARK, e0, e1, e2, e3, BANK_MARK] => Some(u32::from_le_bytes([e0, e1, e2, e3])),
        _ => None,
    }
}

/// The bodies of the commits that count, in the order they were made, and where the log ends. Never looks into a body.
fn commits(bank: &[u8]) -> (Vec<Range<usize>>, usize) {
    let mut found = Vec::new();
    let mut at = BANK_HEADER_BYTES;
    while at < bank.len() {
        let body = at + COMMIT_HEAD_BYTES;
        let Some(&[l0, l1, l2, l3, COMMIT_HEAD_MARK]) = bank.get(at..body) else {
            // The head itself was torn, so nothing follows it that belongs to it.
            at = body;
            continue;
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > MOST_COMMIT_BYTES {
            // No store has written that: the rest of the bank is not ours.
            break;
        }
        let end = body + length;
        if bank.get(end) == Some(&COMMIT_MARK) {
            found.push(body..end);
        }
        at = end + 1;
    }
    (found, at)
}

fn entries(bank: &[u8], body: Range<usize>) -> impl Iterator<Item = (Key, Option<Span>)> + '_ {
    let mut at = body.start;
    core::iter::from_fn(move || {
        let (&key, rest) = bank.get(at..body.end)?.split_first_chunk()?;
        let (&len, _) = rest.split_first_chunk()?;
        let len = u32::from_le_bytes(len);
        at += ENTRY_HEAD_BYTES;
        let value = (len != REMOVED).then_some(Span { at: length(at), len });
        at += value.map_or(0, |span| span.range().len());
        Some((u32::from_le_bytes(key), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;
    use std::vec;

    type Changes = Vec<(Key, Option<Vec<u8>>)>;

    fn commit(nvm: &mut Nvm, changes: &Changes) -> Result<(), PowerLost> {
        nvm.commit(&changes.iter().map(|(key, value)| (*key, value.as_deref())).collect::<Vec<_>>())
    }

    fn content(nvm: &Nvm) -> BTreeMap<Key, Vec<u8>> {
        nvm.keys().map(|key| (key, nvm.get(key).unwrap().to_vec())).collect()
    }

    fn apply(model: &mut BTreeMap<Key, Vec<u8>>, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(*key, value.clone()),
                None => model.remove(key),
            };
        }
    }

    fn some_changes() -> impl Strategy<Value = Vec<Changes>> {
        let value = prop_oneof![
            1 => Just(None),
            4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Some),
            1 => prop::collection::vec(any::<u8>(), 0..700).prop_map(Some),
        ];
        prop::collection::vec(prop::collection::vec((0..6_u32, value), 1..4), 1..12)
    }

    proptest! {
        #[test]
        fn a_flash_from_elsewhere_is_taken_up_or_counts_as_empty(
            mut banks in prop::array::uniform2(prop::collection::vec(any::<u8>(), 0..200)),
            marked in any::<bool>(),
        ) {
            if marked && banks[0].len() > 10 {
                banks[0][0] = BANK_MARK;
                banks[0][5] = BANK_MARK;
                banks[0][10] = COMMIT_HEAD_MARK;
            }
            let mut nvm = Nvm::new(Rng::new(1));
            nvm.replace_flash(banks);
            prop_assert!(!nvm.is_powered());
            nvm.recover();
            prop_assert_eq!(commit(&mut nvm, &vec![(1, Some(vec![7]))]), Ok(()));
            prop_assert_eq!(nvm.get(1), Some(&[7][..]));
            nvm.recover();
            prop_assert_eq!(nvm.get(1), Some(&[7][..]), "what was committed then is kept");
        }

        #[test]
        fn a_store_is_taken_up_by_another_one_from_its_flash(values in prop::collection::btree_map(0..9_u32, prop::collection::vec(any::<u8>(), 0..300), 0..9)) {
            let mut first = Nvm::new(Rng::new(1));
            for (key, value) in &values {
                commit(&mut first, &vec![(*key, Some(value.clone()))]).unwrap();
            }
            let mut second = Nvm::new(Rng::new(2));
            second.replace_flash(first.flash().map(Vec::from));
            second.recover();
            prop_assert_eq!(second.digest(), first.digest());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_cut_at_any_write_leaves_the_state_before_or_after(commits in some_changes(), seed: u64) {
            let mut nvm = Nvm::new(Rng::new(seed));
            let mut model = BTreeMap::new();
            for changes in &commits {
                let before = model.clone();
                apply(&mut model, changes);
                for cut in 1.. {
                    let mut cut_nvm = nvm.clone();
                    cut_nvm.cut_power_at_write(Some(cut));
                    let result = commit(&mut cut_nvm, changes);
                    if result.is_ok() {
                        break;
                    }
                    prop_assert_eq!(commit(&mut cut_nvm, changes), Err(PowerLost));
                    cut_nvm.recover();
                    let found = content(&cut_nvm);
                    prop_assert!(found == before || found == model, "cut at write {} mixed two states", cut);
                    // What was recovered is stable, and the store goes on from there.
                    cut_nvm.recover();
                    prop_assert_eq!(&content(&cut_nvm), &found);
                    commit(&mut cut_nvm, changes).unwrap();
                    cut_nvm.recover();
                    prop_assert_eq!(&content(&cut_nvm), &model);
                }
                commit(&mut nvm, changes).unwrap();
                prop_assert_eq!(&content(&nvm), &model);
            }
        }

        #[test]
        fn several_cuts_in_a_row_are_survived(commits in some_changes(), cuts in prop::collection::vec(1..6_u64, 1..8), seed: u64) {
            let mut nvm = Nvm::new(Rng::new(seed));
            let mut model = BTreeMap::new();
            let mut cuts = cuts.into_iter().cycle();
            for changes in commits.iter().cycle().take(60) {
                nvm.cut_power_at_write(cuts.next());
                let before = model.clone();
                apply(&mut model, changes);
                if commit(&mut nvm, changes).is_err() {
                    nvm.recover();
                    let found = content(&nvm);
                    prop_assert!(found == before || found == model);
                    model = found;
                }
                prop_assert_eq!(&content(&nvm), &model);
            }
        }
    }

    #[test]
    fn the_log_stays_within_its_bound_however_often_one_value_changes() {
        let mut nvm = Nvm::new(Rng::new(1));
        let mut most = 0;
        for n in 0..5_000_u32 {
            nvm.commit(&[(1, Some(&n.to_le_bytes())), (2, Some(&[7; 100]))]).unwrap();
            most = most.max(nvm.flash_bytes());
        }
        assert!(most < 2 * LOG_SLACK_BYTES, "{most} bytes of flash for 104 bytes of content");
        nvm.recover();
        assert_eq!(nvm.get(1), Some(&4_999_u32.to_le_bytes()[..]));
    }

    #[test]
    fn the_digest_follows_content_and_not_history() {
        let mut one = Nvm::new(Rng::new(1));
        one.commit(&[(1, Some(b"a")), (2, Some(b"b"))]).unwrap();
        let digest = one.digest();
        one.commit(&[(1, Some(b"x"))]).unwrap();
        assert_ne!(one.digest(), digest);
        one.commit(&[(1, Some(b"a"))]).unwrap();
        assert_eq!(one.digest(), digest);
        one.commit(&[(2, None)]).unwrap();
        assert_ne!(one.digest(), digest);
    }

    #[test]
    fn the_commit_point_is_the_final_mark() {
        // The whole last page lands although power is lost in it: the commit counts.
        let mut seen = vec![];
        for seed in 0..40 {
            let mut nvm = Nvm::new(Rng::new(seed));
            nvm.commit(&[(1, Some(b"old"))]).unwrap();
            nvm.cut_power_at_write(Some(1));
            assert_eq!(nvm.commit(&[(1, Some(b"new"))]), Err(PowerLost));
            assert!(!nvm.is_powered());
            nvm.recover();
            seen.push(nvm.get(1) == Some(b"new"));
        }
        assert!(seen.contains(&true) && seen.contains(&false));
    }

    #[test]
    fn an_unpowered_store_takes_nothing() {
        let mut nvm = Nvm::new(Rng::new(1));
        nvm.lose_power();
        assert_eq!(nvm.commit(&[(1, Some(b"a"))]), Err(PowerLost));
        assert_eq!(nvm.writes(), 0);
        nvm.recover();
        assert_eq!(nvm.get(1), None);
    }

    #[test]
    fn debug_output_shows_no_content() {
        let mut nvm = Nvm::new(Rng::new(1));
        nvm.commit(&[(1, Some(b"secret"))]).unwrap();
        let shown = std::format!("{nvm:?}");
        assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
    }
}
