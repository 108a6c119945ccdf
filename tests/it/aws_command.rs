//! `aws/command` on a server that is not ours and really runs the scripts: nine boxes of ministack in three waves.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use runbook_test_servers::{Microburst, Ministack, boto3, environment, start_machines};
use serde_json::{Value, json};

use crate::program::{Done, Place};

/// Room for a small machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(180);

/// Every box counts that its script ran, then waits until the test lets it go on. The clean-up counts too.
const RUNBOOK: &str = r#"
runbook: count
description: Count on nine boxes, three at a time.

targets:
  boxes: { aws: { tags: { "Patch Group": boxes } } }

blocks:
  counted:
    script:
      uses: aws/command
      with:
        script: |
          echo x >>"$COUNTERS/$INSTANCE_ID"
          until [ -e "$COUNTERS/go-$INSTANCE_ID" ]; do sleep 0.05; done
          [ ! -e "$COUNTERS/fail-$INSTANCE_ID" ]
      timeout: 10m
      on_failure: [cleanup]
    cleanup:
      uses: aws/command
      targets: { failed_in: [script] }
      with: { script: 'echo x >>"$COUNTERS/cleanup-$INSTANCE_ID"' }
      timeout: 10m

steps:
  all:
    run: counted
    targets: boxes
    rollout: { waves: [3, 6, 9], max_failures: 1 }
"#;

/// Nine boxes and a runbook for them.
struct Rollout {
    server: Ministack,
    endpoint: String,
    boxes: Vec<String>,
    place: Place,
    runbook: PathBuf,
}

impl Rollout {
    fn new() -> Self {
        let server = Ministack::start();
        let boxes = start_machines(&server.endpoint(), 9, &[("Patch Group", "boxes")]);
        let place = Place::new();
        let runbook = place.write("count.yaml", RUNBOOK);
        Self { endpoint: server.endpoint(), server, boxes, place, runbook }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.envs(environment(&self.endpoint));
        command
    }

    /// Starts the rollout, and returns when its run is in the store.
    fn begin(&self) -> Child {
        let runbook = self.runbook.display().to_string();
        let child = silent(self.command(&["run", &runbook]));
        self.until("the run is listed", || !self.ask(&["list", "--json"]).stdout.is_empty());
        child
    }

    fn resume(&self) -> Child {
        silent(self.command(&["resume"]))
    }

    fn ask(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the binary runs"))
    }

    fn show(&self) -> Value {
        self.ask(&["show", "--json"]).exits(0).json()
    }

    /// The boxes of a wave: sorted by name, box-1 first.
    fn wave(&self, number: usize) -> &[String] {
        &self.boxes[3 * (number - 1)..3 * number]
    }

    fn wave_runs(&self, number: usize) {
        let runs = || self.wave(number).iter().all(|id| self.server.count(id) > 0);
        self.until(&format!("the scripts of wave {number} run"), runs);
    }

    fn let_go(&self, number: usize) {
        for id in self.wave(number) {
            self.mark(&format!("go-{id}"));
        }
    }

    fn mark(&self, file: &str) {
        std::fs::write(self.server.counters().join(file), "").expect("a file is written");
    }

    #[track_caller]
    fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !reached() {
            assert!(Instant::now() < end, "{what}: not in time\n{}", self.ask(&["show"]).stdout);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end of a rollout that was let go.
    #[track_caller]
    fn ends(&self, mut child: Child, code: i32) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end\n{}", self.ask(&["show"]).stdout);
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(code), "{}", self.ask(&["show"]).stdout);
    }

    /// What every box counted, by file: `""` for the script, `cleanup-` for the clean-up.
    fn counts(&self, prefix: &str) -> Vec<usize> {
        self.boxes.iter().map(|id| self.server.count(format!("{prefix}{id}"))).collect()
    }

    /// How many commands the server was sent.
    fn commands(&self) -> usize {
        let line = "len(boto3.client('ssm').list_commands()['Commands'])";
        boto3(&self.server.endpoint(), line)
            .as_u64()
            .map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn outcomes(&self) -> Vec<String> {
        let show = self.show();
        self.boxes
            .iter()
            .map(|id| show["targets"][id]["outcome"].as_str().unwrap_or("?").to_owned())
            .collect()
    }
}

