//! The oracle hears journals in which exactly one law is broken: those of real runs, with one thing changed by hand.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{ScopeName, TargetId, TaskName},
    laws::{Law, Oracle},
    outcome::{ErrorClass, Outcome, TargetOutcome},
    plan::Plan,
    run::event::{Event, Report, RunEnd},
};

use crate::{
    drive::{Drive, Reply},
    planned::{flagship, plan},
};

/// A journal, and what is told of the machines at its end.
struct Told {
    plan: Plan,
    journal: Vec<(Timestamp, Event)>,
    outcomes: BTreeMap<TargetId, TargetOutcome>,
}

impl Told {
    /// The run of this plan, in which these tasks fail on these machines. It keeps the laws.
    fn of(plan: Plan, fails: &'static [(&'static str, &'static str)]) -> Self {
        let drive = Drive::new(plan).script(move |task, target, _| {
            let on = |(name, id): &(&str, &str)| {
                task.name.as_str() == *name && target.is_some_and(|target| target.as_str() == *id)
            };
            if fails.iter().any(on) { Reply::failed(30, "it broke") } else { Reply::ok(60) }
        });
        let told = Self::finished(drive);
        told.breaks(&[]);
        told
    }

    /// The same of a run that somebody led so far.
    fn finished(mut drive: Drive) -> Self {
        drive.finish();
        let outcomes = drive.run.targets().into_iter().map(|view| (view.id.clone(), view.outcome)).collect();
        Self { plan: Plan::clone(drive.run.plan()), journal: drive.journal, outcomes }
    }

    /// Without the entries of which this holds.
    fn without(mut self, unwanted: impl Fn(&Event) -> bool) -> Self {
        let before = self.journal.len();
        self.journal.retain(|(_, event)| !unwanted(event));
        assert!(self.journal.len() < before, "nothing was taken out");
        self
    }

    /// With the entries changed.
    fn with(mut self, mut change: impl FnMut(&mut Timestamp, &mut Event)) -> Self {
        let before = self.journal.clone();
        self.journal.iter_mut().for_each(|(at, event)| change(at, event));
        assert!(self.journal != before, "nothing was changed");
        self
    }

    /// With this said of a machine at the end.
    fn told(mut self, machine: &str, outcome: TargetOutcome) -> Self {
        self.outcomes.insert(TargetId::new(machine), outcome);
        self
    }

    /// With this said of how the run ended.
    fn ended(self, end: RunEnd) -> Self {
        self.with(|_, event| {
            if let Event::RunFinished { status } = event {
                *status = end;
            }
        })
    }

    #[track_caller]
    fn breaks(&self, laws: &[Law]) {
        let mut oracle = Oracle::new(&self.plan);
        self.journal.iter().for_each(|(at, event)| oracle.hear(*at, event));
        let broken = oracle.verdict(self.outcomes.iter().map(|(id, outcome)| (id, *outcome)));
        let found: Vec<Law> = broken.iter().map(|violation| violation.law).collect();
        assert_eq!(found, laws, "{broken:#?}");
    }
}

fn four(rollout: &str) -> Plan {
    let stage =
        format!("  production: {{ run: patch-and-verify, targets: production, rollout: {{ {rollout} }} }}\n");
    plan(&flagship(&stage), &[("production", 4)])
}

/// The task that an entry is about.
fn about(event: &Event) -> Option<&str> {
    match event {
        Event::TaskStarted { task, .. }
        | Event::IntentRecorded { task, .. }
        | Event::TargetsReported { task, .. }
        | Event::OutputsRecorded { task, .. }
        | Event::TargetsFailed { task, .. }
        | Event::TaskSucceeded { task }
        | Event::TaskFailed { task, .. }
        | Event::TaskSkipped { task, .. } => Some(task.as_str()),
        _ => None,
    }
}

/// An entry without a machine.
fn take_out(event: &mut Event, name: &str, machine: &str) {
    if about(event) == Some(name)
        && let Event::TaskStarted { targets, .. } | Event::TargetsReported { targets, .. } = event
    {
        targets.retain(|target| target.as_str() != machine);
    }
}

const WAVE: &str = "production/wave-1";
const RESTORE: &str = "production/wave-1/restore";
const PATCH_FAILS: &[(&str, &str)] =
    &[("production/wave-1/patch", "production-002"), ("production/wave-1/healthy", "production-003")];

