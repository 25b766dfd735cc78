//! Walks over a PPSE answer, ours beside another crate's in the same run.

use std::hint::black_box;

use band_sim::wire::tlv::{Node, Tag, Writer, find_deep, walk_deep};
use band_sim::wire::{tag, tlv};
use benches::{best_ns, print_rate, print_ratio};
use criterion::{Criterion, Throughput};

/// A PPSE answer with three cards, 102 bytes, as a phone wallet would give it.
fn ppse() -> Vec<u8> {
    let card = |list: Writer, aid: &[u8], label: &str, priority: u8| {
        list.nest(tag::TAG_61_APPLICATION_TEMPLATE, |entry| {
            entry
                .put(tag::TAG_4F_ADF_NAME, aid)
                .put(tag::TAG_50_APPLICATION_LABEL, label)
                .put(tag::TAG_87_PRIORITY, [priority])
        })
    };
    let fci = Writer::new()
        .nest(tag::TAG_6F_FCI_TEMPLATE, |fci| {
            fci.put(tag::TAG_84_DF_NAME, "2PAY.SYS.DDF01").nest(tag::TAG_A5_FCI_PROPRIETARY, |a5| {
                a5.nest(tag::TAG_BF0C_FCI_DISCRETIONARY, |list| {
                    let list = card(list, &[0xA0, 0, 0, 0, 4, 0x10, 0x10], "Mastercard", 1);
                    let list = card(list, &[0xA0, 0, 0, 0, 3, 0x10, 0x10], "Visa Credit", 2);
                    card(list, &[0xA0, 0, 0, 0, 3, 0x20, 0x20], "V PAY Bank", 3)
                })
            })
        })
        .finish();
    assert_eq!(fci.len(), 102);
    fci
}

/// Everything a reader would look at, so that no part of the walk can be left out.
fn walk_all(bytes: &[u8]) -> usize {
    walk_deep(bytes)
        .map_while(Result::ok)
        .fold(0, |sum, (depth, tlv)| sum + depth + tlv.value.len() + tlv.tag.value() as usize)
}

fn walk_all_with_iso7816_tlv(bytes: &[u8]) -> usize {
    use iso7816_tlv::ber::{Tlv, Value};
    fn visit(tlv: &Tlv) -> usize {
        match tlv.value() {
            Value::Primitive(value) => value.len(),
            Value::Constructed(children) => children.iter().map(visit).sum(),
        }
    }
    Tlv::parse_all(bytes).iter().map(visit).sum()
}

fn main() {
    let fci = ppse();
    let bytes = fci.as_slice();
    let priority = tag::TAG_87_PRIORITY;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("tlv");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("walk_deep", |bencher| bencher.iter(|| walk_all(black_box(bytes))));
    group.bench_function("iso7816-tlv", |bencher| bencher.iter(|| walk_all_with_iso7816_tlv(black_box(bytes))));
    group.bench_function("find_deep", |bencher| bencher.iter(|| find_deep(black_box(bytes), priority)));
    group.bench_function("tree", |bencher| bencher.iter(|| Node::decode_all(black_box(bytes))));
    group.bench_function("write", |bencher| bencher.iter(ppse));
    group.finish();
    criterion.final_summary();

    let ours = best_ns(|| walk_all(black_box(bytes)));
    let theirs = best_ns(|| walk_all_with_iso7816_tlv(black_box(bytes)));
    print_ratio("full walk over a 102-byte PPSE answer", ours, "iso7816-tlv", theirs);
    print_rate("tag table look-up", best_ns(|| tag::info(black_box(Tag::new(0x9F36)))));
    print_rate("one level", best_ns(|| tlv::walk(black_box(bytes)).count()));
}
