//! A clock of this machine that was set back.

use jiff::SignedDuration;
use runbook_engine::plan::{Gate, Plan, Work};

use super::Coordinator;

/// Less is what time servers correct in passing.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(1);

impl Coordinator<'_> {
    /// Says once that the clock was set back. Waits and deadlines go on as time really passes; but whether a window is
    /// open cannot be known of two clocks, so a run that asks for one is paused, which only a person lifts.
    pub(super) fn heed_clock(&mut self) {
        let ahead = self.clock.ahead();
        if ahead < NOTICEABLE {
            self.told_set_back = false;
            return;
        }
        if self.told_set_back {
            return;
        }
        self.tell_set_back(ahead);
        let cause = format!(
            "this machine's clock was set back by {}, so whether a window is open cannot be told",
            words(ahead)
        );
        for live in self.runs.values_mut() {
            if live.run().finished_at().is_none() && has_window(live.plan()) {
                live.pause(cause.clone());
            }
        }
    }

    /// The same where a person goes on with a run all the same.
    pub(super) fn accept_clock(&mut self) {
        let ahead = self.clock.ahead();
        if ahead >= NOTICEABLE && !self.told_set_back {
            self.tell_set_back(ahead);
        }
    }

    fn tell_set_back(&mut self, ahead: SignedDuration) {
        self.told_set_back = true;
        let told = format!(
            "this machine's clock was set back by {}: the run goes on with time as it passes",
            words(ahead)
        );
        self.notice(&told);
    }
}

fn words(ahead: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(ahead.as_secs()))
}

fn has_window(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| matches!(task.work, Work::Gate(Gate::Window(_))))
}
