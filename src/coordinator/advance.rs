//! The one function that advances a run: admit facts, derive the decisions that follow, write all of it as one batch,
//! publish, act. Nothing leaves the process before its batch is durable, and an illegal event is never written.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::RunId,
    outcome::{ErrorClass, Outcome},
    run::{
        command::Command,
        event::{Event, Report},
    },
};
use runbook_steps::context::StopReason;

use super::{
    Coordinator,
    execution::{self, Attempt, NoInputs},
    inspection,
    live::{Live, Progress},
    message::{Answer, Fact},
    notification,
    precaution::Precautions,
    refused::Refused,
};

/// More decisions than any plan can need after one batch of facts, by task: a core that decides without end is broken.
const DECISIONS_PER_TASK: usize = 1_000;

/// The shortest wait: what timers know.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// What one turn gathers before it is written.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    answers: Vec<Answer>,
    illegal: Vec<(Answer, String)>,
}

impl Coordinator<'_> {
    /// Takes all facts that wait for this run and goes as far as they lead.
    ///
    /// # Errors
    /// The store failed, or the core contradicts itself: then nothing more may leave this process.
    pub(super) async fn advance(&mut self, id: &RunId) -> Result<(), Refused> {
        let Some(at) = self.runs.get(id).map(|live| self.clock.now().max(live.last_at)) else {
            return Ok(());
        };
        let mut batch = Batch::default();
        let commands = loop {
            let Some(live) = self.runs.get_mut(id) else { return Ok(()) };
            live.dirty = false;
            admit(live, at, &mut batch, self.stopping.is_some(), &self.around.secrets);
            // Who stops decides nothing more: a resume comes to the same decisions.
            let commands = if self.stopping.is_some() { Vec::new() } else { decide(live, at, &mut batch)? };
            // The start of an attempt and its first intent share a batch: the action runs up to its first call to the
            // journal, where it waits for this batch.
            if !self.begin_early(id, &commands) {
                break commands;
            }
            tokio::task::yield_now().await;
            self.collect();
            if self.runs.get(id).is_none_or(|live| live.facts.is_empty()) {
                break commands;
            }
        };
        self.write(id, at, &batch)?;
        self.publish(id, at, batch);
        self.act(id, at, commands);
        self.keep(id);
        Ok(())
    }

    /// Keeps the state of a run once in a while. It stands behind the batch that was just written.
    fn keep(&mut self, id: &RunId) {
        let Some(live) = self.runs.get_mut(id) else { return };
        let seq = live.progress.borrow().seq;
        let ended = live.run().finished() && seq >= self.keep_every && seq > live.kept;
        if seq - live.kept < self.keep_every && !ended {
            return;
        }
        live.kept = seq;
        let kept = match live.run().saved() {
            Ok(state) => self.store.keep_state(id, &state).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = kept {
            tracing::warn!(run = %id, why, "the state of the run was not kept; a resume replays more of its journal");
        }
    }

    fn write(&mut self, id: &RunId, at: Timestamp, batch: &Batch) -> Result<(), Refused> {
        let Some(live) = self.runs.get_mut(id) else { return Ok(()) };
        if batch.events.is_empty() {
            return Ok(());
        }
        if !live.created {
            // The list of runs says what the first entry says.
            live.row.started_at = at;
        }
        let row = live.changed_row();
        if live.created {
            let seq = self.store.append(id, at, &batch.events, row.as_ref())?;
            live.progress.send_modify(|progress| progress.seq = seq);
        } else {
            self.store.create(row.as_ref().unwrap_or(&live.row), live.plan(), at, &batch.events)?;
            live.created = true;
            live.progress.send_modify(|progress| progress.seq = batch.events.len() as u64);
        }
        live.last_at = at;
        if let Some(row) = row {
            live.row = row;
        }
        Ok(())
    }

    fn publish(&mut self, id: &RunId, at: Timestamp, batch: Batch) {
        for answer in batch.answers {
            answer.written();
        }
        for (answer, why) in batch.illegal {
            answer.illegal(why);
        }
        // Who handed a plan to this process follows it through the socket.
        if self.order.first() == Some(id)
            && let Some(live) = self.runs.get(id)
            && !batch.events.is_empty()
        {
            self.observer.entries(live.run(), at, &batch.events);
        }
    }

    /// Begins executions whose actions do nothing but read before their first intent; says whether there were any.
    fn begin_early(&mut self, id: &RunId, commands: &[Command]) -> bool {
        let mut begun = false;
        for command in commands {
            if let Command::Execute { task, attempt, resumed: false, deadline } = command {
                let attempt =
                    Attempt { task: task.clone(), number: *attempt, resumed: false, deadline: *deadline };
                begun |= self.begin(id, &attempt, true);
            }
        }
        begun
    }

    /// Does what the core wants done. All of it is level-triggered: what is under way is not begun again.
    fn act(&mut self, id: &RunId, at: Timestamp, commands: Vec<Command>) {
        let Some(live) = self.runs.get_mut(id) else { return };
        live.wake = None;
        live.idle = true;
        live.stranded = false;
        for command in commands {
            let Some(live) = self.runs.get_mut(id) else { return };
            match command {
                // `decide` goes on until none is left.
                Command::Record(event) => debug_assert!(false, "a decision was left over: {event:?}"),
                Command::Execute { task, attempt, resumed, deadline } => {
                    let attempt = Attempt { task, number: attempt, resumed, deadline };
                    if live.detached.contains(&(attempt.task.clone(), attempt.number)) {
                        live.stranded = true;
                    } else {
                        live.idle = false;
                        self.begin(id, &attempt, false);
                    }
                }
                Command::Stop { task, attempt, timed_out } => {
                    let reason = if timed_out { StopReason::TimedOut } else { StopReason::Cancelled };
                    if let Some(execution) = live.executions.get(&(task, attempt)) {
                        execution.stop(reason);
                    }
                }
                Command::Inspect { scope } => {
                    live.idle = false;
                    if live.inspecting.insert(scope.clone()) {
                        inspection::begin(live, scope, &self.around);
                    }
                }
                Command::Notify { number, rule, event, subject } => {
                    live.idle = false;
                    if live.notifying.insert(number) {
                        let notice = notification::Notice { number, rule, event, subject };
                        notification::begin(live, notice, &self.actions, &self.around);
                    }
                }
                Command::WakeAt(wake) => {
                    // A time that is past would wake it again and again.
                    let wake = wake.max(at + TICK);
                    live.wake = Some(live.wake.map_or(wake, |earlier| earlier.min(wake)))
                }
            }
        }
        self.ask_people(id, at);
    }

    /// Begins one execution, unless it runs already; says whether it did.
    fn begin(&mut self, id: &RunId, attempt: &Attempt, early: bool) -> bool {
        let Some(live) = self.runs.get_mut(id) else { return false };
        let key = (attempt.task.clone(), attempt.number);
        if live.executions.contains_key(&key) || live.detached.contains(&key) {
            return false;
        }
        let Some(action) = self.actions.get(live.task(&attempt.task).action.as_str()) else {
            let cause = format!("there is no action `{}` in this binary", live.task(&attempt.task).action);
            self.fail(id, attempt, &cause);
            return false;
        };
        // The gate asks AWS: the start must be durable first.
        if early && (!action.begins_with_intent() || Precautions::are_due(live, attempt)) {
            return false;
        }
        let mut facts = Vec::new();
        match execution::begin(live, attempt, action, &self.around, &mut facts) {
            Ok(execution) => {
                live.executions.insert(key, execution);
            }
            Err(NoInputs(reports)) => facts = reports,
        }
        let began = facts.is_empty();
        live.dirty |= !began;
        live.facts.extend(facts.into_iter().map(Fact::of));
        began
    }

    fn fail(&mut self, id: &RunId, attempt: &Attempt, cause: &str) {
        let Some(live) = self.runs.get_mut(id) else { return };
        let report = Report::failed(Outcome::Failed, ErrorClass::Failed, cause);
        let (task, attempt) = (attempt.task.clone(), attempt.number);
        let event = match live.task(&task).targets {
            Some(_) => {
                let targets = live.run().open_targets(&task);
                Event::TargetsReported { task, attempt, targets, report }
            }
            None => Event::TaskReported { task, attempt, report },
        };
        live.facts.push(Fact::of(event));
        live.dirty = true;
    }
}

