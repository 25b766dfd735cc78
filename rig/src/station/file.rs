//! A station file: what stands where, in YAML.
//!
//! ```yaml
//! band: embedded               # in process, under virtual time
//! tap:
//!   pcsc:
//!     reader: Virtual PCD 00 00
//!     plug: { port: 35963 }    # the band lies in the virtual reader (vpcd) at this port
//! ```

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::Station;
use crate::scenario::error::FileError;
use crate::scenario::load;

/// A station as its file states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StationFile {
    band: BandPlace,
    tap: TapPlace,
}

/// Where the band is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BandPlace {
    /// In process, under virtual time.
    Embedded,
}

/// Where taps are done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Where the virtual reader is into which the rig puts the band itself.
    plug: PlugPlace,
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

/// Why there is no station.
#[derive(Debug)]
pub enum OpenError {
    /// The file is wrong: its author must act.
    File(Box<FileError>),
    /// The world stands in its way, in words.
    Trouble(String),
}

/// The station of a file, up and ready.
///
/// # Errors
/// What is wrong with the file, or what stands in the station's way.
pub fn open(path: &Path) -> Result<Arc<dyn Station>, OpenError> {
    let file: StationFile = load::values(path).map_err(|error| OpenError::File(Box::new(error)))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let TapPlace::Pcsc(place) = file.tap;
    bring_up(name, place).map_err(OpenError::Trouble)
}

#[cfg(all(feature = "pcsc", feature = "vpcd"))]
fn bring_up(name: String, place: PcscPlace) -> Result<Arc<dyn Station>, String> {
    use crate::link::danger::Permits;
    use crate::link::pcsc::Config;
    // The card in there is the rig's own.
    let reader = Config { permits: Permits::everything(), ..Config::new(place.reader) };
    let plug = band_sim::edge::vpcd::Config {
        host: place.plug.host,
        port: place.plug.port,
        ..band_sim::edge::vpcd::Config::new(band_sim::rng::Rng::new(0))
    };
    let carrier = super::plugged::Plugged::start(reader, plug)?;
    Ok(Arc::new(super::Embedded::with_carrier(name, Arc::new(carrier))))
}

#[cfg(not(all(feature = "pcsc", feature = "vpcd")))]
fn bring_up(_: String, _: PcscPlace) -> Result<Arc<dyn Station>, String> {
    Err("this bandrig was built without PC/SC; install libpcsclite-dev and build it with `--features pcsc`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn a_file_is_read_strictly() {
        let read = |text: &str| yaml::from_str::<StationFile>(text).map_err(|error| error.to_string());
        let good = read("band: embedded\ntap: { pcsc: { reader: Virtual PCD 00 00, plug: { port: 35963 } } }");
        let TapPlace::Pcsc(place) = good.unwrap().tap;
        assert_eq!((place.plug.host.as_str(), place.plug.port), ("localhost", 35963));
        for bad in [
            "band: embedded",
            "band: moon\ntap: { pcsc: { reader: a, plug: { port: 1 } } }",
            "band: embedded\ntap: { pcsc: { reader: a, plug: { port: 1 }, speed: 3 } }",
            "band: embedded\ntap: { pcsc: { reader: a, plug: { port: 70000 } } }",
            "band: embedded\ntap: { nfc: { reader: a } }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fixtures_are_station_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/stations");
        let text = std::fs::read_to_string(folder.join("virtual-reader.yaml")).unwrap();
        yaml::from_str::<StationFile>(&text).unwrap();
    }

    #[test]
    fn what_is_missing_is_said() {
        let OpenError::File(error) = open(Path::new("no/such.yaml")).unwrap_err() else { panic!("there is a file") };
        assert_eq!(error.to_string(), "no/such.yaml:1:1: error: there is no such file or folder");
    }
}
