//! BER-TLV as EMV and GlobalPlatform use it: a walk that allocates nothing, a tree for tests and reports, a writer.
//!
//! Tags have one to four bytes, lengths the forms `00..7F`, `81`, `82`, `83` and `84`. Zero bytes before, between and
//! after objects are padding (EMV 4.4 B3 Annex B1). ISO 7816-4 also allows `FF` there, but contactless kernels use
//! tags that begin with `FF` (`FF8105`), so it is a tag here. The indefinite length `80` is refused.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{DecodeError, DecodeErrorKind};

/// How deep templates may nest. EMV needs four (`6F A5 BF0C 61`); the rest is room for GlobalPlatform and for mistakes.
pub const MAX_DEPTH: usize = 8;

/// The name of a data object, as the number its bytes spell: `9F38` is `0x9F38`.
///
/// A well-formed tag has a first byte other than `00`; [`Tag::is_well_formed`] tells, `new` does not check.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

impl Tag {
    /// The tag whose bytes, read as one big-endian number, are `value`.
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The bytes as one number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// How many bytes it has on the wire, one to four.
    #[must_use]
    pub const fn encoded_len(self) -> usize {
        match self.0 {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            0x1_0000..=0xFF_FFFF => 3,
            _ => 4,
        }
    }

    /// Whether the value is made of data objects again (bit 6 of the first byte, ISO 8825-1 8.1.2.5).
    #[must_use]
    pub const fn is_constructed(self) -> bool {
        self.first_byte() & 0x20 != 0
    }

    /// Whether these bytes are exactly one tag: continuation bits agree with the number of bytes.
    #[must_use]
    pub const fn is_well_formed(self) -> bool {
        let first = self.first_byte();
        match self.encoded_len() {
            1 => first != 0 && first & 0x1F != 0x1F,
            len => {
                let continuation = 0x0080_8080 & ((1 << (8 * (len - 1))) - 1) & !0xFF;
                first & 0x1F == 0x1F && self.0 & 0x80 == 0 && self.0 & continuation == continuation
            }
        }
    }

    /// Reads one tag at the start of `bytes`; gives it and the rest. The error's offset counts from there.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let Some((&first, mut rest)) = bytes.split_first() else { return Err(DecodeErrorKind::Truncated.at(0)) };
        let mut value = u32::from(first);
        if first & 0x1F != 0x1F {
            return Ok((Self(value), rest));
        }
        for at in 1..4 {
            let Some((&byte, tail)) = rest.split_first() else { return Err(DecodeErrorKind::Truncated.at(at)) };
            value = value << 8 | u32::from(byte);
            rest = tail;
            if byte & 0x80 == 0 {
                return Ok((Self(value), rest));
            }
        }
        Err(DecodeErrorKind::TagTooLong.at(0))
    }

    /// Appends the tag's bytes.
    pub fn encode_into(self, out: &mut Vec<u8>) {
        let [a, b, c, d] = self.0.to_be_bytes();
        match self.encoded_len() {
            1 => out.push(d),
            2 => out.extend([c, d]),
            3 => out.extend([b, c, d]),
            _ => out.extend([a, b, c, d]),
        }
    }

    const fn first_byte(self) -> u8 {
        (self.0 >> (8 * (self.encoded_len() - 1))) as u8
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$X}", self.0, width = 2 * self.encoded_len())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

impl FromStr for Tag {
    type Err = DecodeError;

    /// Reads `9F38` (upper or lower case, nothing else), and only well-formed tags.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bad = DecodeErrorKind::BadValue.at(0);
        if !matches!(text.len(), 2 | 4 | 6 | 8) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad);
        }
        let tag = u32::from_str_radix(text, 16).map(Self).map_err(|_| bad)?;
        if tag.is_well_formed() && tag.encoded_len() * 2 == text.len() { Ok(tag) } else { Err(bad) }
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u32(self.0) }
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u32::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"a tag in hex, such as 9F38"))
    }
}

/// One data object, borrowed from the bytes it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its name.
    pub tag: Tag,
    /// Its content.
    pub value: &'a [u8],
    /// Where its tag begins, counted from the start of what is being walked.
    pub at: usize,
}

/// Walks the objects of one level, in order. Ends after the first error.
#[must_use]
pub fn walk(bytes: &[u8]) -> Walk<'_> {
    Walk { rest: bytes, total: bytes.len() }
}

