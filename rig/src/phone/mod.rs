//! The app's role: what a person does with the phone, turned into Bluetooth and cloud traffic. Sans-IO.

pub mod io;
