//! The contract of actions: however often the process dies, each effect happens once, and everything is reported.
//!
//! An [`Attempt`](attempt::Attempt) is one attempt of a task with a journal in memory. Each call of its journal is two
//! points at which the process can die: before the entry is durable, and after it. Between an intent's second point and
//! the next entry's first one lies the call itself, so these points are a crash before the call, after the call, and
//! after the checkpoint. [`crash_everywhere`] dies at each of them in turn.

pub mod attempt;
pub mod journal;
pub mod nowhere;
pub mod time;

use std::future::Future;

use runbook_steps::action::{Action, Failure};
use serde_json::Value;

use self::attempt::{Attempt, Life};

/// More points than any action's attempt has here: one that never ends is stopped.
const MOST_POINTS: usize = 10_000;

/// Lives through the attempt once for each point at which it can die, and once more to the end. `make` makes the
/// attempt anew, with the world that it works in; `judge` is told in what world it ended, and how.
pub async fn crash_everywhere<W, M, J, F>(action: &dyn Action, make: M, judge: J)
where
    M: Fn() -> (W, Attempt),
    J: Fn(W, Attempt, Result<Value, Failure>) -> F,
    F: Future<Output = ()>,
{
    for point in 0..MOST_POINTS {
        let (world, attempt) = make();
        let first = attempt.live(action, Some(point)).await;
        let (last, ended) = match first {
            Life::Crashed => {
                // Twice at the same distance, since a second life looks up what the first one only did.
                let ended = match attempt.live(action, Some(point)).await {
                    Life::Crashed => attempt.live_to_the_end(action).await,
                    Life::Ended(result) => result,
                };
                (false, ended)
            }
            // A task without machines is journaled only now: the process may die before that.
            Life::Ended(first) if attempt.has_no_machines() => {
                let again = attempt.live_to_the_end(action).await;
                assert_eq!(again, first, "a repeated life must end like the one before it");
                (true, again)
            }
            Life::Ended(result) => (true, result),
        };
        judge(world, attempt, ended).await;
        if last {
            return;
        }
    }
    panic!("the attempt has more than {MOST_POINTS} points at which it can crash");
}
