//! What the band tells about itself while it runs: one line each on standard error, secrets masked.

use band_sim::band::Output;
use band_sim::edge::drive::Handle;
use tracing::Level;

/// Starts logging from this level on.
pub(super) fn start(level: Level) {
    // Set before, in a test for instance: that one stays.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
}

/// Logs what the band does.
pub(super) fn listen(handle: &Handle) {
    handle.on_output(|output| match output {
        Output::Event(event) => tracing::info!("{}", plain(event)),
        Output::Display(shown) => tracing::debug!("shows {}", plain(shown)),
        Output::Disconnect => tracing::debug!("drops the link"),
        _ => {}
    });
}

/// Plain data as JSON, a bare word without its quotes. What the band tells holds no key and no whole card number.
pub(super) fn plain(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}
