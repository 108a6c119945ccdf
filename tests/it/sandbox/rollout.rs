//! A runbook that is run on a sandbox.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::server::{Sandbox, peak_memory};
use crate::program::{Done, Place};

/// How long a run may take in real time: its waits cost none.
const PATIENCE: Duration = Duration::from_secs(600);

/// A runbook, a state folder, and the sandbox that it is run on.
pub struct Rollout {
    pub sandbox: Sandbox,
    place: Place,
    runbook: PathBuf,
    /// What stands before the sandbox, where something does.
    before: Option<String>,
}

/// How a run came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub exit: Option<i64>,
    pub status: String,
    /// By machine.
    pub outcomes: BTreeMap<String, String>,
}

impl Rollout {
    /// A runbook of the workspace, by its path there.
    pub fn shipped(runbook: &str, fleet: &str) -> Self {
        Self { sandbox: Sandbox::start(fleet), place: Place::new(), runbook: runbook.into(), before: None }
    }

    /// A runbook of the test.
    pub fn new(runbook: &str, fleet: &str) -> Self {
        let place = Place::new();
        let runbook = place.write("runbook.yaml", runbook);
        Self { sandbox: Sandbox::start(fleet), place, runbook, before: None }
    }

    /// AWS's calls go there, and from there to the sandbox.
    pub fn by_way_of(&mut self, endpoint: String) {
        self.before = Some(endpoint);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command
            // Real waits are not waited for, so the ones that users have are good here.
            .env_remove("RUNBOOK_SETTLE")
            .env("RUNBOOK_SANDBOX", self.sandbox.url())
            .env("RUNBOOK_SECRET_CHANGE_WEBHOOK", "http://changes.example/hook");
        command.envs(self.before.iter().map(|endpoint| ("AWS_ENDPOINT_URL", endpoint)));
        command
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let log = File::options().append(true).create(true).open(self.place.path("log")).expect("a log");
        self.command(arguments)
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log)
            .spawn()
            .expect("the binary starts")
    }

    /// Runs a command that does not wait.
    pub fn ask(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(arguments).output().expect("the binary runs"))
    }

    /// Starts the run, or goes on with it where it stopped.
    pub fn go_on(&self) -> Child {
        let runbook = self.runbook.display().to_string();
        if self.place.path("state").exists() && !self.ask(&["list", "--json"]).stdout.is_empty() {
            self.spawn(&["resume"])
        } else {
            self.spawn(&["run", &runbook])
        }
    }

    /// Starts the run for the first time.
    pub fn begin(&self) -> Child {
        self.spawn(&["run", &self.runbook.display().to_string()])
    }

    /// Starts another command.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.spawn(arguments)
    }

    /// Waits for the end of the process; the most memory that it had, in MiB.
    #[track_caller]
    pub fn ends(&self, mut child: Child) -> u64 {
        let end = Instant::now() + PATIENCE;
        let mut memory = 0;
        while child.try_wait().expect("it can be asked").is_none() {
            memory = peak_memory(&child.id().to_string()).unwrap_or(memory);
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it does not end\n{}\n{}", self.page(), self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        memory
    }

    /// Runs it to its end, without disturbance.
    #[track_caller]
    pub fn run(&self) -> End {
        self.ends(self.begin());
        self.end()
    }

    /// `show --json`.
    #[track_caller]
    pub fn show(&self) -> Value {
        let shown = self.ask(&["show", "--json"]);
        assert_eq!(shown.code, 0, "{}\n{}", shown.stderr, self.log());
        shown.json()
    }

    /// What a person reads.
    pub fn page(&self) -> String {
        self.ask(&["show"]).stdout
    }

    /// What the runners printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path("log")).unwrap_or_default()
    }

    /// How it came out.
    #[track_caller]
    pub fn end(&self) -> End {
        let show = self.show();
        let outcome = |(id, target): (&String, &Value)| {
            (id.clone(), target["outcome"].as_str().unwrap_or_default().to_owned())
        };
        End {
            exit: show["exit"].as_i64(),
            status: show["status"].as_str().unwrap_or_default().to_owned(),
            outcomes: show["targets"].as_object().expect("targets").iter().map(outcome).collect(),
        }
    }

    /// The plan, with the machines' homes.
    #[track_caller]
    pub fn plan(&self) -> Value {
        let file = self.place.path("plan.json").display().to_string();
        let runbook = self.runbook.display().to_string();
        self.ask(&["plan", &runbook, "-o", &file]).exits(0);
        let text = std::fs::read_to_string(&file).expect("a plan");
        serde_json::from_str(&text).expect("a plan in JSON")
    }

    /// The machines of each group, in the order of their names.
    #[track_caller]
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let runbook = self.runbook.display().to_string();
        let plan = self.ask(&["plan", &runbook, "--json"]).exits(0).json();
        serde_json::from_value(plan["targets"].clone()).expect("groups")
    }
}

/// As `kill -9` does.
pub fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it was ours");
}
