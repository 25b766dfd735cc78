//! Scripts: the cloud's jobs, run command by command over the NFC channel.
//!
//! The phone understands nothing of what it carries. It stops at the first status word the script did not expect, posts what
//! it has, and goes on with what the cloud sends next until the job is done.

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::chain::{Next, ResponseChain};
use band_sim::wire::frame::aid::Operation;

use crate::cloud::api::{CardId, CardView, JobId, Refusal, Reply, Request, ScriptAnswer, ScriptCommand};

use super::app::App;
use super::chunked::Announce;
use super::cloud_request::Ask;
use super::connection::{Ensure, Need, Pause};
use super::io::Notice;
use super::nfc_channel::Channel;
use super::task::{Resume, Step, Value, Wake, call, done};
use super::timer::Timer;

/// More batches than any job has: a cloud that never comes to an end is given up.
const MAX_BATCHES: u16 = 256;
const SW_OK: u16 = 0x9000;

/// What the band's menu hears when the job is done.
#[derive(Clone, Debug)]
pub(super) enum Hint {
    /// Nothing.
    None,
    /// The card the cloud names is there.
    Activate,
    /// This instance is there and may be used.
    Present(Vec<u8>),
    /// This instance is gone.
    Delete(Vec<u8>),
    /// This instance is the one in use.
    Switch(Vec<u8>),
}

impl Hint {
    /// What the band hears of a card, e.g. [`Hint::Delete`]; nothing when the app does not know its instance.
    pub(super) fn of(app: &App, card: &CardId, hint: impl FnOnce(Vec<u8>) -> Self) -> Self {
        app.card(card).map_or(Self::None, |card| hint(card.instance_aid.clone()))
    }

    fn announcement(self, card: Option<&CardView>) -> Option<Announce> {
        match self {
            Self::None => None,
            Self::Activate => card.map(|card| Announce::new(Operation::Activate, card.instance_aid.clone())),
            Self::Present(aid) => Some(Announce::new(Operation::Activate, aid)),
            Self::Delete(aid) => Some(Announce::new(Operation::Delete, aid)),
            Self::Switch(aid) => Some(Announce::new(Operation::Switch, aid)),
        }
    }
}

/// Runs a job to its end. Whatever goes wrong, the job is not left open: it is cancelled, now or when the cloud is there again.
#[derive(Clone, Debug)]
pub(super) struct RunJob {
    /// The cloud's last word, not yet acted upon.
    reply: Option<Reply>,
    hint: Hint,
    job: Option<JobId>,
    batch: Vec<ScriptCommand>,
    answers: Vec<ScriptAnswer>,
    batches: u16,
    not_ready: u8,
    /// The channel was open for this job: a job whose channel has closed cannot go on in a new one.
    opened: bool,
    card: Option<CardView>,
    /// It adds a card (R10).
    adds: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Opening,
    Exchanging,
    Posting,
    Pausing,
    Announcing,
    Cancelling(Refusal),
    Closing(Refusal),
}

impl RunJob {
    /// The job that this answer of the cloud starts; without one there is nothing to do.
    pub(super) const fn new(reply: Reply, hint: Hint) -> Self {
        Self {
            reply: Some(reply),
            hint,
            job: None,
            batch: Vec::new(),
            answers: Vec::new(),
            batches: 0,
            not_ready: 0,
            opened: false,
            card: None,
            adds: false,
            stage: Stage::Beginning,
        }
    }

    /// The job that adds a card.
    pub(super) fn adding(reply: Reply) -> Self {
        Self { adds: true, ..Self::new(reply, Hint::Activate) }
    }

    fn replied(&mut self, app: &mut App, reply: Reply) -> Result<Step, Refusal> {
        if let Reply::Job { job, .. } | Reply::NotReady { job, .. } = reply {
            self.job = Some(job);
        } else {
            self.job = None;
        }
        // R10: left while the cloud was being asked.
        if let Err(refusal) = app.take_interruption() {
            return self.fail(app, refusal);
        }
        match reply {
            Reply::Job { batch, .. } => self.begin_batch(app, batch),
            Reply::NotReady { retry_after, .. } => self.wait_for_bank(app, retry_after),
            Reply::JobDone { card, .. } => self.job_done(app, card),
            Reply::Done => self.job_done(app, None),
            _ => self.fail(app, Refusal::Interrupted),
        }
    }

