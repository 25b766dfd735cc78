//! One case that did not pass, laid out for a person: what was meant, where, what came instead, and how to see it again.
//!
//! The live text, the final summary, JUnit and the trace files all print this same block.

use std::borrow::Cow;
use std::fmt::{self, Display};

use similar::{DiffOp, TextDiff};

use super::event::{Reason, Verdict};
use super::paint::{Paint, Role};
use super::summary::CaseResult;

/// How a block is laid out.
#[derive(Clone, Debug)]
pub struct Page {
    /// Colours or none.
    pub paint: Paint,
    /// Columns of the page.
    pub width: usize,
    /// Put before file names, so that an editor finds the file from where the person stands, e.g. `scenarios`. May be empty.
    pub root: String,
}

impl Page {
    /// For files: no colours, 100 columns.
    #[must_use]
    pub fn plain(root: &str) -> Self {
        Self { paint: Paint::OFF, width: 100, root: root.to_owned() }
    }

    /// `file` as seen from where the person stands.
    #[must_use]
    pub fn path(&self, file: &str) -> String {
        match self.root.trim_end_matches('/') {
            "" | "." => file.to_owned(),
            root => format!("{root}/{file}"),
        }
    }
}

/// The block of a case; prints several lines, the last one ends with a newline.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    case: &'a CaseResult,
    page: &'a Page,
}

impl<'a> Block<'a> {
    /// The block of `case` on `page`.
    #[must_use]
    pub fn new(case: &'a CaseResult, page: &'a Page) -> Self {
        Self { case, page }
    }
}

impl Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        let Some(reason) = &self.case.reason else {
            return writeln!(f, "\n  {}", self.case.message());
        };
        self.message_and_source(f, reason)?;
        self.expected_and_got(f, reason)?;
        self.section(f, "data object by data object", std::slice::from_ref(&reason.objects))?;
        self.section(f, "not as expected either", &reason.others)?;
        if let Some(fault) = &reason.sweep {
            self.section(f, "at this point of the sweep", std::slice::from_ref(fault))?;
        }
        self.section(f, "last exchanges", &reason.last_exchanges)?;
        self.section(f, "also, in finally", &reason.also)?;
        self.section(f, "repeat with", std::slice::from_ref(&reason.repeat_with))
    }
}

impl Block<'_> {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, role) = verdict_word(self.case.verdict);
        let paint = self.page.paint;
        write!(f, "{} {}", paint.paint(role, word), paint.paint(Role::Head, clean(&self.case.id)))?;
        if !self.case.rules.is_empty() {
            write!(f, " · {}", clean(&self.case.rules.join(", ")))?;
        }
        writeln!(f)?;
        if !self.case.title.is_empty() {
            writeln!(f, "{:width$} {}", "", clean(&self.case.title), width = word.len())?;
        }
        Ok(())
    }

    fn message_and_source(&self, f: &mut fmt::Formatter<'_>, reason: &Reason) -> fmt::Result {
        let paint = self.page.paint;
        writeln!(f, "\n  {}", paint.paint(Role::Bad, clean(&reason.message)))?;
        if reason.line == 0 {
            return Ok(());
        }
        let number = reason.line.to_string();
        let place = format!("{}:{}:{}", self.page.path(&reason.file), reason.line, reason.column);
        let bar = paint.paint(Role::Faint, "│");
        writeln!(
            f,
            "  {:width$} {} {}",
            "",
            paint.paint(Role::Faint, "╭─"),
            paint.paint(Role::Place, clean(&place)),
            width = number.len()
        )?;
        writeln!(f, "  {} {bar} {}", paint.paint(Role::Faint, &number), clean(&reason.source))?;
        let (start, length) = caret(reason);
        let marks = "^".repeat(length);
        writeln!(f, "  {:width$} {bar} {:start$}{}", "", "", paint.paint(Role::Bad, marks), width = number.len())
    }

    fn expected_and_got(&self, f: &mut fmt::Formatter<'_>, reason: &Reason) -> fmt::Result {
        if reason.expected.is_empty() && reason.got.is_empty() {
            return Ok(());
        }
        let rows = side_by_side(&reason.expected, &reason.got);
        // Two spaces of margin, three between the columns.
        let half = self.page.width.saturating_sub(5) / 2;
        let widest = rows.iter().map(|row| row.left.chars().count()).max().unwrap_or(0);
        let left_width = widest.max("expected".len()).min(half.max(16));
        let right_width = self.page.width.saturating_sub(5 + left_width).max(16);

        let paint = self.page.paint;
        let (expected, got) = (paint.paint(Role::Head, "expected"), paint.paint(Role::Head, "got"));
        writeln!(f, "\n  {expected}{:pad$}{got}", "", pad = left_width + 3 - "expected".len())?;
        for row in &rows {
            row.write(f, paint, left_width, right_width)?;
        }
        Ok(())
    }

    fn section(&self, f: &mut fmt::Formatter<'_>, heading: &str, lines: &[String]) -> fmt::Result {
        if lines.iter().all(String::is_empty) {
            return Ok(());
        }
        writeln!(f, "\n  {}", self.page.paint.paint(Role::Head, heading))?;
        for line in lines.iter().flat_map(|text| text.lines()) {
            writeln!(f, "    {}", clean(line))?;
        }
        Ok(())
    }
}

