//! What was asked for on one machine, by this life and by earlier ones.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{actions::aws::errand::later, context::Memory};

/// What an answered call changed is seen by every reader after so long (facts: Visibility); if it is not, it
/// may be made again.
pub(super) const VISIBLE: Duration = Duration::from_secs(120);

/// The answer to a call, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    /// When.
    pub at: Timestamp,
    /// The id that came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What became of one deed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Answered.
    Answered(Answered),
    /// Perhaps carried out: looked for since then.
    Unclear { since: Timestamp },
    /// Refused for now: not before then.
    Held { until: Timestamp },
    /// Refused for good; the restore goes on without it.
    GivenUp,
}

/// What was asked for on one machine, by the names of the deeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    stages: BTreeMap<String, Stage>,
}

impl Past {
    /// The key of a deed in the journal; for one call for many machines the first of them stands in it.
    pub fn key(deed: &str, machine: &TargetId) -> String {
        format!("{deed}@{machine}")
    }

    /// What the journal says of this machine. An intent without an answer is unclear from now on.
    pub fn recalled<'a>(memory: &'a Memory, machine: &TargetId, now: Timestamp) -> Self {
        let read = |kept: &Value| serde_json::from_value::<Answered>(kept.clone()).ok();
        let mut latest: BTreeMap<&str, (Timestamp, Stage)> = BTreeMap::new();
        let mut learn = |deed: &'a str, at: Timestamp, stage: Stage| {
            if latest.get(deed).is_none_or(|(known, _)| *known <= at) {
                latest.insert(deed, (at, stage));
            }
        };
        for (key, intent) in &memory.intents {
            if let Some((deed, _)) = key.rsplit_once('@')
                && intent.targets.contains(machine)
            {
                let answered = memory.checkpoints.get(key).and_then(read);
                match answered.filter(|answered| answered.at >= intent.at) {
                    Some(answered) => learn(deed, answered.at, Stage::Answered(answered)),
                    None => learn(deed, intent.at, Stage::Unclear { since: now }),
                }
            }
        }
        for (key, kept) in &memory.checkpoints {
            if let Some((deed, of)) = key.rsplit_once('@')
                && of == machine.as_str()
                && let Some(answered) = read(kept)
            {
                learn(deed, answered.at, Stage::Answered(answered));
            }
        }
        let stages = latest.into_iter().map(|(deed, (_, stage))| (deed.to_owned(), stage));
        Self { stages: stages.collect() }
    }

    /// The answer, if there was one.
    pub fn answered(&self, deed: &str) -> Option<&Answered> {
        match self.stages.get(deed) {
            Some(Stage::Answered(answered)) => Some(answered),
            _ => None,
        }
    }

    /// The id that a deed gave.
    pub fn id(&self, deed: &str) -> Option<&str> {
        self.answered(deed).and_then(|answered| answered.id.as_deref())
    }

    /// When a deed was answered.
    pub fn at(&self, deed: &str) -> Option<Timestamp> {
        self.answered(deed).map(|answered| answered.at)
    }

    /// Whether a deed may have been carried out without our knowing.
    pub fn is_unclear(&self, deed: &str) -> bool {
        matches!(self.stages.get(deed), Some(Stage::Unclear { .. }))
    }

    /// Whether a deed was carried out, or may have been.
    pub fn is_begun(&self, deed: &str) -> bool {
        matches!(self.stages.get(deed), Some(Stage::Answered(_) | Stage::Unclear { .. }))
    }

    /// Whether nothing was done to the machine, for all that is known.
    pub fn is_untouched(&self) -> bool {
        self.stages.values().all(|stage| matches!(stage, Stage::Held { .. } | Stage::GivenUp))
    }

    /// Whether nothing was ever asked for.
    pub fn is_blank(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether something is still being looked for: it may have been carried out without our knowing.
    pub fn is_searched(&self, now: Timestamp, settle: Duration) -> bool {
        self.stages
            .values()
            .any(|stage| matches!(stage, Stage::Unclear { since } if now < later(*since, settle)))
    }

    /// Whether a deed is over: answered, or given up.
    pub fn is_over(&self, deed: &str) -> bool {
        matches!(self.stages.get(deed), Some(Stage::Answered(_) | Stage::GivenUp))
    }

    /// Whether a deed was refused for good.
    pub fn is_given_up(&self, deed: &str) -> bool {
        matches!(self.stages.get(deed), Some(Stage::GivenUp))
    }

    /// Whether a deed that is due, by what was just looked at, is to be done now. One that may have been carried out
    /// is due only when it was not seen twice, a settle time apart.
    pub fn allows(&self, deed: &str, now: Timestamp, settle: Duration) -> bool {
        match self.stages.get(deed) {
            None => true,
            Some(Stage::Answered(answered)) => now >= later(answered.at, VISIBLE),
            Some(Stage::Unclear { since }) => now >= later(*since, settle),
            Some(Stage::Held { until }) => now >= *until,
            Some(Stage::GivenUp) => false,
        }
    }

    /// When the next deed that is put off may be looked at again.
    pub fn next(&self, settle: Duration) -> Option<Timestamp> {
        let times = self.stages.values().filter_map(|stage| match stage {
            Stage::Answered(_) | Stage::GivenUp => None,
            Stage::Unclear { since } => Some(later(*since, settle)),
            Stage::Held { until } => Some(*until),
        });
        times.min()
    }

    /// A deed was answered, or found.
    pub fn answer(&mut self, deed: String, answered: Answered) {
        self.stages.insert(deed, Stage::Answered(answered));
    }

    /// Nobody can say whether a deed was carried out.
    pub fn doubt(&mut self, deed: String, since: Timestamp) {
        self.stages.insert(deed, Stage::Unclear { since });
    }

    /// A deed was refused for good, and the restore goes on without it.
    pub fn give_up(&mut self, deed: String) {
        self.stages.insert(deed, Stage::GivenUp);
    }

    /// A deed was not carried out, and is tried again then.
    pub fn hold(&mut self, deed: String, until: Timestamp) {
        self.stages.insert(deed, Stage::Held { until });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use runbook_engine::ids::TargetId;
    use serde_json::json;

    use super::{Answered, Past};
    use crate::context::{Memory, RecordedIntent};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn an_intent_without_an_answer_is_looked_for_before_it_is_repeated() {
        let (one, two) = (TargetId::from("i-1"), TargetId::from("i-2"));
        let mut memory = Memory::default();
        let intent = RecordedIntent {
            at: at(10),
            call: "ec2:StopInstances".into(),
            token: "stop".into(),
            targets: vec![one.clone(), two.clone()],
        };
        memory.intents.insert(Past::key("stop", &one), intent);
        let settle = Duration::from_secs(60);
        let past = Past::recalled(&memory, &two, at(100));
        assert!(past.is_unclear("stop"));
        assert!(!past.allows("stop", at(159), settle));
        assert!(past.allows("stop", at(160), settle));
        assert!(past.allows("start", at(100), settle));

        memory.checkpoints.insert(Past::key("stop", &one), json!({ "at": at(11) }));
        let past = Past::recalled(&memory, &two, at(100));
        assert_eq!(past.answered("stop"), Some(&Answered { at: at(11), id: None }));
        assert!(!past.allows("stop", at(100), settle), "what was answered shows after a while");
    }
}
