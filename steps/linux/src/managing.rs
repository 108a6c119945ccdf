//! Package managers and facts, asked over the connection.

use std::time::Duration;

use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Change, Deed, Facts, Job, Manager, Order, Package, Update, Verdict},
};

use crate::{
    Hosts, facts,
    jobs::last,
    packages::{self, Kind, Printed, Work},
    shell::quote,
    ssh::{Access, Answer, Call, Rights, fault},
};

/// How long a host may take over a question: advisories of a distribution are read by some managers for minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a host may answer at most: a list of 10,000 packages is about 1 MB.
const MOST: usize = 32 << 20;

const MANAGERS: [Manager; 5] = [Manager::Apt, Manager::Dnf, Manager::Dnf5, Manager::Yum, Manager::Zypper];

const KINDS: [(Kind, &str); 4] =
    [(Kind::Refresh, "refresh"), (Kind::Install, "install"), (Kind::Repair, "repair"), (Kind::Keep, "keep")];

impl Hosts {
    pub(crate) async fn facts_of(&self, host: &Target) -> Result<Facts, Fault> {
        const CALL: &str = "ssh:facts";
        let printed = self.printed(CALL, host, facts::SCRIPT).await?;
        let read = facts::read(&printed.stdout);
        let facts = read.map_err(|why| {
            let said = if printed.stderr.trim().is_empty() { "" } else { last(&printed.stderr) };
            let message = format!("{} is not understood: {why} {said}", host.name);
            fault(CALL, FaultKind::Target, message.trim_end())
        })?;
        let master = self.pool().master(&Access::of(host)?).await?;
        let _ = master.manager().set(facts.manager);
        Ok(facts)
    }

    /// What installs packages on a host, which is asked once for each connection.
    pub(crate) async fn manager(&self, host: &Target) -> Result<Manager, Fault> {
        let master = self.pool().master(&Access::of(host)?).await?;
        match master.manager().get() {
            Some(manager) => Ok(*manager),
            None => Ok(self.facts_of(host).await?.manager),
        }
    }

    pub(crate) async fn installed(&self, host: &Target) -> Result<Vec<Package>, Fault> {
        const CALL: &str = "ssh:packages";
        let manager = packages::of(self.manager(host).await?);
        let printed = self.printed(CALL, host, &manager.packages()).await?;
        let why = match printed.code {
            0 => match manager.read_packages(&printed.stdout) {
                Ok(packages) => return Ok(packages),
                Err(why) => why,
            },
            code => format!("exit code {code}: {}", last(&printed.stderr)),
        };
        Err(fault(CALL, FaultKind::Target, format!("the packages of {} are not to be had: {why}", host.name)))
    }

    pub(crate) async fn newer(&self, host: &Target) -> Result<Vec<Update>, Fault> {
        const CALL: &str = "ssh:pending";
        let manager = packages::of(self.manager(host).await?);
        let printed = self.printed(CALL, host, &manager.pending()).await?;
        manager.read_pending(&printed).map_err(|(verdict, why)| said(CALL, host, verdict, &why))
    }

    pub(crate) async fn rehearsed(&self, host: &Target, order: &Order) -> Result<Vec<Change>, Fault> {
        const CALL: &str = "ssh:rehearse";
        let manager = packages::of(self.manager(host).await?);
        let printed = self.printed(CALL, host, &manager.rehearse(order)).await?;
        manager.read_rehearsal(&printed).map_err(|(verdict, why)| said(CALL, host, verdict, &why))
    }

    /// Runs a script that asks, with root's rights, and gives all that it printed.
    async fn printed(&self, name: &'static str, host: &Target, script: &str) -> Result<Printed, Fault> {
        let call = Call { name, script, rights: Rights::Root, within: PATIENCE, keep: MOST };
        let Answer { code, stdout, stderr, cut } = self.call(host, &call).await?;
        let Some(code) = code else {
            let message = format!("{} did not answer within {} s", host.name, PATIENCE.as_secs());
            return Err(fault(name, FaultKind::Ambiguous, message));
        };
        if cut {
            let message = format!("{} printed more than {} MB", host.name, MOST >> 20);
            return Err(fault(name, FaultKind::Target, message));
        }
        Ok(Printed { code, stdout, stderr })
    }
}

/// Why a package manager does not do it.
fn said(call: &'static str, host: &Target, verdict: Verdict, why: &str) -> Fault {
    let kind = match verdict {
        Verdict::Missing => FaultKind::NotFound,
        Verdict::Refused => FaultKind::Invalid,
        Verdict::Locked => FaultKind::Busy,
        Verdict::DiskFull => FaultKind::Capacity,
        Verdict::Done | Verdict::Partly | Verdict::Failed => FaultKind::Target,
    };
    fault(call, kind, format!("{}: {why}", host.name))
}

/// The work of a job, and its script.
pub(crate) fn job(manager: Manager, job: &Job) -> (Kind, String) {
    let does = packages::of(manager);
    let marker = job.token.as_str();
    match &job.deed {
        Deed::Install(order) => (Kind::Install, does.job(&Work::Install { order, marker })),
        Deed::Repair { lock_wait } => (Kind::Repair, does.job(&Work::Repair { lock_wait: *lock_wait })),
        Deed::Keep { packages, .. } => {
            let folder = packages::kept_folder(marker);
            let quoted = quote(&folder);
            let script = does.job(&Work::Keep { packages, folder: &folder });
            // Others may read what package managers read as users of their own.
            let made =
                format!("rm -rf -- {quoted} && mkdir -p -- {quoted} && chmod 755 -- {quoted} || exit 1\n");
            (Kind::Keep, made + &script)
        }
        Deed::Refresh { lock_wait } => (Kind::Refresh, does.job(&Work::Refresh { lock_wait: *lock_wait })),
        _ => unreachable!("only these four are work of a package manager"),
    }
}

/// What is kept with the job, so that another process can understand its end.
pub(crate) fn written(manager: Manager, work: Kind) -> String {
    let kind = KINDS.iter().find(|(kind, _)| *kind == work).map_or("", |(_, word)| word);
    format!("{}:{kind}", manager.as_str())
}

/// Reads it.
pub(crate) fn read(written: &str) -> Option<(Manager, Kind)> {
    let (manager, work) = written.split_once(':')?;
    let manager = MANAGERS.into_iter().find(|known| known.as_str() == manager)?;
    KINDS.iter().find(|(_, word)| *word == work).map(|(kind, _)| (manager, *kind))
}

#[cfg(test)]
mod tests {
    use super::{KINDS, MANAGERS, read, written};

    #[test]
    fn what_is_kept_with_a_job_is_understood_later() {
        for manager in MANAGERS {
            for (work, _) in KINDS {
                assert_eq!(read(&written(manager, work)), Some((manager, work)));
            }
        }
        assert_eq!(read("script"), None);
        assert_eq!(read("pkg:install"), None);
    }
}
