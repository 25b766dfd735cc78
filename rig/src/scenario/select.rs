//! Which cases are meant: `--tag` expressions, `--filter` texts, `--shard` parts.

use std::fmt;
use std::str::FromStr;

use super::file::Case;

/// An expression over tags and rules: `activation`, `R2 and not sweep`, `(R5 or R7) and payment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagExpr {
    /// The case has this tag, or is about this rule.
    Has(String),
    /// Not.
    Not(Box<TagExpr>),
    /// Both.
    And(Box<TagExpr>, Box<TagExpr>),
    /// One of them, or both.
    Or(Box<TagExpr>, Box<TagExpr>),
}

impl TagExpr {
    /// Whether a case satisfies it.
    #[must_use]
    pub fn matches(&self, case: &Case) -> bool {
        let has = |word: &str| {
            let mut words = case.tags.iter().chain(&case.rules);
            words.any(|it| it.value.eq_ignore_ascii_case(word))
        };
        self.holds(&has)
    }

    fn holds(&self, has: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Has(word) => has(word),
            Self::Not(inner) => !inner.holds(has),
            Self::And(left, right) => left.holds(has) && right.holds(has),
            Self::Or(left, right) => left.holds(has) || right.holds(has),
        }
    }
}

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagExprError {
    message: String,
}

impl fmt::Display for TagExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; write for example `R2 and not sweep`", self.message)
    }
}

impl std::error::Error for TagExprError {}

/// Expressions nest at most so deep.
const MOST_NESTING: usize = 32;

impl FromStr for TagExpr {
    type Err = TagExprError;

    fn from_str(text: &str) -> Result<Self, TagExprError> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut reader = Reader { words: &words, nesting: 0 };
        let expr = reader.either()?;
        match reader.words.first() {
            None => Ok(expr),
            Some(word) => Err(wrong(format!("`{word}` stands where `and`, `or` or the end should"))),
        }
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    nesting: usize,
}

impl Reader<'_> {
    fn either(&mut self) -> Result<TagExpr, TagExprError> {
        let mut left = self.both()?;
        while self.take("or") {
            left = TagExpr::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<TagExpr, TagExprError> {
        let mut left = self.one()?;
        while self.take("and") {
            left = TagExpr::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<TagExpr, TagExprError> {
        self.nesting += 1;
        if self.nesting > MOST_NESTING {
            return Err(wrong("the expression nests too deeply".into()));
        }
        let expr = if self.take("not") {
            TagExpr::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.either()?;
            if !self.take(")") {
                return Err(wrong("a `)` is missing".into()));
            }
            inner
        } else {
            match self.words.split_first() {
                Some((word, rest)) if !matches!(*word, "and" | "or" | ")") => {
                    self.words = rest;
                    TagExpr::Has((*word).to_owned())
                }
                Some((word, _)) => return Err(wrong(format!("`{word}` stands where a tag or a rule should"))),
                None => return Err(wrong("a tag or a rule is missing at the end".into())),
            }
        };
        self.nesting -= 1;
        Ok(expr)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

fn wrong(message: String) -> TagExprError {
    TagExprError { message }
}

/// One part of the cases, for a run that is spread over machines: part `part` of `of`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub part: u32,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// All of them.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// Whether the case at this place in file order belongs to the part.
    #[must_use]
    pub const fn takes(self, index: u32) -> bool {
        index % self.of == self.part - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shard =
            text.split_once('/').and_then(|(part, of)| Some(Self { part: part.parse().ok()?, of: of.parse().ok()? }));
        match shard {
            Some(shard) if shard.part >= 1 && shard.part <= shard.of => Ok(shard),
            _ => Err(format!("`{text}` is not a part such as `2/4`, the second of four")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(expr: &str, tags: &[&str]) -> bool {
        expr.parse::<TagExpr>().unwrap().holds(&|word| tags.contains(&word))
    }

    #[test]
    fn not_binds_tighter_than_and_and_that_tighter_than_or() {
        assert!(holds("a or b and c", &["a"]));
        assert!(!holds("(a or b) and c", &["a"]));
        assert!(holds("not a and b", &["b"]));
        assert!(!holds("not (a or b)", &["b"]));
        assert!(holds("not not a", &["a"]));
    }

    #[test]
    fn a_bad_expression_says_what_is_wrong() {
        let message = |text: &str| text.parse::<TagExpr>().unwrap_err().message;
        assert_eq!(message("a b"), "`b` stands where `and`, `or` or the end should");
        assert_eq!(message("a and"), "a tag or a rule is missing at the end");
        assert_eq!(message("(a"), "a `)` is missing");
        assert_eq!(message("or"), "`or` stands where a tag or a rule should");
        assert_eq!(message(&"not ".repeat(100)), "the expression nests too deeply");
    }

    #[test]
    fn shards_take_every_case_exactly_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|text| text.parse().unwrap()).collect();
        for index in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.takes(index)).count(), 1);
        }
        for bad in ["0/3", "4/3", "1/0", "1", "a/b", "-1/3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
