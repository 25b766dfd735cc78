//! Digits as they stand in text: hex or decimal, with separators or without.

/// What stands in text, as far as secrets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A hex digit.
    Nibble(u8),
    /// Something that ends a row of digits.
    Other(u8),
}

/// The hex digits of a text with their places. Separators and `0x` between them are passed over.
#[derive(Clone, Debug)]
pub(super) struct Digits<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Digits<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self::starting(text, 0)
    }

    pub(super) fn starting(text: &'t [u8], at: usize) -> Self {
        Self { text, at }
    }
}

impl Iterator for Digits<'_> {
    type Item = (usize, Token);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            let byte = *self.text.get(at)?;
            self.at += 1;
            match CLASSES[usize::from(byte)] {
                SEPARATOR => {}
                0 if matches!(self.text.get(self.at), Some(b'x' | b'X')) => self.at += 1,
                OTHER => return Some((at, Token::Other(byte))),
                nibble => return Some((at, Token::Nibble(nibble))),
            }
        }
    }
}

const SEPARATOR: u8 = 0x10;
const OTHER: u8 = 0x20;

/// The value of a hex digit, [`SEPARATOR`] or [`OTHER`], for every byte.
const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte: u8 = 0;
    loop {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b' ' | b'\t' | b'\n' | b'\r' | b':' | b'-' | b',' | b'_' | b'.' | b'/' => SEPARATOR,
            _ => OTHER,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> String {
        let shown = Digits::new(text.as_bytes()).map(|(_, token)| match token {
            Token::Nibble(nibble) => char::from_digit(nibble.into(), 16).unwrap(),
            Token::Other(_) => '|',
        });
        shown.collect()
    }

    #[test]
    fn separators_and_prefixes_are_passed_over() {
        for text in ["5A08", "5a 08", "5A:08", "5A-08", "[0x5A, 0x08]".trim_matches(['[', ']']), "5A,\n    08"] {
            assert_eq!(digits(text), "5a08", "{text}");
        }
    }

    #[test]
    fn anything_else_ends_the_row() {
        assert_eq!(digits("5A=08 x9 é"), "5a|08|9||");
    }

    #[test]
    fn each_byte_has_a_class() {
        for byte in 0..=u8::MAX {
            let value = char::from(byte).to_digit(16).filter(|_| byte.is_ascii());
            let class = CLASSES[usize::from(byte)];
            assert_eq!((class < SEPARATOR).then_some(u32::from(class)), value, "{byte:02X}");
        }
    }
}
