//! What the callback plugin writes, line by line.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::ports::ansible::{Counts, Told, Trouble};

/// More tasks that changed something than anybody reads of one host.
const CHANGES: usize = 50;

/// A line.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    /// The playbook was read without error.
    Loaded,
    /// A host is not where the plan has it, and nothing is begun.
    Elsewhere { message: String },
    /// A play began on a batch of hosts.
    Play {
        /// Its number: batches of one play have the same.
        play: u64,
        /// All hosts that it is for; absent: the plugin could not tell.
        hosts: Option<Vec<String>>,
    },
    /// Ansible gives up the hosts of the batch.
    Cut,
    /// A task began on a host.
    Began { host: String, task: String },
    /// It ended well, or was skipped.
    Ended {
        host: String,
        task: String,
        #[serde(default)]
        changed: bool,
    },
    /// It failed.
    Failed {
        host: String,
        task: String,
        #[serde(default)]
        ignored: bool,
        #[serde(default)]
        fatal: bool,
        #[serde(default)]
        message: String,
    },
    /// The host could not be reached for it.
    Unreachable {
        host: String,
        task: String,
        #[serde(default)]
        fatal: bool,
        #[serde(default)]
        message: String,
    },
    /// The playbook came to its own end.
    Stats {
        hosts: BTreeMap<String, Sums>,
        /// Plays that never began.
        #[serde(default)]
        unplayed: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Sums {
    ok: u64,
    changed: u64,
    failures: u64,
    unreachable: u64,
    skipped: u64,
    rescued: u64,
    ignored: u64,
}

/// The play that events belong to.
#[derive(Debug, Default)]
struct Playing {
    play: u64,
    /// All hosts that it is for.
    meant: BTreeSet<String>,
    /// Hosts of any of its batches on which a task began.
    seen: BTreeSet<String>,
    /// Those of the batch that runs.
    batch: BTreeSet<String>,
    /// Ansible gave the batch up.
    cut: bool,
}

/// Reads all whole lines. One that nobody understands is left out, so that nothing follows from it: what is not told of
/// a host counts as not done.
pub fn read(lines: &[u8]) -> Told {
    let mut told = Told::default();
    let mut playing = Playing::default();
    for line in lines.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice(line) {
            Ok(event) => take(&mut told, &mut playing, event),
            Err(error) => tracing::warn!(%error, "a line of the callback plugin cannot be understood"),
        }
    }
    told
}

fn take(told: &mut Told, playing: &mut Playing, event: Event) {
    match event {
        Event::Loaded => told.loaded = true,
        Event::Elsewhere { message } => told.elsewhere = Some(message),
        Event::Play { play, hosts } => {
            end_batch(told, playing);
            if play != playing.play {
                *playing = Playing { play, ..Playing::default() };
            }
            playing.meant.extend(hosts.into_iter().flatten());
        }
        Event::Cut => playing.cut = true,
        Event::Began { host, task } => {
            playing.seen.insert(host.clone());
            playing.batch.insert(host.clone());
            let host = told.hosts.entry(host).or_default();
            host.began += 1;
            host.running = Some(task);
        }
        Event::Ended { host, task, changed } => {
            let host = told.hosts.entry(host).or_default();
            host.running = None;
            host.ended += 1;
            if changed && host.changes.len() < CHANGES && !host.changes.contains(&task) {
                host.changes.push(task);
            }
        }
        Event::Failed { host, task, ignored, fatal, message } => {
            playing.cut |= fatal;
            fail(told, host, ignored, |after| Trouble { unreachable: false, task, message, after });
        }
        Event::Unreachable { host, task, fatal, message } => {
            playing.cut |= fatal;
            fail(told, host, false, |after| Trouble { unreachable: true, task, message, after });
        }
        Event::Stats { hosts, unplayed } => {
            told.finished = true;
            end_batch(told, playing);
            for (host, sums) in hosts {
                let Sums { ok, changed, failures, unreachable, skipped, rescued, ignored } = sums;
                let counts = Counts { ok, changed, failures, unreachable, skipped, rescued, ignored };
                told.hosts.entry(host).or_default().counts = Some(counts);
            }
            end(told, playing, &unplayed);
        }
    }
}

fn fail(told: &mut Told, host: String, ignored: bool, trouble: impl FnOnce(u64) -> Trouble) {
    let host = told.hosts.entry(host).or_default();
    host.running = None;
    let after = host.ended;
    if ignored {
        host.ended += 1;
    } else if host.trouble.is_none() {
        host.trouble = Some(trouble(after));
    }
}

/// Where Ansible gave a batch up, its final counts say nothing of that for the hosts that had not failed.
fn end_batch(told: &mut Told, playing: &mut Playing) {
    let batch = std::mem::take(&mut playing.batch);
    if std::mem::take(&mut playing.cut) {
        for host in batch {
            give_up(told, &host);
        }
    }
}

/// Where a whole batch failed, Ansible leaves out the batches and plays that follow. Their hosts may have come through
/// an earlier play, and then have final counts without a failure.
fn end(told: &mut Told, playing: &Playing, unplayed: &[String]) {
    if told.hosts.values().all(|host| host.trouble.is_none()) {
        return;
    }
    let left_out: Vec<String> = if unplayed.is_empty() {
        playing.meant.difference(&playing.seen).cloned().collect()
    } else {
        told.hosts.keys().cloned().collect()
    };
    // A play whose tasks were all left out by their tags begins on nobody.
    if !unplayed.is_empty() || !playing.seen.is_empty() {
        for host in left_out {
            give_up(told, &host);
        }
    }
}

fn give_up(told: &mut Told, host: &str) {
    if let Some(host) = told.hosts.get_mut(host).filter(|host| host.trouble.is_none()) {
        host.cut = true;
    }
}
