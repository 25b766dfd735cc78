//! What may carry APDUs between the terminal and the band in the place of function calls, in a station whose time is virtual.
//!
//! The band stays where it is, in the world. A carrier takes a command out of the process (through a real reader, say), brings
//! back what arrives at the card's end, and takes the card's answer the same way home. All of that happens in no time.

use std::fmt;

/// What arrives at the card's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToCard {
    /// The reader gives power, or takes it.
    Power(bool),
    /// A command.
    Command(Vec<u8>),
}

/// The card's end: an answer to a command, `None` for anything else and for a card that is gone.
pub type CardEnd<'a> = &'a mut dyn FnMut(ToCard) -> Option<Vec<u8>>;

/// Carries APDUs. One tap at a time: another one waits.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// The band is held to the reader.
    ///
    /// # Errors
    /// What is in the way and what to do about it.
    fn begin(&self, card: CardEnd<'_>) -> Result<Box<dyn Passage>, String>;
}

/// One tap. Dropping it takes the band away.
pub trait Passage: fmt::Debug + Send {
    /// Sends a command; its answer, or `None` when the card left.
    ///
    /// # Errors
    /// What is in the way and what to do about it.
    fn exchange(&mut self, command: &[u8], card: CardEnd<'_>) -> Result<Option<Vec<u8>>, String>;
}

/// The tap that is under way in a world. A copy of the world has none: copies are made between actions.
#[derive(Debug, Default)]
pub(super) struct UnderWay(pub(super) Option<Box<dyn Passage>>);

impl Clone for UnderWay {
    fn clone(&self) -> Self {
        Self(None)
    }
}
