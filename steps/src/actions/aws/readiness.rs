//! The readiness gate (promise 2): before the first change of a wave its way back is looked at once more, in AWS itself.
//!
//! A backup that was complete an hour ago may be deleted, expired or in error now, and a right that nobody needed until
//! now may be missing just when a machine is down. So, for all machines of the wave together: every backup is there and
//! usable, every volume that it is of is where it was, and every call of the restore is allowed (`rights` says how that
//! is seen). Quotas are not looked at: AWS asks for rights of its own to read them. Nothing is changed.

mod rights;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde_json::Value;

use super::{
    errand::clock,
    kept::Kept,
    patience::read,
    restore::{
        choice::{Backup as Made, Strategy},
        facts_of,
    },
};
use crate::{
    action::Failure,
    context::{Context, StopReason},
    ports::{
        backup::Backup,
        ec2::{Ec2, Instance, Snapshot, Which},
        fault::{Fault, FaultKind},
        ssm::Ssm,
    },
};

/// A machine that is about to be changed for the first time.
#[derive(Clone, Debug)]
pub struct Precaution {
    /// The machine.
    pub target: Arc<Target>,
    /// The outputs of its backup.
    pub backup: Arc<Value>,
    /// How it would be restored: the strategy that the plan chose; `auto` where it chose none.
    pub strategy: String,
}

/// A machine with its backup.
struct Machine {
    target: Arc<Target>,
    kept: Kept,
    strategy: Strategy,
}

impl Machine {
    /// What a machine would be restored with.
    ///
    /// # Errors
    /// Why its restore could not begin.
    fn of(precaution: &Precaution) -> Result<Self, String> {
        let kept = Kept::read(&precaution.backup)
            .ok_or("its backup names neither snapshots nor a recovery point to restore from")?;
        let strategy = Strategy::named(&precaution.strategy).unwrap_or_else(|| Made::of(&kept).auto());
        strategy.reads(&kept)?;
        Ok(Self { target: Arc::clone(&precaution.target), kept, strategy })
    }
}

/// Machines that are not ready, with the report that says why. Its class says that nothing was applied.
pub type NotReady = BTreeMap<TargetId, Report>;

/// Why the gate cannot look any further.
enum Halt {
    /// The attempt is being stopped.
    Stopped(StopReason),
    /// It ends.
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Looks at the way back of machines; `reboots`: the change is a reboot by EC2. What could not be looked at before the
/// attempt was stopped is not ready.
///
/// # Errors
/// The attempt is given up by this process, or only a person can help.
pub async fn check(ctx: &Context, machines: &[Precaution], reboots: bool) -> Result<NotReady, Failure> {
    let mut homes: BTreeMap<Home, Vec<Machine>> = BTreeMap::new();
    let mut refused = NotReady::new();
    for precaution in machines {
        match Machine::of(precaution) {
            Ok(machine) => homes.entry(machine.target.home.clone()).or_default().push(machine),
            Err(cause) => refuse(&mut refused, &precaution.target.id, &not_ready(&cause)),
        }
    }
    for (home, machines) in &homes {
        let Some(aws) = &ctx.ports.aws else { continue };
        let gate = Gate { ctx, ec2: aws.ec2(home), ssm: aws.ssm(home), backup: aws.backup(home) };
        match gate.check(machines, reboots, &mut refused).await {
            Ok(()) => {}
            Err(Halt::Failed(failure)) => return Err(failure),
            Err(Halt::Stopped(reason)) => {
                let cause = match reason {
                    StopReason::Cancelled => "the run was cancelled while its way back was looked at",
                    _ => "its way back could not be looked at in time",
                };
                machines
                    .iter()
                    .for_each(|machine| refuse(&mut refused, &machine.target.id, &not_ready(cause)));
            }
        }
    }
    Ok(refused)
}

/// The first word on a machine holds.
fn refuse(refused: &mut NotReady, id: &TargetId, report: &Report) {
    refused.entry(id.clone()).or_insert_with(|| report.clone());
}

/// The gate of one account, Region and role.
struct Gate<'a> {
    ctx: &'a Context,
    ec2: Arc<dyn Ec2>,
    ssm: Arc<dyn Ssm>,
    backup: Arc<dyn Backup>,
}

