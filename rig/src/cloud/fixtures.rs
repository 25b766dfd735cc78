//! The fixtures as the cloud's own tests read them.

use super::account::AccountRecord;
use super::product::CardProduct;

/// All card products, those that no bank admits last.
pub(super) const PRODUCTS: [&str; 10] = [
    "mastercard-debit",
    "mastercard-credit",
    "mastercard-prepaid",
    "mastercard-business",
    "mastercard-student",
    "mastercard-travel",
    "mastercard-gold",
    "mastercard-pocket-money",
    "not-supported",
    "blacklisted",
];

fn read(path: &str) -> String {
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
