//! Hosts that cannot be worked on, each beside hosts that can: it ends in its named outcome, inside its deadline, and
//! counts in the budget.

use jiff::{SignedDuration, Timestamp};
use runbook_test_hosts::{Estate, Family, Held, Host};
use serde_json::Value;

use super::{
    fleet::{is_in_the_middle, let_go},
    runbook,
};
use crate::{
    holder::until,
    program::{Done, Place},
};

/// The last question to a host that has fallen silent is given up by itself: a session that does not open, or a
/// connection that is not made.
const LAST_QUESTION: SignedDuration = SignedDuration::from_secs(120);

const PATCH: &str = "uses: linux/patch, with: { packages: [runbook-slow], reboot: NoReboot, lock_wait: 3s }";
const REBOOT: &str = "uses: linux/reboot";

/// What is wrong with one host of each rollout.
struct Trouble {
    name: &'static str,
    /// The step that it meets.
    step: &'static str,
    /// Its time, in seconds.
    timeout: i64,
    /// Who logs in there.
    user: &'static str,
    /// How it comes to be.
    make: fn(&Host) -> Option<Held>,
    /// In the middle of the installation, not before the run.
    meanwhile: bool,
    /// What is expected of it: outcome, class, what the cause says.
    outcome: &'static str,
    class: &'static str,
    cause: &'static str,
    /// How much later than its time it may come out.
    late: SignedDuration,
    /// The exit code of the run.
    exit: i32,
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            name: "",
            step: PATCH,
            timeout: 120,
            user: "root",
            make: |_| None,
            meanwhile: false,
            outcome: "failed",
            class: "",
            cause: "",
            late: SignedDuration::ZERO,
            exit: 10,
        }
    }
}

/// Three hosts, in two waves: the first one has the trouble, the third is in the second wave.
fn rollout(estate: &Estate, name: &str) -> Vec<Host> {
    let recipe = |number| estate.recipe(Family::Debian, &format!("{name}{number}")).var_of(24);
    estate.start((1..=3).map(recipe))
}

/// Two rollouts at once, which differ in their budgets: in `strict` no host may fail, in `lenient` one may.
fn document(trouble: &Trouble, rollouts: [&[Host]; 2]) -> String {
    let targets = |hosts: &[Host]| -> String {
        let entry = |(n, host): (usize, &Host)| {
            let user = if n == 0 { trouble.user } else { "root" };
            format!("      {}\n", host.entry().replace("config:", &format!("user: {user}, config:")))
        };
        hosts.iter().enumerate().map(entry).collect()
    };
    format!(
        "runbook: trouble\ntargets:\n  strict:\n    hosts:\n{}  lenient:\n    hosts:\n{}\
         blocks:\n  work:\n    change: {{ {}, timeout: {}s, resolve_within: 1s, way_back: none, because: this shows \
         what happens when it cannot be done }}\n\
         steps:\n  strict: {{ run: work, targets: strict, rollout: {{ waves: [2, 100%] }} }}\n  \
         lenient: {{ run: work, targets: lenient, rollout: {{ waves: [2, 100%], max_failures: 1 }} }}\n",
        targets(rollouts[0]),
        targets(rollouts[1]),
        trouble.step,
        trouble.timeout,
    )
}

/// What shows that the step was done on a host.
fn state(trouble: &Trouble, host: &Host) -> String {
    if trouble.step == REBOOT { host.boot_id() } else { host.installed("runbook-slow") }
}

fn at(entry: &Value) -> Timestamp {
    entry["at"].as_str().and_then(|at| at.parse().ok()).expect("a time")
}

