//! `swap-volumes`: stop, exchange the volumes for new ones made from the snapshots, start. The instance stays.

use runbook_engine::run::event::Report;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    deed::Deed,
    next::{Known, Next},
    record::{GONE, Marks, holder, like},
};
use crate::{
    actions::aws::kept::{Kept, KeptVolume},
    fanout::Done,
    ports::ec2::{Attachment, CreateVolume, Instance},
};

/// What is exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Swap {
    pub exchanges: Vec<Exchange>,
    pub marks: Marks,
    /// The public address that it loses when it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub device: String,
    /// What the volume was when it was backed up.
    pub recorded: KeptVolume,
    /// The volume that is there when the restore begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    pub zone: String,
    pub token: String,
}

impl Exchange {
    fn deed(&self) -> String {
        format!("create {}", self.device)
    }

    fn request(&self, marks: &Marks) -> CreateVolume {
        let tags = marks.on_new(&self.recorded.tags, &self.token);
        like(&self.recorded, &self.zone, tags, self.token.clone())
    }

    fn attachment(&self, volume: &str, known: &Known<'_>) -> Attachment {
        Attachment {
            volume: volume.to_owned(),
            instance: known.machine.to_string(),
            device: self.device.clone(),
            state: String::new(),
            delete_on_termination: self.recorded.delete_on_termination,
        }
    }
}

impl Swap {
    /// Every volume of the backup. The root goes where the instance has its root now.
    pub fn planned(
        kept: &Kept,
        instance: &Instance,
        token: impl Fn(&KeptVolume) -> Uuid,
        marks: Marks,
    ) -> Self {
        let exchanges = kept.volumes.iter().map(|recorded| {
            let device = if recorded.root { instance.root_device.clone() } else { recorded.device.clone() };
            Exchange {
                old: holder(instance, &device).map(|held| held.volume.clone()),
                device,
                recorded: recorded.clone(),
                zone: instance.zone.clone(),
                token: token(recorded).to_string(),
            }
        });
        let public_ip = instance.public_ip.clone().filter(|_| !instance.public_ip_is_elastic);
        Self { exchanges: exchanges.collect(), marks, public_ip }
    }

    /// What is not as it was.
    fn differences(&self, instance: &Instance) -> Vec<String> {
        let lost = self.public_ip.as_ref().filter(|old| instance.public_ip.as_ref() != Some(old));
        let now = instance.public_ip.as_deref().unwrap_or("none");
        lost.map(|old| format!("public IPv4 address {now} instead of {old}")).into_iter().collect()
    }

    /// The tokens of volumes that may have been made.
    pub fn tokens(&self, known_unclear: impl Fn(&str) -> bool) -> Vec<String> {
        let open = self.exchanges.iter().filter(|one| known_unclear(&one.deed()));
        open.map(|one| one.token.clone()).collect()
    }

    /// The deed that a token belongs to.
    pub fn deed_of(&self, token: &str) -> Option<String> {
        self.exchanges.iter().find(|one| one.token == token).map(Exchange::deed)
    }

    /// The new volumes, as far as they are made.
    pub fn new_volumes(&self, past: &super::past::Past) -> Vec<String> {
        self.exchanges.iter().filter_map(|one| past.id(&one.deed()).map(str::to_owned)).collect()
    }

    /// The new volumes, as far as they are made, where the machine was never touched: nobody needs them.
    pub fn unused(&self, past: &super::past::Past) -> Vec<(&Exchange, String)> {
        let touched = past.is_begun("stop")
            || past.is_begun("start")
            || self.new_volumes(past).iter().any(|new| past.is_begun(&format!("attach {new}")))
            || self
                .exchanges
                .iter()
                .flat_map(|one| &one.old)
                .any(|old| past.is_begun(&format!("detach {old}")));
        if touched {
            return Vec::new();
        }
        let made = self.exchanges.iter().filter_map(|one| Some((one, past.id(&one.deed())?.to_owned())));
        made.collect()
    }

    /// Whether the machine is waited for: everything is done but its coming back.
    pub fn returns(&self, past: &super::past::Past) -> bool {
        past.at("start").is_some()
    }

    pub fn next(&self, known: &Known<'_>) -> Next {
        let Some(instance) = known.sight.instances.get(known.machine.as_str()) else {
            return Next::failed(GONE);
        };
        if matches!(instance.state.as_str(), "shutting-down" | "terminated") {
            return Next::failed(format!("the instance is {}", instance.state));
        }
        // Volumes first: the machine stays up until they are there.
        if let Some(next) = self.make(known) {
            return next;
        }
        let new: Vec<_> = self
            .exchanges
            .iter()
            .filter_map(|one| known.past.id(&one.deed()).map(|new| (one, new)))
            .collect();
        let in_place = new.iter().all(|(one, new)| {
            holder(instance, &one.device).is_some_and(|held| held.volume == **new && held.state == "attached")
        });
        if in_place {
            return self.finish(known, instance, &new);
        }
        match instance.state.as_str() {
            "running" => Next::calls(self.mark_old(known), || Next::Call(vec![Deed::Stop])),
            "stopped" => Self::exchange(known, instance, &new),
            other => Next::Wait(format!("the instance is {other}")),
        }
    }

