//! The band in the virtual reader: a thread that lies there, and what it says in the log.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use band_sim::edge::drive::Handle;
use band_sim::edge::vpcd::{self, Config, Coupling, Event, Plug, Reason};
use band_sim::rng::Rng;
use band_sim::wire::apdu::{CApdu, RApdu};

use super::{Cli, Interface, say};
use crate::decode;
use crate::mask::Masker;

const SETTLES_WITHIN: Duration = Duration::from_secs(6);

/// The band in the reader.
pub(super) struct Reader {
    /// Told once, when it lies there or when there is nowhere to lie.
    settled: mpsc::Receiver<()>,
    plug: Plug,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Puts the band there.
    pub(super) fn start(cli: &Cli, handle: &Handle, rng: Rng) -> Self {
        let coupling = match cli.interface {
            Interface::Contactless => Coupling::Contactless,
            Interface::Contact => Coupling::Contact,
        };
        let config = Config { host: cli.reader_host.clone(), port: cli.reader_port, coupling, ..Config::new(rng) };
        let place = format!("{}:{}", config.host, config.port);
        let plug = Plug::new(true);
        let (settling, settled) = mpsc::channel::<()>();
        let thread = std::thread::spawn({
            let (mut band, plug) = (handle.clone(), plug.clone());
            let masker = Masker::default();
            move || {
                let mut settling = Some(settling);
                vpcd::serve(&mut band, &plug, config, |event| {
                    tell(&place, &masker, &event);
                    if matches!(event, Event::Power(true) | Event::Unreachable(_)) {
                        settling = None;
                    }
                });
            }
        });
        Self { settled, plug, thread }
    }

    /// The hand that holds it there.
    pub(super) fn plug(&self) -> Plug {
        self.plug.clone()
    }

    /// Waits until programs can find the card there, for as long as a reader takes that was just left by another card. A reader
    /// that is not there, or gives power only later, is not waited for.
    pub(super) fn settle(&self) {
        let _ = self.settled.recv_timeout(SETTLES_WITHIN);
    }

    /// Takes it away and waits for that.
    pub(super) fn stop(self) {
        self.plug.stop();
        // A thread that panicked has said so.
        let _ = self.thread.join();
    }
}

fn tell(place: &str, masker: &Masker, event: &Event<'_>) {
    match event {
        Event::Unreachable(error) => {
            tracing::warn!("no reader at {place} yet ({error}); is pcscd running, with vsmartcard-vpcd installed?");
        }
        Event::Plugged(_) => {
            tracing::info!("in the reader at {place}");
            say(&format!("reader: in the virtual reader at {place}"));
        }
        Event::Power(on) => tracing::debug!("power {}", if *on { "on" } else { "off" }),
        Event::Reset => tracing::debug!("reset"),
        Event::Exchange(command, answer) => exchange(masker, command, answer),
        Event::Unplugged(reason @ (Reason::TakenAway | Reason::Stopped)) => {
            tracing::info!("out of the reader: {reason}")
        }
        Event::Unplugged(reason) => tracing::warn!("out of the reader: {reason}"),
        _ => {}
    }
}

/// One exchange in words; its bytes only on request, as they cost more than the card's own work.
fn exchange(masker: &Masker, command: &[u8], answer: &[u8]) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let asked = CApdu::decode(command).map_or_else(
        |_| format!("{} bytes that are no command", command.len()),
        |command| decode::summarize_command(&command),
    );
    let answered =
        RApdu::decode(answer).map_or_else(|_| "no answer".to_owned(), |answer| decode::summarize_response(&answer));
    tracing::debug!("{asked}: {answered}");
    tracing::trace!("  C-APDU {}", masker.command(command));
    tracing::trace!("  R-APDU {}", masker.answer(command, answer));
}
