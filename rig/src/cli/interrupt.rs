//! Ctrl-C: the first one lets running cases finish, `finally` included, and starts no more; the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

static HAPPENED: AtomicBool = AtomicBool::new(false);

/// Sets `stop` at the first interrupt.
pub(super) fn watch(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    let watching = ctrlc::set_handler(move || {
        if HAPPENED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        stop.store(true, Ordering::Relaxed);
        super::complain("interrupted: finishing the cases that run; once more to stop at once");
    });
    if let Err(error) = watching {
        super::complain(&format!("Ctrl-C will stop at once: {error}"));
    }
}

/// Whether the person interrupted.
pub(super) fn happened() -> bool {
    HAPPENED.load(Ordering::Relaxed)
}