fn silent(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
}

/// As `kill -9` does.
fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it was ours");
}

#[test]
fn killed_in_every_wave_again_and_again_each_script_runs_once() {
    let rollout = Rollout::new();
    let mut child = rollout.begin();
    for wave in 1..=3 {
        rollout.wave_runs(wave);
        // Right after the scripts started, and at other moments of coming up again: before the store is open, while
        // the command is looked up, while it is watched.
        for life in [0, 20, 50, 100, 200, 400, 800] {
            std::thread::sleep(Duration::from_millis(life));
            kill(child);
            child = rollout.resume();
        }
        rollout.let_go(wave);
    }
    rollout.ends(child, 0);
    assert_eq!(rollout.counts(""), [1; 9]);
    assert_eq!(rollout.counts("cleanup-"), [0; 9]);
    assert_eq!(rollout.commands(), 3);
    assert_eq!(rollout.outcomes(), ["succeeded"; 9]);
}

#[test]
fn the_box_that_fails_goes_through_the_failure_branch_alone_and_once() {
    let rollout = Rollout::new();
    let failing = rollout.boxes[4].clone();
    rollout.mark(&format!("fail-{failing}"));
    let mut child = rollout.begin();
    for wave in 1..=3 {
        rollout.wave_runs(wave);
        kill(child);
        rollout.let_go(wave);
        child = rollout.resume();
        if wave == 2 {
            // In and around the branch.
            for life in [100, 300, 500] {
                std::thread::sleep(Duration::from_millis(life));
                kill(child);
                child = rollout.resume();
            }
        }
    }
    rollout.ends(child, 0);
    assert_eq!(rollout.counts(""), [1; 9]);
    let branch: Vec<usize> = rollout.boxes.iter().map(|id| usize::from(*id == failing)).collect();
    assert_eq!(rollout.counts("cleanup-"), branch);
    assert_eq!(rollout.commands(), 4);
    let outcomes: Vec<&str> =
        rollout.boxes.iter().map(|id| if *id == failing { "failed" } else { "succeeded" }).collect();
    assert_eq!(rollout.outcomes(), outcomes);
}

#[test]
fn killed_between_the_sending_and_the_answer_the_command_is_found_by_its_comment() {
    let mut rollout = Rollout::new();
    let wire = Microburst::start(&rollout.server.endpoint());
    rollout.endpoint = wire.endpoint();
    // The command is carried out, and its answer trickles: some 20 bytes a second.
    wire.rules(&json!([
        { "service": "ssm", "operation": "SendCommand", "response": { "bandwidth_kbps": 0.02 } },
    ]));
    let mut child = rollout.begin();
    for wave in 1..=3 {
        rollout.wave_runs(wave);
        kill(child);
        rollout.let_go(wave);
        child = rollout.resume();
    }
    rollout.ends(child, 0);
    assert_eq!(rollout.counts(""), [1; 9]);
    assert_eq!(rollout.commands(), 3);
    assert_eq!(rollout.outcomes(), ["succeeded"; 9]);
}

#[test]
fn an_answer_that_is_lost_does_not_double_the_command() {
    let mut rollout = Rollout::new();
    let wire = Microburst::start(&rollout.server.endpoint());
    rollout.endpoint = wire.endpoint();
    wire.rules(&json!([
        { "service": "ssm", "operation": "SendCommand", "sequence": [1, 0], "response": { "abort_frac": 0.5 } },
        { "service": "ssm", "operation": "ListCommands", "times": 1, "error": { "code": "ThrottlingException" } },
    ]));
    for wave in 1..=3 {
        rollout.let_go(wave);
    }
    let child = rollout.begin();
    rollout.ends(child, 0);
    assert_eq!(rollout.counts(""), [1; 9]);
    assert_eq!(rollout.commands(), 3);
    assert!(wire.fired("SendCommand") >= 3);
}
