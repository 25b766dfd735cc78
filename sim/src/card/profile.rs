//! What a secure element leaves the factory with: the section `secure_element` of a band's profile.
//!
//! Every value says whether a public source states it or whether it is our assumption; [`CardProfile::default`] is the
//! secure element of the Mi Smart Band 4 NFC.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::scp03::{AesKey, Implementation, StaticKeys};
use crate::wire::hex::Hex;
use crate::wire::marked::{Marked, Source};

/// The secure element of a band.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardProfile {
    /// The issuer security domain.
    pub issuer_security_domain: SecurityDomainProfile,
    /// Card production life cycle data (9F7F), 42 bytes; each card gets its own IC serial number in it.
    pub cplc: Marked<Hex>,
    /// The contactless registry service.
    pub contactless_registry: RegistryProfile,
    /// The list of payment applications.
    pub ppse: PpseProfile,
    /// What is loaded already; nothing else can be installed.
    pub load_files: Vec<LoadFile>,
    /// How many application instances fit.
    pub max_instances: Marked<u8>,
    /// Format of the transaction log (9F4F).
    pub log_format: Marked<Hex>,
    /// What a blocked application makes of GET PROCESSING OPTIONS.
    pub blocked_application: Marked<BlockedApplication>,
    /// The most bytes one personalisation round may bring.
    pub personalisation_bytes_max: Marked<u16>,
}

/// The issuer security domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityDomainProfile {
    /// Its AID.
    pub aid: Marked<Hex>,
    /// The card's life cycle state: 01 OP_READY, 07 INITIALIZED, 0F SECURED (GPCS 2.3.1 11.1.1).
    pub life_cycle: Marked<u8>,
    /// Key version number of its keys.
    pub key_version: Marked<u8>,
    /// Its SCP03 keys, AES of 16, 24 or 32 bytes, all three alike.
    pub keys: Marked<KeySet>,
    /// SCP03's "i" parameter: 01 S16 mode, 10 pseudo-random challenge, 20 R-MAC, 40 R-ENCRYPTION.
    pub scp03_i: Marked<Implementation>,
    /// Key diversification data of INITIALIZE UPDATE, 10 bytes.
    pub key_diversification_data: Marked<Hex>,
    /// Issuer identification number (42).
    pub issuer_identification_number: Marked<Hex>,
    /// Card image number (45).
    pub card_image_number: Marked<Hex>,
    /// Whether a reader in the field can select it.
    pub contactless_visible: Marked<bool>,
}

/// Three keys of a security domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// Key-ENC.
    pub enc: KeyHex,
    /// Key-MAC.
    pub mac: KeyHex,
    /// Key-DEK.
    pub dek: KeyHex,
}

/// A key as it stands in a profile; printed masked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyHex(pub Hex);

impl fmt::Debug for KeyHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHex(masked, {} bytes)", self.0.len())
    }
}

/// The contactless registry service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryProfile {
    /// Its AID.
    pub aid: Marked<Hex>,
    /// Its version number (9F08).
    pub version: Marked<Hex>,
    /// Whether a reader in the field can select it.
    pub contactless_visible: Marked<bool>,
    /// Which activations clash.
    pub conflicts: Marked<Conflicts>,
}

/// Which applications cannot be activated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflicts {
    /// All can.
    None,
    /// Only one can be active at a time: activating a second one is answered 6330 with the first one's AID.
    All,
}

/// The proximity payment system environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PpseProfile {
    /// Its name, `2PAY.SYS.DDF01`.
    pub aid: Marked<Hex>,
    /// Which of the activated applications it lists.
    pub lists: Marked<PpseLists>,
}

/// Which of the activated applications a reader is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PpseLists {
    /// All of them, in order.
    All,
    /// The first one only.
    DefaultOnly,
}

/// What an application that its issuer blocked makes of GET PROCESSING OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockedApplication {
    /// The transaction goes on, to an AAC.
    Aac,
    /// It is refused with 6985.
    Refused,
}

/// An executable load file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadFile {
    /// Its AID.
    pub aid: Marked<Hex>,
    /// Its version number (CE).
    pub version: Marked<Hex>,
    /// Its modules.
    pub modules: Vec<Module>,
}

/// An executable module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Its AID.
    pub aid: Marked<Hex>,
    /// What an instance of it is.
    pub application: Application,
}

/// A kind of payment application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Application {
    /// Mastercard-like, for kernel 2.
    Mastercard,
    /// Visa-like, for kernel 3.
    Visa,
}

impl KeySet {
    /// The keys ready for use; `None` unless all three have one AES length.
    #[must_use]
    pub fn static_keys(&self) -> Option<StaticKeys> {
        let key = |hex: &KeyHex| AesKey::new(&hex.0).filter(|key| key.len() == self.enc.0.len());
        Some(StaticKeys { enc: key(&self.enc)?, mac: key(&self.mac)?, dek: key(&self.dek)? })
    }
}

