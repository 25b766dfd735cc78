//! A band and a cloud that answer everything at once, so that a test can get on to what it is about.

use super::*;

/// Answers outputs with inputs.
#[derive(Clone)]
pub(super) struct World {
    pub(super) cards: Vec<CardView>,
    /// Everything the phone has done.
    pub(super) seen: Vec<Output>,
    /// What the band has received of an APDU.
    apdu: Vec<u8>,
}

impl World {
    pub(super) fn new(cards: &[CardView]) -> Self {
        Self { cards: cards.to_vec(), seen: Vec::new(), apdu: Vec::new() }
    }

    /// Feeds inputs and all answers to them until the phone has nothing more to say; gives the last thing shown.
    #[track_caller]
    pub(super) fn play(
        &mut self,
        ladder: &mut Ladder,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<Shown, Refusal> {
        let mut outputs = ladder.go(inputs);
        let mut result = None;
        while !outputs.is_empty() {
            let answers: Vec<Input> = outputs.iter().flat_map(|output| self.answers(output)).collect();
            if let Some(Output::Done(done)) = outputs.iter().rfind(|output| matches!(output, Output::Done(_))) {
                result = Some(done.clone());
            }
            self.seen.append(&mut outputs);
            outputs = ladder.go(answers);
        }
        result.unwrap_or_else(|| panic!("the action has not ended: {:#?}", self.seen))
    }

    pub(super) fn answers(&mut self, output: &Output) -> Vec<Input> {
        match output {
            Output::Link(command) => self.link(command),
            Output::Cloud(envelope) => vec![reply(self.cloud(&envelope.request))],
            Output::Ui(_) | Output::Done(_) | Output::Wait(_) => vec![],
        }
    }

    fn link(&mut self, command: &LinkCommand) -> Vec<Input> {
        match command {
            LinkCommand::Connect => vec![connected()],
            LinkCommand::Disconnect => vec![link_lost()],
            LinkCommand::Subscribe { characteristic } => vec![subscribed(*characteristic)],
            LinkCommand::Read { characteristic } => vec![read_done(*characteristic, &value(*characteristic))],
            LinkCommand::Write { characteristic, with_response: true, .. } => {
                vec![write_done(*characteristic, Ok(()))]
            }
            LinkCommand::Write { characteristic, value, .. } => match *characteristic {
                AUTH => authentication(value),
                CHUNKED => chunk(value),
                CONFIG if *value == bytes("06 0B 00 01") => vec![notify(CONFIG, "10 06 0B 00 01"), link_lost()],
                NFC => self.nfc(value),
                _ => vec![],
            },
        }
    }

    fn nfc(&mut self, value: &[u8]) -> Vec<Input> {
        match value {
            [0x01] => vec![notify(NFC, "81 00")],
            [0x02] => vec![notify(NFC, "82 00")],
            [0x04, part @ ..] => {
                self.apdu.extend(part);
                vec![]
            }
            [0x03, part @ ..] => {
                self.apdu.extend(part);
                rapdu(&secure_element(&std::mem::take(&mut self.apdu)))
            }
            _ => vec![],
        }
    }

    fn cloud(&self, request: &Request) -> Reply {
        match request {
            Request::SignIn { account } => Reply::SignedIn { account: account.clone(), xiaomi: Some(account.clone()) },
            Request::LinkXiaomiAccount { xiaomi } => {
                Reply::SignedIn { account: xiaomi.clone(), xiaomi: Some(xiaomi.clone()) }
            }
            Request::SignPairing { .. } => Reply::PairingSignature { signature: vec![0x5A; 70] },
            Request::AddCard { .. } => job(1, &["00 A4 04 00 00"]),
            Request::RemoveCard { .. } | Request::EnterCode { .. } | Request::SetOrder { .. } => {
                job(2, &["80 F0 01 01 00"])
            }
            Request::RequestCode { .. } => Reply::CodeSent { requests_left: 2, valid_for: seconds(600) },
            Request::PostAnswers { job, .. } | Request::Continue { job } => {
                let card = card("new", CardState::WaitingForCode);
                Reply::JobDone { job: *job, card: (job.0 == 1).then_some(card) }
            }
            Request::Cards { .. } => Reply::Cards { cards: self.cards.clone() },
            Request::History { .. } => Reply::History { entries: vec![] },
            Request::BindBand { .. }
            | Request::UnbindBand { .. }
            | Request::Sync { .. }
            | Request::CancelJob { .. } => Reply::Done,
        }
    }
}

fn authentication(value: &[u8]) -> Vec<Input> {
    let random = "000102030405060708090A0B0C0D0E0F";
    match value {
        [0x02, 0x00] => vec![notify(AUTH, &format!("10 02 01 {random}"))],
        [0x03, 0x00, ..] => vec![notify(AUTH, "10 03 01")],
        [0x01, 0x14] => vec![notify(AUTH, "10 01 81 01 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF")],
        [0x82, ..] => vec![notify(AUTH, &format!("10 82 01 {random}"))],
        [0x83, ..] => vec![notify(AUTH, "10 83 01")],
        _ => vec![],
    }
}

fn chunk(value: &[u8]) -> Vec<Input> {
    match value {
        [0x00, flags @ (0x84 | 0xC4), ..] => {
            let ack = notify(CHUNKED, &format!("10 00 {flags:02X} 01 01"));
            vec![ack, notify(AUTH, "10 83 01"), notify(AUTH, "10 01 01")]
        }
        [0x00, flags @ 0x80..=0xFF, ..] => vec![notify(CHUNKED, &format!("10 00 {flags:02X} 01 01"))],
        _ => vec![],
    }
}

fn value(characteristic: CharacteristicId) -> Vec<u8> {
    match characteristic {
        SERIAL => b"5f00d0c0ffee".to_vec(),
        TIME => bytes("E7 07 05 16 05 18 2B 01 00 00 1C"),
        CharacteristicId::BATTERY => bytes("0F 51 00 E7070516000A03 1C E7070516000A0B 1C 64"),
        CharacteristicId::SYSTEM_ID => bytes("D1C515 FFFE 510389"),
        CharacteristicId::PNP_ID => bytes("01 5701 2400 0101"),
        _ => b"V1.0.9.70".to_vec(),
    }
}

fn secure_element(payload: &[u8]) -> Vec<u8> {
    match payload {
        [0x80, 0xCA, 0x9F, 0x7F, ..] => [&[0x9F, 0x7F, 0x2A][..], &unit().cplc, &[0x90, 0x00]].concat(),
        _ => vec![0x90, 0x00],
    }
}

/// An answer in fragments.
pub(super) fn rapdu(rapdu: &[u8]) -> Vec<Input> {
    let length = u16::try_from(rapdu.len()).expect("an answer").to_le_bytes();
    let payload = [rapdu, &length].concat();
    let fragments = payload.chunks(19);
    let last = fragments.len() - 1;
    let value = |(number, part): (usize, &[u8])| {
        let opcode = if number == last { 0x83 } else { 0x84 };
        Input::Link(LinkEvent::Notified { characteristic: NFC, value: [&[opcode], part].concat() })
    };
    fragments.enumerate().map(value).collect()
}
