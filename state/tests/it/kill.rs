//! Killed with -9 at any moment, nothing acknowledged is lost.

use std::{
    env,
    io::{BufRead as _, BufReader},
};

use runbook_engine::ids::RunId;
use runbook_state::{SledStore, store::RunStore as _};

use crate::{
    child::{self, RUN, Work},
    dice::Dice,
    sample,
};

#[test]
fn what_was_acknowledged_before_kill_9_is_there_after_it_two_hundred_times() {
    let folder = sample::folder();
    let folder = folder.path().join("state");
    let program = env::current_exe().expect("this program");
    let mut dice = Dice::new(9);
    let mut acknowledged = 0;
    for round in 0..200 {
        let mut process = child::command(&program, &folder, Work::Append).spawn().expect("a child");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        // From the very beginning, when the store is being opened, to some batches later, at any point of a batch.
        let patience = dice.below(12);
        let mut seen = 0;
        while seen < patience {
            let Some(Ok(line)) = lines.next() else { break };
            assert!(!line.starts_with("error"), "round {round}: {line}");
            if let Some(seq) = child::numbers("seq", &line).first() {
                assert!(
                    *seq >= acknowledged,
                    "round {round}: entry {seq} after entry {acknowledged} was acknowledged"
                );
                acknowledged = *seq;
                seen += 1;
            }
        }
        for _ in 0..dice.below(30_000) {
            std::hint::spin_loop();
        }
        process.kill().expect("SIGKILL");
        for line in lines.map_while(Result::ok) {
            acknowledged = child::numbers("seq", &line).first().copied().unwrap_or(acknowledged);
        }
        process.wait().expect("its end");
        if round % 20 == 19 {
            let store = SledStore::open(&folder).expect("a store");
            let entries = store.entries(&RunId::new(RUN), 1).expect("a whole journal");
            assert!(entries.len() as u64 >= acknowledged, "round {round}");
        }
    }
    assert!(acknowledged > 200);
    let store = SledStore::open(&folder).expect("a store");
    assert_eq!(store.plan(&RunId::new(RUN)).expect("a plan").runbook, "child");
    assert_eq!(store.runs().expect("runs").len(), 1);
}
