//! The data objects a payment band and what stands around it meet: one row each, in the order of their numbers.
//!
//! Some numbers mean two things: the kernels of different schemes reuse them, and so does GlobalPlatform. Such a row
//! names both, and takes the stricter secrecy.

use super::tlv::Tag;

/// How a value is written (EMV 4.4 B3 4.3). It decides how a DOL pads and truncates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `n`: decimal digits, two to a byte, right-aligned.
    Numeric,
    /// `cn`: decimal digits, two to a byte, left-aligned, filled with `F`.
    CompressedNumeric,
    /// `a`: letters.
    Alphabetic,
    /// `an`: letters and digits.
    Alphanumeric,
    /// `ans`: printable characters.
    AlphanumericSpecial,
    /// `b`: bytes or bits.
    Binary,
    /// `var`: what the data object's own description says; all templates.
    Variable,
}

/// How much of a value an output may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// All of it.
    No,
    /// A card number: its first six and last four digits.
    Pan,
    /// A card number followed by other card data: of the number the first six and last four digits, of the rest nothing.
    Track2,
    /// Nothing of it: keys, PINs, the card data of track 1.
    Key,
    /// Nothing of it: public keys open it to the card number, or to a hash by which the hidden digits are found by trial.
    // EMV 4.4 B2 6.1 and 7.1: both certificates of the card hold the number; 5.1: the signed static data hold a hash over it, and an
    // issuer's certificate (90) its first digits alone.
    Signed,
}

/// What is known of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagInfo {
    /// The tag.
    pub tag: Tag,
    /// The standard's name.
    pub name: &'static str,
    /// How its value is written.
    pub format: Format,
    /// Where it is defined.
    pub source: &'static str,
    /// How much of its value may be shown.
    pub secret: Secret,
}

/// What is known of this tag.
#[must_use]
pub fn info(tag: Tag) -> Option<&'static TagInfo> {
    let index = TABLE.binary_search_by_key(&tag, |row| row.tag).ok()?;
    TABLE.get(index)
}

/// All rows, in the order of their numbers.
#[must_use]
pub const fn all() -> &'static [TagInfo] {
    TABLE
}

