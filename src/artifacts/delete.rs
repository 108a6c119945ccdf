//! Deletes things one by one, each read again right before.

use std::collections::BTreeMap;

use runbook_engine::{artifact::ArtifactKind, ids::RunId, target::Home};
use runbook_state::artifact::CollectionEnd;
use runbook_steps::ports::{
    Ports,
    backup::RecoveryPoint,
    clock::Clock,
    ec2::Which,
    fault::{Fault, FaultKind},
    linux::Revert,
};

use super::{
    held::{self, Held, Site, TOKEN, patiently},
    host,
};

/// What is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deletion {
    pub kind: ArtifactKind,
    pub id: String,
    pub vault: Option<String>,
    /// The run that its tags must name.
    pub run: RunId,
    /// The token that its tags must name, if they name one.
    pub token: String,
    /// Its run heard that it was made.
    pub heard_of: bool,
    /// What deletes the snapshot of a host.
    pub snapshot: Option<Revert>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub end: CollectionEnd,
    pub note: Option<String>,
    /// It should not be there any more.
    pub failed: bool,
}

impl End {
    pub fn never_made() -> Self {
        Self { end: CollectionEnd::NeverMade, note: None, failed: false }
    }

    pub fn gone() -> Self {
        Self { end: CollectionEnd::Gone, note: None, failed: false }
    }

    pub fn deleted() -> Self {
        Self { end: CollectionEnd::Deleted, note: None, failed: false }
    }

    pub fn left(note: String) -> Self {
        Self { end: CollectionEnd::Kept, note: Some(note), failed: false }
    }

    pub fn failed(note: String) -> Self {
        Self { failed: true, ..Self::left(note) }
    }
}

/// Deletes these in one place; what came of each. Those that are left out were not there.
pub(super) async fn all(
    ports: &Ports,
    home: &Home,
    wanted: &[Deletion],
) -> BTreeMap<(ArtifactKind, String), End> {
    let mut ends = BTreeMap::new();
    if wanted.is_empty() {
        return ends;
    }
    let name = |deletion: &Deletion| (deletion.kind, deletion.id.clone());
    let clock = ports.clock.as_ref();
    if matches!(home, Home::Host { .. }) {
        for deletion in wanted {
            ends.insert(name(deletion), host::discard(ports, home, deletion).await);
        }
        return ends;
    }
    let site = match held::site(ports.aws.as_deref(), home) {
        Ok(site) => site,
        Err(why) => return wanted.iter().map(|each| (name(each), End::failed(why.clone()))).collect(),
    };
    let seen = match again(&site, clock, home, wanted).await {
        Ok(seen) => seen,
        Err(fault) => {
            let why = format!("it could not be looked at: {fault}");
            return wanted.iter().map(|each| (name(each), End::failed(why.clone()))).collect();
        }
    };
    for deletion in wanted {
        let end = match seen.get(&name(deletion)) {
            Some(held) => one(&site, clock, deletion, held).await,
            None if deletion.kind == ArtifactKind::Image => leftovers(&site, clock, deletion).await,
            None => End::gone(),
        };
        ends.insert(name(deletion), end);
    }
    ends
}

