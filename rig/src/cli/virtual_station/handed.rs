//! How the cases come to several machines: one by one, by a file for each that both sides see. A machine that is faster, or has the
//! shorter cases, gets more of them, and what one leaves behind another one runs.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::scenario::suite::{Next, Order};

/// What a file of numbers of cases is called.
pub(super) const FILE: &str = "cases";
/// Its last line.
const NO_MORE: &str = "no more";
/// Between two looks whether there is another case.
const LOOK: Duration = Duration::from_millis(10);
/// A machine gets at most so many cases ahead of the one that it runs, so that it need not wait for us.
const MOST_AHEAD: usize = 8;

/// The cases that no machine has yet.
#[derive(Debug)]
pub(super) struct Left {
    cases: VecDeque<u32>,
    machines: usize,
}

impl Left {
    /// So many cases for so many machines.
    pub(super) fn of(cases: usize, machines: usize) -> Self {
        Self { cases: (0..u32::try_from(cases).unwrap_or(u32::MAX)).collect(), machines }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Option<u32> {
        self.cases.pop_front()
    }

    /// Those that a machine had and did not begin come first.
    pub(super) fn give_back(&mut self, cases: &[u32]) {
        for case in cases.iter().rev() {
            self.cases.push_front(*case);
        }
    }

    /// How many a machine may have beside the one that it runs: towards the end none, for another one to take.
    pub(super) fn ahead(&self) -> usize {
        (self.cases.len() / (4 * self.machines.max(1))).min(MOST_AHEAD)
    }
}

/// The side that hands out.
#[derive(Debug)]
pub(super) struct Hand {
    file: File,
    /// Whether it has said that there are no more.
    pub(super) closed: bool,
}

impl Hand {
    /// Begins with nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn new(share: &Path) -> Result<Self, String> {
        let file = fs::create_dir_all(share).and_then(|()| File::create(share.join(FILE)));
        Ok(Self { file: file.map_err(|error| not_written(&error))?, closed: false })
    }

    /// One more case.
    ///
    /// # Errors
    /// As [`Hand::new`].
    pub(super) fn give(&mut self, case: u32) -> Result<(), String> {
        self.line(&case.to_string())
    }

    /// There are no more.
    ///
    /// # Errors
    /// As [`Hand::new`].
    pub(super) fn close(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.closed, true) {
            self.line(NO_MORE)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|error| not_written(&error))
    }
}

fn not_written(error: &std::io::Error) -> String {
    format!("failed to hand out cases: {error}")
}

/// The side that takes: waits for each next case until there are no more or somebody says stop.
#[derive(Debug)]
pub(in crate::cli) struct Handed {
    lines: Mutex<(Growing, u32)>,
    stop: Arc<AtomicBool>,
}

impl Handed {
    pub(in crate::cli) fn new(path: PathBuf, stop: Arc<AtomicBool>) -> Self {
        Self { lines: Mutex::new((Growing::new(path), 0)), stop }
    }
}

impl Order for Handed {
    fn next(&self) -> Option<Next> {
        let (lines, run) = &mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.stop.load(Ordering::Relaxed) {
            match lines.next() {
                Ok(Some(line)) => {
                    let number = *run;
                    *run += 1;
                    return line.trim_end().parse().ok().map(|place| Next { number, place });
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(words) => {
                    crate::cli::complain(&words);
                    return None;
                }
            }
        }
        None
    }
}

/// A file that somebody else writes: whole lines of it, as they come.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// How many bytes of it were read.
    at: u64,
    half: String,
}

impl Growing {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, reader: None, at: 0, half: String::new() }
    }

    pub(super) fn next(&mut self) -> Result<Option<String>, String> {
        let failed = |error: std::io::Error| format!("failed to read {}: {error}", self.path.display());
        if self.reader.is_none() {
            let Ok(mut file) = File::open(&self.path) else { return Ok(None) };
            file.seek(SeekFrom::Start(self.at)).map_err(failed)?;
            self.reader = Some(BufReader::new(file));
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let read = reader.read_line(&mut self.half).map_err(failed)?;
        self.at += u64::try_from(read).unwrap_or(u64::MAX);
        if self.half.ends_with('\n') {
            return Ok(Some(std::mem::take(&mut self.half)));
        }
        // A kernel that did not write it itself may learn only by opening it that there is more.
        self.reader = None;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_come_in_the_order_in_which_they_are_handed_out_and_then_no_more() {
        let share = tempfile::tempdir().unwrap();
        let mut hand = Hand::new(share.path()).unwrap();
        let handed = Handed::new(share.path().join(FILE), Arc::default());
        for case in [4, 7] {
            hand.give(case).unwrap();
        }
        let next = |handed: &Handed| handed.next().map(|next| (next.number, next.place));
        assert_eq!([next(&handed), next(&handed)], [Some((0, 4)), Some((1, 7))]);
        // Somebody waits before the next one is there.
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| next(&handed));
            hand.give(2).unwrap();
            waiting.join().unwrap()
        });
        assert_eq!(waiting, Some((2, 2)));
        hand.close().unwrap();
        hand.close().unwrap();
        assert_eq!(next(&handed), None);
        assert_eq!(fs::read_to_string(share.path().join(FILE)).unwrap(), "4\n7\n2\nno more\n");
    }

    #[test]
    fn whoever_waits_for_a_case_hears_that_it_is_to_stop() {
        let share = tempfile::tempdir().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let handed = Handed::new(share.path().join(FILE), Arc::clone(&stop));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| handed.next().is_none());
            stop.store(true, Ordering::Relaxed);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn towards_the_end_no_machine_holds_cases_that_another_one_could_run() {
        let mut left = Left::of(200, 3);
        assert_eq!(left.ahead(), MOST_AHEAD);
        let mut ahead = left.ahead();
        while left.take().is_some() {
            assert!(left.ahead() <= ahead);
            ahead = left.ahead();
        }
        assert_eq!(ahead, 0);
        left.give_back(&[5, 9]);
        assert_eq!([left.take(), left.take(), left.take()], [Some(5), Some(9), None]);
    }
}