impl Default for CardProfile {
    fn default() -> Self {
        Self {
            issuer_security_domain: SecurityDomainProfile::default(),
            cplc: assumed(
                hex(&[
                    0x47, 0x90, 0x00, 0x00, 0x47, 0x00, 0x00, 0x00, 0x00, 0x00, 0x91, 0x21, 0x00, 0x00, 0x00, 0x00,
                    0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                ]),
                "layout of GPCS 2.3.1 H.6; content invented. Bytes 13 to 16 are each card's own serial number",
            ),
            contactless_registry: RegistryProfile::default(),
            ppse: PpseProfile::default(),
            load_files: vec![LoadFile {
                aid: assumed(hex(LOAD_FILE_AID), "category F: unregistered, invented"),
                version: assumed(hex(&[0x01, 0x00]), "invented"),
                modules: vec![
                    Module {
                        aid: assumed(hex(MODULE_AID_MASTERCARD), "category F: unregistered, invented"),
                        application: Application::Mastercard,
                    },
                    Module {
                        aid: assumed(
                            hex(MODULE_AID_VISA),
                            "category F: unregistered, invented. Visa came to Xiaomi's bands with a later model only",
                        ),
                        application: Application::Visa,
                    },
                ],
            }],
            max_instances: assumed(
                6,
                "six cards is a product rule (R9); that the chip itself refuses the seventh is assumed",
            ),
            log_format: public(
                hex(&[
                    0x9F, 0x27, 0x01, 0x9F, 0x02, 0x06, 0x5F, 0x2A, 0x02, 0x9A, 0x03, 0x9F, 0x36, 0x02, 0x9F, 0x21,
                    0x03,
                ]),
                "a form foreign card explorers decode; the band's own is not known",
            ),
            blocked_application: assumed(
                BlockedApplication::Aac,
                "EMV 4.4 B3 6.5.1 says what SELECT and GENERATE AC answer, not what comes between them",
            ),
            personalisation_bytes_max: assumed(8192, "a bound against endless scripts"),
        }
    }
}

impl Default for SecurityDomainProfile {
    fn default() -> Self {
        let key = |first: u8| KeyHex(hex(&(first..).take(16).collect::<Vec<_>>()));
        Self {
            aid: public(
                hex(&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00]),
                "as the vendor's phone side selects it",
            ),
            life_cycle: assumed(0x0F, "SECURED, as cards are in the field"),
            key_version: public(0x21, "P1 of INITIALIZE UPDATE in the vendor's phone side"),
            keys: assumed(KeySet { enc: key(0x40), mac: key(0x40), dek: key(0x40) }, "the well-known test keys"),
            scp03_i: assumed(
                Implementation(0x71),
                "the vendor's phone side sends 16-byte host challenges, hence S16; R-MAC, R-ENCRYPTION and the \
                 pseudo-random challenge are assumed, and so is bit 1 for S16",
            ),
            key_diversification_data: assumed(hex(&[0; 10]), "the test keys are not diversified"),
            issuer_identification_number: assumed(hex(&[0x54, 0x13, 0x33]), "invented"),
            card_image_number: assumed(hex(&[0x00, 0x00, 0x00, 0x01]), "invented"),
            contactless_visible: assumed(false, "no source; a reader should not reach management functions"),
        }
    }
}

impl Default for RegistryProfile {
    fn default() -> Self {
        Self {
            aid: public(
                hex(&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00]),
                "as the vendor's phone side selects it; GPC Amendment C",
            ),
            version: assumed(hex(&[0x01, 0x02]), "the version of GPC Amendment C it follows"),
            contactless_visible: assumed(false, "no source; a reader should not reach management functions"),
            conflicts: assumed(Conflicts::None, "all confirmed cards are listed in order (R8)"),
        }
    }
}

impl Default for PpseProfile {
    fn default() -> Self {
        Self {
            aid: public(hex(b"2PAY.SYS.DDF01"), "EMV Contactless Book B 3.3"),
            lists: assumed(PpseLists::All, "R8 leaves it open"),
        }
    }
}

const LOAD_FILE_AID: &[u8] = &[0xF0, 0x62, 0x61, 0x6E, 0x64, 0x72, 0x69, 0x67];
const MODULE_AID_MASTERCARD: &[u8] = &[0xF0, 0x62, 0x61, 0x6E, 0x64, 0x72, 0x69, 0x67, 0x01];
const MODULE_AID_VISA: &[u8] = &[0xF0, 0x62, 0x61, 0x6E, 0x64, 0x72, 0x69, 0x67, 0x02];

fn hex(bytes: &[u8]) -> Hex {
    Hex(bytes.to_vec())
}

fn public<T>(value: T, note: &str) -> Marked<T> {
    Marked { value, source: Source::Public, note: Some(note.to_owned()) }
}

fn assumed<T>(value: T, note: &str) -> Marked<T> {
    Marked { value, source: Source::Assumed, note: Some(note.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_survives_its_file_form() {
        let profile = CardProfile::default();
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<CardProfile>(&text).unwrap(), profile);
    }

    #[test]
    fn the_default_profile_is_consistent() {
        let profile = CardProfile::default();
        assert_eq!(profile.cplc.value.len(), 42);
        assert_eq!(profile.issuer_security_domain.key_diversification_data.value.len(), 10);
        assert!(profile.issuer_security_domain.keys.value.static_keys().is_some());
    }

    #[test]
    fn keys_print_masked() {
        let shown = alloc::format!("{:?}", CardProfile::default());
        assert!(shown.contains("masked") && !shown.contains("40 41 42"), "{shown}");
    }
}
