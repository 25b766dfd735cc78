//! The commands the card knows. Bytes become one of them here, once; past this door nobody reads P1.

use super::crs_get_status::CrsGetStatus;
use super::crs_set_status::CrsSetStatus;
use super::delete::Delete;
use super::external_authenticate::ExternalAuthenticate;
use super::generate_ac::GenerateAc;
use super::get_data::GetData;
use super::get_processing_options::GetProcessingOptions;
use super::get_status::GetStatus;
use super::initialize_update::InitializeUpdate;
use super::install::Install;
use super::internal_authenticate::InternalAuthenticate;
use super::issuer_authentication::IssuerAuthenticate;
use super::issuer_script::{self, IssuerScript};
use super::manage_channel::ManageChannel;
use super::read_record::ReadRecord;
use super::select::Select;
use super::set_status::SetStatus;
use super::store_data::StoreData;
use super::verify::Verify;
use crate::wire::apdu::CApdu;
use crate::wire::sw::Sw;
use crate::wire::tlv::Tag;

/// A command, understood.
#[derive(Clone, Debug)]
pub enum Command<'a> {
    /// For the card manager, whatever is selected.
    Select(Select<'a>),
    /// For the card manager, whatever is selected.
    ManageChannel(ManageChannel),
    /// To the issuer security domain.
    InitializeUpdate(InitializeUpdate<'a>),
    /// To the issuer security domain.
    ExternalAuthenticate(ExternalAuthenticate<'a>),
    /// To the issuer security domain.
    Install(Install<'a>),
    /// To the issuer security domain.
    StoreData(StoreData<'a>),
    /// To the issuer security domain.
    Delete(Delete<'a>),
    /// To the issuer security domain.
    GetStatus(GetStatus<'a>),
    /// To the issuer security domain.
    SetStatus(SetStatus<'a>),
    /// To the issuer security domain.
    GetData(GetData),
    /// To the contactless registry service.
    CrsGetStatus(CrsGetStatus<'a>),
    /// To the contactless registry service.
    CrsSetStatus(CrsSetStatus<'a>),
    /// To the directory of the contact interface.
    ReadDirectory(ReadRecord),
    /// To a payment application.
    GetProcessingOptions(GetProcessingOptions<'a>),
    /// To a payment application.
    ReadRecord(ReadRecord),
    /// To a payment application.
    GenerateAc(GenerateAc<'a>),
    /// To a payment application.
    InternalAuthenticate(InternalAuthenticate<'a>),
    /// To a payment application.
    IssuerAuthenticate(IssuerAuthenticate<'a>),
    /// To a payment application.
    Verify(Verify<'a>),
    /// To a payment application.
    IssuerScript(IssuerScript<'a>),
    /// To a payment application.
    ApplicationGetData(GetData),
}

/// Who a command goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nobody: nothing is selected, or only the PPSE, which takes no commands.
    Nobody,
    /// The directory of the contact interface.
    Directory,
    /// The issuer security domain.
    SecurityDomain,
    /// The contactless registry service.
    Registry,
    /// A payment application.
    Payment,
}

/// Instruction bytes.
pub mod ins {
    #![expect(missing_docs, reason = "the names are the standard's command names")]
    pub const APPLICATION_UNBLOCK: u8 = 0x18;
    pub const APPLICATION_BLOCK: u8 = 0x1E;
    pub const VERIFY: u8 = 0x20;
    pub const PIN_CHANGE_UNBLOCK: u8 = 0x24;
    pub const INITIALIZE_UPDATE: u8 = 0x50;
    pub const MANAGE_CHANNEL: u8 = 0x70;
    pub const EXTERNAL_AUTHENTICATE: u8 = 0x82;
    pub const INTERNAL_AUTHENTICATE: u8 = 0x88;
    pub const SELECT: u8 = 0xA4;
    pub const GET_PROCESSING_OPTIONS: u8 = 0xA8;
    pub const GENERATE_AC: u8 = 0xAE;
    pub const READ_RECORD: u8 = 0xB2;
    pub const GET_RESPONSE: u8 = 0xC0;
    pub const GET_DATA: u8 = 0xCA;
    pub const STORE_DATA: u8 = 0xE2;
    pub const DELETE: u8 = 0xE4;
    pub const INSTALL: u8 = 0xE6;
    pub const SET_STATUS: u8 = 0xF0;
    pub const GET_STATUS: u8 = 0xF2;
}

impl<'a> Command<'a> {
    /// Understands a command without secure messaging and chaining bits.
    pub fn parse(target: Target, apdu: &'a CApdu) -> Result<Self, Sw> {
        match (target, apdu.ins) {
            (_, ins::SELECT) => Select::parse(apdu).map(Self::Select),
            (_, ins::MANAGE_CHANNEL) => ManageChannel::parse(apdu).map(Self::ManageChannel),
            (Target::SecurityDomain, _) => Self::parse_security_domain(apdu),
            (Target::Registry, ins::GET_STATUS) => CrsGetStatus::parse(apdu).map(Self::CrsGetStatus),
            (Target::Registry, ins::SET_STATUS) => CrsSetStatus::parse(apdu).map(Self::CrsSetStatus),
            (Target::Payment, _) => Self::parse_payment(apdu),
            (Target::Directory, ins::READ_RECORD) => ReadRecord::parse(apdu).map(Self::ReadDirectory),
            // A payment command before any application is selected (facts: foreign terminals expect 6985).
            (
                Target::Nobody | Target::Directory,
                ins::GET_PROCESSING_OPTIONS | ins::GENERATE_AC | ins::READ_RECORD | ins::GET_DATA,
            ) => Err(Sw::CONDITIONS_NOT_SATISFIED),
            _ => Err(Sw::INS_NOT_SUPPORTED),
        }
    }

    /// Whether the issuer security domain takes this instruction from an authenticated host only.
    // GPCS 2.3.1 table 11-1, card state SECURED
    #[must_use]
    pub const fn needs_authentication(target: Target, instruction: u8) -> bool {
        matches!(target, Target::SecurityDomain)
            && matches!(instruction, ins::INSTALL | ins::STORE_DATA | ins::DELETE | ins::GET_STATUS | ins::SET_STATUS)
    }

    /// Whether a command of this instruction may come in several parts.
    #[must_use]
    pub const fn may_be_chained(target: Target, instruction: u8) -> bool {
        Self::needs_authentication(target, instruction)
            || matches!(target, Target::Registry) && matches!(instruction, ins::SET_STATUS | ins::GET_STATUS)
    }

    fn parse_security_domain(apdu: &'a CApdu) -> Result<Self, Sw> {
        match apdu.ins {
            ins::INITIALIZE_UPDATE => InitializeUpdate::parse(apdu).map(Self::InitializeUpdate),
            ins::EXTERNAL_AUTHENTICATE => ExternalAuthenticate::parse(apdu).map(Self::ExternalAuthenticate),
            ins::INSTALL => Install::parse(apdu).map(Self::Install),
            ins::STORE_DATA => StoreData::parse(apdu).map(Self::StoreData),
            ins::DELETE => Delete::parse(apdu).map(Self::Delete),
            ins::GET_STATUS => GetStatus::parse(apdu).map(Self::GetStatus),
            ins::SET_STATUS => SetStatus::parse(apdu).map(Self::SetStatus),
            ins::GET_DATA => GetData::parse(apdu).map(Self::GetData),
            _ => Err(Sw::INS_NOT_SUPPORTED),
        }
    }

    fn parse_payment(apdu: &'a CApdu) -> Result<Self, Sw> {
        match apdu.ins {
            ins::GET_PROCESSING_OPTIONS => GetProcessingOptions::parse(apdu).map(Self::GetProcessingOptions),
            ins::READ_RECORD => ReadRecord::parse(apdu).map(Self::ReadRecord),
            ins::GENERATE_AC => GenerateAc::parse(apdu).map(Self::GenerateAc),
            ins::INTERNAL_AUTHENTICATE => InternalAuthenticate::parse(apdu).map(Self::InternalAuthenticate),
            ins::EXTERNAL_AUTHENTICATE => IssuerAuthenticate::parse(apdu).map(Self::IssuerAuthenticate),
            ins::GET_DATA => GetData::parse(apdu).map(Self::ApplicationGetData),
            ins::VERIFY => Ok(Self::Verify(Verify::new(apdu))),
            ins if issuer_script::is_one(ins) => IssuerScript::parse(apdu).map(Self::IssuerScript),
            _ => Err(Sw::INS_NOT_SUPPORTED),
        }
    }
}

/// The command must be of this class.
pub fn require_class(apdu: &CApdu, class: u8) -> Result<(), Sw> {
    if apdu.cla == class { Ok(()) } else { Err(Sw::CLA_NOT_SUPPORTED) }
}

/// The command must have these parameters.
pub fn require_p1_p2(apdu: &CApdu, p1: u8, p2: u8) -> Result<(), Sw> {
    if (apdu.p1, apdu.p2) == (p1, p2) { Ok(()) } else { Err(Sw::INCORRECT_P1_P2) }
}

/// The command must have no data.
pub fn require_no_data(apdu: &CApdu) -> Result<(), Sw> {
    if apdu.data.is_empty() { Ok(()) } else { Err(Sw::WRONG_LENGTH) }
}

/// The value of the one data object that must be all of `data`.
pub fn only_object(data: &[u8], tag: Tag) -> Result<&[u8], Sw> {
    let mut objects = crate::wire::tlv::walk(data);
    match (objects.next(), objects.next()) {
        (Some(Ok(object)), None) if object.tag == tag => Ok(object.value),
        _ => Err(Sw::WRONG_DATA),
    }
}
