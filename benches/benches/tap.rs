//! Whole payments in process: terminal, card and bank over real bytes, beside the bare cryptography that neither side can do without;
//! as a run goes by default, with every exchange kept as it came (events on), and with the events put into words and masked after each
//! payment, which a run does once at its end and only where somebody reads them.
//!
//! The last lines set the best of many batches beside the floor measured in the same run.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use band_sim::card::crypto::{Padding, TdesKey, common_session_key, icc_master_key_option_a, mac_algorithm_3};
use band_sim::card::cvn::arpc_1;
use bandrig::cloud::certificates::Key;
use bandrig::station::embedded::{Tap, World};
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::Detail;
use bandrig::terminal::config::TerminalConfig;
use bandrig::terminal::io::{Outcome, Purchase};
use benches::{EPOCH_UNIX_S, add_and_activate, best_ns, fixtures_folder, linked_world, print_ratio};
use criterion::{Criterion, Throughput};
use rsa::BigUint;

fn main() {
    let root = fixtures_folder();
    let fixtures = Fixtures::load(&root).expect("the fixtures load");
    let rsa = Rsa::load(&root, &fixtures);
    let des = || des_of_one_payment();
    let both = || (rsa.of_one_payment(), des_of_one_payment());

    let without_cda = |shop: &mut TerminalConfig| shop.kernels.kernel_2.as_mut().expect("kernel 2").cda = false;
    let mut unsigned = Payment::new(&fixtures, Detail::Verdicts, "mastercard-debit", without_cda);
    let mut kept = Payment::new(&fixtures, Detail::Exchanges, "mastercard-debit", without_cda);
    let mut told = Payment::new(&fixtures, Detail::Exchanges, "mastercard-debit", without_cda);
    told.in_words = true;
    let mut cda = Payment::new(&fixtures, Detail::Verdicts, "mastercard-debit", |_| {});
    let mut fdda = Payment::new(&fixtures, Detail::Verdicts, "visa-debit", |shop| {
        shop.kernels.kernel_3.as_mut().expect("kernel 3").oda_for_online_authorisation = true;
    });
    let payments = [
        ("online", &mut unsigned),
        ("online, events on", &mut kept),
        ("online, in words", &mut told),
        ("online with CDA", &mut cda),
        ("online with fDDA", &mut fdda),
    ];

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("tap");
    group.throughput(Throughput::Elements(1));
    for (name, payment) in payments {
        group.bench_function(name, |bencher| bencher.iter(|| payment.pay()));
    }
    group.bench_function("bare DES", |bencher| bencher.iter(des));
    group.bench_function("bare RSA", |bencher| bencher.iter(|| rsa.of_one_payment()));
    group.finish();
    criterion.final_summary();

    print_ratio("a payment online", best_ns(|| unsigned.pay()), "its bare DES", best_ns(des));
    print_ratio("a payment online, events on", best_ns(|| kept.pay()), "its bare DES", best_ns(des));
    print_ratio("a payment online, in words", best_ns(|| told.pay()), "its bare DES", best_ns(des));
    for (name, mut payment) in [("with CDA", cda), ("with fDDA", fdda)] {
        let (ours, floor) = (best_ns(|| payment.pay()), best_ns(|| rsa.of_one_payment()));
        print_ratio(&format!("a payment {name}"), ours, "its bare RSA", floor);
        print_ratio(&format!("a payment {name}"), ours, "its bare RSA and DES", best_ns(both));
    }
}

/// A card in a band, and a shop it pays in.
struct Payment {
    fresh: World,
    world: World,
    tap: Tap,
    paid: u32,
    /// Each payment is put into words at once.
    in_words: bool,
}

impl Payment {
    /// The corner shop, `changed`, and a fresh card of this product.
    fn new(fixtures: &Fixtures, detail: Detail, product: &str, changed: impl FnOnce(&mut TerminalConfig)) -> Self {
        let mut shop = TerminalConfig::clone(&fixtures.terminals["corner-shop"]);
        changed(&mut shop);
        let purchase = Purchase {
            amount_minor: 1,
            amount_other_minor: 0,
            currency: 978,
            unix_s: EPOCH_UNIX_S,
            unpredictable_number: [1, 2, 3, 4],
        };
        let terminal = Arc::new(shop);
        let tap =
            Tap { terminal, purchase, pin: None, online: true, field_lost_after: None, man_in_the_middle: Vec::new() };
        let mut world = linked_world(fixtures, detail);
        add_and_activate(&mut world, product);
        Self { fresh: world.clone(), world, tap, paid: 0, in_words: false }
    }