    fn begin_batch(&mut self, app: &mut App, batch: Vec<ScriptCommand>) -> Result<Step, Refusal> {
        self.batches += 1;
        if self.batches > MAX_BATCHES {
            return self.fail(app, Refusal::DataNotReady);
        }
        if self.adds {
            app.notice(Notice::Progress { percent: progress(self.batches) });
        }
        self.batch = batch;
        self.answers.clear();
        if app.link.channel_open || self.opened {
            return self.next_command();
        }
        self.opened = true;
        self.stage = Stage::Opening;
        call(Channel::Open)
    }

    fn next_command(&mut self) -> Result<Step, Refusal> {
        self.opened = true;
        match self.batch.get(self.answers.len()) {
            Some(command) => {
                self.stage = Stage::Exchanging;
                call(Transmit::new(command.apdu.clone()))
            }
            None => self.post(),
        }
    }

    fn answered(&mut self, data: Vec<u8>, sw: u16) -> Result<Step, Refusal> {
        let at = self.answers.len();
        let goes_on = self.batch.get(at).is_some_and(|command| match command.expected.as_slice() {
            [] => sw == SW_OK,
            expected => expected.contains(&sw),
        });
        let index = u16::try_from(at).unwrap_or(u16::MAX);
        self.answers.push(ScriptAnswer { index, data, sw });
        if goes_on { self.next_command() } else { self.post() }
    }

    fn post(&mut self) -> Result<Step, Refusal> {
        let Some(job) = self.job else { return Err(Refusal::Interrupted) };
        self.stage = Stage::Posting;
        call(Ask(Request::PostAnswers { job, answers: std::mem::take(&mut self.answers) }))
    }

    /// 3007: the bank is asked again after a while, but not for ever.
    fn wait_for_bank(&mut self, app: &mut App, retry_after: std::time::Duration) -> Result<Step, Refusal> {
        self.not_ready += 1;
        if self.not_ready > app.config.timeouts.not_ready_tries {
            return self.fail(app, Refusal::DataNotReady);
        }
        self.stage = Stage::Pausing;
        call(Pause::at_most(Timer::NotReady, retry_after))
    }

    fn job_done(&mut self, app: &mut App, card: Option<CardView>) -> Result<Step, Refusal> {
        if self.adds {
            // R10: from now on the card waits for its code, and leaving the app does no harm.
            app.adding = false;
            app.notice(Notice::Progress { percent: 100 });
        }
        self.card = card;
        match std::mem::replace(&mut self.hint, Hint::None).announcement(self.card.as_ref()) {
            Some(announcement) if app.link.up => {
                self.stage = Stage::Announcing;
                call(announcement)
            }
            _ => self.finish(),
        }
    }

    fn finish(&mut self) -> Result<Step, Refusal> {
        done(Value::Card(self.card.take()))
    }

    fn fail(&mut self, app: &mut App, refusal: Refusal) -> Result<Step, Refusal> {
        app.link.agreed = false;
        // R10: it has failed already; leaving the app now must not disturb the cleaning up.
        app.adding = false;
        match self.job {
            Some(job) => {
                self.stage = Stage::Cancelling(refusal);
                call(Ask(Request::CancelJob { job }))
            }
            None => self.close(app, refusal),
        }
    }

    /// An exchange may be unfinished: only a closed channel is in a known state.
    fn close(&mut self, app: &App, refusal: Refusal) -> Result<Step, Refusal> {
        if !app.link.up || !app.link.channel_open {
            return Err(refusal);
        }
        self.stage = Stage::Closing(refusal);
        call(Channel::Close)
    }
}

