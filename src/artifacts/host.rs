//! What hosts of our own keep: deleted by a job on each, like everything that is done to them.

use std::{collections::BTreeMap, time::Duration};

use runbook_engine::{
    artifact::ArtifactKind,
    ids::{GroupName, TargetId},
    target::{Home, Target},
};
use runbook_steps::ports::{
    Ports,
    fault::{Fault, FaultKind},
    linux::{Deed, Job, Progress, Revert, Verdict},
};
use serde_json::Value;
use uuid::Uuid;

use super::delete::{Deletion, End};

/// How often a host is asked whether it is done: deleting files takes seconds.
const LOOKS: u32 = 60;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Deletes what a host keeps.
pub(super) async fn discard(ports: &Ports, home: &Home, deletion: &Deletion) -> End {
    let revert = match (&deletion.snapshot, deletion.kind) {
        (Some(snapshot), _) => snapshot.clone(),
        (None, ArtifactKind::PackageFiles) => Revert {
            method: "packages".to_owned(),
            token: deletion.token.clone(),
            captured: Value::Null,
            options: BTreeMap::new(),
            secrets: BTreeMap::new(),
        },
        (None, _) => {
            return End::failed(format!(
                "the journal of its run does not say how it was made: its marker is {}",
                deletion.token
            ));
        }
    };
    match done(ports, &target(home), deletion, revert).await {
        Ok(end) => end,
        Err(fault) => End::failed(fault.to_string()),
    }
}

async fn done(ports: &Ports, host: &Target, deletion: &Deletion, revert: Revert) -> Result<End, Fault> {
    // A name of its own for every try: what is gone may be deleted again, and a job that was forgotten is not begun
    // again.
    let token = Uuid::new_v4().to_string();
    let job = Job {
        token: token.clone(),
        run: deletion.run.to_string(),
        // Nobody may be going back to a snapshot meanwhile.
        exclusive: deletion.kind == ArtifactKind::HostSnapshot,
        deed: Deed::Discard(revert),
    };
    match ports.linux.start(host, &job).await {
        Err(fault) if fault.kind != FaultKind::Ambiguous => return Err(fault),
        _ => {}
    }
    for _ in 0..LOOKS {
        let end = match ports.linux.progress(host, &token).await? {
            Progress::Running { .. } => {
                ports.clock.sleep(EVERY).await;
                continue;
            }
            Progress::Ended(ended) if ended.verdict == Verdict::Done => {
                let none = ended.told.get("found").and_then(Value::as_str) == Some("no");
                if none { End::gone() } else { End::deleted() }
            }
            // Where the tool, the repository or the file system is missing, nobody knows what it still holds.
            Progress::Ended(ended) => End::failed(ended.cause),
            Progress::Absent | Progress::Lost { .. } => {
                End::failed("the host went down while it was deleted".to_owned())
            }
        };
        if let Err(why) = ports.linux.forget(host, &token).await {
            tracing::debug!(%why, "the traces of a deletion could not be deleted");
        }
        return Ok(end);
    }
    Ok(End::failed("it is still being deleted".to_owned()))
}

/// The host at this place, as far as it must be known to reach it.
fn target(home: &Home) -> Target {
    let address = match home {
        Home::Host { address, .. } => address.clone(),
        Home::Aws { .. } => String::new(),
    };
    Target {
        id: TargetId::new(&address),
        name: address.clone(),
        group: GroupName::new(""),
        private_ip: Some(address),
        tags: BTreeMap::new(),
        vars: BTreeMap::new(),
        platform: "linux".to_owned(),
        image: None,
        root_volume: None,
        ec2: None,
        environment: None,
        owner: None,
        home: home.clone(),
    }
}
