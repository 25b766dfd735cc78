//! A card made by hand for the tests: what it answers can be bent at every place.

use std::collections::BTreeMap;

use band_sim::wire::apdu::CApdu;
use band_sim::wire::dol::Dol;
use band_sim::wire::tag;
use band_sim::wire::tlv::{Tag, Writer};

use super::hex;

/// A card with one application.
#[derive(Clone)]
pub(super) struct FakeCard {
    /// Names and priorities in the directory.
    pub(super) directory: Vec<(Vec<u8>, u8)>,
    /// The kernel identifier (9F2A) of a name in the directory, if it has one.
    pub(super) kernel_identifiers: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What each SELECT, by name, is answered with instead of the application's own.
    pub(super) refused_names: Vec<Vec<u8>>,
    /// What GET PROCESSING OPTIONS gives.
    pub(super) options: BTreeMap<Tag, Vec<u8>>,
    pub(super) pdol: Vec<u8>,
    /// The records of file 1, in order.
    pub(super) records: Vec<BTreeMap<Tag, Vec<u8>>>,
    /// What GENERATE AC gives beside 9F27; 9F27 is what was asked for, or stricter.
    pub(super) cryptogram: BTreeMap<Tag, Vec<u8>>,
    /// The laxest cryptogram: 40 TC, 80 ARQC, 00 AAC.
    pub(super) laxest: u8,
    /// Instead of an answer, this status word, by INS.
    pub(super) status_words: BTreeMap<u8, u16>,
    /// Makes the signature when one is wanted.
    pub(super) signer: Option<fn(&FakeCard, &Signing) -> Vec<u8>>,
    /// As sent by the terminal.
    pub(super) pdol_values: Vec<u8>,
}

/// What a signature covers.
pub(super) struct Signing {
    pub(super) pdol_values: Vec<u8>,
    pub(super) cdol_values: Vec<u8>,
    pub(super) objects: BTreeMap<Tag, Vec<u8>>,
    pub(super) unpredictable_number: Vec<u8>,
}

pub(super) const PAN: &str = "54 13 33 00 89 01 04 34";
pub(super) const VISA_PAN: &str = "47 61 73 90 01 01 01 19";

fn map<const N: usize>(objects: [(Tag, &str); N]) -> BTreeMap<Tag, Vec<u8>> {
    objects.into_iter().map(|(tag, value)| (tag, hex(value))).collect()
}

