//! One secret as it may stand in text, and how much of it may be seen.

use super::digits::{Digits, Token};

/// Digits of track 2 after the separator (ISO/IEC 7813: 37 characters in all, the number has 8 or more).
const TRACK_2_REST: usize = 28;

/// A secret as a row of hex digits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) nibbles: Vec<u8>,
    /// Digits that may be seen at its start.
    pub(super) shown_first: usize,
    /// Digits that may be seen at its end.
    pub(super) shown_last: usize,
    pub(super) then: Then,
}

/// What of track 2 may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// `D` or `=`, then digits.
    Digits,
    /// `3D` or `44`, then `3x`.
    AsciiDigits,
}

impl Pattern {
    pub(super) fn hidden(nibbles: Vec<u8>) -> Self {
        Self { nibbles, shown_first: 0, shown_last: 0, then: Then::Nothing }
    }

    /// Masks itself if it stands in `text` at `start`, and with `and_rest` what of track 2 follows.
    pub(super) fn mask(&self, text: &[u8], start: usize, and_rest: bool, masked: &mut Option<Vec<u8>>) {
        let mut digits = Digits::starting(text, start);
        let mut places = Vec::with_capacity(self.nibbles.len());
        for &wanted in &self.nibbles {
            match digits.next() {
                Some((at, Token::Nibble(nibble))) if nibble == wanted => places.push(at),
                _ => return,
            }
        }
        let end = places.len().saturating_sub(self.shown_last);
        places.iter().take(end).skip(self.shown_first).for_each(|&at| star(text, at, masked));
        if and_rest {
            self.mask_track_2(text, digits, masked);
        }
    }

    /// Masks what follows a number after track 2's separator.
    fn mask_track_2(&self, text: &[u8], mut digits: Digits<'_>, masked: &mut Option<Vec<u8>>) {
        let separator = digits.next().map(|(_, token)| token);
        match (self.then, separator) {
            (Then::Digits, Some(Token::Nibble(0xD) | Token::Other(b'='))) => {
                let rest = digits.map_while(|(at, token)| matches!(token, Token::Nibble(0..=9)).then_some(at));
                rest.take(TRACK_2_REST).for_each(|at| star(text, at, masked));
            }
            (Then::AsciiDigits, Some(Token::Nibble(first))) => {
                let second = digits.next().map(|(_, token)| token);
                if !matches!((first, second), (3, Some(Token::Nibble(0xD))) | (4, Some(Token::Nibble(4)))) {
                    return;
                }
                for _ in 0..TRACK_2_REST {
                    let (Some((_, Token::Nibble(3))), Some((at, Token::Nibble(0..=9)))) =
                        (digits.next(), digits.next())
                    else {
                        return;
                    };
                    star(text, at, masked);
                }
            }
            _ => {}
        }
    }
}

/// Decimal digits of each byte, as `[84, 19, 51]` has them without its separators.
pub(super) fn decimal(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| byte.to_string().into_bytes()).map(|character| character - b'0').collect()
}

pub(super) fn star(text: &[u8], at: usize, masked: &mut Option<Vec<u8>>) {
    let masked = masked.get_or_insert_with(|| text.to_vec());
    if let Some(byte) = masked.get_mut(at) {
        *byte = b'*';
    }
}