impl Gate<'_> {
    async fn check(&self, machines: &[Machine], reboots: bool, refused: &mut NotReady) -> Result<(), Halt> {
        let unseen = |fault: &Fault, refused: &mut NotReady| {
            let report = not_ready(&format!("its way back cannot be looked at: {fault}"));
            machines.iter().for_each(|machine| refuse(refused, &machine.target.id, &report));
        };
        let snapshots = match self.snapshots(machines).await? {
            Ok(snapshots) => snapshots,
            Err(fault) => {
                unseen(&fault, refused);
                return Ok(());
            }
        };
        let instances = match self.instances(machines).await? {
            Ok(instances) => instances,
            Err(fault) => {
                unseen(&fault, refused);
                return Ok(());
            }
        };
        for machine in machines {
            let id = &machine.target.id;
            let looked = self.look(machine, &snapshots, instances.get(id.as_str()));
            if let Err(cause) = looked {
                refuse(refused, id, &not_ready(&cause));
            } else if let Err(cause) = self.recovery_point(machine).await? {
                refuse(refused, id, &not_ready(&cause));
            }
        }
        self.missing_rights(machines, &instances, reboots, refused).await
    }

    async fn snapshots(&self, machines: &[Machine]) -> Result<Result<Known<Snapshot>, Fault>, Halt> {
        let ids: BTreeSet<_> = machines.iter().flat_map(|machine| machine.kept.snapshots.clone()).collect();
        if ids.is_empty() {
            return Ok(Ok(Known::new()));
        }
        let which = Which::Ids(ids.into_iter().collect());
        let seen = self.asked("snapshots", || self.ec2.snapshots(&which)).await?;
        Ok(seen.map(|seen| seen.into_iter().map(|one| (one.id.clone(), one)).collect()))
    }

    async fn instances(&self, machines: &[Machine]) -> Result<Result<Known<Instance>, Fault>, Halt> {
        let ids: Vec<_> = machines.iter().map(|machine| machine.target.id.clone()).collect();
        let seen = self.asked("instances", || self.ec2.instances(&ids)).await?;
        Ok(seen.map(|seen| seen.into_iter().map(|one| (one.id.clone(), one)).collect()))
    }

    /// Whether a machine and its snapshots are as its restore needs them.
    fn look(
        &self,
        machine: &Machine,
        snapshots: &Known<Snapshot>,
        instance: Option<&Instance>,
    ) -> Result<(), String> {
        let kept = &machine.kept;
        if let Some(at) = kept.expires.filter(|at| *at <= self.ctx.now()) {
            return Err(format!("its backup was kept until {} only", clock(at)));
        }
        for id in &kept.snapshots {
            match snapshots.get(id) {
                None => return Err(format!("{id} of its backup is gone")),
                Some(seen) if seen.state != "completed" => {
                    let why = seen.message.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
                    return Err(format!("{id} of its backup is {}{why}, not completed", seen.state));
                }
                Some(_) => {}
            }
        }
        let instance = instance.ok_or("EC2 does not know the machine")?;
        machine.strategy.fits(&facts_of(instance), Made::of(kept))?;
        if machine.strategy == Strategy::BackupRestore {
            return Ok(());
        }
        if machine.strategy == Strategy::ReplaceRootVolume && instance.state != "running" {
            // A root volume is replaced on a running instance only (facts: Replacing a root volume).
            return Err(format!(
                "the instance is {}, and only a running one can be restored",
                instance.state
            ));
        }
        let wanted =
            kept.volumes.iter().filter(|volume| machine.strategy == Strategy::SwapVolumes || volume.root);
        for volume in wanted {
            let held = instance.volumes.iter().find(|held| held.volume == volume.volume);
            match held {
                Some(held) if held.state == "attached" && held.device == volume.device => {}
                Some(held) => {
                    let (id, device, state) = (&volume.volume, &held.device, &held.state);
                    return Err(format!(
                        "{id} of its backup is {state} as {device}, not as {}",
                        volume.device
                    ));
                }
                None => {
                    let (id, device) = (&volume.volume, &volume.device);
                    return Err(format!("{id} of its backup is not attached any more as {device}"));
                }
            }
        }
        Ok(())
    }

    async fn recovery_point(&self, machine: &Machine) -> Result<Result<(), String>, Halt> {
        let Some(arn) = &machine.kept.recovery_point else { return Ok(Ok(())) };
        let vault = machine.kept.vault.as_deref().unwrap_or("Default");
        Ok(match self.asked("recovery point", || self.backup.recovery_point(vault, arn)).await? {
            Ok(point) if matches!(point.status.as_str(), "COMPLETED" | "AVAILABLE") => Ok(()),
            Ok(point) => Err(format!("{arn} is {}, not usable", point.status)),
            Err(fault) if fault.kind == FaultKind::NotFound => Err(format!("{arn} is gone")),
            Err(fault) => Err(format!("its way back cannot be looked at: {fault}")),
        })
    }

    /// Asks until there is an answer.
    async fn asked<T, F>(&self, what: &str, call: impl FnMut() -> F) -> Result<Result<T, Fault>, Halt>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let answered = read(self.ctx, self.ctx.token(what, "ready"), call).await?;
        answered.ok_or_else(|| Halt::Stopped(self.ctx.stopping()))
    }
}

/// What was seen, by id.
type Known<T> = BTreeMap<String, T>;

/// Nothing was applied, and nothing will be.
fn not_ready(cause: &str) -> Report {
    let cause = format!("{cause}, so it was not changed");
    Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause)
}