impl FakeCard {
    /// Kernel 2: no CDA, no CVM on the device; CVM list: online PIN, then signature, then none, each if supported.
    pub(super) fn mastercard() -> Self {
        Self {
            directory: vec![(hex("A0 00 00 00 04 10 10 00 01"), 1)],
            kernel_identifiers: BTreeMap::new(),
            refused_names: Vec::new(),
            options: map([(tag::TAG_82_AIP, "18 80"), (tag::TAG_94_AFL, "08 01 02 01")]),
            pdol: Vec::new(),
            records: vec![
                map([
                    (tag::TAG_57_TRACK_2_EQUIVALENT_DATA, "54 13 33 00 89 01 04 34 D2 91 22 01 00 00 00"),
                    (tag::TAG_5A_PAN, PAN),
                    (tag::TAG_5F24_EXPIRATION_DATE, "29 12 31"),
                    (tag::TAG_5F25_EFFECTIVE_DATE, "24 01 01"),
                    (tag::TAG_5F28_ISSUER_COUNTRY_CODE, "04 28"),
                    (tag::TAG_5F34_PSN, "01"),
                    (tag::TAG_9F07_AUC, "FF 00"),
                    (tag::TAG_9F08_APPLICATION_VERSION, "00 02"),
                    (tag::TAG_9F42_APPLICATION_CURRENCY_CODE, "09 78"),
                ]),
                map([
                    (
                        tag::TAG_8C_CDOL1,
                        "9F 02 06 9F 03 06 9F 1A 02 95 05 5F 2A 02 9A 03 9C 01 9F 37 04 9F 35 01 9F 34 03",
                    ),
                    (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 00 00 42 03 5E 03 1F 03"),
                    (tag::TAG_9F0D_IAC_DEFAULT, "B4 50 84 00 00"),
                    (tag::TAG_9F0E_IAC_DENIAL, "00 00 00 00 00"),
                    (tag::TAG_9F0F_IAC_ONLINE, "B4 50 84 80 00"),
                    (tag::TAG_9F6E_THIRD_PARTY_DATA, "04 28 00 00 30 35 00 00"),
                ]),
            ],
            cryptogram: map([
                (tag::TAG_9F36_ATC, "00 01"),
                (tag::TAG_9F26_APPLICATION_CRYPTOGRAM, "11 22 33 44 55 66 77 88"),
                (tag::TAG_9F10_IAD, "01 10 A0 00 03 22 00 00 00 00 00 00 00 00 00 00 00 FF"),
            ]),
            laxest: 0x40,
            status_words: BTreeMap::new(),
            signer: None,
            pdol_values: Vec::new(),
        }
    }

    /// Kernel 3: an ARQC in GPO, no CTQ, one record with the dates.
    pub(super) fn visa() -> Self {
        Self {
            directory: vec![(hex("A0 00 00 00 03 10 10"), 1)],
            pdol: hex("9F 66 04 9F 02 06 9F 37 04 5F 2A 02"),
            options: map([
                (tag::TAG_82_AIP, "20 00"),
                (tag::TAG_94_AFL, "08 01 01 01"),
                (tag::TAG_57_TRACK_2_EQUIVALENT_DATA, "47 61 73 90 01 01 01 19 D2 91 22 01 00 00 00"),
                (tag::TAG_9F26_APPLICATION_CRYPTOGRAM, "11 22 33 44 55 66 77 88"),
                (tag::TAG_9F36_ATC, "00 01"),
                (tag::TAG_9F10_IAD, "06 01 12 03 A0 00 00"),
            ]),
            records: vec![map([(tag::TAG_5A_PAN, VISA_PAN), (tag::TAG_5F24_EXPIRATION_DATE, "29 12 31")])],
            cryptogram: BTreeMap::new(),
            ..Self::mastercard()
        }
    }

    /// The same card with one object of a record changed (`None`: taken out).
    pub(super) fn with(mut self, tag: Tag, value: Option<&str>) -> Self {
        let holders = self.records.iter_mut().chain([&mut self.options, &mut self.cryptogram]);
        holders.for_each(|objects| drop(objects.remove(&tag)));
        if let (Some(record), Some(value)) = (self.records.last_mut(), value) {
            record.insert(tag, hex(value));
        }
        self
    }

    /// The same card with one object of GET PROCESSING OPTIONS changed.
    pub(super) fn with_option(mut self, tag: Tag, value: &str) -> Self {
        self.options.insert(tag, hex(value));
        self
    }

    pub(super) fn answer(&mut self, command: &CApdu) -> Vec<u8> {
        if let Some(sw) = self.status_words.get(&command.ins) {
            return sw.to_be_bytes().to_vec();
        }
        let data = match command.ins {
            0xA4 if command.data == b"2PAY.SYS.DDF01" => Some(self.ppse()),
            0xA4 => self.select(&command.data),
            0xA8 => Some(self.options(&command.data)),
            0xB2 => self.records.get(usize::from(command.p1) - 1).map(template_70),
            0xAE => Some(self.generate_ac(command)),
            _ => None,
        };
        data.map_or_else(|| hex("6A 82"), |data| [&data[..], &[0x90, 0x00]].concat())
    }

    fn ppse(&self) -> Vec<u8> {
        let entries = |list: Writer| {
            self.directory.iter().fold(list, |list, (name, priority)| {
                list.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| {
                    entry
                        .put(tag::TAG_4F_ADF_NAME, name)
                        .put(tag::TAG_87_PRIORITY, [*priority])
                        .put_some(tag::TAG_9F2A_KERNEL_IDENTIFIER, self.kernel_identifiers.get(name))
                })
            })
        };
        Writer::new()
            .nest(tag::TAG_6F_FCI_TEMPLATE, |fci| {
                fci.put(tag::TAG_84_DF_NAME, b"2PAY.SYS.DDF01")
                    .nest(tag::TAG_A5_FCI_PROPRIETARY, |a5| a5.nest(tag::TAG_BF0C_FCI_DISCRETIONARY, entries))
            })
            .finish()
    }