/// The word for a verdict and its colour. What needs a look shouts.
#[must_use]
pub const fn verdict_word(verdict: Verdict) -> (&'static str, Role) {
    match verdict {
        Verdict::Passed => ("passed", Role::Good),
        Verdict::Failed => ("FAILED", Role::Bad),
        Verdict::Broken => ("BROKEN", Role::Odd),
        Verdict::Skipped => ("skipped", Role::Skipped),
    }
}

/// `text` without control characters: neither a terminal nor an XML parser shall be steered by a scenario's text.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect())
}

/// Where the marks go: columns of blank, then marks. Marks stay within the line, and there is always one.
fn caret(reason: &Reason) -> (usize, usize) {
    let line = clean(&reason.source).chars().count();
    let start = (reason.column.max(1) as usize - 1).min(line);
    let length = (reason.length as usize).clamp(1, (line - start).max(1));
    (start, length)
}

/// One row of the comparison.
struct Row {
    left: String,
    right: String,
    same: bool,
}

impl Row {
    /// Writes the row; what is too long for its column goes on below.
    fn write(&self, f: &mut fmt::Formatter<'_>, paint: Paint, left_width: usize, right_width: usize) -> fmt::Result {
        let (left, right) = (wrap(&self.left, left_width), wrap(&self.right, right_width));
        let (left_role, right_role) = if self.same { (Role::Faint, Role::Faint) } else { (Role::Good, Role::Bad) };
        for line in 0..left.len().max(right.len()) {
            let left = left.get(line).map_or("", String::as_str);
            let right = right.get(line).map_or("", String::as_str);
            let sign = if !self.same && line == 0 { "≠" } else { " " };
            write!(f, "  {:left_width$} {}", paint.paint(left_role, left), paint.paint(Role::Bad, sign))?;
            match right {
                "" => writeln!(f)?,
                right => writeln!(f, " {}", paint.paint(right_role, right))?,
            }
        }
        Ok(())
    }
}

/// Lines up equal lines; what differs stands opposite.
fn side_by_side(expected: &str, got: &str) -> Vec<Row> {
    let (expected, got): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let mut rows = Vec::new();
    for op in TextDiff::from_slices(&expected, &got).ops() {
        let (left, right) = (&expected[op.old_range()], &got[op.new_range()]);
        let same = matches!(op, DiffOp::Equal { .. });
        for line in 0..left.len().max(right.len()) {
            let cell = |side: &[&str]| side.get(line).map_or_else(String::new, |text| clean(text).into_owned());
            rows.push(Row { left: cell(left), right: cell(right), same });
        }
    }
    rows
}

/// Breaks `text` into pieces of at most `width` characters, at a space where there is one in the second half.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > width {
        let space = rest.iter().take(width + 1).rposition(|&c| c == ' ').filter(|&at| at > width / 2);
        let tail = rest.split_off(space.unwrap_or(width));
        lines.push(rest.into_iter().collect());
        rest = tail.into_iter().skip(usize::from(space.is_some())).collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_failed_case_shows_place_difference_exchanges_and_how_to_repeat_it() {
        insta::assert_snapshot!(Block::new(&sample::failed(), &Page::plain("scenarios")));
    }

    #[test]
    fn a_broken_case_without_a_place_shows_no_source() {
        insta::assert_snapshot!(Block::new(&sample::broken(), &Page::plain("")));
    }

    #[test]
    fn long_lines_go_on_below_within_their_column() {
        let page = Page { width: 60, ..Page::plain("") };
        let text = Block::new(&sample::failed(), &page).to_string();
        let (_, table) = text.split_once("expected  ").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        for line in table.lines().skip(1) {
            assert!(line.chars().count() <= 60, "{line:?}");
        }
    }

    #[test]
    fn the_marks_stay_within_the_line() {
        let rows = [(1, 4, "abcdef", (0, 4)), (6, 9, "abcdef", (5, 1)), (99, 9, "abc", (3, 1)), (0, 0, "abc", (0, 1))];
        for (column, length, source, expected) in rows {
            let reason = Reason { column, length, source: source.into(), ..sample::reason() };
            assert_eq!(caret(&reason), expected, "{column} {length} {source}");
        }
    }

    #[test]
    fn equal_lines_stand_opposite_each_other() {
        let rows = side_by_side("a\nb\nc", "b\nx\nc");
        let rows: Vec<_> = rows.iter().map(|row| (row.left.as_str(), row.right.as_str(), row.same)).collect();
        assert_eq!(rows, [("a", "", false), ("b", "b", true), ("", "x", false), ("c", "c", true)]);
    }

    #[test]
    fn wrapping_loses_nothing_but_the_space_it_breaks_at() {
        assert_eq!(wrap("6F 1A 84 0E", 6), ["6F 1A", "84 0E"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn control_characters_in_a_title_do_not_reach_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{9b}c\td"), "a[31mbc d");
    }
}
