//! The secure element: what a command costs without cryptography, and how much of the rest is cryptography itself.

use std::hint::black_box;

use band_sim::card::crypto::{Padding, TdesKey, common_session_key, mac_algorithm_3};
use band_sim::card::{Card, Interface};
use band_sim::wire::apdu::CApdu;
use bandrig::fuzzing_card::{cdol_values, instance, prepared_card, recorded_add, select};
use benches::{best_ns, print_rate, print_ratio};
use criterion::Criterion;

fn main() {
    let card = prepared_card(6);
    let ppse = select(b"2PAY.SYS.DDF01");
    let application = select(&instance(6));
    let record = CApdu::new(0x00, 0xB2, 0x01, 0x0C).with_ne(256);
    let mut at_records = card.clone();
    at_records.handle(Interface::Contactless, &application);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("card");
    let mut one = card.clone();
    group.bench_function("SELECT", |bencher| {
        bencher.iter(|| one.handle(Interface::Contactless, black_box(&application)))
    });
    group.bench_function("SELECT PPSE of six cards", |bencher| {
        bencher.iter(|| one.handle(Interface::Contactless, black_box(&ppse)));
    });
    group.bench_function("READ RECORD", |bencher| {
        bencher.iter(|| at_records.handle(Interface::Contactless, black_box(&record)));
    });
    let mut paying = prepared_card(1);
    group.bench_function("tap", |bencher| bencher.iter(|| tap(&mut paying)));
    let fresh = prepared_card(0);
    let script = recorded_add(&fresh, 1);
    group.bench_function("add and activate", |bencher| bencher.iter(|| add(&fresh, &script)));
    group.finish();
    criterion.final_summary();

    let mut one = card.clone();
    print_rate("SELECT", best_ns(|| one.handle(Interface::Contactless, black_box(&application))));
    print_rate("SELECT PPSE of six cards", best_ns(|| one.handle(Interface::Contactless, black_box(&ppse))));
    print_rate("READ RECORD", best_ns(|| at_records.handle(Interface::Contactless, black_box(&record))));
    let mut paying = prepared_card(1);
    print_ratio(
        "tap (SELECT, GPO, GENERATE AC)",
        best_ns(|| tap(&mut paying)),
        "its bare DES",
        best_ns(des_of_one_tap),
    );
    print_rate("add and activate, the card's side with all its cryptography", best_ns(|| add(&fresh, &script)));
    print_rate("clone of a card with six cards in it", best_ns(|| card.clone()));
}

/// SELECT, GET PROCESSING OPTIONS, GENERATE AC. A blocked application (ATC run out) would be much faster: so it is not.
fn tap(card: &mut Card) {
    let options = CApdu::new(0x80, 0xA8, 0x00, 0x00).with_data([0x83, 0x02, 0x00, 0x00]).with_ne(256);
    let generate = CApdu::new(0x80, 0xAE, 0x80, 0x00).with_data(cdol_values(4)).with_ne(256);
    card.handle(Interface::Contactless, &select(&instance(1)));
    card.handle(Interface::Contactless, &options);
    if !card.handle(Interface::Contactless, &generate).sw.is_ok() {
        *card = prepared_card(1);
    }
}

fn add(fresh: &Card, script: &[CApdu]) -> Card {
    let mut card = fresh.clone();
    for command in script {
        let answer = card.handle(Interface::Wired, command);
        assert!(answer.sw.is_ok(), "{}", answer.sw);
    }
    card
}

/// A session key and a MAC over an AC's input: what a tap cannot do without.
fn des_of_one_tap() -> [u8; 8] {
    let key = common_session_key(black_box(&TdesKey::new([0x55; 16])), [0, 1, 0, 0, 1, 2, 3, 4]);
    mac_algorithm_3(&key, Padding::Method2, black_box(&[0x77; 39]))
}
