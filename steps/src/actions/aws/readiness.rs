//! The readiness gate (promise 2): before the first change of a wave its way back is looked at once more, in AWS itself.
//!
//! A backup that was complete an hour ago may be deleted, expired or in error now, and a right that nobody needed until
//! now may be missing just when a machine is down. So, for all machines of the wave together: every backup is there and
//! usable, every volume that it is of is where it was, and every call of the restore is allowed: what it reads is read
//! here too, and what it changes is proved by `DryRun` where AWS has it (DOMAIN 0.4). AWS has none for AWS Backup
//! (`backup:StartRestoreJob` and the `iam:PassRole` that goes with it), and asks for rights of its own to read quotas:
//! neither is proved here. Nothing is changed.

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
    kept::{Kept, KeptVolume},
    marks,
    patience::read,
    restore::{Wanted, choice::Strategy, like, look},
};
use crate::{
    action::Failure,
    context::Context,
    ports::{
        backup::Backup,
        ec2::{Attachment, CreateVolume, Ec2, Instance, Proof, ReplaceRootVolume, Snapshot, Which},
        fault::{Fault, FaultKind},
    },
};

/// How many machines one Stop, Start or Reboot takes.
const SHARED: usize = 50;

/// A machine that is about to be changed for the first time.
#[derive(Clone, Debug)]
pub struct Precaution {
    /// The machine.
    pub target: Arc<Target>,
    /// The outputs of its backup.
    pub backup: Value,
    /// How it would be restored: the strategy that the plan chose; `auto` where it chose none.
    pub strategy: String,
}

/// A machine with its backup.
struct Machine {
    target: Arc<Target>,
    kept: Kept,
    strategy: Strategy,
}

/// Machines that are not ready, with the report that says why. Its class says that nothing was applied.
pub type NotReady = BTreeMap<TargetId, Report>;

/// Looks at the way back of machines; `reboots`: the change is a reboot by EC2.
///
/// # Errors
/// The attempt is being stopped, or only a person can help.
pub async fn check(ctx: &Context, machines: &[Precaution], reboots: bool) -> Result<NotReady, Failure> {
    let mut homes: BTreeMap<Home, Vec<Machine>> = BTreeMap::new();
    for Precaution { target, backup, strategy } in machines {
        let Some(kept) = Kept::read(backup) else { continue };
        let strategy =
            Strategy::named(strategy).unwrap_or(match (&kept.recovery_point, kept.volumes.len()) {
                (Some(_), _) => Strategy::BackupRestore,
                (None, 0 | 1) => Strategy::ReplaceRootVolume,
                (None, _) => Strategy::SwapVolumes,
            });
        let machine = Machine { target: Arc::clone(target), kept, strategy };
        homes.entry(target.home.clone()).or_default().push(machine);
    }
    let mut refused = NotReady::new();
    for (home, machines) in &homes {
        let Some(aws) = &ctx.ports.aws else { continue };
        let gate = Gate { ctx, ec2: aws.ec2(home), backup: aws.backup(home) };
        refused.extend(gate.check(machines, reboots).await?);
    }
    Ok(refused)
}

/// The gate of one account, Region and role.
struct Gate<'a> {
    ctx: &'a Context,
    ec2: Arc<dyn Ec2>,
    backup: Arc<dyn Backup>,
}

