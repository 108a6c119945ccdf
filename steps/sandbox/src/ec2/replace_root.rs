//! Replacements of root volumes: CreateReplaceRootVolumeTask, DescribeReplaceRootVolumeTasks.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::{Ec2, Proof, ReplaceRootVolume, ReplaceTask};

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    page::{self, Range},
    tagging,
    volumes::token,
    xml::Xml,
};
use crate::fault::Trouble;

const MOST_IDS: usize = 50;

pub(super) async fn create(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let form = &mut asked.form;
    let instance = page::required_id(form, "InstanceId", "i-", "InvalidInstanceID.Malformed")?;
    // The other sources (an image, a volume, the state at launch) and deletion of the old root are not simulated: what
    // names them is left over, and refused.
    let snapshot = page::required_id(form, "SnapshotId", "snap-", "InvalidSnapshotID.Malformed")?;
    form.word("DeleteReplacedRootVolume", &["false"])?;
    let token = token(form)?;
    let [tags] = tagging::of_new(form, ["replace-root-volume-task"])?;
    let request = ReplaceRootVolume { instance, snapshot, tags, token };
    asked.writes(|| Proof::ReplaceRootVolume(request.clone())).await?;
    let task = asked.account.replace_root_volume(&request).await?;
    let mut xml = Xml::default();
    xml.part("replaceRootVolumeTask", |part| show(part, &task));
    Ok(xml)
}

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(
        &mut asked.form,
        "ReplaceRootVolumeTaskId",
        "replacevol-",
        "InvalidReplaceRootVolumeTaskId.Malformed",
        MOST_IDS,
    )?;
    let filters = Filters::take::<ReplaceTask>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 1, 50)?;
    asked.taken("ec2:DescribeReplaceRootVolumeTasks").await?;
    let found = asked
        .page("ec2:DescribeReplaceRootVolumeTasks", &range, &ids, async {
            let all = asked.account.all_replace_tasks().await?;
            Ok(filters.keep(page::with_ids(
                all,
                &ids,
                |task| &task.id,
                "InvalidReplaceRootVolumeTaskId.NotFound",
                "replace root volume task ID",
            )?))
        })
        .await?;
    let mut xml = Xml::default();
    xml.list("replaceRootVolumeTaskSet", &found.items, show);
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

fn show(xml: &mut Xml, task: &ReplaceTask) {
    xml.text("replaceRootVolumeTaskId", &task.id).text("instanceId", &task.instance);
    xml.text("taskState", &task.state).maybe("snapshotId", task.snapshot.as_deref());
    // These times are texts, without fractions of a second.
    xml.maybe("startTime", task.started_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ")));
    xml.text("deleteReplacedRootVolume", false);
    tagging::show(xml, &task.tags);
}

impl Filtered for ReplaceTask {
    const NAMES: &'static [&'static str] = &["instance-id"];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "instance-id" => vec![self.instance.clone()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.tags)
    }
}
