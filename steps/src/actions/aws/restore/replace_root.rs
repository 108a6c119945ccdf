//! `replace-root-volume`: AWS replaces the root volume, and reboots; the instance and its data volumes stay.

use runbook_engine::run::event::Report;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    deed::Deed,
    next::{Known, Next},
    past::Past,
    record::{GONE, Marks, differences, holder, own},
};
use crate::{
    actions::aws::kept::KeptVolume,
    fanout::Done,
    ports::ec2::{Attachment, Instance, ReplaceRootVolume, Volume},
};

/// What is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplaceRoot {
    /// The root volume when it was backed up.
    recorded: KeptVolume,
    /// The root volume when the restore begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    root_device: String,
    pub token: String,
    pub marks: Marks,
}

impl ReplaceRoot {
    pub fn planned(recorded: &KeptVolume, instance: &Instance, token: String, marks: Marks) -> Self {
        Self {
            recorded: recorded.clone(),
            old: holder(instance, &instance.root_device).map(|held| held.volume.clone()),
            root_device: instance.root_device.clone(),
            token,
            marks,
        }
    }

    /// Whether the machine is waited for: everything is done but its coming back.
    pub fn returns(past: &Past) -> bool {
        past.at("replaced").is_some()
    }

    pub fn next(&self, known: &Known<'_>) -> Next {
        let Some(instance) = known.sight.instances.get(known.machine.as_str()) else {
            return Next::failed(GONE);
        };
        if matches!(instance.state.as_str(), "shutting-down" | "terminated") {
            return Next::failed(format!("the instance is {}", instance.state));
        }
        let Some(asked) = known.past.answered("replace") else { return self.begin(known, instance) };
        let id = asked.id.as_deref().unwrap_or_default();
        let Some(task) = known.sight.replacements.get(id) else { return known.unseen(id, asked.at) };
        match task.state.as_str() {
            "succeeded" => self.finish(known, instance, id),
            "failed" => Next::failed(format!("{id} failed; the machine has its old root volume back")),
            "failed-detached" => Next::failed(format!(
                "{id} failed and left the machine without a root volume; a rollback puts one on"
            )),
            // Every other word means that it goes on.
            other => Next::Wait(format!("{id} is {other}")),
        }
    }

    /// Only a running instance can have its root replaced.
    fn begin(&self, known: &Known<'_>, instance: &Instance) -> Next {
        match instance.state.as_str() {
            "running" => Next::calls(self.mark_old(known), || {
                Next::Call(vec![Deed::Replace(ReplaceRootVolume {
                    instance: instance.id.clone(),
                    snapshot: self.recorded.snapshot.clone(),
                    tags: self.marks.on_new(&Default::default(), &self.token),
                    token: self.token.clone(),
                })])
            }),
            "stopped" => Next::Call(vec![Deed::Start]),
            other => Next::Wait(format!("the instance is {other}")),
        }
    }

    /// The old volume costs money as soon as it is replaced, whether we live to see that or not: it is marked while it can
    /// still be found by its machine.
    fn mark_old(&self, known: &Known<'_>) -> Vec<Deed> {
        let old = self.old.iter().filter(|_| !known.past.is_over("tag old"));
        let mark = |old: &String| Deed::Tag {
            of: "old".to_owned(),
            resources: vec![old.clone()],
            tags: self.marks.on_old(),
        };
        old.map(mark).collect()
    }

    /// The old volume, marked as left behind, where nobody saw a new one in its place: it may be the machine's still.
    pub fn still_in_use<'a>(&'a self, past: &Past) -> impl Iterator<Item = &'a String> {
        let marked = past.is_over("tag old") && past.at("replaced").is_none();
        self.old.iter().filter(move |_| marked)
    }

    /// The new root is there: what AWS does not promise to carry over is put back
    /// (facts: Replacing a root volume).
    fn finish(&self, known: &Known<'_>, instance: &Instance, task: &str) -> Next {
        let Some(since) = known.past.at("replaced") else {
            return Next::Call(vec![Deed::Note("replaced")]);
        };
        let new = holder(instance, &self.root_device);
        let Some(new) = new.filter(|new| Some(&new.volume) != self.old.as_ref()) else {
            return known.unseen("the new root volume", since);
        };
        let Some(volume) = known.sight.volumes.get(&new.volume) else {
            return known.unseen(&new.volume, since);
        };
        Next::calls(self.corrections(known, new, volume), || {
            if let Err(next) = known.back(known.machine.as_str(), since) {
                return next;
            }
            let different = differences(&self.recorded, volume);
            if !different.is_empty() {
                tracing::warn!(
                    machine = %known.machine,
                    volume = volume.id,
                    "the new root volume is not like the old one: {}",
                    different.join(", ")
                );
            }
            let outputs = json!({
                "strategy": "replace-root-volume",
                "restore": task,
                "volumes": [volume.id],
                "old_volumes": self.old.iter().collect::<Vec<_>>(),
                "differences": different,
            });
            Next::Over(Done { report: Report::succeeded(), outputs: Some(outputs) })
        })
    }

    fn corrections(&self, known: &Known<'_>, new: &Attachment, volume: &Volume) -> Vec<Deed> {
        let mut due = Vec::new();
        let mut tags = own(&self.recorded.tags);
        tags.extend(self.marks.ours.clone());
        tags.retain(|key, value| volume.tags.get(key) != Some(value));
        if !tags.is_empty() && !known.past.is_over("tag new") {
            due.push(Deed::Tag { of: "new".to_owned(), resources: vec![volume.id.clone()], tags });
        }
        due.extend(self.mark_old(known));
        if new.delete_on_termination != self.recorded.delete_on_termination {
            let delete_on_termination = self.recorded.delete_on_termination;
            let deed = Deed::Terminate(Attachment { delete_on_termination, ..new.clone() });
            if !known.past.is_given_up(&deed.name()) {
                due.push(deed);
            }
        }
        due
    }
}
