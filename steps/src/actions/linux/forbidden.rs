//! Packages that a vendor does not let go back to a former version.

use super::glob;
use crate::ports::linux::Manager;

/// Red Hat: going back is not supported for glibc and what is built with it, dbus, and the SELinux policy
/// (access.redhat.com/solutions/186763). By name, because a package that is only pending does not say what it was built
/// from: first those of glibc, then those of gcc.
const RED_HAT: [&str; 32] = [
    "glibc",
    "glibc-*",
    "compat-libpthread-nonshared",
    "libnsl",
    "nscd",
    "nss_db",
    "nss_hesiod",
    "gcc",
    "gcc-*",
    "cpp",
    "libgcc",
    "libgomp",
    "libgomp-*",
    "libstdc++",
    "libstdc++-*",
    "libasan*",
    "libatomic",
    "libatomic-*",
    "libgfortran*",
    "libgccjit*",
    "libitm",
    "libitm-*",
    "liblsan*",
    "libobjc",
    "libquadmath*",
    "libtsan*",
    "libubsan*",
    "libgnat*",
    "dbus",
    "dbus-*",
    "selinux-policy",
    "selinux-policy-*",
];

/// The package that says which release a host has: a vendor supports the way from one to the next, not the way back.
const RELEASES: [&str; 14] = [
    "redhat-release",
    "redhat-release-*",
    "rocky-release",
    "almalinux-release",
    "oraclelinux-release",
    "oraclelinux-release-*",
    "centos-release",
    "centos-linux-release",
    "centos-stream-release",
    "system-release",
    "fedora-release-common",
    "sles-release",
    "SLES*-release",
    "openSUSE-release",
];

/// Why a package must not go back to a former version; none where it may.
pub fn forbidden(manager: Manager, package: &str) -> Option<&'static str> {
    let red_hat = matches!(manager, Manager::Dnf | Manager::Dnf5 | Manager::Yum);
    let is_one = red_hat && RED_HAT.iter().any(|pattern| glob::names(pattern, package, ""));
    if is_one {
        return Some("Red Hat does not support going back to a former version of it");
    }
    let is_release =
        manager != Manager::Apt && RELEASES.iter().any(|pattern| glob::names(pattern, package, ""));
    is_release.then_some("its vendor does not support going back to a former release")
}

#[cfg(test)]
mod tests {
    use super::{Manager, forbidden};

    #[test]
    fn what_a_vendor_forbids_is_forbidden_there_only() {
        assert!(forbidden(Manager::Dnf, "glibc-common").is_some());
        assert!(forbidden(Manager::Yum, "selinux-policy-targeted").is_some());
        for name in ["libgcc", "libstdc++", "libstdc++-devel", "libgomp", "cpp", "nscd", "libnsl"] {
            assert!(forbidden(Manager::Dnf5, name).is_some(), "{name}");
        }
        for name in ["nginx", "libnsl2", "libgovirt", "cpptest", "epel-release", "libgccx"] {
            assert!(forbidden(Manager::Dnf, name).is_none(), "{name}");
        }
        assert!(forbidden(Manager::Apt, "dbus").is_none());
        assert!(forbidden(Manager::Zypper, "glibc").is_none());
        for name in ["redhat-release", "rocky-release", "almalinux-release", "oraclelinux-release"] {
            assert!(forbidden(Manager::Dnf, name).is_some(), "{name}");
        }
        assert!(forbidden(Manager::Zypper, "sles-release").is_some());
        assert!(forbidden(Manager::Zypper, "SLES_SAP-release").is_some());
    }
}
