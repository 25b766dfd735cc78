//! The cryptogram versions: which key, which input, which padding makes the Application Cryptogram and the ARPC.
//!
//! One table, one row per version (Cryptogram Version Number); the functions below only follow it.
//!
//! What the cryptogram covers begins alike in all of them: amounts (9F02, 9F03), country (9F1A), TVR (95), currency (5F2A), date
//! (9A), type (9C), unpredictable number (9F37), interchange profile (82), ATC (9F36): EMV 4.4 B2 8.1.1 table 26. Then comes,
//! from the issuer application data (9F10), what the row's `tail` says:
//!
//! | version | after the common fields | source |
//! |---|---|---|
//! | Visa 10 | card verification results, 4 bytes with their length | VIS 1.6 appendix D, as pyemv's `VisaCVN10` has it |
//! | Visa 18, 22 | all of 9F10 | VIS 1.6 appendix D, pyemv's `VisaCVN18`, `VisaCVN22` |
//! | Mastercard 16, 20 | card verification results, 6 bytes | M/Chip Requirements appendix B, pyemv's `MasterCardCVN16`, `MasterCardCVN20` |
//! | Mastercard 17, 21 | the same, then the plaintext counters, 8 bytes | as before, pyemv's `MasterCardCVN17`, `MasterCardCVN21` |

use alloc::vec::Vec;

use super::crypto::{self, Block, Padding, TdesKey};

/// Which session key the AC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKey {
    /// None: the ICC master key itself.
    MasterKey,
    /// EMV common session key over the ATC.
    Common,
    /// Mastercard's own, over ATC and unpredictable number.
    Mastercard,
}

/// How the ICC master key comes from the issuer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterKeyOption {
    /// EMV 4.4 B2 A1.4.1.
    A,
    /// EMV 4.4 B2 A1.4.2.
    B,
}

/// What follows AIP and ATC in the AC's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The card verification results.
    Cvr,
    /// The card verification results and the plaintext counters.
    CvrAndCounters,
    /// The whole issuer application data.
    IssuerApplicationData,
}

/// Which ARPC answers the AC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArpcMethod {
    /// Method 1 (8 bytes over the response code) under the ICC master key.
    OneMasterKey,
    /// Method 1 under the AC's session key.
    OneSessionKey,
    /// Method 2 (4 bytes over the card status update) under the AC's session key.
    TwoSessionKey,
}

/// The session key of the MAC of an issuer script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptKey {
    /// EMV common session key over the cryptogram.
    Common,
    /// Visa's own: the master key, the ATC in it.
    Visa,
}

/// Whose payment application speaks this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Mastercard: M/Chip issuer application data.
    Mastercard,
    /// Visa: VSDC issuer application data.
    Visa,
}

/// One cryptogram version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cvn {
    /// The number as it stands in the issuer application data.
    pub value: u8,
    /// Whose it is.
    pub scheme: Scheme,
    /// Derivation of the ICC master key.
    pub master_key: MasterKeyOption,
    /// Session key of the AC.
    pub session_key: SessionKey,
    /// End of the AC's input.
    pub tail: Tail,
    /// Padding of the AC's input.
    pub padding: Padding,
    /// The issuer's answer.
    pub arpc: ArpcMethod,
    /// The issuer's scripts.
    pub script_key: ScriptKey,
}

