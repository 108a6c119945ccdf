//! What AWS holds that carries our tags.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::{artifact::ArtifactKind, ids::RunId, target::Home};
use runbook_steps::ports::{
    AwsFactory, Ports,
    backup::{Backup, RecoveryPoint},
    clock::Clock,
    ec2::{Ec2, Image, Snapshot, Volume, Which},
    fault::{Fault, FaultKind},
};

/// The tag that says which run made something.
pub const RUN: &str = "runbook:run";

/// The tag that says by which call.
pub const TOKEN: &str = "runbook:token";

/// How often a call is made that was not executed, or that only reads and was not answered.
const TRIES: u32 = 6;

/// One thing that AWS holds, as its tags tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What.
    pub kind: ArtifactKind,
    /// Its id (an ARN for a recovery point).
    pub id: String,
    /// The vault of a recovery point.
    pub vault: Option<String>,
    /// Where it was found.
    pub home: Home,
    /// Its size in GiB, as far as AWS says.
    pub size_gib: Option<u64>,
    /// When it was made.
    pub made_at: Option<Timestamp>,
    /// The instance that has this volume attached.
    pub in_use_by: Option<String>,
    /// The snapshots of an image.
    pub snapshots: Vec<String>,
    /// `runbook:run`; empty: it has none.
    pub run: RunId,
    /// `runbook:token`.
    pub token: Option<String>,
    /// `runbook:task`.
    pub task: Option<String>,
    /// `runbook:host`.
    pub host: Option<String>,
    /// `runbook:store`.
    pub store: Option<String>,
    /// `runbook:expires`.
    pub expires: Option<Timestamp>,
}

/// A place that could not be asked: what it holds is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// Where.
    pub home: Home,
    /// Why not.
    pub why: String,
}

/// What was found, and where nobody could look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Everything with our tags, each once.
    pub held: Vec<Held>,
    /// Where nobody could look.
    pub unasked: Vec<Unasked>,
}

/// The ports of one place.
pub(super) struct Site {
    pub ec2: std::sync::Arc<dyn Ec2>,
    pub backup: std::sync::Arc<dyn Backup>,
}

/// The ports of a place, where this binary has AWS.
pub(super) fn site(aws: Option<&dyn AwsFactory>, home: &Home) -> Result<Site, String> {
    let ports = aws.map(|aws| Site { ec2: aws.ec2(home), backup: aws.backup(home) });
    ports.ok_or_else(|| "this binary was built without AWS".to_owned())
}

/// Asks EC2 and AWS Backup of these places for everything that carries our tags. Hosts of our own are not asked.
pub async fn survey(ports: &Ports, homes: &BTreeSet<Home>) -> Survey {
    let mut found = BTreeMap::new();
    let mut unasked = Vec::new();
    // The default place comes first in their order, and is often one that is known by its account and Region too.
    for home in homes.iter().rev().filter(|home| matches!(home, Home::Aws { .. })) {
        match all(ports, home).await {
            Ok(held) => {
                for held in held {
                    found.entry((held.kind, held.id.clone())).or_insert(held);
                }
            }
            Err(why) => unasked.push(Unasked { home: home.clone(), why }),
        }
    }
    Survey { held: found.into_values().collect(), unasked }
}

