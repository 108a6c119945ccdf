//! The world, asked as actions ask it.

mod calls;
mod commands;
mod disks;
mod doubled;
mod rig;
mod vaults;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    ids::{GroupName, TargetId, TaskName},
    target::{Home, TargetQuery},
};

use super::{CallLog, Moment, World, WorldOptions, part::boot_id};
use crate::ports::{
    Ports,
    ec2::{CreateSnapshots, Ec2, ReplaceRootVolume, Which},
    fault::FaultKind,
    http::Request,
    ssm::{InvocationStatus, SendCommand, Ssm},
};

const FLEET: &str = "
fleet: small
start: 2026-11-21T18:00:00Z
durations: { patch: 5m, boot: 1m, snapshot: 2m, scan: 30s, restore: 4m, command: 10s }
groups:
  - { name: web, count: 4, tags: { Environment: production } }
  - { name: db, tags: { Environment: dev }, volumes: 3 }
";

fn with(more: &str) -> Arc<World> {
    World::in_memory(&format!("{FLEET}{more}"), 7).unwrap()
}

fn home() -> Home {
    Home::Aws { account: None, region: None, role: None, external_id: None }
}

fn ssm(ports: &Ports) -> Arc<dyn Ssm> {
    ports.aws.as_ref().unwrap().ssm(&home())
}

fn ec2(ports: &Ports) -> Arc<dyn Ec2> {
    ports.aws.as_ref().unwrap().ec2(&home())
}

fn boot(world: &World, machine: &TargetId) -> String {
    let state = &world.lock().state;
    let machine = state.roster.by_id(machine).unwrap();
    boot_id(state, machine, state.machines[machine].condition().boots)
}

fn install(machines: &[TargetId]) -> SendCommand {
    SendCommand {
        document: "AWS-RunPatchBaseline".into(),
        instances: machines.to_vec(),
        parameters: BTreeMap::from([("Operation".into(), vec!["Install".into()])]),
        comment: "runbook:test:one".into(),
        delivery_timeout: Duration::from_secs(600),
    }
}

async fn status(ports: &Ports, command: &str, machine: &TargetId) -> Option<InvocationStatus> {
    let found = ssm(ports).invocations(command, std::slice::from_ref(machine)).await.unwrap();
    found.first().map(|invocation| invocation.status)
}

async fn get(ports: &Ports, host: &str) -> Result<u16, String> {
    let request = Request {
        method: "GET",
        url: format!("http://{host}:8080/healthz?x=1"),
        headers: BTreeMap::new(),
        body: None,
        timeout: Duration::from_secs(5),
    };
    ports.http.request(request).await.map_err(|hindrance| hindrance.why)
}

async fn pass(ports: &Ports, seconds: u64) {
    ports.clock.sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn machines_are_found_by_their_tags() {
    let world = with("");
    let query = TargetQuery::Aws {
        tags: BTreeMap::from([("Environment".into(), vec!["production".into()])]),
        ids: vec![],
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    };
    let found = world.ports().inventory.resolve(&GroupName::new("production"), &query).await.unwrap();
    let names: Vec<_> = found.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3", "web-4"]);
    assert_eq!(found[0].id, world.machine("web-1").unwrap());
    assert!(found[0].id.as_str().starts_with("i-0") && found[0].id.as_str().len() == 19);
    assert!(world.ports().inventory.inspect(&found).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_installation_reboots_and_is_seen_late() {
    let world = with("");
    let ports = world.ports();
    let machine = world.machine("web-1").unwrap();
    let began = ports.clock.now();
    let command = ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await.unwrap();
    assert_eq!(status(&ports, &command, &machine).await, None, "not visible at first");
    pass(&ports, 4).await;
    assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Running));
    let before = boot(&world, &machine);
    // Picked up after 2 s, installed after 5 min, down 5 s later.
    pass(&ports, 306).await;
    assert_eq!(get(&ports, "web-1").await, Err("connection refused".into()));
    pass(&ports, 60).await;
    assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Succeeded));
    assert_ne!(boot(&world, &machine), before);
    assert_eq!(get(&ports, "web-1").await, Ok(200));
    let state = ssm(&ports).patch_states(std::slice::from_ref(&machine)).await.unwrap();
    assert_eq!((state[0].operation.as_str(), state[0].missing, state[0].pending_reboot), ("Install", 0, 12));
    assert_eq!(ports.clock.now().as_second() - began.as_second(), 370);
}

