//! What there is, for `bandrig list`.

use serde::Serialize;

use super::fault::Sweep;
use super::file::Case;

/// One case in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its id, as `--filter` and reports know it.
    pub id: String,
    /// The file relative to the scenario root.
    pub path: String,
    /// The sentence it proves.
    pub title: String,
    /// The rules it is about.
    pub rules: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its row of the matrix.
    pub row: Vec<(String, String)>,
    /// How often it is run.
    pub repeat: u32,
    /// The sweep, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<String>,
    /// The steps, one line each.
    pub steps: Vec<String>,
}

/// The cases as a list.
#[must_use]
pub fn list(cases: &[Case]) -> Vec<Entry> {
    cases.iter().map(entry).collect()
}

fn entry(case: &Case) -> Entry {
    let words = |words: &[super::span::At<String>]| words.iter().map(|word| word.value.clone()).collect();
    Entry {
        id: case.id.clone(),
        path: case.path.to_string(),
        title: case.title.value.clone(),
        rules: words(&case.rules),
        tags: words(&case.tags),
        row: case.row.clone(),
        repeat: case.repeat,
        sweep: case.sweep.as_ref().map(sweep),
        steps: case.steps.iter().map(|step| step.text.clone()).collect(),
    }
}

fn sweep(sweep: &Sweep) -> String {
    format!("{} at every {} during {}", sweep.fault.word(), sweep.at.0.word(), *sweep.during)
}
