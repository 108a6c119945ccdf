//! A call on the world: what goes wrong with it, what it does, and what is written down before it is answered.

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    Moment, World, calls,
    fault_rule::Label,
    log::Line,
    state::{Fact, State, Struck},
};
use crate::ports::fault::{Fault, FaultKind};

impl World {
    /// A call that only reads.
    pub(super) async fn read<T>(
        &self,
        label: Option<&Label>,
        call: &'static str,
        machines: &[TargetId],
        answer: impl FnOnce(&mut State, Timestamp) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault>
    where
        T: Send,
    {
        if self.has_crashed() {
            return std::future::pending().await;
        }
        let now = self.now();
        let inner = &mut *self.lock();
        inner.state.settle(now);
        *inner.reads.entry(call).or_default() += 1;
        let places: Vec<_> = machines.iter().filter_map(|id| inner.state.roster.by_id(id)).collect();
        let mut struck = Struck::new();
        let state = &inner.state;
        let fault = state
            .refuse_call(call, false, &places, label, &mut struck)
            .or_else(|| state.lose_answer(call, false, &places, label, &mut struck));
        inner.state.note_strikes(&struck);
        if let Some(fault) = fault {
            return Err(fault);
        }
        answer(&mut inner.state, now)
    }

    /// A call that writes: decided, written down, synced, and only then answered.
    pub(super) async fn write<T>(
        &self,
        label: Option<&Label>,
        call: &'static str,
        machines: &[TargetId],
        decide: impl FnOnce(&mut State, Timestamp, &mut Struck) -> Result<(Fact, T), Fault> + Send,
    ) -> Result<T, Fault>
    where
        T: Send,
    {
        match self.write_now(label, call, machines, decide) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// A dry run: it proves a right on these machines, and changes nothing.
    pub(super) async fn prove(
        &self,
        label: Option<&Label>,
        call: &'static str,
        machines: &[TargetId],
    ) -> Result<(), Fault> {
        self.read(label, "ec2:DryRun", &[], |state, _| {
            let mut struck = Struck::new();
            let places: Vec<_> = machines.iter().filter_map(|id| state.roster.by_id(id)).collect();
            let refusal = state.refuse_right(call, &places, label, &mut struck);
            state.note_strikes(&struck);
            refusal.map_or(Ok(()), Err)
        })
        .await
    }

    /// `None`: the process "died".
    fn write_now<T>(
        &self,
        label: Option<&Label>,
        call: &'static str,
        machines: &[TargetId],
        decide: impl FnOnce(&mut State, Timestamp, &mut Struck) -> Result<(Fact, T), Fault>,
    ) -> Option<Result<T, Fault>> {
        if self.has_crashed() {
            return None;
        }
        let now = self.now();
        let inner = &mut *self.lock();
        inner.state.settle(now);
        let places: Vec<_> = machines.iter().filter_map(|id| inner.state.roster.by_id(id)).collect();
        let mut struck = Struck::new();
        let state = &mut inner.state;
        let decided = match state.refuse_call(call, true, &places, label, &mut struck) {
            Some(fault) => {
                let fact = Fact::NotExecuted { call: call.to_owned(), machines: machines.to_vec() };
                Ok((fact, Err(fault)))
            }
            None => decide(state, now, &mut struck).map(|(fact, answer)| (fact, Ok(answer))),
        };
        let (fact, mut answer) = match decided {
            Ok(decided) => decided,
            // Refused by the service's own rules: nothing happened.
            Err(fault) if struck.is_empty() => return Some(Err(fault)),
            // Refused because the fleet says so: it must be known that it was.
            Err(fault) => {
                (Fact::NotExecuted { call: call.to_owned(), machines: machines.to_vec() }, Err(fault))
            }
        };
        let crash = match &mut inner.crash {
            Some((0, moment)) => Some(*moment),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if crash == Some(Moment::Before) {
            self.crashed.send_replace(true);
            return None;
        }
        let mut line = Line::new(now, label, fact);
        if answer.is_ok()
            && let Some(fault) = inner.state.lose_answer(call, true, &places, label, &mut struck)
        {
            line.answer_lost = true;
            answer = Err(fault);
        }
        line.struck = struck;
        if let Err(error) = inner.write(&line, true) {
            let message = format!("{error}: the simulated world cannot keep its state");
            return Some(Err(Fault { call, kind: FaultKind::Invalid, code: None, message }));
        }
        inner.state.note_strikes(&line.struck);
        inner.state.apply(now, &line.fact);
        inner.calls.calls.extend(calls::call(&line));
        if crash == Some(Moment::After) {
            self.crashed.send_replace(true);
            return None;
        }
        Some(answer)
    }
}
