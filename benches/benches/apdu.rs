//! Command APDUs to values and back.

use std::hint::black_box;

use band_sim::wire::apdu::{CApdu, RApdu};
use benches::{best_ns, print_rate};
use criterion::Criterion;

fn main() {
    let select = CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(*b"2PAY.SYS.DDF01").with_ne(256);
    let extended = CApdu::new(0x80, 0xE2, 0x00, 0x00).with_data([0x55; 1024]).with_ne(65_536);
    let answer = RApdu::ok([0x55; 102]);
    let (select_bytes, extended_bytes, answer_bytes) = (select.encode(), extended.encode(), answer.encode());

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("apdu");
    group.bench_function("decode case 4S", |bencher| bencher.iter(|| CApdu::decode(black_box(&select_bytes))));
    group.bench_function("encode case 4S", |bencher| bencher.iter(|| black_box(&select).encode()));
    group.bench_function("decode case 4E", |bencher| bencher.iter(|| CApdu::decode(black_box(&extended_bytes))));
    group.bench_function("encode case 4E", |bencher| bencher.iter(|| black_box(&extended).encode()));
    group.bench_function("decode response", |bencher| bencher.iter(|| RApdu::decode(black_box(&answer_bytes))));
    group.bench_function("encode response", |bencher| bencher.iter(|| black_box(&answer).encode()));
    group.finish();
    criterion.final_summary();

    print_rate("SELECT decoded", best_ns(|| CApdu::decode(black_box(&select_bytes))));
    print_rate("SELECT encoded", best_ns(|| black_box(&select).encode()));
}
