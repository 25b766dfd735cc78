//! Bands made, left and taken up again.

use std::path::Path;

use band_sim::wire::frame::auth::AuthKey;

use super::*;
use state::State;

fn cli(words: &[&str]) -> Cli {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixtures = fixtures.to_str().unwrap();
    Cli::parse_from(["band", "--fixtures", fixtures].iter().chain(words))
}

/// The command lines of a text: what comes after the program's name, up to a gap of two spaces.
#[cfg(all(feature = "vpcd", feature = "bluez"))]
fn command_lines<'t>(text: &'t str, program: &str) -> Vec<Vec<&'t str>> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(program)?.strip_prefix(' '));
    let lines = lines.map(|line| line.split("  ").next().unwrap_or_default());
    lines.map(|line| line.split_whitespace().take_while(|word| !word.starts_with('#')).collect()).collect()
}

fn make(words: &[&str]) -> Result<make::Made, String> {
    make::make(&cli(words), &make::Place::default(), 1_767_268_800_000_000).map_err(|trouble| trouble.to_string())
}

#[test]
fn cards_are_added_in_their_order_and_confirmed() {
    let made = make(&["--cards", "mastercard-gold,mastercard-debit"]).unwrap();
    let cards = made.band.card_list();
    assert_eq!(cards.len(), 2);
    assert!(cards.iter().all(|card| card.state == band_sim::band::CardState::Activated), "{cards:?}");
    assert!(cards[1].name.to_lowercase().contains("debit"), "{cards:?}");
    assert!(!made.band.is_linked() && made.band.is_powered());
}

#[test]
fn a_card_from_a_file_goes_the_same_way() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/cards/mastercard-travel.yaml");
    let made = make(&["--cards", file.to_str().unwrap()]).unwrap();
    assert_eq!(made.band.card_list().len(), 1);
}

#[test]
fn what_cannot_be_made_says_why() {
    let refused = make(&["--cards", "blacklisted"]).unwrap_err();
    assert!(refused.starts_with("adding the card blacklisted was refused: "), "{refused}");
    let unknown = make(&["--cards", "visa"]).unwrap_err();
    assert!(unknown.contains("no card `visa` among the fixtures; there are "), "{unknown}");
    let missing = make(&["--profile", "missing.yaml"]).unwrap_err();
    assert!(missing.starts_with("failed to read the profile missing.yaml: "), "{missing}");
    let twice = make(&["--cards", "mastercard-debit,mastercard-debit"]).unwrap_err();
    assert!(twice.contains("was refused"), "{twice}");
}

#[test]
fn a_band_is_taken_up_from_its_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let words = ["--state", path.to_str().unwrap(), "--cards", "mastercard-debit", "--seed", "9"];
    let run = |words: &[&str]| {
        let made = make(words).unwrap();
        let handle = Handle::new(made.band, Clock::start());
        state::keep(&handle, made.state).unwrap();
        handle
    };
    let first = run(&words);
    let (cards, chip) = first.inspect(|band| (band.card_list(), band.card().cplc().to_vec()));
    let stored = State::load(&path).unwrap().unwrap();

    let second = run(&words[..2]);
    assert_eq!(second.inspect(|band| (band.card_list(), band.card().cplc().to_vec())), (cards, chip));
    // A change is in the file before anybody is answered.
    let before = std::fs::read(&path).unwrap();
    second.input(band_sim::band::Input::Button(band_sim::band::Button::FactoryReset));
    assert_ne!(std::fs::read(&path).unwrap(), before);
    assert_ne!(stored.rng().array::<8>(), State::load(&path).unwrap().unwrap().rng().array::<8>());
}

#[test]
fn a_key_is_for_a_new_band_and_does_not_come_back_after_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let given = AuthKey([0x30; 16]);
    let run = |address| {
        let place = make::Place { address: Some([address; 6]), key: Some(given) };
        let made = make::make(&cli(&["--state", path.to_str().unwrap()]), &place, 1_767_268_800_000_000).unwrap();
        let handle = Handle::new(made.band, Clock::start());
        state::keep(&handle, made.state).unwrap();
        (handle, made.key)
    };
    let key_of = |handle: &Handle| handle.inspect(band_sim::band::Band::key);
    let (band, key) = run(0xA1);
    assert!(matches!(key, make::Key::Given), "{key:?}");
    assert_eq!(key_of(&band), Some(given));
    band.input(band_sim::band::Input::Button(band_sim::band::Button::FactoryReset));
    assert_eq!(key_of(&band), None);

    let (band, key) = run(0xB2);
    assert!(matches!(key, make::Key::Kept(None)), "{key:?}");
    assert_eq!(key_of(&band), None, "who has reset it may pair");
    // It lies at another adapter now.
    assert_eq!(band.inspect(|band| band.profile().identity.address()), [0xB2; 6]);
}

