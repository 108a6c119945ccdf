//! A run for a person: how it stands and why, its stages and waves, the machines that failed, what to do next.

use std::fmt::Write as _;

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::TargetOutcome,
    plan::{Gate, LinkKind, Work},
    run::{Run, TargetView, WaitKind, WaitingOn},
};

use serde_json::Value;

use super::{
    columns::columns,
    estimate, lost,
    paint::Paint,
    patchset, run_status,
    stages::{Stage, Stages},
    waits,
    words::{between, count, link, machine, moment},
};

/// How many machines are listed one by one; `--json` has all of them.
const MOST_MACHINES: usize = 40;

/// The page. `live`: a process holds the run now.
pub fn page(run: &Run, live: bool, now: Timestamp, paint: Paint) -> String {
    let page = Page { run, live, now, paint };
    let mut text = page.heading();
    text.push_str(&page.stages());
    text.push_str(&page.waiting());
    text.push_str(&page.by_hand());
    text.push_str(&page.machines());
    text.push_str(&lost::page(run, paint));
    text.push_str(&page.warnings());
    text.push_str(&page.next());
    text
}

struct Page<'a> {
    run: &'a Run,
    live: bool,
    now: Timestamp,
    paint: Paint,
}

impl Page<'_> {
    fn status(&self) -> &'static str {
        run_status::word(self.run, self.live)
    }

    fn id(&self) -> String {
        self.run.id().map(ToString::to_string).unwrap_or_default()
    }

    /// What went wrong without changing the end: `finally`, notifications.
    fn warnings(&self) -> String {
        let warnings = self.run.warnings();
        if warnings.is_empty() {
            return String::new();
        }
        let lines: Vec<_> = warnings.iter().map(|warning| format!("  {warning}\n")).collect();
        format!("\n{}\n{}", self.paint.bold("warnings"), lines.concat())
    }

    fn heading(&self) -> String {
        let plan = self.run.plan();
        let mut text = format!("{}  run {}  ", self.paint.bold(&plan.runbook), self.paint.bold(&self.id()));
        text.push_str(&self.paint.status(self.status()));
        if let Some(exit) = self.run.status().exit_code() {
            let _ = write!(text, " (exit {exit})");
        }
        text.push('\n');
        if let Some(cause) = self.run.cause() {
            let _ = writeln!(text, "  cause: {cause}");
        }
        if let Some(started) = self.run.started_at() {
            let _ = write!(text, "  started {}", moment(started));
            match self.run.finished_at() {
                Some(finished) => {
                    let _ = writeln!(text, ", took {}", between(started, finished));
                }
                None => {
                    let end = estimate::words(&estimate::end(self.run, self.now));
                    let _ = writeln!(text, ", {} so far, end {end}", between(started, self.now));
                }
            }
        }
        if let Some(of) = &plan.link {
            let _ = writeln!(text, "  {} of run {}", link(of.kind), of.run);
        }
        let _ = writeln!(
            text,
            "  plan {}, {}, {}",
            self.paint.dim(&plan.digest()),
            count(plan.tasks.len(), "task"),
            count(plan.targets.len(), "machine")
        );
        text.push_str(&patchset::of_run(self.run));
        text
    }

    fn stages(&self) -> String {
        let stages = Stages::of(self.run.plan());
        let mut rows = Vec::new();
        for stage in stages.read(self.run) {
            rows.push(self.stage_row(&stage));
            if stage.waves > 1 {
                for (at, counts) in stage.by_wave.iter().enumerate() {
                    rows.push(vec![format!("  wave {}", at + 1), String::new(), self.counts(counts)]);
                }
            }
        }
        format!("\n{}", columns(&rows, "  "))
    }

    fn stage_row(&self, stage: &Stage<'_>) -> Vec<String> {
        let mut what = self.counts(&stage.counts);
        if what.is_empty() && stage.machines > 0 {
            what = count(stage.machines, "machine");
        }
        if !stage.running.is_empty() {
            let _ = write!(what, "; {}", stage.running.join(", "));
        }
        vec![self.paint.bold(stage.name), self.paint.status(stage.status), what]
    }

    fn counts(&self, counts: &[(&'static str, usize)]) -> String {
        let words: Vec<String> = counts
            .iter()
            .map(|(outcome, n)| {
                let word = outcome.replace('_', " ");
                let painted = self.paint.status(outcome).replace(outcome, &word);
                format!("{n} {painted}")
            })
            .collect();
        words.join(", ")
    }

    fn waiting(&self) -> String {
        let waits = self.run.waiting_on();
        if waits.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<String>> = waits
            .iter()
            .map(|wait| {
                let (on, until) = waits::words(self.run, wait, self.now);
                vec![self.paint.yellow(wait.task.as_str()), on, until]
            })
            .collect();
        format!("\nwaiting for\n{}", columns(&rows, "  "))
    }

    /// What people did by hand, and the evidence that they gave.
    fn by_hand(&self) -> String {
        let done = self.run.tasks().filter(|task| task.task.action.as_str() == "gate/manual");
        let rows: Vec<Vec<String>> = done
            .filter_map(|task| {
                let said = task.outputs.values().next()?;
                let by = said.get("by")?.as_str()?.to_owned();
                let evidence = said.get("evidence").and_then(Value::as_str).unwrap_or_default().to_owned();
                Some(vec![task.task.name.to_string(), by, evidence])
            })
            .collect();
        if rows.is_empty() { String::new() } else { format!("\ndone by hand\n{}", columns(&rows, "  ")) }
    }

    /// Every machine that did not simply succeed, worst first.
    fn machines(&self) -> String {
        let mut machines: Vec<TargetView<'_>> =
            self.run.targets().into_iter().filter(|each| self.rank(each.outcome).is_some()).collect();
        machines.sort_by_key(|each| self.rank(each.outcome));
        if machines.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<String>> = machines
            .iter()
            .take(MOST_MACHINES)
            .map(|each| {
                vec![
                    machine(self.run.plan(), each.id),
                    self.paint.status(each.outcome.as_str()),
                    each.cause.as_deref().unwrap_or_default().to_owned()
                        + &self.moved(each.id)
                        + &self.different(each.id),
                ]
            })
            .collect();
        let mut text = format!("\nmachines that need a look\n{}", columns(&rows, "  "));
        if machines.len() > MOST_MACHINES {
            let _ = writeln!(
                text,
                "  and {} more (runbook show {} --json)",
                machines.len() - MOST_MACHINES,
                self.id()
            );
        }
        text
    }

    /// Where a machine is now that came back as a new one.
    fn moved(&self, id: &TargetId) -> String {
        let Some(new) = self.run.replaced_by(id) else { return String::new() };
        let address = new.private_ip.as_ref().map(|ip| format!(" ({ip})")).unwrap_or_default();
        format!("; it is {}{address} now, and the old instance is left as it is", new.instance)
    }

    /// What its restore could not bring back as it was.
    fn different(&self, id: &TargetId) -> String {
        let told = self.run.tasks().filter_map(|task| task.outputs.get(id)?.get("differences")?.as_array());
        let told: Vec<_> = told.flatten().filter_map(Value::as_str).collect();
        if told.is_empty() { String::new() } else { format!("; not as it was: {}", told.join(", ")) }
    }

    fn next(&self) -> String {
        let commands = self.commands();
        if commands.is_empty() {
            return String::new();
        }
        let mut text = String::from("\nnext\n");
        for command in commands {
            let _ = writeln!(text, "  {command}");
        }
        text
    }

    /// What to type next.
    fn commands(&self) -> Vec<String> {
        let id = self.id();
        let mut commands = Vec::new();
        for wait in self.run.waiting_on() {
            commands.extend(self.answer(&wait));
        }
        match self.status() {
            "running" => commands.push(format!("runbook events {id} --follow")),
            "waiting" if self.live => {}
            "waiting" | "interrupted" => commands.push(format!("runbook resume {id}")),
            "paused" if self.live => commands.push(format!("runbook unpause {id}")),
            "paused" => commands.push(format!("runbook resume {id}")),
            "failed" | "restored" => commands.push(format!("runbook retry {id}")),
            "stuck" => {
                let left = self.run.targets().into_iter().filter(|each| {
                    matches!(each.outcome, TargetOutcome::RestoreFailed | TargetOutcome::Unknown)
                });
                commands.push(format!("runbook rollback {id}"));
                commands
                    .extend(left.take(3).map(|each| format!("runbook resolve {id} --target {}", each.id)));
            }
            _ => {}
        }
        commands
    }

    /// How to answer what is waited for, where a person can.
    fn answer(&self, wait: &WaitingOn) -> Option<String> {
        let id = self.id();
        let task = &wait.task;
        match wait.kind {
            WaitKind::Approval => Some(format!("runbook approve {id} --task {task}")),
            WaitKind::Manual => {
                let evidence = self.run.plan().tasks.iter().any(|each| {
                    each.name == *task
                        && matches!(&each.work, Work::Gate(Gate::Manual { evidence: Some(_), .. }))
                });
                Some(format!(
                    "runbook approve {id} --task {task}{}",
                    if evidence { " --note TEXT" } else { "" }
                ))
            }
            WaitKind::Operator => {
                Some(format!("runbook resolve {id} --task {task} --applied (or --not-applied)"))
            }
            _ => None,
        }
    }

    /// How much a machine needs a look; `None`: not at all.
    fn rank(&self, outcome: TargetOutcome) -> Option<u8> {
        let rollback = self.run.plan().link.as_ref().is_some_and(|link| link.kind == LinkKind::Rollback);
        match outcome {
            TargetOutcome::RestoreFailed => Some(0),
            TargetOutcome::Unknown => Some(1),
            TargetOutcome::Failed => Some(2),
            TargetOutcome::TimedOut => Some(3),
            TargetOutcome::Unreachable => Some(4),
            // What a rollback is for.
            TargetOutcome::Restored => (!rollback).then_some(5),
            _ => None,
        }
    }
}
