//! Secrets that fragment boundaries cut: their end at the start of some bytes, their start at the end of others, and of long ones a
//! part out of the middle, maybe with a status word behind it.

use std::collections::BTreeMap;

/// Bytes by which a piece is recognised; a shorter one is less than a number may show anyway.
const PIECE: usize = 3;

/// Bytes that come before what a frame carries: none, an opcode (facts/band-ble.md 2.1), or a chunk's head (1.7).
const FRAME_HEADS: [usize; 3] = [0, 1, 3];

/// Bytes by which a piece out of the middle is recognised: more than two secrets have in common.
const MIDDLE: usize = 8;

/// A secret as bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ByteSecret {
    pub(super) bytes: Vec<u8>,
    /// Bytes that may be seen at its start.
    pub(super) shown_first: usize,
    /// Bytes that may be seen at its end.
    pub(super) shown_last: usize,
}

/// All pieces of all secrets.
#[derive(Clone, Default)]
pub(super) struct Edges {
    secrets: Vec<ByteSecret>,
    /// By the first bytes of the piece, for the starts of fragments.
    tails: BTreeMap<[u8; PIECE], Vec<Piece>>,
    /// By the last bytes of the piece, for the ends of fragments.
    heads: BTreeMap<[u8; PIECE], Vec<Piece>>,
}

/// The first or last `length` bytes of a secret, or all of them.
#[derive(Clone, Copy)]
struct Piece {
    secret: usize,
    length: usize,
}

impl ByteSecret {
    fn hides(&self, place: usize) -> bool {
        place >= self.shown_first && place + self.shown_last < self.bytes.len()
    }
}

impl Edges {
    /// Knows one more secret.
    pub(super) fn learn(&mut self, secret: ByteSecret) {
        if self.secrets.contains(&secret) {
            return;
        }
        let number = self.secrets.len();
        for length in PIECE..=secret.bytes.len() {
            let piece = Piece { secret: number, length };
            let (head, tail) = (secret.bytes.get(..length), secret.bytes.get(secret.bytes.len() - length..));
            if let Some(key) = head.and_then(<[u8]>::last_chunk) {
                self.heads.entry(*key).or_default().push(piece);
            }
            if let Some(key) = tail.and_then(<[u8]>::first_chunk) {
                self.tails.entry(*key).or_default().push(piece);
            }
        }
        self.secrets.push(secret);
    }

    /// Masks in `shown`, the spaced hex of `bytes`, what may not be seen of pieces at either end.
    pub(super) fn mask(&self, bytes: &[u8], shown: &mut String) {
        for skipped in FRAME_HEADS {
            let carried = bytes.get(skipped..).unwrap_or_default();
            for piece in carried.first_chunk().and_then(|key| self.tails.get(key)).into_iter().flatten() {
                let Some(secret) = self.secrets.get(piece.secret) else { continue };
                let first = secret.bytes.len() - piece.length;
                let tail = secret.bytes.get(first..).unwrap_or_default();
                let common = tail.iter().zip(carried).take_while(|(known, seen)| known == seen).count();
                if common == tail.len() || common >= MIDDLE {
                    let hidden = (0..common).filter(|place| secret.hides(first + place));
                    hidden.for_each(|place| star_byte(shown, skipped + place));
                }
            }
        }
        for piece in bytes.last_chunk().and_then(|key| self.heads.get(key)).into_iter().flatten() {
            let Some(secret) = self.secrets.get(piece.secret) else { continue };
            if secret.bytes.get(..piece.length).is_some_and(|head| bytes.ends_with(head)) {
                let hidden = (0..piece.length).filter(|&place| secret.hides(place));
                hidden.for_each(|place| star_byte(shown, bytes.len() - piece.length + place));
            }
        }
    }
}

/// Masks one byte of spaced hex.
fn star_byte(shown: &mut String, place: usize) {
    let at = 3 * place;
    if shown.is_char_boundary(at) && shown.len() >= at + 2 {
        shown.replace_range(at..at + 2, "**");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut edges = Edges::default();
        edges.learn(ByteSecret { bytes: (1..=8).collect(), shown_first: 3, shown_last: 2 });
        let mut shown: String = bytes.iter().map(|byte| format!("{byte:02X} ")).collect();
        edges.mask(bytes, &mut shown);
        shown.trim_end().to_owned()
    }

    #[test]
    fn each_way_to_cut_a_secret_shows_its_first_three_and_last_two_bytes_only() {
        let frame = |head: &[u8], piece: &[u8], tail: &[u8]| shown(&[head, piece, tail].concat());
        let secret: Vec<u8> = (1..=8).collect();
        for cut in PIECE..=secret.len() - PIECE {
            let (left, right) = secret.split_at(cut);
            let left = frame(&[0x84, 0xA0], left, &[]);
            let right = frame(&[0x83], right, &[0x90, 0x00]);
            let joined = format!("{} {}", left.trim_start_matches("84 A0 "), right.trim_start_matches("83 "));
            assert_eq!(joined, "01 02 03 ** ** ** 07 08 90 00", "cut after {cut}");
        }
    }

    #[test]
    fn a_long_secret_shows_no_more_than_two_bytes_at_each_cut() {
        let secret: Vec<u8> = (0x40..0xD0).collect();
        let mut edges = Edges::default();
        edges.learn(ByteSecret { bytes: secret.clone(), shown_first: 0, shown_last: 0 });
        let before = [0x70, 0x81, 0x97, 0x9F, 0x46, 0x81, 0x90];
        let answer = [&before[..], &secret, &[0x90, 0x00]].concat();
        let of_secret = before.len()..before.len() + secret.len();
        for (size, head) in [(17, &[0x00, 0x44, 0x02][..]), (19, &[0x84]), (20, &[]), (100, &[])] {
            for cut in 1..=size {
                let mut at = 0;
                for part in [&answer[..cut]].into_iter().chain(answer[cut..].chunks(size)) {
                    let frame = [head, part].concat();
                    let mut shown: String = frame.iter().map(|byte| format!("{byte:02X} ")).collect();
                    edges.mask(&frame, &mut shown);
                    let tokens = shown.split_whitespace().skip(head.len()).zip(at..);
                    let seen = tokens.filter(|(token, at)| of_secret.contains(at) && *token != "**").count();
                    assert!(seen <= 2, "{size} {cut} {at}: {shown}");
                    at += part.len();
                }
            }
        }
    }

    #[test]
    fn a_piece_of_a_long_secret_ends_where_a_status_word_begins() {
        let secret: Vec<u8> = (0x40..0xD0).collect();
        let mut edges = Edges::default();
        edges.learn(ByteSecret { bytes: secret.clone(), shown_first: 0, shown_last: 0 });
        for from in [0, 1, 50, secret.len() - MIDDLE] {
            let piece = [&secret[from..from + MIDDLE], &[0x61, 0x58]].concat();
            let mut shown: String = piece.iter().map(|byte| format!("{byte:02X} ")).collect();
            edges.mask(&piece, &mut shown);
            assert_eq!(shown.trim_end(), "** ** ** ** ** ** ** ** 61 58", "from {from}");
        }
    }

    #[test]
    fn a_piece_in_the_middle_is_left_alone() {
        assert_eq!(shown(&[0, 0, 0, 0, 3, 4, 5, 6, 0]), "00 00 00 00 03 04 05 06 00");
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[7, 8]), "07 08");
    }
}