#[tokio::test(start_paused = true)]
async fn a_restored_machine_is_as_it_was_when_it_was_backed_up() {
    let world = with("faults: [{ kind: unhealthy_after_patch, targets: [web/2], after: 20m }]");
    let ports = world.ports();
    let machine = world.machine("web-2").unwrap();
    let tags = BTreeMap::from([("runbook:token".to_owned(), "t".to_owned())]);
    let all = CreateSnapshots { instance: machine.to_string(), tags, ..CreateSnapshots::default() };
    let snapshot = ec2(&ports).create_snapshots(&all).await.unwrap().remove(0).id;
    let tagged = Which::Tagged { key: "runbook:token".into(), values: vec!["t".into()] };
    assert!(ec2(&ports).snapshots(&tagged).await.unwrap().is_empty(), "not found at first");
    let back = ReplaceRootVolume {
        instance: machine.to_string(),
        snapshot,
        tags: BTreeMap::new(),
        token: "token".into(),
    };
    let early = ec2(&ports).replace_root_volume(&back).await.unwrap_err();
    assert_eq!(early.kind, FaultKind::Busy, "a pending snapshot restores nothing");
    ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await.unwrap();
    pass(&ports, 600).await;
    assert_eq!(get(&ports, "web-2").await, Ok(200));
    pass(&ports, 1200).await;
    assert_eq!(get(&ports, "web-2").await, Ok(503), "sick in the soak");
    let task = ec2(&ports).replace_root_volume(&back).await.unwrap();
    let again = ec2(&ports).replace_root_volume(&back).await.unwrap();
    assert_eq!(task.id, again.id);
    pass(&ports, 400).await;
    let tasks = ec2(&ports).replace_tasks(&Which::Ids(vec![task.id.clone()])).await.unwrap();
    assert_eq!((tasks[0].id.as_str(), tasks[0].state.as_str()), (task.id.as_str(), "succeeded"));
    assert_eq!(get(&ports, "web-2").await, Ok(200));
    let other = ReplaceRootVolume { instance: world.machine("web-1").unwrap().to_string(), ..back };
    let other = ec2(&ports).replace_root_volume(&other).await.unwrap_err();
    assert_eq!(other.code.as_deref(), Some("IdempotentParameterMismatch"));
    assert_eq!(world.calls().count("ec2:CreateReplaceRootVolumeTask"), 1);
}

#[tokio::test(start_paused = true)]
async fn faults_ask_for_the_step_and_the_attempt() {
    let world = with("faults: [{ kind: command_failed, step: patch, attempt: 1, targets: [web], exit: 9 }]");
    let machine = world.machine("web-3").unwrap();
    let mut ends = Vec::new();
    for (task, attempt) in [("production/wave-1/patch", 1), ("production/wave-1/patch", 2), ("other/scan", 1)]
    {
        let ports = world.ports_for(&TaskName::new(task), attempt);
        let command = ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await.unwrap();
        pass(&ports, 600).await;
        ends.push(ssm(&ports).invocation(&command, &machine).await.unwrap().exit_code);
    }
    assert_eq!(ends, [Some(9), Some(0), Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_machine_is_given_up_when_both_timeouts_have_passed() {
    let world = with("faults: [{ kind: silent_after_reboot, targets: [db] }]");
    let ports = world.ports();
    let machine = world.machine("db").unwrap();
    let command = ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await.unwrap();
    pass(&ports, 3600).await;
    assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Running));
    let agents = ssm(&ports).agents(std::slice::from_ref(&machine)).await.unwrap();
    assert!(!agents[0].online && agents[0].last_ping < Some(world.now()));
    pass(&ports, 7200).await;
    assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Unclear));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_throttles_are_counted_as_what_they_are() {
    let world = with(
        "faults: [{ kind: throttled, times: 2 }, { kind: answer_lost, call: 'ssm:SendCommand' }, { kind: request_lost }]",
    );
    let ports = world.ports();
    let machine = world.machine("db").unwrap();
    let mut kinds = Vec::new();
    for _ in 0..5 {
        let sent = ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await;
        kinds.push(sent.map_err(|fault| fault.kind).err());
    }
    let (throttled, ambiguous) = (Some(FaultKind::Throttled), Some(FaultKind::Ambiguous));
    assert_eq!(kinds, [throttled, throttled, ambiguous, ambiguous, None]);
    let calls = world.calls();
    assert_eq!((calls.calls.len(), calls.count("ssm:SendCommand")), (5, 2));
    assert_eq!(calls.doubled().len(), 1);
}