#[track_caller]
fn ends(trouble: &Trouble) {
    let estate = Estate::new(trouble.name);
    let (strict, lenient) = (rollout(&estate, "strict"), rollout(&estate, "lenient"));
    estate.repository().publish("runbook-slow", "1.1-1");
    let sick = [&strict[0], &lenient[0]];
    let well = || strict[1..].iter().chain(&lenient[1..]);
    for host in well() {
        let_go(host);
    }
    let place = Place::new();
    let path = place.write("trouble.yaml", &document(trouble, [&strict, &lenient])).display().to_string();
    let mut held = Vec::new();
    let before: Vec<_> = well().map(|host| state(trouble, host)).collect();

    let done = if trouble.meanwhile {
        let run = place.start(&["run", &path]);
        for host in sick {
            host.wait_until("is not in the middle of a transaction", is_in_the_middle);
            held.push((trouble.make)(host));
        }
        Done::from(run.wait_with_output().expect("an end"))
    } else {
        held.extend(sick.map(trouble.make));
        place.run(&["run", &path])
    };
    let done = done.exits(trouble.exit);
    let show = place.run(&["show", "--json"]).exits(0).json();
    let events = place.run(&["events", "--json"]).exits(0).lines();
    let is = |entry: &Value, kind: &str, task: &str| {
        entry["event"]["type"] == kind && (entry["event"]["task"] == task || entry["event"]["scope"] == task)
    };
    let count = |kind: &str, task: &str| events.iter().filter(|entry| is(entry, kind, task)).count();
    for (rollout, budget) in [("strict", 0), ("lenient", 1)] {
        let (name, task) = (format!("{rollout}1"), format!("{rollout}/wave-1/change"));
        // How it came out, by the run's state and by its journal.
        let target = &show["targets"][&name];
        assert_eq!(target["outcome"], trouble.outcome, "{show}");
        assert!(target["cause"].as_str().is_some_and(|cause| cause.contains(trouble.cause)), "{target}");
        let started = events.iter().find(|entry| is(entry, "task_started", &task)).expect("its start");
        let reported = events.iter().find(|entry| {
            let targets = entry["event"]["targets"].as_array();
            is(entry, "targets_reported", &task)
                && targets.is_some_and(|ids| ids.contains(&Value::from(&*name)))
        });
        let reported = reported.unwrap_or_else(|| panic!("{name} is not reported: {events:#?}"));
        assert_eq!(reported["event"]["result"]["class"], trouble.class, "{reported}");
        let took = at(reported).duration_since(at(started));
        let limit = SignedDuration::from_secs(trouble.timeout) + trouble.late;
        assert!(took <= limit, "{name} took {took:#}, {limit:#} at most");
        // It counts, once, and in the budget of its own rollout.
        assert_eq!(count("targets_failed", &task), 1, "{events:#?}");
        let exceeded: Vec<_> = events
            .iter()
            .filter(|entry| is(entry, "budget_exceeded", rollout))
            .map(|entry| &entry["event"])
            .collect();
        assert_eq!(exceeded.len(), 1 - budget, "{exceeded:?}");
        for event in exceeded {
            assert_eq!((&event["failures"], &event["limit"]), (&Value::from(1), &Value::from(0)), "{event}");
        }
        // The one beside it is done; the next wave only where the failure is inside the budget.
        let goes_on = budget == 1;
        assert_eq!(show["targets"][format!("{rollout}2")]["outcome"], "succeeded", "{show}");
        let later = if goes_on { "succeeded" } else { "not_started" };
        assert_eq!(show["targets"][format!("{rollout}3")]["outcome"], later, "{show}");
        assert_eq!(count("task_started", &format!("{rollout}/wave-2/change")), usize::from(goes_on));
    }
    let changed: Vec<_> = well()
        .zip(before)
        .filter(|(host, before)| &state(trouble, host) != before)
        .map(|(host, _)| host.name())
        .collect();
    assert_eq!(changed, ["strict2", "lenient2", "lenient3"], "{}", done.stderr);
}

#[test]
fn a_host_that_is_cut_off_in_the_middle_of_a_patch_is_unknown_and_a_person_is_asked() {
    ends(&Trouble {
        name: "cut-off",
        timeout: 60,
        make: |host| {
            host.cut_off();
            None
        },
        meanwhile: true,
        outcome: "unknown",
        class: "failed",
        cause: "while the installation was running",
        late: LAST_QUESTION,
        exit: 11,
        ..Trouble::default()
    });
}

#[test]
fn a_host_that_never_comes_back_is_unreachable() {
    ends(&Trouble {
        name: "never-back",
        step: REBOOT,
        timeout: 60,
        make: |host| {
            host.never_comes_back();
            None
        },
        outcome: "unreachable",
        class: "failed",
        cause: "not back by",
        late: LAST_QUESTION,
        ..Trouble::default()
    });
}