/// Walks all objects depth-first, each template before its content; gives the depth (0 = outermost) beside the object.
/// Ends after the first error.
#[must_use]
pub fn walk_deep(bytes: &[u8]) -> WalkDeep<'_> {
    WalkDeep { level: bytes, parents: [&[]; MAX_DEPTH - 1], depth: 0, at: 0 }
}

/// The value of the first `tag` of this level; `None` when a malformed object comes before it.
#[must_use]
pub fn find(bytes: &[u8], tag: Tag) -> Option<&[u8]> {
    walk(bytes).map_while(Result::ok).find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
}

/// The value of the first `tag` at any depth; `None` when a malformed object comes before it.
#[must_use]
pub fn find_deep(bytes: &[u8], tag: Tag) -> Option<&[u8]> {
    walk_deep(bytes).map_while(Result::ok).find(|(_, tlv)| tlv.tag == tag).map(|(_, tlv)| tlv.value)
}

/// The value at the end of a path of tags, the first object of each name on the way; an empty path is the bytes.
#[must_use]
pub fn find_path<'a>(bytes: &'a [u8], path: &[Tag]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |level, &tag| find(level, tag))
}

/// See [`walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Tlv<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.rest = skip_padding(self.rest);
        if self.rest.is_empty() {
            return None;
        }
        let at = self.total - self.rest.len();
        match split_object(self.rest) {
            Ok((tag, value, rest)) => {
                self.rest = rest;
                Some(Ok(Tlv { tag, value, at }))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error.kind.at(at + error.at)))
            }
        }
    }
}

impl core::iter::FusedIterator for Walk<'_> {}

/// See [`walk_deep`].
#[derive(Clone, Debug)]
pub struct WalkDeep<'a> {
    /// What is left of the current level.
    level: &'a [u8],
    /// What is left of each level above it, outermost first.
    parents: [&'a [u8]; MAX_DEPTH - 1],
    depth: usize,
    /// Offset of `level` in the whole.
    at: usize,
}

impl<'a> Iterator for WalkDeep<'a> {
    type Item = Result<(usize, Tlv<'a>), DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let padded = self.level;
            self.level = skip_padding(padded);
            self.at += padded.len() - self.level.len();
            if !self.level.is_empty() {
                break;
            }
            self.depth = self.depth.checked_sub(1)?;
            self.level = self.parents.get(self.depth)?;
        }
        Some(self.enter())
    }
}

impl<'a> WalkDeep<'a> {
    #[inline]
    fn enter(&mut self) -> Result<(usize, Tlv<'a>), DecodeError> {
        let (tag, value, rest) = match split_object(self.level) {
            Ok(object) => object,
            Err(error) => return Err(self.stop(error)),
        };
        let tlv = Tlv { tag, value, at: self.at };
        let depth = self.depth;
        if tag.is_constructed() && !value.is_empty() {
            let Some(parent) = self.parents.get_mut(depth) else {
                return Err(self.stop(DecodeErrorKind::TooDeep.at(0)));
            };
            *parent = rest;
            self.depth += 1;
            self.at += self.level.len() - rest.len() - value.len();
            self.level = value;
        } else {
            self.at += self.level.len() - rest.len();
            self.level = rest;
        }
        Ok((depth, tlv))
    }

    /// Ends the walk; the error, counted from the current object, becomes one counted from the start.
    #[cold]
    fn stop(&mut self, error: DecodeError) -> DecodeError {
        self.level = &[];
        self.depth = 0;
        error.kind.at(self.at + error.at)
    }
}

impl core::iter::FusedIterator for WalkDeep<'_> {}

/// A data object with its own copy of the content, as a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Content that is not data objects.
    Primitive {
        /// Its name; [`Tag::is_constructed`] is false.
        tag: Tag,
        /// Its content.
        value: Vec<u8>,
    },
    /// A template.
    Constructed {
        /// Its name; [`Tag::is_constructed`] is true.
        tag: Tag,
        /// The objects in it, in order.
        children: Vec<Self>,
    },
}

