//! What came of rehearsed worlds, as one page without anything outside of it, for a change request.

use minijinja::{AutoEscape, Environment, value::Serde};
use runbook_engine::{laws::Law, outcome::TargetOutcome};
use serde_json::{Value, json};

use super::{
    rehearsal_page::{self, About, grouped, lasting, share},
    rehearsal_plot,
    words::count,
};
use crate::rehearsal::{Length, Spread, Tally, Worst};

/// How many causes are told.
const MOST_CAUSES: usize = 12;

/// How many broken laws are told one by one.
const MOST_VIOLATIONS: usize = 20;

/// The page.
///
/// # Errors
/// Never for what a rehearsal gives: the template is part of the binary, and a test renders it.
pub fn page(about: &About<'_>, tally: &mut Tally) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.render_str(include_str!("rehearsal.html"), Serde(contents(about, tally)))
}

fn contents(about: &About<'_>, tally: &mut Tally) -> Value {
    let mut causes: Vec<_> = tally.causes.iter().collect();
    causes.sort_by_key(|(_, (worlds, _))| std::cmp::Reverse(*worlds));
    let other_causes = causes.len().saturating_sub(MOST_CAUSES);
    let causes: Vec<Value> = causes
        .iter()
        .take(MOST_CAUSES)
        .map(|(cause, (worlds, seed))| json!({ "cause": cause, "worlds": grouped(*worlds), "seed": seed }))
        .collect();
    let violations: Vec<Value> = tally
        .violations
        .iter()
        .take(MOST_VIOLATIONS)
        .map(|(seed, broken)| {
            json!({ "law": broken.law.words(), "detail": broken.detail, "again": about.command(*seed) })
        })
        .collect();
    let plots = [
        rehearsal_plot::finished(&mut tally.makespan_s),
        rehearsal_plot::left_of_window(&mut tally.margin_s),
    ];
    json!({
        "runbook": about.plan.runbook,
        "description": about.plan.description,
        "about": rehearsed(about, tally),
        "verdict": verdict(tally),
        "tone": tone(tally),
        "tiles": tiles(tally),
        "ends": ends(tally),
        "plots": plots.into_iter().flatten().collect::<Vec<_>>(),
        "outcomes": outcomes(tally),
        "spreads": spreads(tally),
        "causes": causes,
        "other_causes": other_causes,
        "worst": worst(about, tally),
        "laws": laws(tally),
        "violations": violations,
        "lengths": lengths(about.lengths),
        "faults": about.profile.name,
        "faults_description": about.profile.description,
        "drawn": drawn(tally),
        "crashes": capital(about.crashes_in_words()),
        "crashed": count_of(tally.crashes, "crash", "crashes"),
        "command": about.again_all(),
    })
}

/// What was rehearsed, so that it can be held against what is to be executed.
fn rehearsed(about: &About<'_>, tally: &Tally) -> Vec<Value> {
    let row = |name: &str, value: String| json!({ "name": name, "value": value, "code": false });
    let groups: Vec<String> =
        about.plan.groups.iter().map(|(group, machines)| format!("{group} {}", machines.len())).collect();
    let machines = count(about.plan.targets.len(), "machine");
    let mut rows = vec![
        row("Runbook", format!("{} ({})", about.plan.runbook, about.plan.entry)),
        json!({ "name": "Plan (SHA-256)", "value": about.plan.digest(), "code": true }),
        row("Fleet", format!("{}: {machines} ({})", about.fleet.fleet, groups.join(", "))),
    ];
    if let Some(description) = &about.fleet.description {
        rows.push(row("", description.clone()));
    }
    if !about.plan.params.is_empty() {
        let shown = |(name, value): (&String, &Value)| match value.as_str() {
            Some(text) => format!("{name}: {text}"),
            None => format!("{name}: {value}"),
        };
        rows.push(row("Parameters", about.plan.params.iter().map(shown).collect::<Vec<_>>().join(", ")));
    }
    let (first, last) = (about.seeds.start, about.seeds.end.saturating_sub(1));
    rows.push(row(
        "Worlds",
        format!("{}, seeds {first} to {last}", count_of(tally.worlds, "world", "worlds")),
    ));
    rows.push(row("Faults", format!("profile {}", about.profile.name)));
    rows.push(row("Crashes", about.crashes_in_words().to_owned()));
    rows.push(row(
        "Rehearsed",
        format!("{} UTC, by runbook {}", about.at.strftime("%Y-%m-%d %H:%M"), env!("CARGO_PKG_VERSION")),
    ));
    rows
}