// emv.md 3.7: HSM-checked vectors exist for each row.
#[rustfmt::skip]
const TABLE: [Cvn; 7] = [
    Cvn { value: 0x0A, scheme: Scheme::Visa,       master_key: MasterKeyOption::A, session_key: SessionKey::MasterKey,  tail: Tail::Cvr,                   padding: Padding::Method1, arpc: ArpcMethod::OneMasterKey, script_key: ScriptKey::Visa },
    Cvn { value: 0x12, scheme: Scheme::Visa,       master_key: MasterKeyOption::B, session_key: SessionKey::Common,     tail: Tail::IssuerApplicationData, padding: Padding::Method2, arpc: ArpcMethod::TwoSessionKey, script_key: ScriptKey::Visa },
    Cvn { value: 0x16, scheme: Scheme::Visa,       master_key: MasterKeyOption::B, session_key: SessionKey::Common,     tail: Tail::IssuerApplicationData, padding: Padding::Method2, arpc: ArpcMethod::TwoSessionKey, script_key: ScriptKey::Common },
    Cvn { value: 0x10, scheme: Scheme::Mastercard, master_key: MasterKeyOption::A, session_key: SessionKey::Mastercard, tail: Tail::Cvr,                   padding: Padding::Method2, arpc: ArpcMethod::OneMasterKey, script_key: ScriptKey::Common },
    Cvn { value: 0x11, scheme: Scheme::Mastercard, master_key: MasterKeyOption::A, session_key: SessionKey::Mastercard, tail: Tail::CvrAndCounters,        padding: Padding::Method2, arpc: ArpcMethod::OneMasterKey, script_key: ScriptKey::Common },
    Cvn { value: 0x14, scheme: Scheme::Mastercard, master_key: MasterKeyOption::A, session_key: SessionKey::Common,     tail: Tail::Cvr,                   padding: Padding::Method2, arpc: ArpcMethod::OneSessionKey, script_key: ScriptKey::Common },
    Cvn { value: 0x15, scheme: Scheme::Mastercard, master_key: MasterKeyOption::A, session_key: SessionKey::Common,     tail: Tail::CvrAndCounters,        padding: Padding::Method2, arpc: ArpcMethod::OneSessionKey, script_key: ScriptKey::Common },
];

/// The terminal's part of the AC's input, each field with the length it has there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalData {
    /// 9F02.
    pub amount_authorised: [u8; 6],
    /// 9F03.
    pub amount_other: [u8; 6],
    /// 9F1A.
    pub terminal_country: [u8; 2],
    /// 95.
    pub terminal_verification_results: [u8; 5],
    /// 5F2A.
    pub currency: [u8; 2],
    /// 9A.
    pub date: [u8; 3],
    /// 9C.
    pub transaction_type: u8,
    /// 9F37.
    pub unpredictable_number: [u8; 4],
}

/// The card's part of the AC's input.
#[derive(Clone, Copy, Debug)]
pub struct CardData<'a> {
    /// 82.
    pub application_interchange_profile: [u8; 2],
    /// 9F36.
    pub atc: u16,
    /// Card verification results: 4 bytes for Visa, 6 for M/Chip.
    pub cvr: &'a [u8],
    /// M/Chip's plaintext counters, 8 bytes.
    pub counters: &'a [u8],
    /// 9F10, whole.
    pub issuer_application_data: &'a [u8],
}

