//! The virtual station: what runs on this machine, and the kernel that runs inside.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Finding, find_program};
use crate::station::guest;

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
    found.push(match guest::programs() {
        Ok((_, band)) => Finding::good("band", band.display().to_string()),
        Err(words) => Finding::missing("band", words, guest::BUILD),
    });
    let missing = guest::missing_packages();
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

fn install(packages: &[&str]) -> String {
    format!("apt-get install --no-install-recommends {}", packages.join(" "))
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

fn acceleration() -> Finding {
    if Path::new("/dev/kvm").exists() {
        return Finding::note("KVM", "/dev/kvm is there; each start tries whether it works");
    }
    Finding::note("KVM", "none: the station is several times slower without")
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
    fn a_program_that_is_missing_comes_with_its_package() {
        let missing = program("no-such-program-anywhere", "its-package");
        assert_eq!(missing.mend.as_deref(), Some("apt-get install --no-install-recommends its-package"));
    }
}
