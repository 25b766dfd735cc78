//! The cheapest server there can be on BlueZ: what is written comes back, over sockets.
//!
//! Beside a band on the same adapter it need not advertise. A virtual controller advertises at the moment when it begins to; so this
//! begins anew every second.

use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::Duration;

use band_sim::wire::gatt::{CharacteristicId, Uuid};
use bluer::adv::Advertisement;
use bluer::gatt::local::{
    Application, Characteristic, CharacteristicControlEvent, CharacteristicNotify, CharacteristicNotifyMethod,
    CharacteristicWrite, CharacteristicWriteMethod, Service, characteristic_control,
};
use futures::StreamExt;

const ADVERTISE_ANEW: Duration = Duration::from_secs(1);

/// Of nobody's band.
pub const ECHO: CharacteristicId = CharacteristicId::new(Uuid::sig(0xFFE0), Uuid::sig(0xFFE1));

pub fn serve(adapter: &str, advertise: bool, handle: Option<NonZeroU16>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(echo(adapter, advertise, handle)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("BROKEN  {error}");
            ExitCode::from(3)
        }
    }
}

async fn echo(adapter: &str, advertise: bool, handle: Option<NonZeroU16>) -> bluer::Result<()> {
    let session = bluer::Session::new().await?;
    let adapter = session.adapter(adapter)?;
    adapter.set_powered(true).await?;
    let (control, control_handle) = characteristic_control();
    let characteristic = Characteristic {
        uuid: uuid(ECHO.characteristic),
        write: Some(CharacteristicWrite {
            write_without_response: true,
            method: CharacteristicWriteMethod::Io,
            ..CharacteristicWrite::default()
        }),
        notify: Some(CharacteristicNotify {
            notify: true,
            method: CharacteristicNotifyMethod::Io,
            ..CharacteristicNotify::default()
        }),
        control_handle,
        ..Characteristic::default()
    };
    let service = uuid(ECHO.service);
    let characteristics = vec![characteristic];
    let services = vec![Service { uuid: service, handle, primary: true, characteristics, ..Service::default() }];
    let _served = adapter.serve_gatt_application(Application { services, ..Application::default() }).await?;
    let advertisement = || Advertisement {
        service_uuids: [service].into(),
        discoverable: Some(true),
        local_name: Some("echo".into()),
        ..Advertisement::default()
    };
    let mut advertised = None;
    let mut anew = tokio::time::interval(ADVERTISE_ANEW);
    anew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    println!("ready");
    let mut control = std::pin::pin!(control);
    let (mut reader, mut writer) = (None, None);
    loop {
        let value = async {
            match &reader {
                Some(reader) => bluer::gatt::CharacteristicReader::recv(reader).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = anew.tick(), if advertise => {
                // The new one is there before the old one goes.
                let next = adapter.advertise(advertisement()).await?;
                drop(advertised.replace(next));
            }
            event = control.next() => match event {
                Some(CharacteristicControlEvent::Write(request)) => reader = Some(request.accept()?),
                Some(CharacteristicControlEvent::Notify(notifier)) => writer = Some(notifier),
                None => return Ok(()),
            },
            value = value => match (value, &writer) {
                (Ok(value), Some(writer)) if !value.is_empty() => drop(writer.send(&value).await),
                _ => reader = None,
            },
        }
    }
}

fn uuid(uuid: Uuid) -> bluer::Uuid {
    bluer::Uuid::from_bytes(uuid.bytes())
}
