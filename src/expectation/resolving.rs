//! From what is written to what is checked: every name must mean something, and every check must be able to fail.

use runbook_engine::{
    diagnostic::{Diagnostic, Place},
    document::{
        expectation::{CallWords, Claim, MachineWord, TestCase},
        model::Spanned,
        nearest,
    },
    ids::TargetId,
    plan::{Gate, Plan, Work},
    target::Home,
};
use runbook_steps::world::{CALLS_WITHOUT_MACHINES, OPERATIONS, WRITING_CALLS, World};

use super::{
    check::{Calls, Check, Demand},
    named::{ALL, Machines, Tasks, machines, tasks},
};

/// The checks of a case, against the plan that its worlds run.
///
/// # Errors
/// Every name that means nothing, and every expectation that could not fail.
pub fn resolve(case: &TestCase, plan: &Plan, world: &World) -> Result<Vec<Check>, Vec<Diagnostic>> {
    let mut resolver = Resolver { plan, world, problems: Vec::new() };
    let mut checks = Vec::new();
    for claim in &case.claims {
        if let Some(demand) = resolver.demand(&claim.value, claim.place) {
            checks.push(Check { place: claim.place, demand });
        }
    }
    if resolver.problems.is_empty() { Ok(checks) } else { Err(resolver.problems) }
}

