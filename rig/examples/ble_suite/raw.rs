//! A client that says exactly what it is told to.

use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::gatt::{AttError, CharacteristicId};
use bandrig::link::ble::{Ble, BleError};
use bandrig::phone::io::{LinkCommand, LinkEvent};

use crate::{Cli, broken};

/// For anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Opens the NFC channel; answered with a status whether it is open already or not.
pub const OPEN_CHANNEL: &[u8] = &[0x01];

/// Begins authentication.
pub const ASK_RANDOM: &[u8] = &[0x02, 0x00];
/// The band knows the key too.
pub const AUTHENTICATED: &[u8] = &[0x10, 0x03, 0x01];

/// What answers the band's random number.
pub fn answer_to(reply: &[u8], key: &AuthKey) -> Option<Vec<u8>> {
    let random = reply.strip_prefix(&[0x10, 0x02, 0x01]).filter(|random| random.len() == 16)?;
    let mut block = aes::Block::clone_from_slice(random);
    Aes128::new(&key.0.into()).encrypt_block(&mut block);
    Some([&[0x03, 0x00], block.as_slice()].concat())
}

pub struct Raw {
    pub ble: Ble,
    pub connected: bool,
}

impl Raw {
    pub const fn new(ble: Ble) -> Self {
        Self { ble, connected: false }
    }

    /// The band's address and the MTU.
    pub fn connect(&mut self) -> Result<([u8; 6], u16), BleError> {
        self.ble.send(LinkCommand::Connect);
        match self.event(PATIENCE, |event| matches!(event, LinkEvent::Connected { .. } | LinkEvent::ConnectFailed)) {
            Some(LinkEvent::Connected { address, mtu }) => Ok((address, mtu)),
            _ => Err(broken(self.ble.trouble())),
        }
    }

    pub fn disconnect(&mut self) {
        self.ble.send(LinkCommand::Disconnect);
        let _ = self.event(PATIENCE, |event| matches!(event, LinkEvent::Disconnected));
    }

    /// Waits for an event; what comes before it is dropped.
    pub fn event(&mut self, within: Duration, is_it: impl Fn(&LinkEvent) -> bool) -> Option<LinkEvent> {
        let deadline = Instant::now() + within;
        loop {
            let event = self.ble.recv_deadline(deadline)?;
            match event {
                LinkEvent::Connected { .. } => self.connected = true,
                LinkEvent::Disconnected => self.connected = false,
                _ => {}
            }
            if is_it(&event) {
                return Some(event);
            }
            if !self.connected && event == LinkEvent::Disconnected {
                return None;
            }
        }
    }

    pub fn notified(&mut self, from: CharacteristicId, within: Duration) -> Option<Vec<u8>> {
        let is_it =
            |event: &LinkEvent| matches!(event, LinkEvent::Notified { characteristic, .. } if *characteristic == from);
        match self.event(within, is_it) {
            Some(LinkEvent::Notified { value, .. }) => Some(value),
            _ => None,
        }
    }

    pub fn subscribe(&mut self, characteristic: CharacteristicId) -> bool {
        self.ble.send(LinkCommand::Subscribe { characteristic });
        let done = self.event(PATIENCE, |event| matches!(event, LinkEvent::Subscribed { .. }));
        matches!(done, Some(LinkEvent::Subscribed { result: Ok(()), .. }))
    }

    /// `None` when the link ended in it.
    pub fn read(&mut self, characteristic: CharacteristicId) -> Option<Result<Vec<u8>, AttError>> {
        self.ble.send(LinkCommand::Read { characteristic });
        match self.event(PATIENCE, |event| matches!(event, LinkEvent::ReadDone { .. }))? {
            LinkEvent::ReadDone { result, .. } => Some(result),
            _ => None,
        }
    }

    pub fn write(&mut self, characteristic: CharacteristicId, value: Vec<u8>) -> Option<Result<(), AttError>> {
        self.ble.send(LinkCommand::Write { characteristic, value, with_response: true });
        match self.event(PATIENCE, |event| matches!(event, LinkEvent::WriteDone { .. }))? {
            LinkEvent::WriteDone { result, .. } => Some(result),
            _ => None,
        }
    }

    pub fn command(&self, characteristic: CharacteristicId, value: &[u8]) {
        self.ble.send(LinkCommand::Write { characteristic, value: value.to_vec(), with_response: false });
    }

    pub fn authenticate(&mut self, key: &AuthKey) -> bool {
        if !self.subscribe(CharacteristicId::AUTH) {
            return false;
        }
        self.command(CharacteristicId::AUTH, ASK_RANDOM);
        let reply = self.notified(CharacteristicId::AUTH, PATIENCE);
        let Some(answer) = reply.and_then(|reply| answer_to(&reply, key)) else { return false };
        self.command(CharacteristicId::AUTH, &answer);
        self.notified(CharacteristicId::AUTH, PATIENCE).as_deref() == Some(AUTHENTICATED)
    }

    /// One command that fits a fragment, on an open channel; the first fragment of the answer.
    pub fn exchange(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        let length = u8::try_from(apdu.len()).ok()?;
        self.command(CharacteristicId::NFC_CHANNEL, &[&[0x03], apdu, &[length, 0x00]].concat());
        self.notified(CharacteristicId::NFC_CHANNEL, PATIENCE)
    }

    /// Opens the NFC channel, subscribed.
    pub fn open_channel(&mut self) -> bool {
        self.command(CharacteristicId::NFC_CHANNEL, OPEN_CHANNEL);
        self.notified(CharacteristicId::NFC_CHANNEL, PATIENCE).as_deref() == Some(&[0x81, 0x00])
    }
}

/// Subscribes and leaves each of these in turn, on the link that is there, without waiting for the leaving; how often BlueZ
/// took the subscription. It refuses one that comes while it is still busy leaving.
pub fn storm(cli: &Cli, ids: &[CharacteristicId], times: usize) -> bluer::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let session = bluer::Session::new().await?;
        let device = session.adapter(&cli.adapter)?.device(cli.address.parse()?)?;
        let mut found = Vec::new();
        for service in device.services().await? {
            for characteristic in service.characteristics().await? {
                let uuid = characteristic.uuid().await?;
                if ids.iter().any(|id| id.characteristic.bytes() == *uuid.as_bytes()) {
                    found.push(characteristic);
                }
            }
        }
        let mut taken = 0;
        for _ in 0..times {
            for characteristic in &found {
                taken += usize::from(characteristic.notify_io().await.is_ok());
            }
        }
        Ok(taken)
    })
}
