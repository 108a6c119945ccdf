//! `CancelCommand`.

use std::collections::BTreeSet;

use runbook_engine::ids::TargetId;
use runbook_steps::ports::ssm::Ssm;
use serde_json::{Value, json};

use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// `CancelCommand`: without instances, on all.
pub(super) async fn cancel_command(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let id = asked.required("CommandId", 36)?;
    let instances = asked.texts("InstanceIds", 0, 50)?.unwrap_or_default();
    asked.finish()?;
    if instances.iter().collect::<BTreeSet<_>>().len() < instances.len() {
        return Err(Refusal::new("DuplicateInstanceId", "an instance is named twice").into());
    }
    let instances: Vec<_> = instances.into_iter().map(TargetId::from).collect();
    call.home().cancel_command(&id, &instances).await?;
    Ok(json!({}))
}
