//! `backup-restore`: AWS Backup makes a new instance from a recovery point. The old one is left as it is.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::{ids::TargetId, run::event::Report};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    deed::Deed,
    next::{Known, Next},
    past::Past,
    record::Marks,
};
use crate::{
    actions::aws::kept::Kept,
    fanout::Done,
    ports::backup::{RestoreJob, StartRestore},
};

/// What is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NewInstance {
    recovery_point: String,
    pub vault: String,
    role: String,
    /// What AWS Backup is told about the new instance; read when the restore begins.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Jobs before this are not ours.
    pub since: Timestamp,
    token: String,
    pub marks: Marks,
}

/// How far our clock may be ahead of the service's.
const SKEW: Duration = Duration::from_secs(60);

/// Metadata that a restore must not repeat (facts: Recovery points): the new instance has addresses of its
/// own.
const NOT_REPEATED: [&str; 3] = ["aws:backup:request-id", "NetworkInterfaces", "vpcId"];

impl NewInstance {
    pub fn planned(kept: &Kept, since: Timestamp, token: String, marks: Marks) -> Result<Self, String> {
        let part = |what: &Option<String>, name: &str| {
            what.clone().ok_or_else(|| format!("the backup does not name its {name}"))
        };
        Ok(Self {
            recovery_point: part(&kept.recovery_point, "recovery point")?,
            vault: part(&kept.vault, "vault")?,
            role: part(&kept.role, "role")?,
            metadata: BTreeMap::new(),
            since,
            token,
            marks,
        })
    }

    /// The recovery point.
    pub fn recovery_point(&self) -> &str {
        &self.recovery_point
    }

    /// What was read of the recovery point, without what would make two machines of one address.
    pub fn edited(metadata: BTreeMap<String, String>) -> BTreeMap<String, String> {
        metadata.into_iter().filter(|(key, _)| !NOT_REPEATED.contains(&key.as_str())).collect()
    }

    /// The job, once it is known: by its id, else the one for this recovery point that began after us.
    pub fn job<'a>(&self, past: &Past, jobs: &'a [RestoreJob]) -> Option<&'a RestoreJob> {
        match past.id("restore") {
            Some(id) => jobs.iter().find(|job| job.id == id),
            None => {
                let ours = jobs.iter().filter(|job| {
                    job.recovery_point == self.recovery_point
                        && job.created_at.is_none_or(|at| self.may_have_asked(job, at))
                });
                ours.min_by_key(|job| job.created_at)
            }
        }
    }

    /// Jobs from before this time are not ours. A job's time is the service's, and ours may be ahead of it.
    pub fn listed_since(&self) -> Timestamp {
        self.since.checked_sub(SKEW).unwrap_or(self.since)
    }

    /// One from right before is ours too, unless it is over already, as an earlier attempt's is.
    fn may_have_asked(&self, job: &RestoreJob, at: Timestamp) -> bool {
        let over = matches!(job.status.as_str(), "FAILED" | "ABORTED" | "COMPLETED");
        at >= if over { self.since } else { self.listed_since() }
    }

    /// The new instance, once the job names it.
    pub fn made(&self, past: &Past, jobs: &[RestoreJob]) -> Option<TargetId> {
        let arn = self.job(past, jobs)?.created.as_deref()?;
        Some(TargetId::from(arn.rsplit('/').next().unwrap_or(arn)))
    }

    pub fn next(&self, known: &Known<'_>) -> Next {
        let job = self.job(known.past, &known.sight.jobs);
        let Some(asked) = known.past.answered("restore") else {
            return Next::Call(vec![Deed::Restore(StartRestore {
                recovery_point: self.recovery_point.clone(),
                metadata: self.metadata.clone(),
                role: self.role.clone(),
                copy_tags: true,
                token: self.token.clone(),
            })]);
        };
        let Some(job) = job else { return known.unseen("the restore job", asked.at) };
        let said = || job.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
        match job.status.as_str() {
            "COMPLETED" => self.finish(known, job),
            "FAILED" | "ABORTED" => {
                let how = job.status.to_lowercase();
                Next::failed(format!("the restore job {} {how}{}", job.id, said()))
            }
            other => Next::Wait(format!("the restore job {} is {other}", job.id)),
        }
    }

    fn finish(&self, known: &Known<'_>, job: &RestoreJob) -> Next {
        let Some(new) = self.made(known.past, &known.sight.jobs) else {
            return Next::failed(format!("the restore job {} is complete and names no instance", job.id));
        };
        let Some(since) = known.past.at("made") else { return Next::Call(vec![Deed::Note("made")]) };
        let Some(instance) = known.sight.instances.get(new.as_str()) else {
            return known.unseen(new.as_str(), since);
        };
        if !known.past.is_over("tag new") {
            let mut tags = self.marks.ours.clone();
            tags.insert("runbook:replaces".to_owned(), known.machine.to_string());
            return Next::Call(vec![Deed::Tag {
                of: "new".to_owned(),
                resources: vec![new.to_string()],
                tags,
            }]);
        }
        // Its agent may have been heard before we knew of the job's end.
        if let Err(next) = known.back(new.as_str(), self.since) {
            return next;
        }
        tracing::warn!(
            old = %known.machine,
            %new,
            "the machine was restored as a new instance; the old one is left as it is"
        );
        let outputs = json!({
            "strategy": "backup-restore",
            "restore": job.id,
            "replaced_by": { "instance": new, "private_ip": instance.private_ip },
            "left": known.machine,
        });
        Next::Over(Done { report: Report::succeeded(), outputs: Some(outputs) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::{SignedDuration, Timestamp};

    use super::{Marks, NewInstance};
    use crate::{actions::aws::restore::past::Past, ports::backup::RestoreJob};

    #[test]
    fn a_job_whose_answer_was_lost_is_ours_also_where_our_clock_is_ahead() {
        let since: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let new = NewInstance {
            recovery_point: "arn".into(),
            vault: "Default".into(),
            role: "role".into(),
            metadata: BTreeMap::new(),
            since,
            token: "token".into(),
            marks: Marks::default(),
        };
        for (seconds, status, ours) in [
            (1, "PENDING", true),
            (-5, "RUNNING", true),
            (-5, "FAILED", false),
            (2, "FAILED", true),
            (-61, "RUNNING", false),
        ] {
            let job = RestoreJob {
                id: "job".into(),
                recovery_point: "arn".into(),
                status: status.into(),
                created_at: Some(since + SignedDuration::from_secs(seconds)),
                ..RestoreJob::default()
            };
            let found = new.job(&Past::default(), std::slice::from_ref(&job));
            assert_eq!(found.is_some(), ours, "{status} {seconds} s after");
        }
    }
}