#[test]
fn a_host_that_is_silent_from_the_start_is_unreachable() {
    ends(&Trouble {
        name: "silent",
        timeout: 60,
        make: |host| {
            host.cut_off();
            None
        },
        outcome: "unreachable",
        class: "undeliverable",
        cause: "timed out",
        late: LAST_QUESTION,
        ..Trouble::default()
    });
}

#[test]
fn a_lock_that_somebody_holds_is_busy() {
    ends(&Trouble {
        name: "lock",
        make: |host| Some(host.hold_package_lock()),
        class: "busy",
        cause: "lock",
        ..Trouble::default()
    });
}

#[test]
fn a_full_disk_has_no_room() {
    ends(&Trouble {
        name: "full-disk",
        make: |host| {
            host.fill_var();
            None
        },
        class: "capacity",
        cause: "has no room for the job in /var/lib/runbook: 0 KiB are free on /var; see `df -h`",
        ..Trouble::default()
    });
}

#[test]
fn another_host_key_is_not_the_host() {
    ends(&Trouble {
        name: "host-key",
        make: |host| {
            host.change_host_key();
            None
        },
        outcome: "unreachable",
        class: "undeliverable",
        cause: "host key",
        ..Trouble::default()
    });
}

#[test]
fn a_sudo_that_asks_for_a_password_says_how_to_give_it() {
    ends(&Trouble {
        name: "sudo-asks",
        user: "asker",
        class: "undeliverable",
        cause: "sudo_password",
        ..Trouble::default()
    });
}

#[test]
fn a_sudo_password_is_given_where_it_is_known() {
    let estate = Estate::new("sudo");
    let hosts = [estate.debian("web1")];
    let place = Place::new();
    let config = estate.ssh_config().display().to_string();
    let path = place.write(
        "runbook.yaml",
        &format!(
            "runbook: hosts\ntargets:\n  hosts:\n    hosts:\n      web1: {{ address: {}, connection: {{ config: \"{config}\", \
             user: asker, sudo: password, sudo_password: ASKER }} }}\nsteps:\n{SCRIPT}",
            hosts[0].address()
        ),
    );
    let path = path.display().to_string();
    let mut command = place.command(&["run", &path]);
    command.env("RUNBOOK_SECRET_ASKER", "not this one");
    Done::from(command.output().expect("the binary runs")).exits(10);
    assert_ne!(hosts[0].exec("test -e /var/lib/ran").code, 0);

    let mut command = place.command(&["run", &path]);
    command.env("RUNBOOK_SECRET_ASKER", Estate::ASKER_PASSWORD);
    let done = Done::from(command.output().expect("the binary runs")).exits(0);
    assert_eq!(hosts[0].run("cat /var/lib/ran"), "0");
    assert!(!done.stderr.contains(Estate::ASKER_PASSWORD) && !done.stdout.contains(Estate::ASKER_PASSWORD));
}

const SCRIPT: &str = r#"  change:
    uses: linux/script
    targets: hosts
    effect: changes
    way_back: none
    because: this shows what happens when it cannot run
    timeout: 2m
    with: { as: root, script: "id -u >>/var/lib/ran" }
"#;

#[test]
fn a_lock_is_waited_for() {
    let estate = Estate::new("waits");
    let hosts = [estate.debian("web1")];
    estate.repository().publish("runbook-plain", "1.1-1");
    let place = Place::new();
    let step = "  patch: { uses: linux/patch, targets: hosts, way_back: none, because: this shows a lock, \
                with: { select: all, reboot: NoReboot } }\n";
    let held = hosts[0].hold_package_lock();
    let path = runbook(&place, &hosts, step).display().to_string();
    let run = place.start(&["run", &path]);
    until("an installation", || place.run(&["events", "--json"]).stdout.contains("/install\""));
    assert_eq!(hosts[0].installed("runbook-plain"), "1.0-1");
    drop(held);
    Done::from(run.wait_with_output().expect("an end")).exits(0);
    assert_eq!(hosts[0].installed("runbook-plain"), "1.1-1");
}
