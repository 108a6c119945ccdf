//! Snapshots, restores and reboots of the simulated world.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    door::Door,
    fault_rule::{Label, RuleKind},
    fleet::Lasting,
    machine::Change,
    run_command::{is_visible, present},
    state::{Backup, Fact, KnownSnap, Restore, Snap, State, Struck},
    time::later,
};
use crate::ports::{
    fault::{Fault, FaultKind},
    fleet::{BootInfo, Fleet, RestoreTask, Snapshot},
};

/// How long after a restore began the machine goes down.
const GOING_DOWN: Duration = Duration::from_secs(10);

#[async_trait]
impl Fleet for Door {
    async fn create_snapshots(
        &self,
        instance: &TargetId,
        root_only: bool,
        tags: BTreeMap<String, String>,
    ) -> Result<Vec<Snapshot>, Fault> {
        const CALL: &str = "ec2:CreateSnapshots";
        let (id, label) = (instance.clone(), self.label().cloned());
        let create = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
            let machine = present(state, &id, now, CALL)?;
            let condition = state.machines[machine].now(now);
            let backup = Backup { at: now, patches: condition.patches, healthy: condition.healthy };
            let nth = state.machines[machine].effects;
            let ok = state.strike(machine, RuleKind::SnapshotError, label.as_ref(), struck).is_none();
            let ready = later(now, state.roster.lasting(state.seed, machine, Lasting::Snapshot, nth));
            let volumes = if root_only { 1 } else { state.roster.group(machine).volumes };
            let snapshots: Vec<_> = (0..volumes)
                .map(|volume| Snap {
                    id: format!("snap-{:017x}", state.next_name() + u64::from(volume)),
                    volume: volume_id(&id, volume),
                    ready,
                    ok,
                })
                .collect();
            let answer = snapshots.iter().map(|snap| show(snap, &id, &tags, now)).collect();
            Ok((Fact::SnapshotsCreated { snapshots, tags, instance: id, backup }, answer))
        };
        self.world.write(self.label(), CALL, std::slice::from_ref(instance), create).await
    }

    async fn snapshots_tagged(&self, key: &str, value: &str) -> Result<Vec<Snapshot>, Fault> {
        self.world
            .read(self.label(), "ec2:DescribeSnapshots", &[], |state, now| {
                let visible =
                    state.tagged(key, value).filter(|known| is_visible(state, known.backup.at, now));
                Ok(visible.map(|known| known.show(now)).collect())
            })
            .await
    }

    async fn snapshots(&self, ids: &[String]) -> Result<Vec<Snapshot>, Fault> {
        const CALL: &str = "ec2:DescribeSnapshots";
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                ids.iter()
                    .map(|id| {
                        // One id that is not there (yet) fails the call.
                        let known =
                            state.snapshots.get(id).filter(|known| is_visible(state, known.backup.at, now));
                        known.map(|known| known.show(now)).ok_or_else(|| Fault {
                            call: CALL,
                            kind: FaultKind::NotFound,
                            code: Some("InvalidSnapshot.NotFound".into()),
                            message: format!("no snapshot {id}"),
                        })
                    })
                    .collect()
            })
            .await
    }

    async fn restore(
        &self,
        instance: &TargetId,
        snapshots: &[String],
        strategy: &str,
        token: &str,
    ) -> Result<RestoreTask, Fault> {
        let (id, label) = (instance.clone(), self.label().cloned());
        let (snapshots, strategy, token) = (snapshots.to_vec(), strategy.to_owned(), token.to_owned());
        let start = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
            if let Some(known) = state.restore_tokens.get(&token).and_then(|id| state.restores.get(id)) {
                if known.instance != id || known.snapshots != snapshots || known.strategy != strategy {
                    return Err(refused(
                        FaultKind::Invalid,
                        "IdempotentParameterMismatch",
                        "the token belongs to another restore".into(),
                    ));
                }
                let answer = known.show(now);
                return Ok((Fact::RestoreRepeated { id: known.id.clone(), instance: id }, answer));
            }
            let restore = begin(state, now, &id, snapshots, strategy, token, label.as_ref(), struck)?;
            let answer = restore.show(now);
            Ok((Fact::RestoreStarted(restore), answer))
        };
        self.world.write(self.label(), RESTORE, std::slice::from_ref(instance), start).await
    }

    async fn restores(&self, ids: &[String]) -> Result<Vec<RestoreTask>, Fault> {
        self.world
            .read(self.label(), "ec2:DescribeReplaceRootVolumeTasks", &[], |state, now| {
                Ok(ids
                    .iter()
                    .filter_map(|id| state.restores.get(id))
                    .map(|restore| restore.show(now))
                    .collect())
            })
            .await
    }

    async fn reboot(&self, instances: &[TargetId]) -> Result<(), Fault> {
        const CALL: &str = "ec2:RebootInstances";
        let (ids, label) = (instances.to_vec(), self.label().cloned());
        let reboot = move |state: &mut State, now: Timestamp, struck: &mut Struck| {
            let mut machines = BTreeMap::new();
            for id in ids {
                let machine = present(state, &id, now, CALL)?;
                state.machines[machine].now(now);
                let nth = state.machines[machine].effects;
                let down = later(now, Duration::from_secs(5));
                let mut changes = vec![(down, Change::Down)];
                if state.strike(machine, RuleKind::SilentAfterReboot, label.as_ref(), struck).is_none() {
                    let boot = state.roster.lasting(state.seed, machine, Lasting::Boot, nth);
                    changes.push((later(down, boot), Change::Up));
                }
                machines.insert(id, changes);
            }
            Ok((Fact::Rebooted { machines }, ()))
        };
        self.world.write(self.label(), CALL, instances, reboot).await
    }

    async fn boots(&self, instances: &[TargetId]) -> Result<Vec<BootInfo>, Fault> {
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", instances, |state, now| {
                let mut boots = Vec::new();
                for id in instances {
                    let Ok(machine) = present(state, id, now, "ssm:DescribeInstanceInformation") else {
                        continue;
                    };
                    let condition = state.machines[machine].now(now);
                    boots.push(BootInfo {
                        instance: id.clone(),
                        boot_id: format!("{id}-boot-{}", condition.boots),
                        online: condition.up,
                    });
                }
                Ok(boots)
            })
            .await
    }
}

