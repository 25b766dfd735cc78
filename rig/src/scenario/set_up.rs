//! From what a scenario gives to a world: the settings of a file laid over those of the fixtures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use band_sim::band::Band;
use band_sim::band::period::Period;
use band_sim::band::profile::BandProfile;
use band_sim::card::profile::PpseLists;
use band_sim::rng::Rng;
use band_sim::wire::frame::auth::Dialect;

use super::file::{self, Case, Given};
use super::perform::{Broken, Stage};
use super::run;
use super::span::At;
use super::units::{DurationExpr, Setting};
use crate::cloud::bank::{BankSettings, OldServicePayments, Suspension};
use crate::cloud::scp03_host::{AesKey, IsdKeys};
use crate::cloud::unit::UnitRecord;
use crate::cloud::{Cloud, CloudConfig};
use crate::link::in_process::Timing;
use crate::phone::{Phone, PhoneConfig};
use crate::station::World as CaseWorld;
use crate::station::embedded::{Parts, World};
use crate::station::fixtures::Fixtures;
use crate::station::recorder::Recorder;

/// One way through the network. No source states it: `assumed`.
const NETWORK: Duration = Duration::from_millis(40);

/// How fast a person taps the band that asks. `assumed`.
const REACTION: Duration = Duration::from_secs(1);

/// The stage of a case at its first step. Where the station takes over, what is given is brought about in no time in an embedded world,
/// and the phone then meets its band there, unless it has no part in the case: a connection takes longer than a payment.
///
/// # Errors
/// What stands in the way, with the stage where there is one.
pub(super) fn stage(
    case: &Case,
    setting: &run::Setting,
    rng: &Rng,
    mut recorder: Recorder,
) -> Result<Stage, (Broken, Option<Box<Stage>>)> {
    let nothing_yet = |broken| (broken, None);
    let (ground, settings) = ground(case, setting).map_err(nothing_yet)?;
    recorder.follow(ground.profile.nfc_channel.framing());
    let heir = setting.station.takes_over().filter(|_| case.given.links_the_band());
    let opened = match heir {
        Some(_) => Ok(Box::new(hasty_world(ground.clone(), rng, recorder)) as Box<dyn CaseWorld>),
        None => setting.station.open(ground.clone(), rng, recorder),
    };
    let world = opened.map_err(|trouble| nothing_yet(trouble.into()))?;
    let mut stage = Stage::new(case, Arc::clone(&setting.fixtures), world, settings);
    if let Err(broken) = stage.bring_about(case) {
        return Err((broken, Some(Box::new(stage))));
    }
    let Some(heir) = heir else { return Ok(stage) };
    let mut stage = stage.moved(|roles| heir.take_over(ground, rng, roles)).map_err(nothing_yet)?;
    if case.steps.iter().chain(&case.finally).all(|step| step.verb.passes_the_phone_by()) {
        return Ok(stage);
    }
    match stage.meet_the_band() {
        Ok(()) => Ok(stage),
        Err(broken) => Err((broken, Some(Box::new(stage)))),
    }
}

/// What a case stands on, and the settings that its durations may be written against.
fn ground<'a>(case: &Case, setting: &'a run::Setting) -> Result<(Ground<'a>, BTreeMap<Setting, Duration>), Broken> {
    let given = &case.given;
    let (fixtures, station) = (&setting.fixtures, &setting.station);
    let own = &station.offer().settings;
    let profile = profile(given, fixtures, own)?;
    let settings = settings(given, &profile, own)?;
    let bank = bank(given, &settings);
    let epoch_unix_us = given.date.value.0.as_microsecond();
    let phone = PhoneConfig { epoch_unix_us, ..phone(given, &settings, own) };
    let timing = timing(given, &settings)?;
    let network = match &given.link.cloud_latency {
        Some(latency) => evaluate(latency, &settings)? / 2,
        None => NETWORK,
    };
    let ground = Ground { fixtures, profile, bank, phone, timing, network, reaction: REACTION, epoch_unix_us };
    Ok((ground, settings))
}