async fn all(ports: &Ports, home: &Home) -> Result<Vec<Held>, String> {
    let site = site(ports.aws.as_deref(), home)?;
    let clock = ports.clock.as_ref();
    let ours = Which::Tagged { key: RUN.to_owned(), values: Vec::new() };
    let said = |fault: Fault| fault.to_string();
    let snapshots = patiently(clock, || site.ec2.snapshots(&ours)).await.map_err(said)?;
    let volumes = patiently(clock, || site.ec2.volumes(&ours)).await.map_err(said)?;
    let images = patiently(clock, || site.ec2.images(&ours)).await.map_err(said)?;
    let mut points = Vec::new();
    for vault in patiently(clock, || site.backup.vaults()).await.map_err(said)? {
        points.extend(patiently(clock, || site.backup.recovery_points(&vault.name)).await.map_err(said)?);
    }
    // The image behind a recovery point, and its snapshots, carry the same tags; they are deleted through AWS Backup
    // only.
    let behind: BTreeSet<&str> = points.iter().filter_map(|point| point.arn.rsplit('/').next()).collect();
    let (backed, images): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|image| behind.contains(image.id.as_str()));
    let within: BTreeSet<&String> = backed.iter().flat_map(|image| &image.snapshots).collect();
    let snapshots = snapshots.into_iter().filter(|snapshot| !within.contains(&snapshot.id));
    let held = snapshots.map(|snapshot| seen_snapshot(snapshot, home));
    let held = held.chain(volumes.into_iter().filter_map(|volume| seen_volume(volume, home)));
    let held = held.chain(images.into_iter().filter_map(|image| seen_image(image, home)));
    let held = held.chain(points.iter().filter_map(|point| seen_point(point, home)));
    Ok(held.filter(|held| !held.run.as_str().is_empty()).collect())
}

pub(super) fn seen_snapshot(snapshot: Snapshot, home: &Home) -> Held {
    let held = tagged(ArtifactKind::Snapshot, snapshot.id, home, &snapshot.tags);
    Held { size_gib: Some(snapshot.size_gib.into()), made_at: snapshot.started_at, ..held }
}

/// None: it is being deleted already.
pub(super) fn seen_volume(volume: Volume, home: &Home) -> Option<Held> {
    if matches!(volume.state.as_str(), "deleting" | "deleted") {
        return None;
    }
    let held = tagged(ArtifactKind::Volume, volume.id, home, &volume.tags);
    let holder = volume.attachments.into_iter().find(|attachment| attachment.state != "detached");
    Some(Held {
        size_gib: Some(volume.size_gib.into()),
        made_at: volume.created_at,
        in_use_by: holder.map(|attachment| attachment.instance),
        ..held
    })
}

/// None: it is gone already.
pub(super) fn seen_image(image: Image, home: &Home) -> Option<Held> {
    if image.state == "deregistered" {
        return None;
    }
    let held = tagged(ArtifactKind::Image, image.id, home, &image.tags);
    Some(Held { made_at: image.created_at, snapshots: image.snapshots, ..held })
}

/// None: it is being deleted already.
pub(super) fn seen_point(point: &RecoveryPoint, home: &Home) -> Option<Held> {
    if point.status == "DELETING" || point.storage_class.as_deref() == Some("DELETED") {
        return None;
    }
    let held = tagged(ArtifactKind::RecoveryPoint, point.arn.clone(), home, &point.tags);
    Some(Held {
        vault: Some(point.vault.clone()),
        size_gib: point.size_bytes.map(|bytes| bytes.div_ceil(1 << 30)),
        made_at: point.created_at,
        ..held
    })
}

fn tagged(kind: ArtifactKind, id: String, home: &Home, tags: &BTreeMap<String, String>) -> Held {
    let tag = |name: &str| tags.get(name).cloned();
    Held {
        kind,
        id,
        vault: None,
        home: home.clone(),
        size_gib: None,
        made_at: None,
        in_use_by: None,
        snapshots: Vec::new(),
        run: RunId::from(tag(RUN).unwrap_or_default()),
        token: tag(TOKEN),
        task: tag("runbook:task"),
        host: tag("runbook:host"),
        store: tag("runbook:store"),
        expires: tag("runbook:expires").and_then(|text| text.parse().ok()),
    }
}

/// Makes a call that only reads, or that does no harm when it is made again, until it is answered.
pub(super) async fn patiently<T, F>(clock: &dyn Clock, mut call: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut pause = Duration::from_secs(1);
    for _ in 1..TRIES {
        match call().await {
            Err(fault)
                if matches!(fault.kind, FaultKind::Throttled | FaultKind::NotSent | FaultKind::Ambiguous) =>
            {
                clock.sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
    call().await
}