#[test]
fn a_state_file_that_was_touched_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let handle = {
        let made = make(&["--state", path.to_str().unwrap()]).unwrap();
        let handle = Handle::new(made.band, Clock::start());
        state::keep(&handle, made.state).unwrap();
        handle
    };
    drop(handle);
    let whole = std::fs::read_to_string(&path).unwrap();
    for (touched, says) in [
        (whole.replacen("\"seed\": 0", "\"seed\": 1", 1), "its digest is wrong"),
        (whole.replacen("\"band_state\": 1", "\"band_state\": 2", 1), "its version is 2"),
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
    ] {
        std::fs::write(&path, touched).unwrap();
        let refused = make(&["--state", path.to_str().unwrap()]).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    std::fs::write(&path, vec![b' '; 17 << 20]).unwrap();
    assert!(make(&["--state", path.to_str().unwrap()]).unwrap_err().contains("more than any band's state has"));
}

#[cfg(unix)]
#[test]
fn a_state_file_is_never_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let made = make(&["--state", path.to_str().unwrap()]).unwrap();
    let handle = Handle::new(made.band, Clock::start());
    state::keep(&handle, made.state).unwrap();
    let before = std::fs::read(&path).unwrap();
    // A second name of the same file: whatever is done to that file shows here, and a new file in its place does not.
    let old = folder.path().join("old.json");
    std::fs::hard_link(&path, &old).unwrap();
    handle.input(band_sim::band::Input::Button(band_sim::band::Button::FactoryReset));
    assert_ne!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read(&old).unwrap(), before);
}

#[test]
fn a_state_that_cannot_be_written_leaves_the_old_one_whole_and_stops_the_band() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let made = make(&["--state", path.to_str().unwrap()]).unwrap();
    let handle = Handle::new(made.band, Clock::start());
    let failed = state::keep(&handle, made.state).unwrap();
    let before = std::fs::read(&path).unwrap();
    // There is no place for the new file: a folder is in its way.
    std::fs::create_dir(state::new_name(&path)).unwrap();
    handle.input(band_sim::band::Input::Button(band_sim::band::Button::FactoryReset));
    let trouble = failed.take().expect("the trouble");
    // Returns once it is stopped.
    handle.run();
    assert!(matches!(trouble, Trouble::Station(_)), "{trouble:?}");
    assert!(trouble.to_string().starts_with("failed to write the state file "), "{trouble}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(State::load(&path).is_ok());
}

#[cfg(unix)]
#[test]
fn what_a_crash_left_of_a_new_state_is_in_nobodys_way() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    // Longer than the new one will be, and for everybody to read.
    std::fs::write(state::new_name(&path), vec![b'x'; 1 << 20]).unwrap();
    for _ in 0..2 {
        let made = make(&["--state", path.to_str().unwrap()]).unwrap();
        state::keep(&Handle::new(made.band, Clock::start()), made.state).unwrap();
        assert!(State::load(&path).unwrap().is_some());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left over");
}

#[cfg(unix)]
#[test]
fn a_state_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.json");
    let made = make(&["--state", path.to_str().unwrap()]).unwrap();
    state::keep(&Handle::new(made.band, Clock::start()), made.state).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left over");
}

#[cfg(all(feature = "vpcd", feature = "bluez"))]
mod of_the_words {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    /// Whether it is a command line, with the digits of a key in place of its file.
    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        let words =
            words.iter().map(|word| if word.starts_with('@') { "30313233343536373839404142434445" } else { word });
        Cli::try_parse_from(["band"].into_iter().chain(words))
    }

    /// What a line of the unit says of this.
    fn of_the_unit(key: &str) -> &'static str {
        let (_, unit) = README.split_once("```ini\n").unwrap();
        let lines = unit.split("```").next().unwrap().lines();
        lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).next().unwrap()
    }

    #[test]
    fn examples_are_command_lines() {
        for (text, program, expected) in [
            (EXAMPLES, "band", 5),
            (README, "target/release/band", 1),
            (README, "cargo run --release --bin band --", 1),
        ] {
            let found = command_lines(text, program);
            assert_eq!(found.len(), expected, "{program}: {found:?}");
            for words in found {
                let cli = parse(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
                assert!(require_a_place(&cli).is_ok(), "{words:?}");
            }
        }
    }

    #[test]
    fn the_unit_starts_what_there_is_and_starts_it_again_when_that_helps() {
        let start = command_lines(of_the_unit("ExecStart"), "/usr/local/bin/band");
        let cli = parse(&start[0]).unwrap();
        assert!(require_a_place(&cli).is_ok());
        // The unit makes the folder of the state, below this one.
        let folder = Path::new("/var/lib").join(of_the_unit("StateDirectory"));
        assert_eq!(cli.state.unwrap().parent(), Some(&*folder));
        assert_eq!(of_the_unit("Restart"), "on-failure");
        assert_eq!(of_the_unit("RestartPreventExitStatus"), EXIT_BAD_INPUT.to_string());
    }
}
