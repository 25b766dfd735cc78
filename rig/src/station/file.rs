//! A station file: what stands where, in YAML.
//!
//! ```yaml
//! band: embedded               # in process, under virtual time
//! tap:
//!   pcsc:
//!     reader: Virtual PCD 00 00
//!     plug: { port: 35963 }    # the band lies in the virtual reader (vpcd) at this port
//! ```
//!
//! ```yaml
//! band: simulated              # a `band` in a process of its own; `real` for one of plastic
//! phone: { ble: { adapter: hci0, address: "00:AA:01:01:00:01" } }
//! tap: { pcsc: { reader: Virtual PCD 00 00 } }
//! hands: { control: /run/bandrig/band.sock }      # or `operator`: a person is asked
//! settings: { code_valid_for: 4s }                # the station's own, where a case states none
//! longest_wait: 12s
//! ```
//!
//! ```yaml
//! band: real
//! key: { env: BAND_KEY }       # or `file: PATH`; the key itself never stands here
//! phone: { ble: { adapter: hci0, name: Mi Smart Band 4 } }       # or by `address` or `service`; all that is given must be so
//! tap: { pcsc: { reader: ACS ACR122U } }
//! hands: operator
//! lacks: [reach]               # what this bench cannot do although others can
//! ```
//!
//! ```yaml
//! band: real                   # only a reader, in which the band lies already
//! tap: { pcsc: { reader: ACS ACR122U } }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use band_sim::band::period::Period;
#[cfg_attr(not(all(feature = "bluez", feature = "pcsc")), cfg(test))]
use band_sim::wire::frame::auth::AuthKey;
#[cfg_attr(not(all(feature = "bluez", feature = "pcsc")), cfg(test))]
use band_sim::wire::hex::Hex;
use serde::Deserialize;

use super::offer::{Capability, Offer};
use super::{Embedded, Station};
use crate::scenario::error::FileError;
use crate::scenario::load;
use crate::scenario::units::Setting;

/// The finest length of time that means something over links and through programs that are somebody else's. *Assumed.*
#[cfg_attr(
    not(all(feature = "bluez", feature = "pcsc")),
    allow(dead_code, reason = "only a band with links of its own has an offer")
)]
const CLOCK: Duration = Duration::from_millis(500);
/// How long to listen for the band.
#[cfg(all(feature = "bluez", feature = "pcsc"))]
const HEARD_WITHIN: Duration = Duration::from_secs(30);
/// How long the steps of one case may wait when the file does not say. *Assumed.*
#[cfg_attr(
    not(all(feature = "bluez", feature = "pcsc")),
    allow(dead_code, reason = "only a band with links of its own has an offer")
)]
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A station as its file states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StationFile {
    band: BandPlace,
    #[serde(default)]
    phone: Option<PhonePlace>,
    #[serde(default)]
    key: Option<KeyPlace>,
    #[serde(default)]
    tap: Option<TapPlace>,
    #[serde(default)]
    lacks: BTreeSet<Capability>,
    #[serde(default)]
    hands: Option<HandsPlace>,
    #[serde(default)]
    settings: Settings,
    #[serde(default)]
    longest_wait: Option<Period>,
}

/// Where the band is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BandPlace {
    /// In process, under virtual time.
    Embedded,
    /// In a process of its own, with a control socket.
    Simulated,
    /// Of plastic.
    Real,
}

/// How the phone reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum PhonePlace {
    /// Through BlueZ.
    Ble(BlePlace),
}

/// An adapter, and the band as it is seen from there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlePlace {
    /// The adapter, by name or by address.
    adapter: String,
    /// The band's address, as it is printed.
    #[serde(default)]
    address: Option<String>,
    /// The name it advertises.
    #[serde(default)]
    name: Option<String>,
    /// A service it advertises: `FEE0`, or all of a UUID.
    #[serde(default)]
    service: Option<String>,
    /// Whether a link is dropped by switching the adapter off: two seconds faster, for an adapter that has no other links.
    #[serde(default)]
    switch_off: bool,
}

/// Where the key is that a real band shares with its phone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum KeyPlace {
    /// In a file, beside the station file unless its path is absolute.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// Where taps are done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TapPlace {
    /// At a PC/SC reader.
    Pcsc(PcscPlace),
}

/// A PC/SC reader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PcscPlace {
    /// Its name, or a part of it that no other reader's name has.
    reader: String,
    /// Where the virtual reader is into which the rig puts the band itself; for a band in process.
    #[serde(default)]
    plug: Option<PlugPlace>,
}