    fn select(&self, name: &[u8]) -> Option<Vec<u8>> {
        let known =
            self.directory.iter().any(|(own, _)| own == name) && !self.refused_names.iter().any(|own| own == name);
        let pdol = (!self.pdol.is_empty()).then_some(&self.pdol);
        known.then(|| {
            Writer::new()
                .nest(tag::TAG_6F_FCI_TEMPLATE, |fci| {
                    fci.put(tag::TAG_84_DF_NAME, name).nest(tag::TAG_A5_FCI_PROPRIETARY, |a5| {
                        a5.put(tag::TAG_50_APPLICATION_LABEL, b"DEBIT").put_some(tag::TAG_9F38_PDOL, pdol)
                    })
                })
                .finish()
        })
    }

    fn options(&mut self, data: &[u8]) -> Vec<u8> {
        self.pdol_values = data.get(2..).unwrap_or_default().to_vec();
        let mut objects = self.options.clone();
        if let (Some(signer), true) = (self.signer, self.cryptogram.is_empty()) {
            let values = Dol::decode(&self.pdol).unwrap();
            let of = |wanted| values.split(&self.pdol_values).find(|(tag, _)| *tag == wanted).unwrap().1.to_vec();
            let signing = Signing {
                pdol_values: of(tag::TAG_9F02_AMOUNT_AUTHORISED),
                cdol_values: of(tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE),
                objects: objects.clone(),
                unpredictable_number: of(tag::TAG_9F37_UNPREDICTABLE_NUMBER),
            };
            objects.insert(tag::TAG_9F4B_SDAD, signer(self, &signing));
        }
        write(tag::TAG_77_RESPONSE_TEMPLATE_2, &objects)
    }

    fn generate_ac(&self, command: &CApdu) -> Vec<u8> {
        let strictest = |a: u8, b: u8| match (a & 0xC0, b) {
            (0x00, _) | (_, 0x00) => 0x00,
            (0x80, _) | (_, 0x80) => 0x80,
            _ => 0x40,
        };
        let cid = strictest(command.p1, self.laxest);
        let mut objects = self.cryptogram.clone();
        objects.entry(tag::TAG_9F27_CID).or_insert_with(|| vec![cid]);
        if let (Some(signer), true) = (self.signer, command.p1 & 0x10 != 0) {
            let cryptogram = objects.remove(&tag::TAG_9F26_APPLICATION_CRYPTOGRAM).unwrap();
            let list = Dol::decode(self.records[1].get(&tag::TAG_8C_CDOL1).unwrap()).unwrap();
            let mut signing = Signing {
                pdol_values: self.pdol_values.clone(),
                cdol_values: command.data.clone(),
                objects: objects.clone(),
                unpredictable_number: list
                    .split(&command.data)
                    .find(|(tag, _)| tag.value() == 0x9F37)
                    .unwrap()
                    .1
                    .to_vec(),
            };
            signing.objects.insert(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, cryptogram);
            objects.insert(tag::TAG_9F4B_SDAD, signer(self, &signing));
        }
        write(tag::TAG_77_RESPONSE_TEMPLATE_2, &objects)
    }
}

fn template_70(objects: &BTreeMap<Tag, Vec<u8>>) -> Vec<u8> {
    write(tag::TAG_70_RECORD_TEMPLATE, objects)
}

pub(super) fn content(objects: &BTreeMap<Tag, Vec<u8>>) -> Vec<u8> {
    objects.iter().fold(Writer::new(), |content, (tag, value)| content.put(*tag, value)).finish()
}

fn write(template: Tag, objects: &BTreeMap<Tag, Vec<u8>>) -> Vec<u8> {
    Writer::new().put(template, content(objects)).finish()
}