/// Everything as it is now.
async fn again(
    site: &Site,
    clock: &dyn Clock,
    home: &Home,
    wanted: &[Deletion],
) -> Result<BTreeMap<(ArtifactKind, String), Held>, Fault> {
    let ids = |kind| {
        let of = wanted.iter().filter(move |deletion| deletion.kind == kind);
        of.map(|deletion| deletion.id.clone()).collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    let snapshots = ids(ArtifactKind::Snapshot);
    if !snapshots.is_empty() {
        let which = Which::Ids(snapshots);
        let found = patiently(clock, || site.ec2.snapshots(&which)).await?;
        seen.extend(found.into_iter().map(|each| held::seen_snapshot(each, home)));
    }
    let volumes = ids(ArtifactKind::Volume);
    if !volumes.is_empty() {
        let which = Which::Ids(volumes);
        let found = patiently(clock, || site.ec2.volumes(&which)).await?;
        seen.extend(found.into_iter().filter_map(|each| held::seen_volume(each, home)));
    }
    let images = ids(ArtifactKind::Image);
    if !images.is_empty() {
        let which = Which::Ids(images);
        let found = patiently(clock, || site.ec2.images(&which)).await?;
        seen.extend(found.into_iter().filter_map(|each| held::seen_image(each, home)));
    }
    for point in wanted.iter().filter(|deletion| deletion.kind == ArtifactKind::RecoveryPoint) {
        seen.extend(recovery_point(site, clock, home, point).await?);
    }
    Ok(seen.into_iter().map(|held| ((held.kind, held.id.clone()), held)).collect())
}

/// A recovery point with its tags. A vault may hold thousands of them, and the tags of each cost a call.
async fn recovery_point(
    site: &Site,
    clock: &dyn Clock,
    home: &Home,
    wanted: &Deletion,
) -> Result<Option<Held>, Fault> {
    let (vault, arn) = (wanted.vault.as_deref().unwrap_or_default(), wanted.id.as_str());
    let read = async {
        let point = patiently(clock, || site.backup.recovery_point(vault, arn)).await?;
        let tags = patiently(clock, || site.backup.tags(arn)).await?;
        Ok(held::seen_point(&RecoveryPoint { tags, ..point }, home))
    };
    match read.await {
        Err(Fault { kind: FaultKind::NotFound, .. }) => Ok(None),
        read => read,
    }
}

async fn one(site: &Site, clock: &dyn Clock, deletion: &Deletion, held: &Held) -> End {
    // A volume that a restore replaced was marked with the run alone.
    let other_call = held.token.as_ref().is_some_and(|token| *token != deletion.token);
    if held.run != deletion.run || other_call {
        let run = &deletion.run;
        return End::failed(format!("its tags are not those of run {run} any more: it is left alone"));
    }
    if let Some(instance) = &held.in_use_by {
        return End::left(format!("it is attached to {instance}: it is the machine's"));
    }
    let id = deletion.id.as_str();
    match deletion.kind {
        ArtifactKind::Snapshot => ended(patiently(clock, || site.ec2.delete_snapshot(id)).await),
        ArtifactKind::Volume => ended(patiently(clock, || site.ec2.delete_volume(id)).await),
        ArtifactKind::RecoveryPoint => {
            let vault = held.vault.as_deref().unwrap_or_default();
            match ended(patiently(clock, || site.backup.delete_recovery_point(vault, id)).await) {
                End { end: CollectionEnd::Deleted, .. } => point(site, clock, vault, id).await,
                end => end,
            }
        }
        ArtifactKind::HostSnapshot | ArtifactKind::PackageFiles => {
            End::left("it is on a host, not on AWS".to_owned())
        }
        ArtifactKind::Image => match ended(patiently(clock, || site.ec2.deregister_image(id)).await) {
            End { end: CollectionEnd::Deleted, .. } => leftovers(site, clock, deletion).await,
            end => end,
        },
    }
}

/// What an answer means for something that was there a moment ago.
fn ended(answer: Result<(), Fault>) -> End {
    match answer {
        Ok(()) => End::deleted(),
        // Deleted by an earlier try whose answer was lost, or by somebody else just now.
        Err(fault) if fault.kind == FaultKind::NotFound => End::deleted(),
        Err(fault) => End::failed(fault.to_string()),
    }
}

/// AWS Backup may answer that a recovery point is deleted, and then leave it for ever
/// (facts: Recovery points).
async fn point(site: &Site, clock: &dyn Clock, vault: &str, arn: &str) -> End {
    match patiently(clock, || site.backup.recovery_point(vault, arn)).await {
        Err(fault) if fault.kind == FaultKind::NotFound => End::deleted(),
        Ok(point) if point.status == "DELETING" || point.status == "DELETED" => End::deleted(),
        Ok(point) if point.status == "EXPIRED" => End::failed(
            "AWS Backup answered that it is deleted, and left it EXPIRED: its role lacks a right, or a lock holds \
             the vault"
                .to_owned(),
        ),
        Ok(point) => End::failed(format!(
            "AWS Backup answered that it is deleted, and it is still there: {}",
            point.status
        )),
        Err(fault) => End::failed(format!("whether it is deleted could not be seen: {fault}")),
    }
}

/// The snapshots of an image that is gone: they carry its token.
async fn leftovers(site: &Site, clock: &dyn Clock, image: &Deletion) -> End {
    let which = Which::Tagged { key: TOKEN.to_owned(), values: vec![image.token.clone()] };
    let found = match patiently(clock, || site.ec2.snapshots(&which)).await {
        Ok(found) => found,
        Err(fault) => return End::failed(format!("its snapshots could not be looked at: {fault}")),
    };
    for snapshot in found {
        if snapshot.tags.get(held::RUN).is_some_and(|run| run == image.run.as_str()) {
            let id = &snapshot.id;
            let end = ended(patiently(clock, || site.ec2.delete_snapshot(id)).await);
            if end.failed {
                return end;
            }
        }
    }
    End::deleted()
}