/// Applies the facts that wait. What the core does not accept is not written.
fn admit(
    live: &mut Live,
    at: Timestamp,
    batch: &mut Batch,
    stopping: bool,
    secrets: &Arc<super::secrets::Secrets>,
) {
    for Fact { mut event, answer } in std::mem::take(&mut live.facts) {
        if stopping && matches!(event, Event::IntentRecorded { .. }) {
            // No new call is made.
            answer.detached();
            continue;
        }
        secrets.mask().event(&mut event);
        if let Event::TaskLookedUp { task, attempt } = &event
            && let Some(execution) = live.executions.get_mut(&(task.clone(), *attempt))
        {
            execution.to_look_up = false;
        }
        match live.run_mut().apply(at, &event) {
            Ok(()) => {
                batch.events.push(event);
                batch.answers.push(answer);
            }
            Err(illegal) => {
                tracing::warn!(%illegal, ?event, "a fact was not accepted");
                if let (
                    Answer::Nobody,
                    Event::TargetsReported { task, attempt, .. } | Event::TaskReported { task, attempt, .. },
                ) = (&answer, &event)
                {
                    // Whatever the core wants next of this attempt, it must not run again here.
                    live.detached.insert((task.clone(), *attempt));
                }
                batch.illegal.push((answer, illegal.to_string()));
            }
        }
    }
}

/// Applies the decisions that follow, until none is left; what else the core wants.
fn decide(live: &mut Live, at: Timestamp, batch: &mut Batch) -> Result<Vec<Command>, Refused> {
    let limit = DECISIONS_PER_TASK * (live.plan().tasks.len() + live.plan().rollback.len() + 1);
    let from = batch.events.len();
    loop {
        let mut commands = live.run().commands(at);
        let mut refused = None;
        let mut decided = false;
        commands.retain(|command| {
            let Command::Record(event) = command else { return true };
            // One decision can make another one of the same reading obsolete; the next reading knows.
            match live.run_mut().apply(at, event) {
                Ok(()) => {
                    decided = true;
                    batch.events.push(event.clone());
                }
                Err(illegal) => refused = Some(format!("{event:?}: {illegal}")),
            }
            false
        });
        let endless = batch.events.len() - from > limit;
        match refused {
            Some(what) if !decided => return Err(Refused::Bug { what, at }),
            _ if endless => return Err(Refused::Bug { what: "decisions without end".to_owned(), at }),
            _ if decided => {}
            _ => return Ok(commands),
        }
    }
}

impl Live {
    /// Tells those who follow the run that this process is done with it.
    pub(super) fn close(&self, report: &super::exit::ExitReport) {
        self.progress.send_modify(|progress: &mut Progress| progress.report = Some(report.clone()));
    }
}