/// One sentence on the worlds, and one on the laws.
fn verdict(tally: &Tally) -> String {
    let of = |status: &str| tally.statuses.get(status).copied().unwrap_or(0);
    let well = of("succeeded");
    let mut ends = vec![format!(
        "{} of {} ended as planned ({})",
        grouped(well),
        count_of(tally.worlds, "rehearsed world", "rehearsed worlds"),
        share(well, tally.worlds)
    )];
    for (status, words) in [
        ("restored", "stopped, with everything that had failed put back and verified"),
        ("failed", "stopped, with machines or gates that failed"),
        ("cancelled", "called off"),
        ("paused", "left waiting for a person to go on"),
        ("stuck", "left with machines that a person must see to"),
    ] {
        if of(status) > 0 {
            ends.push(format!("{} {words}", grouped(of(status))));
        }
    }
    let laws = match tally.broken {
        0 => format!("All {} laws were kept in every world.", Law::ALL.len()),
        1 => "A law was broken: this is a defect of runbook.".to_owned(),
        broken => format!("A law was broken {} times: this is a defect of runbook.", grouped(broken)),
    };
    format!("{}. {laws}", ends.join("; "))
}

fn tone(tally: &Tally) -> &'static str {
    let ends = |statuses: &[&str]| statuses.iter().any(|status| tally.statuses.contains_key(*status));
    match tally.broken {
        0 if ends(&["failed", "stuck", "paused"]) => "mild",
        0 => "good",
        _ => "bad",
    }
}

/// The kinds of faults that were there, with the worlds that had them.
fn drawn(tally: &Tally) -> Vec<Value> {
    let row = |(kind, worlds): (&String, &u64)| {
        let (kind, share) = (kind.replace('_', " "), share(*worlds, tally.worlds));
        json!({ "kind": kind, "worlds": grouped(*worlds), "share": share })
    };
    tally.drawn.iter().map(row).collect()
}

fn tiles(tally: &mut Tally) -> Vec<Value> {
    let tile = |name: &str, value: String| json!({ "name": name, "value": value });
    let time = |seconds: Option<i64>| seconds.map_or_else(|| "–".to_owned(), lasting);
    let number =
        |number: Option<i64>| number.map_or_else(|| "–".to_owned(), |number| grouped(number.unsigned_abs()));
    vec![
        tile("finished after, in the median", time(tally.makespan_s.percentile(50))),
        tile("finished after, 95 of 100 at most", time(tally.makespan_s.percentile(95))),
        tile("machines restored, 95 of 100 worlds at most", number(tally.restored.percentile(95))),
        tile("machines for a person, 95 of 100 worlds at most", number(tally.stuck.percentile(95))),
    ]
}

fn ends(tally: &Tally) -> Vec<Value> {
    let row = |(status, worlds): (&String, &u64)| {
        let (tone, meaning) = match status.as_str() {
            "succeeded" => ("good", "as planned; what failed within the budget was put back"),
            "restored" => ("mild", "stopped over the budget; what failed was put back and verified"),
            "cancelled" => ("mild", "called off by a person"),
            "paused" => ("mild", "waits for a person to go on"),
            "failed" => ("bad", "stopped over the budget, or by a gate; what was changed stays as it is"),
            "stuck" => ("bad", "machines are left that a person must see to"),
            "broken" => ("bad", "a law was broken"),
            _ => ("none", ""),
        };
        share_row(status, meaning, tone, *worlds, tally.worlds)
    };
    tally.statuses.iter().map(row).collect()
}

