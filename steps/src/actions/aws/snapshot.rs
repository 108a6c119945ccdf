//! `aws/snapshot`: the backup that a machine can be restored from.
//!
//! One `CreateSnapshots` for each machine: all of its EBS volumes (or its root) at one instant, crash-consistent. A
//! snapshot keeps nothing of its volume but size and encryption, so what a restore needs besides is read before and
//! stands in the outputs (facts: CreateSnapshots). The step ends when every snapshot is completed, which is
//! when a way back exists.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Home,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};

use super::{
    beginning::VISIBLE,
    errand::{clock, since_then},
    kept::{Kept, KeptVolume},
    making::{self, Found, Machine, Making, Order, Over},
    marks,
    patience::cancelled,
    relay::instances,
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, StopReason},
    fanout::Done,
    ports::{
        ec2::{CreateSnapshots, Ec2, Instance, Snapshot as Taken, Volume, Which},
        fault::{Fault, FaultKind},
    },
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional(
                "keep",
                InputKind::Duration,
                "How long the snapshots are needed; absent: until somebody deletes them.",
            ),
            InputDoc::defaulting(
                "volumes",
                InputKind::Enum(vec!["all", "root"]),
                "all",
                "Which volumes; `all` are taken at the same instant.",
            ),
        ],
        repeatable: false,
        backs_up: true,
        rights: vec![
            "ec2:CreateSnapshots",
            "ec2:CreateTags",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
        ],
        outputs: vec![
            ("snapshots", "the ids of the machine's snapshots, the root's first"),
            ("volumes", "what each of them was taken of: device, type, encryption, tags"),
            ("expires", "until when they are needed"),
        ],
        ..ActionDoc::new(
            "aws/snapshot",
            "Takes snapshots of a machine's volumes and waits until they are complete.",
            TimeoutDoc::Fixed(Span::from_hours(6)),
        )
    }
}

/// `CreateSnapshots` can leave out so many data volumes (facts: CreateSnapshots).
const MOST_LEFT_OUT: usize = 40;

/// The action.
#[derive(Clone, Debug)]
pub struct Snapshot {
    doc: ActionDoc,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Snapshot {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        making::run(ctx, instances(ctx, work).await?, Taking).await?;
        Ok(Value::Null)
    }
}

/// A machine's snapshots, as the journal keeps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    kept: Kept,
    at: Timestamp,
}

/// What is known of a machine before: the volumes that a snapshot is taken of, and those that are left out.
#[derive(Clone, Debug)]
struct Facts {
    volumes: Vec<KeptVolume>,
    without: Vec<String>,
}

struct Taking;

fn ec2(ctx: &Context, home: &Home) -> Result<Arc<dyn Ec2>, Fault> {
    let ec2 = ctx.ports.aws.as_ref().map(|aws| aws.ec2(home));
    ec2.ok_or_else(|| Fault {
        call: "ec2:CreateSnapshots",
        kind: FaultKind::Unsupported,
        code: None,
        message: "this run has no access to EC2".to_owned(),
    })
}

#[async_trait]
impl Making for Taking {
    type Facts = Facts;
    type Job = Job;

    const CALL: &'static str = "ec2:CreateSnapshots";
    const HAS_TOKEN: bool = false;

    async fn facts(
        &self,
        ctx: &Context,
        home: &Home,
        machines: &[Machine],
    ) -> Result<BTreeMap<TargetId, Result<Facts, Report>>, Fault> {
        let ec2 = ec2(ctx, home)?;
        let ids: Vec<_> = machines.iter().map(|(target, _)| target.id.clone()).collect();
        let instances = ec2.instances(&ids).await?;
        let volumes: Vec<_> = instances
            .iter()
            .flat_map(|instance| &instance.volumes)
            .map(|attached| attached.volume.clone())
            .collect();
        let volumes = if volumes.is_empty() { Vec::new() } else { ec2.volumes(&Which::Ids(volumes)).await? };
        let volumes: BTreeMap<_, _> = volumes.iter().map(|volume| (volume.id.as_str(), volume)).collect();
        let instances: BTreeMap<_, _> =
            instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
        let facts = machines.iter().filter_map(|(target, inputs)| {
            let instance = instances.get(target.id.as_str())?;
            Some((target.id.clone(), facts(instance, &volumes, inputs).map_err(failed)))
        });
        Ok(facts.collect())
    }

