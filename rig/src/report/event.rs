//! The only truth about a run. Text, JUnit, JSONL and every later report read these and nothing else.
//!
//! Times are virtual microseconds since the start of the case; nothing here depends on the wall clock, on the number of jobs or on
//! the machine, so the same seed gives the same bytes. Card numbers, track 2 and keys are masked before an event is made.

#![allow(missing_docs, reason = "fields of a variant are explained on the variant")]

use serde::{Deserialize, Serialize};

/// One thing that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The case: its place in file order, from 0.
    pub case: u32,
    /// Virtual microseconds since the start of the case.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Kind {
    /// A case starts. `id` is `file.yaml` or `file.yaml[k=v,…]` for a matrix row, relative to the scenario root.
    CaseStarted { id: String, title: String, rules: Vec<String>, tags: Vec<String>, seed: u64 },
    /// A step starts; `line` is 1-based in `file`.
    StepStarted { step: String, file: String, line: u32, text: String },
    /// A step ended as expected, or not.
    StepFinished { step: String, ok: bool, got: serde_json::Value },
    /// Phone ↔ band, one ATT operation or notification.
    Att { op: AttOp, characteristic: String, hex: String, ok: bool },
    /// One whole APDU exchange, on whichever way it went; without a response when the band left before it had answered.
    Apdu { via: Via, command: String, response: String },
    /// Phone → cloud → phone.
    Cloud { request: String, reply: String },
    /// The bank's message to the phone.
    Sms { account: String, text: String },
    /// The app shows something.
    App { text: String },
    /// The band shows or reports something.
    Band { text: String },
    /// The terminal decided something.
    Terminal { step: String, text: String },
    /// A fault struck.
    Fault { text: String },
    /// One point of a sweep ended. `point` from 0, of `of`.
    SweepPoint { point: u32, of: u32, fault: String, ok: bool },
    /// A case ended.
    CaseFinished { verdict: Verdict, reason: Option<Box<Reason>>, sweep_points: u32 },
}

/// An ATT operation, named from the phone's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttOp {
    /// Connected.
    Connect,
    /// The link is gone.
    Disconnect,
    /// Subscribe to notifications.
    Subscribe,
    /// Read.
    Read,
    /// Write with response.
    Write,
    /// Write without response.
    WriteCommand,
    /// Band to phone.
    Notify,
}

/// The way an APDU took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The NFC channel on H:0011.
    NfcChannel,
    /// The contactless field.
    Contactless,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// The world stood in the way, not the rule.
    Broken,
    /// Not run, and why.
    Skipped,
}

impl Verdict {
    /// Whether somebody has to look at it: `--fail-fast` stops there, and what led to it is written down.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Failed | Self::Broken)
    }
}

/// Why a case did not pass: all a report needs to show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// One sentence.
    pub message: String,
    /// The file, relative to the scenario root, where it went wrong.
    pub file: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column.
    pub column: u32,
    /// Length of the marked text, in characters; at least 1.
    pub length: u32,
    /// The source line.
    pub source: String,
    /// What was expected, one per line.
    pub expected: String,
    /// What came, one per line.
    pub got: String,
    /// The data objects of both sides, one per line, where bytes differ that hold some.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub objects: String,
    /// What else the same step brought that was not expected: place, field, expected, got.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// The fault in force when a sweep point failed.
    pub sweep: Option<String>,
    /// The rules of the case.
    pub rules: Vec<String>,
    /// The last exchanges, in words, oldest first.
    pub last_exchanges: Vec<String>,
    /// The one command that repeats it.
    pub repeat_with: String,
    /// What also went wrong in `finally`.
    pub also: Vec<String>,
}
