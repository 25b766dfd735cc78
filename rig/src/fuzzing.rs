//! What must hold for any bytes at all. The fuzz targets and the replay of `fixtures/corpus/` call the same functions.
//!
//! A violated property panics, because that is how a fuzzer learns of it.

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::chain::{self, Chained, CommandChain, Next, Pending, ResponseChain};
use band_sim::wire::dol::Dol;
use band_sim::wire::tlv::{self, Node};
use band_sim::wire::{DecodeError, tag};

use crate::decode;

/// A property of any bytes.
pub type Target = fn(&[u8]);

/// Every fuzz target with its name: the name of its shim in `rig/fuzz` and of its folder in `fixtures/corpus`.
pub const TARGETS: &[(&str, Target)] =
    &[("apdu", apdu), ("card_session", crate::fuzzing_card::card_session), ("tlv", tlv)];

/// Data objects, trees and data object lists.
pub fn tlv(bytes: &[u8]) {
    let whole = tlv::walk_deep(bytes).collect::<Result<Vec<_>, _>>();
    let tree = Node::decode_all(bytes);
    match (&whole, &tree) {
        (Ok(objects), Ok(nodes)) => assert_eq!(objects.len(), count(nodes), "walk and tree see different objects"),
        (Err(walk), Err(tree)) => assert_eq!(walk, tree, "walk and tree fail differently"),
        _ => panic!("only one of walk and tree fails: {whole:?} {tree:?}"),
    }
    survives(bytes, tree, |nodes| Node::encode_all(nodes), Node::decode_all);
    survives(bytes, Dol::decode(bytes), Dol::encode, Dol::decode);

    for (depth, object) in tlv::walk_deep(bytes).map_while(Result::ok) {
        assert!(depth < tlv::MAX_DEPTH && object.tag.is_well_formed());
        assert!(tlv::find_deep(bytes, object.tag).is_some(), "{} was seen and is not found", object.tag);
        let _ = tag::info(object.tag);
    }
    if let Ok(dol) = Dol::decode(bytes) {
        let filled = dol.fill(|tag| tlv::find_deep(bytes, tag).map(<[u8]>::to_vec));
        assert!(dol.split(&filled).map(|(tag, value)| (tag, value.len())).eq(dol.entries()));
    }
    words(bytes);
}

/// Commands, responses and what becomes of them when they do not fit.
pub fn apdu(bytes: &[u8]) {
    survives(bytes, CApdu::decode(bytes), CApdu::encode, CApdu::decode);
    survives(bytes, RApdu::decode(bytes), RApdu::encode, RApdu::decode);
    if let Ok(command) = CApdu::decode(bytes) {
        assert_eq!(command.encode(), bytes, "a command changes its bytes");
        assert_eq!(decode::masked_command(&command).split(' ').count(), bytes.len());
        assert!(!decode::explain_command(&command).is_empty());
        command_chain(&command);
    }
    if let Ok(response) = RApdu::decode(bytes) {
        assert_eq!(decode::masked_response(&response).split(' ').count(), bytes.len());
        assert!(!decode::explain_response(&response).is_empty());
        response_chain(&response);
    }
    words(bytes);
}

/// Whatever decodes must survive being encoded; whatever does not must say where within the bytes.
fn survives<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decoded: Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) {
    match decoded {
        Ok(value) => assert_eq!(decode(&encode(&value)).as_ref(), Ok(&value), "a value does not survive"),
        Err(error) => assert!(error.at <= bytes.len(), "{error} lies outside the bytes"),
    }
}

fn words(bytes: &[u8]) {
    assert!(decode::explain(bytes).ends_with('\n'));
    assert_eq!(decode::masked_hex(bytes).split_whitespace().count(), bytes.len());
    let diff = decode::tlv_diff(bytes, bytes);
    assert!(diff.lines().all(|line| line.starts_with("  ")), "bytes differ from themselves:\n{diff}");
}

fn command_chain(command: &CApdu) {
    let mut parts = chain::split(command, command.p2);
    let Some(last) = parts.pop() else { panic!("a command was split into nothing") };
    if parts.is_empty() {
        return assert_eq!(&last, command);
    }
    let mut collected = CommandChain::<65_535>::new();
    for part in parts {
        assert!(matches!(collected.handle(part), Chained::More));
    }
    let Chained::Whole(whole) = collected.handle(last) else { return assert!(chain::is_chained(command.cla)) };
    assert_eq!((whole.data, whole.ne), (command.data.clone(), command.ne));
}

fn response_chain(response: &RApdu) {
    let ne = u32::from(response.sw.sw2()).max(8);
    let mut pending = Pending::new();
    let mut client = ResponseChain::new(CApdu::new(0, 0, 0, 0).with_ne(ne));
    let mut next = client.handle(pending.answer(response.clone(), ne));
    loop {
        match next {
            Next::Send(request) => match pending.handle_get_response(request.ne.unwrap_or_default()) {
                Some(answer) => next = client.handle(answer),
                // The response itself said 61xx or 6Cxx, with nothing behind it.
                None => return assert!(matches!(response.sw.sw1(), 0x61 | 0x6C)),
            },
            Next::Done(whole) => return assert_eq!(&whole, response),
        }
    }
}

fn count(nodes: &[Node]) -> usize {
    let inner = |node: &Node| match node {
        Node::Primitive { .. } => 0,
        Node::Constructed { children, .. } => count(children),
    };
    nodes.iter().map(|node| 1 + inner(node)).sum()
}