/// The network side of the virtual reader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlugPlace {
    #[serde(default = "localhost")]
    host: String,
    port: u16,
}

fn localhost() -> String {
    "localhost".to_owned()
}

/// Whose hands are on the band.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum HandsPlace {
    /// The control socket of a `band`.
    Control(PathBuf),
    /// A person at this terminal.
    Operator,
}

/// Settings that are the station's own, where a case states none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    code_valid_for: Option<Period>,
    foreground_grace: Option<Period>,
    pairing_timeout: Option<Period>,
    apdu_timeout: Option<Period>,
    data_retry_after: Option<Period>,
}

impl Settings {
    #[cfg_attr(
        not(all(feature = "bluez", feature = "pcsc")),
        allow(dead_code, reason = "only a band with links of its own has an offer")
    )]
    fn stated(self) -> BTreeMap<Setting, Duration> {
        [
            (Setting::CodeValidFor, self.code_valid_for),
            (Setting::ForegroundGrace, self.foreground_grace),
            (Setting::PairingTimeout, self.pairing_timeout),
            (Setting::ApduTimeout, self.apdu_timeout),
            (Setting::DataRetryAfter, self.data_retry_after),
        ]
        .into_iter()
        .filter_map(|(setting, stated)| Some((setting, stated?.0)))
        .collect()
    }
}

/// Why there is no station.
#[derive(Debug)]
pub enum OpenError {
    /// The file is wrong: its author must act.
    File(Vec<FileError>),
    /// The world stands in its way, in words.
    Trouble(String),
}

/// The station of a file, up and ready.
///
/// # Errors
/// What is wrong with the file, or what stands in the station's way.
pub fn open(path: &Path) -> Result<Arc<dyn Station>, OpenError> {
    let failed = |what: String| format!("failed to use the station file {}: {what}", path.display());
    let file: StationFile = load::values(path).map_err(OpenError::File)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let opened = match file.band {
        BandPlace::Embedded => embedded(name, file).map_err(failed),
        BandPlace::Simulated | BandPlace::Real => live(name, file, path),
    };
    opened.map_err(OpenError::Trouble)
}

/// A file whose band is in process may say how it is tapped, and nothing else.
fn embedded(name: String, file: StationFile) -> Result<Arc<dyn Station>, String> {
    if file.phone.is_some() || file.hands.is_some() || file.key.is_some() {
        return Err("a band in process has its phone and its hands in process: drop `phone`, `hands` and `key`".into());
    }
    if !file.lacks.is_empty() {
        return Err("a band in process can do everything: drop `lacks`".into());
    }
    if file.settings != Settings::default() || file.longest_wait.is_some() {
        return Err("a band in process has virtual time: drop `settings` and `longest_wait`".into());
    }
    match file.tap {
        None => Ok(Arc::new(Embedded::default())),
        Some(TapPlace::Pcsc(PcscPlace { reader, plug: Some(plug) })) => plugged(name, reader, plug),
        Some(TapPlace::Pcsc(_)) => {
            Err("a band in process is put into a virtual reader: say where, `plug: { port: 35963 }`".into())
        }
    }
}

#[cfg(all(feature = "pcsc", feature = "vpcd"))]
fn plugged(name: String, reader: String, plug: PlugPlace) -> Result<Arc<dyn Station>, String> {
    use crate::link::danger::Permits;
    use crate::link::pcsc::Config;
    // The card in there is the rig's own.
    let reader = Config { permits: Permits::everything(), ..Config::new(reader) };
    let plug = band_sim::edge::vpcd::Config {
        host: plug.host,
        port: plug.port,
        ..band_sim::edge::vpcd::Config::new(band_sim::rng::Rng::new(0))
    };
    let carrier = super::plugged::Plugged::start(reader, plug)?;
    Ok(Arc::new(Embedded::with_carrier(name, Arc::new(carrier))))
}

#[cfg(not(all(feature = "pcsc", feature = "vpcd")))]
fn plugged(_: String, _: String, _: PlugPlace) -> Result<Arc<dyn Station>, String> {
    Err("this bandrig was built without PC/SC; install libpcsclite-dev and build it with `--features pcsc`".to_owned())
}

