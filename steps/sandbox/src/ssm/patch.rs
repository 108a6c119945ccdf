//! Patch states and patches.

use runbook_engine::ids::TargetId;
use runbook_steps::ports::ssm::{PatchState, Ssm};
use serde_json::{Value, json};

use super::{listing::Which, time::epoch};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// `MaxResults` of all of them (facts: Pages and batches).
const BOUNDS: (u64, u64, u64) = (10, 100, 50);

/// `DescribeInstancePatchStates`: machines that never reported are left out.
pub(super) async fn describe_instance_patch_states(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribeInstancePatchStates", BOUNDS)?;
    let ids = asked.texts("InstanceIds", 0, 50)?.unwrap_or_default();
    asked.finish()?;
    let ids: Vec<_> = ids.into_iter().map(TargetId::from).collect();
    let list = async { Ok(call.home().patch_states(&ids).await?.iter().map(show).collect()) };
    which.page(call, "InstancePatchStates", list).await
}

/// `DescribeInstancePatchStatesForPatchGroup`.
pub(super) async fn describe_instance_patch_states_for_patch_group(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribeInstancePatchStatesForPatchGroup", BOUNDS)?;
    let group = asked.required("PatchGroup", 256)?;
    let mut filters = Vec::new();
    for mut filter in asked.structures("Filters", 0, 4)? {
        let key = filter.required("Key", 200)?;
        let values = filter.texts("Values", 1, 1)?.unwrap_or_default();
        let kind = filter.word("Type", &["Equal", "NotEqual", "LessThan", "GreaterThan"])?;
        filter.finish()?;
        let value = values.first().and_then(|value| value.parse::<u64>().ok());
        let (Some(value), Some(kind)) = (value, kind) else {
            return Err(
                Refusal::new("InvalidFilter", format!("the filter {key} needs a number and a type")).into()
            );
        };
        filters.push((key, value, kind));
    }
    asked.finish()?;
    let list = async {
        let mut rows = Vec::new();
        for state in states_of_group(call, &group).await? {
            let row = show(&state);
            let mut fits = true;
            for (key, wanted, kind) in &filters {
                let number = row.get(key).and_then(Value::as_u64).ok_or_else(|| {
                    Refusal::new("InvalidFilter", format!("{key} is no counter of a patch state"))
                })?;
                fits &= match kind.as_str() {
                    "Equal" => number == *wanted,
                    "NotEqual" => number != *wanted,
                    "LessThan" => number < *wanted,
                    _ => number > *wanted,
                };
            }
            if fits {
                rows.push(row);
            }
        }
        Ok(rows)
    };
    which.page(call, "InstancePatchStates", list).await
}

/// `DescribePatchGroupState`.
pub(super) async fn describe_patch_group_state(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let group = asked.required("PatchGroup", 256)?;
    asked.finish()?;
    let instances = members(call, &group).await?.len();
    let states = states_of_group(call, &group).await?;
    let count = |with: fn(&PatchState) -> u64| states.iter().filter(|state| with(state) > 0).count();
    Ok(json!({
        "Instances": instances,
        "InstancesWithInstalledPatches": states.len(),
        "InstancesWithInstalledOtherPatches": 0,
        "InstancesWithInstalledPendingRebootPatches": count(|state| state.pending_reboot),
        "InstancesWithInstalledRejectedPatches": 0,
        "InstancesWithMissingPatches": count(|state| state.missing),
        "InstancesWithFailedPatches": count(|state| state.failed),
        "InstancesWithNotApplicablePatches": 0,
        "InstancesWithUnreportedNotApplicablePatches": 0,
        "InstancesWithCriticalNonCompliantPatches": count(|state| state.critical),
        "InstancesWithSecurityNonCompliantPatches": count(|state| state.security),
        "InstancesWithOtherNonCompliantPatches": count(|state| state.other),
        "InstancesWithAvailableSecurityUpdates": 0,
    }))
}

/// The machines whose tag `Patch Group` (or `PatchGroup`) says so (facts: Patch baselines).
async fn members(call: &Call<'_>, group: &str) -> Result<Vec<TargetId>, Trouble> {
    let agents = call.home().all_agents().await?;
    let is_member = |agent: &runbook_steps::world::Agent| {
        ["Patch Group", "PatchGroup"]
            .iter()
            .any(|key| agent.tags.get(*key).is_some_and(|value| value == group))
    };
    Ok(agents.into_iter().filter(is_member).map(|agent| agent.instance).collect())
}

