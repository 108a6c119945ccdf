//! The coordinator's loop: wait for something, take all of it, advance the runs that it concerns.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{ids::RunId, run::event::Event};
use runbook_steps::{action::Failure, context::StopReason};

use super::{
    Coordinator, execution,
    exit::ExitReport,
    inspection::Inspection,
    message::{End, Fact, Message},
    refused::Refused,
};

/// How long a process that was told to stop waits for the calls in progress.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// How many messages are taken out of the queue at a time at most. More come with the next turn.
const GULP: usize = 4_096;

/// Wakes at a time of the world.
type Alarm = (Timestamp, Pin<Box<dyn Future<Output = ()> + Send>>);

impl Coordinator<'_> {
    /// Drives every run until this process has nothing to do for any of them: each is over, paused, detached, waits
    /// and need not be waited for, or the process was told to stop. What there is to say of each, in the order in
    /// which they came.
    ///
    /// # Errors
    /// The store failed or the core contradicts itself. What was acknowledged is in the store.
    pub async fn drive(&mut self) -> Result<Vec<ExitReport>, Refused> {
        let mut alarm: Option<Alarm> = None;
        loop {
            self.turn().await?;
            if let Some(reports) = self.done()? {
                return Ok(reports);
            }
            let wake = self.next_wake();
            match (&alarm, wake) {
                (Some((at, _)), Some(wake)) if *at == wake => {}
                (_, Some(wake)) => alarm = Some((wake, self.sleep_until(wake))),
                (_, None) => alarm = None,
            }
            let mut taken = Vec::new();
            tokio::select! {
                biased;
                interrupts = self.interrupts.next() => self.interrupted(interrupts),
                _ = self.queue.recv_many(&mut taken, GULP) => {}
                () = ring(&mut alarm) => alarm = None,
            }
            for message in taken {
                self.take(message);
            }
            // Whoever can run now, runs first: what they have to say shares the batch.
            tokio::task::yield_now().await;
        }
    }

    /// Takes what waits and advances whatever it concerns.
    async fn turn(&mut self) -> Result<(), Refused> {
        self.collect();
        self.heed_clock();
        loop {
            let now = self.clock.now();
            let next = self.runs.iter().find(|(_, live)| {
                live.dirty || !live.facts.is_empty() || live.wake.is_some_and(|wake| wake <= now)
            });
            let Some(id) = next.map(|(id, _)| id.clone()) else { return Ok(()) };
            self.advance(&id).await?;
        }
    }

    /// Takes everything that is in the queue.
    pub(super) fn collect(&mut self) {
        while let Ok(message) = self.queue.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Fact(run, fact) => match self.runs.get_mut(&run) {
                Some(live) => live.facts.push(fact),
                None => fact.answer.detached(),
            },
            Message::Ended { run, task, attempt, end } => self.ended(&run, task, attempt, end),
            Message::Inspected { run, scope, seen } => {
                if let Some(live) = self.runs.get_mut(&run) {
                    live.inspecting.remove(&scope);
                    match seen {
                        Inspection::Refused(refused) => {
                            live.facts.push(Fact::of(Event::WaveInspected { scope, refused }));
                        }
                        Inspection::NeedsPerson(cause) => live.pause(cause),
                    }
                }
            }
            Message::Notified { run, number, failure } => {
                if let Some(live) = self.runs.get_mut(&run) {
                    live.notifying.remove(&number);
                    live.facts.push(Fact::of(match failure {
                        None => Event::NotificationSent { number },
                        Some(cause) => Event::NotificationFailed { number, cause },
                    }));
                }
            }
            Message::Heard(run, mut heard) => {
                if let Some(live) = self.runs.get(&run) {
                    self.around.secrets.mask().text(&mut heard.line);
                    self.observer.heard(&heard);
                    // Nobody may follow.
                    let _ = live.heard.send(heard);
                }
            }
            Message::Asked(asked) => self.hear(asked),
            Message::Close => self.closed = true,
        }
    }

    fn ended(&mut self, run: &RunId, task: runbook_engine::ids::TaskName, attempt: u32, end: End) {
        let Some(live) = self.runs.get_mut(run) else { return };
        let key = (task, attempt);
        let Some(execution) = live.executions.remove(&key) else { return };
        if matches!(end, End::Returned(Err(Failure::Detached))) {
            live.detached.insert(key);
            live.dirty = true;
            return;
        }
        // The attempt is left as it is, for the process that takes the run up again.
        if let End::Returned(Err(Failure::NeedsPerson { cause })) = end {
            live.detached.insert(key);
            live.pause(cause);
            return;
        }
        let facts = execution::facts_of(live, &key.0, attempt, end, &execution);
        live.facts.extend(facts.into_iter().map(Fact::of));
        live.dirty = true;
    }

    /// SIGINT or SIGTERM: once, start nothing and let the calls in progress return; twice, stop now.
    fn interrupted(&mut self, times: u32) {
        if self.stopping.is_none() {
            let until = self.clock.now().checked_add(GRACE).unwrap_or(Timestamp::MAX);
            self.stopping = Some(until);
            let mut under_way = 0;
            for live in self.runs.values_mut() {
                live.dirty = true;
                under_way += live.executions.len();
                live.executions.values().for_each(|execution| execution.stop(StopReason::Detach));
            }
            if times < 2 && under_way > 0 {
                self.observer.notice(
                    "stopping: nothing new is started, calls in progress are waited for (30 s at most); \
                     interrupt again to stop now",
                );
            }
        }
        if times > 1 {
            self.stopping = Some(Timestamp::MIN);
        }
    }

    /// Whether this process has nothing more to do, and what it has to say then.
    fn done(&mut self) -> Result<Option<Vec<ExitReport>>, Refused> {
        let over = match self.stopping {
            Some(until) => {
                until <= self.clock.now() || self.runs.values().all(|live| live.executions.is_empty())
            }
            None => false,
        };
        let leaving = self.runs.iter().filter_map(|(id, live)| {
            let report = if over { Some(live.report()) } else { live.leaving() };
            Some((id.clone(), report?))
        });
        let leaving: Vec<_> = leaving.collect();
        if over || (leaving.len() == self.runs.len() && self.stopping.is_none()) {
            for live in self.runs.values_mut() {
                live.executions.clear();
            }
            self.store.seal()?;
            let mut reports = Vec::new();
            for id in &self.order {
                if let Some((_, report)) = leaving.iter().find(|(run, _)| run == id) {
                    if let Some(live) = self.runs.get(id) {
                        live.close(report);
                    }
                    reports.push(report.clone());
                }
            }
            return Ok(Some(reports));
        }
        // Those who follow a run that is over need not wait for the others.
        for (id, report) in &leaving {
            if let Some(live) = self.runs.get(id)
                && live.run().finished_at().is_some()
                && live.progress.borrow().report.is_none()
            {
                live.close(report);
            }
        }
        Ok(None)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let runs = self.runs.values().filter_map(|live| live.wake);
        runs.chain(self.stopping).min()
    }

    fn sleep_until(&self, wake: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let left = wake.duration_since(self.clock.now()).max(SignedDuration::ZERO);
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO).min(self.longest_sleep);
        let clock = self.clock.clone();
        Box::pin(async move { clock.sleep(left).await })
    }
}

async fn ring(alarm: &mut Option<Alarm>) {
    match alarm {
        Some((_, sleep)) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}
