//! Real Linux hosts for the tests, many on one machine.
//!
//! A host is a root folder (an overlay on a base that is built once) with mount, process, host-name and network name
//! spaces of its own; its own sshd with its own host key, its own package database, its own boot id. An [`Estate`] is
//! what a test makes: hosts, the repository that they get packages from, and the ssh configuration to reach them.
//!
//! ```no_run
//! use runbook_test_hosts::Estate;
//!
//! let estate = Estate::new("rollout");
//! let web = estate.debian("web1");
//! estate.repository().publish("runbook-demo", "1.1-1");
//! assert_eq!(web.ssh("hostname").out, "web1\n");
//! assert_eq!(web.http("/healthz").expect("an answer").0, 200);
//! web.cut_off();
//! ```
//!
//! Hosts end with their handle, or with the test process however it ends: nothing stays mounted, linked or running. Of a
//! test that is killed a small folder stays in the temporary folder.
//!
//! # What is on a host
//!
//! * A [`Family`]: Debian 12 with apt; dnf 4 and rpm, called Rocky Linux 9.4; zypper and rpm, called SLES 15 SP6. The
//!   last two are Debian underneath, without its package manager.
//! * Users: `root`; `ops`, who may do anything by `sudo -n`; `asker`, whom sudo asks for
//!   [a password](Estate::ASKER_PASSWORD); `guest`, who may do nothing. One key opens all of them.
//! * [`PACKAGES`], in version 1.0-1, which the repository has as well:
//!   * `runbook-demo`: a service (an init script, started at boot and by its own update) that answers `GET /healthz` on
//!     port 8480 with its version. 1.1-1 answers 500, 1.2-1 and 1.3-1 are good. It needs `runbook-demo-lib` in the same version.
//!   * `runbook-slow`: its update to 1.1-1 says by `/run/runbook-slow.waiting` that it is in the middle, before it is
//!     unpacked, and waits there for `/run/runbook-slow.go`, a minute at most.
//!   * `runbook-conf`: `/etc/runbook-conf.conf` was changed on the host, and is another one in 1.1-1.
//!   * `runbook-secure`: its update to 1.1-1 wants a reboot, in each family's own way.
//!   * `runbook-plain`: nothing special.
//!
//! # What can happen to it
//!
//! `reboot`, `shutdown`, `poweroff` and `systemctl reboot` work in the host: it goes down, and comes back with another boot
//! id and an empty `/run` ([`Host::wait_for_reboot`]), later ([`Recipe::down_for`]), or not at all
//! ([`Host::never_comes_back`]). From outside: [`Host::reboot`] (the hard way), [`Host::power_off`], [`Host::cut_off`],
//! [`Host::change_host_key`], [`Host::fill_var`], [`Host::hold_package_lock`].
//!
//! # Not as on a real host
//!
//! There is no systemd (`systemctl` says so in systemd's words), no kernel of its own, no device mapper, no way to any
//! network but to other hosts. Time, uptime and load are those of this machine.

mod answer;
mod estate;
mod host;
mod lease;
mod power;
mod recipe;
mod repository;
mod trouble;

pub use answer::Answer;
pub use estate::Estate;
pub use host::Host;
pub use recipe::{Family, Recipe};
pub use repository::{FIRST_VERSION, Kind, PACKAGES, Repository};
pub use trouble::Held;