/// What a station in real time can do, by what stands where.
#[cfg_attr(
    not(all(feature = "bluez", feature = "pcsc")),
    allow(dead_code, reason = "only a band with links of its own has an offer")
)]
fn offer(name: String, file: &StationFile) -> Offer {
    use Capability as C;
    let never = [C::VirtualTime, C::InjectFaults, C::Sweep, C::LinkSettings, C::AnyBytes];
    let can = match file.band {
        BandPlace::Real => [C::Contactless, C::PressKeys, C::Reach, C::Linked].as_slice(),
        _ => C::ALL.as_slice(),
    };
    let can = can.iter().copied().filter(|it| match it {
        C::Contactless | C::ManInTheMiddle => file.tap.is_some(),
        C::PressKeys => file.hands.is_some(),
        C::Reach | C::PhoneFaults => file.phone.is_some(),
        C::Linked => file.band != BandPlace::Real || file.key.is_some(),
        it => !never.contains(it),
    });
    let can = can.filter(|it| !file.lacks.contains(it));
    Offer {
        name,
        can: can.collect(),
        settings: file.settings.stated(),
        clock: CLOCK,
        longest_wait: file.longest_wait.map_or(LONGEST_WAIT, |wait| wait.0),
    }
}

#[cfg(not(all(feature = "bluez", feature = "pcsc")))]
fn live(_: String, _: StationFile, path: &Path) -> Result<Arc<dyn Station>, String> {
    Err(format!(
        "the station of {} needs Bluetooth and PC/SC, and this bandrig was built without; build it with `{}`",
        path.display(),
        super::guest::BUILD
    ))
}

#[cfg(all(feature = "bluez", feature = "pcsc"))]
fn live(name: String, file: StationFile, path: &Path) -> Result<Arc<dyn Station>, String> {
    use super::hardware::{Nobody, Operator, Pcsc};
    use super::live::{Bench, Live, Reader};
    use super::{control, control::Hands};
    use crate::link::danger::Permits;
    use crate::link::pcsc;

    let failed = |what: &str| format!("failed to use the station file {}: {what}", path.display());
    let offer = offer(name, &file);
    let is_real = file.band == BandPlace::Real;
    if file.phone.is_none() && file.key.is_some() {
        return Err(failed("without a `phone` nobody needs the `key`: drop it, or say how the phone reaches the band"));
    }
    let air = air(file.phone, is_real).map_err(|what| failed(&what))?;
    let hands: Box<dyn Hands> = match &file.hands {
        Some(HandsPlace::Control(socket)) => Box::new(control::Client::connect(socket)?),
        Some(HandsPlace::Operator) if is_real => Box::new(Operator),
        Some(HandsPlace::Operator) => return Err(failed("a simulated band has a control socket: name it in `hands`")),
        None if is_real => Box::new(Nobody),
        None => return Err(failed("say whose hands are on the band: `hands: { control: … }`")),
    };
    let key = match &file.key {
        Some(_) if !is_real => return Err(failed("a simulated band is linked anew in every case: drop `key`")),
        Some(place) => Some(key(place, path).map_err(|what| failed(&what))?),
        None => None,
    };
    let by_hand = file.hands == Some(HandsPlace::Operator);
    let reader = file.tap.map(|TapPlace::Pcsc(place)| {
        let permits = if is_real { Permits::default() } else { Permits::everything() };
        Box::new(Pcsc::new(pcsc::Config { permits, ..pcsc::Config::new(place.reader) }, by_hand)) as Box<dyn Reader>
    });
    let live = Live::new(offer, Bench { air, reader, hands });
    Ok(Arc::new(match key {
        Some(key) => live.linked(key),
        None => live,
    }))
}

/// The phone's radio. Only a real band can do without: nothing that needs a phone is tried with it then.
#[cfg(all(feature = "bluez", feature = "pcsc"))]
fn air(phone: Option<PhonePlace>, is_real: bool) -> Result<Box<dyn super::live::Air>, String> {
    use super::hardware::{NoPhone, Radio};
    use crate::link::ble;

    let place = match phone {
        Some(PhonePlace::Ble(place)) => place,
        None if is_real => return Ok(Box::new(NoPhone)),
        None => {
            return Err("say how the phone reaches the band: `phone: { ble: { adapter: hci0, address: … } }`".into());
        }
    };
    let band = target(&place)?;
    let hang_up = if place.switch_off { ble::HangUp::RadioOff } else { ble::HangUp::Disconnect };
    // A virtual controller advertises once to each who starts to listen, and that once may come too early.
    let deadlines = ble::Deadlines { scan: HEARD_WITHIN, ..ble::Deadlines::default() };
    Ok(Box::new(Radio::open(ble::Config { adapter: place.adapter, band, deadlines, hang_up })?))
}