impl Cvn {
    /// The version of this number, if it is one of the table's.
    #[must_use]
    pub fn find(value: u8) -> Option<&'static Self> {
        TABLE.iter().find(|cvn| cvn.value == value)
    }

    /// All versions.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &TABLE
    }

    /// The ICC master key of a PAN and its sequence number; `None` when the PAN holds anything but digits.
    #[must_use]
    pub fn icc_master_key(&self, issuer_key: &TdesKey, pan: &str, psn: u8) -> Option<TdesKey> {
        match self.master_key {
            MasterKeyOption::A => crypto::icc_master_key_option_a(issuer_key, pan, psn),
            MasterKeyOption::B => crypto::icc_master_key_option_b(issuer_key, pan, psn),
        }
    }

    /// The key the AC is made with.
    #[must_use]
    pub fn session_key(&self, master_key: &TdesKey, atc: u16, unpredictable_number: [u8; 4]) -> TdesKey {
        let [high, low] = atc.to_be_bytes();
        match self.session_key {
            SessionKey::MasterKey => master_key.clone(),
            SessionKey::Common => crypto::common_session_key(master_key, [high, low, 0, 0, 0, 0, 0, 0]),
            SessionKey::Mastercard => crypto::mastercard_session_key(master_key, atc, unpredictable_number),
        }
    }

    /// The AC's input before padding.
    #[must_use]
    pub fn ac_input(&self, terminal: &TerminalData, card: &CardData<'_>) -> Vec<u8> {
        let mut input = Vec::with_capacity(72);
        input.extend(terminal.amount_authorised);
        input.extend(terminal.amount_other);
        input.extend(terminal.terminal_country);
        input.extend(terminal.terminal_verification_results);
        input.extend(terminal.currency);
        input.extend(terminal.date);
        input.push(terminal.transaction_type);
        input.extend(terminal.unpredictable_number);
        input.extend(card.application_interchange_profile);
        input.extend(card.atc.to_be_bytes());
        match self.tail {
            Tail::Cvr => input.extend_from_slice(card.cvr),
            Tail::CvrAndCounters => {
                input.extend_from_slice(card.cvr);
                input.extend_from_slice(card.counters);
            }
            Tail::IssuerApplicationData => input.extend_from_slice(card.issuer_application_data),
        }
        input
    }

    /// The Application Cryptogram over `input` under the session key.
    #[must_use]
    pub fn application_cryptogram(&self, session_key: &TdesKey, input: &[u8]) -> Block {
        crypto::mac_algorithm_3(session_key, self.padding, input)
    }

    /// The MAC of an issuer script, of which 4 to 8 bytes are sent: over its header, the ATC and the cryptogram that it answers.
    ///
    /// `header` is the command up to and with Lc.
    // EMV 4.4 B2 9.2.1.2, 9.2.3; that ATC and cryptogram are in it is the schemes' (pyemv's cvn.py)
    #[must_use]
    pub fn script_mac(&self, master_key: &TdesKey, header: [u8; 5], atc: u16, cryptogram: Block) -> Block {
        let key = match self.script_key {
            ScriptKey::Common => crypto::common_session_key(master_key, cryptogram),
            ScriptKey::Visa => crypto::visa_sm_session_key(master_key, atc),
        };
        let mut input = Vec::from(header);
        input.extend(atc.to_be_bytes());
        input.extend(cryptogram);
        crypto::mac_algorithm_3(&key, Padding::Method2, &input)
    }

    /// What the MAC of the script after this one is bound to: Mastercard counts it up.
    // pyemv's cvn.py, on MasterCardCVN16 and its siblings
    #[must_use]
    pub const fn next_script_cryptogram(&self, cryptogram: Block) -> Block {
        match self.scheme {
            Scheme::Mastercard => u64::from_be_bytes(cryptogram).wrapping_add(1).to_be_bytes(),
            Scheme::Visa => cryptogram,
        }
    }

    /// Whether `issuer_authentication_data` (tag 91) answers `arqc` genuinely.
    ///
    /// It is ARPC (8) and response code (2) for method 1, ARPC (4), card status update (4) and up to 8 proprietary bytes
    /// for method 2.
    // EMV 4.4 B2 8.2
    #[must_use]
    pub fn verify_arpc(&self, keys: &ArpcKeys<'_>, arqc: Block, issuer_authentication_data: &[u8]) -> bool {
        match self.arpc {
            ArpcMethod::OneMasterKey => verify_arpc_1(keys.master_key, arqc, issuer_authentication_data),
            ArpcMethod::OneSessionKey => verify_arpc_1(keys.session_key, arqc, issuer_authentication_data),
            ArpcMethod::TwoSessionKey => verify_arpc_2(keys.session_key, arqc, issuer_authentication_data),
        }
    }
}

/// The keys an ARPC may be made with.
#[derive(Clone, Copy, Debug)]
pub struct ArpcKeys<'a> {
    /// The ICC master key for ACs.
    pub master_key: &'a TdesKey,
    /// The session key the ARQC was made with.
    pub session_key: &'a TdesKey,
}

/// ARPC method 1: 3DES over ARQC xor response code.
// EMV 4.4 B2 8.2.1
#[must_use]
pub fn arpc_1(key: &TdesKey, arqc: Block, response_code: [u8; 2]) -> Block {
    let [a0, a1, rest @ ..] = arqc;
    let [r0, r1] = response_code;
    let [a2, a3, a4, a5, a6, a7] = rest;
    key.encrypt([a0 ^ r0, a1 ^ r1, a2, a3, a4, a5, a6, a7])
}

/// ARPC method 2: four bytes of MAC over ARQC, card status update and proprietary data.
// EMV 4.4 B2 8.2.2
#[must_use]
pub fn arpc_2(key: &TdesKey, arqc: Block, csu_and_proprietary: &[u8]) -> [u8; 4] {
    let mut input = Vec::from(arqc);
    input.extend_from_slice(csu_and_proprietary);
    let [m0, m1, m2, m3, ..] = crypto::mac_algorithm_3(key, Padding::Method2, &input);
    [m0, m1, m2, m3]
}

