//! What a playbook's end means for each of its hosts.
//!
//! Ansible's exit code is 0 where failures were rescued, where no host matched, and where hosts were left out; it is 4
//! where a host was unreachable and where the playbook cannot be read (facts: Ansible). So it only says that
//! something is wrong where nothing else does; a host has worked when Ansible's own final counts for it say so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    fanout::Done,
    ports::{
        ansible::{Counts, HostTold, Told, Trouble},
        process::Ended,
    },
    program::End,
};

/// As much of a message as a cause holds. What is cut is as long as this, which is where the journal begins to look for
/// secrets that were cut too.
const WORDS: usize = 1_000;

/// What Ansible calls the task that it puts before all others itself: it only reads.
const GATHERING: &str = "Gathering Facts";

/// What a shell exits with when a program is not there, or cannot be run.
const NOT_RUN: [i32; 2] = [126, 127];

/// How one host came out, as a checkpoint keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    outcome: Outcome,
    class: Option<ErrorClass>,
    cause: Option<String>,
    finished_at: Option<Timestamp>,
    outputs: Option<Value>,
}

impl Verdict {
    fn of(outcome: Outcome, class: ErrorClass, cause: impl Into<String>) -> Self {
        let cause: String = cause.into().chars().take(WORDS).collect();
        Self { outcome, class: Some(class), cause: Some(cause), finished_at: None, outputs: None }
    }

    fn failed(cause: impl Into<String>) -> Self {
        Self::of(Outcome::Failed, ErrorClass::Failed, cause)
    }

    /// It failed, and nothing was done on the host.
    fn untouched(cause: impl Into<String>) -> Self {
        Self::of(Outcome::Failed, ErrorClass::Undeliverable, cause)
    }

    /// Why it did not succeed; none: it did.
    pub(super) fn into_cause(self) -> Option<String> {
        self.cause
    }

    pub(super) fn done(self) -> Done {
        let mut report = match (self.class, self.cause) {
            (Some(class), Some(cause)) => Report::failed(self.outcome, class, cause),
            _ => Report::succeeded(),
        };
        report.finished_at = self.finished_at;
        Done { report, outputs: self.outputs }
    }
}

/// Whether nobody can say how far it came: it may be run again only where that does no harm.
pub(super) fn is_unclear(end: &End, told: &Told) -> bool {
    match end {
        End::Lost => true,
        End::Ended(_) => told.loaded && !told.finished && told.elsewhere.is_none(),
        End::Killed(_) => false,
    }
}

/// Whether it is certain that it touched nobody.
pub(super) fn was_not_begun(end: &End, told: &Told) -> bool {
    told.elsewhere.is_some() || !told.loaded && matches!(end, End::Ended(ended) if ended.code != 0)
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub program: &'a str,
    pub playbook: &'a str,
    /// Nothing was to be changed.
    pub check: bool,
    /// It does no harm to run it again.
    pub repeatable: bool,
    pub hosts: &'a [TargetId],
}

/// How each host came out.
pub(super) fn judge(asked: Asked<'_>, end: &End, told: &Told) -> BTreeMap<TargetId, Verdict> {
    let ended = match end {
        End::Ended(ended) | End::Killed(Some(ended)) => Some(ended),
        End::Killed(None) | End::Lost => None,
    };
    if let Some(why) = &told.elsewhere {
        let cause = format!("{} was not begun: {why}", asked.playbook);
        return asked.hosts.iter().map(|host| (host.clone(), Verdict::untouched(cause.clone()))).collect();
    }
    let nothing = HostTold::default();
    let mut verdicts: BTreeMap<TargetId, Verdict> = asked
        .hosts
        .iter()
        .map(|host| {
            let heard = told.hosts.get(host.as_str()).unwrap_or(&nothing);
            let mut verdict = match (end, told.loaded, told.finished) {
                (_, true, true) => finished(asked, host, heard, ended),
                (End::Ended(ended), false, _) => not_begun(asked, ended),
                (End::Lost, false, _) => lost(asked),
                _ => broken_off(asked, end, heard),
            };
            verdict.finished_at = ended.and_then(|ended| ended.ended_at);
            verdict.outputs = outputs(heard);
            (host.clone(), verdict)
        })
        .collect();
    // Something is wrong that no host shows.
    if let End::Ended(ended) = end
        && ended.code != 0
        && verdicts.values().all(|verdict| verdict.outcome == Outcome::Succeeded)
    {
        let words = words(ended);
        let cause = format!("{} exited with {}, though no host failed{words}", asked.program, ended.code);
        for verdict in verdicts.values_mut() {
            *verdict = Verdict { outputs: verdict.outputs.take(), ..Verdict::failed(cause.clone()) };
        }
    }
    verdicts
}

/// It was never read without error, and so touched nobody.
fn not_begun(asked: Asked<'_>, ended: &Ended) -> Verdict {
    let Asked { program, playbook, .. } = asked;
    if NOT_RUN.contains(&ended.code) {
        return Verdict::untouched(format!(
            "`{program}` cannot be run on this machine: install ansible-core, or say by `program` where it is"
        ));
    }
    if ended.code == 0 {
        // Not seen so far: what it did, it did without our plugin.
        let cause = format!("{program} ended without a word about the hosts of {playbook}");
        return Verdict::of(Outcome::Unknown, ErrorClass::Failed, cause);
    }
    let words = words(ended);
    Verdict::untouched(format!(
        "{program} did not begin with {playbook}: it exited with {}{words}",
        ended.code
    ))
}

