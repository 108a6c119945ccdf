//! Ansible playbooks that this machine runs, and what they tell of their hosts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::hindrance::Hindrance;

/// One invocation of `ansible-playbook`.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    /// What makes it run at most once: the token of a program, under which the port
    /// [`Process`](super::process::Process) knows it too.
    pub token: String,
    /// The program: `ansible-playbook`, or where it is.
    pub program: String,
    /// The playbook, relative to the working folder.
    pub playbook: String,
    /// Exactly these hosts, by the inventory's names.
    pub hosts: Vec<String>,
    /// Where the hosts are described.
    pub inventory: Described,
    /// Where sources of Ansible's must have them, by host: it is not begun where they have one elsewhere. A host that is
    /// not in it may be anywhere.
    pub places: BTreeMap<String, Place>,
    /// Variables that go before all others.
    pub vars: Value,
    /// Only what has one of these tags; empty: everything.
    pub tags: Vec<String>,
    /// Nothing that has one of these tags.
    pub skip_tags: Vec<String>,
    /// How many hosts at a time.
    pub forks: u64,
    /// It only says what it would change.
    pub check: bool,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
}

/// Where the hosts of a playbook are described.
#[derive(Clone, Debug, PartialEq)]
pub enum Described {
    /// In these sources of Ansible's.
    Sources(Vec<String>),
    /// Here, in the notation of Ansible's YAML inventories.
    Here(Value),
}

/// Where a host is, as the plan has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its address.
    pub address: String,
    /// The port of its sshd, where one is said.
    pub port: Option<u16>,
}

/// What a playbook told of its hosts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// It was read without error; before that it touches no host.
    pub loaded: bool,
    /// It ended before it touched a host, since this host is not where the plan has it, as one phrase.
    pub elsewhere: Option<String>,
    /// It came to its own end, and gave its final counts.
    pub finished: bool,
    /// By host.
    pub hosts: BTreeMap<String, HostTold>,
}

/// What a playbook told of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTold {
    /// The final counts; absent: it has none.
    pub counts: Option<Counts>,
    /// The first failure that the playbook does not ignore.
    pub trouble: Option<Trouble>,
    /// How many tasks began on it.
    pub began: u64,
    /// How many of these ended: well, skipped, or with a failure that the playbook ignores.
    pub ended: u64,
    /// The task that began on it and did not end.
    pub running: Option<String>,
    /// The tasks that changed something (or would, when only checked), each once.
    pub changes: Vec<String>,
    /// The playbook gave it up because of other hosts.
    pub cut: bool,
}

/// Ansible's final counts for one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that ended well.
    pub ok: u64,
    /// Of these, tasks that changed something.
    pub changed: u64,
    /// Tasks that failed and were not rescued.
    pub failures: u64,
    /// Tasks for which it could not be reached.
    pub unreachable: u64,
    /// Tasks that were skipped.
    pub skipped: u64,
    /// Tasks that failed and were rescued.
    pub rescued: u64,
    /// Failures that the playbook ignores.
    pub ignored: u64,
}

/// A failure of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// It could not be reached.
    pub unreachable: bool,
    /// The task.
    pub task: String,
    /// Ansible's words.
    pub message: String,
    /// How many tasks had ended on the host before.
    pub after: u64,
}

/// Ansible on this machine.
#[async_trait]
pub trait Ansible: Send + Sync {
    /// Starts a playbook, unless it was started before; returns at once. Whether it runs, and how it ended, is asked of
    /// the port [`Process`](super::process::Process), by its token.
    ///
    /// # Errors
    /// Why it could not be started; then it did not run.
    async fn start(&self, play: Play) -> Result<(), Hindrance>;

    /// What a playbook is: the SHA-256 of its text, and of its roles. None: nothing is read in this world.
    ///
    /// # Errors
    /// Why it cannot be read.
    async fn fingerprint(&self, _playbook: &str) -> Result<Option<String>, Hindrance> {
        Ok(None)
    }

    /// What it told so far; nothing where nothing is kept of it.
    ///
    /// # Errors
    /// Why that cannot be known.
    async fn told(&self, token: &str) -> Result<Told, String>;

    /// Deletes what is kept under this token, of the program too: its result is journaled, nobody will ask again.
    ///
    /// # Errors
    /// Why that cannot be done, or that it still runs.
    async fn forget(&self, token: &str) -> Result<(), String>;
}
