//! Security Token Service: who somebody is, and roles (Query protocol, API version 2011-06-15).

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    keys::Role,
    members::Members,
    query::{self, Form},
    request::Request,
    service::Service,
};

const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// What follows this in a role's name is the external id that it demands.
const EXTERNAL: &str = "-external-";

/// Security Token Service.
pub struct StsService;

#[async_trait]
impl Service for StsService {
    fn name(&self) -> &'static str {
        "sts"
    }

    fn operation(&self, request: &Request) -> Option<String> {
        Form::of(request).action().map(str::to_owned)
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let asked = Form::of(call.request).members(VERSION)?;
        let result = match call.operation {
            "GetCallerIdentity" => get_caller_identity(call, asked).await?,
            "AssumeRole" => assume_role(call, asked).await?,
            other => return Err(self.unknown_operation(Some(other)).into()),
        };
        Ok(query::answer(call.operation, NAMESPACE, Some(&result), call.request_id))
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, request_id: &str) -> Answer {
        query::refuse(NAMESPACE, refusal, request_id)
    }

    fn unknown_operation(&self, operation: Option<&str>) -> Refusal {
        let what = operation.unwrap_or("no operation");
        Refusal::new("InvalidAction", format!("Could not find operation {what} for version {VERSION}"))
    }
}

async fn get_caller_identity(call: &Call<'_>, asked: Members) -> Result<Value, Trouble> {
    asked.finish()?;
    call.home().call("sts:GetCallerIdentity").await?;
    let (user_id, arn) = identity(call);
    Ok(json!({ "UserId": user_id, "Account": call.account, "Arn": arn }))
}

/// Id and ARN of the caller.
fn identity(call: &Call<'_>) -> (String, String) {
    match call.sandbox.keys().role(call.access_key) {
        Some(Role { role, session }) => (
            format!("AROASANDBOX:{session}"),
            format!("arn:aws:sts::{}:assumed-role/{role}/{session}", call.account),
        ),
        None => ("AIDASANDBOX".into(), format!("arn:aws:iam::{}:user/sandbox", call.account)),
    }
}

async fn assume_role(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let arn = asked.required("RoleArn", 2048)?;
    let session = asked.required("RoleSessionName", 64)?;
    let lasts_s = asked.integer("DurationSeconds", 900, 43_200)?.unwrap_or(3600);
    let external_id = asked.text("ExternalId", 1224)?;
    let source = asked.text("SourceIdentity", 64)?;
    asked.text("Policy", usize::MAX)?;
    for mut policy in asked.structures("PolicyArns", 0, 10)? {
        policy.required("arn", 2048)?;
        policy.finish()?;
    }
    for mut tag in asked.structures("Tags", 0, 50)? {
        tag.required("Key", 128)?;
        tag.required("Value", 256)?;
        tag.finish()?;
    }
    asked.texts("TransitiveTagKeys", 0, 50)?;
    asked.finish()?;
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    if session.chars().count() < 2 || !session.chars().all(letters) {
        return Err(Refusal::new("ValidationError", format!("`{session}` is no role session name")).into());
    }
    let (account, role) =
        read(&arn).ok_or_else(|| Refusal::new("ValidationError", format!("{arn} is invalid")))?;
    call.home().call("sts:AssumeRole").await?;
    let name = role.rsplit('/').next().unwrap_or(role);
    let demanded = name.rsplit_once(EXTERNAL).map(|(_, id)| id);
    if demanded.is_some_and(|id| external_id.as_deref() != Some(id)) {
        let (_, caller) = identity(call);
        let message =
            format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Refusal::new("AccessDenied", message).status(403).into());
    }
    let random = || uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    let access_key = format!("ASIA{account}{}", &random()[..8]);
    let given = Role { role: name.to_owned(), session: session.clone() };
    call.sandbox.keys().give(access_key.clone(), given);
    let mut result = json!({
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": format!("{}{}", random(), &random()[..8]),
            "SessionToken": format!("{}{}", random(), random()),
            "Expiration": expiration(call.world().now(), lasts_s),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROASANDBOX:{session}"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        },
        "PackedPolicySize": 0,
    });
    if let Some(source) = source {
        result["SourceIdentity"] = json!(source);
    }
    Ok(result)
}

/// `arn:aws:iam::ACCOUNT:role/NAME`: account and name, with its path.
fn read(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (start, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let role = resource.strip_prefix("role/").filter(|role| !role.is_empty())?;
    let plain = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (start == "arn" && service == "iam" && region.is_empty() && plain).then_some((account, role))
}

/// Clients compare it with a clock of their own, some with the world's and some with the machine's: it holds for the
/// later of the two.
fn expiration(now: Timestamp, lasts_s: u64) -> String {
    let from = now.max(Timestamp::now());
    let at = from.checked_add(Duration::from_secs(lasts_s)).unwrap_or(Timestamp::MAX);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn role_arns() {
        assert_eq!(read("arn:aws:iam::123456789012:role/ops/patch"), Some(("123456789012", "ops/patch")));
        for wrong in ["arn:aws:iam::123:role/x", "arn:aws:iam::123456789012:user/x", "role/x", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
