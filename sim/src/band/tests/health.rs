//! What clients wait for beside payments: heart rate, recorded activity, a restart.

use super::*;

const HEART_RATE: CharacteristicId = CharacteristicId::HEART_RATE_CONTROL;
const FETCH: CharacteristicId = CharacteristicId::FETCH_CONTROL;
const MEASURED: [&str; 1] = ["notify 2A37 00 48"];
const NOTHING: [&str; 0] = [];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// ---- heart rate

#[test]
fn one_measurement_is_notified_when_it_is_done_and_no_other() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.write(HEART_RATE, "15 02 01"), ["written"]);
    assert_eq!(bench.pass(Duration::from_millis(2999)), NOTHING);
    assert_eq!(bench.pass(Duration::from_millis(1)), MEASURED);
    assert_eq!(bench.pass(seconds(60)), NOTHING);
    assert_eq!(bench.read(HEART_RATE).unwrap(), hex("00 01"));
}

#[test]
fn measurements_go_on_until_they_are_stopped() {
    let mut bench = Bench::authenticated();
    bench.write(HEART_RATE, "15 01 01");
    for _ in 0..4 {
        assert_eq!(bench.pass(seconds(3)), MEASURED);
    }
    bench.write(HEART_RATE, "15 01 00");
    assert_eq!(bench.pass(seconds(60)), NOTHING);
}

#[test]
fn measurements_end_when_the_phone_does_not_say_that_it_listens() {
    let mut bench = Bench::authenticated();
    bench.write(HEART_RATE, "15 01 01");
    let mut count = |says: bool| {
        let mut count = 0;
        for second in 0..30 {
            if says && second % 12 == 0 {
                assert_eq!(bench.write(HEART_RATE, "16"), ["written"]);
            }
            count += bench.pass(seconds(1)).len();
        }
        count
    };
    assert_eq!(count(true), 10);
    // It was heard last six seconds ago.
    assert_eq!(count(false), 3);
    assert_eq!(count(true), 0, "who says it without having begun gets nothing");
}

#[test]
fn nothing_is_measured_for_a_phone_that_is_gone_or_has_lost_its_right() {
    for end in ["link", "challenge", "reset"] {
        let mut bench = Bench::authenticated();
        bench.band.profile = {
            let mut profile = BandProfile::clone(&bench.band.profile);
            profile.behaviour.factory_reset_disconnects.value = false;
            Arc::new(profile)
        };
        bench.write(HEART_RATE, "15 01 01");
        match end {
            "link" => bench.link(),
            "challenge" => drop(bench.random("02 00")),
            _ => drop(bench.write(CONFIG, "06 0B 00 01")),
        }
        assert_eq!(bench.pass(seconds(60)), NOTHING, "{end}");
        assert!(bench.band.timers.next().is_none(), "{end}");
    }
}

#[test]
fn the_heart_is_measured_for_an_authenticated_phone_only() {
    let mut bench = Bench::paired();
    assert_eq!(bench.write(HEART_RATE, "15 02 01").last().unwrap(), "ATT error 0x03 write not permitted");
    assert_eq!(bench.pass(seconds(60)), NOTHING);
}

#[test]
fn what_changes_only_how_it_measures_by_itself_is_taken_without_a_word() {
    let mut bench = Bench::authenticated();
    for request in ["15 00 01", "15 00 00", "14 05", "14 31", "14 00"] {
        assert_eq!(bench.write(HEART_RATE, request), ["written"], "{request}");
    }
    assert_eq!(bench.pass(seconds(600)), NOTHING);
}

// ---- activity

#[test]
fn who_fetches_is_told_that_there_is_nothing() {
    let mut bench = Bench::authenticated();
    let since = "E4 07 06 10 0C 1E";
    assert_eq!(
        bench.write(FETCH, &format!("01 01 {since} 00 17")),
        [format!("notify H:0004 10 01 01 00 00 00 00 {since} 00 17")]
    );
    assert_eq!(bench.write(FETCH, "02"), ["notify H:0004 10 02 04"]);
    assert_eq!(bench.write(FETCH, "03"), ["notify H:0004 10 03 01"]);
    assert_eq!(bench.write(FETCH, "01 01 E4 07 0D 10 0C 1E 00 17"), ["notify H:0004 10 01 02"], "no such month");
    assert_eq!(bench.write(FETCH, "77"), ["notify H:0004 10 77 03"]);
}

#[test]
fn a_phone_that_has_not_authenticated_fetches_nothing() {
    let outputs = Bench::paired().write(FETCH, "02");
    assert_eq!(outputs[0], "notify H:0004 10 02 02");
}

// ---- restart

#[test]
fn a_restart_is_answered_and_ends_the_link() {
    let mut bench = Bench::authenticated();
    let digests = bench.digests();
    assert_eq!(
        bench.write(CharacteristicId::FIRMWARE_CONTROL, "05"),
        ["notify H:1531 10 05 01", "event PowerLost", "disconnect", "event PoweredOn"]
    );
    assert_eq!(bench.digests(), digests);
    assert!(bench.band.advertising().is_some());
    bench.link();
    bench.authenticate();
}

#[test]
fn only_an_authenticated_phone_restarts_the_band() {
    let mut bench = Bench::paired();
    let outputs = bench.write(CharacteristicId::FIRMWARE_CONTROL, "05");
    assert_eq!(outputs.last().unwrap(), "ATT error 0x03 write not permitted");
    assert!(bench.band.is_linked());
}
