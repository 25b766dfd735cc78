//! Offline data authentication: is this the card its issuer made? Kernel 2 has the cryptogram signed (CDA), kernel 3 the
//! terminal's challenge (fDDA); both rest on the certificates in `certificate.rs` (EMV 4.4 B2 6, EMV Contactless C-2
//! S456.25 and S910.1, C-3 5.6).

use band_sim::wire::tvr::Finding;
use band_sim::wire::{tag, tlv};
use sha1::{Digest, Sha1};

use super::certificate::{self, PublicKey};
use super::io::Step;
use super::transaction::{Decision, Stop, Transaction};

/// Kernel 2, before GENERATE AC: whether the cryptogram will be signed.
pub(super) fn prepare_cda(transaction: &mut Transaction) -> Decision<()> {
    let card = &transaction.application.card;
    let terminal_can = transaction.config.kernels.kernel_2.as_ref().is_some_and(|kernel| kernel.cda);
    let card_can = card.array::<2>(tag::TAG_82_AIP).is_some_and(|[first, _]| first & 0x01 != 0);
    if !terminal_can || !card_can {
        let whose = if terminal_can { "the card has no CDA (82)" } else { "the terminal has no CDA (9F33)" };
        return not_performed(transaction, whose);
    }
    transaction.application.cda = true;
    let card = &transaction.application.card;
    let needed = [
        tag::TAG_8F_CA_PUBLIC_KEY_INDEX,
        tag::TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE,
        tag::TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT,
        tag::TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE,
        tag::TAG_9F47_ICC_PUBLIC_KEY_EXPONENT,
        tag::TAG_9F4A_SDA_TAG_LIST,
    ];
    if let Some(missing) = needed.into_iter().find(|tag| card.value(*tag).is_none()) {
        transaction.application.tvr.set(Finding::ICC_DATA_MISSING);
        return failed(transaction, &format!("{missing} is missing"));
    }
    // C-2 S456.27
    if card.value(tag::TAG_9F4A_SDA_TAG_LIST) != Some(&[0x82]) {
        return Err(Stop::card_error("the tag list for authentication (9F4A) names something else than 82"));
    }
    if certificate::ca_key(transaction).is_none() {
        return failed(transaction, "the terminal does not know the certification authority's key");
    }
    transaction.note(Step::Oda, "CDA: the card will be asked for a signed cryptogram");
    Ok(())
}

fn not_performed(transaction: &mut Transaction, why: &str) -> Decision<()> {
    transaction.application.tvr.set(Finding::ODA_NOT_PERFORMED);
    transaction.note(Step::Oda, format_args!("offline data authentication not performed: {why}"));
    Ok(())
}

/// C-2 S456.26: known before the cryptogram, so the payment goes on without CDA.
fn failed(transaction: &mut Transaction, why: &str) -> Decision<()> {
    transaction.application.tvr.set(Finding::CDA_FAILED);
    transaction.note(Step::Oda, format_args!("CDA failed: {why}"));
    Ok(())
}

/// Kernel 2, after GENERATE AC: the signature over cryptogram, challenge and everything that was exchanged. The cryptogram
/// in it becomes 9F26.
pub(super) fn check_cda(transaction: &mut Transaction, response: &[u8]) -> Decision<()> {
    match signed_cryptogram(transaction, response) {
        Ok(cryptogram) => {
            let application = &mut transaction.application;
            // A copy outside the signature, if the card gave one, must be the same.
            match application.card.array::<8>(tag::TAG_9F26_APPLICATION_CRYPTOGRAM) {
                Some(copy) if copy != cryptogram => {
                    return Err(Stop::card_error("9F26 differs from the signed cryptogram"));
                }
                Some(_) => {}
                None => application
                    .card
                    .store(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, &cryptogram, application.kernel)
                    .map_err(Stop::card_error)?,
            }
            transaction.note(Step::Oda, "CDA: the signature is right");
            Ok(())
        }
        Err(why) => {
            // C-2 S910.7: card authentication failed is the end of the application.
            transaction.application.tvr.set(Finding::CDA_FAILED);
            transaction.note(Step::Oda, format_args!("CDA failed: {why}"));
            Err(Stop::card_error(format!("card authentication failed: {why}")))
        }
    }
}

