//! Jobs on a host: started at most once, found again by their token.
//!
//! A job has a folder on the host, `/var/lib/runbook/jobs/<token>` (root's, mode 0700; a user who does not become root
//! has `~/.local/state/runbook/jobs/<token>`):
//!
//! | file | written | says |
//! |---|---|---|
//! | `claim` | by the supervisor, synced, then linked exclusively | boot id, process and birth of the supervisor, kind, run |
//! | `out`, `err` | by the job | what it printed |
//! | `code` | by the supervisor: in place, synced, renamed | exit code and the time |
//!
//! The *supervisor* is a small shell in a session of its own that survives the connection and our death. Where systemd
//! runs, it is started by `systemd-run --scope` as the unit `runbook-<token>.scope`, so that it is not ended with the
//! session and shows up under its name; else by `setsid`. It takes in the whole job before it claims it, claims it by a
//! link (of two supervisors one claims), has the claim on the disk before the job begins, and writes the exit code down.
//! So at every instant at which we, the connection or the host may be cut off, one of these holds: no claim, and
//! nothing ran, and a start on its way will not be carried out any more after [`TAKEN`] of the host's own time; or a
//! claim, and no other start will ever do anything. A claim without a code whose supervisor and session are gone, or
//! that is of another boot, is a job that was lost.
//!
//! A job that changes the host takes a lock (`flock` on `/var/lib/runbook/lock`) before it claims anything; who does not
//! get it is told which run has it, and can be started later under the same token.
//!
//! Environment and script come over standard input and are never written to the host's disk. (The scope unit was tested
//! with a stand-in for `systemd-run`, not under a real systemd.)

mod deed;
#[cfg(test)]
mod tests;
pub(crate) mod told;

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Job, Progress},
};

use crate::{
    Hosts,
    shell::quote,
    ssh::{Access, Answer, Call, Rights, fault},
};

const STATE: &str = include_str!("state.sh");
const SUPERVISOR: &str = include_str!("supervisor.sh");
const START: &str = include_str!("start.sh");
const PROGRESS: &str = include_str!("progress.sh");
const END: &str = include_str!("end.sh");
const FORGET: &str = include_str!("forget.sh");

/// How long a start may be on its way: what was held up for longer in some network is not carried out any more.
pub(crate) const TAKEN: Duration = Duration::from_secs(60);

/// How much of what a job printed is read where it ended: what package managers say has to be understood as a whole.
const MOST_OUT: usize = 2 << 20;

/// The same for standard error.
const MOST_ERR: usize = 256 << 10;

impl Hosts {
    pub(crate) async fn begin(&self, host: &Target, job: &Job) -> Result<(), Fault> {
        const CALL: &str = "ssh:start";
        checked(&job.token, CALL)?;
        let access = Access::of(host)?;
        let deed = self.deed(host, job).await?;
        let master = self.pool().master(&access).await?;
        let rooted = master.is_rooted();
        if deed.rights == Rights::Root && !rooted {
            let message = format!("{} says `sudo: none`, and this wants root's rights", host.name);
            return Err(fault(CALL, FaultKind::Denied, message));
        }
        let until = master.uptime().map_or_else(|| "-".to_owned(), |up| (up + TAKEN.as_secs()).to_string());
        // One line each: they are written into files of lines.
        let run: String = job.run.chars().filter(|c| !c.is_control()).collect();
        let places = self.places().assignments(rooted);
        let mut script = places.clone() + STATE;
        for (name, value) in [
            ("rb_token", job.token.as_str()),
            ("rb_run", run.as_str()),
            ("rb_kind_of", deed.kind.as_str()),
            ("rb_only", if job.exclusive { "yes" } else { "no" }),
            ("rb_until", until.as_str()),
            ("rb_after", if deed.reboots { "reboot" } else { "" }),
            ("rb_job", deed.script.as_str()),
            ("rb_supervisor", &format!("{places}{STATE}{SUPERVISOR}")),
        ] {
            script += &format!("{name}={}\n", quote(value));
        }
        // Root's supervisor runs what wants only the user's rights as that user.
        let as_user = rooted && deed.rights == Rights::Login && !master.is_root();
        script += if as_user { "rb_user=$SUDO_USER\n" } else { "rb_user=\n" };
        script += START;
        let answer = self.ask(host, CALL, script, TAKEN).await?;
        let said = answer.stdout.trim();
        let (kind, message) = match said.split_once(' ').unwrap_or((said, "")) {
            ("started" | "already", _) => return Ok(()),
            ("busy", run) => (
                FaultKind::Busy,
                format!("{} is held by run {run}, which changes it now; see `runbook show {run}`", host.name),
            ),
            ("forgotten", _) => (
                FaultKind::Invalid,
                format!("job {} of {} has ended and was forgotten", job.token, host.name),
            ),
            ("late", _) => {
                master.suspect();
                (FaultKind::NotSent, format!("{} took it too late, and did not begin it", host.name))
            }
            ("full", rest) => {
                let (free, disk) = rest.split_once(' ').unwrap_or((rest, "its disk"));
                let (name, folder) = (&host.name, &self.places().state);
                let message = format!(
                    "{name} has no room for the job in {folder}: {free} KiB are free on {disk}; see `df -h` and \
                     `df -i` there"
                );
                (FaultKind::Capacity, message)
            }
            ("unsynced", _) => (
                FaultKind::Capacity,
                format!(
                    "{} could not sync the job's claim in {}, and did not begin it; see `dmesg` there",
                    host.name,
                    self.places().state
                ),
            ),
            ("noflock" | "nosetsid", _) => (
                FaultKind::Target,
                format!("{} has no `{}` (package util-linux)", host.name, said.trim_start_matches("no")),
            ),
            _ => (
                FaultKind::Ambiguous,
                format!("{} does not say whether the job began: {}", host.name, last(&answer.stderr)),
            ),
        };
        Err(fault(CALL, kind, message))
    }

