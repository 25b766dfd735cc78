//! What stands behind the phone and the shop: accounts, the bank, the token service manager, the warranty registry.

pub mod account;
pub mod api;
pub mod code;
pub mod crypto;
pub mod cvn;
pub mod product;
