//! One rehearsed world, step by step, and its timeline.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use jiff::Timestamp;
use runbook_engine::{ids::TaskName, plan::Plan, run::event::Event};

use super::{
    columns::columns,
    event_line::{Teller, Weight},
    paint::Paint,
    rehearsal_page::lasting,
    words::{clock, moment},
};
use crate::rehearsal::Rehearsed;

/// How wide the timeline is.
const WIDTH: i64 = 60;

/// The page.
pub fn page(plan: &Arc<Plan>, world: &Rehearsed, paint: Paint) -> String {
    let mut text =
        format!("{}  {}\n", paint.bold(&plan.runbook), paint.dim(&format!("world of seed {}", world.seed)));
    journal(&mut text, plan, world, paint);
    timeline(&mut text, world, paint);
    let cause = world.ended.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n{} after {}, in {} lives, with {} entries{cause}",
        paint.status(&world.ended.status),
        lasting(world.makespan.as_secs()),
        world.lives,
        world.entries,
    );
    for broken in &world.violations {
        let _ = writeln!(
            text,
            "{}: {}",
            paint.red(&format!("broken law: {}", broken.law.words())),
            broken.detail
        );
    }
    text
}

fn journal(text: &mut String, plan: &Arc<Plan>, world: &Rehearsed, paint: Paint) {
    let teller = Teller::new(Arc::clone(plan), paint);
    let mut day = String::new();
    let mut life = 1;
    for entry in &world.trace {
        let today = moment(entry.at).chars().take(10).collect::<String>();
        if today != day {
            let _ = writeln!(text, "\n{}", paint.dim(&today));
            day = today;
        }
        if entry.life != life {
            life = entry.life;
            let line = match world.unpaused.contains(&life) {
                true => {
                    paint.dim(&format!("          it is paused; somebody goes on, and life {life} begins"))
                }
                false => paint.red(&format!("          the runner died; life {life} begins")),
            };
            let _ = writeln!(text, "{line}");
        }
        let (weight, line) = teller.tell(entry.at, &entry.event);
        let line = if weight == Weight::Book { paint.dim(&line) } else { line };
        let _ = writeln!(text, "{}  {line}", paint.dim(&clock(entry.at)));
    }
}

/// When a task ran.
#[derive(Clone, Copy)]
struct Bar {
    from: Timestamp,
    to: Timestamp,
    failed: bool,
}

fn timeline(text: &mut String, world: &Rehearsed, paint: Paint) {
    let (Some(first), Some(last)) = (world.trace.first(), world.trace.last()) else { return };
    let mut bars: BTreeMap<&TaskName, Bar> = BTreeMap::new();
    let mut order: Vec<&TaskName> = Vec::new();
    let mut deaths = Vec::new();
    for entry in &world.trace {
        match &entry.event {
            Event::TaskStarted { task, .. } | Event::GateOpened { task, .. } => {
                let bar = bars.entry(task).or_insert_with(|| {
                    order.push(task);
                    Bar { from: entry.at, to: last.at, failed: false }
                });
                bar.to = last.at;
            }
            Event::TaskSucceeded { task } => end(&mut bars, task, entry.at, false),
            Event::TaskFailed { task, .. } => end(&mut bars, task, entry.at, true),
            Event::TaskCancelled { task } => end(&mut bars, task, entry.at, false),
            Event::RunResumed { .. } if !world.unpaused.contains(&entry.life) => deaths.push(entry.at),
            _ => {}
        }
    }
    let whole = last.at.duration_since(first.at).as_secs().max(1);
    let place =
        |at: Timestamp| (at.duration_since(first.at).as_secs() * (WIDTH - 1) / whole).clamp(0, WIDTH - 1);
    let _ = writeln!(text, "\n{}", paint.bold("timeline"));
    let mut rows = Vec::new();
    for task in order {
        let bar = bars[task];
        let (from, to) = (place(bar.from), place(bar.to));
        let line: String = (0..WIDTH)
            .map(|column| match column {
                _ if column < from || column > to => '·',
                _ if bar.failed && column == to => '✗',
                _ => '█',
            })
            .collect();
        let shown = if bar.failed { paint.red(&line) } else { paint.blue(&line) };
        let took = bar.to.duration_since(bar.from).as_secs();
        rows.push(vec![task.to_string(), shown, lasting(took)]);
    }
    if !deaths.is_empty() {
        let marks: String = (0..WIDTH)
            .map(|column| if deaths.iter().any(|at| place(*at) == column) { '†' } else { ' ' })
            .collect();
        rows.push(vec!["the runner dies".to_owned(), paint.red(&marks), String::new()]);
    }
    text.push_str(&columns(&rows, "  "));
}

fn end<'t>(bars: &mut BTreeMap<&'t TaskName, Bar>, task: &'t TaskName, at: Timestamp, failed: bool) {
    if let Some(bar) = bars.get_mut(task) {
        bar.to = at;
        bar.failed = failed;
    }
}