struct Resolver<'a> {
    plan: &'a Plan,
    world: &'a World,
    problems: Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn demand(&mut self, claim: &Claim, place: Place) -> Option<Demand> {
        Some(match claim {
            Claim::Ends(words) => Demand::Ends(words.clone()),
            Claim::NeverEnds(words) => Demand::NeverEnds(words.clone()),
            Claim::Exit(code) => Demand::Exit(*code),
            Claim::Each { on, words } => {
                let anywhere = words.contains(&MachineWord::Untouched);
                Demand::Each { on: self.machines(on, anywhere)?, words: words.clone() }
            }
            Claim::NoneIs { on, words } => {
                let all = Spanned::new(ALL.to_owned(), place);
                let on = self.machines(on.as_ref().unwrap_or(&all), false)?;
                Demand::NoneIs { on, words: words.clone() }
            }
            Claim::Count { on, word, bounds } => {
                let on = self.machines(on, *word == MachineWord::Untouched)?;
                if (0..=on.ids.len()).all(|many| bounds.hold(many, on.ids.len())) {
                    self.cannot_fail(format!("`{}` has {} machines", on.text, on.ids.len()), place);
                }
                Demand::Count { on, word: *word, bounds: *bounds }
            }
            Claim::Order { first, then, on } => {
                let (first, then) = (self.tasks(first), self.tasks(then));
                let on = match on {
                    Some(on) => Some(self.machines(on, false)?),
                    None => None,
                };
                let (first, then) = (first?, then?);
                for tasks in [&first, &then] {
                    self.concern(tasks, on.as_ref(), place);
                }
                Demand::Order { first, then, on }
            }
            Claim::Calls { which, bounds } => Demand::Calls { which: self.calls(which)?, bounds: *bounds },
            Claim::NoCall(which) => Demand::NoCall(self.calls(which)?),
            Claim::NoTask { task, on } => {
                let tasks = self.tasks(task);
                let on = match on {
                    Some(on) => Some(self.machines(on, false)?),
                    None => None,
                };
                let tasks = tasks?;
                if self.begin(&tasks, task.place) {
                    self.concern(&tasks, on.as_ref(), place);
                }
                Demand::NoTask { tasks, on }
            }
            Claim::NoTouch(on) => Demand::NoTouch(self.machines(on, true)?),
            Claim::FinishesWithin(span) => Demand::FinishesWithin(*span),
            Claim::WindowLeft(span) => {
                let is_window = |work: &Work| matches!(work, Work::Gate(Gate::Window(_)));
                if !self.plan.tasks.iter().any(|task| is_window(&task.work)) {
                    let message = "the plan has no window of which anything could be left";
                    self.problems.push(Diagnostic::error("no-window", message, place));
                }
                Demand::WindowLeft(*span)
            }
            Claim::Says(text) => Demand::Says(text.clone()),
            Claim::NeverSays(text) => Demand::NeverSays(text.clone()),
        })
    }

    /// Machines; those that are not in the plan only where nothing but whether they are touched is asked.
    fn machines(&mut self, word: &Spanned<String>, anywhere: bool) -> Option<Machines> {
        match machines(word, self.plan, self.world) {
            Err(problem) => {
                self.problems.push(problem);
                None
            }
            Ok(found) if anywhere => Some(found),
            Ok(Machines { text, ids }) => {
                let ids: Vec<TargetId> =
                    ids.into_iter().filter(|id| self.plan.targets.contains_key(id)).collect();
                if ids.is_empty() {
                    let message = format!("the plan has no machine of `{text}`");
                    let problem = Diagnostic::error("not-in-the-plan", message, word.place);
                    self.problems.push(problem.hint("such a machine can be `untouched`, and nothing else"));
                    return None;
                }
                Some(Machines { text, ids })
            }
        }
    }

    fn tasks(&mut self, word: &Spanned<String>) -> Option<Tasks> {
        match tasks(word, self.plan) {
            Ok(tasks) => Some(tasks),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Machines that these tasks are never about are a slip of the pen.
    fn concern(&mut self, tasks: &Tasks, on: Option<&Machines>, place: Place) {
        let Some(on) = on else { return };
        let every = self.plan.tasks.iter().chain(&self.plan.rollback);
        let mut of_them = every.filter(|task| tasks.names.contains(&task.name));
        let concerned = of_them.any(|task| match &task.targets {
            None => true,
            Some(targets) => on.ids.iter().any(|id| targets.contains(id)),
        });
        if !concerned {
            let message = format!("no machine of `{}` ever enters `{}`", on.text, tasks.text);
            self.problems.push(Diagnostic::error("cannot-fail", message, place));
        }
    }

    /// Tasks that the plan skips, all of them, never begin.
    fn begin(&mut self, tasks: &Tasks, place: Place) -> bool {
        let every = self.plan.tasks.iter().chain(&self.plan.rollback);
        let mut named = every.filter(|task| tasks.names.contains(&task.name));
        let Some(why) = named.clone().find_map(|task| task.skip.as_deref()) else { return true };
        if named.any(|task| task.skip.is_none()) {
            return true;
        }
        let message = format!("`{}` never begins: the plan skips it", tasks.text);
        self.problems
            .push(Diagnostic::error("cannot-fail", message, place).hint(format!("leave it out: {why}")));
        false
    }

    fn cannot_fail(&mut self, why: String, place: Place) {
        let problem = Diagnostic::error("cannot-fail", "this holds whatever comes", place);
        self.problems.push(problem.hint(why));
    }

    fn calls(&mut self, words: &CallWords) -> Option<Calls> {
        let before = self.problems.len();
        self.known(
            &words.call,
            "unknown-call",
            "no action makes a call that writes and is named",
            &WRITING_CALLS,
        );
        if let Some(operation) = &words.operation {
            self.known(operation, "unknown-operation", "no command or job does", &OPERATIONS);
            let has = matches!(words.call.value.as_str(), "ssm:SendCommand" | "ssh:start");
            let capital = operation.value.starts_with(|c: char| c.is_ascii_uppercase());
            if !has || capital != (words.call.value == "ssm:SendCommand") {
                let message = format!("`{}` never does `{}`", words.call.value, operation.value);
                let problem = Diagnostic::error("unknown-operation", message, operation.place);
                self.problems.push(problem.hint(what_calls_do()));
            }
        }
        self.somebody_hears(&words.call);
        let task = words.task.as_ref().and_then(|task| self.tasks(task));
        let on = words.on.as_ref().and_then(|on| self.machines(on, true));
        if let Some(word) = words.on.as_ref().filter(|_| CALLS_WITHOUT_MACHINES.contains(&&*words.call.value))
        {
            let message =
                format!("`{}` names no machine, so it is never one on `{}`", words.call.value, word.value);
            self.problems.push(Diagnostic::error("cannot-fail", message, word.place).hint("leave `on` out"));
        } else if let Some(task) = task.as_ref().filter(|task| self.begin(task, words.call.place)) {
            self.concern(task, on.as_ref(), words.call.place);
        }
        if self.problems.len() > before {
            return None;
        }
        Some(Calls {
            call: words.call.value.clone(),
            operation: words.operation.as_ref().map(|word| word.value.clone()),
            task,
            on,
        })
    }

    /// A call to AWS needs a machine there, one over ssh a host of our own.
    fn somebody_hears(&mut self, call: &Spanned<String>) {
        let service = call.value.split(':').next().unwrap_or_default();
        let there = match service {
            "backup" | "cloudwatch" | "ec2" | "ssm" => "in AWS",
            "ssh" => "of our own",
            _ => return,
        };
        let is_there = |home: &Home| matches!(home, Home::Aws { .. }) == (there == "in AWS");
        if !self.plan.targets.values().any(|target| is_there(&target.home)) {
            let message = format!("`{}` is never called: the plan has no machine {there}", call.value);
            self.problems.push(Diagnostic::error("cannot-fail", message, call.place));
        }
    }

    fn known(&mut self, word: &Spanned<String>, code: &'static str, what: &str, known: &[&str]) {
        if known.contains(&word.value.as_str()) {
            return;
        }
        let problem = Diagnostic::error(code, format!("{what} `{}`", word.value), word.place);
        self.problems.push(match nearest(&word.value, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("they are {}", known.join(", "))),
        });
    }
}

/// Which operations the two calls have that do different things.
fn what_calls_do() -> String {
    let is_command = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
    let (commands, jobs): (Vec<&str>, Vec<&str>) = OPERATIONS.into_iter().partition(is_command);
    let words = |all: &[&str]| all.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    format!("`ssm:SendCommand` does {}; `ssh:start` does {}", words(&commands), words(&jobs))
}