/// What a world stands on.
#[derive(Clone, Debug)]
pub struct Ground<'a> {
    /// Card products, accounts and keys.
    pub fixtures: &'a Fixtures,
    /// The band.
    pub profile: Arc<BandProfile>,
    /// The bank's settings.
    pub bank: BankSettings,
    /// The phone's settings.
    pub phone: PhoneConfig,
    /// The link's timing.
    pub timing: Timing,
    /// One way through the network.
    pub network: Duration,
    /// How fast a person taps the band that asks.
    pub reaction: Duration,
    /// Microseconds since 1970 at power-on.
    pub epoch_unix_us: i64,
}

impl<'a> Ground<'a> {
    /// What a case stands on that states nothing but its band and its date.
    #[must_use]
    pub fn usual(fixtures: &'a Fixtures, profile: Arc<BandProfile>, epoch_unix_us: i64) -> Self {
        Self {
            fixtures,
            profile,
            bank: BankSettings::default(),
            phone: PhoneConfig { epoch_unix_us, ..PhoneConfig::default() },
            timing: Timing::default(),
            network: NETWORK,
            reaction: REACTION,
            epoch_unix_us,
        }
    }
}

/// A world of the embedded station at power-on.
#[must_use]
pub fn world(ground: Ground<'_>, rng: &Rng, mut recorder: Recorder) -> World {
    World::new(parts(ground, rng, &mut recorder), recorder)
}

/// The same, with the band that a station has which takes over, and in no time: its clock goes on from there.
fn hasty_world(ground: Ground<'_>, rng: &Rng, mut recorder: Recorder) -> World {
    let timing = Timing { latency: Duration::ZERO, connect: Duration::ZERO, ..ground.timing };
    let ground = Ground { timing, network: Duration::ZERO, reaction: Duration::ZERO, ..ground };
    World::new(parts_around(ground, Rng::new(band_seed(rng)), rng, &mut recorder), recorder)
}

/// The seed of a band that is made elsewhere.
#[must_use]
pub fn band_seed(rng: &Rng) -> u64 {
    rng.fork("band").next_u64()
}

/// All roles at power-on; what must never be shown is hidden in the recorder.
#[must_use]
pub fn parts(ground: Ground<'_>, rng: &Rng, recorder: &mut Recorder) -> Parts {
    parts_around(ground, rng.fork("band"), rng, recorder)
}

fn parts_around(ground: Ground<'_>, band: Rng, rng: &Rng, recorder: &mut Recorder) -> Parts {
    let band = Band::new(Arc::clone(&ground.profile), band, ground.epoch_unix_us);
    let (cloud, phone) = roles(&ground, band.card().cplc(), rng, recorder);
    let Ground { profile, timing, network, reaction, epoch_unix_us, .. } = ground;
    Parts { profile, band, cloud, phone, timing, network, reaction, epoch_unix_us, rng: rng.clone() }
}

/// The roles around a band with this card production life cycle data; what must never be shown is hidden in the recorder.
#[must_use]
pub fn roles(ground: &Ground<'_>, cplc: &[u8], rng: &Rng, recorder: &mut Recorder) -> (Cloud, Phone) {
    let fixtures = ground.fixtures;
    let config = CloudConfig {
        accounts: fixtures.accounts.clone(),
        products: fixtures.products.values().cloned().collect(),
        card_keys: fixtures.card_keys.clone(),
        bank: ground.bank.clone(),
        units: unit(&ground.profile, cplc).into_iter().collect(),
        pairing_key: fixtures.pairing_key.clone(),
        warranty: fixtures.warranty.clone(),
        epoch_unix_us: ground.epoch_unix_us,
    };
    let cloud = Cloud::new(config, rng.fork("cloud"));
    recorder.hide(&cloud);
    (cloud, Phone::new(ground.phone.clone(), rng.fork("phone")))
}

