//! GET DATA, of the issuer security domain and of a payment application.

use alloc::vec::Vec;

use super::command::require_no_data;
use super::registry::Applet;
use super::session::Interface;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{Tag, Writer};

/// GET DATA.
#[derive(Clone, Copy, Debug)]
pub struct GetData {
    tag: Tag,
}

impl GetData {
    /// P1 P2 is the tag.
    // GPCS 2.3.1 11.3.2; EMV 4.4 B3 6.5.7
    pub fn parse(apdu: &CApdu) -> Result<Self, Sw> {
        if apdu.cla & 0x7F != 0 {
            return Err(Sw::CLA_NOT_SUPPORTED);
        }
        require_no_data(apdu)?;
        Ok(Self { tag: Tag::new(u32::from(apdu.p1) << 8 | u32::from(apdu.p2)) })
    }
}

impl Card {
    pub(super) fn handle_get_data(&self, command: GetData) -> Answer {
        let domain = &self.profile.issuer_security_domain;
        let answer = Writer::new();
        let answer = match command.tag {
            tag::TAG_9F7F_CPLC => answer.put(tag::TAG_9F7F_CPLC, &self.cplc),
            tag::TAG_42_IIN => answer.put(tag::TAG_42_IIN, &domain.issuer_identification_number.value.0),
            tag::TAG_45_CARD_IMAGE_NUMBER => {
                answer.put(tag::TAG_45_CARD_IMAGE_NUMBER, &domain.card_image_number.value.0)
            }
            tag::TAG_66_CARD_DATA => answer.raw(self.card_data()),
            tag::TAG_E0_KEY_INFORMATION_TEMPLATE => answer.raw(self.key_information()),
            tag::TAG_C1_SEQUENCE_COUNTER => answer.put(tag::TAG_C1_SEQUENCE_COUNTER, self.sequence_counter()),
            _ => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
        };
        Ok(RApdu::ok(answer.finish()))
    }

    /// Counters and log of a payment application; the PIN try counter only where there is a PIN.
    // EMV 4.4 B3 6.5.7, B3 D2 (log)
    pub(super) fn handle_application_get_data(
        &self,
        interface: Interface,
        applet: &Applet,
        command: GetData,
    ) -> Answer {
        let payment = applet.payment.as_ref().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let counters = applet.counters;
        let answer = Writer::new();
        let answer = match command.tag {
            tag::TAG_9F36_ATC => answer.put(command.tag, counters.atc.to_be_bytes()),
            tag::TAG_9F13_LAST_ONLINE_ATC => answer.put(command.tag, counters.last_online_atc.to_be_bytes()),
            tag::TAG_9F17_PIN_TRY_COUNTER => match self.pin_status(interface, applet.slot).tries_left {
                Some(left) => answer.put(command.tag, [left]),
                None => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
            },
            tag::TAG_9F4F_LOG_FORMAT => answer.put(command.tag, &self.profile.log_format.value.0),
            tag::TAG_9F4D_LOG_ENTRY => match payment.log {
                Some(log) => answer.put(command.tag, [log.sfi, log.records]),
                None => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
            },
            _ => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
        };
        Ok(RApdu::ok(answer.finish()))
    }

    /// Card recognition data: GlobalPlatform 2.3.1, and SCP03 with its options.
    // GPCS 2.3.1 H.2, table H-1
    fn card_data(&self) -> Vec<u8> {
        let i = self.profile.issuer_security_domain.scp03_i.value.0;
        Writer::new()
            .nest(tag::TAG_66_CARD_DATA, |data| {
                data.nest(tag::TAG_73_DISCRETIONARY_TEMPLATE, |recognition| {
                    recognition
                        .put(tag::TAG_06_OBJECT_IDENTIFIER, [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x01])
                        .nest(tag::TAG_60_CARD_MANAGEMENT_TYPE, |oid| {
                            oid.put(
                                tag::TAG_06_OBJECT_IDENTIFIER,
                                [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x02, 0x02, 0x03, 0x01],
                            )
                        })
                        .nest(tag::TAG_63_CARD_IDENTIFICATION_SCHEME, |oid| {
                            oid.put(tag::TAG_06_OBJECT_IDENTIFIER, [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x03])
                        })
                        .nest(tag::TAG_64_SECURE_CHANNEL_PROTOCOL, |oid| {
                            oid.put(tag::TAG_06_OBJECT_IDENTIFIER, [0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 0x04, 0x03, i])
                        })
                })
            })
            .finish()
    }

    /// One C0 per key: identifier, version, type AES, length.
    // GPCS 2.3.1 11.3.3.1, table 11-28; key type 88 = AES (table 11-16)
    fn key_information(&self) -> Vec<u8> {
        let version = self.profile.issuer_security_domain.key_version.value;
        let length = u8::try_from(self.keys.enc.len()).unwrap_or(u8::MAX);
        let key = |writer: Writer, id: u8| writer.put(tag::TAG_C0_KEY_INFORMATION_DATA, [id, version, 0x88, length]);
        Writer::new().nest(tag::TAG_E0_KEY_INFORMATION_TEMPLATE, |keys| (1..=3).fold(keys, key)).finish()
    }
}
