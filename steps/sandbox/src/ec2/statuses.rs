//! DescribeInstanceStatus.

use std::collections::BTreeMap;

use runbook_steps::ports::ec2::InstanceStatus;

use super::{
    asked::Asked,
    filter::{Filtered, Filters},
    instances::{show_state, state_code},
    page::{self, Range},
    xml::Xml,
};
use crate::fault::Trouble;

/// The most ids of one call (facts: Pages and batches).
const MOST_IDS: usize = 100;

/// Instances that do not run are left out unless all are asked for.
pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = page::ids(&mut asked.form, "InstanceId", "i-", "InvalidInstanceID.Malformed", MOST_IDS)?;
    let filters = Filters::take::<InstanceStatus>(&mut asked.form)?;
    let range = Range::take(&mut asked.form, 5, 1_000)?;
    range.excludes("instancesSet", &ids)?;
    let stopped_too = asked.form.flag("IncludeAllInstances")?;
    asked.form.flag("IncludeManagedResources")?;
    asked.taken("ec2:DescribeInstanceStatus").await?;
    let found = asked
        .page("ec2:DescribeInstanceStatus", &range, &ids, async {
            let all = asked.account.all_statuses().await?;
            let mut found = page::with_ids(
                all,
                &ids,
                |status| &status.instance,
                "InvalidInstanceID.NotFound",
                "instance ID",
            )?;
            found.retain(|status| stopped_too || status.state == "running");
            Ok(filters.keep(found))
        })
        .await?;
    let mut xml = Xml::default();
    xml.list("instanceStatusSet", &found.items, |item, status| {
        item.text("instanceId", &status.instance);
        show_state(item, "instanceState", &status.state);
        show_check(item, "systemStatus", &status.system);
        show_check(item, "instanceStatus", &status.reachability);
    });
    xml.maybe("nextToken", found.next);
    Ok(xml)
}

fn show_check(xml: &mut Xml, name: &str, word: &str) {
    xml.part(name, |part| {
        part.text("status", word);
        part.list("details", reachability(word), |item, word| {
            item.text("name", "reachability").text("status", word);
        });
    });
}

/// What the check of the reachability says below the word for the whole.
fn reachability(word: &str) -> Option<&'static str> {
    match word {
        "ok" => Some("passed"),
        "impaired" => Some("failed"),
        "initializing" => Some("initializing"),
        "insufficient-data" => Some("insufficient-data"),
        // The checks of an instance that does not run are not made.
        _ => None,
    }
}

impl Filtered for InstanceStatus {
    const NAMES: &'static [&'static str] = &[
        "instance-state-code",
        "instance-state-name",
        "instance-status.reachability",
        "instance-status.status",
        "system-status.reachability",
        "system-status.status",
    ];

    fn values(&self, name: &str) -> Vec<String> {
        match name {
            "instance-state-code" => vec![state_code(&self.state).to_string()],
            "instance-state-name" => vec![self.state.clone()],
            "instance-status.reachability" => {
                reachability(&self.reachability).map(str::to_owned).into_iter().collect()
            }
            "instance-status.status" => vec![self.reachability.clone()],
            "system-status.reachability" => {
                reachability(&self.system).map(str::to_owned).into_iter().collect()
            }
            "system-status.status" => vec![self.system.clone()],
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}
