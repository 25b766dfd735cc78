//! A payment as a capture for protocol analysers.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Duration;

use super::drive::{Happened, Payment};
use crate::mask::Masker;
use crate::report::pcapng::Capture;

/// Writes the exchanges of a payment that began so long after the Unix epoch.
pub(super) fn write(path: &Path, began: Duration, payment: &Payment, masker: &Masker) -> io::Result<()> {
    let mut capture = Capture::new(BufWriter::new(File::create(path)?), masker.clone())?;
    capture.field(began, true)?;
    for moment in &payment.moments {
        let at = began + moment.at;
        match &moment.what {
            Happened::Exchange { command, carried } => {
                capture.command(at, command)?;
                let answered = carried.parts.map_or(carried.time, |parts| parts.to_card + parts.computing);
                capture.answer(at + answered, command, &carried.answer)?;
            }
            Happened::Lost { command, .. } => capture.command(at, command)?,
            Happened::Note(_) | Happened::Online { .. } | Happened::Pin { .. } => {}
        }
    }
    capture.field(began + payment.time, false)?;
    capture.finish().map(drop)
}
