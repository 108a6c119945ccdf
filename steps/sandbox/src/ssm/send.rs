//! `SendCommand`.

use std::{collections::BTreeSet, time::Duration};

use runbook_engine::ids::TargetId;
use runbook_steps::world::SendRequest;
use serde_json::{Value, json};

use super::{
    command,
    document::Document,
    documents::{check_version, no_document},
};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// What AWS takes when nothing is said (facts: SendCommand).
const DELIVERY_S: u64 = 3600;

/// `SendCommand`.
pub(super) async fn send_command(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let request = read(&mut asked)?;
    asked.finish()?;
    let sent = call.home().send(request).await?;
    Ok(json!({ "Command": command::show(&sent) }))
}

fn read(asked: &mut Members) -> Result<SendRequest, Refusal> {
    let name = asked.required("DocumentName", 450)?;
    let instances = asked.texts("InstanceIds", 0, 50)?.unwrap_or_default();
    let mut targets = Vec::new();
    for mut target in asked.structures("Targets", 0, 5)? {
        let key = target.required("Key", 163)?;
        targets.push((key, target.texts("Values", 0, 50)?.unwrap_or_default()));
        target.finish()?;
    }
    let parameters = asked.lists("Parameters")?;
    let comment = asked.text("Comment", 100)?.unwrap_or_default();
    let delivery_s = asked.integer("TimeoutSeconds", 30, 2_592_000)?.unwrap_or(DELIVERY_S);
    let max_concurrency = asked.text("MaxConcurrency", 7)?.unwrap_or_else(|| "50".into());
    let max_errors = asked.text("MaxErrors", 7)?.unwrap_or_else(|| "0".into());
    let version = asked.text("DocumentVersion", 64)?;
    leave_out(asked)?;

    let document = Document::find(&name).ok_or_else(|| no_document(&name))?;
    check_version(version.as_deref())?;
    document.check(&parameters).map_err(|cause| Refusal::new("InvalidParameters", cause))?;
    if instances.is_empty() == targets.is_empty() {
        let message = "either InstanceIds or Targets must be given, and not both";
        return Err(Refusal::new("ValidationException", message));
    }
    for id in &instances {
        let digits = id.strip_prefix("i-").or_else(|| id.strip_prefix("mi-")).unwrap_or_default();
        if !matches!(digits.len(), 8 | 17) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::new("ValidationException", format!("{id} is no instance id")));
        }
    }
    if instances.iter().collect::<BTreeSet<_>>().len() < instances.len() {
        return Err(Refusal::new("DuplicateInstanceId", "an instance is named twice"));
    }
    for (key, _) in &targets {
        let known = key == "InstanceIds" || key.starts_with("tag:") || key == "resource-groups:Name";
        if !known {
            return Err(Refusal::new("ValidationException", format!("{key} is no key of Targets")));
        }
    }
    check_share("MaxConcurrency", &max_concurrency, 1)?;
    check_share("MaxErrors", &max_errors, 0)?;
    Ok(SendRequest {
        document: document.name.to_owned(),
        instances: instances.into_iter().map(TargetId::from).collect(),
        targets,
        parameters: parameters.into_iter().collect(),
        comment,
        delivery_timeout: Duration::from_secs(delivery_s),
        max_concurrency,
        max_errors,
    })
}

/// A number, or a percentage up to 100.
fn check_share(name: &str, text: &str, least: u64) -> Result<(), Refusal> {
    let (digits, most) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100),
        None => (text, u64::MAX),
    };
    let plain = digits == "0" || !digits.starts_with('0');
    match digits.parse::<u64>() {
        Ok(number) if plain && (least..=most).contains(&number) => Ok(()),
        _ => Err(Refusal::new("ValidationException", format!("{name} cannot be `{text}`"))),
    }
}

/// What AWS takes and the sandbox has nothing behind: refused where it would matter, never ignored.
fn leave_out(asked: &mut Members) -> Result<(), Refusal> {
    let refuse = |name: &str| {
        Err(Refusal::new("ValidationException", format!("the sandbox has nothing behind {name}")))
    };
    for name in
        ["OutputS3BucketName", "OutputS3KeyPrefix", "ServiceRoleArn", "DocumentHash", "DocumentHashType"]
    {
        if asked.text(name, 500)?.is_some_and(|text| !text.is_empty()) {
            return refuse(name);
        }
    }
    // AWS ignores it (facts: SendCommand).
    asked.text("OutputS3Region", 20)?;
    if let Some(mut config) = asked.structure("CloudWatchOutputConfig")? {
        config.text("CloudWatchLogGroupName", 512)?;
        let enabled = config.flag("CloudWatchOutputEnabled")?;
        config.finish()?;
        if enabled {
            return refuse("CloudWatchOutputConfig");
        }
    }
    for name in ["NotificationConfig", "AlarmConfiguration"] {
        if asked.structure(name)?.is_some() {
            return refuse(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_share;

    #[test]
    fn shares() {
        for (text, least, ok) in [
            ("1", 1, true),
            ("50", 1, true),
            ("100%", 1, true),
            ("0", 0, true),
            ("0%", 0, true),
            ("0", 1, false),
            ("101%", 1, false),
            ("007", 1, false),
            ("ten", 1, false),
            ("", 0, false),
            ("-1", 0, false),
        ] {
            assert_eq!(check_share("MaxErrors", text, least).is_ok(), ok, "{text} {least}");
        }
    }
}
