//! What `valgrind --tool=callgrind` counts: each function of [`measured`] is one line of `counts.txt`.
//!
//! It depends on the core and the journal alone, so that valgrind has little to read. What comes before a measured
//! function is made elsewhere and does not count.

mod fleet;
mod measured;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use runbook_engine::{
    document,
    experience::Experience,
    loader::NoFiles,
    plan::{self, Making},
    run::{Run, event::Event},
};
use runbook_state::{
    MemoryStore,
    store::{RunRow, RunStore},
};

use self::fleet::Words;

fn main() -> ExitCode {
    match count() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Result<(), String> {
    let chain = fleet::chain(1_000);
    let reading = measured::reading(&chain);
    let thousand = Arc::new(measured::planning(&reading)?);
    let ten_thousand = Arc::new(fleet::longer(&thousand, 10_000));
    let mut run = fleet::begun(Arc::new(fleet::side_by_side(&thousand)))?;
    measured::deciding_among_1_000_tasks(&mut run)?;
    let mut run = fleet::begun(Arc::new(fleet::side_by_side(&ten_thousand)))?;
    measured::deciding_among_10_000_tasks(&mut run)?;
    let mut run = fleet::begun(planned(&fleet::wave(), 500)?)?;
    measured::deciding_among_500_machines(&mut run)?;
    let mut run = fleet::begun(planned(&fleet::wave(), 5_000)?)?;
    measured::deciding_among_5_000_machines(&mut run)?;
    let batches = fleet::batches(&thousand, 334)?;
    let mut store = MemoryStore::new();
    let row = row(&thousand);
    store.create(&row, &thousand, fleet::now(), &[fleet::started()]).map_err(|error| error.to_string())?;
    measured::appending(&mut store, &row, &batches)?;
    let run = measured::replaying(&store, &row, Arc::clone(&thousand))?;
    let saved = measured::saving(&run)?;
    let again = measured::restoring(thousand, &saved)?;
    if again.stands_as(&run) { Ok(()) } else { Err("the restored state is another one".into()) }
}

fn planned(text: &str, machines: usize) -> Result<Arc<plan::Plan>, String> {
    let reading = document::read("wave.yaml", text.as_bytes(), &NoFiles);
    let runbook = reading.runbook.ok_or_else(|| format!("{:?}", reading.diagnostics))?;
    let making = Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog: &Words::default(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        resolved: fleet::machines(machines),
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    };
    plan::make(making).map(Arc::new).map_err(|refusal| format!("{refusal:?}"))
}

fn row(plan: &plan::Plan) -> RunRow {
    RunRow {
        run: fleet::id(),
        runbook: plan.runbook.clone(),
        status: "running".into(),
        exit: None,
        started_at: fleet::now(),
        finished_at: None,
        plan: plan.digest(),
        holds: Vec::new(),
        linked_to: None,
        world: None,
    }
}

/// Applies a fact, and what the core decides then.
fn told(run: &mut Run, fact: &Event) -> Result<Vec<Event>, String> {
    let mut events = vec![fact.clone()];
    run.apply(fleet::now(), fact).map_err(|illegal| illegal.to_string())?;
    fleet::decide(run, &mut events)?;
    Ok(events)
}

fn fifty_tasks_end(run: &mut Run) -> Result<(), String> {
    for number in 1..=50 {
        told(run, &fleet::task_ended(number))?;
    }
    Ok(())
}

fn fifty_machines_end(run: &mut Run) -> Result<(), String> {
    for number in 1..=50 {
        told(run, &fleet::machine_ended(number))?;
    }
    Ok(())
}