    pub(crate) async fn progress_of(&self, host: &Target, token: &str) -> Result<Progress, Fault> {
        let most = format!("rb_most_out={MOST_OUT}\nrb_most_err={MOST_ERR}\n");
        let answer = self.about("ssh:progress", host, token, &(most + PROGRESS)).await?;
        told::progress(&answer, &host.name, Timestamp::now())
    }

    pub(crate) async fn end_job(&self, host: &Target, token: &str) -> Result<(), Fault> {
        const CALL: &str = "ssh:end";
        match self.about(CALL, host, token, END).await?.stdout.trim() {
            "absent" | "ended" | "lost" | "rebooted" => Ok(()),
            said => {
                let message = format!("job {token} of {} does not end: {said}", host.name);
                Err(fault(CALL, FaultKind::Busy, message))
            }
        }
    }

    pub(crate) async fn forget_job(&self, host: &Target, token: &str) -> Result<(), Fault> {
        const CALL: &str = "ssh:forget";
        let answer = self.about(CALL, host, token, FORGET).await?;
        match answer.stdout.trim() {
            "absent" | "ended" | "lost" | "rebooted" => Ok(()),
            "running" => {
                Err(fault(CALL, FaultKind::Busy, format!("job {token} of {} still runs", host.name)))
            }
            _ => Err(fault(CALL, FaultKind::Target, format!("{}: {}", host.name, last(&answer.stderr)))),
        }
    }

    /// Asks about a job.
    async fn about(
        &self,
        call: &'static str,
        host: &Target,
        token: &str,
        script: &str,
    ) -> Result<Answer, Fault> {
        checked(token, call)?;
        let master = self.pool().master(&Access::of(host)?).await?;
        let places = self.places().assignments(master.is_rooted());
        drop(master);
        let script = format!("{places}{STATE}rb_token={}\n{script}", quote(token));
        self.ask(host, call, script, TAKEN).await
    }

    /// A script of ours, with root's rights where they are to be had.
    async fn ask(
        &self,
        host: &Target,
        name: &'static str,
        script: String,
        within: Duration,
    ) -> Result<Answer, Fault> {
        let call = Call { name, script: &script, rights: Rights::Root, within, keep: MOST_OUT + 4_096 };
        let answer = self.call(host, &call).await?;
        if answer.code.is_none() {
            let message = format!("{} took longer than {} s over it", host.name, within.as_secs());
            return Err(fault(name, FaultKind::Ambiguous, message));
        }
        Ok(answer)
    }
}

/// A token becomes the name of a folder and of a unit.
fn checked(token: &str, call: &'static str) -> Result<(), Fault> {
    let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && !token.is_empty() && token.len() <= 64 && !token.starts_with('-') {
        return Ok(());
    }
    let message = format!("`{}` cannot be the token of a job", token.escape_debug());
    Err(fault(call, FaultKind::Invalid, message))
}

/// The last line of what was said.
pub(crate) fn last(said: &str) -> &str {
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("not a word")
}
