//! What is said on the band's own characteristics: one file per characteristic or kind of message.
//!
//! The band and the phone use the same pairs from opposite sides. Values nobody has named survive as `Unknown`.

pub mod aid;
pub mod auth;
pub mod battery;
pub mod chunked;
pub mod config;
pub mod event;
pub mod fetch;
pub mod heart_rate;
pub mod nfc_channel;
pub mod reply;
pub mod time;
pub mod user;
