//! Application interchange profile (tag 82): what the application can do, one bit each, and the bit in words.

// EMV 4.4 B3 Annex C1; EMV Contactless Book C-2 A.1.16 for byte 2.
const BITS: &[(usize, u8, &str)] = &[
    (0, 0x80, "XDA supported"),
    (0, 0x40, "SDA supported"),
    (0, 0x20, "DDA supported"),
    (0, 0x10, "cardholder verification supported"),
    (0, 0x08, "terminal risk management to be performed"),
    (0, 0x04, "issuer authentication supported"),
    (0, 0x02, "on-device cardholder verification supported"),
    (0, 0x01, "CDA supported"),
    (1, 0x80, "EMV mode supported"),
    (1, 0x40, "mobile phone"),
    (1, 0x20, "contactless transaction"),
    (1, 0x01, "relay resistance protocol supported"),
];

/// What these bytes say, in the order of their bits; bits without a meaning say nothing.
pub fn words(profile: &[u8]) -> impl Iterator<Item = &'static str> {
    let is_set = |&&(byte, mask, _): &&(usize, u8, _)| profile.get(byte).is_some_and(|byte| byte & mask != 0);
    BITS.iter().filter(is_set).map(|&(.., words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_profile_of_any_length_has_its_words() {
        let in_words = |profile: &[u8]| words(profile).collect::<Vec<_>>();
        assert_eq!(
            in_words(&[0x19, 0x80]),
            [
                "cardholder verification supported",
                "terminal risk management to be performed",
                "CDA supported",
                "EMV mode supported"
            ]
        );
        assert_eq!(in_words(&[0x40]), ["SDA supported"]);
        assert!(in_words(&[0x00, 0x1E, 0xFF]).is_empty());
    }
}
