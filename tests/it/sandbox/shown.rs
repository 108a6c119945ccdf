//! `runbooks/patch-linux.yaml` on sixty machines with something that goes wrong, and what came of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{calls::Calls, rollout::Rollout};
use crate::program::{Done, root};

const RUNBOOK: &str = "runbooks/patch-linux.yaml";

const SNAPSHOT: &str = "ec2:CreateSnapshots";

/// What is done to a machine that comes through: one snapshot of all its volumes, an installation and its closing scan.
pub const HEALTHY: [(&str, usize); 2] = [("ec2:CreateSnapshots", 1), ("ssm:SendCommand", 2)];

/// What is done to a machine whose installation is sent twice, and never runs.
pub const NEVER_RAN_TWICE: [(&str, usize); 2] = [("ec2:CreateSnapshots", 1), ("ssm:SendCommand", 2)];

/// What is done to a machine with one volume that goes back to its snapshot after its patches.
pub const REPLACED: [(&str, usize); 3] =
    [("ec2:CreateSnapshots", 1), ("ec2:CreateReplaceRootVolumeTask", 1), ("ssm:SendCommand", 2)];

/// The same for a machine whose installation went wrong, so that nobody scans it.
pub const INSTALLED_AND_REPLACED: [(&str, usize); 3] =
    [("ec2:CreateSnapshots", 1), ("ec2:CreateReplaceRootVolumeTask", 1), ("ssm:SendCommand", 1)];

/// The same for a machine whose installation was cancelled as well.
pub const CANCELLED_AND_REPLACED: [(&str, usize); 4] = [
    ("ec2:CreateSnapshots", 1),
    ("ec2:CreateReplaceRootVolumeTask", 1),
    ("ssm:CancelCommand", 1),
    ("ssm:SendCommand", 1),
];

/// What is done to a machine whose scan is made twice, without use.
pub const SCANNED_TWICE_AND_REPLACED: [(&str, usize); 3] =
    [("ec2:CreateSnapshots", 1), ("ec2:CreateReplaceRootVolumeTask", 1), ("ssm:SendCommand", 3)];

/// What is done to a machine with two volumes that goes back to its snapshots.
pub const SWAPPED: [(&str, usize); 8] = [
    ("ec2:CreateSnapshots", 1),
    ("ec2:StopInstances", 1),
    ("ec2:DetachVolume", 2),
    ("ec2:CreateVolume", 2),
    ("ec2:AttachVolume", 2),
    ("ec2:ModifyInstanceAttribute", 1),
    ("ec2:StartInstances", 1),
    ("ssm:SendCommand", 2),
];

/// The same for a machine that was backed up and never patched.
pub const BACKED_UP: [(&str, usize); 1] = [("ec2:CreateSnapshots", 1)];

/// Sixty machines: two, six and fifty-two. One production machine may fail (2 %).
/// The waves of production are 1, 3, 13 and 52 machines.
fn fleet(faults: &str, more: &str) -> String {
    format!(
        r#"
fleet: sixty
start: 2026-11-21T16:00:00Z # a Saturday: the window of patch-linux opens at 22:00 in Berlin
groups:
  - {{ name: dev, count: 2, tags: {{ Environment: dev, "Patch Group": LinuxProd }} }}
  - {{ name: staging, count: 6, tags: {{ Environment: staging, "Patch Group": LinuxProd }}, volumes: 2 }}
  - {{ name: production, count: 40, tags: {{ Environment: production, "Patch Group": LinuxProd }} }}
  - {{ name: production-data, count: 12, tags: {{ Environment: production, "Patch Group": LinuxProd }}, volumes: 2 }}
people:
  - {{ name: alice, groups: [change-managers], gate: approve, after: 12m, answer: approve }}
  - {{ name: bob, groups: [change-managers], gate: approve, after: 25m, answer: approve }}
faults:
{faults}
{more}
"#
    )
}

/// A fleet whose machines of production are like this.
fn like_this(fleet: &str, like: &str) -> String {
    fleet.replace("name: production", &format!("{like}, name: production"))
}

/// A run that is over.
pub struct Shown {
    rollout: Rollout,
    /// The machines of each group, in the order of their names.
    groups: BTreeMap<String, Vec<String>>,
    /// The call that backs a machine up.
    backup: &'static str,
    show: Value,
    calls: Calls,
}