fn verify_arpc_1(key: &TdesKey, arqc: Block, data: &[u8]) -> bool {
    let Some((arpc, &[r0, r1])) = data.split_first_chunk::<8>() else { return false };
    crypto::equal(&arpc_1(key, arqc, [r0, r1]), arpc)
}

fn verify_arpc_2(key: &TdesKey, arqc: Block, data: &[u8]) -> bool {
    let Some((arpc, rest)) = data.split_first_chunk::<4>() else { return false };
    (4..=12).contains(&rest.len()) && crypto::equal(&arpc_2(key, arqc, rest), arpc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use serde_json::Value;

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    fn block<const N: usize>(text: &str) -> [u8; N] {
        hex(text).try_into().unwrap()
    }

    fn key(text: &str) -> TdesKey {
        TdesKey::new(block(text))
    }

    const ISSUER_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
    const PAN: &str = "1234567890123456";
    const ATC: u16 = 0x001C;

    fn visa() -> TerminalData {
        TerminalData {
            amount_authorised: block("000000004000"),
            terminal_country: block("0124"),
            terminal_verification_results: block("8000048000"),
            currency: block("0124"),
            date: block("191105"),
            transaction_type: 1,
            unpredictable_number: block("52BF4585"),
            ..TerminalData::default()
        }
    }

    fn mastercard() -> TerminalData {
        TerminalData {
            amount_authorised: block("000000009999"),
            terminal_country: block("0124"),
            terminal_verification_results: block("8000000000"),
            currency: block("0124"),
            date: block("209906"),
            transaction_type: 0,
            unpredictable_number: block("ABCDEF12"),
            ..TerminalData::default()
        }
    }

    /// (number, terminal, CVR, counters, IAD, expected AC, tag 91)
    fn vectors() -> [(u8, TerminalData, &'static str, &'static str, &'static str, &'static str, &'static str); 7] {
        let (cvr, counters) = ("A00003220000", "00000000000322FF");
        [
            (0x0A, visa(), "03A06010", "", "", "29CCA15AE665FA2E", "28993816AFAE4AEB 3030"),
            (0x12, visa(), "", "", "06011203A0B800", "7A788EA6B8A3E733", "9AF514C1 00000000"),
            (0x16, visa(), "", "", "06011203A0B800", "7A788EA6B8A3E733", "9AF514C1 00000000"),
            (0x10, mastercard(), cvr, counters, "", "24CCF3DEE3158C70", "73F6BBF389A6586C 0010"),
            (0x11, mastercard(), cvr, counters, "", "EAE8A620A75648D8", "29CF11FBDB9CA650 0010"),
            (0x14, mastercard(), cvr, counters, "", "CD29615D6452E70E", "DFD0956606B68D64 0010"),
            (0x15, mastercard(), cvr, counters, "", "C30E54BE496CF5E5", "4F51F9CC63CE8B3C 0010"),
        ]
    }

    #[test]
    fn every_cryptogram_version_gives_the_hsm_checked_cryptogram() {
        // emv.md 3.7, from pyemv's tests, which were checked against an HSM. Taken there with the example AIP 1800.
        for (number, terminal, cvr, counters, iad, ac, issuer_data) in vectors() {
            let cvn = Cvn::find(number).unwrap();
            let master_key = cvn.icc_master_key(&key(ISSUER_KEY), PAN, 0).unwrap();
            let session_key = cvn.session_key(&master_key, ATC, terminal.unpredictable_number);
            let card = CardData {
                application_interchange_profile: block("1800"),
                atc: ATC,
                cvr: &hex(cvr),
                counters: &hex(counters),
                issuer_application_data: &hex(iad),
            };
            let cryptogram = cvn.application_cryptogram(&session_key, &cvn.ac_input(&terminal, &card));
            assert_eq!(cryptogram, block(ac), "AC of version {number:02X}");

            let keys = ArpcKeys { master_key: &master_key, session_key: &session_key };
            let mut issuer_data = hex(issuer_data);
            assert!(cvn.verify_arpc(&keys, cryptogram, &issuer_data), "ARPC of version {number:02X}");
            issuer_data[0] ^= 1;
            assert!(!cvn.verify_arpc(&keys, cryptogram, &issuer_data));
            assert!(!cvn.verify_arpc(&keys, cryptogram, &[]));
        }
    }

    #[test]
    fn issuer_scripts_have_the_mac_of_an_independent_implementation() {
        // pyemv 1.5.0, generate_command_mac of each version's class: APPLICATION BLOCK, then UNBLOCK.
        for cvn in Cvn::all() {
            let (block_mac, unblock_mac) = match cvn.value {
                0x0A | 0x12 => ("39B773C2AFD369CA", "04EDE90BC24CC35E"),
                _ => ("6D6FAC5214B1C500", "A4805748F846D851"),
            };
            let issuer_key = key("FEDCBA98765432100123456789ABCDEF");
            let master_key = cvn.icc_master_key(&issuer_key, PAN, 0).unwrap();
            let mac = |header| cvn.script_mac(&master_key, block(header), ATC, block("7A788EA6B8A3E733"));
            assert_eq!(mac("841E000008"), block(block_mac), "version {:02X}", cvn.value);
            assert_eq!(mac("8418000008"), block(unblock_mac), "version {:02X}", cvn.value);
        }
    }

    #[test]
    fn key_derivations_give_the_published_vectors() {
        // emv.md 3.7, "kd".
        let issuer_key = key(ISSUER_KEY);
        let a = crypto::icc_master_key_option_a(&issuer_key, "12345678901234567", 1).unwrap();
        assert_eq!(a.expose(), &block("73AD54688CEF2934B0979857E3C719F1"));
        let b = crypto::icc_master_key_option_b(&issuer_key, "12345678901234567", 1).unwrap();
        assert_eq!(b.expose(), &block("AD406D7F6D7570916D75E5DCAB8CF737"));
        let session = crypto::common_session_key(&issuer_key, block("001C000000000000"));
        assert_eq!(session.expose(), &block("E9FB384AF807B940FEDCEA613461B0C4"));
        let sm = crypto::visa_sm_session_key(&issuer_key, ATC);
        assert_eq!(sm.expose(), &block("0123456789ABCDF2FEDCBA987654CDF2"));
        assert!(crypto::icc_master_key_option_a(&issuer_key, "12x4", 0).is_none());
    }

    #[test]
    fn key_check_values_of_the_icc_master_keys() {
        let rows = [
            (ISSUER_KEY, "BAB0"),
            ("FEDCBA98765432100123456789ABCDEF", "F010"),
            ("89ABCDEF0123456776543210FEDCBA98", "B154"),
        ];
        for (issuer_key, expected) in rows {
            let icc_key = crypto::icc_master_key_option_a(&key(issuer_key), PAN, 0).unwrap();
            assert_eq!(icc_key.check_value()[..2], hex(expected));
        }
    }

    #[test]
    fn the_vectors_of_an_independent_implementation_agree() {
        let file: Value = serde_json::from_str(include_str!("../../../fixtures/emv-vectors.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let psn = u8::from_str_radix(text("psn"), 16).unwrap();
            let issuer_key = key(text("issuer_master_key"));
            let icc_key = crypto::icc_master_key_option_a(&issuer_key, text("pan"), psn).unwrap();
            assert_eq!(icc_key.expose(), &block(text("icc_master_key_option_a")));
            let diversification: Block = block(text("diversification"));
            let session_key = crypto::common_session_key(&icc_key, diversification);
            assert_eq!(session_key.expose(), &block(text("session_key")));
            assert_eq!(diversification[..2], hex(text("atc")));

            let input = hex(text("ac_input"));
            let ac = crypto::mac_algorithm_3(&session_key, Padding::Method2, &input);
            assert_eq!(ac, block(text("ac_padding_method_2")));
            let padded_with_zeros = crypto::mac_algorithm_3(&session_key, Padding::Method1, &input);
            assert_eq!(padded_with_zeros, block(text("ac_padding_method_1")));

            let one = &vector["arpc_method_1"];
            let response_code = block(one["arc"].as_str().unwrap());
            assert_eq!(arpc_1(&session_key, ac, response_code), block(one["arpc"].as_str().unwrap()));
            let two = &vector["arpc_method_2"];
            let csu = hex(two["csu"].as_str().unwrap());
            assert_eq!(arpc_2(&session_key, ac, &csu), block(two["arpc"].as_str().unwrap()));
        }
    }

    #[test]
    fn keys_print_masked() {
        assert_eq!(alloc::format!("{:?}", key(ISSUER_KEY)), "TdesKey(masked)");
    }
}
