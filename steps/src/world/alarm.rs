//! CloudWatch alarms of the simulated world.

use jiff::Timestamp;
use runbook_engine::duration::Span;
use serde::Deserialize;

use super::{account::Alarm, place::Place, time::later};

/// An alarm, as a fleet file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmEntry {
    /// Its name.
    pub name: String,
    /// Its account; absent: in every one.
    #[serde(default)]
    pub account: Option<String>,
    /// Its Region; absent: in every one.
    #[serde(default)]
    pub region: Option<String>,
    /// A composite alarm, else one of a metric.
    #[serde(default)]
    pub composite: bool,
    /// Its state when the world begins.
    #[serde(default)]
    pub state: AlarmState,
    /// How that changes.
    #[serde(default)]
    pub changes: Vec<AlarmChange>,
}

/// The states of an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// All is well.
    #[default]
    Ok,
    /// It fires.
    Alarm,
    /// It cannot say.
    InsufficientData,
}

/// Another state from a moment on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmChange {
    /// Counted from the beginning of the world.
    pub after: Span,
    /// The state.
    pub state: AlarmState,
}

impl AlarmState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl AlarmEntry {
    /// How it stands now, where it is seen from here.
    pub(super) fn show(&self, here: &Place, start: Timestamp, now: Timestamp) -> Option<Alarm> {
        if !here.sees(&Place { account: self.account.clone(), region: self.region.clone() }) {
            return None;
        }
        let (mut state, mut updated_at) = (self.state, start);
        for change in &self.changes {
            let at = later(start, change.after.get());
            if at <= now && at >= updated_at {
                (state, updated_at) = (change.state, at);
            }
        }
        Some(Alarm {
            name: self.name.clone(),
            composite: self.composite,
            state: state.as_str().to_owned(),
            reason: format!("the fleet file says {}", state.as_str()),
            updated_at,
        })
    }
}