/// What the token service manager knows of a secure element; `None` when its keys are no AES keys.
fn unit(profile: &BandProfile, cplc: &[u8]) -> Option<UnitRecord> {
    let domain = &profile.secure_element.issuer_security_domain;
    let keys = &domain.keys.value;
    let keys = IsdKeys {
        version: domain.key_version.value,
        enc: AesKey::new(&keys.enc.0)?,
        mac: AesKey::new(&keys.mac.0)?,
        dek: AesKey::new(&keys.dek.0)?,
    };
    Some(UnitRecord { cplc: cplc.to_vec().into(), keys, scp03_i: domain.scp03_i.value.0 })
}

fn profile(given: &Given, fixtures: &Fixtures, own: &BTreeMap<Setting, Duration>) -> Result<Arc<BandProfile>, Broken> {
    let name = &given.band.value;
    let profile = fixtures.profiles.get(name).ok_or_else(|| Broken(format!("no band `{name}` among the fixtures")))?;
    let settings = &given.band_settings;
    let pairing_timeout = own.get(&Setting::PairingTimeout).filter(|_| settings.pairing_timeout.is_none());
    if *settings == file::BandSettings::default() && pairing_timeout.is_none() {
        return Ok(Arc::clone(profile));
    }
    let mut profile = BandProfile::clone(profile);
    if let Some(wipes) = settings.factory_reset_wipes_cards {
        profile.behaviour.factory_reset_wipes_cards.value = wipes;
    }
    if let Some(lists) = settings.ppse_lists {
        profile.secure_element.ppse.lists.value = match lists {
            file::PpseLists::All => PpseLists::All,
            file::PpseLists::DefaultOnly => PpseLists::DefaultOnly,
        };
    }
    if let Some(timeout) = &settings.pairing_timeout {
        let timeout = evaluate(timeout, &BTreeMap::new())?;
        profile.authentication.confirm_timeout.value = Period(timeout);
    }
    if let Some(timeout) = pairing_timeout {
        profile.authentication.confirm_timeout.value = Period(*timeout);
    }
    Ok(Arc::new(profile))
}

/// The settings that a duration of the file may be written against: those that the file states, else the station's own.
fn settings(
    given: &Given,
    profile: &BandProfile,
    own: &BTreeMap<Setting, Duration>,
) -> Result<BTreeMap<Setting, Duration>, Broken> {
    let timeouts = PhoneConfig::default().timeouts;
    let mut settings = BTreeMap::from([
        (Setting::CodeValidFor, BankSettings::default().code_valid_for),
        (Setting::ForegroundGrace, PhoneConfig::default().foreground_grace),
        (Setting::PairingTimeout, profile.authentication.confirm_timeout.value.0),
        (Setting::ApduTimeout, timeouts.exchange),
        (Setting::DataRetryAfter, timeouts.not_ready),
    ]);
    settings.extend(own.iter().filter(|(setting, _)| !states_pairing(given, **setting)));
    for (setting, stated) in
        [(Setting::CodeValidFor, &given.bank.code_valid_for), (Setting::ForegroundGrace, &given.phone.foreground_grace)]
    {
        if let Some(stated) = stated {
            let value = evaluate(stated, &settings)?;
            settings.insert(setting, value);
        }
    }
    Ok(settings)
}

/// Whether this is the timeout of a pairing and the file states it: the profile has it already.
const fn states_pairing(given: &Given, setting: Setting) -> bool {
    matches!(setting, Setting::PairingTimeout) && given.band_settings.pairing_timeout.is_some()
}

fn evaluate(of: &At<DurationExpr>, settings: &BTreeMap<Setting, Duration>) -> Result<Duration, Broken> {
    of.value.evaluate(|setting| settings.get(&setting).copied().unwrap_or_default()).ok_or_else(|| {
        Broken(format!("{}: a length of time is negative or endless under the settings in force", of.span))
    })
}

