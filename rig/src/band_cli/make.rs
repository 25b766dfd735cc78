//! Which band this is: a new one with its cards, or the one of a state file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, CardState};
use band_sim::card::Interface as CardInterface;
use band_sim::edge::drive::Handle;
use band_sim::rng::Rng;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::hex::Hex;

use super::state::{Keeper, State};
use super::{Cli, Interface, Trouble, cards, say};
use crate::station::fixtures::{self, Fixtures};
use crate::yaml;

/// What the place where it appears makes of a band.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The address of the adapter.
    pub(super) address: Option<[u8; 6]>,
    /// The key that was given from outside.
    pub(super) key: Option<AuthKey>,
}

/// Where the band's key comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    /// There is none: a phone must pair.
    None,
    /// It was given and may be a secret.
    Given,
    /// It is as the band was left; one that was given is for a new band.
    Kept(Option<AuthKey>),
    /// It was made here, from the seed.
    Made(AuthKey),
}

/// A band that is ready to run.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) band: Band,
    /// Where its memory is kept.
    pub(super) state: Option<Keeper>,
    /// Its key.
    pub(super) key: Key,
    /// Randomness for what stands around it.
    pub(super) rng: Rng,
}

/// Makes the band, or takes it up from its state file.
pub(super) fn make(cli: &Cli, place: &Place, epoch_unix_us: i64) -> Result<Made, Trouble> {
    let stored = cli.state.as_deref().map(State::load).transpose()?.flatten();
    let is_new = stored.is_none();
    let (mut band, state) = match stored {
        Some(state) => {
            let state = state.started_again().moved_to(place.address);
            (state.band(epoch_unix_us), state)
        }
        None => make_new(cli, place, epoch_unix_us)?,
    };
    // What became of it since is the phone's and the wearer's doing: a reset forgets it, the next phone makes another one.
    if is_new && let Some(key) = &place.key {
        band.set_key(key);
    }
    let key = match (band.key(), &place.key) {
        (key, _) if !is_new => Key::Kept(key),
        (None, _) => Key::None,
        (Some(_), Some(_)) => Key::Given,
        (Some(key), None) => Key::Made(key),
    };
    let interface = match cli.interface {
        Interface::Contactless => CardInterface::Contactless,
        Interface::Contact => CardInterface::Contact,
    };
    let rng = state.rng();
    let state = cli.state.as_ref().map(|path| Keeper::new(path.clone(), state));
    Ok(Made { band: band.behind_reader(interface), state, key, rng })
}

fn make_new(cli: &Cli, place: &Place, epoch_unix_us: i64) -> Result<(Band, State), Trouble> {
    let mut fixtures = load_fixtures(cli)?;
    let profile = find_profile(&cli.profile, &fixtures)?;
    let state = State::new(&profile, cli.seed).moved_to(place.address);
    let profile = state.profile();
    if cli.cards.is_empty() {
        return Ok((Band::new(profile, state.band_rng(), epoch_unix_us), state));
    }
    let cards = cards::find(&cli.cards, &mut fixtures)?;
    let band = cards::personalise(&cards, &fixtures, profile, &state.rng(), epoch_unix_us)?;
    Ok((band, state))
}

fn load_fixtures(cli: &Cli) -> Result<Fixtures, Trouble> {
    let beside_program = || std::env::current_exe().ok().map(|program| fixtures::find_root(&program));
    let folder = match &cli.fixtures {
        Some(folder) => folder.clone(),
        None => [Some(fixtures::find_root(Path::new("."))), beside_program()]
            .into_iter()
            .flatten()
            .find(|folder| folder.join("profiles").is_dir())
            .unwrap_or_else(|| PathBuf::from("fixtures")),
    };
    Fixtures::load(&folder).map_err(|error| Trouble::Input(error.to_string()))
}

fn find_profile(word: &str, fixtures: &Fixtures) -> Result<Arc<BandProfile>, Trouble> {
    if let Some(profile) = fixtures.profiles.get(word) {
        return Ok(Arc::clone(profile));
    }
    if Path::new(word).extension().is_none() {
        let known = fixtures.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Trouble::Input(format!("no band `{word}` among the fixtures; there are {known}, and files")));
    }
    let text = std::fs::read_to_string(word)
        .map_err(|error| Trouble::Input(format!("failed to read the profile {word}: {error}")))?;
    let profile = yaml::from_str(&text)
        .map_err(|message| Trouble::Input(format!("failed to use the profile {word}: {message}")))?;
    Ok(Arc::new(profile))
}

/// Says who the band is and what is in it. A key from outside is never shown.
pub(super) fn introduce(handle: &Handle, key: &Key) {
    handle.inspect(|band| {
        let identity = &band.profile().identity;
        let address = identity.address().map(|byte| format!("{byte:02X}")).join(":");
        say(&format!("band: {}, {address}, serial {}", identity.name.value, identity.serial_ble.value));
        match key {
            Key::None => say("key: none yet, a phone must pair"),
            Key::Given => say("key: the one it was given"),
            Key::Kept(None) => say("key: none, as it was left; a phone must pair"),
            Key::Kept(Some(_)) => say("key: the one it had when it was left"),
            Key::Made(key) => say(&format!("key: {} (a test key, from the seed)", Hex(key.0.to_vec()))),
        }
        for (position, card) in band.card_list().iter().enumerate() {
            let number = card.last4.as_ref().map_or_else(String::new, |last4| format!(" **** {last4}"));
            say(&format!("card {}: {}{number}, {}, AID {}", position + 1, card.name, word(card.state), card.aid));
        }
    });
}

const fn word(state: CardState) -> &'static str {
    match state {
        CardState::Unfinished => "unfinished",
        CardState::Locked => "locked",
        CardState::NotActivatable => "not confirmed",
        CardState::Deactivated => "switched off",
        CardState::Activated => "active",
    }
}
