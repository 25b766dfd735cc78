//! A whole exchange over the public interface: a fresh band is found, paired, authenticated, and its secure element reached.

use std::sync::Arc;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, BandEvent, Button, Input, Output, WriteMode, pairing};
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::frame::auth::{self, Dialect, FLAGS_SIGNED_PAIRING, PairingInfo, SignedAnswer};
use band_sim::wire::frame::nfc_channel::{Assembler, Framing, Notification, Request, Status};
use band_sim::wire::frame::reply::ReplyCode;
use band_sim::wire::frame::{chunked, event::DeviceEvent};
use band_sim::wire::gatt::{CharacteristicId, Handle};
use band_sim::wire::{tag, tlv};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

const PROFILE: &str = include_str!("../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
const CLOUD_KEY: &str = include_str!("../../fixtures/keys/pairing.pem");
/// DigestInfo of SHA-256 (RFC 8017 9.2, note 1).
const SHA_256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
const FRAMING: Framing = Framing::HUAMI;

struct Phone {
    band: Band,
    events: Vec<BandEvent>,
}

impl Phone {
    /// Everything the band notifies on `id` because of `input`; its events are kept.
    fn drive(&mut self, input: Input, id: CharacteristicId) -> Vec<Vec<u8>> {
        let handle = self.handle(id);
        self.band.handle(Instant::ZERO, input);
        let mut values = vec![];
        loop {
            match self.band.poll() {
                Output::Notify { handle: from, value } if from == handle => values.push(value),
                Output::Event(event) => self.events.push(event),
                Output::Wait(_) => return values,
                _ => {}
            }
        }
    }

    fn command(&mut self, id: CharacteristicId, value: Vec<u8>, answers_on: CharacteristicId) -> Vec<Vec<u8>> {
        let handle = self.handle(id);
        self.drive(Input::Write { handle, value, mode: WriteMode::Command }, answers_on)
    }

    fn auth(&mut self, request: &auth::Request) -> auth::Reply {
        let replies = self.command(CharacteristicId::AUTH, request.encode(), CharacteristicId::AUTH);
        auth::Reply::decode(&replies[0]).unwrap()
    }

    fn transceive(&mut self, command: &CApdu) -> RApdu {
        let nfc = CharacteristicId::NFC_CHANNEL;
        let mut answer = Assembler::new(FRAMING, 300);
        let mut done = None;
        for fragment in FRAMING.fragments(&command.encode()).unwrap() {
            for value in self.command(nfc, FRAMING.encode_request(&Request::Fragment(fragment)), nfc) {
                let Ok(Notification::Fragment(fragment)) = FRAMING.decode_notification(&value) else {
                    panic!("{value:02X?}");
                };
                done = answer.push(fragment).unwrap();
            }
        }
        RApdu::decode(&done.unwrap()).unwrap()
    }

    fn handle(&self, id: CharacteristicId) -> Handle {
        self.band.profile().gatt.value_handle(&id).unwrap()
    }
}

#[test]
fn a_fresh_band_is_paired_authenticated_and_its_registry_selected() {
    let profile: Arc<BandProfile> = Arc::new(serde_yaml::from_str(PROFILE).unwrap());
    let address = profile.identity.address();
    let mut phone = Phone { band: Band::new(profile, Rng::new(1), 0), events: vec![] };
    assert!(phone.band.advertising().is_some());

    // Connect, subscribe.
    let (auth, nfc, chunks) = (CharacteristicId::AUTH, CharacteristicId::NFC_CHANNEL, CharacteristicId::CHUNKED);
    phone.drive(Input::Connected { mtu: 23 }, auth);
    for id in [auth, nfc, chunks, CharacteristicId::DEVICE_EVENT] {
        phone.drive(Input::Subscribe { handle: phone.handle(id), on: true }, id);
    }

    // Signed first pairing.
    let info = phone.auth(&auth::Request::PairProbe);
    assert!(matches!(PairingInfo::decode(&info.data), Ok(PairingInfo::Signed { .. })));
    let ask = auth::Request::Random { dialect: Dialect::Crypt, flags: FLAGS_SIGNED_PAIRING, tail: vec![0x02] };
    let digest = pairing::pairing_digest(address, &phone.auth(&ask).data.try_into().unwrap());
    let scheme = Pkcs1v15Sign { hash_len: Some(32), prefix: SHA_256.into() };
    let signature = RsaPrivateKey::from_pkcs1_pem(CLOUD_KEY).unwrap().sign(scheme, &digest).unwrap();
    let signed = SignedAnswer { flags: FLAGS_SIGNED_PAIRING, signature }.encode();
    for chunk in chunked::split(chunked::Kind::AuthSignature, &signed, 23) {
        phone.command(chunks, chunk.encode(), auth);
    }
    let replies = phone.drive(Input::Button(Button::Confirm), auth);
    assert_eq!(replies, [auth::Reply::paired(ReplyCode::Success).encode()]);

    // Authenticate with the new key.
    let random = phone.auth(&ask).data.try_into().unwrap();
    let block = pairing::answer(&pairing::pairing_key(&digest), &random);
    let answer = auth::Request::Answer { dialect: Dialect::Crypt, flags: FLAGS_SIGNED_PAIRING, block };
    assert_eq!(phone.auth(&answer).code, ReplyCode::Success);
    assert!(phone.events.contains(&BandEvent::Authenticated));

    // Open the channel, select the registry, close.
    let opened = phone.command(nfc, FRAMING.encode_request(&Request::Open), nfc);
    assert_eq!(FRAMING.decode_notification(&opened[0]), Ok(Notification::Opened(Status::Success)));
    let crs = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00];
    let answer = phone.transceive(&CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(crs).with_ne(256));
    assert!(answer.sw.is_ok(), "{}", answer.sw);
    assert_eq!(tlv::find_deep(&answer.data, tag::TAG_84_DF_NAME), Some(&crs[..]));
    let closed = phone.command(nfc, FRAMING.encode_request(&Request::Close), nfc);
    assert_eq!(FRAMING.decode_notification(&closed[0]), Ok(Notification::Closed(Status::Success)));

    // A touch of the button is heard as well.
    let events = phone.drive(Input::Button(Button::Confirm), CharacteristicId::DEVICE_EVENT);
    assert_eq!(events, [DeviceEvent::Button.encode()]);
}
