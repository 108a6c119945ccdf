//! Volumes: DescribeVolumes, CreateVolume, DeleteVolume.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::{Attachment, CreateVolume, Ec2, Proof, Volume};

use super::{
    asked::Asked,
    attachments,
    filter::{Filtered, Filters},
    page::{self, Range},
    refusal::refused,
    tagging,
    xml::Xml,
};
use crate::fault::Trouble;

const MOST_IDS: usize = 500;
const KINDS: [&str; 7] = ["standard", "io1", "io2", "gp2", "sc1", "st1", "gp3"];
pub(super) const MALFORMED: &str = "InvalidVolumeID.Malformed";

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(&mut asked.form, "VolumeId", "vol-", MALFORMED, MOST_IDS)?;
    let filters = Filters::take::<Volume>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 5, 1_000)?;
    range.excludes("volumeSet", &ids)?;
    asked.form.flag("IncludeManagedResources")?;
    asked.taken("ec2:DescribeVolumes").await?;
    let found = asked
        .page("ec2:DescribeVolumes", &range, &ids, async {
            let all = asked.account.all_volumes().await?;
            Ok(filters.keep(page::with_ids(
                all,
                &ids,
                |volume| &volume.id,
                "InvalidVolume.NotFound",
                "volume",
            )?))
        })
        .await?;
    let mut xml = Xml::default();
    xml.list("volumeSet", &found.items, show);
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

pub(super) async fn create(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let form = &mut asked.form;
    let zone = form.required("AvailabilityZone")?;
    // A volume of nothing is what this sandbox cannot make: everything here is restored from something.
    let snapshot = page::required_id(form, "SnapshotId", "snap-", "InvalidSnapshotID.Malformed")?;
    let kind = form.word("VolumeType", &KINDS)?.unwrap_or_else(|| "gp2".into());
    let size_gib = form.number("Size")?;
    let (iops, throughput) = (form.number("Iops")?, form.number("Throughput")?);
    let encrypted = form.flag("Encrypted")?;
    let kms_key = form.text("KmsKeyId")?;
    let token = token(form)?;
    let [tags] = tagging::of_new(form, ["volume"])?;
    if kms_key.is_some() && !encrypted {
        let message = "The parameter KmsKeyId requires the parameter Encrypted to be set.";
        return Err(refused("InvalidParameterDependency", message).into());
    }
    let size_gib = size_gib.unwrap_or(0);
    let request =
        CreateVolume { snapshot, zone, size_gib, kind, iops, throughput, encrypted, kms_key, tags, token };
    asked.writes(|| Proof::CreateVolume(request.clone())).await?;
    let volume = asked.account.create_volume(&request).await?;
    let mut xml = Xml::default();
    show(&mut xml, &volume);
    Ok(xml)
}

pub(super) async fn delete(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let id = page::required_id(&mut asked.form, "VolumeId", "vol-", MALFORMED)?;
    asked.writes(|| Proof::DeleteVolume(id.clone())).await?;
    asked.account.delete_volume(&id).await?;
    Ok(done())
}

/// The answer of an operation that has nothing to say.
pub(super) fn done() -> Xml {
    let mut xml = Xml::default();
    xml.text("return", true);
    xml
}

/// A client token: at most 64 ASCII characters. Who sends none gets one that nobody knows, as from an SDK.
pub(super) fn token(form: &mut super::form::Form) -> Result<String, crate::fault::Refusal> {
    match form.text("ClientToken")? {
        Some(token) if token.len() > 64 || !token.is_ascii() => Err(form.invalid("ClientToken", &token)),
        Some(token) if !token.is_empty() => Ok(token),
        _ => Ok(uuid::Uuid::new_v4().to_string()),
    }
}

fn show(xml: &mut Xml, volume: &Volume) {
    xml.text("volumeId", &volume.id).text("size", volume.size_gib);
    xml.text("snapshotId", volume.snapshot.as_deref().unwrap_or_default());
    xml.text("availabilityZone", &volume.zone).text("status", &volume.state);
    xml.time("createTime", volume.created_at);
    xml.list("attachmentSet", &volume.attachments, attachments::show);
    xml.text("volumeType", &volume.kind).maybe("iops", volume.iops).maybe("throughput", volume.throughput);
    xml.text("encrypted", volume.encrypted).maybe("kmsKeyId", volume.kms_key.as_deref());
    xml.text("multiAttachEnabled", false);
    tagging::show(xml, &volume.tags);
}

impl Filtered for Volume {
    const NAMES: &'static [&'static str] = &[
        "attachment.delete-on-termination",
        "attachment.device",
        "attachment.instance-id",
        "attachment.status",
        "availability-zone",
        "encrypted",
        "size",
        "snapshot-id",
        "status",
        "volume-id",
        "volume-type",
    ];

    fn values(&self, name: &str) -> Vec<String> {
        let of_attachments = |value: fn(&Attachment) -> String| self.attachments.iter().map(value).collect();
        match name {
            "attachment.delete-on-termination" => {
                of_attachments(|attachment| attachment.delete_on_termination.to_string())
            }
            "attachment.device" => of_attachments(|attachment| attachment.device.clone()),
            "attachment.instance-id" => of_attachments(|attachment| attachment.instance.clone()),
            "attachment.status" => of_attachments(|attachment| attachment.state.clone()),
            "availability-zone" => vec![self.zone.clone()],
            "encrypted" => vec![self.encrypted.to_string()],
            "size" => vec![self.size_gib.to_string()],
            "snapshot-id" => self.snapshot.iter().cloned().collect(),
            "status" => vec![self.state.clone()],
            "volume-id" => vec![self.id.clone()],
            "volume-type" => vec![self.kind.clone()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.tags)
    }
}
