//! The secure element.

pub mod nvm;