/// It was started, and nothing else is known.
fn lost(asked: Asked<'_>) -> Verdict {
    let cause = format!("{} was started, and nobody saw its end: this machine went down", asked.playbook);
    if asked.check {
        Verdict::failed(cause)
    } else {
        Verdict::of(Outcome::Unknown, ErrorClass::Failed, cause)
    }
}

/// It came to its own end.
fn finished(asked: Asked<'_>, host: &TargetId, heard: &HostTold, ended: Option<&Ended>) -> Verdict {
    let playbook = asked.playbook;
    let Some(counts) = heard.counts else {
        if let Some(trouble) = &heard.trouble {
            return troubled(asked, trouble);
        }
        let unknown = format!("ignoring: {host}");
        let known =
            !ended.is_some_and(|ended| ended.stderr.lines().any(|line| line.trim_end().ends_with(&unknown)));
        let why = if known {
            "no play of it works on this host, or all hosts before it failed"
        } else {
            "the inventory does not have it"
        };
        return Verdict::untouched(format!("{playbook} did not reach {host}: {why}"));
    };
    if let Some(trouble) = heard.trouble.as_ref().filter(|trouble| trouble.unreachable || counts.failures > 0)
    {
        return troubled(asked, trouble);
    }
    let Counts { failures, unreachable, rescued, .. } = counts;
    if failures > 0 || unreachable > 0 {
        return Verdict::failed(format!("a task of {playbook} failed"));
    }
    if rescued > 0 {
        let (task, message) =
            heard.trouble.as_ref().map_or(("a task", ""), |trouble| (&trouble.task, &trouble.message));
        return Verdict::failed(format!(
            "{} failed, and {playbook} rescued it{}",
            named(task),
            after(message)
        ));
    }
    if heard.cut {
        return Verdict::failed(format!(
            "{playbook} gave this host up because of others that failed; it did not do everything here"
        ));
    }
    Verdict { outcome: Outcome::Succeeded, class: None, cause: None, finished_at: None, outputs: None }
}

/// A failure of the host itself.
fn troubled(asked: Asked<'_>, trouble: &Trouble) -> Verdict {
    let Trouble { unreachable, task, message, after: earlier } = trouble;
    if !unreachable {
        return Verdict::failed(format!("{} failed{}", named(task), after(message)));
    }
    let cause = format!("unreachable for {}{}", named(task), after(message));
    let nothing_sent = never_connected(message);
    // What was sent may run on, be it the first task: only where that does no harm may it be sent again.
    let harmless = asked.check || asked.repeatable || task == GATHERING;
    match (nothing_sent, *earlier) {
        (true, 0) => Verdict::of(Outcome::Unreachable, ErrorClass::Undeliverable, cause),
        (false, _) if !harmless => {
            let cause = format!("the connection broke while {} may run on{}", named(task), after(message));
            Verdict::of(Outcome::Unknown, ErrorClass::Failed, cause)
        }
        _ => Verdict::of(Outcome::Unreachable, ErrorClass::Transient, cause),
    }
}

/// Whether these words of ssh prove that nothing was sent to the host.
fn never_connected(message: &str) -> bool {
    const PROOFS: [&str; 8] = [
        "Connection refused",
        "Connection timed out",
        "No route to host",
        "Network is unreachable",
        "Could not resolve hostname",
        "Permission denied (",
        "Host key verification failed",
        "kex_exchange_identification",
    ];
    PROOFS.iter().any(|proof| message.contains(proof))
}

/// It ended, or was ended, before it was through.
fn broken_off(asked: Asked<'_>, end: &End, heard: &HostTold) -> Verdict {
    let playbook = asked.playbook;
    // A failure before that was rescued: what runs now is what matters.
    let at_work = heard.running.is_some() && !asked.check;
    if let Some(trouble) = heard.trouble.as_ref().filter(|_| !at_work) {
        return troubled(asked, trouble);
    }
    let how = match end {
        End::Killed(_) => "did not end in time and was ended".to_owned(),
        End::Ended(ended) => format!("ended early, with exit code {}{}", ended.code, words(ended)),
        End::Lost => {
            "was started, and nobody saw its end: this machine went down, or it was killed".to_owned()
        }
    };
    let (outcome, class) = match end {
        End::Killed(_) => (Outcome::TimedOut, ErrorClass::TimedOut),
        End::Ended(_) | End::Lost => (Outcome::Failed, ErrorClass::Failed),
    };
    match &heard.running {
        Some(task) if !asked.check => {
            let cause = format!("{playbook} {how}; {} may run on", named(task));
            Verdict::of(Outcome::Unknown, class, cause)
        }
        None if heard.began == 0 => {
            Verdict::of(outcome, ErrorClass::Undeliverable, format!("{playbook} {how} before it began here"))
        }
        _ => Verdict::of(outcome, class, format!("{playbook} {how}")),
    }
}

fn named(task: &str) -> String {
    if task == "a task" { task.to_owned() } else { format!("the task `{task}`") }
}

fn after(message: &str) -> String {
    let first: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    if first.is_empty() { String::new() } else { format!(": {}", first.join(" ")) }
}

/// What Ansible says is wrong: its first error, else its last line.
fn words(ended: &Ended) -> String {
    let lines = || ended.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let error =
        lines().find_map(|line| line.strip_prefix("[ERROR]: ").or_else(|| line.strip_prefix("ERROR! ")));
    error.or_else(|| lines().next_back()).map_or_else(String::new, |line| format!(": {line}"))
}

fn outputs(heard: &HostTold) -> Option<Value> {
    let Counts { ok, changed, skipped, rescued, ignored, .. } = heard.counts?;
    Some(json!({
        "ok": ok, "changed": changed, "skipped": skipped, "rescued": rescued, "ignored": ignored,
        "changes": heard.changes,
    }))
}

#[cfg(test)]
mod tests;
