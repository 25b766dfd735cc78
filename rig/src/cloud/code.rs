//! Confirmation codes of one card: how many may be asked for, how long each is valid, how often one may mistype (R1, R2).

use std::time::Duration;

use band_sim::time::Instant;

use super::api::Refusal;

/// The bank's rules for confirmation codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRules {
    /// How long a code is valid: `issue ≤ t < issue + valid_for` at the bank's instant of receipt (R2).
    pub valid_for: Duration,
    /// How many codes may be requested per added card (R1).
    pub requests: u8,
    /// How many wrong codes are taken before the card is locked (R1).
    pub attempts: u8,
    /// Whether a new code makes the older ones worthless (R1).
    pub new_replaces_old: bool,
}

/// The codes of one card that waits for its confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// Issued codes, the newest last; at most `requests` of them.
    issued: Vec<Code>,
    wrong_tries: u8,
}

/// One issued code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Code {
    digits: String,
    issued: Instant,
    expires: Instant,
}

impl Codes {
    /// Code requests left (R1).
    #[must_use]
    pub fn requests_left(&self, rules: &CodeRules) -> u8 {
        let used = u8::try_from(self.issued.len()).unwrap_or(u8::MAX);
        rules.requests.saturating_sub(used)
    }

    /// Why the card can no longer be confirmed, if so: it must be removed and added again (R1, R2).
    ///
    /// Whichever struck first stays the reason.
    #[must_use]
    pub fn death(&self, now: Instant, rules: &CodeRules) -> Option<Refusal> {
        if self.wrong_tries >= rules.attempts {
            return Some(Refusal::TooManyFailures);
        }
        let newest = self.issued.last()?;
        (now >= newest.expires).then_some(Refusal::CodeExpired)
    }

    /// Whether another code may be requested now (R1, R2).
    pub fn may_request(&self, now: Instant, rules: &CodeRules) -> Result<(), Refusal> {
        if let Some(death) = self.death(now, rules) {
            return Err(death);
        }
        if self.requests_left(rules) == 0 {
            return Err(Refusal::TooManyRequests);
        }
        Ok(())
    }

    /// Issues `digits` now. Ask [`Codes::may_request`] first.
    pub fn issue(&mut self, now: Instant, rules: &CodeRules, digits: String) {
        self.issued.push(Code { digits, issued: now, expires: now + rules.valid_for });
    }

    /// Takes a code that the holder typed; `Ok` confirms the card (R1, R2).
    ///
    /// Wrong: refused as [`Refusal::CodeWrong`], the card stays waiting; the last of `attempts` wrong ones locks it. A code that is
    /// known but expired while a newer one is valid (possible without `new_replaces_old` only) is no wrong try.
    pub fn enter(&mut self, now: Instant, rules: &CodeRules, digits: &str) -> Result<(), Refusal> {
        if let Some(death) = self.death(now, rules) {
            return Err(death);
        }
        match self.find(rules, digits) {
            Some(code) if code.issued <= now && now < code.expires => Ok(()),
            Some(_) => Err(Refusal::CodeExpired),
            None => {
                self.wrong_tries = self.wrong_tries.saturating_add(1);
                Err(Refusal::CodeWrong)
            }
        }
    }

