//! `matrix`: one case per combination of values, or per row.
//!
//! A map of lists is every combination (`{ card: [a, b], after: [1s, 2s] }` makes four cases) and may be thinned out with `exclude`; a list
//! of maps is the rows themselves (`[{ after: 1s, result: … }, …]`), for values that belong together.

use super::error::FileError;
use super::node::{Node, Shape};
use super::variables::is_name;

/// More cases than this in one file are a mistake.
const MOST_ROWS: usize = 500;

/// One row: variables and their values, in the order of the file.
pub(super) type Row = Vec<(String, Node)>;

/// The rows of a file; one empty row without a matrix.
pub(super) fn rows(matrix: Option<&Node>, exclude: Option<&Node>, errors: &mut Vec<FileError>) -> Vec<Row> {
    let Some(matrix) = matrix else {
        if let Some(exclude) = exclude {
            errors.push(FileError::at(&exclude.span, "`exclude` has no `matrix` to thin out"));
        }
        return vec![Row::new()];
    };
    match &matrix.shape {
        Shape::Map(axes) => {
            let rows = combinations(matrix, axes, errors);
            thin_out(rows, axes, exclude, errors)
        }
        Shape::List(rows) => {
            if let Some(exclude) = exclude {
                let error = FileError::at(&exclude.span, "`exclude` thins out combinations; these are rows");
                errors.push(error.hint("take the row out of `matrix`"));
            }
            listed(matrix, rows, errors)
        }
        _ => {
            errors.push(
                FileError::at(
                    &matrix.span,
                    format!("`matrix` takes a map of lists or a list of maps, not {}", matrix.describe()),
                )
                .note("every combination: `{ card: [a, b], after: [1s, 2s] }`")
                .note("only these rows: `[{ card: a, after: 1s }, { card: b, after: 2s }]`"),
            );
            Vec::new()
        }
    }
}

/// What stands in the brackets of a case's id: the first variables of the row whose values are one word or line.
pub(super) fn label(row: &Row, count: usize) -> String {
    let plain = row.iter().filter_map(|(name, value)| value.text().map(|text| format!("{name}={}", text.trim())));
    plain.take(count).collect::<Vec<_>>().join(",")
}

fn combinations(matrix: &Node, axes: &[(Node, Node)], errors: &mut Vec<FileError>) -> Vec<Row> {
    let mut rows = vec![Row::new()];
    for (name, values) in axes {
        check_name(name, errors);
        let Shape::List(values) = &values.shape else {
            let error = FileError::at(
                &values.span,
                format!("`{}` takes a list of values, not {}", name.key(), values.describe()),
            );
            errors.push(error.hint(format!("write `{}: [{}]`", name.key(), values.line())));
            continue;
        };
        if values.is_empty() {
            errors
                .push(FileError::at(&name.span, format!("`{}` has no values, so there is nothing to run", name.key())));
        }
        if rows.len().saturating_mul(values.len()) > MOST_ROWS {
            errors.push(too_many(matrix));
            return Vec::new();
        }
        rows = rows.iter().flat_map(|row| values.iter().map(|value| with(row, name.key(), value))).collect();
    }
    rows
}

fn with(row: &Row, name: &str, value: &Node) -> Row {
    let mut row = row.clone();
    row.push((name.to_owned(), value.clone()));
    row
}

fn listed(matrix: &Node, rows: &[Node], errors: &mut Vec<FileError>) -> Vec<Row> {
    if rows.is_empty() {
        errors.push(FileError::at(&matrix.span, "`matrix` has no rows, so there is nothing to run"));
    }
    if rows.len() > MOST_ROWS {
        errors.push(too_many(matrix));
        return Vec::new();
    }
    let mut first: Option<Vec<&str>> = None;
    let mut read = Vec::new();
    for row in rows {
        let Shape::Map(values) = &row.shape else {
            errors.push(
                FileError::at(&row.span, format!("a row of `matrix` is a map, not {}", row.describe()))
                    .hint("write `{ name: value }`"),
            );
            continue;
        };
        values.iter().for_each(|(name, _)| check_name(name, errors));
        let names: Vec<_> = values.iter().map(|(name, _)| name.key()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let first = first.get_or_insert_with(|| sorted.clone());
        if *first != sorted {
            errors.push(
                FileError::at(&row.span, "this row has other variables than the first one")
                    .note(format!("the first has {}", first.join(", "))),
            );
        }
        read.push(values.iter().map(|(name, value)| (name.key().to_owned(), value.clone())).collect());
    }
    read
}

fn thin_out(rows: Vec<Row>, axes: &[(Node, Node)], exclude: Option<&Node>, errors: &mut Vec<FileError>) -> Vec<Row> {
    let Some(exclude) = exclude else { return rows };
    let Shape::List(patterns) = &exclude.shape else {
        errors
            .push(FileError::at(&exclude.span, format!("`exclude` takes a list of maps, not {}", exclude.describe())));
        return rows;
    };
    let mut kept = rows;
    for pattern in patterns {
        let Shape::Map(wanted) = &pattern.shape else {
            errors.push(FileError::at(&pattern.span, format!("an `exclude` is a map, not {}", pattern.describe())));
            continue;
        };
        let names: Vec<_> = axes.iter().map(|(name, _)| name.key()).collect();
        for (name, _) in wanted.iter().filter(|(name, _)| !names.contains(&name.key())) {
            let error = FileError::at(&name.span, format!("`{}` is not a variable of the matrix", name.key()));
            errors.push(error.allowed("variables", name.key(), &names));
        }
        let before = kept.len();
        kept.retain(|row| !wanted.iter().all(|(name, value)| holds(row, name.key(), value)));
        if kept.len() == before {
            errors.push(FileError::at(&pattern.span, "no combination is left out by this"));
        }
    }
    if kept.is_empty() {
        errors.push(FileError::at(&exclude.span, "every combination is excluded, so there is nothing to run"));
    }
    kept
}

fn holds(row: &Row, name: &str, wanted: &Node) -> bool {
    row.iter().any(|(known, value)| known == name && value.line() == wanted.line())
}

fn check_name(name: &Node, errors: &mut Vec<FileError>) {
    if !is_name(name.key()) {
        errors.push(
            FileError::at(&name.span, format!("`{}` cannot be a variable", name.key()))
                .hint("small letters, digits and `_`"),
        );
    }
}

fn too_many(matrix: &Node) -> FileError {
    FileError::at(&matrix.span, format!("this matrix makes more than {MOST_ROWS} cases"))
}