impl Gate<'_> {
    async fn check(&self, machines: &[Machine], reboots: bool) -> Result<NotReady, Failure> {
        let all = |cause: &str| -> NotReady {
            machines.iter().map(|machine| (machine.target.id.clone(), not_ready(cause))).collect()
        };
        let mut refused = NotReady::new();
        let snapshots = match self.snapshots(machines).await? {
            Ok(snapshots) => snapshots,
            Err(fault) => return Ok(all(&unseen(&fault))),
        };
        let instances = match self.instances(machines).await? {
            Ok(instances) => instances,
            Err(fault) => return Ok(all(&unseen(&fault))),
        };
        for machine in machines {
            let looked = self.look(machine, &snapshots, instances.get(machine.target.id.as_str()));
            if let Err(cause) = looked {
                refused.insert(machine.target.id.clone(), not_ready(&cause));
            } else if let Err(cause) = self.recovery_point(machine).await? {
                refused.insert(machine.target.id.clone(), not_ready(&cause));
            }
        }
        let ready: Vec<_> =
            machines.iter().filter(|machine| !refused.contains_key(&machine.target.id)).collect();
        if let Some(fault) = self.missing_right(&ready, &instances, reboots).await? {
            let cause = format!("not changed, because it could not be restored: {fault}");
            let report = Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause);
            refused.extend(ready.iter().map(|machine| (machine.target.id.clone(), report.clone())));
        }
        Ok(refused)
    }

    async fn snapshots(&self, machines: &[Machine]) -> Result<Result<Known<Snapshot>, Fault>, Failure> {
        let ids: BTreeSet<_> = machines.iter().flat_map(|machine| machine.kept.snapshots.clone()).collect();
        if ids.is_empty() {
            return Ok(Ok(Known::new()));
        }
        let which = Which::Ids(ids.into_iter().collect());
        let seen = self.asked("snapshots", || self.ec2.snapshots(&which)).await?;
        Ok(seen.map(|seen| seen.into_iter().map(|one| (one.id.clone(), one)).collect()))
    }

    async fn instances(&self, machines: &[Machine]) -> Result<Result<Known<Instance>, Fault>, Failure> {
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
        if machine.strategy == Strategy::BackupRestore {
            return Ok(());
        }
        if machine.strategy == Strategy::ReplaceRootVolume && instance.state != "running" {
            // A root volume is replaced on a running instance only (DOMAIN 4.4).
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

    async fn recovery_point(&self, machine: &Machine) -> Result<Result<(), String>, Failure> {
        let Some(arn) = &machine.kept.recovery_point else { return Ok(Ok(())) };
        let vault = machine.kept.vault.as_deref().unwrap_or("Default");
        Ok(match self.asked("recovery point", || self.backup.recovery_point(vault, arn)).await? {
            Ok(point) if matches!(point.status.as_str(), "COMPLETED" | "AVAILABLE") => Ok(()),
            Ok(point) => Err(format!("{arn} is {}, not usable", point.status)),
            Err(fault) if fault.kind == FaultKind::NotFound => Err(format!("{arn} is gone")),
            Err(fault) => Err(unseen(&fault)),
        })
    }

    /// The first right that the restore of these machines needs and does not have.
    async fn missing_right(
        &self,
        machines: &[&Machine],
        instances: &Known<Instance>,
        reboots: bool,
    ) -> Result<Option<Fault>, Failure> {
        for right in self.rights(machines, instances, reboots) {
            // What else is said says nothing of rights: it is seen when it matters.
            if let Err(fault) = self.asked(right.call(), || self.ec2.prove(&right)).await?
                && fault.kind == FaultKind::Denied
            {
                return Ok(Some(fault));
            }
        }
        if let Err(fault) = self.reads(machines).await?
            && fault.kind == FaultKind::Denied
        {
            return Ok(Some(fault));
        }
        Ok(None)
    }

    /// Reads what the restores of these machines will read: one machine stands for all that go the same way.
    async fn reads(&self, machines: &[&Machine]) -> Result<Result<(), Fault>, Failure> {
        let mut wanted = Wanted::default();
        let mut recovery_point = None;
        for machine in machines {
            let id = &machine.target.id;
            match machine.strategy {
                Strategy::ReplaceRootVolume if wanted.new_replacements.is_empty() => {
                    wanted.new_replacements.insert(self.token(machine));
                }
                Strategy::SwapVolumes if wanted.new_volumes.is_empty() => {
                    wanted.new_volumes.insert(self.token(machine));
                }
                Strategy::BackupRestore if wanted.jobs.is_none() => {
                    wanted.jobs = Some(self.ctx.now());
                    recovery_point = machine.kept.recovery_point.as_ref().zip(Some(&machine.kept.vault));
                }
                _ => continue,
            }
            wanted.returning.insert(id.clone());
        }
        let Some(home) = machines.first().map(|machine| &machine.target.home) else { return Ok(Ok(())) };
        let Some(ssm) = self.ctx.ports.aws.as_ref().map(|aws| aws.ssm(home)) else { return Ok(Ok(())) };
        let (ec2, backup) = (self.ec2.as_ref(), self.backup.as_ref());
        let seen = self.asked("reads", || look(&wanted, ec2, ssm.as_ref(), backup)).await?;
        if let (Ok(_), Some((arn, vault))) = (&seen, recovery_point) {
            let vault = vault.as_deref().unwrap_or("Default");
            let read = self.asked("metadata", || backup.restore_metadata(vault, arn)).await?;
            return Ok(read.map(drop));
        }
        Ok(seen.map(drop))
    }

    /// What is proved: one machine stands for all, where a call takes one.
    fn rights(&self, machines: &[&Machine], instances: &Known<Instance>, reboots: bool) -> Vec<Proof> {
        let mut rights = Vec::new();
        let of = |strategy| machines.iter().filter(move |machine| machine.strategy == strategy);
        let volume_of = |machine: &Machine| {
            let kept = &machine.kept;
            kept.root().or(kept.volumes.first()).cloned()
        };
        if let Some((machine, volume)) =
            of(Strategy::ReplaceRootVolume).find_map(|machine| Some((machine, volume_of(machine)?)))
        {
            rights.push(Proof::ReplaceRootVolume(ReplaceRootVolume {
                instance: machine.target.id.to_string(),
                snapshot: volume.snapshot.clone(),
                tags: self.tags(machine),
                token: self.token(machine),
            }));
            rights.push(Proof::CreateTags(vec![volume.volume.clone()]));
            rights.push(Proof::ModifyInstanceAttribute(attachment(machine, &volume)));
        }
        if let Some((machine, volume)) =
            of(Strategy::SwapVolumes).find_map(|machine| Some((machine, volume_of(machine)?)))
        {
            let zone = instances.get(machine.target.id.as_str()).map(|instance| instance.zone.clone());
            rights.push(Proof::CreateVolume(self.volume(machine, &volume, &zone.unwrap_or_default())));
            rights.push(Proof::CreateTags(vec![volume.volume.clone()]));
            rights.push(Proof::DetachVolume(attachment(machine, &volume)));
            rights.push(Proof::AttachVolume(attachment(machine, &volume)));
            rights.push(Proof::ModifyInstanceAttribute(attachment(machine, &volume)));
        }
        let ids = |strategy| of(strategy).map(|machine| machine.target.id.clone()).collect::<Vec<_>>();
        let (swapped, replaced) = (ids(Strategy::SwapVolumes), ids(Strategy::ReplaceRootVolume));
        rights.extend(swapped.chunks(SHARED).map(|some| Proof::StopInstances(some.to_vec())));
        // A root volume is replaced on a running machine, and the change may leave one stopped.
        let started = [swapped, replaced].concat();
        rights.extend(started.chunks(SHARED).map(|some| Proof::StartInstances(some.to_vec())));
        if reboots {
            let all: Vec<_> = machines.iter().map(|machine| machine.target.id.clone()).collect();
            rights.extend(all.chunks(SHARED).map(|some| Proof::RebootInstances(some.to_vec())));
        }
        rights
    }

    fn volume(&self, machine: &Machine, volume: &KeptVolume, zone: &str) -> CreateVolume {
        like(volume, zone, self.tags(machine), self.token(machine))
    }

    fn tags(&self, machine: &Machine) -> BTreeMap<String, String> {
        marks::tags(self.ctx, &machine.target.id, &self.token(machine), None)
    }

    fn token(&self, machine: &Machine) -> String {
        self.ctx.token(machine.target.id.as_str(), "proof").to_string()
    }

    /// Asks until there is an answer.
    async fn asked<T, F>(&self, what: &str, call: impl FnMut() -> F) -> Result<Result<T, Fault>, Failure>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let answered = read(self.ctx, self.ctx.token(what, "ready"), call).await?;
        answered.ok_or_else(|| {
            let cause = "its way back could not be looked at in time, so it was not changed";
            Failure::of(ErrorClass::Undeliverable, cause)
        })
    }
}

/// What was seen, by id.
type Known<T> = BTreeMap<String, T>;

fn attachment(machine: &Machine, volume: &KeptVolume) -> Attachment {
    Attachment {
        volume: volume.volume.clone(),
        instance: machine.target.id.to_string(),
        device: volume.device.clone(),
        state: String::new(),
        delete_on_termination: volume.delete_on_termination,
    }
}

fn unseen(fault: &Fault) -> String {
    format!("its way back cannot be looked at: {fault}")
}

/// Nothing was applied, and nothing will be.
fn not_ready(cause: &str) -> Report {
    let cause = format!("{cause}, so it was not changed");
    Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause)
}
