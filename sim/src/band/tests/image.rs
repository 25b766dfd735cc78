//! A band taken up from what its memories hold.

use super::*;

fn restored(bench: &Bench, start: u64) -> Bench {
    let band = Band::restored(Arc::clone(&PROFILE), Rng::new(7), EPOCH, bench.band.memory_image(), start);
    Bench { band, ..bench.clone() }
}

#[test]
fn a_band_taken_up_from_its_memories_is_the_same_band_just_switched_on() {
    let mut bench = Bench::with_channel();
    bench.add_cards(2);
    let mut again = restored(&bench, 1);
    assert_eq!(again.digests(), bench.digests());
    assert_eq!(again.band.card_list(), bench.band.card_list());
    assert_eq!(again.band.card().cplc(), bench.band.card().cplc(), "the same chip");
    assert!(again.band.is_paired() && !again.band.is_linked() && again.band.is_powered());
    again.link();
    again.authenticate();
    assert!(again.band.is_authenticated(), "the phone's key still fits");
}

#[test]
fn another_start_draws_other_numbers() {
    let bench = Bench::paired();
    let mut randoms = [1, 2].map(|start| {
        let mut again = restored(&bench, start);
        again.link();
        again.random("02 00")
    });
    randoms.sort_unstable();
    assert_ne!(randoms[0], randoms[1]);
}
