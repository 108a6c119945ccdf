//! The people of a simulated world answer gates through the same path as the socket.

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TaskName},
    run::Run,
};

use super::{Coordinator, message::Fact, orders};
use crate::control::{order::Order, peer::Person};

impl Coordinator<'_> {
    /// Takes what people have said to open gates by now, and wakes for what they will say.
    pub(super) fn ask_people(&mut self, id: &RunId, at: Timestamp) {
        let Some(live) = self.runs.get_mut(id) else { return };
        if matches!(self.around.outside, super::outside::Outside::Real(_)) {
            return;
        }
        for gate in orders::gates_of_people(live.run()) {
            let Some(opened_at) = opened_at(live.run(), &gate) else { continue };
            for (place, answer) in self.around.outside.people_for(&gate, opened_at).into_iter().enumerate() {
                let key = (gate.clone(), opened_at, place);
                if live.answered.contains(&key) {
                    continue;
                }
                if answer.at > at {
                    live.wake = Some(live.wake.map_or(answer.at, |wake| wake.min(answer.at)));
                    break;
                }
                live.answered.insert(key);
                // An earlier life of this process heard it.
                if answer.approve && live.run().has_approved(&gate, &answer.user) {
                    continue;
                }
                let (task, note) = (Some(gate.clone()), answer.note.clone());
                let order =
                    if answer.approve { Order::Approve { task, note } } else { Order::Reject { task, note } };
                let person = Person { name: answer.user, groups: answer.groups };
                match orders::fact(live.run(), id, &order, &person, true) {
                    Ok((event, _)) => {
                        live.facts.push(Fact::of(event));
                        live.dirty = true;
                    }
                    Err(refused) => self.observer.notice(&refused.to_string()),
                }
            }
        }
    }
}

fn opened_at(run: &Run, gate: &TaskName) -> Option<Timestamp> {
    run.waiting_on().into_iter().find(|waiting| waiting.task == *gate).map(|waiting| waiting.since)
}
