//! CloudWatch alarms of the simulated world.

use jiff::Timestamp;
use runbook_engine::duration::Span;
use serde::{Deserialize, Serialize};

use super::{
    account::{Account, Alarm},
    place::Place,
    refusal::refused,
    state::Fact,
    time::later,
};
use crate::ports::fault::Fault;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// What somebody set an alarm to. It holds until the alarm's next change, as on AWS until its next evaluation
/// (facts: Alarms).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AlarmSet {
    /// Where.
    pub place: Place,
    /// Which.
    pub name: String,
    /// To what.
    pub state: AlarmState,
    /// Why.
    pub reason: String,
}

impl AlarmState {
    /// The state of this name.
    fn read(text: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData].into_iter().find(|state| state.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl AlarmEntry {
    /// How it stands now, where it is seen from here, after what somebody set.
    pub(super) fn show(
        &self,
        here: &Place,
        start: Timestamp,
        now: Timestamp,
        set: &[(Timestamp, AlarmSet)],
    ) -> Option<Alarm> {
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
        let mut reason = format!("the fleet file says {}", state.as_str());
        let is_ours = |(at, set): &&(Timestamp, AlarmSet)| {
            *at >= updated_at && set.name == self.name && here.sees(&set.place)
        };
        if let Some((at, set)) = set.iter().rev().find(is_ours) {
            (state, updated_at) = (set.state, *at);
            reason.clone_from(&set.reason);
        }
        Some(Alarm {
            name: self.name.clone(),
            composite: self.composite,
            state: state.as_str().to_owned(),
            reason,
            updated_at,
        })
    }
}

impl Account {
    /// Sets an alarm (`SetAlarmState`): `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn set_alarm(&self, name: &str, state: &str, reason: &str) -> Result<(), Fault> {
        const CALL: &str = "cloudwatch:SetAlarmState";
        let invalid = || refused(CALL, "InvalidParameterValue", format!("no state {state}"));
        let set = AlarmSet {
            place: self.place.clone(),
            name: name.to_owned(),
            state: AlarmState::read(state).ok_or_else(invalid)?,
            reason: reason.to_owned(),
        };
        self.world
            .write(self.label(), CALL, &[], move |world, now, _| {
                let file = &world.roster.file;
                let mut seen = file.alarms.iter().filter_map(|alarm| {
                    alarm
                        .show(&set.place, file.start, now, &world.alarms_set)
                        .filter(|_| alarm.name == set.name)
                });
                if seen.next().is_none() {
                    let message = format!("no alarm {}", set.name);
                    return Err(refused(CALL, "ResourceNotFound", message));
                }
                drop(seen);
                Ok((Fact::AlarmSet(set), ()))
            })
            .await
    }
}