impl Resume for RunJob {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => match self.reply.take() {
                Some(reply) => self.replied(app, reply),
                None => Err(Refusal::Interrupted),
            },
            Stage::Opening => match wake.value() {
                Ok(_) => self.next_command(),
                Err(refusal) => self.fail(app, refusal),
            },
            Stage::Exchanging => match wake.answer() {
                Ok((data, sw)) => self.answered(data, sw),
                Err(refusal) => self.fail(app, refusal),
            },
            Stage::Posting => match wake.reply() {
                Ok(reply) => self.replied(app, reply),
                Err(refusal) => {
                    // A job the cloud has refused is gone; one whose answer was lost is not.
                    self.job = self.job.filter(|_| refusal == Refusal::Interrupted);
                    self.fail(app, refusal)
                }
            },
            Stage::Pausing => match (wake.value(), self.job) {
                (Ok(_), Some(job)) => {
                    self.stage = Stage::Posting;
                    call(Ask(Request::Continue { job }))
                }
                (result, _) => self.fail(app, result.err().unwrap_or(Refusal::Interrupted)),
            },
            // The menu is only a display: the card is what it is. A band that does not hear it will at the next one.
            Stage::Announcing => self.finish(),
            Stage::Cancelling(refusal) => {
                if let (Err(Refusal::Interrupted), Some(job)) = (wake.value(), self.job) {
                    app.cancel_later(job);
                }
                self.close(app, refusal)
            }
            Stage::Closing(refusal) => {
                if wake.value().is_err() {
                    app.disconnect();
                }
                Err(refusal)
            }
        }
    }
}

/// The vendor's app shows 1 to 40 while the secure element is prepared and the rest while the card is filled.
fn progress(batches: u16) -> u8 {
    u8::try_from(batches.saturating_mul(20)).unwrap_or(u8::MAX).clamp(1, 99)
}

/// Brings the band to what a request has already decided at the bank: runs its job when the band is there, else leaves it to
/// the next agreement. Ends with whether the band has it.
#[derive(Clone, Debug)]
pub(super) struct Settle {
    reply: Option<Reply>,
    hint: Hint,
    stage: Settling,
}

#[derive(Clone, Copy, Debug)]
enum Settling {
    Beginning,
    Running,
    Cancelling(JobId),
    Agreeing,
}

impl Settle {
    pub(super) const fn new(reply: Reply, hint: Hint) -> Self {
        Self { reply: Some(reply), hint, stage: Settling::Beginning }
    }

    fn begin(&mut self, app: &mut App) -> Result<Step, Refusal> {
        match self.reply.take() {
            Some(reply @ (Reply::Job { .. } | Reply::NotReady { .. } | Reply::JobDone { .. })) if app.is_agreed() => {
                self.stage = Settling::Running;
                call(RunJob::new(reply, std::mem::replace(&mut self.hint, Hint::None)))
            }
            Some(Reply::Job { job, .. } | Reply::NotReady { job, .. }) => {
                self.stage = Settling::Cancelling(job);
                call(Ask(Request::CancelJob { job }))
            }
            _ => self.agree(app),
        }
    }

    fn agree(&mut self, app: &mut App) -> Result<Step, Refusal> {
        app.link.agreed = false;
        self.stage = Settling::Agreeing;
        call(Ensure::new(Need::Agreed))
    }
}

impl Resume for Settle {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Settling::Beginning => self.begin(app),
            Settling::Running => match wake.value() {
                Ok(_) => done(Value::OnBand(true)),
                Err(_) if app.link.up => self.agree(app),
                Err(_) => done(Value::OnBand(false)),
            },
            Settling::Cancelling(job) => {
                if matches!(wake.value(), Err(Refusal::Interrupted)) {
                    app.cancel_later(job);
                }
                self.agree(app)
            }
            Settling::Agreeing => done(Value::OnBand(wake.value().is_ok())),
        }
    }
}

/// One command, with what every client does unseen: GET RESPONSE after 61xx, again with the right Le after 6Cxx.
#[derive(Clone, Debug)]
pub(super) struct Transmit {
    apdu: Vec<u8>,
    /// `None` for bytes that are no command: they are sent as they are, and their answer is whole.
    chain: Option<ResponseChain>,
}

impl Transmit {
    pub(super) fn new(apdu: Vec<u8>) -> Self {
        Self { chain: CApdu::decode(&apdu).ok().map(ResponseChain::new), apdu }
    }
}

impl Resume for Transmit {
    fn resume(&mut self, _: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if matches!(wake, Wake::Start) {
            return call(Channel::exchange(std::mem::take(&mut self.apdu)));
        }
        let answer = RApdu::decode(&wake.bytes()?).map_err(|_| Refusal::TransmitFailed)?;
        let RApdu { data, sw } = match self.chain.as_mut().map(|chain| chain.handle(answer.clone())) {
            Some(Next::Send(command)) => return call(Channel::exchange(command.encode())),
            Some(Next::Done(whole)) => whole,
            None => answer,
        };
        done(Value::Answer(data, sw.value()))
    }
}