    /// Until every new volume is there.
    fn make(&self, known: &Known<'_>) -> Option<Next> {
        let mut due = Vec::new();
        let mut waits = None;
        for one in &self.exchanges {
            let Some(new) = known.past.answered(&one.deed()) else {
                let request = one.request(&self.marks);
                due.push(Deed::Create { device: one.device.clone(), request });
                continue;
            };
            let id = new.id.as_deref().unwrap_or_default();
            let Some(volume) = known.sight.volumes.get(id) else {
                waits = Some(known.unseen(id, new.at));
                continue;
            };
            match volume.state.as_str() {
                "available" | "in-use" => {}
                "error" | "deleting" | "deleted" => {
                    let why = format!(
                        "the new volume {id} for {} is in the state {}; the machine is as it was",
                        one.device, volume.state
                    );
                    return Some(Next::failed(why));
                }
                other => waits = Some(Next::Wait(format!("{id} is {other}"))),
            }
        }
        if due.is_empty() { waits } else { Some(Next::Call(due)) }
    }

    /// Old volumes cost money from now on: they are marked while they can still be found by their machine.
    fn mark_old(&self, known: &Known<'_>) -> Vec<Deed> {
        let old: Vec<_> = self.exchanges.iter().filter_map(|one| one.old.clone()).collect();
        if old.is_empty() || known.past.is_over("tag old") {
            return Vec::new();
        }
        vec![Deed::Tag { of: "old".to_owned(), resources: old, tags: self.marks.on_old() }]
    }

    /// The machine is stopped: what is not in its place.
    fn exchange(known: &Known<'_>, instance: &Instance, new: &[(&Exchange, &str)]) -> Next {
        let mut due = Vec::new();
        let mut waits = Vec::new();
        for (one, new) in new {
            match holder(instance, &one.device) {
                Some(held) if held.volume == *new => {
                    if held.state != "attached" {
                        waits.push(format!("{new} is {}", held.state));
                    }
                }
                // Whatever is there was there when the machine stopped: a person may have put it there since.
                Some(held) if held.state == "attached" => {
                    due.push(Deed::Detach(one.attachment(&held.volume, known)));
                }
                Some(held) => waits.push(format!("{} is {}", held.volume, held.state)),
                None => match known.sight.volumes.get(*new).map(|volume| volume.state.as_str()) {
                    Some("available") => due.push(Deed::Attach(one.attachment(new, known))),
                    state => waits.push(format!("{new} is {}", state.unwrap_or("not seen"))),
                },
            }
        }
        Next::calls(due, || Next::Wait(waits.join(", ")))
    }

    /// The volumes are in place: DeleteOnTermination, start, back.
    fn finish(&self, known: &Known<'_>, instance: &Instance, new: &[(&Exchange, &str)]) -> Next {
        let lost: Vec<_> = new
            .iter()
            .filter(|(one, _)| {
                holder(instance, &one.device)
                    .is_some_and(|held| held.delete_on_termination != one.recorded.delete_on_termination)
            })
            .map(|(one, new)| Deed::Terminate(one.attachment(new, known)))
            .filter(|deed| !known.past.is_given_up(&deed.name()))
            .collect();
        if !lost.is_empty() {
            return Next::Call(lost);
        }
        match instance.state.as_str() {
            "stopped" => Next::Call(vec![Deed::Start]),
            "running" | "pending" => {
                // An earlier life may have started it without being told so.
                let Some(since) = known.past.at("start") else {
                    return Next::Call(vec![Deed::Note("start")]);
                };
                if let Err(next) = known.back(known.machine.as_str(), since) {
                    return next;
                }
                let old: Vec<_> = self.exchanges.iter().filter_map(|one| one.old.as_ref()).collect();
                let new: Vec<_> = new.iter().map(|(_, new)| new).collect();
                let different = self.differences(instance);
                if !different.is_empty() {
                    tracing::warn!(machine = %known.machine, "the machine is not as it was: {}", different.join(", "));
                }
                let outputs = json!({
                    "strategy": "swap-volumes",
                    "restore": new.first(),
                    "volumes": new,
                    "old_volumes": old,
                    "differences": different,
                });
                Next::Over(Done { report: Report::succeeded(), outputs: Some(outputs) })
            }
            other => Next::Wait(format!("the instance is {other}")),
        }
    }
}