const RESTORE: &str = "ec2:CreateReplaceRootVolumeTask";

fn refused(kind: FaultKind, code: &str, message: String) -> Fault {
    Fault { call: RESTORE, kind, code: Some(code.into()), message }
}

#[expect(clippy::too_many_arguments, reason = "they are the members of the request")]
fn begin(
    state: &mut State,
    now: Timestamp,
    id: &TargetId,
    snapshots: Vec<String>,
    strategy: String,
    token: String,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<Restore, Fault> {
    let machine = present(state, id, now, RESTORE)?;
    let mut backup = None;
    for snapshot in &snapshots {
        let known = state.snapshots.get(snapshot).ok_or_else(|| {
            refused(FaultKind::NotFound, "InvalidSnapshot.NotFound", format!("no snapshot {snapshot}"))
        })?;
        // A snapshot of another machine's volume has the wrong lineage (DOMAIN 4.4).
        if known.instance != *id {
            let message = format!("{snapshot} is a snapshot of {}, not of {id}", known.instance);
            return Err(refused(FaultKind::Invalid, "InvalidParameterValue", message));
        }
        if known.snap.state(now) != "completed" {
            let message = format!("{snapshot} is {}, not completed", known.snap.state(now));
            return Err(refused(FaultKind::Busy, "IncorrectState", message));
        }
        backup = Some(known.backup);
    }
    let Some(backup) = backup else {
        return Err(refused(FaultKind::Invalid, "MissingParameter", "no snapshot to restore from".into()));
    };
    let running = state.last_restore.get(id).and_then(|id| state.restores.get(id));
    if running.is_some_and(|restore| restore.ended > now) {
        return Err(refused(FaultKind::Busy, "IncorrectState", format!("{id} is being restored already")));
    }
    state.machines[machine].now(now);
    let nth = state.machines[machine].effects;
    let ok = state.strike(machine, RuleKind::RestoreFailed, label, struck).is_none();
    let sick = ok && state.strike(machine, RuleKind::SickAfterRestore, label, struck).is_some();
    let lasting = |what| state.roster.lasting(state.seed, machine, what, nth);
    let down = later(now, GOING_DOWN);
    let replaced = later(down, lasting(Lasting::Restore));
    let up = later(replaced, lasting(Lasting::Boot));
    let mut changes = vec![(down, Change::Down)];
    if ok {
        let healthy = backup.healthy && !sick;
        changes.push((replaced, Change::Restored { patches: backup.patches, healthy }));
    }
    // A failed task boots the machine with its old root (DOMAIN 4.4); one that was silent stays so.
    if ok || state.machines[machine].up_from(now).is_some() {
        changes.push((up, Change::Up));
    }
    Ok(Restore {
        id: format!("replacevol-{:017x}", state.next_name()),
        instance: id.clone(),
        token,
        snapshots,
        strategy,
        at: now,
        ended: up,
        ok,
        changes,
    })
}

impl Snap {
    fn state(&self, now: Timestamp) -> &'static str {
        match (now < self.ready, self.ok) {
            (true, _) => "pending",
            (false, true) => "completed",
            (false, false) => "error",
        }
    }
}

impl KnownSnap {
    fn show(&self, now: Timestamp) -> Snapshot {
        show(&self.snap, &self.instance, &self.tags, now)
    }
}

impl Restore {
    fn show(&self, now: Timestamp) -> RestoreTask {
        let state = match (now < later(self.at, GOING_DOWN), now < self.ended, self.ok) {
            (true, ..) => "pending",
            (_, true, _) => "in-progress",
            (_, _, true) => "succeeded",
            (_, _, false) => "failed",
        };
        RestoreTask { id: self.id.clone(), instance: self.instance.clone(), state: state.into() }
    }
}

fn show(snap: &Snap, instance: &TargetId, tags: &BTreeMap<String, String>, now: Timestamp) -> Snapshot {
    Snapshot {
        id: snap.id.clone(),
        volume: snap.volume.clone(),
        instance: instance.clone(),
        state: snap.state(now).into(),
        tags: tags.clone(),
    }
}

/// The id of a machine's volume: the root is number 0.
pub(super) fn volume_id(instance: &TargetId, number: u32) -> String {
    format!(
        "vol-{}{number:02x}",
        instance.as_str().trim_start_matches("i-0").chars().take(15).collect::<String>()
    )
}
