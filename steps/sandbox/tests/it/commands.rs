//! Run Command on the wire.

use serde_json::{Value, json};

use crate::rig::{FLEET, Rig};

async fn instances(rig: &Rig) -> Vec<String> {
    let agents = rig.ssm("DescribeInstanceInformation", &json!({ "MaxResults": 50 })).await.json();
    let list = agents["InstanceInformationList"].as_array().expect("a list").clone();
    let mut ids: Vec<_> =
        list.iter().map(|agent| agent["InstanceId"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

async fn send(rig: &Rig, more: Value) -> Value {
    let mut asked = json!({ "DocumentName": "AWS-RunShellScript", "Parameters": { "commands": ["true"] } });
    asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = rig.ssm("SendCommand", &asked).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["Command"].clone()
}

#[tokio::test]
async fn a_command_from_its_sending_to_its_end() {
    let rig = Rig::start(FLEET).await;
    let ids = instances(&rig).await;
    assert_eq!(ids.len(), 5);
    let command = send(&rig, json!({ "InstanceIds": &ids[..2], "Comment": "marker" })).await;
    assert_eq!((&command["Status"], &command["Comment"]), (&json!("Pending"), &json!("marker")));
    assert_eq!(command["RequestedDateTime"], json!(1_767_600_000.0));
    assert_eq!((&command["MaxConcurrency"], &command["MaxErrors"]), (&json!("50"), &json!("0")));
    let id = command["CommandId"].clone();
    assert_eq!(id.as_str().map(str::len), Some(36));
    // Not visible at first (facts: Results of a command).
    let asked = json!({ "CommandId": id, "InstanceId": ids[0] });
    let early = rig.ssm("GetCommandInvocation", &asked).await;
    assert_eq!((early.status, &early.json()["__type"]), (400, &json!("InvocationDoesNotExist")));
    let list = json!({ "CommandId": id, "Details": true });
    assert_eq!(rig.ssm("ListCommandInvocations", &list).await.json()["CommandInvocations"], json!([]));
    rig.post("/_sandbox/clock", &json!({ "by": "4s" })).await;
    let running = rig.ssm("GetCommandInvocation", &asked).await.json();
    assert_eq!((&running["Status"], &running["ResponseCode"]), (&json!("InProgress"), &json!(-1)));
    assert_eq!(
        (&running["StandardOutputContent"], &running["ExecutionEndDateTime"]),
        (&json!(""), &json!(""))
    );
    rig.post("/_sandbox/clock", &json!({ "by": "5m" })).await;
    let ended = rig.ssm("GetCommandInvocation", &asked).await.json();
    assert_eq!((&ended["Status"], &ended["StatusDetails"]), (&json!("Success"), &json!("Success")));
    assert_eq!((&ended["ResponseCode"], &ended["PluginName"]), (&json!(0), &json!("aws:runShellScript")));
    let rows = rig.ssm("ListCommandInvocations", &list).await.json()["CommandInvocations"].clone();
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert_eq!(rows[0]["CommandPlugins"][0]["Status"], json!("Success"));
    let filters = json!([{ "key": "ExecutionStage", "value": "Complete" },
                         { "key": "InvokedAfter", "value": "2026-01-05T08:00:00Z" }]);
    let commands = rig.ssm("ListCommands", &json!({ "Filters": filters })).await.json();
    assert_eq!(commands["Commands"][0]["CompletedCount"], json!(2));
    let filters = json!([{ "key": "ExecutionStage", "value": "Executing" }]);
    assert_eq!(rig.ssm("ListCommands", &json!({ "Filters": filters })).await.json()["Commands"], json!([]));
    let sent = rig.calls().await.into_iter().find(|call| call["operation"] == "SendCommand").unwrap();
    assert_eq!((&sent["took_effect"], &sent["token"]), (&json!(true), &json!("marker")));
    assert_eq!(sent["machines"], json!(&ids[..2]));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_command_behind() {
    let fleet = format!("{FLEET}faults:\n  - {{ kind: answer_lost, call: 'ssm:SendCommand' }}\n");
    let rig = Rig::start(&fleet).await;
    let ids = instances(&rig).await;
    let asked = json!({ "DocumentName": "AWS-RunShellScript", "Parameters": { "commands": ["true"] },
                        "InstanceIds": ids, "Comment": "marker" });
    assert!(rig.send(&crate::rig::ssm("SendCommand"), &asked.to_string()).await.is_none());
    let sent = rig.calls().await.into_iter().find(|call| call["operation"] == "SendCommand").unwrap();
    assert_eq!((&sent["took_effect"], &sent["answered"]), (&json!(true), &json!(false)));
    rig.post("/_sandbox/clock", &json!({ "by": "10s" })).await;
    let commands = rig.ssm("ListCommands", &json!({})).await.json()["Commands"].clone();
    assert_eq!(commands.as_array().map(Vec::len), Some(1));
    assert_eq!(commands[0]["Comment"], json!("marker"));
}

#[tokio::test]
async fn held_before_its_effect_and_after_it() {
    for (when, commands) in [("before", 0), ("after", 1)] {
        let rig = Rig::start(FLEET).await;
        let ids = instances(&rig).await;
        rig.post("/_sandbox/hold", &json!({ "call": 1, "when": when })).await;
        let asked = json!({ "DocumentName": "AWS-RunShellScript", "Parameters": { "commands": ["true"] },
                            "InstanceIds": ids });
        let client = rig.begin(&crate::rig::ssm("SendCommand"), &asked.to_string()).await;
        rig.get("/_sandbox/held").await;
        drop(client);
        crate::rig::eventually(async || rig.calls().await.len() == 2).await;
        assert_eq!(rig.calls().await[1]["took_effect"], json!(commands == 1), "{when}");
        rig.post("/_sandbox/clock", &json!({ "by": "10s" })).await;
        let found = rig.ssm("ListCommands", &json!({})).await.json()["Commands"].clone();
        assert_eq!(found.as_array().map(Vec::len), Some(commands), "{when}");
    }
}

#[tokio::test]
async fn commands_run_on_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    let ids = instances(&rig).await;
    let id = send(&rig, json!({ "Targets": [{ "Key": "tag:Environment", "Values": ["dev"] }] })).await["CommandId"].clone();
    rig.stop().await;
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    rig.post("/_sandbox/clock", &json!({ "by": "5m" })).await;
    rig.stop().await;
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    let rows = rig.ssm("ListCommandInvocations", &json!({ "CommandId": id })).await.json();
    let mut seen: Vec<_> = rows["CommandInvocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["InstanceId"].as_str().unwrap().to_owned(), row["Status"].as_str().unwrap().to_owned())
        })
        .collect();
    seen.sort();
    assert_eq!(seen, ids.into_iter().map(|id| (id, "Success".to_owned())).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_patch_document_has_a_step_for_each_platform() {
    let rig = Rig::start(FLEET).await;
    let ids = instances(&rig).await;
    let snapshot = "5f0b1a3e-0000-4000-8000-000000000001";
    let command = send(
        &rig,
        json!({ "DocumentName": "AWS-RunPatchBaseline", "InstanceIds": [ids[0]],
                "Parameters": { "Operation": ["Install"], "RebootOption": ["NoReboot"], "SnapshotId": [snapshot] } }),
    )
    .await;
    let states = json!({ "InstanceIds": ids });
    assert_eq!(
        rig.ssm("DescribeInstancePatchStates", &states).await.json()["InstancePatchStates"],
        json!([])
    );
    rig.post("/_sandbox/clock", &json!({ "by": "30m" })).await;
    let invocation = |plugin: Option<&'static str>| {
        let mut asked = json!({ "CommandId": command["CommandId"], "InstanceId": ids[0] });
        if let Some(plugin) = plugin {
            asked["PluginName"] = json!(plugin);
        }
        let rig = &rig;
        async move { rig.ssm("GetCommandInvocation", &asked).await.json() }
    };
    assert_eq!(invocation(None).await["__type"], json!("InvalidPluginName"));
    assert_eq!(invocation(Some("Nothing")).await["__type"], json!("InvocationDoesNotExist"));
    assert_eq!(invocation(Some("PatchLinux")).await["Status"], json!("Success"));
    let skipped = invocation(Some("PatchWindows")).await;
    assert!(skipped["StandardOutputContent"].as_str().unwrap().contains("unsupported platform"));
    let states = rig.ssm("DescribeInstancePatchStates", &states).await.json()["InstancePatchStates"].clone();
    assert_eq!(states.as_array().map(Vec::len), Some(1));
    let state = &states[0];
    assert_eq!((&state["Operation"], &state["SnapshotId"]), (&json!("Install"), &json!(snapshot)));
    assert_eq!(
        (&state["RebootOption"], &state["InstalledPendingRebootCount"]),
        (&json!("NoReboot"), &json!(12))
    );
    assert_eq!(state["OperationEndTime"], state["LastNoRebootInstallOperationTime"]);
    let asked = json!({ "InstanceId": ids[0], "Filters": [{ "Key": "State", "Values": ["InstalledPendingReboot"] }] });
    let patches = rig.ssm("DescribeInstancePatches", &asked).await.json()["Patches"].clone();
    assert_eq!(patches.as_array().map(Vec::len), Some(12));
}
