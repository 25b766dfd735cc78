//! What went through the contactless field in a run, as a capture for protocol analysers: the events of each case become blocks of
//! ISO 14443-4.
//!
//! A step is one tap. An exchange is one event, so command and answer both stand at the time of the answer; a command that never had
//! one is not in it.

use std::io::{self, Write};
use std::time::Duration;

use super::event::{Event, Kind, Via};
use super::pcapng::{Capture, unmarked};
use crate::mask::Masker;

/// A capture in the making.
#[derive(Debug)]
pub struct Taps<W> {
    capture: Capture<W>,
    /// Virtual time of the cases so far.
    virtual_time: Duration,
}

impl<W: Write> Taps<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W) -> io::Result<Self> {
        // Events are masked already.
        Ok(Self { capture: Capture::new(out, Masker::default())?, virtual_time: Duration::ZERO })
    }

    /// Everything that went through the field in a case, which ended `ended` after the Unix epoch. Where time is virtual (`None`)
    /// one case follows the other from the epoch on, so that the same seed gives the same capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn case(&mut self, events: &[Event], ended: Option<Duration>) -> io::Result<()> {
        let took = events.iter().map(|event| event.at_us).max().map_or(Duration::ZERO, Duration::from_micros);
        let began = ended.map_or(self.virtual_time, |ended| ended.saturating_sub(took));
        self.virtual_time += took;
        let mut last = None;
        for Event { at_us, kind, .. } in events {
            let at = began + Duration::from_micros(*at_us);
            match kind {
                Kind::Apdu { via: Via::Contactless, command, response } => {
                    if last.is_none() {
                        self.capture.field(at, true)?;
                    }
                    let command = unmarked(command);
                    self.capture.command(at, &command)?;
                    if !response.is_empty() {
                        self.capture.answer(at, &command, &unmarked(response))?;
                    }
                    last = Some(at);
                }
                Kind::StepFinished { .. } | Kind::CaseFinished { .. } => {
                    if let Some(at) = last.take() {
                        self.capture.field(at, false)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(self) -> io::Result<W> {
        self.capture.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::event::Verdict;

    fn event(at_us: u64, kind: Kind) -> Event {
        Event { case: 0, at_us, kind }
    }

    fn apdu(at_us: u64, via: Via, command: &str) -> Event {
        event(at_us, Kind::Apdu { via, command: command.to_owned(), response: "6A 8*".to_owned() })
    }

    fn step(at_us: u64) -> Event {
        event(at_us, Kind::StepFinished { step: "1".into(), ok: true, got: serde_json::Value::Null })
    }

    fn finished(at_us: u64) -> Event {
        event(at_us, Kind::CaseFinished { verdict: Verdict::Passed, reason: None, sweep_points: 0 })
    }

    /// The same, written by hand.
    fn expected(blocks: impl FnOnce(&mut Capture<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut capture = Capture::new(vec![], Masker::default()).unwrap();
        blocks(&mut capture).unwrap();
        capture.finish().unwrap()
    }

    const READ: [u8; 5] = [0x00, 0xB2, 0x01, 0x0C, 0x00];

    #[test]
    fn each_step_is_a_tap_and_what_goes_over_bluetooth_is_none() {
        let mut taps = Taps::new(vec![]).unwrap();
        let events = [
            apdu(10, Via::NfcChannel, "80 CA 9F 7F 00"),
            apdu(20, Via::Contactless, "00 B2 01 0C 00"),
            apdu(30, Via::Contactless, "00 B2 01 0C 00"),
            step(40),
            step(50),
            apdu(60, Via::Contactless, "00 B2 01 0C 00"),
            finished(100),
        ];
        taps.case(&events, Some(Duration::from_secs(7))).unwrap();
        let at = |us: u64| Duration::from_secs(7) - Duration::from_micros(100) + Duration::from_micros(us);
        let same = expected(|capture| {
            capture.field(at(20), true)?;
            capture.command(at(20), &READ)?;
            capture.answer(at(20), &[], &[0x6A, 0x80])?;
            capture.command(at(30), &READ)?;
            capture.answer(at(30), &[], &[0x6A, 0x80])?;
            capture.field(at(30), false)?;
            capture.field(at(60), true)?;
            capture.command(at(60), &READ)?;
            capture.answer(at(60), &[], &[0x6A, 0x80])?;
            capture.field(at(60), false)
        });
        assert_eq!(taps.finish().unwrap(), same);
    }

    #[test]
    fn under_virtual_time_one_case_follows_the_other() {
        let mut taps = Taps::new(vec![]).unwrap();
        let events = [apdu(20, Via::Contactless, "00 B2 01 0C 00"), finished(100)];
        taps.case(&events, None).unwrap();
        taps.case(&events, None).unwrap();
        let same = expected(|capture| {
            for at in [20, 120].map(Duration::from_micros) {
                capture.field(at, true)?;
                capture.command(at, &READ)?;
                capture.answer(at, &[], &[0x6A, 0x80])?;
                capture.field(at, false)?;
            }
            Ok(())
        });
        assert_eq!(taps.finish().unwrap(), same);
    }
}
