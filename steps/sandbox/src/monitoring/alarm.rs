//! Alarms: `DescribeAlarms`, `SetAlarmState`.

use ciborium::Value;
use runbook_steps::world::Alarm;

use super::protocol::time;
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
    paging::Ask,
};

const STATES: [&str; 3] = ["OK", "ALARM", "INSUFFICIENT_DATA"];

/// `DescribeAlarms`. Without `AlarmTypes`, only alarms of metrics: even a composite that is named is left out
/// (facts: Alarms). Unknown names are silently absent.
pub(super) async fn describe_alarms(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let of = call.listing(&asked.without_page());
    let names = asked.texts("AlarmNames", 0, 100)?.unwrap_or_default();
    let prefix = asked.text("AlarmNamePrefix", 255)?;
    let kinds = asked.texts("AlarmTypes", 0, 10)?.unwrap_or_default();
    let state = asked.word("StateValue", &STATES)?;
    let size = asked.integer("MaxRecords", 1, 100)?.unwrap_or(50) as usize;
    let token = asked.text("NextToken", 4096)?.filter(|token| !token.is_empty());
    for name in ["ChildrenOfAlarmName", "ParentsOfAlarmName", "ActionPrefix"] {
        if asked.text(name, 1024)?.is_some() {
            let message = format!("the sandbox has nothing behind {name}");
            return Err(Refusal::new("InvalidParameterValue", message).into());
        }
    }
    asked.finish()?;
    if let Some(kind) =
        kinds.iter().find(|kind| !["MetricAlarm", "CompositeAlarm", "LogAlarm"].contains(&kind.as_str()))
    {
        return Err(Refusal::new("InvalidParameterValue", format!("{kind} is no type of alarm")).into());
    }
    let wants = |kind: &str| {
        if kinds.is_empty() { kind == "MetricAlarm" } else { kinds.iter().any(|wanted| wanted == kind) }
    };
    let list = async {
        let alarms = call.home().all_alarms().await?;
        let fits = |alarm: &Alarm| {
            wants(kind(alarm))
                && (names.is_empty() || names.contains(&alarm.name))
                && prefix.as_ref().is_none_or(|prefix| alarm.name.starts_with(prefix))
                && state.as_ref().is_none_or(|state| alarm.state == *state)
        };
        Ok(alarms.into_iter().filter(fits).collect())
    };
    let ask = Ask {
        call: "cloudwatch:DescribeAlarms",
        of,
        size,
        token: token.as_deref(),
        refused: "InvalidNextToken",
    };
    let page = call.page(&ask, list).await?;
    let shown = |composite| {
        let alarms = page.items.iter().filter(move |alarm: &&Alarm| alarm.composite == composite);
        Value::Array(alarms.map(|alarm| show(call, alarm)).collect())
    };
    let mut members =
        vec![(Value::from("MetricAlarms"), shown(false)), (Value::from("CompositeAlarms"), shown(true))];
    if let Some(next) = page.next {
        members.push((Value::from("NextToken"), Value::from(next)));
    }
    Ok(Value::Map(members))
}

fn kind(alarm: &Alarm) -> &'static str {
    if alarm.composite { "CompositeAlarm" } else { "MetricAlarm" }
}

fn show(call: &Call<'_>, alarm: &Alarm) -> Value {
    let arn = format!("arn:aws:cloudwatch:{}:{}:alarm:{}", call.region, call.account, alarm.name);
    let mut members = vec![
        ("AlarmName", Value::from(alarm.name.as_str())),
        ("AlarmArn", Value::from(arn)),
        ("AlarmConfigurationUpdatedTimestamp", time(alarm.updated_at)),
        ("ActionsEnabled", Value::from(true)),
        ("StateValue", Value::from(alarm.state.as_str())),
        ("StateReason", Value::from(alarm.reason.as_str())),
        ("StateUpdatedTimestamp", time(alarm.updated_at)),
        ("StateTransitionedTimestamp", time(alarm.updated_at)),
    ];
    if alarm.composite {
        members.push(("AlarmRule", Value::from("FALSE")));
    } else {
        members.extend([
            ("MetricName", Value::from("StatusCheckFailed")),
            ("Namespace", Value::from("AWS/EC2")),
            ("Statistic", Value::from("Maximum")),
            ("Period", Value::from(60)),
            ("EvaluationPeriods", Value::from(1)),
            ("Threshold", Value::from(1.0)),
            ("ComparisonOperator", Value::from("GreaterThanOrEqualToThreshold")),
            ("TreatMissingData", Value::from("missing")),
        ]);
    }
    Value::Map(members.into_iter().map(|(name, value)| (Value::from(name), value)).collect())
}

/// `SetAlarmState`.
pub(super) async fn set_alarm_state(call: &Call<'_>, mut asked: Members) -> Result<(), Trouble> {
    let name = asked.required("AlarmName", 255)?;
    let state = asked.required("StateValue", 20)?;
    let reason = asked.required("StateReason", 1023)?;
    asked.text("StateReasonData", 4000)?;
    asked.finish()?;
    Ok(call.home().set_alarm(&name, &state, &reason).await?)
}
