//! Whether every call of a restore is allowed, as far as AWS tells without anything being changed.
//!
//! A call that writes is proved by `DryRun`; one that reads is made once. AWS Backup has no `DryRun`, and nothing tells
//! whether a role may be passed to it.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};

use super::{Gate, Halt, Known, Machine, NotReady, refuse};
use crate::{
    actions::aws::{
        kept::KeptVolume,
        marks,
        patience::read,
        restore::{
            choice::{SEEING, rights},
            like,
        },
    },
    ports::{
        ec2::{Attachment, Instance, Proof, ReplaceRootVolume, Which},
        fault::{Fault, FaultKind},
    },
};

/// How many machines one Stop, Start or Reboot takes.
const SHARED: usize = 50;

/// After so many machines that a right is missing for, and none that it is there for, it is missing for all: a policy
/// may except single machines by their tags, and a large wave must not end in a storm of calls.
const WITNESSES: usize = 5;

const REBOOT: &str = "ec2:RebootInstances";

impl Gate<'_> {
    /// Refuses the machines whose restore is not allowed, or the reboot that is to change them.
    pub(super) async fn missing_rights(
        &self,
        machines: &[Machine],
        instances: &Known<Instance>,
        reboots: bool,
        refused: &mut NotReady,
    ) -> Result<(), Halt> {
        for right in rights().into_iter().chain(reboots.then_some(REBOOT)) {
            let needs = |machine: &&Machine| {
                let special = machine.strategy.rights().contains(&right) || right == REBOOT;
                (special || SEEING.contains(&right)) && !refused.contains_key(&machine.target.id)
            };
            let concerned: Vec<_> = machines.iter().filter(needs).collect();
            for (id, fault) in self.denied(right, &concerned, instances).await? {
                let cause = format!("not changed, because it could not be restored: {fault}");
                let report = Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause);
                refuse(refused, &id, &report);
            }
        }
        Ok(())
    }

    /// The machines that a right is missing for.
    async fn denied(
        &self,
        right: &'static str,
        machines: &[&Machine],
        instances: &Known<Instance>,
    ) -> Result<BTreeMap<TargetId, Fault>, Halt> {
        if !matches!(right, "ec2:StartInstances" | "ec2:StopInstances" | REBOOT) {
            return self.denied_one_by_one(right, machines, instances, true).await;
        }
        let mut denied = BTreeMap::new();
        for some in machines.chunks(SHARED) {
            if self.refusal(right, some, instances).await?.is_some() {
                denied.extend(self.denied_one_by_one(right, some, instances, false).await?);
            }
        }
        Ok(denied)
    }

    /// The same, asked machine by machine; `stands`: the first that it is there for stands for those behind it.
    async fn denied_one_by_one(
        &self,
        right: &'static str,
        machines: &[&Machine],
        instances: &Known<Instance>,
        stands: bool,
    ) -> Result<BTreeMap<TargetId, Fault>, Halt> {
        let mut denied = BTreeMap::new();
        for (at, machine) in machines.iter().enumerate() {
            let Some(fault) = self.refusal(right, &[machine], instances).await? else {
                if stands {
                    break;
                }
                continue;
            };
            denied.insert(machine.target.id.clone(), fault.clone());
            if at + 1 == WITNESSES && denied.len() == WITNESSES {
                denied.extend(machines.iter().map(|machine| (machine.target.id.clone(), fault.clone())));
                break;
            }
        }
        Ok(denied)
    }

    /// Whether a right is missing for these machines; only calls that take many are asked for more than the first.
    async fn refusal(
        &self,
        right: &'static str,
        machines: &[&Machine],
        instances: &Known<Instance>,
    ) -> Result<Option<Fault>, Halt> {
        let Some(machine) = machines.first() else { return Ok(None) };
        let ids: Vec<_> = machines.iter().map(|machine| machine.target.id.clone()).collect();
        let instance = instances.get(machine.target.id.as_str());
        if let Some(proof) = self.proof(right, machine, &ids, instance) {
            return self.said(right, || self.ec2.prove(&proof)).await;
        }
        match right {
            "ec2:DescribeInstanceStatus" => self.said(right, || self.ec2.statuses(&ids)).await,
            "ssm:DescribeInstanceInformation" => self.said(right, || self.ssm.agents(&ids)).await,
            "ec2:DescribeVolumes" => {
                let held = instance.into_iter().flat_map(|instance| &instance.volumes);
                let which = Which::Ids(held.take(1).map(|held| held.volume.clone()).collect());
                self.said(right, || self.ec2.volumes(&which)).await
            }
            "ec2:DescribeReplaceRootVolumeTasks" => {
                let which = Which::Tagged { key: marks::TOKEN.to_owned(), values: vec![self.token(machine)] };
                self.said(right, || self.ec2.replace_tasks(&which)).await
            }
            "backup:ListRestoreJobs" => {
                let now = self.ctx.now();
                self.said(right, || self.backup.restore_jobs(now)).await
            }
            "backup:GetRecoveryPointRestoreMetadata" => {
                let kept = &machine.kept;
                let (Some(vault), Some(point)) = (&kept.vault, &kept.recovery_point) else { return Ok(None) };
                self.said(right, || self.backup.restore_metadata(vault, point)).await
            }
            // Used a moment ago, or proved by nothing.
            _ => Ok(None),
        }
    }

    /// What proves a right by `DryRun`.
    fn proof(
        &self,
        right: &str,
        machine: &Machine,
        ids: &[TargetId],
        instance: Option<&Instance>,
    ) -> Option<Proof> {
        let volume = machine.kept.root().or(machine.kept.volumes.first());
        Some(match right {
            REBOOT => Proof::RebootInstances(ids.to_vec()),
            "ec2:StartInstances" => Proof::StartInstances(ids.to_vec()),
            "ec2:StopInstances" => Proof::StopInstances(ids.to_vec()),
            "ec2:AttachVolume" => Proof::AttachVolume(attachment(machine, volume?)),
            "ec2:DetachVolume" => Proof::DetachVolume(attachment(machine, volume?)),
            "ec2:ModifyInstanceAttribute" => Proof::ModifyInstanceAttribute(attachment(machine, volume?)),
            "ec2:CreateTags" => Proof::CreateTags(vec![volume?.volume.clone()]),
            "ec2:CreateVolume" => {
                let zone = instance.map(|instance| instance.zone.as_str()).unwrap_or_default();
                Proof::CreateVolume(like(volume?, zone, self.tags(machine), self.token(machine)))
            }
            "ec2:CreateReplaceRootVolumeTask" => Proof::ReplaceRootVolume(ReplaceRootVolume {
                instance: machine.target.id.to_string(),
                snapshot: volume?.snapshot.clone(),
                tags: self.tags(machine),
                token: self.token(machine),
            }),
            _ => return None,
        })
    }

    fn tags(&self, machine: &Machine) -> BTreeMap<String, String> {
        marks::tags(self.ctx, &machine.target.id, &self.token(machine), None)
    }

    fn token(&self, machine: &Machine) -> String {
        self.ctx.token(machine.target.id.as_str(), "proof").to_string()
    }

    /// Whether a call is refused for want of a right. What else is said says nothing of rights: it is seen when it
    /// matters.
    async fn said<T, F>(&self, right: &str, mut call: impl FnMut() -> F) -> Result<Option<Fault>, Halt>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let asked = || {
            let answer = call();
            async move {
                match answer.await {
                    Err(fault) if fault.kind == FaultKind::Denied => Ok(Some(fault)),
                    Err(fault)
                        if matches!(
                            fault.kind,
                            FaultKind::Throttled | FaultKind::NotSent | FaultKind::Credentials
                        ) =>
                    {
                        Err(fault)
                    }
                    _ => Ok(None),
                }
            }
        };
        match read(self.ctx, self.ctx.token(right, "ready"), asked).await? {
            Some(Ok(refusal)) => Ok(refusal),
            Some(Err(_)) => Ok(None),
            None => Err(Halt::Stopped(self.ctx.stopping())),
        }
    }
}

fn attachment(machine: &Machine, volume: &KeptVolume) -> Attachment {
    Attachment {
        volume: volume.volume.clone(),
        instance: machine.target.id.to_string(),
        device: volume.device.clone(),
        state: String::new(),
        delete_on_termination: volume.delete_on_termination,
    }
}
