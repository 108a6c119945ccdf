//! One execution: an attempt of a task, in this process.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt;
use jiff::Timestamp;
use runbook_engine::{
    ids::{TargetId, TaskName},
    outcome::{ErrorClass, Outcome},
    plan::{self, Task},
    run::{
        RenderError, Run,
        event::{Event, Report},
    },
};
use runbook_steps::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Memory, RecordedIntent, Settings, StopReason},
};
use serde_json::Value;
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::AbortHandle,
};

use super::{
    ledger::AttemptLedger,
    live::Live,
    message::{End, Message},
    outside::Outside,
    precaution::Precautions,
    secrets::Secrets,
    since,
};

/// An attempt that executes in this process.
pub(super) struct Execution {
    stop: watch::Sender<StopReason>,
    abort: AbortHandle,
    /// An earlier process began it, and the action has not said yet that it found its work again.
    pub to_look_up: bool,
    /// When the remote side finished, if the action of a task without targets said so.
    finished_at: Arc<OnceLock<Timestamp>>,
}

impl Execution {
    /// Tells the action to stop. A process that stops is no reason to forget that the time is over.
    pub fn stop(&self, reason: StopReason) {
        self.stop.send_if_modified(|now| {
            let changes = *now != reason;
            *now = reason;
            changes
        });
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// What every execution of a coordinator has in common.
pub(super) struct Surroundings {
    pub outside: Outside,
    pub settings: Arc<Settings>,
    /// The id of the state folder.
    pub store: Arc<str>,
    pub secrets: Arc<Secrets>,
    pub queue: UnboundedSender<Message>,
}

/// An attempt, as the core commands it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub task: TaskName,
    pub number: u32,
    pub resumed: bool,
    pub deadline: Timestamp,
}

/// Machines whose inputs cannot be had, with the reports that say so; a task without targets: its report.
pub(super) struct NoInputs(pub Vec<Event>);

/// Begins an execution.
///
/// # Errors
/// No machine has its inputs: what is to be reported instead. What only some machines lack goes to `facts`.
pub(super) fn begin(
    live: &mut Live,
    attempt: &Attempt,
    action: Arc<dyn Action>,
    around: &Surroundings,
    facts: &mut Vec<Event>,
) -> Result<Execution, NoInputs> {
    let task = live.task(&attempt.task);
    let effect = task.effect;
    let work = match task.targets {
        Some(_) => targets_work(live, task, attempt, &around.secrets, facts),
        None => whole_work(live, task, attempt, &around.secrets, facts),
    };
    let Some(mut work) = work else { return Err(NoInputs(std::mem::take(facts))) };
    let precautions = Precautions::of(live, attempt);
    let (stop, stopped) = watch::channel(StopReason::None);
    let finished_at = Arc::default();
    let run = live.id().clone();
    let ctx = Context {
        run: run.clone(),
        task: attempt.task.clone(),
        attempt: attempt.number,
        resumed: attempt.resumed,
        stage: attempt.task.stage().to_owned(),
        effect,
        stage_began: live.stage_began(attempt.task.stage(), around.outside.ports().clock.now()),
        store: Arc::clone(&around.store),
        deadline: attempt.deadline,
        ports: around.outside.ports_for(&attempt.task, attempt.number),
        settings: Arc::clone(&around.settings),
        memory: Arc::new(memory(live.run(), attempt)),
        ledger: Arc::new(AttemptLedger {
            run: run.clone(),
            task: attempt.task.clone(),
            attempt: attempt.number,
            queue: around.queue.clone(),
            finished_at: Arc::clone(&finished_at),
            planned: planned(live.run(), &attempt.task),
        }),
        stop: stopped,
    };
    let (task, number, queue) = (attempt.task.clone(), attempt.number, around.queue.clone());
    let execution = tokio::spawn(async move {
        let execution = async {
            match precautions.take(&ctx, &mut work).await {
                Ok(true) => action.execute(&ctx, work).await,
                Ok(false) => Ok(Value::Null),
                Err(failure) => Err(failure),
            }
        };
        let end = caught(execution).await;
        // A coordinator that is gone needs no answer.
        let _ = queue.send(Message::Ended { run, task, attempt: number, end });
    });
    Ok(Execution { stop, abort: execution.abort_handle(), to_look_up: attempt.resumed, finished_at })
}

/// How an execution ends, also when the action panics.
async fn caught(execution: impl Future<Output = Result<Value, Failure>>) -> End {
    // What it was about is dropped with it.
    match AssertUnwindSafe(execution).catch_unwind().await {
        Ok(result) => End::Returned(result),
        Err(panic) => broken_off(panic.as_ref()),
    }
}

/// A panic is a defect of ours, unless it says that this machine gives no thread: tokio and the standard library have no
/// other way to say so (tokio's `spawn_blocking`, std's `thread::spawn`). Then nothing is wrong with what was begun.
fn broken_off(panic: &(dyn Any + Send)) -> End {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let no_thread = ["OS can't spawn worker thread", "failed to spawn thread"];
    match said.filter(|said| no_thread.iter().any(|words| said.starts_with(words))) {
        Some(said) => End::Returned(Err(Failure::NeedsPerson { cause: format!("{said}; {MORE_THREADS}") })),
        None => End::Panicked,
    }
}

/// What helps a process that is given no more threads.
const MORE_THREADS: &str =
    "let it have more memory and processes (`ulimit -v`, `ulimit -u`), then `runbook resume`";

fn targets_work(
    live: &Live,
    task: &Task,
    attempt: &Attempt,
    secrets: &Secrets,
    facts: &mut Vec<Event>,
) -> Option<Work> {
    let plan::Work::Action(inputs) = &task.work else { return None };
    let patchset = live.run().patchset(&task.name);
    let shared = Arc::new(Inputs { values: inputs.shared.clone(), backup: None, patchset });
    let mut refused: BTreeMap<String, Vec<TargetId>> = BTreeMap::new();
    let strategies = task.strategies();
    let mut targets = Vec::new();
    for id in live.run().open_targets(&task.name) {
        let Some(mut target) = live.target(&id) else { continue };
        let new = live.run().replacement(&task.name, &id);
        if let Some(new) = new {
            target = Arc::new(new.in_place_of(&target));
        }
        let plain = new.is_none() && inputs.late.is_empty() && !inputs.per_target.contains_key(&id);
        let backup = backup(live, task, &id);
        let own = if plain && backup.is_none() {
            Ok(Arc::clone(&shared))
        } else if plain {
            Ok(Arc::new(Inputs { backup, ..Inputs::clone(&shared) }))
        } else {
            live.run()
                .inputs(&task.name, Some(&id), Some(secrets))
                .map(|values| Arc::new(Inputs { values, backup, patchset: shared.patchset.clone() }))
        };
        // `auto` was decided in the plan.
        let own = own.map(|own| match strategies.get(&id) {
            Some(strategy) => Arc::new(own.with("strategy", *strategy)),
            None => own,
        });
        let own = own.map(|own| match since::for_machine(live.run(), task, &id, own.text("since")) {
            Some((input, at)) => Arc::new(own.with(input, at.to_string())),
            None => own,
        });
        match own {
            Ok(own) => targets.push((target, own)),
            Err(error) => refused.entry(words(&error)).or_default().push(id),
        }
    }
    facts.extend(refused.into_iter().map(|(cause, targets)| Event::TargetsReported {
        task: attempt.task.clone(),
        attempt: attempt.number,
        targets,
        report: Report::failed(Outcome::Failed, ErrorClass::Failed, cause),
    }));
    // What all machines share may hold expressions that only a machine can fill in: then its own inputs do.
    let common = match targets.first() {
        _ if inputs.late.is_empty() => shared,
        Some((_, own)) => Arc::clone(own),
        None => return None,
    };
    (!targets.is_empty()).then_some(Work { targets, inputs: common })
}

/// The outputs of the backup that a machine is restored from: here, or by a branch when what is changed here goes wrong.
fn backup(live: &Live, task: &Task, id: &TargetId) -> Option<Arc<Value>> {
    let run = live.run();
    match task.restores {
        Some(_) => run.backup_for(&task.name, id),
        None => live.restoring(&task.name).find_map(|way| run.backup_for(&way.name, id)),
    }
}

fn whole_work(
    live: &Live,
    task: &Task,
    attempt: &Attempt,
    secrets: &Secrets,
    facts: &mut Vec<Event>,
) -> Option<Work> {
    let plan::Work::Action(inputs) = &task.work else { return None };
    let values = if inputs.late.is_empty() {
        Ok(inputs.shared.clone())
    } else {
        live.run().inputs(&task.name, None, Some(secrets))
    };
    match values {
        Ok(values) => {
            let patchset = live.run().patchset(&task.name);
            Some(Work { targets: Vec::new(), inputs: Arc::new(Inputs { values, backup: None, patchset }) })
        }
        Err(error) => {
            facts.push(Event::TaskReported {
                task: attempt.task.clone(),
                attempt: attempt.number,
                report: Report::failed(Outcome::Failed, ErrorClass::Failed, words(&error)),
            });
            None
        }
    }
}

fn words(error: &RenderError) -> String {
    format!("{error}: {}", error.source)
}

/// The planned machines of an attempt in whose places new ones stand, by their new ids.
fn planned(run: &Run, task: &TaskName) -> BTreeMap<TargetId, TargetId> {
    let open = run.open_targets(task).into_iter();
    open.filter_map(|id| Some((run.replacement(task, &id)?.instance.clone(), id))).collect()
}

fn memory(run: &Run, attempt: &Attempt) -> Memory {
    let Some(memory) = run.memory(&attempt.task) else { return Memory::default() };
    let now = |id: &TargetId| {
        run.replacement(&attempt.task, id).map_or_else(|| id.clone(), |new| new.instance.clone())
    };
    let intents = memory.intents.iter().map(|(key, intent)| {
        let recorded = RecordedIntent {
            at: intent.at,
            call: intent.call.clone(),
            token: intent.token.clone(),
            targets: intent.targets.iter().map(now).collect(),
        };
        (key.clone(), recorded)
    });
    Memory { checkpoints: memory.checkpoints.clone(), intents: intents.collect() }
}

/// What the end of an execution says of what the action did not report itself.
pub(super) fn facts_of(
    live: &Live,
    task: &TaskName,
    attempt: u32,
    end: End,
    execution: &Execution,
) -> Vec<Event> {
    let (report, outputs) = match end {
        End::Returned(Ok(outputs)) => (None, outputs),
        End::Returned(Err(Failure::Failed { outcome, class, cause })) => {
            (Some(Report::failed(outcome, class, cause)), Value::Null)
        }
        // Nothing is known to be wrong: a resume goes on.
        End::Returned(Err(Failure::Detached | Failure::NeedsPerson { .. })) => return Vec::new(),
        End::Panicked => (Some(bug(live, task, "the action panicked")), Value::Null),
    };
    let mut facts = Vec::new();
    if execution.to_look_up {
        facts.push(Event::TaskLookedUp { task: task.clone(), attempt });
    }
    if !outputs.is_null() {
        let outputs = BTreeMap::from([(TargetId::new(""), outputs)]);
        facts.push(Event::OutputsRecorded { task: task.clone(), outputs });
    }
    if live.task(task).targets.is_none() {
        let mut report = report.unwrap_or_else(Report::succeeded);
        report.finished_at = execution.finished_at.get().copied();
        facts.push(Event::TaskReported { task: task.clone(), attempt, report });
        return facts;
    }
    let targets = live.run().open_targets(task);
    if !targets.is_empty() {
        let silent = || bug(live, task, "the action ended without a word on this machine");
        let report = report.unwrap_or_else(silent);
        facts.push(Event::TargetsReported { task: task.clone(), attempt, targets, report });
    }
    facts
}

/// A broken action: if it was about to make a call, nobody can say whether that was made.
fn bug(live: &Live, task: &TaskName, what: &str) -> Report {
    let called = live.run().memory(task).is_some_and(|memory| !memory.intents.is_empty());
    let outcome = if called { Outcome::Unknown } else { Outcome::Failed };
    Report::failed(outcome, ErrorClass::Failed, format!("our bug: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_this_machine_does_not_give_pauses_the_run() {
        let panics = |words: &'static str| caught(async move { panic!("{words}") });
        let end =
            panics("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)").await;
        let End::Returned(Err(Failure::NeedsPerson { cause })) = end else { panic!("it is our bug") };
        assert!(cause.ends_with("(`ulimit -v`, `ulimit -u`), then `runbook resume`"), "{cause}");
        assert!(matches!(panics("index out of bounds").await, End::Panicked));
        assert!(matches!(caught(async { Ok(Value::Null) }).await, End::Returned(Ok(Value::Null))));
    }
}
