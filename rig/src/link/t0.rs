//! A command over T=0, which cannot carry data both ways at once (ISO 7816-3 12): the answer of a command with data is fetched
//! afterwards, and a wrong Le is put right. Over T=1, and to a contactless card, a command goes as it is.

use band_sim::wire::apdu::CApdu;

/// More answers in a row than any card's data needs: 65 536 bytes come in 256.
const MOST_ROUNDS: usize = 300;

/// The card never came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless;

/// Carries out `command` by exchanges that T=0 can do; the answer is what T=1 would have given.
///
/// # Errors
/// What `exchange` failed with, and [`Endless`] for a card that always says there is more.
pub fn carry_out<E: From<Endless>>(
    command: &[u8],
    mut exchange: impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let whole = CApdu::decode(command).ok();
    let mut next = whole.as_ref().map_or_else(|| command.to_vec(), first);
    let class = whole.as_ref().map_or(0, |whole| whole.cla);
    let mut data = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let answer = exchange(&next)?;
        let Some((part, sw)) = answer.split_last_chunk::<2>() else { return Ok(answer) };
        data.extend_from_slice(part);
        next = match *sw {
            [0x61, more] => get_response(class, more),
            [0x6C, exact] if part.is_empty() => with_le(&next, exact),
            sw => return Ok([data, sw.to_vec()].concat()),
        };
    }
    Err(Endless.into())
}

/// A command as T=0 begins it: without Le when it has data, with P3 00 when it has nothing.
fn first(command: &CApdu) -> Vec<u8> {
    let ne = if command.data.is_empty() { command.ne.map(|ne| ne.min(256)) } else { None };
    let mut bytes = CApdu { ne, extended: false, ..command.clone() }.encode();
    if bytes.len() == 4 {
        bytes.push(0x00);
    }
    bytes
}

// ISO 7816-4 11.8.1: the class of the command it belongs to, without secure messaging and chaining
fn get_response(class: u8, more: u8) -> Vec<u8> {
    vec![class & 0x03, 0xC0, 0x00, 0x00, more]
}

fn with_le(command: &[u8], exact: u8) -> Vec<u8> {
    let mut again = command.get(..4).unwrap_or(command).to_vec();
    again.push(exact);
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes over and what comes back.
    fn over(command: &[u8], answers: &[&[u8]]) -> (Result<Vec<u8>, Endless>, Vec<Vec<u8>>) {
        let mut sent = vec![];
        let mut answers = answers.iter();
        let result = carry_out(command, |bytes| {
            sent.push(bytes.to_vec());
            Ok(answers.next().map_or_else(|| vec![0x61, 0x01], |answer| answer.to_vec()))
        });
        (result, sent)
    }

    #[test]
    fn data_after_a_command_with_data_is_fetched() {
        let (answer, sent) =
            over(&[0x00, 0xA4, 0x04, 0x00, 0x01, 0xAA, 0x00], &[&[0x61, 0x03], &[1, 2, 0x61, 0x01], &[3, 0x90, 0x00]]);
        assert_eq!(answer, Ok(vec![1, 2, 3, 0x90, 0x00]));
        assert_eq!(
            sent,
            [vec![0x00, 0xA4, 0x04, 0x00, 0x01, 0xAA], vec![0x00, 0xC0, 0, 0, 0x03], vec![0x00, 0xC0, 0, 0, 0x01]]
        );
    }

    #[test]
    fn a_wrong_le_is_put_right() {
        let (answer, sent) = over(&[0x00, 0xB2, 0x01, 0x0C, 0x00], &[&[0x6C, 0x02], &[7, 8, 0x90, 0x00]]);
        assert_eq!(answer, Ok(vec![7, 8, 0x90, 0x00]));
        assert_eq!(sent[1], [0x00, 0xB2, 0x01, 0x0C, 0x02]);
    }

    #[test]
    fn a_command_without_anything_has_a_third_parameter() {
        let (answer, sent) = over(&[0x00, 0xA4, 0x00, 0x00], &[&[0x90, 0x00]]);
        assert_eq!((answer, sent), (Ok(vec![0x90, 0x00]), vec![vec![0x00, 0xA4, 0x00, 0x00, 0x00]]));
    }

    #[test]
    fn other_answers_and_bytes_that_are_no_command_pass_as_they_are() {
        assert_eq!(over(&[0x80, 0xAE, 0x80, 0x00, 0x01, 0x01], &[&[0x69, 0x85]]).0, Ok(vec![0x69, 0x85]));
        let (answer, sent) = over(&[1, 2], &[&[0x67, 0x00]]);
        assert_eq!((answer, sent), (Ok(vec![0x67, 0x00]), vec![vec![1, 2]]));
        assert_eq!(over(&[0, 0xB0, 0, 0, 0], &[&[]]).0, Ok(vec![]));
    }

    #[test]
    fn a_card_that_always_has_more_is_cut_short() {
        assert_eq!(over(&[0x00, 0xA4, 0x04, 0x00, 0x01, 0xAA], &[]).0, Err(Endless));
        let (answer, _) = {
            let mut count = 0;
            let result = carry_out::<Endless>(&[0x00, 0xB0, 0, 0, 1], |_| {
                count += 1;
                Ok(vec![0x6C, 0x05])
            });
            (result, count)
        };
        assert_eq!(answer, Err(Endless));
    }
}
