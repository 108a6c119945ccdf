//! What came of rehearsed worlds, as JSON.

use runbook_engine::laws::Law;
use serde_json::{Map, Value, json};

use super::rehearsal_page::About;
use crate::rehearsal::{Length, Rehearsed, Source, Spread, Tally};

/// The whole: `runbook rehearse --json`.
pub fn summary(about: &About<'_>, tally: &mut Tally) -> Value {
    let violations: Vec<Value> = tally
        .violations
        .iter()
        .map(|(seed, broken)| {
            json!({ "seed": seed, "law": broken.law, "detail": broken.detail, "again": about.command(*seed) })
        })
        .collect();
    let worst: Vec<Value> = tally
        .worst
        .iter()
        .map(|worst| {
            json!({
                "seed": worst.seed, "status": worst.status, "cause": worst.cause, "unwell": worst.unwell,
                "stuck": worst.stuck, "makespan_s": worst.makespan_s, "again": about.command(worst.seed),
            })
        })
        .collect();
    let causes: Vec<Value> = tally
        .causes
        .iter()
        .map(|(cause, (worlds, seed))| json!({ "cause": cause, "worlds": worlds, "seed": seed }))
        .collect();
    let mut machines = Map::new();
    for (outcome, count) in &tally.machines {
        machines.insert(outcome.to_string(), json!(count));
    }
    json!({
        "runbook": about.plan.runbook,
        "plan": about.plan.digest(),
        "fleet": about.fleet.fleet,
        "faults": about.profile.name,
        "seeds": tally.worlds,
        "first_seed": about.seeds.start,
        "outcomes": tally.statuses,
        "laws": Law::ALL,
        "violations": violations,
        "broken": tally.broken,
        "makespan_s": spread(&mut tally.makespan_s),
        "window_left_s": margin(&mut tally.margin_s),
        "machines": machines,
        "touched": spread(&mut tally.touched),
        "restored": spread(&mut tally.restored),
        "stuck": spread(&mut tally.stuck),
        "stuck_machines": tally.stuck_machines,
        "calls": spread_and_sum(&mut tally.calls),
        "entries": spread_and_sum(&mut tally.entries),
        "journal_bytes": spread_and_sum(&mut tally.bytes),
        "durations": about.lengths.iter().map(duration).collect::<Vec<_>>(),
        "crashes": tally.crashes,
        "causes": causes,
        "worst": worst,
    })
}

/// How long something took, and how that is known: `fleet`, `experience` or `usual`.
fn duration(length: &Length) -> Value {
    let mut told = json!({
        "what": length.what, "platform": length.platform, "hosts": length.hosts,
        "from_s": length.from.as_secs(), "to_s": length.to.as_secs(),
    });
    match &length.source {
        Source::Fleet => told["source"] = json!("fleet"),
        Source::Usual => told["source"] = json!("usual"),
        Source::Experience { action, times, runs } => {
            told["source"] = json!("experience");
            told["action"] = json!(action);
            told["times"] = json!(times);
            told["runs"] = json!(runs);
        }
    }
    told
}

fn spread(spread: &mut Spread) -> Value {
    json!({ "p50": spread.percentile(50), "p95": spread.percentile(95), "max": spread.max() })
}

/// The same of what can be added up over worlds.
fn spread_and_sum(of: &mut Spread) -> Value {
    let mut value = spread(of);
    value["sum"] = json!(of.sum());
    value
}

/// How much was left of the window; `late`: how many worlds were done after it had closed.
fn margin(spread: &mut Spread) -> Value {
    if spread.count() == 0 {
        return Value::Null;
    }
    json!({
        "min": spread.percentile(0), "p5": spread.percentile(5), "p50": spread.percentile(50),
        "late": spread.below(0),
    })
}

/// One world, line by line: its entries, and at last what came of it.
pub fn trace(world: &Rehearsed) -> Vec<Value> {
    let mut lines: Vec<Value> = world
        .trace
        .iter()
        .zip(1_u64..)
        .map(|(entry, seq)| json!({ "seq": seq, "at": entry.at, "life": entry.life, "event": entry.event }))
        .collect();
    lines.push(json!({
        "seed": world.seed, "status": world.ended.status, "exit": world.ended.code, "cause": world.ended.cause,
        "makespan_s": world.makespan.as_secs(), "lives": world.lives, "deaths": world.deaths(), "entries": world.entries,
        "violations": world.violations,
    }));
    lines
}