/// EMV 4.4 B2 6.6.2 table 18
fn signed_cryptogram(transaction: &Transaction, response: &[u8]) -> Result<[u8; 8], String> {
    let application = &transaction.application;
    let signature = application.card.value(tag::TAG_9F4B_SDAD).unwrap_or_default();
    let key = certificate::card_key(transaction)?;
    let dynamic = dynamic_data(&key, signature, &transaction.purchase.unpredictable_number)?;
    // Length and ICC dynamic number, CID, cryptogram, hash.
    let wrong = || "the signed data are too short".to_owned();
    let (&len, rest) = dynamic.split_first().ok_or_else(wrong)?;
    if !(2..=8).contains(&len) {
        return Err(format!("the ICC dynamic number has {len} bytes"));
    }
    let (_, rest) = rest.split_at_checked(len.into()).ok_or_else(wrong)?;
    let (&cid, rest) = rest.split_first().ok_or_else(wrong)?;
    let (&cryptogram, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    let &hash = rest.first_chunk::<20>().ok_or_else(wrong)?;
    if application.card.byte(tag::TAG_9F27_CID) != Some(cid) {
        return Err(format!("9F27 differs from the signed {cid:02X}"));
    }
    let exchanged = Sha1::new()
        .chain_update(&application.pdol_values.0)
        .chain_update(&application.cdol1_values.0)
        .chain_update(without_signature(response));
    if exchanged.finalize()[..] != hash {
        return Err("the hash of what was exchanged (TDHash) differs".into());
    }
    Ok(cryptogram)
}

/// Kernel 3: the signature over the terminal's challenge, the amount and the card's qualifiers (C-3 Annex C).
pub(super) fn check_fdda(transaction: &Transaction) -> Result<(), String> {
    let card = &transaction.application.card;
    let signature = card.value(tag::TAG_9F4B_SDAD).ok_or("the card gave no signature (9F4B)")?;
    let related = card.value(tag::TAG_9F69_CARD_AUTHENTICATION_DATA).ok_or("the card gave no 9F69")?;
    if related.first() != Some(&0x01) {
        return Err("9F69 is of another version than fDDA 1".into());
    }
    let wanted =
        [tag::TAG_9F37_UNPREDICTABLE_NUMBER, tag::TAG_9F02_AMOUNT_AUTHORISED, tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE];
    let values = wanted.map(|tag| transaction.value(tag));
    let challenge = values.iter().flatten().map(AsRef::as_ref).collect::<Vec<&[u8]>>().concat();
    let key = certificate::card_key(transaction)?;
    dynamic_data(&key, signature, &[&challenge, related].concat())?;
    // The copy inside 9F69 is what the signature covers; the one outside is not.
    match super::cvm::signed_qualifiers(transaction) {
        Some(copy) if card.array::<2>(tag::TAG_9F6C_CTQ).is_some_and(|qualifiers| qualifiers != copy) => {
            Err("9F6C differs from its signed copy in 9F69".into())
        }
        _ => Ok(()),
    }
}

/// The data a card signed, once their hash over them and `challenge` is right (EMV 4.4 B2 6.5.2 table 15).
fn dynamic_data(key: &PublicKey, signature: &[u8], challenge: &[u8]) -> Result<Vec<u8>, String> {
    let body = key.recover(signature).map_err(|error| format!("the signature (9F4B): {error}"))?;
    let wrong = || "the signature (9F4B): its data do not fit".to_owned();
    let (signed, hash) = body.split_last_chunk::<20>().ok_or_else(wrong)?;
    let [0x05, 0x01, len, rest @ ..] = signed else {
        return Err("the signature (9F4B): not format 05 with SHA-1".into());
    };
    let (dynamic, _) = rest.split_at_checked(usize::from(*len)).ok_or_else(wrong)?;
    let expected = Sha1::new().chain_update(signed).chain_update(challenge).finalize();
    if expected[..] != *hash {
        return Err("the signature (9F4B): its hash differs".into());
    }
    Ok(dynamic.to_vec())
}

/// The data objects of an answer, as they came, but for the signature.
fn without_signature(response: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(response.len());
    for object in tlv::walk(response).map_while(Result::ok).filter(|object| object.tag != tag::TAG_9F4B_SDAD) {
        let length_at = object.at + object.tag.encoded_len();
        let length_bytes = match response.get(length_at) {
            Some(&first) if first & 0x80 != 0 => 1 + usize::from(first & 0x7F),
            _ => 1,
        };
        let end = length_at + length_bytes + object.value.len();
        rest.extend_from_slice(response.get(object.at..end).unwrap_or_default());
    }
    rest
}