/// Names the number once for the constant, its documentation and its row.
macro_rules! tags {
    ($($constant:ident $value:literal $format:ident $secret:ident $source:ident $name:literal)*) => {
        $(#[doc = concat!("`", stringify!($value), "` ", $name, ".")] pub const $constant: Tag = Tag::new($value);)*

        static TABLE: &[TagInfo] = &[
            $(TagInfo { tag: $constant, name: $name, format: $format, source: $source, secret: Secret::$secret },)*
        ];
    };
}

// The table's own short words.
use Format::{
    Alphabetic as A, Alphanumeric as AN, AlphanumericSpecial as ANS, Binary as B, CompressedNumeric as CN,
    Numeric as N, Variable as VAR,
};

const B3: &str = "EMV 4.4 Book 3, Annex A1";
const BB: &str = "EMV Contactless Book B, Annex A";
const C2: &str = "EMV Contactless Book C-2, Annex A1";
const C3: &str = "EMV Contactless Book C-3, Annex A";
const C2_C3: &str = "EMV Contactless Books C-2 (A1) and C-3 (A)";
const C2_GP: &str = "EMV Contactless Book C-2, Annex A1; GPCS 2.3.1, 11.3";
const B3_GP: &str = "EMV 4.4 Book 3, Annex A1; GPCS 2.3.1";
const GP: &str = "GPCS 2.3.1, 11";
const GP_H: &str = "GPCS 2.3.1, Annex H";
const AMD_C: &str = "GPC Amendment C, 3.11";
const VIS: &str = "Visa Integrated Circuit Card Specification (VIS), data dictionary";
const ISO: &str = "ISO 7816-4, 5.2 and 8";

#[rustfmt::skip]
tags! {
    TAG_06_OBJECT_IDENTIFIER             0x06     B   No     ISO    "Object Identifier"
    TAG_42_IIN                           0x42     N   No     B3     "Issuer Identification Number (IIN)"
    TAG_45_CARD_IMAGE_NUMBER             0x45     B   No     GP     "Card Image Number / Security Domain Image Number"
    TAG_4D_EXTENDED_HEADER_LIST          0x4D     B   No     ISO    "Extended Header List"
    TAG_4F_ADF_NAME                      0x4F     B   No     B3     "Application Dedicated File (ADF) Name"
    TAG_50_APPLICATION_LABEL             0x50     ANS No     B3     "Application Label"
    TAG_53_DISCRETIONARY_DATA            0x53     B   No     ISO    "Discretionary Data"
    TAG_56_TRACK_1_DATA                  0x56     ANS Key    C2     "Track 1 Data"
    TAG_57_TRACK_2_EQUIVALENT_DATA       0x57     B   Track2 B3     "Track 2 Equivalent Data"
    TAG_5A_PAN                           0x5A     CN  Pan    B3     "Application Primary Account Number (PAN)"
    TAG_5C_TAG_LIST                      0x5C     B   No     ISO    "Tag List"
    TAG_60_CARD_MANAGEMENT_TYPE          0x60     VAR No     GP_H   "Card Management Type and Version"
    TAG_61_APPLICATION_TEMPLATE          0x61     VAR No     B3     "Application Template"
    TAG_62_FCP_TEMPLATE                  0x62     VAR No     ISO    "File Control Parameters (FCP) Template"
    TAG_63_CARD_IDENTIFICATION_SCHEME    0x63     VAR No     GP_H   "Card Identification Scheme"
    TAG_64_SECURE_CHANNEL_PROTOCOL       0x64     VAR No     GP_H   "Secure Channel Protocol and its Options"
    TAG_65_CARD_CONFIGURATION_DETAILS    0x65     VAR No     GP_H   "Card Configuration Details"
    TAG_66_CARD_DATA                     0x66     VAR No     GP_H   "Card Data / Card and Chip Details"
    TAG_67_CARD_CAPABILITY_INFORMATION   0x67     VAR No     GP_H   "Card Capability Information"
    TAG_6D_APPLICATION_IMAGE             0x6D     VAR No     AMD_C  "Application Image Template"
    TAG_6F_FCI_TEMPLATE                  0x6F     VAR No     B3     "File Control Information (FCI) Template"
    TAG_70_RECORD_TEMPLATE               0x70     VAR No     B3     "READ RECORD Response Message Template"
    TAG_71_ISSUER_SCRIPT_TEMPLATE_1      0x71     VAR No     B3     "Issuer Script Template 1"
    TAG_72_ISSUER_SCRIPT_TEMPLATE_2      0x72     VAR No     B3     "Issuer Script Template 2"
    TAG_73_DISCRETIONARY_TEMPLATE        0x73     VAR No     B3_GP  "Directory Discretionary Template / Card Recognition Data"
    TAG_77_RESPONSE_TEMPLATE_2           0x77     VAR No     B3     "Response Message Template Format 2"
    TAG_80_RESPONSE_TEMPLATE_1           0x80     B   No     B3     "Response Message Template Format 1"
    TAG_81_AMOUNT_AUTHORISED_BINARY      0x81     B   No     B3     "Amount, Authorised (Binary)"
    TAG_82_AIP                           0x82     B   No     B3     "Application Interchange Profile (AIP)"
    TAG_83_COMMAND_TEMPLATE              0x83     B   No     B3     "Command Template"
    TAG_84_DF_NAME                       0x84     B   No     B3     "Dedicated File (DF) Name"
    TAG_86_ISSUER_SCRIPT_COMMAND         0x86     B   No     B3     "Issuer Script Command"
    TAG_87_PRIORITY                      0x87     B   No     B3     "Application Priority Indicator"
    TAG_88_SFI                           0x88     B   No     B3     "Short File Identifier (SFI)"
    TAG_89_AUTHORISATION_CODE            0x89     ANS No     B3     "Authorisation Code"
    TAG_8A_ARC                           0x8A     AN  No     B3     "Authorisation Response Code (ARC)"
    TAG_8C_CDOL1                         0x8C     B   No     B3     "Card Risk Management Data Object List 1 (CDOL1)"
    TAG_8D_CDOL2                         0x8D     B   No     B3     "Card Risk Management Data Object List 2 (CDOL2)"
    TAG_8E_CVM_LIST                      0x8E     B   No     B3     "Cardholder Verification Method (CVM) List"
    TAG_8F_CA_PUBLIC_KEY_INDEX           0x8F     B   No     B3     "Certification Authority Public Key Index (ICC)"
    TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE 0x90     B   No     B3     "Issuer Public Key Certificate"
    TAG_91_ISSUER_AUTHENTICATION_DATA    0x91     B   No     B3     "Issuer Authentication Data"
    TAG_92_ISSUER_PUBLIC_KEY_REMAINDER   0x92     B   No     B3     "Issuer Public Key Remainder"
    TAG_93_SIGNED_STATIC_DATA            0x93     B   Signed B3     "Signed Static Application Data"
    TAG_94_AFL                           0x94     VAR No     B3     "Application File Locator (AFL)"
    TAG_95_TVR                           0x95     B   No     B3     "Terminal Verification Results (TVR)"
    TAG_97_TDOL                          0x97     B   No     B3     "Transaction Certificate Data Object List (TDOL)"
    TAG_98_TC_HASH_VALUE                 0x98     B   No     B3     "Transaction Certificate (TC) Hash Value"
    TAG_99_PIN_DATA                      0x99     B   Key    B3     "Transaction Personal Identification Number (PIN) Data"
    TAG_9A_TRANSACTION_DATE              0x9A     N   No     B3     "Transaction Date"
    TAG_9B_TSI                           0x9B     B   No     B3     "Transaction Status Information (TSI)"
    TAG_9C_TRANSACTION_TYPE              0x9C     N   No     B3     "Transaction Type"
    TAG_9D_DDF_NAME                      0x9D     B   No     B3     "Directory Definition File (DDF) Name"
    TAG_A1_FAILED_APPLICATIONS           0xA1     VAR No     AMD_C  "Applications that could not be changed"
    TAG_A2_GROUP_HEAD                    0xA2     VAR No     AMD_C  "Application Group Head"
    TAG_A3_GROUP_MEMBERS                 0xA3     VAR No     AMD_C  "Application Group Members"
    TAG_A4_CREL_LIST                     0xA4     VAR No     AMD_C  "Contactless Registry Event Listener (CREL) Applications"
    TAG_A5_FCI_PROPRIETARY               0xA5     VAR No     B3     "File Control Information (FCI) Proprietary Template"
    TAG_A6_APPLICATION_DISCRETIONARY     0xA6     VAR No     AMD_C  "Application Discretionary Data (contactless registry)"
    TAG_C0_KEY_INFORMATION_DATA          0xC0     B   No     GP     "Key Information Data"
    TAG_C1_SEQUENCE_COUNTER              0xC1     B   No     GP     "Sequence Counter of the default Key Version Number"
    TAG_C4_LOAD_FILE_AID                 0xC4     B   No     GP     "Application's Executable Load File AID"
    TAG_C5_PRIVILEGES                    0xC5     B   No     GP     "Privileges"
    TAG_C6_NON_VOLATILE_CODE_MINIMUM     0xC6     B   No     GP     "Non-volatile Code Minimum Memory Requirement"
    TAG_C7_VOLATILE_MEMORY_QUOTA         0xC7     B   No     GP     "Volatile Memory Quota"
    TAG_C8_NON_VOLATILE_MEMORY_QUOTA     0xC8     B   No     GP     "Non-volatile Memory Quota"
    TAG_C9_APPLICATION_PARAMETERS        0xC9     B   No     GP     "Application Specific Parameters"
    TAG_CC_SECURITY_DOMAIN_AID           0xCC     B   No     GP     "Associated Security Domain's AID"
    TAG_CE_LOAD_FILE_VERSION             0xCE     B   No     GP     "Executable Load File Version Number"
    TAG_CF_IMPLICIT_SELECTION            0xCF     B   No     GP     "Implicit Selection Parameter"
    TAG_E0_KEY_INFORMATION_TEMPLATE      0xE0     VAR No     GP     "Key Information Template"
    TAG_E3_REGISTRY_DATA                 0xE3     VAR No     GP     "GlobalPlatform Registry Related Data"
    TAG_EF_SYSTEM_PARAMETERS             0xEF     VAR No     GP     "System Specific Parameters"
    TAG_5F20_CARDHOLDER_NAME             0x5F20   ANS Key    B3     "Cardholder Name"
    TAG_5F24_EXPIRATION_DATE             0x5F24   N   No     B3     "Application Expiration Date"
    TAG_5F25_EFFECTIVE_DATE              0x5F25   N   No     B3     "Application Effective Date"
    TAG_5F28_ISSUER_COUNTRY_CODE         0x5F28   N   No     B3     "Issuer Country Code"
    TAG_5F2A_TRANSACTION_CURRENCY_CODE   0x5F2A   N   No     B3     "Transaction Currency Code"
    TAG_5F2D_LANGUAGE_PREFERENCE         0x5F2D   AN  No     B3     "Language Preference"
    TAG_5F30_SERVICE_CODE                0x5F30   N   No     B3     "Service Code"
    TAG_5F34_PSN                         0x5F34   N   No     B3     "Application Primary Account Number (PAN) Sequence Number"
    TAG_5F36_TRANSACTION_CURRENCY_EXPONENT 0x5F36 N   No     B3     "Transaction Currency Exponent"
    TAG_5F45_DISPLAY_MESSAGE             0x5F45   ANS No     AMD_C  "Display Message"
    TAG_5F50_ISSUER_URL                  0x5F50   ANS No     B3     "Issuer URL"
    TAG_5F53_IBAN                        0x5F53   VAR Key    B3     "International Bank Account Number (IBAN)"
    TAG_5F54_BIC                         0x5F54   VAR No     B3     "Bank Identifier Code (BIC)"
    TAG_5F55_ISSUER_COUNTRY_ALPHA2       0x5F55   A   No     B3     "Issuer Country Code (alpha2 format)"
    TAG_5F56_ISSUER_COUNTRY_ALPHA3       0x5F56   A   No     B3     "Issuer Country Code (alpha3 format)"
    TAG_5F57_ACCOUNT_TYPE                0x5F57   N   No     B3     "Account Type"
    TAG_7F20_DISPLAY_CONTROL_TEMPLATE    0x7F20   VAR No     AMD_C  "Display Control Template"
    TAG_9F01_ACQUIRER_IDENTIFIER         0x9F01   N   No     B3     "Acquirer Identifier"
    TAG_9F02_AMOUNT_AUTHORISED           0x9F02   N   No     B3     "Amount, Authorised (Numeric)"
    TAG_9F03_AMOUNT_OTHER                0x9F03   N   No     B3     "Amount, Other (Numeric)"
    TAG_9F04_AMOUNT_OTHER_BINARY         0x9F04   B   No     B3     "Amount, Other (Binary)"
    TAG_9F05_APPLICATION_DISCRETIONARY   0x9F05   B   No     B3     "Application Discretionary Data"
    TAG_9F06_AID_TERMINAL                0x9F06   B   No     B3     "Application Identifier (AID) - terminal"
    TAG_9F07_AUC                         0x9F07   B   No     B3     "Application Usage Control (AUC)"
    TAG_9F08_APPLICATION_VERSION         0x9F08   B   No     B3     "Application Version Number (ICC)"
    TAG_9F09_TERMINAL_APPLICATION_VERSION 0x9F09  B   No     B3     "Application Version Number (terminal)"
    TAG_9F0A_ASRPD                       0x9F0A   B   No     B3     "Application Selection Registered Proprietary Data (ASRPD)"
    TAG_9F0B_CARDHOLDER_NAME_EXTENDED    0x9F0B   ANS Key    B3     "Cardholder Name Extended"
    TAG_9F0C_IINE                        0x9F0C   N   No     B3     "Issuer Identification Number Extended (IINE)"
    TAG_9F0D_IAC_DEFAULT                 0x9F0D   B   No     B3     "Issuer Action Code - Default"
    TAG_9F0E_IAC_DENIAL                  0x9F0E   B   No     B3     "Issuer Action Code - Denial"
    TAG_9F0F_IAC_ONLINE                  0x9F0F   B   No     B3     "Issuer Action Code - Online"
    TAG_9F10_IAD                         0x9F10   B   No     B3     "Issuer Application Data (IAD)"
    TAG_9F11_ISSUER_CODE_TABLE_INDEX     0x9F11   N   No     B3     "Issuer Code Table Index"
    TAG_9F12_PREFERRED_NAME              0x9F12   ANS No     B3     "Application Preferred Name"
    TAG_9F13_LAST_ONLINE_ATC             0x9F13   B   No     B3     "Last Online Application Transaction Counter (ATC) Register"
    TAG_9F14_LOWER_OFFLINE_LIMIT         0x9F14   B   No     B3     "Lower Consecutive Offline Limit"
    TAG_9F15_MERCHANT_CATEGORY_CODE      0x9F15   N   No     B3     "Merchant Category Code"
    TAG_9F16_MERCHANT_IDENTIFIER         0x9F16   ANS No     B3     "Merchant Identifier"
    TAG_9F17_PIN_TRY_COUNTER             0x9F17   B   No     B3     "Personal Identification Number (PIN) Try Counter"
    TAG_9F18_ISSUER_SCRIPT_IDENTIFIER    0x9F18   B   No     B3     "Issuer Script Identifier"
    TAG_9F19_TOKEN_REQUESTOR_ID          0x9F19   N   No     B3     "Token Requestor ID"
    TAG_9F1A_TERMINAL_COUNTRY_CODE       0x9F1A   N   No     B3     "Terminal Country Code"
    TAG_9F1B_TERMINAL_FLOOR_LIMIT        0x9F1B   B   No     B3     "Terminal Floor Limit"
    TAG_9F1C_TERMINAL_IDENTIFICATION     0x9F1C   AN  No     B3     "Terminal Identification"
    TAG_9F1D_TERMINAL_RISK_DATA          0x9F1D   B   No     B3     "Terminal Risk Management Data"
    TAG_9F1E_IFD_SERIAL_NUMBER           0x9F1E   AN  No     B3     "Interface Device (IFD) Serial Number"
    TAG_9F1F_TRACK_1_DISCRETIONARY       0x9F1F   ANS Key    B3     "Track 1 Discretionary Data"
    TAG_9F20_TRACK_2_DISCRETIONARY       0x9F20   CN  Key    B3     "Track 2 Discretionary Data"
    TAG_9F21_TRANSACTION_TIME            0x9F21   N   No     B3     "Transaction Time"
    TAG_9F22_TERMINAL_CA_KEY_INDEX       0x9F22   B   No     B3     "Certification Authority Public Key Index (terminal)"
    TAG_9F23_UPPER_OFFLINE_LIMIT         0x9F23   B   No     B3     "Upper Consecutive Offline Limit"
    TAG_9F24_PAR                         0x9F24   AN  No     B3     "Payment Account Reference (PAR)"
    TAG_9F25_LAST_4_DIGITS               0x9F25   N   No     B3     "Last 4 Digits of PAN"
    TAG_9F26_APPLICATION_CRYPTOGRAM      0x9F26   B   No     B3     "Application Cryptogram (AC)"
    TAG_9F27_CID                         0x9F27   B   No     B3     "Cryptogram Information Data (CID)"
    TAG_9F29_EXTENDED_SELECTION          0x9F29   B   No     BB     "Extended Selection"
    TAG_9F2A_KERNEL_IDENTIFIER           0x9F2A   B   No     BB     "Kernel Identifier"
    TAG_9F2D_PIN_KEY_CERTIFICATE         0x9F2D   B   Signed B3     "ICC PIN Encipherment Public Key Certificate"
    TAG_9F2E_PIN_KEY_EXPONENT            0x9F2E   B   No     B3     "ICC PIN Encipherment Public Key Exponent"
    TAG_9F2F_PIN_KEY_REMAINDER           0x9F2F   B   No     B3     "ICC PIN Encipherment Public Key Remainder"
    TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT  0x9F32   B   No     B3     "Issuer Public Key Exponent"
    TAG_9F33_TERMINAL_CAPABILITIES       0x9F33   B   No     B3     "Terminal Capabilities"
    TAG_9F34_CVM_RESULTS                 0x9F34   B   No     B3     "Cardholder Verification Method (CVM) Results"
    TAG_9F35_TERMINAL_TYPE               0x9F35   N   No     B3     "Terminal Type"
    TAG_9F36_ATC                         0x9F36   B   No     B3     "Application Transaction Counter (ATC)"
    TAG_9F37_UNPREDICTABLE_NUMBER        0x9F37   B   No     B3     "Unpredictable Number (UN)"
    TAG_9F38_PDOL                        0x9F38   B   No     B3     "Processing Options Data Object List (PDOL)"
    TAG_9F39_POS_ENTRY_MODE              0x9F39   N   No     B3     "Point-of-Service (POS) Entry Mode"
    TAG_9F3A_AMOUNT_REFERENCE_CURRENCY   0x9F3A   B   No     B3     "Amount, Reference Currency"
    TAG_9F3B_APPLICATION_REFERENCE_CURRENCY 0x9F3B N  No     B3     "Application Reference Currency"
    TAG_9F3C_TRANSACTION_REFERENCE_CURRENCY 0x9F3C N  No     B3     "Transaction Reference Currency Code"
    TAG_9F3D_TRANSACTION_REFERENCE_EXPONENT 0x9F3D N  No     B3     "Transaction Reference Currency Exponent"
    TAG_9F40_ADDITIONAL_CAPABILITIES     0x9F40   B   No     B3     "Additional Terminal Capabilities"
    TAG_9F41_TRANSACTION_SEQUENCE        0x9F41   N   No     B3     "Transaction Sequence Counter"
    TAG_9F42_APPLICATION_CURRENCY_CODE   0x9F42   N   No     B3     "Application Currency Code"
    TAG_9F43_REFERENCE_CURRENCY_EXPONENT 0x9F43   N   No     B3     "Application Reference Currency Exponent"
    TAG_9F44_APPLICATION_CURRENCY_EXPONENT 0x9F44 N   No     B3     "Application Currency Exponent"
    TAG_9F45_DATA_AUTHENTICATION_CODE    0x9F45   B   No     B3     "Data Authentication Code"
    TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE  0x9F46   B   Signed B3     "ICC Public Key Certificate"
    TAG_9F47_ICC_PUBLIC_KEY_EXPONENT     0x9F47   B   No     B3     "ICC Public Key Exponent"
    TAG_9F48_ICC_PUBLIC_KEY_REMAINDER    0x9F48   B   No     B3     "ICC Public Key Remainder"
    TAG_9F49_DDOL                        0x9F49   B   No     B3     "Dynamic Data Authentication Data Object List (DDOL)"
    TAG_9F4A_SDA_TAG_LIST                0x9F4A   B   No     B3     "Static Data Authentication Tag List"
    TAG_9F4B_SDAD                        0x9F4B   B   No     B3     "Signed Dynamic Application Data (SDAD)"
    TAG_9F4C_ICC_DYNAMIC_NUMBER          0x9F4C   B   No     B3     "ICC Dynamic Number"
    TAG_9F4D_LOG_ENTRY                   0x9F4D   B   No     B3     "Log Entry"
    TAG_9F4E_MERCHANT_NAME               0x9F4E   ANS No     B3     "Merchant Name and Location"
    TAG_9F4F_LOG_FORMAT                  0x9F4F   B   No     B3     "Log Format"
    TAG_9F50_OFFLINE_BALANCE             0x9F50   N   No     C2     "Offline Accumulator Balance"
    TAG_9F51_DRDOL                       0x9F51   B   No     C2     "Data Recovery Data Object List (DRDOL) / Application Currency Code (Visa)"
    TAG_9F52_APPLICATION_DEFAULT_ACTION  0x9F52   B   No     VIS    "Application Default Action (ADA)"
    TAG_9F53_TRANSACTION_CATEGORY_CODE   0x9F53   AN  No     C2     "Transaction Category Code"
    TAG_9F54_DS_ODS_CARD                 0x9F54   B   No     C2     "DS ODS Card"
    TAG_9F5A_APPLICATION_PROGRAM_ID      0x9F5A   B   No     C3     "Application Program Identifier"
    TAG_9F5B_DSDOL                       0x9F5B   B   No     C2     "DSDOL / Issuer Script Results (kernel 3)"
    TAG_9F5C_DS_REQUESTED_OPERATOR_ID    0x9F5C   B   No     C2     "DS Requested Operator ID"
    TAG_9F5D_APPLICATION_CAPABILITIES    0x9F5D   B   No     C2_C3  "Application Capabilities Information / Available Offline Spending Amount (kernel 3)"
    TAG_9F5E_DS_ID                       0x9F5E   N   No     C2     "DS ID"
    TAG_9F5F_DS_SLOT_AVAILABILITY        0x9F5F   B   No     C2     "DS Slot Availability"
    TAG_9F60_CVC3_TRACK1                 0x9F60   B   No     C2     "CVC3 (Track1)"
    TAG_9F61_CVC3_TRACK2                 0x9F61   B   No     C2     "CVC3 (Track2)"
    TAG_9F62_PCVC3_TRACK1                0x9F62   B   No     C2     "PCVC3 (Track1)"
    TAG_9F63_PUNATC_TRACK1               0x9F63   B   No     C2     "PUNATC (Track1)"
    TAG_9F64_NATC_TRACK1                 0x9F64   B   No     C2     "NATC (Track1)"
    TAG_9F65_PCVC3_TRACK2                0x9F65   B   No     C2     "PCVC3 (Track2)"
    TAG_9F66_TTQ                         0x9F66   B   No     C2_C3  "Terminal Transaction Qualifiers (TTQ) / PUNATC (Track2, kernel 2)"
    TAG_9F67_NATC_TRACK2                 0x9F67   B   No     C2     "NATC (Track2)"
    TAG_9F69_CARD_AUTHENTICATION_DATA    0x9F69   B   No     C2_C3  "Card Authentication Related Data / UDOL (kernel 2)"
    TAG_9F6A_UNPREDICTABLE_NUMBER_NUMERIC 0x9F6A  N   No     C2     "Unpredictable Number (Numeric)"
    TAG_9F6B_TRACK_2_DATA                0x9F6B   B   Track2 C2_C3  "Track 2 Data / Card CVM Limit (kernel 3)"
    TAG_9F6C_CTQ                         0x9F6C   B   No     C3     "Card Transaction Qualifiers (CTQ)"
    TAG_9F6D_MAG_STRIPE_VERSION          0x9F6D   B   No     C2     "Mag-stripe Application Version Number (Reader)"
    TAG_9F6E_THIRD_PARTY_DATA            0x9F6E   B   No     C2_C3  "Third Party Data / Form Factor Indicator (kernel 3)"
    TAG_9F6F_DS_SLOT_MANAGEMENT          0x9F6F   B   No     C2     "DS Slot Management Control"
    TAG_9F70_LIFE_CYCLE_STATE            0x9F70   B   No     C2_GP  "Life Cycle State / Protected Data Envelope 1 (kernel 2)"
    TAG_9F71_PROTECTED_DATA_2            0x9F71   B   No     C2     "Protected Data Envelope 2"
    TAG_9F72_PROTECTED_DATA_3            0x9F72   B   No     C2     "Protected Data Envelope 3"
    TAG_9F73_PROTECTED_DATA_4            0x9F73   B   No     C2     "Protected Data Envelope 4"
    TAG_9F74_PROTECTED_DATA_5            0x9F74   B   No     C2     "Protected Data Envelope 5"
    TAG_9F75_UNPROTECTED_DATA_1          0x9F75   B   No     C2     "Unprotected Data Envelope 1"
    TAG_9F76_UNPROTECTED_DATA_2          0x9F76   B   No     C2     "Unprotected Data Envelope 2"
    TAG_9F77_UNPROTECTED_DATA_3          0x9F77   B   No     C2     "Unprotected Data Envelope 3"
    TAG_9F78_UNPROTECTED_DATA_4          0x9F78   B   No     C2     "Unprotected Data Envelope 4"
    TAG_9F79_UNPROTECTED_DATA_5          0x9F79   B   No     C2     "Unprotected Data Envelope 5"
    TAG_9F7C_CUSTOM_DATA                 0x9F7C   B   No     C2_C3  "Merchant Custom Data / Customer Exclusive Data (kernel 3)"
    TAG_9F7D_DS_SUMMARY_1                0x9F7D   B   No     C2     "DS Summary 1"
    TAG_9F7E_MOBILE_SUPPORT_INDICATOR    0x9F7E   B   No     C2     "Mobile Support Indicator"
    TAG_9F7F_CPLC                        0x9F7F   B   No     C2_GP  "Card Production Life Cycle Data (CPLC) / DS Unpredictable Number (kernel 2)"
    TAG_BF0C_FCI_DISCRETIONARY           0xBF0C   VAR No     B3     "File Control Information (FCI) Issuer Discretionary Data"
    TAG_DF4B_POS_CARDHOLDER_INTERACTION  0xDF4B   B   No     C2     "POS Cardholder Interaction Information"
    TAG_DF60_DS_INPUT_CARD               0xDF60   B   No     C2     "DS Input (Card)"
    TAG_DF61_DS_DIGEST_H                 0xDF61   B   No     C2     "DS Digest H"
    TAG_DF62_DS_ODS_INFO                 0xDF62   B   No     C2     "DS ODS Info"
    TAG_DF63_DS_ODS_TERM                 0xDF63   B   No     C2     "DS ODS Term"
    TAG_DF8101_DS_SUMMARY_2              0xDF8101 B   No     C2     "DS Summary 2"
    TAG_DF8102_DS_SUMMARY_3              0xDF8102 B   No     C2     "DS Summary 3"
    TAG_DF8104_BALANCE_BEFORE_GENERATE_AC 0xDF8104 N  No     C2     "Balance Read Before Gen AC"
    TAG_DF8105_BALANCE_AFTER_GENERATE_AC 0xDF8105 N   No     C2     "Balance Read After Gen AC"
    TAG_DF8106_DATA_NEEDED               0xDF8106 B   No     C2     "Data Needed"
    TAG_DF8107_CDOL1_RELATED_DATA        0xDF8107 B   No     C2     "CDOL1 Related Data"
    TAG_DF8108_DS_AC_TYPE                0xDF8108 B   No     C2     "DS AC Type"
    TAG_DF8109_DS_INPUT_TERM             0xDF8109 B   No     C2     "DS Input (Term)"
    TAG_DF810A_DS_ODS_INFO_READER        0xDF810A B   No     C2     "DS ODS Info For Reader"
    TAG_DF810B_DS_SUMMARY_STATUS         0xDF810B B   No     C2     "DS Summary Status"
    TAG_DF810C_KERNEL_ID                 0xDF810C B   No     C2     "Kernel ID"
    TAG_DF810D_DSVN_TERM                 0xDF810D B   No     C2     "DSVN Term"
    TAG_DF810E_POST_PUT_DATA_STATUS      0xDF810E B   No     C2     "Post-Gen AC Put Data Status"
    TAG_DF810F_PRE_PUT_DATA_STATUS       0xDF810F B   No     C2     "Pre-Gen AC Put Data Status"
    TAG_DF8110_PROCEED_TO_FIRST_WRITE    0xDF8110 B   No     C2     "Proceed To First Write Flag"
    TAG_DF8111_PDOL_RELATED_DATA         0xDF8111 B   No     C2     "PDOL Related Data"
    TAG_DF8112_TAGS_TO_READ              0xDF8112 B   No     C2     "Tags To Read"
    TAG_DF8113_DRDOL_RELATED_DATA        0xDF8113 B   No     C2     "DRDOL Related Data"
    TAG_DF8114_REFERENCE_CONTROL         0xDF8114 B   No     C2     "Reference Control Parameter"
    TAG_DF8115_ERROR_INDICATION          0xDF8115 B   No     C2     "Error Indication"
    TAG_DF8116_USER_INTERFACE_REQUEST    0xDF8116 B   No     C2     "User Interface Request Data"
    TAG_DF8117_CARD_DATA_INPUT           0xDF8117 B   No     C2     "Card Data Input Capability"
    TAG_DF8118_CVM_CAPABILITY_REQUIRED   0xDF8118 B   No     C2     "CVM Capability - CVM Required"
    TAG_DF8119_CVM_CAPABILITY_NONE       0xDF8119 B   No     C2     "CVM Capability - No CVM Required"
    TAG_DF811A_DEFAULT_UDOL              0xDF811A B   No     C2     "Default UDOL"
    TAG_DF811B_KERNEL_CONFIGURATION      0xDF811B B   No     C2     "Kernel Configuration"
    TAG_DF811C_TORN_RECORD_LIFETIME      0xDF811C B   No     C2     "Max Lifetime of Torn Transaction Log Record"
    TAG_DF811D_TORN_RECORDS_MAX          0xDF811D B   No     C2     "Max Number of Torn Transaction Log Records"
    TAG_DF811E_MAG_STRIPE_CVM_REQUIRED   0xDF811E B   No     C2     "Mag-stripe CVM Capability - CVM Required"
    TAG_DF811F_SECURITY_CAPABILITY       0xDF811F B   No     C2     "Security Capability"
    TAG_DF8120_TAC_DEFAULT               0xDF8120 B   No     C2     "Terminal Action Code - Default"
    TAG_DF8121_TAC_DENIAL                0xDF8121 B   No     C2     "Terminal Action Code - Denial"
    TAG_DF8122_TAC_ONLINE                0xDF8122 B   No     C2     "Terminal Action Code - Online"
    TAG_DF8123_READER_FLOOR_LIMIT        0xDF8123 N   No     C2     "Reader Contactless Floor Limit"
    TAG_DF8124_READER_LIMIT_NO_CDCVM     0xDF8124 N   No     C2     "Reader Contactless Transaction Limit (No On-device CVM)"
    TAG_DF8125_READER_LIMIT_CDCVM        0xDF8125 N   No     C2     "Reader Contactless Transaction Limit (On-device CVM)"
    TAG_DF8126_READER_CVM_LIMIT          0xDF8126 N   No     C2     "Reader CVM Required Limit"
    TAG_DF8127_TIME_OUT_VALUE            0xDF8127 B   No     C2     "Time Out Value"
    TAG_DF8128_IDS_STATUS                0xDF8128 B   No     C2     "IDS Status"
    TAG_DF8129_OUTCOME_PARAMETER_SET     0xDF8129 B   No     C2     "Outcome Parameter Set"
    TAG_DF812A_DD_CARD_TRACK1            0xDF812A ANS Key    C2     "DD Card (Track1)"
    TAG_DF812B_DD_CARD_TRACK2            0xDF812B B   Key    C2     "DD Card (Track2)"
    TAG_DF812C_MAG_STRIPE_NO_CVM         0xDF812C B   No     C2     "Mag-stripe CVM Capability - No CVM Required"
    TAG_DF812D_MESSAGE_HOLD_TIME         0xDF812D N   No     C2     "Message Hold Time"
    TAG_DF8130_HOLD_TIME_VALUE           0xDF8130 B   No     C2     "Hold Time Value"
    TAG_DF8131_PHONE_MESSAGE_TABLE       0xDF8131 B   No     C2     "Phone Message Table"
    TAG_DF8132_RELAY_GRACE_MIN           0xDF8132 B   No     C2     "Minimum Relay Resistance Grace Period"
    TAG_DF8133_RELAY_GRACE_MAX           0xDF8133 B   No     C2     "Maximum Relay Resistance Grace Period"
    TAG_DF8134_RELAY_EXPECTED_COMMAND    0xDF8134 B   No     C2     "Terminal Expected Transmission Time For Relay Resistance C-APDU"
    TAG_DF8135_RELAY_EXPECTED_RESPONSE   0xDF8135 B   No     C2     "Terminal Expected Transmission Time For Relay Resistance R-APDU"
    TAG_DF8136_RELAY_ACCURACY            0xDF8136 B   No     C2     "Relay Resistance Accuracy Threshold"
    TAG_DF8137_RELAY_MISMATCH            0xDF8137 B   No     C2     "Relay Resistance Transmission Time Mismatch Threshold"
    TAG_DF8301_TERMINAL_RELAY_ENTROPY    0xDF8301 B   No     C2     "Terminal Relay Resistance Entropy"
    TAG_DF8302_DEVICE_RELAY_ENTROPY      0xDF8302 B   No     C2     "Device Relay Resistance Entropy"
    TAG_DF8303_RELAY_PROCESSING_MIN      0xDF8303 B   No     C2     "Min Time For Processing Relay Resistance APDU"
    TAG_DF8304_RELAY_PROCESSING_MAX      0xDF8304 B   No     C2     "Max Time For Processing Relay Resistance APDU"
    TAG_DF8305_RELAY_ESTIMATED_RESPONSE  0xDF8305 B   No     C2     "Device Estimated Transmission Time For Relay Resistance R-APDU"
    TAG_DF8306_RELAY_MEASURED            0xDF8306 B   No     C2     "Measured Relay Resistance Processing Time"
    TAG_DF8307_RRP_COUNTER               0xDF8307 B   No     C2     "RRP Counter"
    TAG_FF8101_TORN_RECORD               0xFF8101 VAR No     C2     "Torn Record"
    TAG_FF8102_TAGS_TO_WRITE_BEFORE      0xFF8102 VAR No     C2     "Tags To Write Before Gen AC"
    TAG_FF8103_TAGS_TO_WRITE_AFTER       0xFF8103 VAR No     C2     "Tags To Write After Gen AC"
    TAG_FF8104_DATA_TO_SEND              0xFF8104 VAR No     C2     "Data To Send"
    TAG_FF8105_DATA_RECORD               0xFF8105 VAR No     C2     "Data Record"
    TAG_FF8106_DISCRETIONARY_DATA        0xFF8106 VAR No     C2     "Discretionary Data (kernel 2 outcome)"
}

/// `9F5D` as kernel 3 reads it.
pub const TAG_9F5D_AOSA: Tag = TAG_9F5D_APPLICATION_CAPABILITIES;
/// `9F6B` as kernel 3 reads it.
pub const TAG_9F6B_CARD_CVM_LIMIT: Tag = TAG_9F6B_TRACK_2_DATA;
/// `9F6E` as kernel 3 reads it.
pub const TAG_9F6E_FORM_FACTOR_INDICATOR: Tag = TAG_9F6E_THIRD_PARTY_DATA;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use core::str::FromStr;

    #[test]
    fn rows_stand_in_the_order_of_their_numbers_without_repeats() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].tag < pair[1].tag, "{} must come before {}", pair[1].tag, pair[0].tag);
        }
    }

    #[test]
    fn every_row_is_found_by_its_tag_and_every_tag_is_well_formed() {
        for row in all() {
            assert_eq!(info(row.tag), Some(row));
            assert_eq!(Tag::from_str(&row.tag.to_string()), Ok(row.tag), "{}", row.name);
        }
        assert!(all().len() >= 150, "{}", all().len());
    }

    #[test]
    fn templates_have_no_format_of_their_own_and_hide_nothing() {
        for row in all().iter().filter(|row| row.tag.is_constructed()) {
            assert_eq!((row.format, row.secret), (VAR, Secret::No), "{}", row.tag);
        }
    }

    #[test]
    fn card_data_is_never_shown_whole() {
        for (tag, secret) in [
            (TAG_56_TRACK_1_DATA, Secret::Key),
            (TAG_57_TRACK_2_EQUIVALENT_DATA, Secret::Track2),
            (TAG_5A_PAN, Secret::Pan),
            (TAG_5F20_CARDHOLDER_NAME, Secret::Key),
            (TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, Secret::No),
            (TAG_93_SIGNED_STATIC_DATA, Secret::Signed),
            (TAG_99_PIN_DATA, Secret::Key),
            (TAG_9F1F_TRACK_1_DISCRETIONARY, Secret::Key),
            (TAG_9F20_TRACK_2_DISCRETIONARY, Secret::Key),
            (TAG_9F2D_PIN_KEY_CERTIFICATE, Secret::Signed),
            (TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, Secret::Signed),
            (TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, Secret::No),
            (TAG_9F6B_TRACK_2_DATA, Secret::Track2),
            (TAG_9F02_AMOUNT_AUTHORISED, Secret::No),
        ] {
            assert_eq!(info(tag).map(|row| row.secret), Some(secret), "{tag}");
        }
    }

    #[test]
    fn a_tag_nobody_knows_has_no_row() {
        assert_eq!(info(Tag::new(0xDF7E)), None);
        assert_eq!(info(Tag::new(0)), None);
    }
}
