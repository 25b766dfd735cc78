//! Cards for a band that stands alone, added as in the field: the app asks the cloud, the token service manager's scripts go
//! through SCP03 into the secure element, the bank's code confirms. All of it in virtual time, before the band starts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use band_sim::band::Band;
use band_sim::band::profile::BandProfile;
use band_sim::rng::Rng;

use super::Trouble;
use super::log::plain;
use crate::cloud::account::AccountKind;
use crate::cloud::api::OtpMethod;
use crate::cloud::product::CardProduct;
use crate::phone::io::{Shown, UserAction};
use crate::scenario::set_up::{Ground, world};
use crate::station::embedded::World;
use crate::station::fixtures::Fixtures;
use crate::station::recorder::Recorder;
use crate::yaml;

/// Finds each card and makes it known to the bank; answers their names there.
pub(crate) fn find(words: &[String], fixtures: &mut Fixtures) -> Result<Vec<String>, Trouble> {
    words.iter().map(|word| find_one(word, fixtures)).collect()
}

fn find_one(word: &str, fixtures: &mut Fixtures) -> Result<String, Trouble> {
    if fixtures.products.contains_key(word) {
        return Ok(word.to_owned());
    }
    let path = Path::new(word);
    if path.extension().is_none() {
        let known = fixtures.products.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Trouble::Input(format!("no card `{word}` among the fixtures; there are {known}, and files")));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble::Input(format!("failed to read the card {word}: {error}")))?;
    let product = yaml::from_str::<CardProduct>(&text)
        .map_err(|message| Trouble::Input(format!("failed to use the card {word}: {message}")))?;
    let name = product.name.clone();
    fixtures.products.insert(name.clone(), product);
    Ok(name)
}

/// A band with these cards, in this order, all confirmed.
pub(super) fn personalise(
    cards: &[String],
    fixtures: &Fixtures,
    profile: Arc<BandProfile>,
    rng: &Rng,
    epoch_unix_us: i64,
) -> Result<Band, Trouble> {
    let mut world = world_with(cards, fixtures, profile, rng, epoch_unix_us, Duration::ZERO)?;
    world.set_reach(false);
    Ok(world.into_band())
}

/// A band with these cards, in this order, all confirmed, and the bank that knows them; `network` is one way to it.
pub(crate) fn world_with(
    cards: &[String],
    fixtures: &Fixtures,
    profile: Arc<BandProfile>,
    rng: &Rng,
    epoch_unix_us: i64,
    network: Duration,
) -> Result<World, Trouble> {
    let account =
        fixtures.accounts.iter().find(|account| account.kind == AccountKind::Xiaomi && account.phone.is_some());
    let account =
        account.ok_or_else(|| Trouble::Input("no account among the fixtures that may have cards".to_owned()))?;
    let ground = Ground { network, reaction: Duration::ZERO, ..Ground::usual(fixtures, profile, epoch_unix_us) };
    let mut world = world(ground, rng, Recorder::default());
    act(&mut world, UserAction::SignIn { account: account.name.clone() }, "signing in")?;
    act(&mut world, UserAction::LinkBand, "linking the band")?;
    for card in cards {
        add(&mut world, card)?;
    }
    Ok(world)
}

fn add(world: &mut World, product: &str) -> Result<(), Trouble> {
    let doing = format!("adding the card {product}");
    let Shown::CardAdded { card } = act(world, UserAction::AddCard { product: product.to_owned() }, &doing)? else {
        return Err(Trouble::Input(format!("{doing} came to no card")));
    };
    let doing = format!("confirming the card {product}");
    act(world, UserAction::RequestCode { card: card.card.clone(), method: OtpMethod::Sms }, &doing)?;
    let code = world.inbox().last().map(|sms| sms.code.clone()).unwrap_or_default();
    act(world, UserAction::EnterCode { card: card.card, code }, &doing)?;
    Ok(())
}

fn act(world: &mut World, action: UserAction, doing: &str) -> Result<Shown, Trouble> {
    let (done, _) = world
        .act(action)
        .map_err(|stuck| Trouble::Input(format!("{doing} never ended, waiting for {}", stuck.waiting_for)))?;
    done.map_err(|refusal| Trouble::Input(format!("{doing} was refused: {}", plain(&refusal))))
}