/// How the band is known.
#[cfg(all(feature = "bluez", feature = "pcsc"))]
fn target(place: &BlePlace) -> Result<crate::link::ble::Target, String> {
    let no_address = |text: &String| format!("`{text}` is no address such as 00:AA:01:01:00:01");
    let address = place.address.as_ref().map(|text| address(text).ok_or_else(|| no_address(text))).transpose()?;
    let no_service = |text: &String| format!("`{text}` is no service such as FEE0");
    let service = place.service.as_ref().map(|text| text.parse().map_err(|_| no_service(text))).transpose()?;
    let name = place.name.clone();
    if address.is_none() && name.is_none() && service.is_none() {
        return Err("say which band: its `address`, its `name` or a `service`, or more than one of them".into());
    }
    Ok(crate::link::ble::Target { address, name, service })
}

/// The key; nothing of what was found there is in any message.
#[cfg_attr(not(all(feature = "bluez", feature = "pcsc")), cfg(test))]
fn key(place: &KeyPlace, station: &Path) -> Result<AuthKey, String> {
    let (text, found) = match place {
        KeyPlace::Env(name) => {
            let text = std::env::var(name).map_err(|_| {
                format!("the environment variable {name} must hold the band's key, 32 hex digits, and is not set")
            })?;
            (text, format!("the environment variable {name}"))
        }
        KeyPlace::File(file) => {
            let file = station.parent().unwrap_or(Path::new("")).join(file);
            let text = std::fs::read_to_string(&file).map_err(|error| {
                format!("{} must hold the band's key, 32 hex digits: failed to read it: {error}", file.display())
            })?;
            (text, file.display().to_string())
        }
    };
    let digits = text.trim();
    // Programs that read it out of the vendor's account print it as `0x…`.
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let bytes = digits.parse::<Hex>().ok().and_then(|Hex(bytes)| bytes.try_into().ok());
    bytes.map(AuthKey).ok_or_else(|| format!("{found} holds no key: a key is 32 hex digits"))
}

