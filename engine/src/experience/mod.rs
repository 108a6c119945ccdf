//! Experience: how long the actions took in earlier runs, by the platform of the machines.

mod collector;

use serde::{Deserialize, Serialize};

pub use self::collector::{Collector, Hearing};
use crate::{duration::Span, ids::ActionName};

/// What is known of actions, in the order of their names and platforms: a few lines, however long the journals were
/// that it comes from. A plan holds what it uses of it, so that what was approved is what is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Experience(Vec<Known>);

/// How long one machine's task of an action took on a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The action.
    pub action: ActionName,
    /// What the machines run; absent: tasks without machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Half of them took no longer.
    pub median: Span,
    /// 95 of 100 took no longer.
    pub p95: Span,
    /// How many machines' tasks it rests on.
    pub times: u64,
    /// In how many runs.
    pub runs: u32,
}

impl Experience {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is known.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.0.iter()
    }

    /// What is known of an action on a platform.
    pub fn of(&self, action: &ActionName, platform: Option<&str>) -> Option<&Known> {
        self.0.iter().find(|known| known.action == *action && known.platform.as_deref() == platform)
    }

    /// What of it is wanted.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&Known) -> bool) -> Self {
        self.0.retain(wanted);
        self
    }
}

impl FromIterator<Known> for Experience {
    fn from_iter<I: IntoIterator<Item = Known>>(all: I) -> Self {
        let mut all: Vec<Known> = all.into_iter().collect();
        all.sort_by(|a, b| (&a.action, &a.platform).cmp(&(&b.action, &b.platform)));
        all.dedup_by(|b, a| (&a.action, &a.platform) == (&b.action, &b.platform));
        Self(all)
    }
}
