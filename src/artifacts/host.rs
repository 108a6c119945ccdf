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
    linux::{Deed, Ended, Job, Progress, Revert, Verdict},
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
            Progress::Ended(ended) => end_of(ended, deletion.heard_of),
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

/// What the end of the job means for something that was made, or of which that is not known.
fn end_of(ended: Ended, heard_of: bool) -> End {
    let none = ended.told.get("found").and_then(Value::as_str) == Some("no");
    match (ended.verdict, heard_of) {
        (Verdict::Done, true) if none => End::gone(),
        (Verdict::Done, false) if none => End::never_made(),
        (Verdict::Done, _) => End::deleted(),
        // Also where the tool, the repository or the file system is missing: it may only be out of reach now, and nobody
        // knows what it still holds.
        _ => End::failed(ended.cause),
    }
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

#[cfg(test)]
mod tests {
    use runbook_state::artifact::CollectionEnd::{Deleted, Gone, Kept, NeverMade};
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_looked_for_and_not_found_was_never_made() {
        let told = |verdict: Verdict, told: Value, heard_of: bool| {
            let cause = "the repository cannot be reached".to_owned();
            let (stdout, stderr) = (String::new(), String::new());
            let ended = Ended { code: 0, verdict, cause, told, stdout, stderr, ended_at: None };
            let end = end_of(ended, heard_of);
            (end.end, end.failed)
        };
        let none = || json!({ "found": "no", "gone": "yes" });
        assert_eq!(told(Verdict::Done, none(), true), (Gone, false));
        assert_eq!(told(Verdict::Done, none(), false), (NeverMade, false));
        assert_eq!(told(Verdict::Done, json!({ "gone": "yes" }), false), (Deleted, false));
        assert_eq!(told(Verdict::Missing, Value::Null, false), (Kept, true));
        assert_eq!(told(Verdict::Missing, Value::Null, true), (Kept, true));
        assert_eq!(told(Verdict::Refused, Value::Null, false), (Kept, true));
    }
}
