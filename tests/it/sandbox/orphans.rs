//! A hundred runs that are killed for good with SIGKILL, each at a random AWS call, before or after its effect: what
//! they leave is found, exactly that, and exactly that is deleted.
//!
//! Every run has machines of its own. After the kill its state folder is lost, or it stays as it is and may go on at any
//! time, or it is given up (`cancel --leave`). What lies there is what boto3 finds, and whose it is follows from what it
//! was made of, so that what we forgot to tag, or to write down, is missed.
//!
//! `RUNBOOK_SEED` chooses other moments; the seed is printed.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use super::{
    holdings::Holdings,
    rollout::kill,
    server::{Sandbox, When},
};
use crate::program::{Done, Place};

/// Chooses other moments.
const SEED: &str = "RUNBOOK_SEED";

/// So many runs of each kind are killed; there are five kinds.
const KILLED: usize = 20;

/// Of so many kills one is at any call at all; the others are at calls that write, of which there are few.
const ANYWHERE: u64 = 3;

/// How long a run may take in real time.
const PATIENCE: Duration = Duration::from_secs(120);

/// SplitMix64: numbers that look random and are the same for the same seed.
struct Dice(Cell<u64>);

impl Dice {
    /// For one kind of run.
    fn new(kind: &str) -> Self {
        let seed: u64 = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
        eprintln!("{SEED}={seed}");
        let of_kind = kind.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Self(Cell::new(of_kind))
    }

