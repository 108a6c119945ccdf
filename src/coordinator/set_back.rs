//! A clock of this machine that was set back.

use jiff::SignedDuration;
use runbook_engine::plan::{Gate, Plan, Work};

use super::Coordinator;

/// Less is what time servers correct in passing.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(1);

impl Coordinator<'_> {
    /// Says that the clock was set back, each time that it is. Waits and deadlines go on as time really passes; but whether
    /// a window is open cannot be known of two clocks, so a run that asks for one is paused, which only a person lifts. So
    /// is one that begins while the clocks differ.
    pub(super) fn heed_clock(&mut self) {
        let ahead = self.clock.ahead();
        if grown(&mut self.told_ahead, ahead) {
            let told = format!(
                "this machine's clock was set back by {}: the run goes on with time as it passes",
                words(ahead)
            );
            self.notice(&told);
        }
        for live in self.runs.values_mut() {
            if grown(&mut live.accepted_ahead, ahead)
                && live.run().finished_at().is_none()
                && has_window(live.plan())
            {
                live.pause(format!(
                    "this machine's clock was set back by {}, so whether a window is open cannot be told",
                    words(ahead)
                ));
            }
        }
    }
}

/// Whether our time is further ahead of the clock than was known, by more than what is corrected in passing. Then it is
/// known; and so is that the clocks came closer.
fn grown(known: &mut SignedDuration, ahead: SignedDuration) -> bool {
    let grown = ahead.saturating_sub(*known) >= NOTICEABLE;
    if grown || ahead < *known {
        *known = ahead;
    }
    grown
}

fn words(ahead: SignedDuration) -> String {
    let rounded = ahead.saturating_add(SignedDuration::from_millis(500));
    format!("{:#}", SignedDuration::from_secs(rounded.as_secs()))
}

fn has_window(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| matches!(task.work, Work::Gate(Gate::Window(_))))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::grown;

    #[test]
    fn each_time_that_a_clock_is_set_back_counts_and_what_is_corrected_in_passing_does_not() {
        let mut known = SignedDuration::ZERO;
        let mut heard = |seconds: f64| grown(&mut known, SignedDuration::from_secs_f64(seconds));
        assert!(!heard(0.9));
        assert!(heard(2.0), "a little");
        assert!(!heard(2.5));
        assert!(heard(7_200.0), "and then a lot");
        assert!(!heard(7_200.0));
        // It comes closer again, and is set back once more.
        assert!(!heard(3_600.0));
        assert!(heard(3_700.0));
        assert!(!heard(0.0));
        assert!(heard(1.0));
    }
}