async fn states_of_group(call: &Call<'_>, group: &str) -> Result<Vec<PatchState>, Trouble> {
    let members = members(call, group).await?;
    Ok(call.home().patch_states(&members).await?)
}

fn show(state: &PatchState) -> Value {
    let mut value = json!({
        "InstanceId": state.instance,
        "PatchGroup": state.patch_group,
        "BaselineId": state.baseline,
        "InstalledCount": 200,
        "InstalledOtherCount": 0,
        "InstalledPendingRebootCount": state.pending_reboot,
        "InstalledRejectedCount": 0,
        "MissingCount": state.missing,
        "FailedCount": state.failed,
        "UnreportedNotApplicableCount": 0,
        "NotApplicableCount": 0,
        "AvailableSecurityUpdateCount": 0,
        "Operation": state.operation,
        "CriticalNonCompliantCount": state.critical,
        "SecurityNonCompliantCount": state.security,
        "OtherNonCompliantCount": state.other,
    });
    if let Some(snapshot) = &state.snapshot_id {
        value["SnapshotId"] = json!(snapshot);
    }
    if let Some(option) = &state.reboot_option {
        value["RebootOption"] = json!(option);
    }
    // Both are required members: where the world knows no beginning, the end is said.
    if let Some(ended) = state.ended_at {
        value["OperationStartTime"] = epoch(state.started_at.unwrap_or(ended));
        value["OperationEndTime"] = epoch(ended);
        if state.operation == "Install" && state.reboot_option.as_deref() == Some("NoReboot") {
            value["LastNoRebootInstallOperationTime"] = epoch(ended);
        }
    }
    value
}

/// How the filter `State` and the answer write the same (facts: Patch states).
const STATES: [(&str, &str); 4] = [
    ("Missing", "MISSING"),
    ("Failed", "FAILED"),
    ("InstalledPendingReboot", "INSTALLED_PENDING_REBOOT"),
    ("Installed", "INSTALLED"),
];

/// `DescribeInstancePatches`: the world counts patches and names none, so the names are made up.
pub(super) async fn describe_instance_patches(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribeInstancePatches", BOUNDS)?;
    let id = TargetId::from(asked.required("InstanceId", 64)?);
    let mut filters = Vec::new();
    for mut filter in asked.structures("Filters", 0, 5)? {
        let key = filter.required("Key", 128)?;
        let values = filter.texts("Values", 0, usize::MAX)?.unwrap_or_default();
        filter.finish()?;
        if !["Classification", "KBId", "Severity", "State"].contains(&key.as_str()) {
            return Err(Refusal::new("InvalidFilter", format!("{key} is no filter of patches")).into());
        }
        filters.push((key, values));
    }
    asked.finish()?;
    let list = async {
        let states = call.home().patch_states(std::slice::from_ref(&id)).await?;
        let Some(state) = states.first() else { return Ok(Vec::new()) };
        let fits = |patch: &Value| {
            filters.iter().all(|(key, values)| {
                let has = patch[key].as_str().unwrap_or_default();
                values.iter().any(|wanted| {
                    let written = STATES.iter().find(|(filter, _)| filter == wanted);
                    if key == "State" {
                        written.is_some_and(|(_, state)| *state == has)
                    } else {
                        wanted == has
                    }
                })
            })
        };
        Ok(patches(state).into_iter().filter(fits).collect())
    };
    which.page(call, "Patches", list).await
}

fn patches(state: &PatchState) -> Vec<Value> {
    let counts = [state.missing, state.failed, state.pending_reboot, 3];
    let mut patches = Vec::new();
    for ((_, written), count) in STATES.iter().zip(counts) {
        let open = matches!(*written, "MISSING" | "FAILED");
        for number in 0..count {
            let (critical, security) = (open && number < state.critical, open && number < state.security);
            let id = format!("sandbox-{}-{number}", written.to_lowercase().replace('_', "-"));
            let mut patch = json!({
                "Title": format!("{id}.x86_64"),
                "KBId": format!("{id}.x86_64:1.{number}-1.amzn2023"),
                "Classification": if security || critical { "Security" } else { "Bugfix" },
                "Severity": if critical { "Critical" } else if security { "Important" } else { "Medium" },
                "State": written,
                // A time that is not known is 1970 (facts: Patch states).
                "InstalledTime": if open { json!(0.0) } else { state.ended_at.map_or(json!(0.0), epoch) },
            });
            if open && security {
                patch["CVEIds"] = json!(format!("CVE-2026-{:04}", 1000 + number));
            }
            patches.push(patch);
        }
    }
    patches
}
