//! `DescribeInstanceInformation`.

use std::collections::BTreeSet;

use runbook_engine::ids::TargetId;
use runbook_steps::world::Agent;
use serde_json::{Value, json};

use super::{listing::Which, time::epoch};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

const AGENT: &str = "3.3.2299.0";

/// What an agent must be: one of these values for the key.
struct Condition {
    key: String,
    values: Vec<String>,
}

/// `DescribeInstanceInformation`.
pub(super) async fn describe_instance_information(
    call: &Call<'_>,
    mut asked: Members,
) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:DescribeInstanceInformation", (5, 50, 10))?;
    let conditions = conditions(&mut asked)?;
    asked.finish()?;
    let list = async {
        // One by one where they are named: a call for fifty of ten thousand costs fifty.
        let agents = match conditions.iter().find(|condition| condition.key == "InstanceIds") {
            Some(Condition { values, .. }) => {
                let named: BTreeSet<_> = values.iter().cloned().map(TargetId::from).collect();
                call.home().agents_of(&named.into_iter().collect::<Vec<_>>()).await?
            }
            None => call.home().all_agents().await?,
        };
        let fits = |agent: &&Agent| conditions.iter().all(|condition| condition.fits(agent));
        Ok(agents.iter().filter(fits).map(show).collect())
    };
    which.page(call, "InstanceInformationList", list).await
}

fn conditions(asked: &mut Members) -> Result<Vec<Condition>, Refusal> {
    let mut conditions = Vec::new();
    let old = asked.structures("InstanceInformationFilterList", 0, usize::MAX)?;
    let new = asked.structures("Filters", 0, usize::MAX)?;
    if !old.is_empty() && !new.is_empty() {
        let message = "InstanceInformationFilterList and Filters exclude each other";
        return Err(Refusal::new("ValidationException", message));
    }
    for (mut filter, key, values) in old
        .into_iter()
        .map(|filter| (filter, "key", "valueSet"))
        .chain(new.into_iter().map(|filter| (filter, "Key", "Values")))
    {
        let key = filter.required(key, 512)?;
        let values = filter.texts(values, 1, 100)?.unwrap_or_default();
        filter.finish()?;
        if values.is_empty() {
            return Err(Refusal::new(
                "InvalidInstanceInformationFilterValue",
                format!("{key} has no values"),
            ));
        }
        conditions.push(Condition { key, values });
    }
    if let Some(wrong) = conditions.iter().find(|condition| !condition.is_known()) {
        return Err(Refusal::new("InvalidFilterKey", format!("the filter key {} is not valid", wrong.key)));
    }
    // As on AWS (facts: Is it back).
    let tags = conditions.iter().filter(|condition| condition.is_tag()).count();
    if tags > 0 && tags < conditions.len() {
        let message = "a tag filter cannot be mixed with other filters";
        return Err(Refusal::new("ValidationException", message));
    }
    Ok(conditions)
}

impl Condition {
    fn is_tag(&self) -> bool {
        self.key.starts_with("tag:") || self.key == "tag-key"
    }

    fn is_known(&self) -> bool {
        let keys = [
            "InstanceIds",
            "AgentVersion",
            "PingStatus",
            "PlatformTypes",
            "ActivationIds",
            "IamRole",
            "ResourceType",
            "AssociationStatus",
        ];
        self.is_tag() || keys.contains(&self.key.as_str())
    }

    fn fits(&self, agent: &Agent) -> bool {
        let is = |value: &str| self.values.iter().any(|wanted| wanted == value);
        match self.key.as_str() {
            "InstanceIds" => is(agent.instance.as_str()),
            "AgentVersion" => is(AGENT),
            "PingStatus" => is(&agent.ping_status),
            "PlatformTypes" => is(&agent.platform_type),
            "ResourceType" => is("EC2Instance"),
            "tag-key" => agent.tags.keys().any(|key| is(key)),
            key => {
                key.strip_prefix("tag:").and_then(|key| agent.tags.get(key)).is_some_and(|value| is(value))
            }
        }
    }
}

fn show(agent: &Agent) -> Value {
    let (name, version) = match agent.platform_type.as_str() {
        "Windows" => ("Microsoft Windows Server 2022 Datacenter", "10.0.20348"),
        _ => ("Amazon Linux", "2023"),
    };
    json!({
        "InstanceId": agent.instance,
        "PingStatus": agent.ping_status,
        "LastPingDateTime": epoch(agent.last_ping),
        "AgentVersion": AGENT,
        "IsLatestVersion": true,
        "PlatformType": agent.platform_type,
        "PlatformName": name,
        "PlatformVersion": version,
        "ResourceType": "EC2Instance",
        "IPAddress": agent.ip_address,
        "ComputerName": agent.computer_name,
        "SourceId": agent.instance,
        "SourceType": "AWS::EC2::Instance",
    })
}
