//! StartInstances, StopInstances, RebootInstances.

use runbook_engine::ids::TargetId;
use runbook_steps::{
    ports::ec2::{Ec2, Proof},
    world::StateChange,
};

use super::{asked::Asked, instances::show_state, page, volumes::done, xml::Xml};
use crate::fault::{Refusal, Trouble};

/// The most instances of one call, as for the calls that read (facts: Pages and batches).
const MOST_IDS: usize = 1_000;

pub(super) async fn start(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = ids(&mut asked)?;
    asked.writes(|| Proof::StartInstances(ids.clone())).await?;
    Ok(show(&asked.account.start(&ids).await?))
}

/// Without hibernation, which this sandbox does not simulate.
pub(super) async fn stop(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = ids(&mut asked)?;
    asked.form.flag("Force")?;
    asked.form.flag("SkipOsShutdown")?;
    asked.form.word("Hibernate", &["false"])?;
    asked.writes(|| Proof::StopInstances(ids.clone())).await?;
    Ok(show(&asked.account.stop(&ids).await?))
}

pub(super) async fn reboot(mut asked: Asked<'_>) -> Result<Xml, Trouble> {
    let ids = ids(&mut asked)?;
    asked.writes(|| Proof::RebootInstances(ids.clone())).await?;
    asked.account.reboot_instances(&ids).await?;
    Ok(done())
}

fn ids(asked: &mut Asked<'_>) -> Result<Vec<TargetId>, Refusal> {
    let form = &mut asked.form;
    let ids = page::ids(form, "InstanceId", "i-", "InvalidInstanceID.Malformed", MOST_IDS)?;
    if ids.is_empty() {
        return Err(form.missing("InstanceId"));
    }
    Ok(ids.into_iter().map(TargetId::from).collect())
}

fn show(changes: &[StateChange]) -> Xml {
    let mut xml = Xml::default();
    xml.list("instancesSet", changes, |item, change| {
        item.text("instanceId", &change.instance);
        show_state(item, "currentState", &change.current);
        show_state(item, "previousState", &change.previous);
    });
    xml
}
