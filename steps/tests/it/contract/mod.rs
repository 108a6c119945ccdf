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

use std::{future::Future, sync::Arc};

use runbook_steps::{
    action::{Action, Failure},
    world::{Moment, World},
};
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

/// [`crash_everywhere`] in the simulated world, and then before and after every call that writes. `judge` looks at each
/// end; whatever died, every life that is lived to its end must end well.
pub async fn crash_world_everywhere(
    action: &dyn Action,
    make: impl Fn() -> (Arc<World>, Attempt),
    judge: impl Fn(&World, &Attempt),
) {
    let ended = |world: Arc<World>, attempt: Attempt, ended: Result<Value, _>| {
        assert_eq!(ended, Ok(Value::Null));
        judge(&world, &attempt);
        std::future::ready(())
    };
    crash_everywhere(action, &make, ended).await;
    let all = {
        let (world, attempt) = make();
        let before = world.calls().calls.len();
        attempt.live_to_the_end(action).await.expect("an end");
        world.calls().calls.len() - before
    };
    for n in 0..all as u64 {
        for moment in [Moment::Before, Moment::After] {
            let (world, attempt) = make();
            world.crash_at(n, moment);
            let crashed = tokio::select! {
                biased;
                () = world.crashed() => true,
                life = attempt.live(action, None) => {
                    assert!(matches!(life, Life::Ended(Ok(_))));
                    false
                }
            };
            assert!(crashed, "call {n} of {all} was not made");
            // What the dead process spawned is gone when the scheduler has come round.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            world.revive();
            attempt.live_to_the_end(action).await.expect("an end");
            eprintln!("died {moment:?} call {n} of {all}");
            judge(&world, &attempt);
        }
    }
}