    async fn call(&self, ctx: &Context, order: &Order<Facts>) -> Result<Option<Job>, Fault> {
        let id = &order.target.id;
        let request = CreateSnapshots {
            instance: id.to_string(),
            without: order.facts.without.clone(),
            description: format!("runbook {} {}", ctx.run, ctx.task),
            tags: marks::tags(ctx, id, &order.token.to_string(), expires(order)),
        };
        let taken = ec2(ctx, &order.target.home)?.create_snapshots(&request).await?;
        Ok(match whole(order, &taken, ctx.now()) {
            Found::Whole(job) => Some(job),
            // What the answer leaves out is looked for by tag.
            Found::Part(_) => None,
        })
    }

    async fn find(
        &self,
        ctx: &Context,
        orders: &[Order<Facts>],
    ) -> Result<BTreeMap<TargetId, Found<Job>>, Fault> {
        let Some(first) = orders.first() else { return Ok(BTreeMap::new()) };
        let values = orders.iter().map(|order| order.token.to_string()).collect();
        let tagged = Which::Tagged { key: marks::TOKEN.to_owned(), values };
        let seen = ec2(ctx, &first.target.home)?.snapshots(&tagged).await?;
        let found = orders.iter().filter_map(|order| {
            let token = order.token.to_string();
            let taken: Vec<_> =
                seen.iter().filter(|taken| taken.tags.get(marks::TOKEN) == Some(&token)).cloned().collect();
            let found = (!taken.is_empty()).then(|| whole(order, &taken, ctx.now()))?;
            Some((order.target.id.clone(), found))
        });
        Ok(found.collect())
    }

    async fn look(
        &self,
        ctx: &Context,
        home: &Home,
        jobs: &BTreeMap<TargetId, Job>,
    ) -> Result<BTreeMap<TargetId, Over>, Fault> {
        let ids: Vec<_> = jobs.values().flat_map(|job| job.kept.snapshots.iter().cloned()).collect();
        let seen = ec2(ctx, home)?.snapshots(&Which::Ids(ids)).await?;
        let seen: BTreeMap<_, _> = seen.iter().map(|taken| (taken.id.as_str(), taken)).collect();
        let now = ctx.now();
        let over = jobs.iter().filter_map(|(id, job)| Some((id.clone(), judge(job, &seen, now)?.into())));
        Ok(over.collect())
    }

    fn makes(&self, order: &Order<Facts>) -> Makes {
        Makes { kind: ArtifactKind::Snapshot, expires: expires(order) }
    }

    fn made(&self, order: &Order<Facts>, job: &Job) -> Vec<Artifact> {
        let artifact = |volume: &KeptVolume| Artifact {
            kind: ArtifactKind::Snapshot,
            id: volume.snapshot.clone(),
            token: order.token.to_string(),
            target: order.target.id.clone(),
            home: order.target.home.clone(),
            vault: None,
            size_gib: Some(volume.size_gib.into()),
            expires: job.kept.expires,
        };
        job.kept.volumes.iter().map(artifact).collect()
    }

    fn stopped(&self, reason: StopReason, job: &Job) -> Report {
        // A snapshot cannot be cancelled, and changes nothing: nobody has to wait for it.
        match reason {
            StopReason::Cancelled => cancelled(),
            _ => Report::failed(
                Outcome::TimedOut,
                ErrorClass::TimedOut,
                format!(
                    "{} not completed when the time was over; begun {}",
                    job.kept.snapshots.join(", "),
                    clock(job.at)
                ),
            ),
        }
    }
}

fn expires(order: &Order<Facts>) -> Option<Timestamp> {
    marks::expires(order.since, order.inputs.span("keep"))
}

