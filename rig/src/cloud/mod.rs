//! What stands behind the phone and the shop: accounts, the bank, the token service manager, the warranty registry.

pub mod api;
