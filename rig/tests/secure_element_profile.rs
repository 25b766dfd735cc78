//! The secure element's default values in code and in the profile file are the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use band_sim::card::profile::CardProfile;

#[test]
fn the_profile_file_says_what_the_code_defaults_to() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/profiles/mi-smart-band-4-nfc.yaml");
    let text = fs::read_to_string(path).unwrap();
    let section = text.find("\nsecure_element:").map(|at| &text[at..]).unwrap();
    let file = serde_yaml::from_str::<BTreeMap<String, CardProfile>>(section).unwrap();
    assert_eq!(file["secure_element"], CardProfile::default());
}
