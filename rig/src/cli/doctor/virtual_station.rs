//! The virtual station: what runs on this machine, and the kernel that runs inside.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Finding;
use crate::station::guest::{self, Place, find_program, install};

/// All of it.
pub(super) fn look() -> Vec<Finding> {
    let mut found: Vec<Finding> = guest::PROGRAMS.iter().map(|(name, package)| program(name, package)).collect();
    let (driver, package) = guest::VPCD;
    found.push(if Path::new(driver).is_file() {
        Finding::good("vpcd", driver)
    } else {
        Finding::missing("vpcd", "not installed", install(&[package]))
    });
    found.push(kernel(guest::cache().join("made").is_file(), knows_kernel));
    found.push(acceleration());
    found.push(process(guest::built_process(&guest::cache()).is_some(), &guest::missing_builders()));
    found.push(match guest::programs() {
        Ok((_, band)) => Finding::good("band", band.display().to_string()),
        Err(words) => Finding::missing("band", words, guest::BUILD),
    });
    found.push(way(guest::obstacle()));
    let missing = guest::missing_packages(Place::Qemu);
    if missing.len() > 1 {
        found.push(Finding::missing("packages", format!("{} are missing", missing.len()), install(&missing)));
    }
    found
}

fn program(name: &str, package: &str) -> Finding {
    match find_program(name) {
        Some(path) => Finding::good(name, path.display().to_string()),
        None => Finding::missing(name, "not installed", install(&[package])),
    }
}

fn kernel(unpacked: bool, knows: impl FnOnce() -> bool) -> Finding {
    let what = "kernel";
    let package = guest::KERNEL_PACKAGE;
    if unpacked {
        return Finding::good(what, format!("unpacked in {}", guest::cache().display()));
    }
    if knows() {
        return Finding::good(what, format!("{package} is fetched by the first run, about 70 MB"));
    }
    Finding::missing(what, format!("apt knows no {package}"), "apt-get update")
}

fn knows_kernel() -> bool {
    let mut ask = Command::new("apt-cache");
    ask.args(["show", guest::KERNEL_PACKAGE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

fn way(obstacle: Option<String>) -> Finding {
    let words = match obstacle {
        None => "on this machine itself, in namespaces of its own".to_owned(),
        Some(obstacle) => format!("in a machine of its own; not on this machine itself: {obstacle}"),
    };
    Finding::note("way", words)
}

fn acceleration() -> Finding {
    let words = match (Path::new("/dev/kvm").exists(), guest::kvm_hangs(&guest::cache())) {
        (true, true) => {
            "/dev/kvm is there, but no guest comes up under it; it is tried again when this machine has started anew"
        }
        (true, false) => "/dev/kvm is there; each start tries whether it works",
        (false, _) => "none: in QEMU the station is several times slower without",
    };
    Finding::note("KVM", words)
}

/// The kernel that is a process, where there is no KVM.
fn process(built: bool, missing: &[&str]) -> Finding {
    const WHAT: &str = "User-mode Linux";
    if built {
        return Finding::note(WHAT, "its kernel is built: it is taken where KVM does not work");
    }
    let builds = "its kernel is not built; `bandrig run --station virtual:uml` does that, in minutes, once";
    if missing.is_empty() {
        return Finding::note(WHAT, builds);
    }
    Finding::note(WHAT, format!("{builds}, after `{}`", install(missing)))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_kernel_is_there_or_can_be_had_or_is_missing() {
        assert!(kernel(true, || false).words.starts_with("unpacked in "));
        assert_eq!(kernel(false, || true).state, State::Good);
        let missing = kernel(false, || false);
        assert_eq!((missing.state, missing.mend.as_deref()), (State::Missing, Some("apt-get update")));
    }

    #[test]
    fn the_way_the_station_takes_is_told_with_its_reason() {
        assert!(way(None).words.starts_with("on this machine itself"));
        assert_eq!(
            way(Some("it takes root".into())).words,
            "in a machine of its own; not on this machine itself: it takes root"
        );
    }

    #[test]
    fn a_kernel_that_is_a_process_is_built_or_told_how_to_be() {
        assert!(process(true, &["bc"]).words.starts_with("its kernel is built"));
        assert!(process(false, &[]).words.ends_with("in minutes, once"));
        assert!(process(false, &["bc", "flex"]).words.ends_with("apt-get install --no-install-recommends bc flex`"));
    }

    #[test]
    fn a_program_that_is_missing_comes_with_its_package() {
        let missing = program("no-such-program-anywhere", "its-package");
        assert_eq!(missing.mend.as_deref(), Some("apt-get install --no-install-recommends its-package"));
    }
}
