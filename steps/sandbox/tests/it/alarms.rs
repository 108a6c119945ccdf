//! CloudWatch's alarms, by the Query protocol.

use crate::rig::{FLEET, Rig, signed};

async fn ask(rig: &Rig, what: &str) -> crate::rig::Answer {
    let head = format!("POST /\n{}", signed("test", "monitoring"));
    rig.send(&head, &format!("Version=2010-08-01&Action={what}")).await.expect("an answer")
}

#[tokio::test]
async fn composites_only_when_asked_for_and_states_that_are_set() {
    let fleet = format!(
        "{FLEET}alarms:\n  - {{ name: web-5xx, changes: [{{ after: 1h, state: ALARM }}] }}\n  \
         - {{ name: site, composite: true }}\n"
    );
    let rig = Rig::start(&fleet).await;
    // A composite is left out even when it is named (facts: Alarms).
    let named =
        "DescribeAlarms&AlarmNames.member.1=site&AlarmNames.member.2=web-5xx&AlarmNames.member.3=none";
    let plain = ask(&rig, named).await.body;
    assert!(plain.contains("<StateValue>OK</StateValue>") && !plain.contains(">site<"), "{plain}");
    let all = ask(&rig, &format!("{named}&AlarmTypes.member.1=CompositeAlarm")).await.body;
    assert!(all.contains("<AlarmName>site</AlarmName>") && !all.contains(">web-5xx<"), "{all}");

    let set = "SetAlarmState&AlarmName=web-5xx&StateValue=INSUFFICIENT_DATA&StateReason=a+drill";
    assert_eq!(ask(&rig, set).await.status, 200);
    let after = ask(&rig, named).await.body;
    assert!(after.contains("<StateReason>a drill</StateReason>"), "{after}");
    assert!(after.contains("<StateValue>INSUFFICIENT_DATA</StateValue>"), "{after}");
    // Until the next evaluation.
    rig.post("/_sandbox/clock", &serde_json::json!({ "by": "2h" })).await;
    let later = ask(&rig, named).await.body;
    assert!(later.contains("<StateValue>ALARM</StateValue>"), "{later}");
    assert!(later.contains("<StateUpdatedTimestamp>2026-01-05T09:00:00.000Z<"), "{later}");

    let wrong = ask(&rig, "SetAlarmState&AlarmName=none&StateValue=OK&StateReason=x").await;
    assert_eq!(wrong.status, 404);
    assert!(wrong.body.contains("<Code>ResourceNotFound</Code>"), "{}", wrong.body);
}