impl Node {
    /// Reads all objects of `bytes` and everything in them. Padding is dropped.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        // The walk checks the depth for the recursion below.
        walk_deep(bytes).try_for_each(|object| object.map(drop))?;
        decode_level(bytes)
    }

    /// The bytes of these objects, each length in its shortest form.
    #[must_use]
    pub fn encode_all(nodes: &[Self]) -> Vec<u8> {
        nodes.iter().fold(Writer::new(), |writer, node| node.write(writer)).finish()
    }

    /// The bytes of this object, each length in its shortest form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.write(Writer::new()).finish()
    }

    /// Its name.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        match self {
            Self::Primitive { tag, .. } | Self::Constructed { tag, .. } => *tag,
        }
    }

    fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::Primitive { tag, value } => writer.put(*tag, value),
            Self::Constructed { tag, children } => {
                writer.nest(*tag, |inner| children.iter().fold(inner, |inner, child| child.write(inner)))
            }
        }
    }
}

fn decode_level(bytes: &[u8]) -> Result<Vec<Node>, DecodeError> {
    walk(bytes)
        .map(|object| {
            let Tlv { tag, value, .. } = object?;
            Ok(match tag.is_constructed() {
                true => Node::Constructed { tag, children: decode_level(value)? },
                false => Node::Primitive { tag, value: value.to_vec() },
            })
        })
        .collect()
}

/// What a [`Writer`] makes room for at first.
const FIRST_BYTES: usize = 64;
/// The longest tag and the longest length field.
const MAX_HEADER_BYTES: usize = 9;

/// Builds data objects, each length in its shortest form.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends one object with this content.
    pub fn put(mut self, tag: Tag, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if self.bytes.capacity() == 0 {
            // Grown byte by byte, a small answer would move three times.
            self.bytes.reserve(FIRST_BYTES.max(value.len() + MAX_HEADER_BYTES));
        }
        tag.encode_into(&mut self.bytes);
        encode_length(value.len(), &mut self.bytes);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Appends one object, or nothing.
    pub fn put_some(self, tag: Tag, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.put(tag, value),
            None => self,
        }
    }

    /// Appends a template with what `content` writes into it.
    pub fn nest(self, tag: Tag, content: impl FnOnce(Self) -> Self) -> Self {
        self.put(tag, content(Self::new()).bytes)
    }

    /// Appends objects that are encoded already.
    pub fn raw(mut self, objects: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(objects.as_ref());
        self
    }

    /// All that was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Appends a length field in its shortest form (ISO 7816-4 5.2.2.2).
pub fn encode_length(len: usize, out: &mut Vec<u8>) {
    // No buffer of ours comes near 4 GiB; a length that does not fit is cut to the largest the format can say.
    let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    match len {
        0..=0x7F => out.push(d),
        0x80..=0xFF => out.extend([0x81, d]),
        0x100..=0xFFFF => out.extend([0x82, c, d]),
        0x1_0000..=0xFF_FFFF => out.extend([0x83, b, c, d]),
        _ => out.extend([0x84, a, b, c, d]),
    }
}

/// Reads one length field at the start of `bytes`; gives it and the rest. The error's offset counts from there.
pub fn decode_length(bytes: &[u8]) -> Result<(usize, &[u8]), DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else { return Err(DecodeErrorKind::Truncated.at(0)) };
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let field = match first {
        0x80 => return Err(DecodeErrorKind::BadLength.at(0)),
        0x81..=0x84 => usize::from(first & 0x7F),
        _ => return Err(DecodeErrorKind::LengthTooLong.at(0)),
    };
    let Some((digits, rest)) = rest.split_at_checked(field) else {
        return Err(DecodeErrorKind::Truncated.at(bytes.len()));
    };
    let len = digits.iter().fold(0_u32, |len, &digit| len << 8 | u32::from(digit));
    // Where `usize` has 16 bits such a length is truncated input in any case.
    Ok((usize::try_from(len).unwrap_or(usize::MAX), rest))
}

#[inline]
fn skip_padding(mut bytes: &[u8]) -> &[u8] {
    while let Some((0, rest)) = bytes.split_first() {
        bytes = rest;
    }
    bytes
}

/// Tag, content and what follows. The error's offset counts from the start of `bytes`.
#[inline]
fn split_object(bytes: &[u8]) -> Result<(Tag, &[u8], &[u8]), DecodeError> {
    // Nearly all objects have a header of two bytes; this arm alone makes a walk a third faster.
    if let &[tag, len, ref rest @ ..] = bytes
        && tag & 0x1F != 0x1F
        && len < 0x80
        && let Some((value, rest)) = rest.split_at_checked(usize::from(len))
    {
        return Ok((Tag(u32::from(tag)), value, rest));
    }
    split_any_object(bytes)
}

