//! Expected against got, side by side; data objects are matched by tag, so that one wrong value is one marked line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use band_sim::wire::tag;
use band_sim::wire::tlv::{self, Tag};

use super::is_tlv;
use super::mask::{raw_tokens, tokens, value_tokens};

/// Bytes on one line of a column.
const LINE_BYTES: usize = 16;

/// What was expected and what came, side by side. `≠` marks a value that differs, `-` what is missing, `+` what came
/// too much; a marked object is named at the end of its line. Bytes that are not TLV are compared sixteen by sixteen.
#[must_use]
pub fn tlv_diff(expected: &[u8], got: &[u8]) -> String {
    let as_tlv = is_tlv(expected) && is_tlv(got);
    let rows = |bytes| if as_tlv { object_rows(bytes) } else { plain_rows(bytes) };
    render(&rows(expected), &rows(got))
}

/// One line of one column.
struct Row {
    /// What makes it the same line on both sides: depth, tag, number of the line within the object.
    key: (usize, Option<Tag>, usize),
    text: String,
    /// The real bytes: masked texts may agree where these do not.
    bytes: Vec<u8>,
}

fn object_rows(bytes: &[u8]) -> Vec<Row> {
    let objects = tlv::walk_deep(bytes).map_while(Result::ok);
    objects.flat_map(|(depth, object)| object_row(depth, object.tag, object.value)).collect()
}

fn object_row(depth: usize, tag: Tag, value: &[u8]) -> Vec<Row> {
    let indent = " ".repeat(2 * depth);
    if tag.is_constructed() || value.is_empty() {
        return vec![Row { key: (depth, Some(tag), 0), text: format!("{indent}{tag}"), bytes: Vec::new() }];
    }
    let shown = value_tokens(tag, value);
    let lines = value.chunks(LINE_BYTES).zip(shown.chunks(LINE_BYTES)).enumerate();
    lines
        .map(|(line, (bytes, shown))| {
            let head = if line == 0 { tag.to_string() } else { " ".repeat(2 * tag.encoded_len()) };
            let text = format!("{indent}{head} {}", shown.join(" "));
            Row { key: (depth, Some(tag), line), text, bytes: bytes.to_vec() }
        })
        .collect()
}

fn plain_rows(bytes: &[u8]) -> Vec<Row> {
    let shown = if is_tlv(bytes) { tokens(bytes) } else { raw_tokens(bytes) };
    let lines = bytes.chunks(LINE_BYTES).zip(shown.chunks(LINE_BYTES)).enumerate();
    lines
        .map(|(line, (bytes, shown))| Row { key: (0, None, line), text: shown.join(" "), bytes: bytes.to_vec() })
        .collect()
}

fn render(expected: &[Row], got: &[Row]) -> String {
    let width = expected.iter().map(|row| row.text.len()).max().unwrap_or_default().max("expected".len());
    let got_width = got.iter().map(|row| row.text.len()).max().unwrap_or_default().max("got".len());
    let mut lines = vec![format!("  {:width$} | got", "expected")];
    for (left, right) in pair(expected, got) {
        let mark = match (left, right) {
            (Some(left), Some(right)) if left.bytes == right.bytes => ' ',
            (Some(_), Some(_)) => '≠',
            (Some(_), None) => '-',
            (None, _) => '+',
        };
        let text = |row: Option<&Row>| row.map(|row| row.text.clone()).unwrap_or_default();
        let name = if mark == ' ' { "" } else { left.or(right).map_or("", name) };
        let line = format!("{mark} {:width$} | {:got_width$}  {name}", text(left), text(right));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n") + "\n"
}

fn name(row: &Row) -> &'static str {
    match row.key {
        (_, Some(tag), 0) => tag::info(tag).map_or("(unknown)", |row| row.name),
        _ => "",
    }
}

fn pair<'a>(expected: &'a [Row], got: &'a [Row]) -> Vec<(Option<&'a Row>, Option<&'a Row>)> {
    let keys = |rows: &[Row]| rows.iter().map(|row| row.key).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &keys(expected), &keys(got)) {
        let left = expected.get(op.old_range()).unwrap_or_default().iter().map(Some);
        let right = got.get(op.new_range()).unwrap_or_default().iter().map(Some);
        match op {
            DiffOp::Equal { .. } => pairs.extend(left.zip(right)),
            _ => {
                pairs.extend(left.map(|row| (row, None)));
                pairs.extend(right.map(|row| (None, row)));
            }
        }
    }
    pairs
}
