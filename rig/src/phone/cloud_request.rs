//! Asking the cloud, and what happens to answers nobody waits for any more.

use crate::cloud::api::{Refusal, Reply, Request};

use super::app::{App, Awaited};
use super::task::{Resume, Step, Value, Wake, done};
use super::timer::Timer;

/// One request. Ends with the answer, or with the refusal, or `Interrupted` when no answer came.
#[derive(Clone, Debug)]
pub(super) struct Ask(pub(super) Request);

impl Resume for Ask {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match wake {
            Wake::Start => {
                app.send(self.0.clone())?;
                app.start(Timer::Cloud);
                Ok(Step::Wait)
            }
            Wake::Cloud(Some(Reply::Refused { refusal })) => Err(refusal),
            Wake::Cloud(Some(reply)) => done(Value::Reply(reply)),
            Wake::Cloud(None) => Err(Refusal::Interrupted),
            Wake::Link(_) | Wake::Ended(_) => Ok(Step::Wait),
        }
    }
}

impl App {
    /// The waiting task gives up; only the newest request can be its own.
    pub(super) fn give_up_waiting(&mut self) {
        if let Some(newest) = self.unanswered.back_mut() {
            *newest = Awaited::NoMore;
        }
    }

    /// An answer that came too late. A job nobody runs must not stay open at the bank (R10).
    pub(super) fn late_answer(&mut self, reply: Option<Reply>) {
        if let Some(Reply::Job { job, .. } | Reply::NotReady { job, .. }) = reply {
            self.cancel_later(job);
        }
    }
}