/// A machine of the fleet: `production/11`.
pub type Machine = (&'static str, usize);

impl Shown {
    /// The run on a fleet with these faults (items of a YAML list).
    #[track_caller]
    pub fn with(faults: &str) -> Self {
        Self::with_more(faults, "")
    }

    /// The same, with more keys of the fleet file.
    #[track_caller]
    pub fn with_more(faults: &str, more: &str) -> Self {
        let faults = if faults.is_empty() { "  []" } else { faults };
        Self::run(Rollout::shipped(RUNBOOK, &fleet(faults, more)), SNAPSHOT)
    }

    /// The same, where patches may take longer than Systems Manager waits for the end of a command.
    #[track_caller]
    pub fn with_patience(faults: &str) -> Self {
        let runbook = std::fs::read_to_string(root().join(RUNBOOK)).expect("a runbook");
        let (short, long) = ("      timeout: 2h\n", "      timeout: 8h\n");
        assert!(runbook.contains(short), "{runbook}");
        Self::run(Rollout::new(&runbook.replace(short, long), &fleet(faults, "")), SNAPSHOT)
    }

    /// The same, where the machines of production are like this (keys of a group).
    #[track_caller]
    pub fn with_machines(faults: &str, like: &str) -> Self {
        Self::run(Rollout::shipped(RUNBOOK, &like_this(&fleet(faults, ""), like)), SNAPSHOT)
    }

    /// What the plan says where the machines of production are like this: it is refused.
    #[track_caller]
    pub fn refused(like: &str) -> String {
        let rollout = Rollout::shipped(RUNBOOK, &like_this(&fleet("  []", ""), like));
        rollout.ask(&["plan", RUNBOOK]).exits(3).stderr
    }

    /// The same runbook where AWS Backup backs machines up, so that they come back as new ones.
    #[track_caller]
    pub fn with_aws_backup(faults: &str, more: &str) -> Self {
        let runbook = std::fs::read_to_string(root().join(RUNBOOK)).expect("a runbook");
        let snapshot = "      uses: aws/snapshot\n      with: { keep: 14d }\n";
        assert!(runbook.contains(snapshot), "{runbook}");
        let role = "arn:aws:iam::000000000000:role/backup";
        let backup = format!("      uses: aws/backup\n      with: {{ keep: 14d, role: '{role}' }}\n");
        let faults = if faults.is_empty() { "  []" } else { faults };
        let rollout = Rollout::new(&runbook.replace(snapshot, &backup), &fleet(faults, more));
        Self::run(rollout, "backup:StartBackupJob")
    }

    #[track_caller]
    fn run(rollout: Rollout, backup: &'static str) -> Self {
        // Before: machines may go away.
        let groups = rollout.groups();
        rollout.ends(rollout.begin());
        Self::of(rollout, groups, backup)
    }

    #[track_caller]
    fn of(rollout: Rollout, groups: BTreeMap<String, Vec<String>>, backup: &'static str) -> Self {
        let (show, calls) = (rollout.show(), rollout.sandbox.calls());
        let shown = Self { rollout, groups, backup, show, calls };
        assert_eq!(shown.calls.doubled(), [].into(), "{}", shown.told());
        shown
    }

    fn told(&self) -> String {
        format!("{}\n{}\n{:#?}", self.rollout.page(), self.rollout.log(), self.calls.by_operation())
    }

    fn id(&self, (group, number): (&str, usize)) -> &str {
        // The machines of production-data come after those of production.
        let (group, number) =
            if group == "production-data" { ("production", 40 + number) } else { (group, number) };
        &self.groups[group][number - 1]
    }

    /// How the run ended. Every machine but these succeeded, with nothing done to it but what must be; where the run
    /// did not succeed, it may also not have been started, and then nothing changed it.
    #[track_caller]
    pub fn ends(&self, exit: i64, status: &str, but: &[Machine]) -> &Self {
        assert_eq!(self.show["exit"], exit, "{}", self.told());
        assert_eq!(self.show["status"], status, "{}", self.told());
        let but: Vec<_> = but.iter().map(|machine| self.id(*machine)).collect();
        for (id, target) in self.show["targets"].as_object().expect("targets") {
            if but.contains(&id.as_str()) {
                continue;
            }
            if target["outcome"] == "succeeded" {
                self.was_done(id, &[(self.backup, 1), HEALTHY[1]]);
            } else if exit == 0 {
                panic!("{id}: {target}\n{}", self.told());
            } else {
                assert_eq!(target["outcome"], "not_started", "{id}: {}", self.told());
                self.was_never_changed(id);
            }
        }
        self
    }

    /// How a machine came out, part of its cause, and what was done to it.
    #[track_caller]
    pub fn machine(&self, machine: Machine, outcome: &str, cause: &str, done: &[(&str, usize)]) -> &Self {
        let id = self.id(machine);
        let target = &self.show["targets"][id];
        assert_eq!(target["outcome"], outcome, "{id}: {target}\n{}", self.told());
        let told = target["cause"].as_str().unwrap_or_default();
        assert!(told.contains(cause), "{id}: `{told}` does not say `{cause}`\n{}", self.told());
        self.was_done(id, done);
        self
    }

    /// The one cause that a person reads, and the command to type next.
    #[track_caller]
    pub fn says(&self, cause: &str, next: &str) -> &Self {
        assert_eq!(self.show["cause"].as_str().unwrap_or_default(), self.named(cause), "{}", self.told());
        let page = self.rollout.page();
        assert!(page.contains(&format!("next\n  {next} ")), "nobody says `{next}`:\n{page}");
        self
    }

    /// With ids for `<production/11>`.
    fn named(&self, text: &str) -> String {
        let mut named = String::new();
        for (number, part) in text.split(['<', '>']).enumerate() {
            match part.split_once('/').filter(|_| number % 2 == 1) {
                Some((group, place)) => named += self.id((group, place.parse().expect("a number"))),
                None => named += part,
            }
        }
        named
    }

    /// It waits for a person, with this cause; the process has ended with 12.
    #[track_caller]
    pub fn pauses(self, cause: &str) -> Self {
        assert_eq!(self.show["status"], "paused", "{}", self.told());
        self.says(cause, "runbook resume");
        self
    }

    /// The person has seen to it.
    #[track_caller]
    pub fn resumed(self) -> Self {
        self.rollout.ends(self.rollout.go_on());
        Self::of(self.rollout, self.groups, self.backup)
    }

    /// No machine was changed: a snapshot is all that was made.
    #[track_caller]
    pub fn changed_nothing(&self) -> &Self {
        for id in self.show["targets"].as_object().expect("targets").keys() {
            self.was_never_changed(id);
        }
        self
    }

    /// How a machine came out.
    #[track_caller]
    pub fn outcome(&self, machine: Machine, outcome: &str) -> &Self {
        let target = &self.show["targets"][self.id(machine)];
        assert_eq!(target["outcome"], outcome, "{target}\n{}", self.told());
        self
    }

    /// How many machines came out so.
    #[track_caller]
    pub fn count(&self, outcome: &str, count: usize) -> &Self {
        let targets = self.show["targets"].as_object().expect("targets");
        let found = targets.values().filter(|target| target["outcome"] == outcome).count();
        assert_eq!(found, count, "{outcome}\n{}", self.told());
        self
    }

    /// Exactly these effects.
    #[track_caller]
    fn was_done(&self, id: &str, done: &[(&str, usize)]) {
        let effects = self.calls.by_machine();
        let of_it = effects.iter().filter(|((_, machine), _)| machine == id);
        let found: BTreeMap<&str, usize> =
            of_it.map(|((operation, _), count)| (operation.as_str(), *count)).collect();
        let done: BTreeMap<&str, usize> = done.iter().copied().collect();
        assert_eq!(found, done, "{id}: {}\n{}", self.show["targets"][id], self.told());
    }

    /// Backed up at most.
    #[track_caller]
    fn was_never_changed(&self, id: &str) {
        let effects = self.calls.by_machine();
        let changed = effects.keys().any(|(operation, machine)| machine == id && operation != self.backup);
        assert!(!changed, "{id}: {effects:?}\n{}", self.told());
    }

    /// Runs a command that does not wait.
    pub fn ask(&self, arguments: &[&str]) -> Done {
        self.rollout.ask(arguments)
    }

    /// The whole page of the run says this.
    #[track_caller]
    pub fn tells(&self, text: &str) -> &Self {
        assert!(self.told().contains(text), "nobody says `{text}`:\n{}", self.told());
        self
    }

    /// The artifacts of a machine of one kind, as the ledger has them.
    #[track_caller]
    pub fn artifacts(&self, machine: Machine, kind: &str) -> Vec<Value> {
        let list = self.ask(&["artifacts", "list", "--all", "--json"]).exits(0).json();
        let all = list["artifacts"].as_array().expect("artifacts").iter();
        all.filter(|one| one["target"] == self.id(machine) && one["kind"] == kind).cloned().collect()
    }

    /// A person has seen to the machines that a stuck run left.
    #[track_caller]
    pub fn seen_to(&self, machine: Machine) -> &Self {
        let run = self.show["run"].as_str().expect("a run");
        self.ask(&["resolve", run, "--target", self.id(machine), "--note", "seen to"]).exits(0);
        self
    }

    /// `rollback` of one machine: how that run ends.
    #[track_caller]
    pub fn rolled_back(self, machine: Machine) -> Self {
        let run = self.show["run"].as_str().expect("a run");
        let child = self.rollout.start(&["rollback", run, "--limit", self.id(machine)]);
        self.rollout.ends(child);
        Self::of(self.rollout, self.groups, self.backup)
    }

    /// Moves time on.
    pub fn later(&self, by: &str) -> &Self {
        self.rollout.sandbox.advance(by);
        self
    }

    /// What a task gave for a machine.
    #[track_caller]
    pub fn output(&self, task: &str, machine: Machine, name: &str) -> &Value {
        let mut tasks = self.show["tasks"].as_array().expect("tasks").iter();
        let task = tasks.find(|one| one["task"] == task).unwrap_or_else(|| panic!("no task {task}"));
        &task["outputs"][self.id(machine)][name]
    }

    /// The volumes that a machine holds, as EC2 describes them, in XML.
    #[track_caller]
    pub fn volumes(&self, machine: Machine) -> String {
        let filter = format!("Filter.1.Name=attachment.instance-id&Filter.1.Value.1={}", self.id(machine));
        self.rollout.sandbox.ec2(&format!("Action=DescribeVolumes&{filter}"))
    }
}