fn split_any_object(bytes: &[u8]) -> Result<(Tag, &[u8], &[u8]), DecodeError> {
    let (tag, after_tag) = Tag::decode(bytes)?;
    let from_start = |error: DecodeError| error.kind.at(bytes.len() - after_tag.len() + error.at);
    let (len, after_length) = decode_length(after_tag).map_err(from_start)?;
    match after_length.split_at_checked(len) {
        Some((value, rest)) => Ok((tag, value, rest)),
        None => Err(DecodeErrorKind::Truncated.at(bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    /// A PPSE answer with one application, as published for a Mastercard contactless card.
    const PPSE: &[u8] = &[
        0x6F, 0x23, 0x84, 0x0E, 0x32, 0x50, 0x41, 0x59, 0x2E, 0x53, 0x59, 0x53, 0x2E, 0x44, 0x44, 0x46, 0x30, 0x31,
        0xA5, 0x11, 0xBF, 0x0C, 0x0E, 0x61, 0x0C, 0x4F, 0x07, 0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x87, 0x01,
        0x01,
    ];

    const T: fn(u32) -> Tag = Tag::new;

    fn error(bytes: &[u8]) -> (usize, DecodeErrorKind) {
        let error = walk_deep(bytes).find_map(Result::err).expect("an error");
        (error.at, error.kind)
    }

    #[test]
    fn a_deep_walk_gives_each_template_before_its_content_with_depth_and_place() {
        let seen = walk_deep(PPSE)
            .map(|object| object.map(|(depth, tlv)| (depth, tlv.tag.value(), tlv.value.len(), tlv.at)))
            .collect::<Result<Vec<_>, _>>();
        let expected = vec![
            (0, 0x6F, 35, 0),
            (1, 0x84, 14, 2),
            (1, 0xA5, 17, 18),
            (2, 0xBF0C, 14, 20),
            (3, 0x61, 12, 23),
            (4, 0x4F, 7, 25),
            (4, 0x87, 1, 34),
        ];
        assert_eq!(seen, Ok(expected));
    }

    #[test]
    fn a_walk_stays_on_its_level() {
        let bytes = [0x61, 0x03, 0x87, 0x01, 0x02, 0x50, 0x00];
        let seen = walk(&bytes).map(|tlv| tlv.map(|tlv| (tlv.tag.value(), tlv.at))).collect::<Vec<_>>();
        assert_eq!(seen, [Ok((0x61, 0)), Ok((0x50, 5))]);
    }

    #[test]
    fn zero_bytes_between_objects_are_padding_and_places_count_them() {
        let bytes = [0x00, 0x61, 0x05, 0x00, 0x87, 0x01, 0x02, 0x00, 0x00, 0x50, 0x00, 0x00];
        let deep = walk_deep(&bytes).map(|tlv| tlv.map(|(depth, tlv)| (depth, tlv.tag.value(), tlv.at)));
        assert_eq!(deep.collect::<Vec<_>>(), [Ok((0, 0x61, 1)), Ok((1, 0x87, 4)), Ok((0, 0x50, 9))]);
        let flat = walk(&bytes).map(|tlv| tlv.map(|tlv| (tlv.tag.value(), tlv.at))).collect::<Vec<_>>();
        assert_eq!(flat, [Ok((0x61, 1)), Ok((0x50, 9))]);
        assert_eq!(walk(&[0, 0, 0]).next(), None);
        assert_eq!(walk_deep(&[]).next(), None);
    }

    #[test]
    fn ff_is_a_tag_and_not_padding() {
        assert_eq!(find(&[0xFF, 0x81, 0x05, 0x01, 0xAA], T(0xFF8105)), Some(&[0xAA][..]));
    }

    #[test]
    fn every_length_form_is_read_and_the_shortest_is_written() {
        for (field, len) in [
            (&[0x00][..], 0),
            (&[0x7F], 0x7F),
            (&[0x81, 0x05], 5),
            (&[0x81, 0x80], 0x80),
            (&[0x81, 0xFF], 0xFF),
            (&[0x82, 0x01, 0x00], 0x100),
            (&[0x82, 0xFF, 0xFF], 0xFFFF),
            (&[0x83, 0x01, 0x00, 0x00], 0x1_0000),
            (&[0x83, 0xFF, 0xFF, 0xFF], 0xFF_FFFF),
            (&[0x84, 0x01, 0x00, 0x00, 0x00], 0x100_0000),
            (&[0x84, 0xFF, 0xFF, 0xFF, 0xFF], 0xFFFF_FFFF),
        ] {
            assert_eq!(decode_length(field), Ok((len, &[][..])), "{field:02X?}");
            let mut shortest = Vec::new();
            encode_length(len, &mut shortest);
            assert_eq!(decode_length(&shortest), Ok((len, &[][..])));
            if field != [0x81, 0x05] {
                assert_eq!(shortest, field);
            }
        }
        assert_eq!(decode_length(&[]), Err(DecodeErrorKind::Truncated.at(0)));
        assert_eq!(decode_length(&[0x80]), Err(DecodeErrorKind::BadLength.at(0)));
        assert_eq!(decode_length(&[0x85, 0, 0, 0, 0, 1]), Err(DecodeErrorKind::LengthTooLong.at(0)));
        assert_eq!(decode_length(&[0xFF]), Err(DecodeErrorKind::LengthTooLong.at(0)));
        assert_eq!(decode_length(&[0x82, 0x01]), Err(DecodeErrorKind::Truncated.at(2)));
        assert_eq!(decode_length(&[0x03, 0x09]), Ok((3, &[0x09][..])));
    }

    #[test]
    fn a_tag_has_one_to_four_bytes() {
        for (bytes, value) in [
            (&[0x82][..], 0x82),
            (&[0x9F, 0x38], 0x9F38),
            (&[0xDF, 0x81, 0x1B], 0xDF811B),
            (&[0xDF, 0x81, 0x80, 0x01], 0xDF81_8001),
        ] {
            let tag = T(value);
            assert_eq!(Tag::decode(bytes), Ok((tag, &[][..])));
            assert!(tag.is_well_formed(), "{tag}");
            assert_eq!(tag.encoded_len(), bytes.len());
            let mut encoded = Vec::new();
            tag.encode_into(&mut encoded);
            assert_eq!(encoded, bytes);
        }
        assert_eq!(Tag::decode(&[]), Err(DecodeErrorKind::Truncated.at(0)));
        assert_eq!(Tag::decode(&[0x9F]), Err(DecodeErrorKind::Truncated.at(1)));
        assert_eq!(Tag::decode(&[0xDF, 0x81]), Err(DecodeErrorKind::Truncated.at(2)));
        assert_eq!(Tag::decode(&[0xDF, 0x81, 0x81, 0x81, 0x01]), Err(DecodeErrorKind::TagTooLong.at(0)));
    }

    #[test]
    fn ill_formed_tags_are_told_apart() {
        for value in [0x00, 0x1F, 0x9F, 0x5A01, 0x9F80, 0xDF0181, 0xDF0101, 0x9F81_0101, 0xDF01_8101, 0xDF81_8181] {
            assert!(!T(value).is_well_formed(), "{value:X}");
        }
    }

    #[test]
    fn the_first_byte_says_whether_a_tag_is_a_template() {
        for (value, constructed) in
            [(0x6F, true), (0x84, false), (0xBF0C, true), (0x9F38, false), (0xFF8105, true), (0xDF8129, false)]
        {
            assert_eq!(T(value).is_constructed(), constructed, "{value:X}");
        }
    }

    #[test]
    fn tags_are_written_and_read_as_the_standard_prints_them() {
        assert_eq!(T(0x9F02).to_string(), "9F02");
        assert_eq!(T(0x06).to_string(), "06");
        assert_eq!(alloc::format!("{:?}", T(0x9F02)), "Tag(9F02)");
        assert_eq!("9f02".parse(), Ok(T(0x9F02)));
        for text in ["", "9", "9F", "9F0", "+9F0", "009F02", "0082", "zz", "9F0238", "00"] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn tags_are_hex_in_text_formats_and_numbers_in_binary_ones() {
        assert_eq!(serde_json::to_string(&T(0x9F38)).unwrap(), "\"9F38\"");
        assert_eq!(serde_json::from_str::<Tag>("\"9F38\"").unwrap(), T(0x9F38));
        let message = serde_json::from_str::<Tag>("\"nope\"").unwrap_err().to_string();
        assert!(message.contains("a tag in hex, such as 9F38"), "{message}");
        let bytes = postcard::to_allocvec(&T(0x9F38)).unwrap();
        assert_eq!(postcard::from_bytes::<Tag>(&bytes), Ok(T(0x9F38)));
    }

    #[test]
    fn objects_are_found_on_one_level_at_any_depth_and_by_path() {
        assert_eq!(find(PPSE, T(0x87)), None);
        assert_eq!(find_deep(PPSE, T(0x87)), Some(&[1][..]));
        assert_eq!(find_path(PPSE, &[T(0x6F), T(0xA5), T(0xBF0C), T(0x61), T(0x87)]), Some(&[1][..]));
        assert_eq!(find_path(PPSE, &[T(0x6F), T(0x61)]), None);
        assert_eq!(find_path(PPSE, &[]), Some(PPSE));
        assert_eq!(find(&[0x50, 0x01, 0xAA, 0x50, 0x01, 0xBB], T(0x50)), Some(&[0xAA][..]), "the first one counts");
        assert_eq!(find(&[0x50, 0x01, 0xAA, 0x87, 0x09], T(0x50)), Some(&[0xAA][..]));
        assert_eq!(find(&[0x87, 0x09, 0x50, 0x00], T(0x50)), None, "nothing is believed after a malformed object");
    }

    #[test]
    fn errors_name_the_place_counted_from_the_start() {
        assert_eq!(error(&[0x50]), (1, DecodeErrorKind::Truncated));
        assert_eq!(error(&[0x50, 0x02, 0xAA]), (3, DecodeErrorKind::Truncated));
        assert_eq!(error(&[0x61, 0x03, 0x50, 0x02, 0xAA]), (5, DecodeErrorKind::Truncated));
        assert_eq!(error(&[0x61, 0x02, 0x50, 0x80]), (3, DecodeErrorKind::BadLength));
        assert_eq!(error(&[0x00, 0x9F, 0x38, 0x85]), (3, DecodeErrorKind::LengthTooLong));
        assert_eq!(error(&[0x50, 0x00, 0xDF, 0x81, 0x81, 0x81]), (2, DecodeErrorKind::TagTooLong));
        assert_eq!(walk(&[0x00, 0x50, 0x80]).next(), Some(Err(DecodeErrorKind::BadLength.at(2))));
    }

    #[test]
    fn a_walk_ends_after_its_first_error() {
        let mut flat = walk(&[0x50, 0x80, 0x50, 0x00]);
        assert!(flat.next().is_some_and(|tlv| tlv.is_err()));
        assert_eq!(flat.next(), None);
        let mut deep = walk_deep(&[0x61, 0x02, 0x50, 0x80, 0x50, 0x00]);
        assert!(deep.next().is_some_and(|tlv| tlv.is_ok()));
        assert!(deep.next().is_some_and(|tlv| tlv.is_err()));
        assert_eq!(deep.next(), None);
    }

    #[test]
    fn nesting_has_a_bound() {
        fn nested(levels: usize) -> Vec<u8> {
            (0..levels)
                .fold(Writer::new().put(T(0x50), [1]), |inner, _| {
                    Writer::new().nest(T(0x61), |w| w.raw(inner.finish()))
                })
                .finish()
        }
        let deepest = nested(MAX_DEPTH - 1);
        assert_eq!(walk_deep(&deepest).filter(Result::is_ok).count(), MAX_DEPTH);
        assert_eq!(Node::decode_all(&deepest).map(|nodes| Node::encode_all(&nodes)), Ok(deepest));
        let deeper = nested(MAX_DEPTH);
        assert_eq!(error(&deeper), (2 * (MAX_DEPTH - 1), DecodeErrorKind::TooDeep));
        assert_eq!(Node::decode_all(&deeper), Err(DecodeErrorKind::TooDeep.at(2 * (MAX_DEPTH - 1))));
    }

    #[test]
    fn an_empty_template_is_not_too_deep() {
        let mut bytes = vec![0x61, 0x00];
        for _ in 1..MAX_DEPTH {
            bytes = Writer::new().put(T(0x61), bytes).finish();
        }
        assert_eq!(walk_deep(&bytes).filter(Result::is_ok).count(), MAX_DEPTH);
    }

    #[test]
    fn the_writer_builds_what_the_walk_reads() {
        let bytes = Writer::new()
            .nest(T(0x6F), |fci| {
                fci.put(T(0x84), b"2PAY.SYS.DDF01").nest(T(0xA5), |a5| {
                    a5.nest(T(0xBF0C), |list| {
                        list.nest(T(0x61), |entry| {
                            entry
                                .put(T(0x4F), [0xA0, 0, 0, 0, 4, 0x10, 0x10])
                                .put_some(T(0x50), None::<&[u8]>)
                                .put_some(T(0x87), Some([1]))
                        })
                    })
                })
            })
            .finish();
        assert_eq!(bytes, PPSE);
    }

    #[test]
    fn a_tree_keeps_everything_but_padding() {
        let bytes = [0x61, 0x05, 0x00, 0x87, 0x81, 0x01, 0x02, 0x50, 0x00];
        let nodes = Node::decode_all(&bytes).unwrap();
        let priority = Node::Primitive { tag: T(0x87), value: vec![2] };
        let label = Node::Primitive { tag: T(0x50), value: vec![] };
        assert_eq!(nodes, [Node::Constructed { tag: T(0x61), children: vec![priority.clone()] }, label]);
        assert_eq!(Node::encode_all(&nodes), [0x61, 0x03, 0x87, 0x01, 0x02, 0x50, 0x00]);
        assert_eq!(priority.encode(), [0x87, 0x01, 0x02]);
        assert_eq!((nodes[0].tag(), priority.tag()), (T(0x61), T(0x87)));
    }

    fn any_tag(constructed: bool) -> impl Strategy<Value = Tag> {
        let class = prop_oneof![Just(0x00_u32), Just(0x40), Just(0x80), Just(0xC0)]
            .prop_map(move |class| class | u32::from(constructed) << 5);
        let number = prop_oneof![
            (1_u32..0x1F).prop_map(|number| (number, 0, 0)),
            (0_u32..0x80).prop_map(|low| (0x1F, low, 1)),
            (0_u32..0x80, 0_u32..0x80).prop_map(|(high, low)| (0x1F, (0x80 | high) << 8 | low, 2)),
            (0_u32..0x80, 0_u32..0x80, 0_u32..0x80).prop_map(|(a, b, c)| (
                0x1F,
                (0x80 | a) << 16 | (0x80 | b) << 8 | c,
                3
            )),
        ];
        (class, number).prop_map(|(class, (first, rest, bytes))| T((class | first) << (8 * bytes) | rest))
    }

    fn any_node() -> impl Strategy<Value = Node> {
        let leaf = (any_tag(false), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(tag, value)| Node::Primitive { tag, value });
        leaf.prop_recursive(MAX_DEPTH as u32 - 1, 40, 5, |inner| {
            (any_tag(true), prop::collection::vec(inner, 0..5))
                .prop_map(|(tag, children)| Node::Constructed { tag, children })
        })
    }

    proptest! {
        #[test]
        fn trees_survive(nodes in prop::collection::vec(any_node(), 0..4)) {
            value_survives(&nodes, |nodes| Node::encode_all(nodes), Node::decode_all);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            bytes_are_harmless(&bytes, |nodes: &Vec<Node>| Node::encode_all(nodes), Node::decode_all);
        }

        #[test]
        fn every_tag_is_well_formed_and_survives(tag in prop_oneof![any_tag(true), any_tag(false)]) {
            prop_assert!(tag.is_well_formed());
            prop_assert_eq!(tag.to_string().parse(), Ok(tag));
            let mut bytes = Vec::new();
            tag.encode_into(&mut bytes);
            prop_assert_eq!(Tag::decode(&bytes), Ok((tag, &[][..])));
        }

        #[test]
        fn well_formed_means_that_its_own_bytes_decode_to_it(value: u32) {
            let mut bytes = Vec::new();
            T(value).encode_into(&mut bytes);
            prop_assert_eq!(T(value).is_well_formed(), Tag::decode(&bytes) == Ok((T(value), &[][..])) && bytes[0] != 0);
        }
    }
}
