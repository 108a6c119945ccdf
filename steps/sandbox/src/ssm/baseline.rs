//! Patch baselines: those that AWS predefines (facts: Patch baselines).

use serde_json::{Value, json};

use super::listing::Which;
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// A predefined baseline: its number in our ids, its name, and its operating system.
const BASELINES: [(u64, &str, &str); 5] = [
    (1, "AWS-AmazonLinux2023DefaultPatchBaseline", "AMAZON_LINUX_2023"),
    (2, "AWS-AmazonLinux2DefaultPatchBaseline", "AMAZON_LINUX_2"),
    (3, "AWS-UbuntuDefaultPatchBaseline", "UBUNTU"),
    (4, "AWS-RedHatDefaultPatchBaseline", "REDHAT_ENTERPRISE_LINUX"),
    (5, "AWS-DefaultPatchBaseline", "WINDOWS"),
];

const SYSTEMS: [&str; 15] = [
    "WINDOWS",
    "AMAZON_LINUX",
    "AMAZON_LINUX_2",
    "AMAZON_LINUX_2022",
    "UBUNTU",
    "REDHAT_ENTERPRISE_LINUX",
    "SUSE",
    "CENTOS",
    "ORACLE_LINUX",
    "DEBIAN",
    "MACOS",
    "RASPBIAN",
    "ROCKY_LINUX",
    "ALMA_LINUX",
    "AMAZON_LINUX_2023",
];

fn id(number: u64) -> String {
    format!("pb-{number:017x}")
}

/// `DescribePatchBaselines`.
pub(super) async fn describe_patch_baselines(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribePatchBaselines", (1, 100, 50))?;
    let mut filters = Vec::new();
    for mut filter in asked.structures("Filters", 0, 5)? {
        let key = filter.required("Key", 128)?;
        filters.push((key, filter.texts("Values", 0, usize::MAX)?.unwrap_or_default()));
        filter.finish()?;
    }
    asked.finish()?;
    if let Some((key, _)) =
        filters.iter().find(|(key, _)| !["NAME_PREFIX", "OWNER", "OPERATING_SYSTEM"].contains(&key.as_str()))
    {
        return Err(Refusal::new("ValidationException", format!("{key} is no filter of baselines")).into());
    }
    let list = async {
        call.home().call("ssm:DescribePatchBaselines").await?;
        let found = BASELINES.iter().filter(|(_, name, system)| {
            filters.iter().all(|(key, values)| {
                values.iter().any(|value| match key.as_str() {
                    "NAME_PREFIX" => name.starts_with(value.trim_end_matches('*')),
                    "OWNER" => ["AWS", "All"].contains(&value.as_str()),
                    _ => value == system,
                })
            })
        });
        Ok(found
            .map(|(number, name, system)| {
                json!({
                    "BaselineId": id(*number),
                    "BaselineName": name,
                    "OperatingSystem": system,
                    "BaselineDescription": "A patch baseline that AWS predefines.",
                    "DefaultBaseline": true,
                })
            })
            .collect())
    };
    which.page(call, "BaselineIdentities", list).await
}

/// `DescribePatchGroups`: no group is registered, so that every machine has the default baseline of its system.
pub(super) async fn describe_patch_groups(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribePatchGroups", (1, 100, 50))?;
    for mut filter in asked.structures("Filters", 0, 5)? {
        filter.required("Key", 128)?;
        filter.texts("Values", 0, usize::MAX)?;
        filter.finish()?;
    }
    asked.finish()?;
    let list = async {
        call.home().call("ssm:DescribePatchGroups").await?;
        Ok(Vec::new())
    };
    which.page(call, "Mappings", list).await
}

/// `GetPatchBaselineForPatchGroup`: without a system, of Windows (facts: Patch baselines).
pub(super) async fn get_patch_baseline_for_patch_group(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let group = asked.required("PatchGroup", 256)?;
    let (system, baseline) = default_of(&mut asked)?;
    asked.finish()?;
    call.home().call("ssm:GetPatchBaselineForPatchGroup").await?;
    Ok(json!({ "BaselineId": baseline, "PatchGroup": group, "OperatingSystem": system }))
}

/// `GetDefaultPatchBaseline`: without a system, of Windows.
pub(super) async fn get_default_patch_baseline(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let (system, baseline) = default_of(&mut asked)?;
    asked.finish()?;
    call.home().call("ssm:GetDefaultPatchBaseline").await?;
    Ok(json!({ "BaselineId": baseline, "OperatingSystem": system }))
}

fn default_of(asked: &mut Members) -> Result<(String, String), Refusal> {
    let system = asked.word("OperatingSystem", &SYSTEMS)?.unwrap_or_else(|| "WINDOWS".into());
    match BASELINES.iter().find(|(.., known)| *known == system) {
        Some((number, ..)) => Ok((system, id(*number))),
        None => {
            Err(Refusal::new("DoesNotExistException", format!("the sandbox has no baseline for {system}")))
        }
    }
}
