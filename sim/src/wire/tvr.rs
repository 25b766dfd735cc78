//! Terminal verification results (tag 95): what went wrong or was left out, one bit each, and the bit in words.

use core::fmt;

/// Five bytes of findings (EMV 4.4 B3 Annex C5; EMV Contactless Book C-2 A.1.163 for relay resistance).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tvr(pub [u8; 5]);

/// One finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    byte: usize,
    bit: u8,
    words: &'static str,
}

/// Names each bit once for the constant and its text.
macro_rules! findings {
    ($($name:ident $byte:literal $bit:literal $words:literal)*) => {
        impl Finding {
            $(#[doc = concat!("Byte ", stringify!($byte), " counted from 0, bit ", stringify!($bit), ": ", $words, ".")]
              pub const $name: Self = Self { byte: $byte, bit: $bit, words: $words };)*
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

findings! {
    ODA_NOT_PERFORMED 0 0x80 "offline data authentication was not performed"
    SDA_FAILED 0 0x40 "SDA failed"
    ICC_DATA_MISSING 0 0x20 "ICC data missing"
    ON_EXCEPTION_FILE 0 0x10 "card appears on terminal exception file"
    DDA_FAILED 0 0x08 "DDA failed"
    CDA_FAILED 0 0x04 "CDA failed"
    SDA_SELECTED 0 0x02 "SDA selected"
    XDA_SELECTED 0 0x01 "XDA selected"
    VERSIONS_DIFFER 1 0x80 "ICC and terminal have different application versions"
    EXPIRED 1 0x40 "expired application"
    NOT_YET_EFFECTIVE 1 0x20 "application not yet effective"
    SERVICE_NOT_ALLOWED 1 0x10 "requested service not allowed for card product"
    NEW_CARD 1 0x08 "new card"
    CVM_NOT_SUCCESSFUL 2 0x80 "cardholder verification was not successful"
    UNRECOGNISED_CVM 2 0x40 "unrecognised CVM"
    PIN_TRY_LIMIT 2 0x20 "PIN try limit exceeded"
    NO_PIN_PAD 2 0x10 "PIN entry required and PIN pad not present or not working"
    PIN_NOT_ENTERED 2 0x08 "PIN entry required, PIN pad present, but PIN was not entered"
    ONLINE_CVM_CAPTURED 2 0x04 "online CVM captured"
    FLOOR_LIMIT_EXCEEDED 3 0x80 "transaction exceeds floor limit"
    LOWER_OFFLINE_LIMIT 3 0x40 "lower consecutive offline limit exceeded"
    UPPER_OFFLINE_LIMIT 3 0x20 "upper consecutive offline limit exceeded"
    RANDOMLY_ONLINE 3 0x10 "transaction selected randomly for online processing"
    MERCHANT_FORCED_ONLINE 3 0x08 "merchant forced transaction online"
    DEFAULT_TDOL 4 0x80 "default TDOL used"
    ISSUER_AUTHENTICATION_FAILED 4 0x40 "issuer authentication failed"
    SCRIPT_FAILED_BEFORE 4 0x20 "script processing failed before final GENERATE AC"
    SCRIPT_FAILED_AFTER 4 0x10 "script processing failed after final GENERATE AC"
    RELAY_THRESHOLD 4 0x08 "relay resistance threshold exceeded"
    RELAY_TIME_LIMITS 4 0x04 "relay resistance time limits exceeded"
    RELAY_PERFORMED 4 0x02 "relay resistance protocol performed"
    RELAY_NOT_PERFORMED 4 0x01 "relay resistance protocol not performed"
}

impl Tvr {
    /// Notes a finding.
    pub fn set(&mut self, finding: Finding) {
        if let Some(byte) = self.0.get_mut(finding.byte) {
            *byte |= finding.bit;
        }
    }

    /// Whether it was noted.
    #[must_use]
    pub fn has(self, finding: Finding) -> bool {
        self.0.get(finding.byte).is_some_and(|byte| byte & finding.bit != 0)
    }

    /// The findings that an action code names, too.
    #[must_use]
    pub fn masked(self, action_code: [u8; 5]) -> Self {
        let mut common = self.0;
        for (byte, mask) in common.iter_mut().zip(action_code) {
            *byte &= mask;
        }
        Self(common)
    }

    /// The findings in words, in the order of their bits.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Finding::ALL.iter().filter(move |finding| self.has(**finding)).map(|finding| finding.words)
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == [0; 5]
    }
}

impl fmt::Display for Tvr {
    /// The findings in words, or `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut found = self.words();
        match found.next() {
            None => f.write_str("nothing"),
            Some(first) => {
                f.write_str(first)?;
                found.try_for_each(|words| write!(f, ", {words}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_finding_is_one_bit_and_no_two_share_it() {
        let mut all = Tvr::default();
        for &finding in Finding::ALL {
            assert!(!all.has(finding), "{}", finding.words);
            assert_eq!(finding.bit.count_ones(), 1);
            all.set(finding);
        }
        assert_eq!(all.0, [0xFF, 0xF8, 0xFC, 0xF8, 0xFF]);
    }

    #[test]
    fn an_action_code_keeps_the_findings_it_names() {
        let mut tvr = Tvr::default();
        assert_eq!(tvr.to_string(), "nothing");
        tvr.set(Finding::ODA_NOT_PERFORMED);
        tvr.set(Finding::FLOOR_LIMIT_EXCEEDED);
        assert_eq!(tvr.0, [0x80, 0, 0, 0x80, 0]);
        assert_eq!(tvr.masked([0, 0, 0, 0xFF, 0]).to_string(), "transaction exceeds floor limit");
        assert!(tvr.masked([0x7F, 0xFF, 0xFF, 0x7F, 0xFF]).is_empty());
    }
}
