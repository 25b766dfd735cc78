//! What a station offers: its capabilities, its clock and the settings it makes its own.
//!
//! A scenario never says on which station it runs. What it needs is read from its steps, and a case that needs more than the
//! station has is skipped with that reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::units::Setting;

/// One thing that a station can do and another cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Time is the station's own: it passes only when nothing else is left to do, and to the microsecond.
    VirtualTime,
    /// Every case says at which date it starts.
    SetsClock,
    /// The bank and the token service behind the phone hold the keys of this band: cards can be put into it.
    Cloud,
    /// The band may be linked to other accounts, unlinked and reset: nobody's own band.
    SwapAccount,
    /// The phone is linked to the band: anew in every case, or with the key that the band has already.
    Linked,
    /// Every case gets a band as it left the factory, with the settings the case states and the data its profile states.
    NewBand,
    /// Messages can be lost, doubled, held and broken, and power can fail at a chosen moment.
    InjectFaults,
    /// Requests to the cloud can be lost, and the app can leave the foreground, at a chosen moment.
    PhoneFaults,
    /// The state before a step can be kept and gone on from many times.
    Sweep,
    /// The time a message takes on the links can be chosen.
    LinkSettings,
    /// Somebody or something presses the band's keys.
    PressKeys,
    /// The band's power can be cut and restored.
    CutPower,
    /// The band can be taken out of the phone's reach and brought back.
    Reach,
    /// There is a reader to hold the band to.
    Contactless,
    /// What terminal and band tell each other can be changed on the way.
    ManInTheMiddle,
    /// Any bytes can be sent in the field. A PC/SC reader passes nothing on that is shorter than a header, and takes class FF for itself
    /// (PC/SC part 3, 3.2.2).
    AnyBytes,
    /// The band's own list of cards, its applets and its pairing can be looked at from inside.
    LookInside,
    /// A digest of the band's memories can be taken.
    SeeMemory,
    /// The band may be sent bytes that could harm it.
    Hostile,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::VirtualTime,
        Self::SetsClock,
        Self::Cloud,
        Self::SwapAccount,
        Self::Linked,
        Self::NewBand,
        Self::InjectFaults,
        Self::PhoneFaults,
        Self::Sweep,
        Self::LinkSettings,
        Self::PressKeys,
        Self::CutPower,
        Self::Reach,
        Self::Contactless,
        Self::ManInTheMiddle,
        Self::AnyBytes,
        Self::LookInside,
        Self::SeeMemory,
        Self::Hostile,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::VirtualTime => "virtual_time",
            Self::SetsClock => "sets_clock",
            Self::Cloud => "cloud",
            Self::SwapAccount => "swap_account",
            Self::Linked => "linked",
            Self::NewBand => "new_band",
            Self::InjectFaults => "inject_faults",
            Self::PhoneFaults => "phone_faults",
            Self::Sweep => "sweep",
            Self::LinkSettings => "link_settings",
            Self::PressKeys => "press_keys",
            Self::CutPower => "cut_power",
            Self::Reach => "reach",
            Self::Contactless => "contactless",
            Self::ManInTheMiddle => "man_in_the_middle",
            Self::AnyBytes => "any_bytes",
            Self::LookInside => "look_inside",
            Self::SeeMemory => "see_memory",
            Self::Hostile => "hostile",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a station offers to every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the command line calls the station.
    pub name: String,
    /// What it can do.
    pub can: BTreeSet<Capability>,
    /// Settings that are the station's where the case states none of its own: a station on the wall clock cannot wait ten minutes for
    /// a code to expire.
    pub settings: BTreeMap<Setting, Duration>,
    /// The finest length of time that means something here, when time is not virtual.
    pub clock: Duration,
    /// The longest that the steps of one case may ask it to wait, when time is not virtual.
    pub longest_wait: Duration,
}

impl Offer {
    /// Whether it can.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.can.contains(&capability)
    }
}
