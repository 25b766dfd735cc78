//! The first pairing: the band takes a key after the person has tapped it.
//!
//! Bands say how they want to be paired. With a signature, the cloud vouches for the phone and the key comes from what was
//! signed; without, the phone hands over a key in the clear.

use band_sim::wire::frame::auth::Dialect;
use band_sim::wire::frame::auth::{AuthKey, FLAGS_SIGNED_PAIRING, PairingInfo, Reply, Request, SignedAnswer};
use band_sim::wire::frame::chunked::Kind;
use band_sim::wire::frame::reply::ReplyCode;
use band_sim::wire::gatt::CharacteristicId;
use sha2::{Digest, Sha256};

use crate::cloud::api::{self, Refusal};

use super::app::App;
use super::chunked::Transfer;
use super::cloud_request::Ask;
use super::connection::{Authenticate, Await};
use super::io::Notice;
use super::task::{Resume, Step, Value, Wake, call, done};
use super::timer::Timer;

/// The command byte of a pairing, which its replies repeat.
const PAIR: u8 = 0x01;
/// Flags of a pairing with a key in the clear.
const FLAGS_LEGACY: u8 = 0x00;

/// Pairs and authenticates; the new key is stored.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    waits_for: Wait,
}

#[derive(Clone, Debug)]
enum Wait {
    Nothing,
    Info,
    Random { public_key_hash: [u8; 16] },
    Signature { key: AuthKey },
    Transferred { key: AuthKey },
    Accepted { key: AuthKey },
    Tap { key: AuthKey },
    LegacyTap { key: AuthKey },
    Proof,
}

impl Pair {
    pub(super) const fn new() -> Self {
        Self { waits_for: Wait::Nothing }
    }

    fn probe(&mut self, app: &mut App) -> Result<Step, Refusal> {
        self.waits_for = Wait::Info;
        app.write(CharacteristicId::AUTH, Request::PairProbe.encode());
        call(Await::auth(PAIR))
    }

    /// Band: how it wants to be paired. Nothing or the version alone means: with a key in the clear.
    fn informed(&mut self, app: &mut App, answer: Result<Vec<u8>, Refusal>) -> Result<Step, Refusal> {
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(_) if app.link.up => return self.legacy(app),
            Err(refusal) => return Err(refusal),
        };
        let reply = Reply::decode(&bytes).map_err(|_| Refusal::PairingFailed)?;
        match (reply.code, PairingInfo::decode(&reply.data)) {
            (ReplyCode::PairingInfo, Ok(PairingInfo::Signed { public_key_hash, .. })) => {
                self.waits_for = Wait::Random { public_key_hash };
                let tail = vec![0x02];
                let request = Request::Random { dialect: Dialect::Crypt, flags: FLAGS_SIGNED_PAIRING, tail };
                app.write(CharacteristicId::AUTH, request.encode());
                call(Await::auth(Dialect::Crypt.random_command()))
            }
            // Not now: another pairing is waiting for its tap.
            (ReplyCode::InvalidState, _) => Err(Refusal::PairingFailed),
            _ => self.legacy(app),
        }
    }

    fn legacy(&mut self, app: &mut App) -> Result<Step, Refusal> {
        let key = AuthKey(app.rng.array());
        self.waits_for = Wait::LegacyTap { key };
        app.write(CharacteristicId::AUTH, Request::Pair { flags: FLAGS_LEGACY, key }.encode());
        wait_for_tap(app)
    }

    /// Band: a random number. The cloud signs its hash, of which the first half becomes the key.
    fn challenged(&mut self, app: &App, bytes: &[u8], public_key_hash: [u8; 16]) -> Result<Step, Refusal> {
        let random = success(bytes)?;
        if random.len() != 16 {
            return Err(Refusal::PairingFailed);
        }
        let digest: [u8; 32] = Sha256::new().chain_update(app.link.address).chain_update(random).finalize().into();
        let mut key = [0; 16];
        key.iter_mut().zip(digest).for_each(|(key, digest)| *key = digest);
        self.waits_for = Wait::Signature { key: AuthKey(key) };
        call(Ask(api::Request::SignPairing {
            address: app.link.address,
            digest: digest.to_vec(),
            public_key_hash: public_key_hash.to_vec(),
        }))
    }

    fn signed(&mut self, reply: api::Reply, key: AuthKey) -> Result<Step, Refusal> {
        let api::Reply::PairingSignature { signature } = reply else { return Err(Refusal::PairingFailed) };
        self.waits_for = Wait::Transferred { key };
        let answer = SignedAnswer { flags: FLAGS_SIGNED_PAIRING, signature };
        call(Transfer::new(Kind::AuthSignature, answer.encode()))
    }
}

impl Resume for Pair {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.waits_for, Wait::Nothing) {
            Wait::Nothing => self.probe(app),
            Wait::Info => self.informed(app, wake.bytes()),
            Wait::Random { public_key_hash } => {
                let bytes = or_failed(wake.bytes())?;
                self.challenged(app, &bytes, public_key_hash)
            }
            Wait::Signature { key } => self.signed(wake.reply()?, key),
            Wait::Transferred { key } => {
                or_failed(wake.value())?;
                self.waits_for = Wait::Accepted { key };
                call(Await::auth(SignedAnswer::COMMAND))
            }
            Wait::Accepted { key } => {
                success(&or_failed(wake.bytes())?)?;
                self.waits_for = Wait::Tap { key };
                wait_for_tap(app)
            }
            Wait::Tap { key } => {
                tapped(&wake.bytes()?)?;
                app.key = Some(key);
                self.waits_for = Wait::Proof;
                call(Authenticate::after_pairing(key, FLAGS_SIGNED_PAIRING))
            }
            Wait::LegacyTap { key } => {
                tapped(&wake.bytes()?)?;
                app.key = Some(key);
                self.waits_for = Wait::Proof;
                call(Authenticate::with_stored(key, app.config.dialect))
            }
            Wait::Proof => {
                wake.value()?;
                done(Value::Done)
            }
        }
    }
}

fn wait_for_tap(app: &mut App) -> Result<Step, Refusal> {
    app.notice(Notice::TapTheBand);
    call(Await::new(CharacteristicId::AUTH, [0x10, PAIR], Timer::Tap))
}

fn tapped(bytes: &[u8]) -> Result<(), Refusal> {
    match Reply::decode(bytes).map(|reply| reply.code) {
        Ok(ReplyCode::Success) => Ok(()),
        Ok(ReplyCode::InvalidState) => Err(Refusal::PairingDenied),
        _ => Err(Refusal::PairingFailed),
    }
}

fn success(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    match Reply::decode(bytes) {
        Ok(Reply { code: ReplyCode::Success, data, .. }) => Ok(data),
        _ => Err(Refusal::PairingFailed),
    }
}

/// In a pairing, a band that answers with an error or not at all has refused it.
fn or_failed<T>(result: Result<T, Refusal>) -> Result<T, Refusal> {
    result.map_err(|refusal| if refusal == Refusal::BandError { Refusal::PairingFailed } else { refusal })
}
