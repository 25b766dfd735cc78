//! A phone's and a wearer's view of the band: inputs on the left, what comes out on the right.

use alloc::sync::Arc;

use super::*;

fn profile() -> Arc<BandProfile> {
    let file = include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
    Arc::new(serde_yaml::from_str(file).unwrap())
}

#[test]
fn the_profile_loads() {
    let profile = profile();
    assert_eq!(profile.gatt.value_handle(&CharacteristicId::DEVICE_EVENT), Some(Handle(74)));
}
