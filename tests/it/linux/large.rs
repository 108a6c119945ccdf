//! Two hundred hosts, each with its own root folder, package database and sshd: what patching them takes on the machine
//! that runs `runbook`, in connections, processes, open files and memory.
//!
//! `RUNBOOK_LARGE_HOSTS=N` takes another number of hosts. What is printed is what `docs/performance.md` has.

use std::{
    collections::BTreeMap,
    fs,
    process::Child,
    time::{Duration, Instant},
};

use runbook_test_hosts::{Estate, Family, Host};

use super::fleet::past;
use crate::program::Place;

/// Says how many hosts.
const HOW_MANY: &str = "RUNBOOK_LARGE_HOSTS";

const HOSTS: usize = 200;

/// So many connections are open at most (`docs/linux.md`).
const CONNECTIONS: usize = 64;

/// Files that are open without a connection: the store, sockets, standard streams, the runtime's own.
const OWN_FILES: usize = 40;

/// Files of a connection: two pipes and a socket for each session in use, of which there are five at most, and the
/// lease's two pipes.
const FILES: usize = 2 + 5 * 4;

/// What the runner may take: three times what a debug build was measured to, for 200 hosts.
const RUNNER_KIB: u64 = 256 << 10;

const RUNBOOK: &str = r#"
runbook: large
targets:
  all: { hosts: { inventory: hosts.yaml } }
blocks:
  patched:
    patch:
      uses: linux/patch
      with: { packages: [runbook-plain], reboot: NoReboot }
      way_back: none
      because: the hosts of this test are thrown away
    healthy:
      needs: [patch]
      uses: check/tcp
      with: { host: "{{ target.private_ip }}", port: 2200, within: 1m }
steps:
  all:
    run: patched
    targets: all
    rollout: { waves: [10%, 100%] }
"#;

/// The most that was seen at any look.
#[derive(Debug, Default)]
struct Most {
    connections: usize,
    processes: usize,
    files: usize,
    runner_kib: u64,
    connection_kib: u64,
    all_kib: u64,
}

/// A process that lives, as /proc tells it.
struct Process {
    parent: u32,
    name: String,
}

/// The processes of this machine that live, all of them at one and the same moment: while one look goes on, one may end
/// whose place another takes, so who is there in two looks is there between them.
fn processes_at_once() -> BTreeMap<u32, Process> {
    let (mut first, second) = (processes(), processes());
    first.retain(|number, _| second.contains_key(number));
    first
}

/// All processes of this machine that are not dead.
fn processes() -> BTreeMap<u32, Process> {
    let numbers = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let number: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let mut words = tail.split(' ');
        let state = words.next()?;
        let parent = words.next()?.parse().ok()?;
        let name = head.split_once('(')?.1.to_owned();
        (!matches!(state, "Z" | "X")).then_some((number, Process { parent, name }))
    });
    numbers.collect()
}

/// A line of a file in /proc, in KiB.
fn kib(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Looks at the runner and all that descends from it.
fn look(runner: u32, most: &mut Most) {
    let all = processes_at_once();
    let parent = |number: u32| all.get(&number).map(|process| process.parent);
    let descends = |number: &u32| {
        std::iter::successors(parent(*number), |number| parent(*number)).take(16).any(|above| above == runner)
    };
    let ours: Vec<u32> = all.keys().copied().filter(descends).collect();
    let connections: Vec<u32> = ours.iter().copied().filter(|number| all[number].name == "ssh").collect();
    let own = kib(&format!("/proc/{runner}/status"), "VmHWM");
    // What processes share is counted once: `Pss`.
    let each = connections.iter().map(|number| kib(&format!("/proc/{number}/smaps_rollup"), "Pss"));
    let each: Vec<u64> = each.collect();
    most.connections = most.connections.max(connections.len());
    most.processes = most.processes.max(ours.len() + 1);
    most.files = most.files.max(fs::read_dir(format!("/proc/{runner}/fd")).map_or(0, Iterator::count));
    most.runner_kib = most.runner_kib.max(own);
    most.connection_kib = most.connection_kib.max(each.iter().copied().max().unwrap_or(0));
    most.all_kib = most.all_kib.max(own + each.iter().sum::<u64>());
}

/// What a run takes, until it ends; how it ends.
fn watched(run: &mut Child, most: &mut Most) -> Option<i32> {
    loop {
        if let Some(status) = run.try_wait().expect("it can be asked") {
            return status.code();
        }
        look(run.id(), most);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Hosts that are up, not all started at the same time.
fn hosts(estate: &Estate, count: usize) -> Vec<Host> {
    let names: Vec<_> = (1..=count).map(|number| format!("host{number:03}")).collect();
    let some = |names: &[String]| {
        estate.start(names.iter().map(|name| estate.recipe(Family::Debian, name).on_loopback()))
    };
    names.chunks(16).flat_map(some).collect()
}

#[test]
fn two_hundred_hosts_take_a_bounded_number_of_connections_and_processes() {
    let count = std::env::var(HOW_MANY).map_or(HOSTS, |count| count.parse().expect("a number of hosts"));
    let began = Instant::now();
    let estate = Estate::new("large");
    let hosts = hosts(&estate, count);
    estate.repository().publish("runbook-plain", "1.1-1");
    println!("{count} hosts are up after {:.0} s", began.elapsed().as_secs_f64());
    let place = Place::new();
    let entries: String = hosts.iter().map(|host| format!("  {}\n", host.entry())).collect();
    place.write("hosts.yaml", &format!("inventory: large\nhosts:\n{entries}"));
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();

    let began = Instant::now();
    let mut most = Most::default();
    let mut run = place.start(&["run", &runbook]);
    let code = watched(&mut run, &mut most);
    let took = began.elapsed().as_secs_f64();
    println!("patched in {took:.0} s: {most:#?}");

    let shown = place.run(&["show", "--json"]).exits(0).json();
    let targets = shown["targets"].as_object().expect("targets");
    let unwell: Vec<_> = targets.iter().filter(|(_, target)| target["outcome"] != "succeeded").collect();
    assert_eq!((code, targets.len()), (Some(0), count), "{unwell:#?}");
    let task = |name: &str| {
        let tasks = shown["tasks"].as_array().expect("tasks");
        tasks.iter().find(|task| task["task"] == name).unwrap_or_else(|| panic!("{name}: {shown}"))
    };
    let (first, second) = (task("all/wave-1/patch"), task("all/wave-2/patch"));
    let machines = |task: &serde_json::Value| task["targets"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!((machines(first), machines(second)), (count.div_ceil(10), count - count.div_ceil(10)));
    let at = |task: &serde_json::Value, key: &str| task[key].as_str().expect("a time").to_owned();
    assert!(at(task("all/wave-1/healthy"), "finished_at") <= at(second, "started_at"), "wave after wave");
    for host in &hosts {
        assert_eq!(host.installed("runbook-plain"), "1.1-1", "{}", host.name());
        let upgrades = past(host).matches(" upgrade runbook-plain:all 1.0-1 1.1-1\n").count();
        assert_eq!(upgrades, 1, "{}", host.name());
    }
    assert!(most.connections > CONNECTIONS.min(count) / 2, "they are worked on together: {most:?}");
    assert!(most.connections <= CONNECTIONS, "{most:?}");
    assert!(most.processes <= CONNECTIONS + 1, "a connection is one process: {most:?}");
    assert!(most.files <= OWN_FILES + FILES * CONNECTIONS, "{most:?}");
    assert!(most.runner_kib <= RUNNER_KIB, "{most:?}");
}