#[test]
fn nobody_who_failed_is_forgotten_by_a_restore() {
    let told =
        || Told::of(four("max_failures: 2"), PATCH_FAILS).told("production-003", TargetOutcome::Failed);
    let without_one = |_: &mut Timestamp, event: &mut Event| take_out(event, RESTORE, "production-003");
    told().with(without_one).breaks(&[Law::TheFailedGoBack]);
    let both = told().told("production-002", TargetOutcome::Failed);
    // It was left out, as if nobody needed it; or never decided on at all.
    let skipped = |_: &mut Timestamp, event: &mut Event| {
        if about(event) == Some(RESTORE) && matches!(event, Event::TaskStarted { .. }) {
            let task = TaskName::new(RESTORE);
            *event = Event::TaskSkipped { task, cause: "nobody needs it".into(), satisfies: true };
        }
    };
    let of_restore = |event: &Event| about(event).is_some_and(|task| task.starts_with(RESTORE));
    let rest = |event: &Event| of_restore(event) && !matches!(event, Event::TaskSkipped { .. });
    both.with(skipped).without(rest).breaks(&[Law::TheFailedGoBack, Law::TheFailedGoBack]);
    let both = told().told("production-002", TargetOutcome::Failed);
    both.without(of_restore).breaks(&[Law::TheFailedGoBack, Law::TheFailedGoBack]);
}

#[test]
fn nobody_is_forgotten_by_the_branch_of_a_composite() {
    let stages = "  production: { run: patch-and-verify, targets: production, on_failure: [undo] }
  undo: { uses: aws/restore, targets: { failed_in: [production] }, with: { from: production/backup } }
";
    let text =
        flagship(stages).replace(", on_failure: [restore]", "").replace("      on_failure: [restore]\n", "");
    let text = text.lines().filter(|line| !line.starts_with("    restore:")).collect::<Vec<_>>().join("\n");
    let text = text.replace("      uses: aws/restore\n      targets: { failed_in: [patch, compliant, healthy] }\n      with: { from: backup }\n", "");
    let told =
        Told::of(plan(&text, &[("production", 3)]), &[("production/wave-1/healthy", "production-002")]);
    assert_eq!(told.outcomes[&TargetId::new("production-002")], TargetOutcome::Restored);
    told.without(|event| about(event).is_some_and(|task| task.starts_with("undo")))
        .told("production-002", TargetOutcome::Failed)
        // Nor does a run end as restored that restored nothing.
        .breaks(&[Law::TheFailedGoBack, Law::OutcomesAreTrue]);
}

#[test]
fn nobody_who_is_well_is_brought_back() {
    let told = Told::of(four("max_failures: 2"), PATCH_FAILS);
    told.with(|_, event| match event {
        Event::TaskStarted { task, targets, .. } if task.as_str() == RESTORE => {
            targets.push(TargetId::new("production-001"));
        }
        _ => {}
    })
    .without(|event| matches!(event, Event::RunFinished { .. }))
    .with(|_, event| {
        if let Event::OutcomeDecided { status, .. } = event {
            *event = Event::RunFinished { status: *status };
        }
    })
    // What became of it there nobody told.
    .breaks(&[Law::TheFailedGoBack]);
}

#[test]
fn who_is_told_to_be_well_failed_nowhere_and_was_changed() {
    let stages = "  production: { run: patch-and-verify, targets: production }
  look: { needs: [production], uses: check/http, targets: production }
";
    let check = "look/wave-1";
    let told = || Told::of(plan(&flagship(stages), &[("production", 4)]), &[]);
    let sick = Report::failed(Outcome::Failed, ErrorClass::Failed, "503");
    told()
        .with(|_, event| match event {
            Event::TargetsReported { task, targets, report, .. }
                if task.as_str() == check && targets[0].as_str() == "production-002" =>
            {
                *report = sick.clone();
            }
            _ => {}
        })
        .breaks(&[Law::OutcomesAreTrue]);
    let skipped = |_: &mut Timestamp, event: &mut Event| {
        take_out(event, "production/wave-1/patch", "production-002");
    };
    told().with(skipped).breaks(&[Law::OutcomesAreTrue]);
    told().told("production-002", TargetOutcome::NotStarted).breaks(&[Law::OutcomesAreTrue]);
    told().told("production-002", TargetOutcome::InProgress).breaks(&[Law::OutcomesAreTrue]);
}