    /// The newest code, for the one who plays the bank's clerk.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.issued.last().map(|code| code.digits.as_str())
    }

    /// The newest code that has these digits and is not replaced.
    fn find(&self, rules: &CodeRules, digits: &str) -> Option<&Code> {
        let candidates = if rules.new_replaces_old { 1 } else { self.issued.len() };
        self.issued.iter().rev().take(candidates).find(|code| code.digits == digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: CodeRules =
        CodeRules { valid_for: Duration::from_secs(600), requests: 3, attempts: 3, new_replaces_old: true };

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn with_code_at(micros: u64, digits: &str) -> Codes {
        let mut codes = Codes::default();
        codes.issue(at(micros), &RULES, digits.to_owned());
        codes
    }

    #[test]
    fn a_code_is_valid_to_the_microsecond() {
        let issued = 7;
        let last = issued + 600_000_000 - 1;
        assert_eq!(with_code_at(issued, "1").enter(at(issued), &RULES, "1"), Ok(()));
        assert_eq!(with_code_at(issued, "1").enter(at(last), &RULES, "1"), Ok(()));
        assert_eq!(with_code_at(issued, "1").enter(at(last + 1), &RULES, "1"), Err(Refusal::CodeExpired));
    }

    #[test]
    fn once_the_newest_code_expired_nothing_but_removal_works() {
        let mut codes = with_code_at(0, "1");
        let late = at(600_000_000);
        assert_eq!(codes.may_request(late, &RULES), Err(Refusal::CodeExpired));
        for _ in 0..5 {
            assert_eq!(codes.enter(late, &RULES, "wrong"), Err(Refusal::CodeExpired), "expiry stays the reason");
        }
        assert_eq!(codes.death(late, &RULES), Some(Refusal::CodeExpired));
    }

    #[test]
    fn a_card_that_asked_for_no_code_waits_for_ever() {
        let codes = Codes::default();
        assert_eq!(codes.death(at(u64::MAX), &RULES), None);
        assert_eq!(codes.may_request(at(u64::MAX), &RULES), Ok(()));
    }

    #[test]
    fn the_fourth_request_is_refused_while_the_third_code_still_works() {
        let mut codes = Codes::default();
        for (number, left) in [("1", 2), ("2", 1), ("3", 0)] {
            assert_eq!(codes.may_request(at(0), &RULES), Ok(()));
            codes.issue(at(0), &RULES, number.to_owned());
            assert_eq!(codes.requests_left(&RULES), left);
        }
        assert_eq!(codes.may_request(at(1), &RULES), Err(Refusal::TooManyRequests));
        assert_eq!(codes.death(at(1), &RULES), None);
        assert_eq!(codes.enter(at(2), &RULES, "3"), Ok(()));
    }

    #[test]
    fn a_new_code_starts_its_own_validity_and_replaces_the_old_one() {
        let mut codes = with_code_at(0, "old");
        codes.issue(at(599_999_999), &RULES, "new".to_owned());
        assert_eq!(codes.enter(at(600_000_000), &RULES, "old"), Err(Refusal::CodeWrong));
        assert_eq!(codes.enter(at(1_199_999_998), &RULES, "new"), Ok(()));
        assert_eq!(codes.enter(at(1_199_999_999), &RULES, "new"), Err(Refusal::CodeExpired));
    }

    #[test]
    fn without_replacement_every_code_has_its_own_validity() {
        let rules = CodeRules { new_replaces_old: false, ..RULES };
        let mut codes = Codes::default();
        codes.issue(at(0), &rules, "old".to_owned());
        codes.issue(at(300_000_000), &rules, "new".to_owned());
        assert_eq!(codes.enter(at(599_999_999), &rules, "old"), Ok(()));
        for _ in 0..4 {
            assert_eq!(codes.enter(at(600_000_000), &rules, "old"), Err(Refusal::CodeExpired));
        }
        assert_eq!(codes.enter(at(600_000_000), &rules, "new"), Ok(()), "a late old code is no wrong try");
        assert_eq!(codes.death(at(900_000_000), &rules), Some(Refusal::CodeExpired), "the newest decides");
    }

    #[test]
    fn after_three_wrong_codes_the_right_one_is_refused() {
        let mut codes = with_code_at(0, "right");
        for _ in 0..3 {
            assert_eq!(codes.death(at(1), &RULES), None);
            assert_eq!(codes.enter(at(1), &RULES, "wrong"), Err(Refusal::CodeWrong));
        }
        assert_eq!(codes.enter(at(2), &RULES, "right"), Err(Refusal::TooManyFailures));
        assert_eq!(codes.may_request(at(2), &RULES), Err(Refusal::TooManyFailures));
        assert_eq!(codes.death(at(u64::MAX), &RULES), Some(Refusal::TooManyFailures), "the lock stays the reason");
    }

    #[test]
    fn two_wrong_codes_are_forgiven_and_a_new_code_does_not_forget_them() {
        let mut codes = with_code_at(0, "right");
        for _ in 0..2 {
            assert_eq!(codes.enter(at(1), &RULES, "wrong"), Err(Refusal::CodeWrong));
        }
        assert_eq!(codes.clone().enter(at(1), &RULES, "right"), Ok(()));
        codes.issue(at(2), &RULES, "newer".to_owned());
        assert_eq!(codes.enter(at(3), &RULES, "wrong"), Err(Refusal::CodeWrong));
        assert_eq!(codes.enter(at(3), &RULES, "newer"), Err(Refusal::TooManyFailures));
    }

    #[test]
    fn a_guess_before_any_code_was_requested_is_a_wrong_try() {
        let mut codes = Codes::default();
        for _ in 0..3 {
            assert_eq!(codes.enter(at(0), &RULES, "000000"), Err(Refusal::CodeWrong));
        }
        assert_eq!(codes.may_request(at(0), &RULES), Err(Refusal::TooManyFailures));
    }

    proptest! {
        #[test]
        fn a_code_confirms_exactly_inside_its_window(
            issued in 0..u64::MAX / 4,
            valid_us in 0..10_000_000_000_u64,
            offset in -5_000_000_000_i64..15_000_000_000,
        ) {
            let rules = CodeRules { valid_for: Duration::from_micros(valid_us), ..RULES };
            let mut codes = Codes::default();
            codes.issue(at(issued), &rules, "code".to_owned());
            let now = issued.saturating_add_signed(offset);
            let inside = (issued..issued + valid_us).contains(&now);
            prop_assert_eq!(codes.enter(at(now), &rules, "code").is_ok(), inside);
        }
    }
}
