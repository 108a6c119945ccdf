//! Packages that a vendor does not let go back to a former version.

use super::glob;
use crate::ports::linux::Manager;

/// Red Hat: going back is not supported for glibc and what is built with it, dbus, and the SELinux policy
/// (access.redhat.com/solutions/186763).
const RED_HAT: [&str; 8] =
    ["glibc", "glibc-*", "gcc", "gcc-*", "dbus", "dbus-*", "selinux-policy", "selinux-policy-*"];

/// Why a package must not go back to a former version; none where it may.
pub fn forbidden(manager: Manager, package: &str) -> Option<&'static str> {
    let red_hat = matches!(manager, Manager::Dnf | Manager::Dnf5 | Manager::Yum);
    let is_one = red_hat && RED_HAT.iter().any(|pattern| glob::names(pattern, package, ""));
    is_one.then_some("Red Hat does not support going back to a former version of it")
}

#[cfg(test)]
mod tests {
    use super::{Manager, forbidden};

    #[test]
    fn what_a_vendor_forbids_is_forbidden_there_only() {
        assert!(forbidden(Manager::Dnf, "glibc-common").is_some());
        assert!(forbidden(Manager::Yum, "selinux-policy-targeted").is_some());
        assert!(forbidden(Manager::Dnf, "nginx").is_none());
        assert!(forbidden(Manager::Apt, "dbus").is_none());
        assert!(forbidden(Manager::Zypper, "glibc").is_none());
    }
}
