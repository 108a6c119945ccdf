//! Snapshots: DescribeSnapshots, CreateSnapshots, CreateSnapshot, DeleteSnapshot.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::{CreateSnapshots, Ec2, Proof, Snapshot};

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    page::{self, Range},
    tagging,
    volumes::{MALFORMED as MALFORMED_VOLUME, done},
    xml::Xml,
};
use crate::fault::Trouble;

const MOST_IDS: usize = 1_000;
/// The most data volumes that CreateSnapshots leaves out (facts: CreateSnapshots).
const MOST_LEFT_OUT: usize = 40;
const MALFORMED: &str = "InvalidSnapshotID.Malformed";

/// There are no snapshots of others here: every owner but `self` and this account has none.
pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(&mut asked.form, "SnapshotId", "snap-", MALFORMED, MOST_IDS)?;
    let owners = asked.form.texts("Owner")?;
    asked.form.texts("RestorableBy")?;
    let filters = Filters::take::<Snapshot>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 5, 1_000)?;
    range.excludes("snapshotSet", &ids)?;
    asked.taken("ec2:DescribeSnapshots").await?;
    let ours = owners.is_empty() || owners.iter().any(|owner| owner == "self" || owner == asked.call.account);
    let found = asked
        .page("ec2:DescribeSnapshots", &range, &ids, async {
            let all = asked.account.all_snapshots().await?;
            let found =
                page::with_ids(all, &ids, |snapshot| &snapshot.id, "InvalidSnapshot.NotFound", "snapshot")?;
            Ok(if ours { filters.keep(found) } else { Vec::new() })
        })
        .await?;
    let mut xml = Xml::default();
    let owner = asked.call.account;
    xml.list("snapshotSet", &found.items, |item, snapshot| show(item, snapshot, owner, "status"));
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

/// All volumes of an instance. Leaving out its root and copying tags are not simulated: what asks for them is refused.
pub(super) async fn create_of_instance(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let form = &mut asked.form;
    let mut which =
        form.structure("InstanceSpecification")?.ok_or_else(|| form.missing("InstanceSpecification"))?;
    let instance = page::required_id(&mut which, "InstanceId", "i-", "InvalidInstanceID.Malformed")?;
    let without = page::ids(&mut which, "ExcludeDataVolumeId", "vol-", MALFORMED_VOLUME, MOST_LEFT_OUT)?;
    which.finish()?;
    let description = form.text("Description")?.unwrap_or_default();
    form.word("Location", &["regional"])?;
    let [tags] = tagging::of_new(form, ["snapshot"])?;
    let request = CreateSnapshots { instance, without, description, tags };
    asked.writes(|| Proof::CreateSnapshots(request.clone())).await?;
    let made = asked.account.create_snapshots(&request).await?;
    let mut xml = Xml::default();
    let owner = asked.call.account;
    xml.list("snapshotSet", &made, |item, snapshot| show(item, snapshot, owner, "state"));
    Ok(xml)
}

/// One volume.
pub(super) async fn create(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let volume = page::required_id(&mut asked.form, "VolumeId", "vol-", MALFORMED_VOLUME)?;
    asked.form.text("Description")?;
    asked.form.word("Location", &["regional"])?;
    let [tags] = tagging::of_new(&mut asked.form, ["snapshot"])?;
    asked.taken("ec2:CreateSnapshot").await?;
    let made = asked.account.create_snapshot(&volume, &tags).await?;
    let mut xml = Xml::default();
    show(&mut xml, &made, asked.call.account, "status");
    Ok(xml)
}

pub(super) async fn delete(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let id = page::required_id(&mut asked.form, "SnapshotId", "snap-", MALFORMED)?;
    asked.writes(|| Proof::DeleteSnapshot(id.clone())).await?;
    asked.account.delete_snapshot(&id).await?;
    Ok(done())
}

/// `state`: CreateSnapshots calls the element by another name than the other operations.
fn show(xml: &mut Xml, snapshot: &Snapshot, owner: &str, state: &str) {
    xml.text("snapshotId", &snapshot.id).text("volumeId", &snapshot.volume).text(state, &snapshot.state);
    xml.maybe("statusMessage", snapshot.message.as_deref());
    xml.time("startTime", snapshot.started_at).text("progress", &snapshot.progress);
    xml.text("ownerId", owner).text("volumeSize", snapshot.size_gib).text("encrypted", snapshot.encrypted);
    xml.text("storageTier", "standard");
    tagging::show(xml, &snapshot.tags);
}

impl Filtered for Snapshot {
    const NAMES: &'static [&'static str] = &[
        "encrypted",
        "progress",
        "snapshot-id",
        "start-time",
        "status",
        "storage-tier",
        "volume-id",
        "volume-size",
    ];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "encrypted" => vec![self.encrypted.to_string()],
            "progress" => vec![self.progress.clone()],
            "snapshot-id" => vec![self.id.clone()],
            "start-time" => self
                .started_at
                .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
                .into_iter()
                .collect(),
            "status" => vec![self.state.clone()],
            "storage-tier" => vec!["standard".into()],
            "volume-id" => vec![self.volume.clone()],
            "volume-size" => vec![self.size_gib.to_string()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.tags)
    }
}
