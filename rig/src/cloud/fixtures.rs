//! The fixtures as the cloud's own tests read them.

use band_sim::rng::Rng;
use band_sim::wire::hex::Hex;

use super::account::AccountRecord;
use super::bank::BankSettings;
use super::certificates::CardKeys;
use super::pairing::PairingKey;
use super::product::CardProduct;
use super::scp03_host::{AesKey, IsdKeys};
use super::unit::UnitRecord;
use super::warranty::WarrantyRegistry;
use super::{Cloud, CloudConfig};

/// All card products, those that no bank admits last.
pub(super) const PRODUCTS: [&str; 14] = [
    "mastercard-debit",
    "mastercard-credit",
    "mastercard-prepaid",
    "mastercard-business",
    "mastercard-student",
    "mastercard-travel",
    "mastercard-gold",
    "mastercard-pocket-money",
    "mastercard-chip-and-pin",
    "visa-debit",
    "visa-credit",
    "visa-platinum",
    "not-supported",
    "blacklisted",
];

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

pub(super) fn product(name: &str) -> CardProduct {
    let product: CardProduct = serde_yaml::from_str(&read(&format!("cards/{name}.yaml"))).expect(name);
    assert_eq!(product.name, name, "a product is named like its file");
    product
}

pub(super) fn accounts() -> Vec<AccountRecord> {
    serde_yaml::from_str(&read("accounts.yaml")).expect("accounts")
}

pub(super) fn pairing_key() -> PairingKey {
    PairingKey::from_pem(&read("keys/pairing.pem")).expect("pairing key")
}

pub(super) fn card_keys() -> CardKeys {
    serde_yaml::from_str(&read("keys/issuers.yaml")).expect("card keys")
}

pub(super) fn warranty() -> WarrantyRegistry {
    serde_yaml::from_str(&read("warranty/registry.yaml")).expect("warranty registry")
}

/// A cloud that knows one unit: 42 bytes of 07 are its CPLC.
pub(super) fn cloud(bank: BankSettings) -> Cloud {
    let key = AesKey::new(&[0x40; 16]).expect("length");
    let keys = IsdKeys { version: 0x21, enc: key.clone(), mac: key.clone(), dek: key };
    let config = CloudConfig {
        accounts: accounts(),
        products: PRODUCTS.map(product).to_vec(),
        card_keys: card_keys(),
        bank,
        units: vec![UnitRecord { cplc: Hex(vec![7; 42]), keys, scp03_i: 0x71 }],
        pairing_key: pairing_key(),
        warranty: warranty(),
        epoch_unix_us: 0,
    };
    Cloud::new(config, Rng::new(4))
}