/// Six bytes as they are printed, the first one first.
#[cfg_attr(not(all(feature = "bluez", feature = "pcsc")), cfg(test))]
fn address(text: &str) -> Option<[u8; 6]> {
    let byte = |byte: &str| {
        let is_two_digits = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_two_digits.then(|| u8::from_str_radix(byte, 16).ok())?
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn read(text: &str) -> Result<StationFile, String> {
        yaml::from_str::<StationFile>(text)
    }

    #[test]
    fn a_file_is_read_strictly() {
        let good = read("band: embedded\ntap: { pcsc: { reader: Virtual PCD 00 00, plug: { port: 35963 } } }").unwrap();
        let Some(TapPlace::Pcsc(PcscPlace { plug: Some(plug), .. })) = good.tap else { panic!() };
        assert_eq!((plug.host.as_str(), plug.port), ("localhost", 35963));
        for bad in [
            "tap: { pcsc: { reader: a } }",
            "band: moon",
            "band: embedded\ntap: { pcsc: { reader: a, plug: { port: 1 }, speed: 3 } }",
            "band: embedded\ntap: { pcsc: { reader: a, plug: { port: 70000 } } }",
            "band: embedded\ntap: { nfc: { reader: a } }",
            "band: real\nkey: 00112233445566778899AABBCCDDEEFF",
            "band: real\nkey: { hex: 00112233445566778899AABBCCDDEEFF }",
            "band: simulated\nsettings: { code_valid_for: 4 }",
            "band: simulated\nsettings: { patience: 4s }",
            "band: simulated\nhands: { socket: /run/x }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fixtures_are_station_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stations");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files += 1;
        }
        assert!(files >= 2, "{files}");
    }

    #[test]
    fn what_a_real_band_is_spared_is_not_offered() {
        let desk = "band: real\nphone: { ble: { adapter: hci0 } }\ntap: { pcsc: { reader: ACS } }\nhands: operator";
        let real = offer("desk".into(), &read(desk).unwrap());
        assert!(real.can(Capability::Contactless) && real.can(Capability::PressKeys) && real.can(Capability::Reach));
        for spared in [Capability::Hostile, Capability::SwapAccount, Capability::NewBand, Capability::Cloud] {
            assert!(!real.can(spared), "{spared}");
        }
        assert!(!real.can(Capability::Linked), "its key is not known");
        let only_a_reader = offer("reader".into(), &read("band: real\ntap: { pcsc: { reader: ACS } }").unwrap());
        assert_eq!(only_a_reader.can, BTreeSet::from([Capability::Contactless]));
        let linked = "band: real\nphone: { ble: { adapter: hci0 } }\nkey: { env: BAND_KEY }\nlacks: [reach]";
        let linked = offer("desk".into(), &read(linked).unwrap());
        assert!(linked.can(Capability::Linked) && !linked.can(Capability::Reach));
        let simulated = offer("virtual".into(), &read("band: simulated\nsettings: { code_valid_for: 4s }").unwrap());
        assert!(simulated.can(Capability::Cloud) && !simulated.can(Capability::VirtualTime));
        assert!(!simulated.can(Capability::Contactless), "it has no reader");
        assert!(!simulated.can(Capability::AnyBytes), "it would be a PC/SC reader");
        assert_eq!(simulated.settings, BTreeMap::from([(Setting::CodeValidFor, Duration::from_secs(4))]));
    }

    #[test]
    fn a_key_is_found_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let station = folder.path().join("station.yaml");
        let place = KeyPlace::File("key".into());
        let found = |text: &str| {
            std::fs::write(folder.path().join("key"), text).unwrap();
            key(&place, &station)
        };
        let expected = AuthKey(std::array::from_fn(|at| u8::try_from(at).unwrap() * 0x11));
        for good in ["00112233445566778899aabbccddeeff", " 0x00112233445566778899AABBCCDDEEFF\n"] {
            assert_eq!(found(good), Ok(expected), "{good}");
        }
        for bad in ["", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff00", "zz", "0x"] {
            let error = found(bad).unwrap_err();
            assert!(error.ends_with("holds no key: a key is 32 hex digits"), "{error}");
            assert!(bad.len() < 4 || !error.contains(&bad[2..]), "{error}");
        }
        let missing = key(&KeyPlace::File("none".into()), &station).unwrap_err();
        assert!(missing.contains("none must hold the band's key"), "{missing}");
        let unset = key(&KeyPlace::Env("BANDRIG_NO_SUCH_KEY".into()), &station).unwrap_err();
        assert!(
            unset.contains("BANDRIG_NO_SUCH_KEY must hold the band's key, 32 hex digits, and is not set"),
            "{unset}"
        );
    }

    #[cfg(all(feature = "bluez", feature = "pcsc"))]
    #[test]
    fn a_band_is_known_by_its_address_its_name_a_service_or_all_of_them() {
        let target = |known_by: &str| {
            let file = read(&format!("band: real\nphone: {{ ble: {{ adapter: hci0, {known_by} }} }}")).unwrap();
            let Some(PhonePlace::Ble(place)) = file.phone else { panic!("{known_by}") };
            target(&place).map(|target| target.to_string())
        };
        assert_eq!(target("address: 'C8:0F:10:00:00:01'").unwrap(), "address C8:0F:10:00:00:01");
        assert_eq!(target("name: Mi Smart Band 4").unwrap(), "name `Mi Smart Band 4`");
        for service in ["FEE0", "0000fee0-0000-1000-8000-00805f9b34fb"] {
            assert_eq!(target(&format!("service: {service}")).unwrap(), "service FEE0");
        }
        let all = target("address: 'C8:0F:10:00:00:01', name: A, service: FEE0").unwrap();
        assert_eq!(all, "address C8:0F:10:00:00:01, name `A`, service FEE0");
        assert!(target("switch_off: false").unwrap_err().starts_with("say which band"));
        assert_eq!(target("service: heart").unwrap_err(), "`heart` is no service such as FEE0");
        assert_eq!(target("address: '00:01'").unwrap_err(), "`00:01` is no address such as 00:AA:01:01:00:01");
    }

    #[test]
    fn an_address_is_six_bytes_as_they_are_printed() {
        assert_eq!(address("00:AA:01:01:00:0f"), Some([0, 0xAA, 1, 1, 0, 0x0F]));
        for bad in
            ["", "00:AA:01:01:00", "00:AA:01:01:00:01:02", "0:AA:01:01:00:01", "00-AA-01-01-00-01", "+1:AA:01:01:00:01"]
        {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let OpenError::File(errors) = open(Path::new("no/such.yaml")).unwrap_err() else { panic!("there is a file") };
        let errors = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(errors, ["no/such.yaml:1:1: error: there is no such file or folder"]);
    }
}