fn outcomes(tally: &Tally) -> Vec<Value> {
    let all = tally.machines.values().sum();
    let row = |(outcome, machines): (&TargetOutcome, &u64)| {
        let (tone, meaning) = match outcome {
            TargetOutcome::Succeeded => ("good", "changed, and well"),
            TargetOutcome::Restored => ("mild", "put back, and well"),
            TargetOutcome::NotStarted => ("none", "not touched"),
            TargetOutcome::Excluded => ("none", "left out by the runbook or by a person"),
            TargetOutcome::Failed => ("bad", "failed, and not put back"),
            TargetOutcome::RestoreFailed => ("bad", "the way back failed"),
            TargetOutcome::Unreachable => ("bad", "did not answer"),
            TargetOutcome::TimedOut => ("bad", "was not done in time"),
            TargetOutcome::Unknown => ("bad", "nobody can tell what became of it"),
            _ => ("none", ""),
        };
        share_row(outcome.as_str(), meaning, tone, *machines, all)
    };
    tally.machines.iter().map(row).collect()
}

fn share_row(word: &str, meaning: &str, tone: &str, part: u64, whole: u64) -> Value {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    json!({
        "word": word.replace('_', " "), "meaning": meaning, "tone": tone, "part": part, "count": grouped(part),
        "share": share(part, whole), "percent": format!("{percent:.2}"),
    })
}

fn spreads(tally: &mut Tally) -> Vec<Value> {
    let row = |name: &str, spread: &mut Spread, show: fn(i64) -> String| {
        let cell = |number: Option<i64>| number.map_or_else(|| "–".to_owned(), show);
        json!({
            "name": name, "median": cell(spread.percentile(50)), "p95": cell(spread.percentile(95)),
            "most": cell(spread.max()),
        })
    };
    let plain = |number: i64| grouped(number.unsigned_abs());
    vec![
        row("finished after", &mut tally.makespan_s, lasting),
        row("machines touched", &mut tally.touched, plain),
        row("machines restored", &mut tally.restored, plain),
        row("machines that a person must see to", &mut tally.stuck, plain),
        row("calls to services and hosts", &mut tally.calls, plain),
        row("entries of the journal", &mut tally.entries, plain),
    ]
}

fn worst(about: &About<'_>, tally: &Tally) -> Vec<Value> {
    let row = |worst: &Worst| {
        let tone =
            if matches!(worst.status.as_str(), "broken" | "stuck" | "failed") { "bad" } else { "mild" };
        json!({
            "word": worst.status, "tone": tone, "after": lasting(worst.makespan_s), "unwell": worst.unwell,
            "stuck": worst.stuck, "cause": worst.cause, "again": about.command(worst.seed),
        })
    };
    tally.worst.iter().map(row).collect()
}

fn lengths(lengths: &[Length]) -> Vec<Value> {
    let row = |length: &Length| {
        json!({
            "what": length.what, "platform": length.platform, "range": rehearsal_page::range(length),
            "source": rehearsal_page::source(&length.source),
        })
    };
    lengths.iter().map(row).collect()
}

fn laws(tally: &Tally) -> Vec<Value> {
    let row = |law: Law| {
        let broken = tally.laws.get(&law).copied().unwrap_or(0);
        json!({
            "words": law.words(), "broken": grouped(broken), "mark": if broken == 0 { "✓" } else { "✗" },
            "said": if broken == 0 { "kept" } else { "broken" },
            "tone": if broken == 0 { "good" } else { "bad" },
        })
    };
    Law::ALL.into_iter().map(row).collect()
}

fn count_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
