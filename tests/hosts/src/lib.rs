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
//! Hosts end with their handle, or with the test process however it ends: nothing stays mounted, linked or running.
//!
//! Not like a real host: there is no systemd (services are init scripts, `systemctl` says so and only knows how to go
//! down), no kernel of its own, no device mapper.

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