#[test]
fn a_killed_process_finds_the_world_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.log");
    let open = |path: &Path| World::open(FLEET, Some(path), WorldOptions { seed: 3, speed: None }).unwrap();
    let (command, machine, stood) = super::runtime().unwrap().block_on(async {
        let world = open(&path);
        let ports = world.ports();
        let machine = world.machine("web-1").unwrap();
        pass(&ports, 100).await;
        let command = ssm(&ports).send_command(install(std::slice::from_ref(&machine))).await.unwrap();
        pass(&ports, 100).await;
        (command, machine, world.now())
    });
    // Cut in the middle of a line: the call was never answered.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], br#"{"at":"2026-11-21T18:0"#].concat()).unwrap();
    super::runtime().unwrap().block_on(async {
        let world = open(&path);
        assert_eq!(world.now(), stood);
        let ports = world.ports();
        assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Running));
        pass(&ports, 300).await;
        assert_eq!(status(&ports, &command, &machine).await, Some(InvocationStatus::Succeeded));
    });
    let log = CallLog::read(&path).unwrap();
    assert_eq!(log.count_on("ssm:SendCommand", &machine), 1);
    assert_eq!(log.calls[0].token, "runbook:test:one");
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_effect_undone_or_done_and_nobody_is_told() {
    for (moment, effects) in [(Moment::Before, 0), (Moment::After, 1)] {
        let world = with("");
        let ports = world.ports();
        let machine = world.machine("web-1").unwrap();
        world.crash_at(0, moment);
        let ec2 = ec2(&ports);
        tokio::select! {
            _ = ec2.reboot_instances(std::slice::from_ref(&machine)) => panic!("a dead process was answered"),
            () = world.crashed() => {}
        }
        assert_eq!(world.calls().count("ec2:RebootInstances"), effects);
        world.revive();
        ec2.reboot_instances(std::slice::from_ref(&machine)).await.unwrap();
        assert_eq!(world.calls().count("ec2:RebootInstances"), effects + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn blocking_work_costs_no_time_of_the_world() {
    let world = with("");
    let ports = world.ports();
    let began = ports.clock.now();
    let timer = tokio::spawn(async move { pass(&ports, 3600).await });
    let (done, wait) = std::sync::mpsc::channel();
    let blocking = tokio::task::spawn_blocking(move || wait.recv().unwrap());
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.now(), began);
    done.send(()).unwrap();
    blocking.await.unwrap();
    assert_eq!(world.now(), began);
    timer.await.unwrap();
    assert_eq!(world.now().as_second() - began.as_second(), 3600);
}

#[test]
fn people_answer_in_their_order() {
    let world = with(
        "
people:
  - { name: bob, groups: [change-managers], gate: approve, after: 30m, answer: approve }
  - { name: alice, gate: approve, after: 20m, answer: reject, note: not today }
  - { name: carol, answer: silent }
  - { name: dave, gate: other, answer: approve }
",
    );
    let opened: Timestamp = "2026-11-21T20:00:00Z".parse().unwrap();
    let answers = world.people_for("approve", opened);
    let seen: Vec<_> =
        answers.iter().map(|answer| (answer.user.as_str(), answer.approve, answer.at.to_string())).collect();
    assert_eq!(
        seen,
        [("alice", false, "2026-11-21T20:20:00Z".into()), ("bob", true, "2026-11-21T20:30:00Z".into())]
    );
}

#[test]
fn a_wrong_fleet_file_says_what_is_wrong() {
    let cases = [
        ("fleet: x", "missing field `groups`"),
        ("fleet: x\ngroups: []", "it has no groups"),
        ("fleet: x\ngroups: [{ name: a, colour: red }]", "unknown field `colour`"),
        ("fleet: x\ngroups: [{ name: a }]\nfaults: [{ kind: on_fire }]", "unknown variant `on_fire`"),
        (
            "fleet: x\ngroups: [{ name: a }]\nfaults: [{ kind: missing, targets: [b] }]",
            "no machine and no group",
        ),
        ("fleet: x\ngroups: [{ name: a }]\nfaults: [{ kind: missing, targets: [a/2] }]", "no such machine"),
        ("fleet: x\ngroups: [{ name: a }]\nfaults: [{ kind: missing, exit: 2 }]", "`exit` does not go with"),
        ("fleet: x\ngroups: [{ name: a, count: 2, names: b }]", "needs `{n}`"),
        ("fleet: x\nlag: 2m\ngroups: [{ name: a }]", "shorter than `settle`"),
        ("fleet: x\ndurations: { patch: 8m..3m }\ngroups: [{ name: a }]", "is not a duration like 4m"),
    ];
    for (text, expected) in cases {
        let error = World::in_memory(text, 0).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?} says: {error}");
    }
}

#[test]
fn the_shipped_fleets_can_be_opened() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runbooks/fleets");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let world = World::in_memory(&std::fs::read_to_string(&path).unwrap(), 0).unwrap();
        assert_eq!(Some(world.about().0.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_world_goes_as_much_faster_as_it_says() {
    let world = World::open(FLEET, None, WorldOptions { seed: 1, speed: Some(600) }).unwrap();
    let ports = world.ports();
    let (began, real) = (ports.clock.now(), tokio::time::Instant::now());
    pass(&ports, 3600).await;
    assert_eq!(real.elapsed(), Duration::from_secs(6));
    assert_eq!(world.now().as_second() - began.as_second(), 3600);
    world.advance_to(began);
    assert_eq!(world.now().as_second() - began.as_second(), 3600, "a world never goes back");
}