fn bank(given: &Given, settings: &BTreeMap<Setting, Duration>) -> BankSettings {
    let stated = &given.bank;
    let mut bank = BankSettings::default();
    bank.code_valid_for = settings.get(&Setting::CodeValidFor).copied().unwrap_or(bank.code_valid_for);
    bank.code_requests = stated.code_requests.as_ref().map_or(bank.code_requests, |it| it.value);
    bank.code_attempts = stated.code_attempts.as_ref().map_or(bank.code_attempts, |it| it.value);
    bank.new_code_replaces_old = stated.new_code_replaces_old.unwrap_or(bank.new_code_replaces_old);
    bank.data_retry_after = settings.get(&Setting::DataRetryAfter).copied().unwrap_or(bank.data_retry_after);
    bank.data_not_ready_times = stated.data_not_ready_times.as_ref().map_or(bank.data_not_ready_times, |it| it.value);
    bank.max_cards = stated.card_limit.as_ref().map_or(bank.max_cards, |it| it.value);
    bank.old_service_payments = match stated.old_service_payments {
        None => bank.old_service_payments,
        Some(file::OldServicePayments::Declined) => OldServicePayments::Declined,
        Some(file::OldServicePayments::Allowed) => OldServicePayments::Allowed,
    };
    bank.suspension = match stated.suspension {
        None => bank.suspension,
        Some(file::Suspension::Deactivates) => Suspension::Deactivates,
        Some(file::Suspension::BlocksApplication) => Suspension::BlocksApplication,
    };
    bank
}

fn phone(given: &Given, settings: &BTreeMap<Setting, Duration>, own: &BTreeMap<Setting, Duration>) -> PhoneConfig {
    let mut phone = PhoneConfig::default();
    phone.app_version = given.phone.app_version.as_ref().map_or(phone.app_version, |version| version.value.0);
    phone.foreground_grace = settings.get(&Setting::ForegroundGrace).copied().unwrap_or(phone.foreground_grace);
    let timeouts = &mut phone.timeouts;
    timeouts.exchange = settings.get(&Setting::ApduTimeout).copied().unwrap_or(timeouts.exchange);
    timeouts.not_ready = settings.get(&Setting::DataRetryAfter).copied().unwrap_or(timeouts.not_ready);
    // Where nobody can wait for long, the app gives up when the band does.
    let band_gives_up = settings.get(&Setting::PairingTimeout).filter(|_| own.contains_key(&Setting::PairingTimeout));
    timeouts.tap = band_gives_up.copied().unwrap_or(timeouts.tap);
    phone.dialect = match given.phone.dialect {
        None => phone.dialect,
        Some(file::Dialect::Open) => Dialect::Plain,
        Some(file::Dialect::Vendor) => Dialect::Crypt,
    };
    phone
}

fn timing(given: &Given, settings: &BTreeMap<Setting, Duration>) -> Result<Timing, Broken> {
    let mut timing = Timing::default();
    if let Some(latency) = &given.link.latency {
        timing.latency = evaluate(latency, settings)?;
    }
    if let Some(mtu) = &given.link.mtu {
        timing.mtu = mtu.value;
    }
    Ok(timing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_waits_for_a_tap_no_longer_than_a_station_that_cannot_wait() {
        let own = BTreeMap::from([(Setting::PairingTimeout, Duration::from_secs(3))]);
        type Settings = BTreeMap<Setting, Duration>;
        let tap = |settings: &Settings, own: &Settings| phone(&Given::default(), settings, own).timeouts.tap;
        assert_eq!(tap(&own, &own), Duration::from_secs(3));
        // As the case states it, where it does.
        assert_eq!(
            tap(&Settings::from([(Setting::PairingTimeout, Duration::from_secs(5))]), &own),
            Duration::from_secs(5)
        );
        // The protocol's own patience everywhere else.
        assert_eq!(tap(&own, &Settings::new()), PhoneConfig::default().timeouts.tap);
    }
}
