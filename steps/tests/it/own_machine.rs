//! What this machine lacks says nothing of the machines that a step is for: the run waits for a person, and goes on.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use runbook_engine::outcome::{ErrorClass, Outcome};
use runbook_steps::{
    action::{Action, Failure},
    actions::{ansible::playbook::Playbook, check, local},
    playbooks::Playbooks,
    ports::{clock::SystemClock, process::Process},
    programs::Programs,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{
    attempt::{Attempt, host},
    nowhere::ports,
};

/// A machine whose folders can be in the way: a file stands where one of them should be.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// Where nothing is in the way.
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn without(name: &str) -> Self {
        let machine = Self::new();
        fs::write(machine.path(name), "no folder").expect("a file");
        machine
    }

    fn mend(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn attempt(&self, inputs: Value) -> Attempt {
        let process: Arc<dyn Process> = Arc::new(Programs::new(self.path("state"), self.path("memory")));
        let mut ports = ports(SystemClock);
        ports.ansible = Arc::new(Playbooks::new(Arc::clone(&process), self.path("memory")));
        ports.process = process;
        Attempt::new(ports, inputs)
    }

    /// A program that stands before those of the system.
    fn program(&self, name: &str, script: &str) -> String {
        let folder = self.path("programs");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), script).expect("a file");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("a mode");
        format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"))
    }

    fn count(&self) -> usize {
        fs::read_to_string(self.path("count")).map_or(0, |text| text.lines().count())
    }
}

/// Nobody is reported while this is in the way; without it the attempt goes on.
async fn waits_and_goes_on(action: &impl Action, machine: &Machine, attempt: Attempt, name: &str) {
    let failed = attempt.live_to_the_end(action).await;
    assert!(matches!(failed, Err(Failure::NeedsPerson { .. })), "{name}: {failed:?}");
    assert!(attempt.reports().is_empty(), "{name}: {:?}", attempt.reports());
    machine.mend(name);
    assert_eq!(attempt.live_to_the_end(action).await, Ok(Value::Null), "{name}");
    assert_eq!(attempt.reports()["web-1"], "succeeded", "{name}");
}

#[tokio::test]
async fn a_program_waits_for_what_is_kept_of_it() {
    for name in ["state", "memory"] {
        let machine = Machine::without(name);
        let script = format!("echo x >>{}", machine.path("count").display());
        let attempt = machine.attempt(json!({ "script": script })).on([host("web-1")]);
        waits_and_goes_on(&local::command::Command::default(), &machine, attempt, name).await;
        assert_eq!(machine.count(), 1);
    }
}

#[tokio::test]
async fn a_playbook_waits_for_what_is_kept_of_it() {
    for name in ["state", "memory"] {
        let machine = Machine::without(name);
        let script = format!(
            "#!/bin/sh\necho x >>{}\necho '{{\"event\":\"loaded\"}}' >>$RUNBOOK_PLAY_EVENTS\n\
             echo '{{\"event\":\"stats\",\"hosts\":{{\"web-1\":{{\"ok\":1}}}}}}' >>$RUNBOOK_PLAY_EVENTS\n",
            machine.path("count").display()
        );
        machine.program("ansible", &script);
        let program = machine.path("programs/ansible");
        let attempt = machine.attempt(json!({ "playbook": "site.yml", "program": program }));
        waits_and_goes_on(&Playbook::default(), &machine, attempt.on([host("web-1")]), name).await;
        assert_eq!(machine.count(), 1);
    }
}

#[tokio::test]
async fn a_look_that_cannot_be_made_says_nothing_of_the_machine() {
    for name in ["state", "memory"] {
        let machine = Machine::without(name);
        let attempt = machine.attempt(json!({ "script": "true", "within": "0s" })).on([host("web-1")]);
        waits_and_goes_on(&check::command::Command::default(), &machine, attempt, name).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_program_is_not_the_machines() {
    let machine = Machine::new();
    let long = "x".repeat(4 << 20);
    let attempt = machine.attempt(json!({ "script": "true", "env": { "LONG": long } })).on([host("web-1")]);
    attempt.live_to_the_end(&local::command::Command::default()).await.expect("it is reported");
    let report = attempt.journal.recorded().reports["web-1"].clone();
    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some(ErrorClass::Undeliverable)));
}

#[tokio::test]
async fn a_program_whose_claim_cannot_be_synced_is_not_begun() {
    let machine = Machine::new();
    // As `sync` is on a drive that fails: of a file it says so, of everything it cannot.
    let path = machine.program("sync", "#!/bin/sh\n[ $# = 0 ] || exit 1\nexec /bin/sync\n");
    let script = format!("echo x >>{}", machine.path("count").display());
    let attempt = machine.attempt(json!({ "script": script, "env": { "PATH": path } })).on([host("web-1")]);
    let failed = attempt.live_to_the_end(&local::command::Command::default()).await;
    assert!(matches!(failed, Err(Failure::NeedsPerson { .. })), "{failed:?} {:?}", attempt.reports());
    assert_eq!((machine.count(), attempt.reports().len()), (0, 0));
    machine.mend("programs/sync");
    attempt.live_to_the_end(&local::command::Command::default()).await.expect("it is reported");
    assert_eq!((machine.count(), attempt.reports()["web-1"].as_str()), (1, "succeeded"));
}
