//! What restores have lost: what was written after the backup that they went back to.

use std::collections::BTreeMap;

use runbook_engine::{ids::TargetId, plan::Plan, run::Run};
use serde_json::Value;

use super::{columns::columns, paint::Paint, words::machine};

/// How many things are listed one by one for a machine; `--json` has all of them.
const MOST: usize = 20;

/// What outputs of a machine say that it has lost, in words.
pub fn told(outputs: &Value) -> Vec<String> {
    texts(outputs, "lost")
}

/// Every machine that has lost something, and what.
pub fn by_machine(run: &Run) -> BTreeMap<TargetId, Vec<String>> {
    let mut all: BTreeMap<TargetId, Vec<String>> = BTreeMap::new();
    for (id, outputs) in run.tasks().flat_map(|task| task.outputs) {
        let lost = told(outputs);
        if !lost.is_empty() {
            all.entry(id.clone()).or_default().extend(lost);
        }
    }
    all
}

/// The part of a run's page; empty where nothing was lost.
pub fn page(run: &Run, paint: Paint) -> String {
    let rows: Vec<Vec<String>> =
        by_machine(run).iter().flat_map(|(id, lost)| rows(run, id, lost, paint)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let heading = paint.red("written after the backup, and lost");
    format!("\n{heading}\n{}", columns(&rows, "  "))
}

fn rows(run: &Run, id: &TargetId, lost: &[String], paint: Paint) -> Vec<Vec<String>> {
    let mut words: Vec<String> = lost.iter().take(MOST).map(|each| one_line(each)).collect();
    if lost.len() > MOST {
        words.push(format!("and {} more (runbook logs --target {id})", lost.len() - MOST));
    }
    let former = run.tasks().filter_map(|task| task.outputs.get(id)).flat_map(|said| texts(said, "former"));
    words.extend(former.map(|place| paint.dim(&format!("what was there lies in {}", one_line(&place)))));
    let name = paint.bold(&machine(run.plan(), id));
    let names = std::iter::once(name).chain(std::iter::repeat(String::new()));
    names.zip(words).map(|(name, what)| vec![name, what]).collect()
}

/// The news that machines have lost something, when their outputs say so.
pub fn line(plan: &Plan, outputs: &BTreeMap<TargetId, Value>, paint: Paint) -> Option<String> {
    let each: Vec<String> = outputs
        .iter()
        .filter_map(|(id, outputs)| {
            let lost = told(outputs);
            let first = one_line(lost.first()?);
            let more = if lost.len() > 1 { format!(" and {} more", lost.len() - 1) } else { String::new() };
            Some(format!("{}: {first}{more}", machine(plan, id)))
        })
        .collect();
    (!each.is_empty())
        .then(|| format!("{}, written after the backup: {}", paint.red("lost"), each.join("; ")))
}

fn texts(outputs: &Value, key: &str) -> Vec<String> {
    let all = outputs.get(key).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a machine says must not steer the terminal of the person who reads it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
