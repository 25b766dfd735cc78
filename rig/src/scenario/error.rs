//! What is wrong with a file, said so that its author can put it right: place, caret, words that would do.

use std::fmt;
use std::fmt::Write as _;

use super::span::Span;

/// A mistake in a file, or a file that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileError {
    /// The place. Line 0 when it is about a word of the command line.
    pub span: Span,
    /// The file as the author would open it: the scenario root as it was given, and the path under it.
    pub path: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Beside the caret: what to write instead, where that is clear.
    pub hint: Option<String>,
    /// The line of the file, for the caret.
    pub source: Option<String>,
    /// More lines below: allowed words, where else to look.
    pub notes: Vec<String>,
}

/// How [`FileError::render`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Plain text.
    Plain,
    /// With ANSI colours.
    Coloured,
}

impl FileError {
    /// A mistake at a place. [`Sources`](super::load::Sources) fills in path and line.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            path: span.file.to_string(),
            message: message.into(),
            hint: None,
            source: None,
            notes: Vec::new(),
        }
    }

    /// A word of the command line.
    pub fn argument(name: &str, message: impl Into<String>) -> Self {
        let error = Self::whole(name, message);
        Self { span: Span { line: 0, column: 0, ..error.span.clone() }, ..error }
    }

    /// A file that cannot be used at all; its first character stands for it.
    pub fn whole(path: impl Into<String>, message: impl Into<String>) -> Self {
        let path = path.into();
        let span = Span { file: path.as_str().into(), line: 1, column: 1, length: 1 };
        Self { span, path, message: message.into(), hint: None, source: None, notes: Vec::new() }
    }

    /// With words beside the caret.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With one more line below.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With the words that would do, and the nearest of them beside the caret.
    #[must_use]
    pub fn allowed<S: AsRef<str>>(mut self, what: &str, word: &str, allowed: &[S]) -> Self {
        if self.hint.is_none() {
            self.hint = nearest(word, allowed).map(|near| format!("did you mean `{near}`?"));
        }
        let words: Vec<_> = allowed.iter().map(AsRef::as_ref).collect();
        self.notes.push(match words.is_empty() {
            true => format!("there are no {what} to choose from"),
            false => format!("{what}: {}", words.join(", ")),
        });
        self
    }

    /// The mistake for a person: `file:line:column: error: …`, the line, a caret, and what helps.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let paint = Paint(style);
        let mut out = String::new();
        let place = match self.span.line {
            0 => self.path.clone(),
            _ => format!("{}:{}:{}", self.path, self.span.line, self.span.column),
        };
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "{} {} {}", paint.bold(&format!("{place}:")), paint.red("error:"), paint.bold(&self.message));
        let number = self.span.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(source) = &self.source {
            let (line, before, length) = crop(source, self.span.column, self.span.length);
            let caret = format!("{}{}", " ".repeat(before), paint.red(&"^".repeat(length)));
            let hint = self.hint.as_deref().map(|hint| format!(" {}", paint.red(hint))).unwrap_or_default();
            let _ = writeln!(out, "{margin} {}", paint.blue("|"));
            let _ = writeln!(out, "{} {} {line}", paint.blue(&number), paint.blue("|"));
            let _ = writeln!(out, "{margin} {} {caret}{hint}", paint.blue("|"));
        } else if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{margin} {} {hint}", paint.blue("="));
        }
        for note in &self.notes {
            for (index, line) in wrap(note, 110).iter().enumerate() {
                let sign = if index == 0 { paint.blue("=") } else { " ".into() };
                let _ = writeln!(out, "{margin} {sign} {line}");
            }
        }
        out
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::Plain).trim_end())
    }
}

impl std::error::Error for FileError {}

/// All mistakes for a person, one after the other, and how many there are.
#[must_use]
pub fn render_all(errors: &[FileError], style: Style) -> String {
    let mut out = String::new();
    for error in errors {
        out.push_str(&error.render(style));
        out.push('\n');
    }
    let files: std::collections::BTreeSet<_> = errors.iter().map(|error| &error.path).collect();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let _ = writeln!(out, "{} in {}", plural(errors.len(), "mistake"), plural(files.len(), "file"));
    out
}