    /// One payment unlike any before it, as a card remembers what it has signed. Now and then in a fresh world: a run keeps the events
    /// of one case only.
    fn pay(&mut self) {
        self.paid += 1;
        if self.paid.is_multiple_of(500) {
            self.world = self.fresh.clone();
        }
        self.tap.purchase.unpredictable_number = self.paid.to_be_bytes();
        let receipt = self.world.pay(self.tap.clone()).expect("the terminal ends");
        assert_eq!((receipt.outcome, receipt.online), (Outcome::Approved, true), "{}", receipt.reason);
        if self.in_words {
            self.world.recorder().tell();
        }
    }
}

/// The DES of one payment. The card derives its session key and makes the cryptogram; the bank derives the card's master key and the
/// session key, makes the cryptogram again and answers it. (A bank that keeps the master key of its token saves one derivation.)
// EMV 4.4 B2 8.1, 8.2, A1.3, A1.4
fn des_of_one_payment() -> [[u8; 8]; 3] {
    const COUNTER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
    // 29 bytes of the terminal's and the card's, and six of card verification results.
    let signed = black_box([0x77; 35]);
    let master = TdesKey::new(black_box([0x55; 16]));
    let card = mac_algorithm_3(&common_session_key(&master, COUNTER), Padding::Method2, &signed);
    let issuer = TdesKey::new(black_box([0xAA; 16]));
    let master = icc_master_key_option_a(&issuer, black_box("5413330089010434"), 0).expect("digits");
    let session_key = common_session_key(&master, COUNTER);
    let bank = mac_algorithm_3(&session_key, Padding::Method2, &signed);
    [card, bank, arpc_1(&session_key, bank, [0x30, 0x30])]
}

/// The keys behind one signature, from the authority's down to the card's.
struct Rsa {
    /// Authority, issuer, card.
    moduli: [BigUint; 3],
    card: Key,
}

impl Rsa {
    fn load(root: &Path, fixtures: &Fixtures) -> Self {
        let keys = std::fs::read_to_string(root.join("keys/issuers.yaml")).expect("the issuers' keys");
        let keys = keys.split("-----BEGIN").skip(1).map(|rest| {
            let (pem, _) = rest.split_once("KEY-----\n").and_then(|_| rest.split_once("-----END")).expect("PEM");
            let lines = format!("-----BEGIN{pem}-----END RSA PRIVATE KEY-----\n");
            let lines = lines.lines().map(str::trim).collect::<Vec<_>>().join("\n");
            Key::from_pem(&lines).expect("PKCS #1")
        });
        let mut keys = keys.collect::<Vec<_>>();
        // Issuers come first in the file, cards last; Mastercard's issuer is the first.
        let card = keys.pop().expect("a card's key");
        let authorities = &fixtures.terminals["corner-shop"].ca_public_keys;
        let authority = authorities.iter().find(|key| key.rid.0 == [0xA0, 0, 0, 0, 4]).expect("Mastercard's authority");
        let authority = BigUint::from_bytes_be(&authority.modulus.0);
        let is_long = authority.bits() >= 1024 && card.modulus_bytes() >= 128;
        assert!(is_long, "keys as long as cards of the field have them");
        let modulus = |key: &Key| BigUint::from_bytes_be(&key.modulus());
        Self { moduli: [authority, modulus(&keys[0]), modulus(&card)], card }
    }

    /// One signature of the card, by Chinese remaindering, and three recoveries of the terminal, each a cube by two products.
    fn of_one_payment(&self) -> (Vec<u8>, [BigUint; 3]) {
        let message = black_box([0x6A; 127]);
        let signature = self.card.sign(&message);
        let message = BigUint::from_bytes_be(&message);
        let recovered = self.moduli.each_ref().map(|modulus| &message * &message % modulus * &message % modulus);
        (signature, recovered)
    }
}
