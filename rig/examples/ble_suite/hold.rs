//! A phone whose world goes away: it names what went, and when that comes back it is served as before.

use std::time::{Duration, Instant};

use band_sim::wire::gatt::CharacteristicId;
use bandrig::link::ble::{Ble, BleError, HangUp};
use bandrig::phone::io::LinkEvent;

use crate::raw::Raw;
use crate::{Checks, Cli, broken};

/// For the world to go, and to come back.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks whether it is back.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Prints `ready` with a link over which the band has answered, and `lost` with the reason when it is gone; so often, and at the end
/// `ready` once more.
pub fn hold(cli: &Cli, times: usize, checks: &mut Checks) -> Result<(), BleError> {
    let mut raw = Raw::new(Ble::open(cli.config(&cli.adapter, HangUp::default()))?);
    for _ in 0..times {
        serve(cli, &mut raw)?;
        println!("ready");
        let ended = raw.event(PATIENCE, |event| matches!(event, LinkEvent::Disconnected));
        match (ended, raw.ble.trouble()) {
            (None, _) => checks.check("the link ends", false, &"it is still there"),
            (Some(_), None) => println!("lost    the link alone"),
            (Some(_), Some(why)) => println!("lost    {why}"),
        }
    }
    serve(cli, &mut raw)?;
    println!("ready");
    raw.disconnect();
    Ok(())
}

/// Until the band lets us in and answers.
fn serve(cli: &Cli, raw: &mut Raw) -> Result<(), BleError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let connected = raw.connect();
        let is_served = connected.is_ok()
            && raw.authenticate(&cli.key())
            && matches!(raw.read(CharacteristicId::BATTERY), Some(Ok(_)));
        if is_served {
            return Ok(());
        }
        if raw.connected {
            raw.disconnect();
        }
        if Instant::now() > until {
            return Err(connected.err().unwrap_or_else(|| broken(raw.ble.trouble())));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