/// The nearest of some words, if one is near.
pub(super) fn nearest<'a, S: AsRef<str>>(word: &str, allowed: &'a [S]) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let first = |word: &str| word.chars().next();
    let near = allowed
        .iter()
        .map(|known| (distance(word, known.as_ref()), known.as_ref()))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, known)| (*distance, first(known) != first(word)))
        .map(|(_, known)| known);
    // A word that was broken off is near, too.
    near.or_else(|| {
        let mut longer = allowed.iter().map(AsRef::as_ref).filter(|known| word.len() > 2 && known.starts_with(word));
        longer.next().filter(|_| longer.next().is_none())
    })
}

/// How many characters must be put in, taken out or changed; two neighbours that changed places count as one.
fn distance(left: &str, right: &str) -> usize {
    // Words of the language are short; a long word has no near one.
    if left.len() > 64 {
        return usize::MAX;
    }
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let changed = rows[i][j] + usize::from(a != b);
            let swapped = match i > 0 && j > 0 && left[i - 1] == *b && right[j - 1] == *a {
                true => rows[i - 1][j - 1] + 1,
                false => usize::MAX,
            };
            row.push(changed.min(swapped).min(rows[i][j + 1] + 1).min(row[j] + 1));
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

/// A window of a long line around the caret: the line, the width before the caret, the caret's width.
fn crop(source: &str, column: u32, length: u32) -> (String, usize, usize) {
    const WIDTH: usize = 110;
    // Tabs and control characters take one cell, so that the caret stands right; nothing in a file may steer the terminal.
    let chars: Vec<char> = source
        .chars()
        .map(|c| {
            if c == '\t' {
                '→'
            } else if c.is_control() {
                '·'
            } else {
                c
            }
        })
        .collect();
    let column = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1).min(chars.len());
    let length = usize::try_from(length).unwrap_or(1).clamp(1, (chars.len() - column).max(1));
    let start = match chars.len() > WIDTH && column > WIDTH / 2 {
        true => (column - WIDTH / 2).min(chars.len() - WIDTH / 2),
        false => 0,
    };
    let end = (start + WIDTH).min(chars.len());
    let mut line: String = chars[start..end].iter().collect();
    let mut before = column - start;
    if start > 0 {
        line.insert_str(0, "… ");
        before += 2;
    }
    if end < chars.len() {
        line.push_str(" …");
    }
    (line, before, length.min(end.saturating_sub(column).max(1)))
}

/// Breaks a note at spaces.
fn wrap(note: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in note.split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines[last].chars().count() + word.chars().count() < width {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines
}

struct Paint(Style);

impl Paint {
    fn code(&self, code: &str, text: &str) -> String {
        match self.0 {
            Style::Plain => text.to_owned(),
            Style::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn red(&self, text: &str) -> String {
        self.code("1;31", text)
    }

    fn blue(&self, text: &str) -> String {
        self.code("1;34", text)
    }

    fn bold(&self, text: &str) -> String {
        self.code("1", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["approved", "declined", "not_paid"];
        assert_eq!(nearest("aproved", &words), Some("approved"));
        assert_eq!(nearest("delcined", &words), Some("declined"));
        assert_eq!(nearest("Not_Paid", &words), Some("not_paid"));
        assert_eq!(nearest("banana", &words), None);
        assert_eq!(nearest("", &words), None);
        assert_eq!(nearest("not", &words), Some("not_paid"));
        assert_eq!(nearest("W5", &["R5", "W1"]), Some("W1"));
    }

    #[test]
    fn a_caret_stands_under_its_word_also_in_a_long_line() {
        let source = format!("{}oops{}", "x".repeat(300), "y".repeat(300));
        let (line, before, length) = crop(&source, 301, 4);
        let marked: String = line.chars().skip(before).take(length).collect();
        assert_eq!(marked, "oops");
    }

    #[test]
    fn a_caret_beyond_the_line_is_still_one_caret() {
        assert_eq!(crop("ab", 9, 9), ("ab".into(), 2, 1));
        assert_eq!(crop("", 1, 1), (String::new(), 0, 1));
    }
}
