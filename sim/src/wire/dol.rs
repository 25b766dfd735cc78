//! Data object lists: which values a card wants, in which order, each with how many bytes.

use alloc::vec::Vec;

use super::tag::{self, Format};
use super::tlv::Tag;
use super::{DecodeError, DecodeErrorKind};

/// A data object list: PDOL, CDOL1, CDOL2, DDOL, DRDOL, or the log format `9F4F`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dol {
    entries: Vec<(Tag, u8)>,
}

impl Dol {
    /// The list of these tags, each with its length in bytes.
    #[must_use]
    pub fn new(entries: impl Into<Vec<(Tag, u8)>>) -> Self {
        Self { entries: entries.into() }
    }

    /// Reads a list: tag, length, tag, length, … The length is always one byte (EMV 4.4 B3 5.4), 80 and above too.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // Each takes two bytes at least.
        let mut entries = Vec::with_capacity(bytes.len() / 2);
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let at = bytes.len() - rest.len();
            if first == 0 {
                return Err(DecodeErrorKind::BadValue.at(at));
            }
            let (tag, after_tag) = Tag::decode(rest).map_err(|error| error.kind.at(at + error.at))?;
            let Some((&len, after_entry)) = after_tag.split_first() else {
                return Err(DecodeErrorKind::Truncated.at(bytes.len()));
            };
            entries.push((tag, len));
            rest = after_entry;
        }
        Ok(Self { entries })
    }

    /// The list's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(tag, len) in &self.entries {
            tag.encode_into(&mut bytes);
            bytes.push(len);
        }
        bytes
    }

    /// What is wanted, in order: the tag and its length in bytes.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (Tag, usize)> + Clone {
        self.entries.iter().map(|&(tag, len)| (tag, usize::from(len)))
    }

    /// How many bytes all values have together.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.entries().map(|(_, len)| len).sum()
    }

    /// Whether the list asks for this tag.
    #[must_use]
    pub fn contains(&self, tag: Tag) -> bool {
        self.entries().any(|(wanted, _)| wanted == tag)
    }

    /// The values in the list's order and lengths, without tags; `value` knows them. What it does not know, and every
    /// template, is zeros.
    #[must_use]
    pub fn fill<V: AsRef<[u8]>>(&self, mut value: impl FnMut(Tag) -> Option<V>) -> Vec<u8> {
        let mut filled = Vec::with_capacity(self.total_len());
        for (tag, len) in self.entries() {
            // EMV 4.4 B3 5.4: a constructed data object is provided as zeros.
            let known = if tag.is_constructed() { None } else { value(tag) };
            let format = tag::info(tag).map_or(Format::Binary, |row| row.format);
            fit(known.as_ref().map_or(&[], AsRef::as_ref), len, format, &mut filled);
        }
        filled
    }

    /// Cuts bytes made by [`Dol::fill`] into their values again. Ends where `bytes` end; a value they do not hold whole
    /// is not given.
    pub fn split<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (Tag, &'a [u8])> {
        let mut rest = bytes;
        self.entries().map_while(move |(tag, len)| {
            let (value, after) = rest.split_at_checked(len)?;
            rest = after;
            Some((tag, value))
        })
    }
}

