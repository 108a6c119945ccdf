//! The list of runs.

use runbook_state::store::RunRow;
use serde_json::{Value, json};

use super::{
    columns::columns,
    paint::Paint,
    words::{between, moment},
};

/// One run, for a program.
pub fn json(row: &RunRow) -> Value {
    json!({
        "run": row.run,
        "runbook": row.runbook,
        "status": row.status,
        "exit": row.exit,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "plan": { "sha256": row.plan },
        "linked_to": row.linked_to,
    })
}

/// All runs, for a person.
pub fn page(rows: &[RunRow], paint: Paint) -> String {
    let mut lines =
        vec![["run", "runbook", "status", "started", "took", "of run"].map(|word| paint.dim(word)).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            paint.bold(row.run.as_str()),
            row.runbook.clone(),
            paint.status(&row.status),
            moment(row.started_at),
            row.finished_at.map(|end| between(row.started_at, end)).unwrap_or_default(),
            row.linked_to.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    }));
    columns(&lines, "")
}
