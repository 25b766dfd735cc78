//! The scenario language: YAML files in, typed cases out, every mistake with its place.
//!
//! [`load::load`] reads files and answers either every [`file::Case`] in them or every [`error::FileError`]. Nothing past it
//! sees YAML. A case is complete: variables, matrix row and includes are filled in, names are checked, durations are
//! expressions over settings that the station may override.

mod check;
mod de;
mod decode;
pub mod error;
pub mod expect;
pub mod fault;
pub mod file;
pub mod list;
pub mod load;
pub mod matcher;
mod matrix;
pub mod middle;
pub mod names;
mod needs;
mod node;
pub(crate) mod perform;
pub mod rules;
pub mod run;
pub mod schema;
pub mod select;
pub mod set_up;
pub mod span;
pub mod step;
pub mod suite;
pub mod units;
mod variables;
mod yaml;

#[cfg(test)]
mod mistakes;
