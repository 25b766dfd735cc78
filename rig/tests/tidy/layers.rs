//! Which module may know which: the design's layers as a table.

use super::source::Source;

/// What a top module may know.
pub struct Layer {
    /// Its name.
    pub module: &'static str,
    /// Modules of `band_sim` it may name.
    pub sim: &'static [&'static str],
    /// Modules of its own crate it may name, itself aside; `a::b` for a part of one.
    pub own: &'static [&'static str],
    /// The reason, which finishes "because …".
    pub because: &'static str,
}

const CORE: &[&str] = &["wire", "time", "rng"];
const ROLE: &str = "a role is bytes and data in and out; what it shares with another is cloud/api.rs, mask and money";

/// `sim`: wire → card → band → edge.
pub const SIM: &[Layer] = &[
    Layer { module: "time", sim: &[], own: &[], because: "time is handed to everything" },
    Layer { module: "rng", sim: &[], own: &[], because: "randomness is handed to everything" },
    Layer { module: "wire", sim: &[], own: &[], because: "wire turns bytes into values and back: no state, no policy" },
    Layer {
        module: "card",
        sim: &[],
        own: &["wire", "time", "rng"],
        because: "the secure element does not know its host",
    },
    Layer {
        module: "band",
        sim: &[],
        own: &["wire", "time", "rng", "card"],
        because: "the device does not know the outside world",
    },
    Layer { module: "edge", sim: &[], own: &["wire", "time", "rng", "card", "band"], because: "" },
];

/// `rig`: roles, then what drives them.
pub const RIG: &[Layer] = &[
    Layer { module: "money", sim: &[], own: &[], because: "amounts are everybody's" },
    Layer { module: "yaml", sim: &[], own: &[], because: "it reads values and nothing else" },
    Layer { module: "decode", sim: &["wire"], own: &[], because: "it explains bytes and nothing else" },
    Layer { module: "mask", sim: &["wire"], own: &["decode"], because: "it hides bytes and nothing else" },
    Layer { module: "fuzzing", sim: FUZZED, own: &["decode", "fuzzing_card"], because: "it feeds the band's core" },
    Layer {
        module: "fuzzing_card",
        sim: FUZZED,
        own: &["decode", "fuzzing", "cloud::scp03_host"],
        because: "it feeds the band's core",
    },
    Layer { module: "phone", sim: CORE, own: SHARED_BY_ROLES, because: ROLE },
    Layer { module: "terminal", sim: CORE, own: SHARED_BY_ROLES, because: ROLE },
    Layer { module: "cloud", sim: CORE, own: SHARED_BY_ROLES, because: ROLE },
    Layer {
        module: "model",
        sim: &["wire", "time"],
        own: &["cloud::api", "phone::io", "terminal::io", "money"],
        because: "the model must not agree with the band by being the band",
    },
    Layer { module: "report", sim: &[], own: &["decode", "mask"], because: "events are the only truth about a run" },
    Layer { module: "link", sim: ALL, own: CARRIED, because: "a link carries, it does not decide" },
    Layer {
        module: "station",
        sim: ALL,
        own: RUNS,
        because: "it plays the run; what is shown is the reports' business",
    },
    Layer {
        module: "scenario",
        sim: ALL,
        own: RUNS,
        because: "it plays the run; what is shown is the reports' business",
    },
    Layer { module: "band_cli", sim: ALL, own: ANY, because: "it is where all meet" },
    Layer { module: "cli", sim: ALL, own: ANY, because: "it is where all meet" },
];

const ALL: &[&str] = &["wire", "time", "rng", "card", "band", "edge"];
const FUZZED: &[&str] = &["wire", "card", "time", "rng"];
const SHARED_BY_ROLES: &[&str] = &["cloud::api", "mask", "money"];
const CARRIED: &[&str] = &["phone", "terminal", "cloud", "report::event", "mask", "money"];
const RUNS: &[&str] = &[
    "phone",
    "terminal",
    "cloud",
    "link",
    "station",
    "scenario",
    "report::event",
    "report::words",
    "decode",
    "mask",
    "money",
    "yaml",
];
/// Every module.
const ANY: &[&str] = &["*"];

/// The module right below the crate root that a file belongs to; empty for the root itself and for binaries.
pub fn top_module(path: &str) -> &str {
    let Some((_, inside)) = path.split_once("/src/") else { return "" };
    let top = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    if matches!(top, "lib" | "main" | "bin") { "" } else { top }
}

/// What a file names and must not, in words.
pub fn problems(file: &Source) -> Vec<String> {
    let top = top_module(&file.path);
    let is_sim = file.path.starts_with("sim/");
    let layers = if is_sim { SIM } else { RIG };
    let Some(layer) = layers.iter().find(|layer| layer.module == top) else { return Vec::new() };
    let own_crate = if is_sim { "band_sim" } else { "bandrig" };

    let mut problems = Vec::new();
    for (line, path) in file.paths(file.code_without_tests(), &["band_sim", "bandrig"]) {
        let [root, module, rest @ ..] = path.as_slice() else { continue };
        let part = rest.first().map_or_else(|| module.clone(), |part| format!("{module}::{part}"));
        let allowed = |names: &[&str]| names.iter().any(|name| *name == "*" || *name == module || *name == part);
        let ok = match root.as_str() {
            root if root == own_crate => {
                module == top || allowed(layer.own) || is_no_module(module) || (is_sim && allowed(layer.sim))
            }
            "band_sim" => allowed(layer.sim) || is_no_module(module),
            // `sim` cannot name `rig`: Cargo would not build it. This says it in words.
            _ => false,
        };
        if !ok {
            problems.push(format!("{}:{line}: {}", file.path, words(layer, is_sim, root, module)));
        }
    }
    problems.dedup();
    problems
}

/// Something at a crate root that is no module: a macro, a type, a glob.
fn is_no_module(name: &str) -> bool {
    name == "*" || name == "self" || name.starts_with(char::is_uppercase)
}

fn words(layer: &Layer, is_sim: bool, root: &str, module: &str) -> String {
    let name = if root == "band_sim" && !is_sim { format!("band_sim::{module}") } else { module.to_owned() };
    let listed = |names: &[&str], prefix: &str| names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>();
    let may = [listed(layer.own, ""), listed(layer.sim, "band_sim::")].concat();
    let may = if may.is_empty() { "nothing else".to_owned() } else { format!("only {}", may.join(", ")) };
    let because = if layer.because.is_empty() { String::new() } else { format!(", because {}", layer.because) };
    format!("`{}` must not know `{name}`; it may know {may}{because}", layer.module)
}