#[test]
fn every_check_verifies_what_was_restored() {
    let told = || Told::of(four("max_failures: 2"), PATCH_FAILS);
    for check in ["compliant", "healthy"] {
        let verify = format!("{RESTORE}/verify/{check}");
        told().with(|_, event| take_out(event, &verify, "production-003")).breaks(&[Law::RestoredIsVerified]);
        let sick = Report::failed(Outcome::Failed, ErrorClass::Failed, "503");
        told()
            .with(|_, event| match event {
                Event::TargetsReported { task, targets, report, .. }
                    if task.as_str() == verify && targets[0].as_str() == "production-003" =>
                {
                    *report = sick.clone();
                }
                _ => {}
            })
            .breaks(&[Law::RestoredIsVerified]);
    }
}

const RESTORE_FAILS: &[(&str, &str)] =
    &[("production/wave-1/patch", "production-002"), (RESTORE, "production-002")];

#[test]
fn a_run_ends_as_its_machines_did() {
    let well = || Told::of(four("max_failures: 2"), &[]);
    for end in [RunEnd::Stuck, RunEnd::Cancelled, RunEnd::Restored, RunEnd::Failed] {
        well().ended(end).breaks(&[Law::OutcomesAreTrue]);
    }
    let over = || Told::of(four("max_failures: 1"), PATCH_FAILS);
    over().ended(RunEnd::Succeeded).breaks(&[Law::OutcomesAreTrue]);
    let stuck = || Told::of(four("max_failures: 2"), RESTORE_FAILS);
    for end in [RunEnd::Succeeded, RunEnd::Failed, RunEnd::Restored] {
        stuck().ended(end).breaks(&[Law::OutcomesAreTrue]);
    }
    let unknown = Report::failed(Outcome::Unknown, ErrorClass::Failed, "the answer was lost");
    well()
        .with(|_, event| match event {
            Event::TargetsReported { task, targets, report, .. }
                if task.as_str() == "production/wave-1/backup" && targets[0].as_str() == "production-002" =>
            {
                *report = unknown.clone();
            }
            _ => {}
        })
        // Nor was it backed up for certain, nor did it come well through everything.
        .breaks(&[Law::BackedUp, Law::OutcomesAreTrue, Law::OutcomesAreTrue]);
    let gate = plan(&flagship(WINDOW), &[("production", 4)]);
    let cause = || "it never opened".to_owned();
    Told::of(gate, &[])
        .with(|_, event| match event {
            Event::TaskSucceeded { task } if task.as_str() == "window" => {
                *event = Event::TaskFailed { task: task.clone(), cause: cause(), class: None };
            }
            _ => {}
        })
        .breaks(&[Law::WindowsAreKept, Law::WindowsAreKept, Law::OutcomesAreTrue]);
}

#[test]
fn nobody_is_told_to_have_failed_who_did_not() {
    use TargetOutcome::{Failed, RestoreFailed, TimedOut, Unknown, Unreachable};
    let well = || Told::of(four("max_failures: 2"), &[]);
    for outcome in [Failed, Unreachable, TimedOut] {
        well().told("production-002", outcome).breaks(&[Law::OutcomesAreTrue]);
    }
    // These two would need a person, too.
    for outcome in [Unknown, RestoreFailed] {
        well().told("production-002", outcome).breaks(&[Law::OutcomesAreTrue; 2]);
    }
    // It failed, was brought back and is well again; or it failed otherwise.
    let restored = || Told::of(four("max_failures: 2"), PATCH_FAILS);
    restored().told("production-002", Failed).breaks(&[Law::OutcomesAreTrue]);
    restored().told("production-002", Unreachable).breaks(&[Law::OutcomesAreTrue]);
    // The same where another one needs a person.
    let stuck = || Told::of(four("max_failures: 2"), RESTORE_FAILS);
    for outcome in [Failed, TimedOut, Unknown] {
        stuck().told("production-003", outcome).breaks(&[Law::OutcomesAreTrue]);
        // Then nobody would need one.
        stuck().told("production-002", outcome).breaks(&[Law::OutcomesAreTrue; 2]);
    }
    stuck().told("production-003", RestoreFailed).breaks(&[Law::OutcomesAreTrue]);
}

const WINDOW: &str = "  window:
    uses: gate/window
    with: { cron: \"0 22 * * SAT\", duration: 6h, timezone: Europe/Berlin, cutoff: 2h }
  production:
    needs: [window]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 100%], window: window }
";

