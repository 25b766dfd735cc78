//! Faults: what goes wrong, and at which point of a step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::At;
use super::units::DurationExpr;

/// A fault in one step. Counting starts with the step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The message is lost.
    Drop(FaultAt),
    /// The message comes twice.
    Duplicate(FaultAt),
    /// The message and the next one the same way change places.
    Reorder(FaultAt),
    /// The message comes late.
    Delay(DelayAt),
    /// One bit of the message is flipped.
    Corrupt(FaultAt),
    /// The link breaks instead of carrying the message.
    Disconnect(FaultAt),
    /// The band loses power: during the n-th write to its memory, or instead of a message. It is powered again after the step.
    PowerLoss(FaultAt),
    /// The app leaves the foreground just before the message or request (R10). It returns after the step.
    LeaveForeground(FaultAt),
    /// Somebody resets the band on the band itself, just after the message or before the request (R6).
    FactoryReset(FaultAt),
    /// The cloud is not reached by this request.
    CloudLost(FaultAt),
    /// The band leaves the reader's field instead of the byte.
    FieldLoss(FaultAt),
}

/// Where a fault strikes. Short form: `drop: to_band 3`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultAt {
    /// The point: `to_band 3`, `to_phone 7`, `nvm_write 4`, `request 2`, `contactless_byte 9`.
    pub at: At<Point>,
}

/// Where a message is held, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayAt {
    /// The point: `to_band 3`, `to_phone 7`.
    pub at: At<Point>,
    /// How long.
    pub by: At<DurationExpr>,
}

/// The kinds of fault, for a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The message is lost.
    Drop,
    /// The message comes twice.
    Duplicate,
    /// The message and the next one the same way change places.
    Reorder,
    /// One bit of the message is flipped.
    Corrupt,
    /// The link breaks instead of carrying the message.
    Disconnect,
    /// The band loses power.
    PowerLoss,
    /// The app leaves the foreground (R10).
    LeaveForeground,
    /// Somebody resets the band on the band itself (R6).
    FactoryReset,
    /// The cloud is not reached.
    CloudLost,
    /// The band leaves the reader's field.
    FieldLoss,
}

impl FaultKind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Corrupt => "corrupt",
            Self::Disconnect => "disconnect",
            Self::PowerLoss => "power_loss",
            Self::LeaveForeground => "leave_foreground",
            Self::FactoryReset => "factory_reset",
            Self::CloudLost => "cloud_lost",
            Self::FieldLoss => "field_loss",
        }
    }

    /// Where it can strike.
    #[must_use]
    pub const fn points(self) -> &'static [PointKind] {
        match self {
            Self::Drop | Self::Duplicate | Self::Reorder | Self::Corrupt | Self::Disconnect => {
                &[PointKind::ToBand, PointKind::ToPhone]
            }
            Self::PowerLoss => {
                &[PointKind::ToBand, PointKind::ToPhone, PointKind::NvmWrite, PointKind::ContactlessByte]
            }
            Self::FieldLoss => &[PointKind::ContactlessByte],
            Self::LeaveForeground | Self::FactoryReset => &[PointKind::ToBand, PointKind::ToPhone, PointKind::Request],
            Self::CloudLost => &[PointKind::Request],
        }
    }
}

/// What is counted to say when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// ATT writes from the phone to the band.
    ToBand,
    /// Notifications and answers from the band to the phone.
    ToPhone,
    /// Physical writes to the memories of the band.
    NvmWrite,
    /// Requests of the phone to the cloud.
    Request,
    /// Bytes between band and reader, either way, headers and checksums of ISO 14443-4 too.
    ContactlessByte,
}

/// One point: `to_band 3` is the third write to the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// What is counted.
    pub kind: PointKind,
    /// Which one, from 1.
    pub nth: u32,
}

/// Run the case once for every point at which a fault can strike in one step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The fault.
    pub fault: At<FaultKind>,
    /// The points: `every to_band`, `every to_phone`, `every nvm_write`, `every request`, `every contactless_byte`.
    pub at: At<Every>,
    /// The `id` of the step.
    pub during: At<String>,
}

/// `every to_band`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every(pub PointKind);