/// Appends `value` as `len` bytes.
fn fit(value: &[u8], len: usize, format: Format, out: &mut Vec<u8>) {
    // EMV 4.4 B3 5.4: numeric values lose their leftmost bytes and gain leading zeros; all others lose their rightmost
    // bytes and gain trailing ones, FF for compressed numeric and 00 for the rest. An absent value is zeros whatever its
    // format.
    let missing = len.saturating_sub(value.len());
    let surplus = value.len().saturating_sub(len);
    if format == Format::Numeric {
        out.extend(core::iter::repeat_n(0, missing));
        out.extend(value.iter().skip(surplus));
    } else {
        let filler = if format == Format::CompressedNumeric && !value.is_empty() { 0xFF } else { 0 };
        out.extend(value.iter().take(len));
        out.extend(core::iter::repeat_n(filler, missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::property::{bytes_are_harmless, value_survives};
    use crate::wire::tag::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_list_is_tags_with_lengths_of_one_byte() {
        let bytes = [0x9F, 0x66, 0x04, 0x9F, 0x02, 0x06, 0x95, 0x00, 0xDF, 0x81, 0x29, 0xFF];
        let dol = Dol::decode(&bytes).unwrap();
        let entries = dol.entries().collect::<Vec<_>>();
        assert_eq!(
            entries,
            [
                (TAG_9F66_TTQ, 4),
                (TAG_9F02_AMOUNT_AUTHORISED, 6),
                (TAG_95_TVR, 0),
                (TAG_DF8129_OUTCOME_PARAMETER_SET, 255)
            ]
        );
        assert_eq!(dol.total_len(), 265);
        assert_eq!(dol.encode(), bytes);
        assert!(dol.contains(TAG_95_TVR) && !dol.contains(TAG_82_AIP));
        assert_eq!(Dol::decode(&[]), Ok(Dol::default()));
        assert_eq!(Dol::new([(TAG_95_TVR, 5)]).encode(), [0x95, 5]);
    }

    #[test]
    fn a_broken_list_says_where() {
        assert_eq!(Dol::decode(&[0x95]), Err(DecodeErrorKind::Truncated.at(1)));
        assert_eq!(Dol::decode(&[0x95, 0x05, 0x9F]), Err(DecodeErrorKind::Truncated.at(3)));
        assert_eq!(Dol::decode(&[0x95, 0x05, 0x00, 0x01]), Err(DecodeErrorKind::BadValue.at(2)));
        assert_eq!(Dol::decode(&[0x95, 0x05, 0xDF, 0x81, 0x81, 0x81]), Err(DecodeErrorKind::TagTooLong.at(2)));
    }

    // EMV 4.4 B3 5.4
    #[test]
    fn values_are_padded_and_cut_by_their_format() {
        let unknown = Tag::new(0xDF7E);
        for (tag, value, len, filled) in [
            (TAG_9F02_AMOUNT_AUTHORISED, &[0x12, 0x34][..], 4, &[0x00, 0x00, 0x12, 0x34][..]),
            (TAG_9F02_AMOUNT_AUTHORISED, &[0x12, 0x34, 0x56], 2, &[0x34, 0x56]),
            (TAG_9F02_AMOUNT_AUTHORISED, &[0x12, 0x34], 2, &[0x12, 0x34]),
            (TAG_5A_PAN, &[0x12, 0x34], 4, &[0x12, 0x34, 0xFF, 0xFF]),
            (TAG_5A_PAN, &[0x12, 0x34, 0x56], 2, &[0x12, 0x34]),
            (TAG_5A_PAN, &[], 2, &[0x00, 0x00]),
            (TAG_95_TVR, &[0x80, 0x40], 4, &[0x80, 0x40, 0x00, 0x00]),
            (TAG_95_TVR, &[0x80, 0x40, 0x20], 2, &[0x80, 0x40]),
            (TAG_9F4E_MERCHANT_NAME, b"CAFE", 6, b"CAFE\0\0"),
            (unknown, &[1], 2, &[1, 0]),
            (TAG_95_TVR, &[1], 0, &[]),
        ] {
            let dol = Dol::new([(tag, len)]);
            assert_eq!(dol.fill(|_| Some(value.to_vec())), filled, "{tag} {value:02X?} in {len} bytes");
        }
    }

    #[test]
    fn absent_values_and_templates_are_zeros() {
        let dol =
            Dol::new([(TAG_9F02_AMOUNT_AUTHORISED, 2), (TAG_70_RECORD_TEMPLATE, 3), (TAG_9C_TRANSACTION_TYPE, 1)]);
        let filled = dol.fill(|tag| match tag {
            TAG_70_RECORD_TEMPLATE => Some(vec![1, 2, 3]),
            TAG_9C_TRANSACTION_TYPE => Some(vec![0x20]),
            _ => None,
        });
        assert_eq!(filled, [0, 0, 0, 0, 0, 0x20]);
    }

    #[test]
    fn splitting_ends_with_the_bytes() {
        let dol = Dol::new([(TAG_95_TVR, 2), (TAG_9C_TRANSACTION_TYPE, 1), (TAG_9A_TRANSACTION_DATE, 3)]);
        assert_eq!(
            dol.split(&[1, 2, 3, 4, 5]).collect::<Vec<_>>(),
            [(TAG_95_TVR, &[1, 2][..]), (TAG_9C_TRANSACTION_TYPE, &[3])]
        );
        assert_eq!(dol.split(&[1, 2, 3, 4, 5, 6, 7]).count(), 3);
        assert_eq!(dol.split(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn lists_survive(numbers in prop::collection::vec((0_usize..all().len(), any::<u8>()), 0..30)) {
            let dol = Dol::new(numbers.into_iter().map(|(row, len)| (all()[row].tag, len)).collect::<Vec<_>>());
            value_survives(&dol, Dol::encode, Dol::decode);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            bytes_are_harmless(&bytes, Dol::encode, Dol::decode);
        }

        #[test]
        fn what_is_filled_has_the_promised_length_and_splits_into_as_many_values(
            numbers in prop::collection::vec((0_usize..all().len(), any::<u8>()), 0..30),
            value: Vec<u8>,
        ) {
            let dol = Dol::new(numbers.into_iter().map(|(row, len)| (all()[row].tag, len)).collect::<Vec<_>>());
            let filled = dol.fill(|_| Some(value.clone()));
            prop_assert_eq!(filled.len(), dol.total_len());
            prop_assert!(dol.split(&filled).map(|(tag, value)| (tag, value.len())).eq(dol.entries()));
        }
    }
}
