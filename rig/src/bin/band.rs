//! `band`: the stand-alone emulator. It parses words and hands them to the library; exit codes are the design's.

use std::process::ExitCode;

fn main() -> ExitCode {
    bandrig::band_cli::main()
}