/// What a snapshot of this machine is taken of, or why none can be taken that the machine can be restored from.
fn facts(instance: &Instance, volumes: &BTreeMap<&str, &Volume>, inputs: &Inputs) -> Result<Facts, String> {
    if !matches!(instance.state.as_str(), "running" | "stopping" | "stopped") {
        return Err(format!("the machine is {}", instance.state));
    }
    if instance.root_device_type == "instance-store" {
        return Err("its root volume is an instance store, of which no snapshot can be taken".to_owned());
    }
    if instance.hibernates {
        let cause = "hibernation is configured: a snapshot would not be one that the machine starts from";
        return Err(cause.to_owned());
    }
    let (mut kept, mut without) = (Vec::new(), Vec::new());
    for attached in &instance.volumes {
        let root = attached.device == instance.root_device;
        if !root && inputs.text("volumes") == Some("root") {
            without.push(attached.volume.clone());
            continue;
        }
        let Some(volume) = volumes.get(attached.volume.as_str()) else {
            return Err(format!("EC2 does not describe its volume {}", attached.volume));
        };
        kept.push(KeptVolume {
            volume: volume.id.clone(),
            device: attached.device.clone(),
            root,
            size_gib: volume.size_gib,
            kind: volume.kind.clone(),
            iops: volume.iops,
            throughput: volume.throughput,
            encrypted: volume.encrypted,
            kms_key: volume.kms_key.clone(),
            delete_on_termination: attached.delete_on_termination,
            tags: volume.tags.clone(),
            ..KeptVolume::default()
        });
    }
    if !kept.iter().any(|volume| volume.root) {
        return Err(format!("it has no EBS volume at its root device {}", instance.root_device));
    }
    if without.len() > MOST_LEFT_OUT {
        let cause =
            format!("it has {} data volumes, and only {MOST_LEFT_OUT} can be left out", without.len());
        return Err(cause);
    }
    // The root comes first: that is the one which a replacement of the root volume needs.
    kept.sort_by(|a, b| (!a.root, &a.device).cmp(&(!b.root, &b.device)));
    Ok(Facts { volumes: kept, without })
}

/// The snapshots of an order, put to the volumes that they were taken of.
fn whole(order: &Order<Facts>, taken: &[Taken], now: Timestamp) -> Found<Job> {
    // Of two sets, the earlier one.
    let mut by_volume: BTreeMap<&str, &Taken> = BTreeMap::new();
    for taken in taken {
        let known = by_volume.entry(taken.volume.as_str()).or_insert(taken);
        if (taken.started_at, &taken.id) < (known.started_at, &known.id) {
            *known = taken;
        }
    }
    let mut volumes = order.facts.volumes.clone();
    for volume in &mut volumes {
        let Some(taken) = by_volume.get(volume.volume.as_str()) else {
            let seen = format!("{} of {} snapshots are there", by_volume.len(), order.facts.volumes.len());
            return Found::Part(seen);
        };
        volume.snapshot = taken.id.clone();
    }
    let kept = Kept {
        snapshots: volumes.iter().map(|volume| volume.snapshot.clone()).collect(),
        volumes,
        recovery_point: None,
        vault: None,
        role: None,
        expires: expires(order),
    };
    Found::Whole(Job { kept, at: now })
}

/// How a machine's snapshots ended, if they did.
fn judge(job: &Job, seen: &BTreeMap<&str, &Taken>, now: Timestamp) -> Option<Done> {
    let states: Vec<_> = job.kept.snapshots.iter().map(|id| (id, seen.get(id.as_str()))).collect();
    let in_error = states.iter().find_map(|(id, taken)| {
        taken.filter(|taken| taken.state == "error").map(|taken| (id.as_str(), taken.message.as_deref()))
    });
    // One volume that failed makes the set useless.
    if let Some((id, message)) = in_error {
        let why =
            message.filter(|message| !message.is_empty()).map_or_else(String::new, |why| format!(": {why}"));
        return Some(Done::of(failed(format!("{id} ended in error{why}"))));
    }
    if states.iter().all(|(_, taken)| taken.is_some_and(|taken| taken.state == "completed")) {
        let outputs = to_value(&job.kept).ok();
        return Some(Done { report: Report::succeeded(), outputs });
    }
    let gone = states.iter().find(|(_, taken)| taken.is_none());
    if let Some((id, _)) = gone
        && since_then(job.at, now) > VISIBLE
    {
        return Some(Done::of(failed(format!("{id} is gone"))));
    }
    None
}

fn failed(cause: impl Into<String>) -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
}
