//! What a playbook would change, asked before there is a run: `ansible-playbook --check`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{ids::TargetId, target::Target};
use uuid::Uuid;

use super::{
    invocation::Invocation,
    playbook::PROGRAM,
    verdict::{Asked, judge},
};
use crate::{
    action::Inputs,
    ports::{Ports, process::Progress},
    program::End,
};

/// How long is waited between two questions whether it ended.
const EVERY: Duration = Duration::from_millis(100);

/// What a playbook would do to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// These tasks would change something; none: nothing would be changed.
    Changes(Vec<String>),
    /// It would not come through it, or a task cannot be checked before others were carried out.
    Fails(String),
}

/// Asks Ansible what a playbook would change on these machines. They are only read, as far as the playbook's modules keep
/// to it.
///
/// # Errors
/// Why Ansible could not be asked, as one lower-case sentence.
pub async fn preview(
    ports: &Ports,
    machines: &[Arc<Target>],
    inputs: &Inputs,
) -> Result<BTreeMap<TargetId, Preview>, String> {
    let inputs = inputs.with("check", true);
    let token = Uuid::new_v4().to_string();
    let play = Invocation { machines, inputs: &inputs }.play(&token, inputs.map("env"))?;
    let playbook = play.playbook.clone();
    ports.ansible.start(play).await.map_err(|hindrance| hindrance.why)?;
    let end = loop {
        match ports.process.progress(&token).await? {
            Progress::Running => ports.clock.sleep(EVERY).await,
            Progress::Ended(ended) => break End::Ended(ended),
            Progress::Absent | Progress::Lost => break End::Lost,
        }
    };
    let told = ports.ansible.told(&token).await?;
    ports.ansible.forget(&token).await?;
    let hosts: Vec<TargetId> = machines.iter().map(|machine| machine.id.clone()).collect();
    let program = inputs.text("program").unwrap_or(PROGRAM);
    let asked = Asked { program, playbook: &playbook, check: true, repeatable: true, hosts: &hosts };
    let changes = |host: &TargetId| told.hosts.get(host.as_str()).map(|heard| heard.changes.clone());
    Ok(judge(asked, &end, &told)
        .into_iter()
        .map(|(host, verdict)| match verdict.into_cause() {
            Some(cause) => (host, Preview::Fails(cause)),
            None => {
                let changes = changes(&host).unwrap_or_default();
                (host, Preview::Changes(changes))
            }
        })
        .collect())
}