    /// Below `end`.
    fn below(&self, end: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mixed = (self.0.get() ^ (self.0.get() >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<T: Copy>(&self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Never killed: it ended.
    Finished,
    /// Killed, and its state folder is gone.
    Lost,
    /// Killed, and it may go on: it needs everything.
    HalfDone,
    /// Killed, and then given up by a person.
    GivenUp,
}

/// One kind of run.
struct Kind {
    name: &'static str,
    /// `aws/snapshot`, and what it wants.
    backup: &'static str,
    /// Nothing: nothing is restored.
    strategy: Option<&'static str>,
    volumes: u32,
}

const SNAPSHOT: &str = "uses: aws/snapshot, with: { keep: 14d }";
const BACKUP: &str = "uses: aws/backup, with: { keep: 14d, role: 'arn:aws:iam::123456789012:role/backup' }";

#[test]
fn runs_with_snapshots() {
    Kind { name: "snapshots", backup: SNAPSHOT, strategy: None, volumes: 2 }.leaves_nothing();
}

#[test]
fn runs_with_aws_backup() {
    Kind { name: "aws-backup", backup: BACKUP, strategy: None, volumes: 2 }.leaves_nothing();
}

#[test]
fn runs_that_swap_volumes() {
    Kind { name: "swap", backup: SNAPSHOT, strategy: Some("swap-volumes"), volumes: 2 }.leaves_nothing();
}

#[test]
fn runs_that_replace_root_volumes() {
    Kind { name: "replace-root", backup: SNAPSHOT, strategy: Some("replace-root-volume"), volumes: 1 }
        .leaves_nothing();
}

#[test]
fn runs_that_restore_new_instances() {
    Kind { name: "backup-restore", backup: BACKUP, strategy: Some("backup-restore"), volumes: 2 }
        .leaves_nothing();
}

impl Kind {
    /// Machines are backed up and patched; where the kind restores, they are sick then, and go back.
    fn runbook(&self) -> String {
        let strategy = self.strategy.unwrap_or("auto");
        format!(
            r#"
runbook: killed
params:
  seat: {{ type: string }}
targets:
  all: {{ aws: {{ tags: {{ Seat: "{{{{ params.seat }}}}" }} }} }}
blocks:
  patched:
    backup: {{ {} }}
    patch:
      needs: [backup]
      uses: aws/patch
      with: {{ operation: Install }}
      on_failure: [restore]
    healthy:
      needs: [patch]
      uses: check/http
      with: {{ url: "http://{{{{ target.private_ip }}}}:8080/healthz", within: 2m, every: 30s }}
      on_failure: [restore]
    restore:
      uses: aws/restore
      targets: {{ failed_in: [patch, healthy] }}
      with: {{ from: backup, strategy: {strategy} }}
steps:
  all: {{ run: patched, targets: all, rollout: {{ max_failures: 2 }} }}
"#,
            self.backup
        )
    }

    /// Two machines for each run.
    fn fleet(&self) -> String {
        let group = |seat: usize| {
            format!(
                "  - {{ name: s{seat}, count: 2, tags: {{ Seat: s{seat} }}, volumes: {} }}\n",
                self.volumes
            )
        };
        let groups: String = (0..=KILLED).map(group).collect();
        let sick: Vec<_> = (0..=KILLED).map(|seat| format!("s{seat}")).collect();
        let faults = match self.strategy {
            Some(_) => format!("  - {{ kind: unhealthy_after_patch, targets: [{}] }}", sick.join(", ")),
            None => "  []".to_owned(),
        };
        format!("fleet: killed\nstart: 2026-11-21T16:00:00Z\ngroups:\n{groups}faults:\n{faults}\n")
    }

    fn leaves_nothing(&self) {
        let dice = Dice::new(self.name);
        let yard = Yard::new(&self.runbook(), &self.fleet());
        let before = Holdings::of(&yard.sandbox);
        assert_eq!(before.idle(), [].into(), "nothing lies there at first");
        // Seat 0 is not disturbed, and shows how many calls there are.
        yard.ends(yard.begin(&yard.here, 0));
        let calls = yard.sandbox.calls();
        let all: Vec<_> = (1..=calls.0.len()).collect();
        let writes: Vec<_> = all.iter().copied().filter(|call| calls.0[call - 1].writes).collect();
        let mut fates = BTreeMap::from([(0, Fate::Finished)]);
        for seat in 1..=KILLED {
            let call = if dice.below(ANYWHERE) == 0 { dice.one_of(&all) } else { dice.one_of(&writes) };
            let when = dice.one_of(&[When::Before, When::After]);
            let fate =
                [Fate::Lost, Fate::Lost, Fate::Lost, Fate::HalfDone, Fate::GivenUp][dice.below(5) as usize];
            fates.insert(seat, yard.killed(seat, call, when, fate));
        }
        // Jobs and deletions that were on their way come to their ends.
        yard.sandbox.advance("48h");

        let there = Holdings::of(&yard.sandbox);
        let idle = there.idle();
        let fate = |id: &String| {
            let seat = there.seat(&before, id);
            (seat.to_owned(), fates[&seat[1..].parse().expect("a number")])
        };
        let made = yard.ledger();
        let is_nobodys = |id: &&String| match fate(id).1 {
            Fate::Lost => true,
            Fate::HalfDone => false,
            Fate::Finished | Fate::GivenUp => !made.contains(*id),
        };
        let expected: BTreeSet<_> = idle.iter().filter(is_nobodys).cloned().collect();
        let told =
            format!("{}: {fates:?}\n{:?} of {:?}", self.name, there.kinds(&expected), there.kinds(&idle));
        eprintln!("{told}");
        assert!(expected.len() >= KILLED / 2 && expected.len() < idle.len(), "too little was left: {told}");
        let differences = |what: &str, wanted: &BTreeSet<String>, found: &BTreeSet<String>| {
            let line = |word: &str, id: &String| format!("{word} {what}: {id} of {:?}\n", fate(id));
            let missing = wanted.difference(found).map(|id| line("not", id));
            let lines: String =
                missing.chain(found.difference(wanted).map(|id| line("wrongly", id))).collect();
            assert!(lines.is_empty(), "{told}\n{lines}");
        };
        differences("listed", &expected, &yard.orphans());

        let gc = yard.ask(&["artifacts", "gc", "--orphans", "--older-than", "0s", "--json"]).exits(0).json();
        assert_eq!(gc["unasked"], serde_json::json!([]));
        let left = Holdings::of(&yard.sandbox).idle();
        let deleted: BTreeSet<_> = idle.difference(&left).cloned().collect();
        differences("deleted", &expected, &deleted);
        assert_eq!(left.difference(&idle).count(), 0, "nothing new lies there");
        assert_eq!(yard.orphans(), [].into());
    }
}

/// A sandbox, and what runs on it.
struct Yard {
    sandbox: Sandbox,
    /// The state folder that is kept.
    here: Place,
    runbook: String,
}

impl Yard {
    fn new(runbook: &str, fleet: &str) -> Self {
        let here = Place::new();
        let runbook = here.write("runbook.yaml", runbook).display().to_string();
        Self { sandbox: Sandbox::start(fleet), here, runbook }
    }

    fn command(&self, place: &Place, arguments: &[&str]) -> std::process::Command {
        let mut command = place.command(arguments);
        command.env_remove("RUNBOOK_SETTLE").env("RUNBOOK_SANDBOX", self.sandbox.url());
        command
    }

    fn ask(&self, arguments: &[&str]) -> Done {
        Done::from(self.command(&self.here, arguments).output().expect("the binary runs"))
    }

    fn spawn(&self, place: &Place, arguments: &[&str]) -> std::process::Child {
        let log = std::fs::File::options().append(true).create(true).open(self.here.path("log"));
        let log = log.expect("a log");
        let mut command = self.command(place, arguments);
        command.stdout(log.try_clone().expect("the log again")).stderr(log);
        command.spawn().expect("the binary starts")
    }

    fn begin(&self, place: &Place, seat: usize) -> std::process::Child {
        self.spawn(place, &["run", &self.runbook, "--param", &format!("seat=s{seat}")])
    }

    #[track_caller]
    fn ends(&self, mut child: std::process::Child) {
        let end = Instant::now() + PATIENCE;
        while child.try_wait().expect("it can be asked").is_none() {
            if Instant::now() > end {
                kill(child);
                panic!("it does not end: {}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.here.path("log")).unwrap_or_default()
    }

    /// The ids of the runs in the state folder that is kept.
    fn runs(&self) -> BTreeSet<String> {
        let list = self.ask(&["list", "--json"]).exits(0).lines();
        list.iter().filter_map(|row| row["run"].as_str().map(str::to_owned)).collect()
    }

    /// A run on the machines of this seat that is killed there, and what became of it.
    fn killed(&self, seat: usize, call: usize, when: When, fate: Fate) -> Fate {
        let lost = Place::new();
        let place = if fate == Fate::Lost { &lost } else { &self.here };
        let before = self.runs();
        self.sandbox.hold(call, when);
        let mut child = self.begin(place, seat);
        let held = self.sandbox.held(|| child.try_wait().expect("it can be asked").is_some());
        kill(child);
        self.sandbox.release();
        eprintln!("seat {seat}: {fate:?}, killed {when:?} call {call} ({held:?})");
        if fate == Fate::Lost {
            // The folder goes away with `lost`.
            return fate;
        }
        let after = self.runs();
        match (after.difference(&before).next(), fate) {
            // It died before anything was written: it never was.
            (None, _) => Fate::Lost,
            (Some(_), _) if held.is_none() => Fate::Finished,
            (Some(run), Fate::GivenUp) => {
                self.ask(&["cancel", run, "--leave", "--because", "the laptop died"]).exits(0);
                self.ends(self.spawn(&self.here, &["resume", run]));
                fate
            }
            (Some(_), fate) => fate,
        }
    }

    /// What the ledger of the kept state folder says is there.
    fn ledger(&self) -> BTreeSet<String> {
        let list = self.ask(&["artifacts", "list", "--json"]).exits(0).json();
        let rows = list["artifacts"].as_array().expect("a list").iter();
        let made = rows.filter(|row| row["state"] == "made");
        made.filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
    }

    /// What `artifacts orphans` lists.
    #[track_caller]
    fn orphans(&self) -> BTreeSet<String> {
        let orphans = self.ask(&["artifacts", "orphans", "--json"]).exits(0).json();
        assert_eq!(orphans["unasked"], serde_json::json!([]));
        let ids = orphans["orphans"].as_array().expect("a list").iter();
        ids.map(|orphan| orphan["id"].as_str().expect("an id").to_owned()).collect()
    }
}
