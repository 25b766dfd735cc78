//! `bandrig`: the command line. It parses words and hands them to the library; exit codes are the design's.

use std::process::ExitCode;

fn main() -> ExitCode {
    bandrig::cli::main()
}
