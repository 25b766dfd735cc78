//! The README's table of rules against the scenarios: what it names exists and tests that rule, and no rule is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files that test a rule, at least: one for what must work, one for what must be refused.
const FILES_PER_RULE: usize = 2;

/// Reads a file by its path from the workspace root.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every rule of the product.
fn all_rules() -> impl Iterator<Item = String> {
    (1..=13).map(|number| format!("R{number}")).chain((1..=4).map(|number| format!("W{number}")))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Fails with all problems at once.
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}

#[test]
fn the_table_of_rules_tells_the_truth() {
    let root = workspace();
    if !root.join("scenarios").exists() {
        return; // Without scenarios there is nothing to list; `bandrig run` fails then.
    }
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    assert_none(&problems(&readme, &|file| std::fs::read_to_string(root.join(file)).ok()));
}

#[test]
fn the_table_of_rules_counts_what_it_leaves_out() {
    let files = scenarios(&workspace().join("scenarios"));
    let rules: Vec<Vec<String>> = files.iter().map(|path| rules_of(&std::fs::read_to_string(path).unwrap())).collect();
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("README.md");
    let mut problems = Vec::new();
    for rule in all_rules() {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {rule} |"))).unwrap_or_default();
        let left_out = row.rsplit_once(" more: ").and_then(|(before, _)| before.rsplit_once(' ')?.1.parse().ok());
        let told = row.matches("`scenarios/").count() + left_out.unwrap_or(0);
        let total = rules.iter().filter(|rules| rules.contains(&rule)).count();
        if told != total {
            problems.push(format!("README.md: {rule}: the row counts {told} scenario files, there are {total}"));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_scenario_names_only_rules_that_exist() {
    let known: Vec<String> = all_rules().collect();
    let mut problems = Vec::new();
    for path in scenarios(&workspace().join("scenarios")) {
        let rules = rules_of(&std::fs::read_to_string(&path).unwrap());
        problems.extend(
            rules
                .into_iter()
                .filter(|rule| !known.contains(rule))
                .map(|rule| format!("{}: there is no rule {rule}: R1 to R13 and W1 to W4", path.display())),
        );
    }
    assert_none(&problems);
}

#[test]
fn the_packages_of_the_virtual_station_are_those_that_it_looks_for() {
    use bandrig::station::guest::{PROGRAMS, VPCD};
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("README.md");
    let named = readme.lines().find_map(|line| line.strip_prefix("It needs `")?.split('`').next()).expect("packages");
    let mut named: Vec<&str> = named.split(' ').collect();
    let mut needed: Vec<&str> = PROGRAMS.iter().chain([&VPCD]).map(|(_, package)| *package).collect();
    named.sort_unstable();
    needed.sort_unstable();
    assert_eq!(named, needed);
}

/// What is wrong with the table, given what stands in each file.
fn problems(readme: &str, read: Read<'_>) -> Vec<String> {
    let table = table(readme);
    let mut problems = Vec::new();
    for rule in all_rules() {
        let files = table.get(&rule).map(Vec::as_slice).unwrap_or_default();
        if files.len() < FILES_PER_RULE {
            problems.push(format!(
                "README.md: {rule} has {} scenario files in the table of rules, {FILES_PER_RULE} are the least: one for what must work, one for what must be refused",
                files.len()
            ));
        }
        for file in files {
            match read(file) {
                None => problems.push(format!("README.md: {rule}: {file} does not exist")),
                Some(text) if !rules_of(&text).contains(&rule) => problems.push(format!(
                    "README.md: {rule}: {file} does not name it: add {rule} to the file's `rules:`, or take the file out of the row"
                )),
                Some(_) => {}
            }
        }
    }
    problems.extend(
        table
            .keys()
            .filter(|rule| !all_rules().any(|known| known == **rule))
            .map(|rule| format!("README.md: the table of rules has a row for {rule}, which is no rule")),
    );
    problems
}

/// Rows `| R1 | … scenarios/….yaml … |`: each rule with the files its row names, once each.
fn table(readme: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in readme.lines().filter_map(|line| line.trim().strip_prefix('|')) {
        let Some((first, rest)) = line.split_once('|') else { continue };
        let rule = first.trim().trim_matches(['*', '`']);
        if !is_rule(rule) {
            continue;
        }
        let words = rest.split(|c: char| c.is_whitespace() || "|,;()[]`<>\"".contains(c));
        let files = rows.entry(rule.to_owned()).or_default();
        for file in words.filter(|word| word.starts_with("scenarios/") && word.ends_with(".yaml")) {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
    }
    rows
}

fn is_rule(text: &str) -> bool {
    text.strip_prefix(['R', 'W']).is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The rules a scenario names: `rules: [R1, R2]`, or a list below it. A commented line names none.
fn rules_of(scenario: &str) -> Vec<String> {
    let mut lines = scenario.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let Some(first) = lines.by_ref().find_map(|line| line.strip_prefix("rules:")) else { return Vec::new() };
    let below = lines.take_while(|line| line.trim_start().starts_with("- ")).collect::<Vec<_>>().join(" ");
    let words = format!("{first} {below}");
    words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_rule(word)).map(str::to_owned).collect()
}

/// All scenario files below a folder.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths
        .flat_map(|path| if path.is_dir() { scenarios(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

mod of_the_checks_themselves {
    use super::*;

    /// A table in which every rule has two files, and those files.
    fn honest(file: &str) -> (String, Option<String>) {
        let rows = all_rules().map(|rule| {
            let lower = rule.to_lowercase();
            format!(
                "| {rule} | what it says | [works](scenarios/a/{lower}-yes.yaml), `scenarios/a/{lower}-no.yaml` |\n"
            )
        });
        let rule = file.strip_prefix("scenarios/a/").and_then(|file| file.split('-').next()).map(str::to_uppercase);
        (
            format!("| rule | | files |\n|---|---|---|\n{}", rows.collect::<String>()),
            rule.map(|rule| format!("scenario: x\nrules: [{rule}, R99]\n")),
        )
    }

    #[test]
    fn an_honest_table_passes() {
        assert_eq!(problems(&honest("").0, &|file| honest(file).1), Vec::<String>::new());
    }

    #[test]
    fn a_missing_rule_file_or_name_is_said() {
        let (readme, _) = honest("");
        let cases: [(String, Read<'_>, &str); 4] = [
            (readme.replace("| R7 |", "| |"), &|file| honest(file).1, "README.md: R7 has 0 scenario files"),
            (
                readme.replace("`scenarios/a/w2-no.yaml`", "scenarios/a/w2-yes.yaml"),
                &|file| honest(file).1,
                "README.md: W2 has 1",
            ),
            (
                readme.clone(),
                &|file| honest(file).1.filter(|_| !file.contains("r1-yes")),
                "README.md: R1: scenarios/a/r1-yes.yaml does not exist",
            ),
            (
                readme.clone(),
                &|file| honest(file).1.map(|text| text.replace("[R13,", "[R12,")),
                "README.md: R13: scenarios/a/r13-yes.yaml does not name it",
            ),
        ];
        for (readme, read, expected) in cases {
            let problems = problems(&readme, read);
            assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
        }
        let extra = problems(&format!("{readme}| R14 | | |\n"), &|file| honest(file).1);
        assert_eq!(extra, ["README.md: the table of rules has a row for R14, which is no rule"]);
    }

    #[test]
    fn rules_are_read_from_either_form_of_list() {
        assert_eq!(rules_of("scenario: x\nrules: [R1, W2] # R3\nsteps:\n  - wait: 1s\n"), ["R1", "W2"]);
        assert_eq!(rules_of("rules:\n  - R10\n  - R13\nsteps:\n  - R1\n"), ["R10", "R13"]);
        assert!(rules_of("# rules: [R1]\nscenario: R2\n").is_empty());
    }
}