#[test]
fn waves_begin_when_their_window_let_them_and_while_it_is_open() {
    let told = || Told::of(plan(&flagship(WINDOW), &[("production", 4)]), &[]);
    let asked =
        |event: &Event, name: &str| matches!(event, Event::TaskSucceeded { task } if task.as_str() == name);
    told().without(|event| asked(event, "production/wave-2/window")).breaks(&[Law::WindowsAreKept]);
    let second = ScopeName::from("production/wave-2");
    told()
        .with(|at, event| {
            if matches!(event, Event::WaveStarted { scope } if *scope == second) {
                *at += SignedDuration::from_hours(12);
            }
        })
        .breaks(&[Law::WindowsAreKept]);
    // None of its four steps begins before it.
    told()
        .without(|event| matches!(event, Event::WaveStarted { scope } if *scope == second))
        .breaks(&[Law::WindowsAreKept; 4]);
    // The first step of either wave stands behind the gate, too.
    told().without(|event| asked(event, "window")).breaks(&[Law::WindowsAreKept; 2]);
}

#[test]
fn nothing_begins_before_the_gate_in_front_of_it() {
    let stages =
        "  approve: { uses: gate/approval, with: { approvers: [alice, bob], quorum: 2, expires: 1h } }
  wait: { needs: [approve], uses: gate/wait, with: { for: 1h } }
  production: { needs: [wait], run: patch-and-verify, targets: production }
";
    let told = || {
        let mut drive = Drive::new(plan(&flagship(stages), &[("production", 2)]));
        drive.until(|drive| drive.status("approve") == "waiting");
        for by in ["alice", "bob"] {
            let (task, by) = ("approve".into(), by.to_owned());
            assert!(drive.record(Event::ApprovalGiven { task, role: by.clone(), by, note: None }));
        }
        let told = Told::finished(drive);
        told.breaks(&[]);
        told
    };
    let by_bob = |event: &Event| matches!(event, Event::ApprovalGiven { by, .. } if by == "bob");
    told().without(by_bob).breaks(&[Law::WindowsAreKept]);
    let let_it =
        |event: &Event, name: &str| matches!(event, Event::TaskSucceeded { task } if task.as_str() == name);
    told().without(|event| let_it(event, "approve")).breaks(&[Law::WindowsAreKept]);
    told().without(|event| let_it(event, "wait")).breaks(&[Law::WindowsAreKept]);
    told()
        .with(|at, event| {
            if let_it(event, "wait") {
                *at -= SignedDuration::from_mins(1);
            }
        })
        .breaks(&[Law::WindowsAreKept]);
}

/// What the engine says of its count is not believed.
#[test]
fn budgets_are_counted_from_what_is_told_of_machines() {
    let told = || Told::of(four("waves: [3, 100%], max_failures: 1"), PATCH_FAILS);
    let said = |event: &Event| matches!(event, Event::BudgetExceeded { .. });
    told().without(said).breaks(&[Law::Budget]);
    let mut begun = told();
    let over = begun.journal.iter().position(|(_, event)| said(event)).expect("over its budget");
    let at = begun.journal[over].0;
    let (scope, task) = (ScopeName::from("production/wave-2"), TaskName::new("production/wave-2/patch"));
    let wave = Event::WaveStarted { scope };
    begun.journal.insert(over, (at, wave));
    begun.breaks(&[Law::NothingAfterTheBudget]);
    let targets = vec![TargetId::new("production-004")];
    let started = Event::TaskStarted { task, attempt: 1, targets, refused: BTreeMap::new() };
    begun.journal[over].1 = started;
    begun.breaks(&[Law::BackedUp, Law::NothingAfterTheBudget, Law::OutcomesAreTrue]);
    let mut well = Told::of(four("max_failures: 1"), &[]);
    let scope = ScopeName::from("production");
    well.journal.insert(2, (at, Event::BudgetExceeded { scope, failures: 2, limit: 1 }));
    well.breaks(&[Law::Budget]);
    assert!(well.plan.scopes.iter().any(|scope| scope.name.as_str() == WAVE));
}

/// What was broken before a run was left paused is told all the same.
#[test]
fn a_run_that_did_not_end_has_broken_what_it_broke() {
    let told = Told::of(four("max_failures: 2"), PATCH_FAILS);
    let told = told.with(|_, event| take_out(event, RESTORE, "production-003"));
    let mut oracle = Oracle::new(&told.plan);
    let open = told.journal.iter().filter(|(_, event)| !matches!(event, Event::RunFinished { .. }));
    open.for_each(|(at, event)| oracle.hear(*at, event));
    let laws: Vec<Law> = oracle.noted().iter().map(|violation| violation.law).collect();
    assert_eq!(laws, [Law::TheFailedGoBack]);
}
