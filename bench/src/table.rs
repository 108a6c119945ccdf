//! The table: each line is this program run once more, on the same disk, beside the disk's own rate.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;

use crate::chart;

/// How many appends the disk's own rate is measured with.
const APPENDS: u32 = 2_000;

/// What is measured of a run.
struct Figures {
    steps: f64,
    seconds: f64,
    batches: f64,
    peak_mib: f64,
    bytes: f64,
    planning_ms: f64,
}

/// Prints the table.
pub fn print() -> Result<(), String> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(std::env::var("BENCH_DISK").unwrap_or_else(|_| ".".into()))
        .map_err(|error| format!("a folder for the bench: {error}"))?;
    let folder = folder.path();
    let raw = appends_per_second(folder).map_err(|error| format!("the disk's own rate: {error}"))?;
    let cases: [(&str, Vec<usize>, bool); 4] = [
        ("chain of 1,000", vec![1; 1_000], false),
        ("1,000 side by side, 64 at a time", vec![1, 1_000, 1], false),
        ("5 stages of 200, a gate before each", vec![200; 5], true),
        ("3 steps", vec![1; 3], false),
    ];
    let mut rows = Vec::new();
    for (number, (name, stages, gates)) in cases.iter().enumerate() {
        let place = folder.join(format!("case-{number}"));
        let figures = run(&place, stages, *gates, None, false)?;
        exactly_once(&place.join("effects"), stages.iter().sum())?;
        rows.push(row(name, &figures, raw));
    }
    let place = folder.join("killed");
    let chain = vec![1; 1_000];
    if run(&place, &chain, false, Some(500), false).is_ok() {
        return Err("the run that was to kill itself at step 500 came to its end".into());
    }
    let figures = run(&place, &chain, false, None, true)?;
    exactly_once(&place.join("effects"), 1_000)?;
    rows.push(row("chain of 1,000 killed at 500: the resume", &Figures { steps: 500.0, ..figures }, raw));
    let head = [
        "what",
        "steps/s",
        "batches/step",
        "seconds",
        "bytes/step",
        "peak MiB",
        "planning ms",
        "of the disk's rate",
    ];
    println!("The disk takes {raw:.0} synced appends of 64 bytes a second (this run, this disk).\n");
    chart::print(&head, &rows);
    println!();
    check_start(folder)
}

fn row(name: &str, figures: &Figures, raw: f64) -> Vec<String> {
    let rate = figures.steps / figures.seconds;
    vec![
        name.to_owned(),
        format!("{rate:.0}"),
        format!("{:.3}", figures.batches / figures.steps),
        format!("{:.3}", figures.seconds),
        format!("{:.0}", figures.bytes / figures.steps),
        format!("{:.0}", figures.peak_mib),
        format!("{:.1}", figures.planning_ms),
        format!("{:.2}", rate / raw),
    ]
}

/// The disk's own rate: append, fdatasync, one at a time.
fn appends_per_second(folder: &Path) -> io::Result<f64> {
    let mut file = File::create(folder.join("raw"))?;
    let began = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[b'x'; 64])?;
        file.sync_data()?;
    }
    Ok(f64::from(APPENDS) / began.elapsed().as_secs_f64())
}

/// Runs this program once, in a process group of its own.
fn run(
    place: &Path,
    stages: &[usize],
    gates: bool,
    kill: Option<u64>,
    resume: bool,
) -> Result<Figures, String> {
    fs::create_dir_all(place).map_err(|error| error.to_string())?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let figures = place.join("figures");
    let mut command = Command::new(this);
    command
        .env("BENCH_STAGES", serde_json::to_string(stages).map_err(|error| error.to_string())?)
        .env("BENCH_GATES", if gates { "1" } else { "0" })
        .env("BENCH_STATE", place.join("state"))
        .env("BENCH_EFFECTS", place.join("effects"))
        .env("BENCH_FIGURES", &figures)
        .env("BENCH_KILL", kill.map(|number| number.to_string()).unwrap_or_default())
        .env("BENCH_RESUME", if resume { "1" } else { "0" })
        .stdout(Stdio::null())
        .process_group(0);
    let status = command.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("the run of {stages:?} ended with {status}"));
    }
    read_figures(&figures)
}

fn read_figures(file: &PathBuf) -> Result<Figures, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let number = |key: &str| value[key].as_f64().ok_or_else(|| format!("no figure `{key}`"));
    Ok(Figures {
        steps: number("steps")?,
        seconds: number("seconds")?,
        batches: number("batches")?,
        peak_mib: number("peak_kib")? / 1024.0,
        bytes: number("state_bytes")?,
        planning_ms: number("planning_seconds")? * 1000.0,
    })
}

/// Every step left its number once.
fn exactly_once(effects: &Path, steps: usize) -> Result<(), String> {
    let text = fs::read_to_string(effects).map_err(|error| error.to_string())?;
    let mut counts = vec![0_u32; steps + 1];
    for line in text.lines() {
        let number: usize = line.parse().map_err(|_| format!("`{line}` is no number of a step"))?;
        *counts.get_mut(number).ok_or_else(|| format!("there is no step {number}"))? += 1;
    }
    match counts.iter().enumerate().skip(1).find(|(_, count)| **count != 1) {
        Some((number, count)) => Err(format!("step {number} ran {count} times")),
        None => Ok(()),
    }
}

/// Start-up of `runbook check` on a runbook of 1,000 steps, if the binary stands beside this one.
fn check_start(folder: &Path) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let runbook = this.with_file_name("runbook");
    if !runbook.exists() {
        println!("`runbook` is not built beside this program: start-up was not measured.");
        return Ok(());
    }
    let file = folder.join("thousand.yaml");
    let mut text = String::from("runbook: thousand\nsteps:\n");
    for number in 1..=1_000 {
        let needs = if number > 1 { format!("needs: [s{}], ", number - 1) } else { String::new() };
        text += &format!("  s{number}: {{ {needs}uses: gate/wait, with: {{ for: 1s }} }}\n");
    }
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let began = Instant::now();
        let status = Command::new(&runbook)
            .args(["check".as_ref(), file.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("`runbook check` ended with {status}"));
        }
        best = best.min(began.elapsed().as_secs_f64());
    }
    println!("`runbook check` of 1,000 steps, process start included, best of 10: {:.1} ms", best * 1000.0);
    Ok(())
}
