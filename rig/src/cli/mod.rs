//! The command line: words in, one library call each, an exit code out.
//!
//! Exit codes: 0 all passed · 1 a case failed · 2 bad usage or YAML · 3 station trouble · 4 nothing was run · 130 interrupted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod check;
mod decode;
mod doctor;
mod interrupt;
mod load;
mod run;
mod standing;
mod tap;
mod virtual_station;
mod warranty;

/// Bad usage, or a scenario file that cannot be used.
pub(crate) const EXIT_BAD_INPUT: u8 = 2;
/// The station could not be brought up.
pub(crate) const EXIT_STATION: u8 = 3;

/// There was nothing to run.
pub(crate) const EXIT_NOTHING: u8 = 4;

/// Test rig for payment bands: the phone, the bank and the shop around a band, run from YAML scenarios.
#[derive(Debug, Parser)]
#[command(name = "bandrig", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios.
    #[command(after_help = run::EXAMPLES)]
    Run(Box<run::Run>),
    /// Use a station without scenarios.
    #[command(subcommand)]
    Station(virtual_station::Station),
    /// Check scenario files and list every mistake in all of them; runs nothing.
    Check(Selection),
    /// List the cases: what would run, by file, with rules and tags.
    List {
        #[command(flatten)]
        selection: Selection,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of scenario files, for an editor.
    Schema,
    /// Say in words what bytes mean: TLV, C-APDU, R-APDU, Bluetooth frames.
    #[command(after_help = decode::EXAMPLES)]
    Decode(decode::Decode),
    /// One payment, explained step by step.
    #[command(after_help = tap::EXAMPLES)]
    Tap(Box<tap::Tap>),
    /// Say what of the world outside is there, what is missing, and what mends it.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Doctor),
    /// The vendor's authenticity and warranty check.
    #[command(subcommand)]
    Warranty(warranty::Warranty),
}

/// Which scenario files, and which of their cases.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Scenario files or folders.
    #[arg(value_name = "PATH", default_value = "scenarios")]
    paths: Vec<PathBuf>,
    /// Only cases whose tags and rules satisfy this: `activation`, `R2`, `payment and not hostile`, `(R5 or R7) and sweep`.
    #[arg(long, value_name = "EXPR")]
    tag: Option<String>,
    /// Only cases whose id or title contains this text, whatever the case.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// A variable for `${name}` in scenario files. May be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// The fixtures folder; the one beside the scenarios when absent.
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Colours and bars.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal without `NO_COLOR`.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(match cli.command {
        Command::Run(run) => run::run(&run),
        Command::Station(station) => virtual_station::station(&station),
        Command::Check(selection) => check::check(&selection),
        Command::List { selection, json } => check::list(&selection, json),
        Command::Schema => check::schema(),
        Command::Decode(decode) => decode::decode(&decode),
        Command::Tap(tap) => tap::tap(&tap),
        Command::Doctor(doctor) => doctor::doctor(&doctor),
        Command::Warranty(warranty) => warranty::warranty(&warranty),
    })
}

/// Says what is wrong on standard error; one that is closed or full stops nothing.
fn complain(words: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "bandrig: {words}");
}

/// Prints to standard output; a closed pipe (`| head`) is the reader's choice.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
}
