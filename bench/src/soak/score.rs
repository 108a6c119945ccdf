//! What came of a soak.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{case::Case, chunk::Chunk};
use crate::chart;

/// How many findings are shown.
const MOST_FINDINGS: usize = 200;

/// The status words of runs, in the order of columns.
const STATUSES: [&str; 6] = ["succeeded", "restored", "failed", "stuck", "cancelled", "paused"];

#[derive(Debug, Default)]
struct Row {
    fleets: u64,
    largest: u64,
    worlds: u64,
    statuses: BTreeMap<String, u64>,
    crashes: u64,
    entries: u64,
    broken: u64,
}

/// What came of it so far.
#[derive(Debug)]
pub struct Score {
    rows: BTreeMap<String, Row>,
    by_crash: BTreeMap<&'static str, u64>,
    findings: Vec<String>,
    broken: u64,
    ill: u64,
}

impl Score {
    /// Before the first world.
    pub fn new(cases: &[Case]) -> Self {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for case in cases {
            let row = rows.entry(case.runbook.clone()).or_default();
            row.fleets += 1;
            row.largest = row.largest.max(case.machines);
        }
        Self { rows, by_crash: BTreeMap::new(), findings: Vec::new(), broken: 0, ill: 0 }
    }

    /// Some worlds more.
    pub fn add(&mut self, case: &Case, chunk: &Chunk, came: Result<Value, String>) {
        let summary = match came {
            Ok(summary) => summary,
            Err(why) => {
                self.ill += 1;
                return self.find(format!("{why}\n    {}", chunk.command(case)));
            }
        };
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let worlds = number(&summary["seeds"]);
        *self.by_crash.entry(chunk.mode.crash).or_default() += worlds;
        let row = self.rows.entry(case.runbook.clone()).or_default();
        row.worlds += worlds;
        row.crashes += number(&summary["crashes"]);
        row.entries += number(&summary["entries"]["sum"]);
        row.broken += number(&summary["broken"]);
        self.broken += number(&summary["broken"]);
        for (status, count) in summary["outcomes"].as_object().into_iter().flatten() {
            *row.statuses.entry(status.clone()).or_default() += number(count);
        }
        for broken in summary["violations"].as_array().into_iter().flatten() {
            let text = |key: &str| broken[key].as_str().unwrap_or_default().to_owned();
            self.find(format!("{}: {}\n    {}", text("law"), text("detail"), text("again")));
        }
    }

    fn find(&mut self, finding: String) {
        eprintln!("found: {finding}");
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Whether no law was broken, and every process came to its end.
    pub fn is_clean(&self) -> bool {
        self.broken == 0 && self.ill == 0
    }

    /// How far it is.
    pub fn in_a_line(&self) -> String {
        let worlds: u64 = self.rows.values().map(|row| row.worlds).sum();
        format!("{worlds} worlds, {} laws broken, {} processes ill", self.broken, self.ill)
    }

    /// The table.
    pub fn print(&self, took: Duration) {
        let mut head = vec!["runbook", "fleets", "machines", "worlds"];
        head.extend(STATUSES);
        head.extend(["crashes", "entries", "laws broken"]);
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut all = Row::default();
        for (runbook, row) in &self.rows {
            let name = runbook.trim_start_matches("runbooks/").trim_end_matches(".yaml");
            rows.push(row.cells(name));
            all.take_in(row);
        }
        rows.push(all.cells("all"));
        println!();
        chart::print(&head, &rows);
        let seconds = took.as_secs_f64();
        println!(
            "\n{:.1} minutes, {:.1} worlds a second: {}.",
            seconds / 60.0,
            all.worlds as f64 / seconds,
            self.by_crash
                .iter()
                .map(|(crash, worlds)| format!("{worlds} with --crash {crash}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        match self.findings.len() {
            0 => println!("No law was broken."),
            _ => println!("{} laws broken, {} processes ill:\n", self.broken, self.ill),
        }
        for finding in &self.findings {
            println!("  {finding}");
        }
    }
}

impl Row {
    fn take_in(&mut self, other: &Self) {
        self.fleets += other.fleets;
        self.largest = self.largest.max(other.largest);
        self.worlds += other.worlds;
        self.crashes += other.crashes;
        self.entries += other.entries;
        self.broken += other.broken;
        for (status, count) in &other.statuses {
            *self.statuses.entry(status.clone()).or_default() += count;
        }
    }

    fn cells(&self, name: &str) -> Vec<String> {
        let mut cells = vec![name.to_owned(), self.fleets.to_string()];
        cells.push(format!("up to {}", self.largest));
        cells.push(self.worlds.to_string());
        let status = |status: &&str| self.statuses.get(*status).copied().unwrap_or(0).to_string();
        cells.extend(STATUSES.iter().map(status));
        cells.extend([self.crashes, self.entries, self.broken].map(|count| count.to_string()));
        cells
    }
}
