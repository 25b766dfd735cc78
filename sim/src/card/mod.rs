//! The secure element.

pub mod crypto;
pub mod cvn;
pub mod nvm;
pub mod scp03;
