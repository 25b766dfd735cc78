//! JUnit XML for CI servers: one suite per folder, a case's rules and seed as properties, the same failure text a person gets.
//!
//! Times are virtual, as everywhere in the events: the file is the same on every machine.

use std::collections::BTreeMap;
use std::io;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::block::{Block, Page, clean};
use super::event::Verdict;
use super::summary::{CaseResult, Summary};

/// Writes the run as JUnit XML. `root` is put before file names, see [`Page::root`].
///
/// # Errors
/// When the writer fails.
pub fn write(writer: impl io::Write, summary: &Summary, root: &str) -> io::Result<()> {
    report(summary, &Page::plain(root)).serialize(writer).map_err(io::Error::other)
}

fn report(summary: &Summary, page: &Page) -> Report {
    let mut folders: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for case in summary.cases() {
        folders.entry(case.folder()).or_default().push(case);
    }
    let mut report = Report::new("bandrig");
    report.set_time(summary.simulated());
    report.add_test_suites(folders.into_iter().map(|(folder, cases)| suite(folder, &cases, page)));
    report
}

fn suite(folder: &str, cases: &[&CaseResult], page: &Page) -> TestSuite {
    let mut suite = TestSuite::new(text(folder));
    suite.set_time(cases.iter().map(|case| case.simulated).sum());
    suite.add_test_cases(cases.iter().map(|case| test_case(case, page)));
    suite
}

fn test_case(case: &CaseResult, page: &Page) -> TestCase {
    let mut test = TestCase::new(text(&case.id), status(case, page));
    test.set_classname(text(case.file().trim_end_matches(".yaml").replace('/', ".")));
    test.set_time(case.simulated);
    test.extra.insert("file".into(), text(page.path(case.file())).into());
    if let Some(reason) = case.reason.as_ref().filter(|reason| reason.line > 0) {
        test.extra.insert("line".into(), reason.line.to_string().into());
    }
    test.add_property(Property::new("title", text(&case.title)));
    test.add_properties(case.rules.iter().map(|rule| Property::new("rule", text(rule))));
    test.add_properties(case.tags.iter().map(|tag| Property::new("tag", text(tag))));
    test.add_property(Property::new("seed", case.seed.to_string()));
    if case.sweep_points > 0 {
        test.add_property(Property::new("sweep_points", case.sweep_points.to_string()));
    }
    test
}

/// JUnit's *failure* is our failed; its *error* is our broken.
fn status(case: &CaseResult, page: &Page) -> TestCaseStatus {
    let (mut status, kind) = match case.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Skipped => (TestCaseStatus::skipped(), "skipped"),
        Verdict::Failed => (TestCaseStatus::non_success(NonSuccessKind::Failure), "failed"),
        Verdict::Broken => (TestCaseStatus::non_success(NonSuccessKind::Error), "broken"),
    };
    status.set_type(kind).set_message(text(case.message()));
    if case.verdict != Verdict::Skipped {
        let block = Block::new(case, page).to_string();
        status.set_description(block.lines().map(text).collect::<Vec<_>>().join("\n"));
    }
    status
}

/// Text without what XML 1.0 cannot hold (2.2 Characters): control characters, U+FFFE and U+FFFF.
fn text(text: impl AsRef<str>) -> String {
    clean(text.as_ref()).replace(['\u{FFFE}', '\u{FFFF}'], "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roxmltree::{Document, Node};

    use super::*;
    use crate::report::sample;

    fn xml(summary: &Summary) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, summary, "scenarios").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn case<'a, 'input>(document: &'a Document<'input>, id: &str) -> Node<'a, 'input> {
        let mut cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        cases.find(|node| node.attribute("name") == Some(id)).unwrap_or_else(|| panic!("no case {id}"))
    }

    fn properties<'a>(case: Node<'a, '_>, name: &str) -> Vec<&'a str> {
        let properties = case.descendants().filter(|node| node.has_tag_name("property"));
        properties
            .filter(|node| node.attribute("name") == Some(name))
            .filter_map(|node| node.attribute("value"))
            .collect()
    }

    #[test]
    fn another_parser_reads_the_same_counts() {
        let xml = xml(&sample::summary());
        let document = Document::parse(&xml).unwrap();
        let root = document.root_element();
        let counts = ["tests", "failures", "errors"].map(|name| root.attribute(name).unwrap());
        assert_eq!(counts, ["9", "2", "1"]);
        let skipped = document.descendants().filter(|node| node.has_tag_name("skipped")).count();
        assert_eq!(skipped, 3);
        let suites = root.children().filter(|node| node.has_tag_name("testsuite"));
        let suites: Vec<_> = suites.filter_map(|suite| suite.attribute("name")).collect();
        assert_eq!(suites, ["account", "activation", "lab", "reset", "wallet", "warranty"]);
    }

    #[test]
    fn a_failure_carries_the_block_and_its_place() {
        let xml = xml(&sample::summary());
        let document = Document::parse(&xml).unwrap();
        let failed = sample::failed();
        let node = case(&document, &failed.id);
        assert_eq!(node.attribute("classname"), Some("activation.code-expiry"));
        assert_eq!(node.attribute("file"), Some("scenarios/activation/code-expiry.yaml"));
        assert_eq!(node.attribute("line"), Some("14"));
        assert_eq!(node.attribute("time"), Some("604.500"));
        let failure = node.children().find(|child| child.has_tag_name("failure")).unwrap();
        assert_eq!(failure.attribute("message"), Some(failed.message()));
        let block = Block::new(&failed, &Page::plain("scenarios")).to_string();
        assert_eq!(failure.text().map(str::trim_end), Some(block.trim_end()));
        assert_eq!(properties(node, "rule"), ["R2"]);
        assert_eq!(properties(node, "seed"), ["7"]);
        assert_eq!(properties(case(&document, "activation/sweep-add.yaml"), "sweep_points"), ["412"]);
    }

    #[test]
    fn broken_is_an_error_and_skipped_names_its_reason() {
        let xml = xml(&sample::summary());
        let document = Document::parse(&xml).unwrap();
        let broken = case(&document, &sample::broken().id);
        assert!(broken.children().any(|child| child.has_tag_name("error")));
        let skipped = case(&document, "warranty/february.yaml");
        let skipped = skipped.children().find(|child| child.has_tag_name("skipped")).unwrap();
        assert_eq!(skipped.attribute("message"), Some("the station cannot do sets_clock"));
    }

    proptest! {
        #[test]
        fn whatever_a_scenario_says_the_xml_is_well_formed(title in any::<String>(), message in any::<String>(), source in any::<String>()) {
            let mut case = sample::failed();
            case.title = title;
            if let Some(reason) = &mut case.reason {
                reason.message = message;
                reason.source = source;
            }
            let mut summary = Summary::default();
            summary.add(case);
            let xml = xml(&summary);
            let parsed = Document::parse(&xml);
            prop_assert!(parsed.is_ok(), "{:?} in {xml}", parsed.err());
        }
    }

    #[test]
    fn what_xml_cannot_hold_is_left_out() {
        assert_eq!(text("a\u{1b}[31mb\u{fffe}c\u{ffff}\u{0}d]]>&<"), "a[31mbcd]]>&<");
    }
}
