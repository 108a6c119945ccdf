//! The table: each line is this program run once more, on the same disk, beside the disk's own rate.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    chart,
    running::{Figures, Running},
    shares,
};

/// How many appends the disk's own rate is measured with.
const APPENDS: usize = 2_000;

/// A case: its name, its stages, and whether a gate stands before each of them.
type Case = (&'static str, Vec<usize>, bool);

/// Prints the tables.
pub fn print() -> Result<(), String> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(std::env::var("BENCH_DISK").unwrap_or_else(|_| ".".into()))
        .map_err(|error| format!("a folder for the bench: {error}"))?;
    let folder = folder.path();
    let raw = appends_per_second(folder).map_err(|error| format!("the disk's own rate: {error}"))?;
    let cases: [Case; 6] = [
        ("chain of 1,000, one at a time", vec![1; 1_000], false),
        ("chain of 10,000, one at a time", vec![1; 10_000], false),
        ("1,000 side by side, 64 at a time", vec![1, 1_000, 1], false),
        ("10,000 side by side, 64 at a time", vec![1, 10_000, 1], false),
        ("5 stages of 200, a gate before each", vec![200; 5], true),
        ("3 steps", vec![1; 3], false),
    ];
    let (mut rows, mut shares) = (Vec::new(), Vec::new());
    for (number, (name, stages, gates)) in cases.iter().enumerate() {
        let place = folder.join(format!("case-{number}"));
        let figures = Running { shares: true, ..Running::of(&place, stages, *gates) }.run()?;
        exactly_once(&place.join("effects"), stages.iter().sum())?;
        rows.push(row(name, &figures, raw));
        shares.push(figures);
    }
    let place = folder.join("killed");
    let chain = vec![1; 1_000];
    Running { kill: Some(500), ..Running::of(&place, &chain, false) }.killed()?;
    let figures = Running { resume: true, ..Running::of(&place, &chain, false) }.run()?;
    exactly_once(&place.join("effects"), 1_000)?;
    rows.push(row("chain of 1,000 killed at 500: the resume", &Figures { steps: 500.0, ..figures }, raw));
    let head = [
        "what",
        "steps/s",
        "transitions/s",
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
    where_it_goes(&[("one at a time", &shares[0]), ("64 at a time", &shares[2])]);
    println!();
    long_resume(folder)?;
    println!();
    check_start(folder)
}

/// A step goes from pending to running to its end.
const TRANSITIONS: f64 = 2.0;

fn row(name: &str, figures: &Figures, raw: f64) -> Vec<String> {
    let rate = figures.steps / figures.seconds;
    vec![
        name.to_owned(),
        format!("{rate:.0}"),
        format!("{:.0}", rate * TRANSITIONS),
        format!("{:.3}", figures.batches / figures.steps),
        format!("{:.3}", figures.seconds),
        format!("{:.0}", figures.bytes / figures.steps),
        format!("{:.0}", figures.peak_mib),
        format!("{:.1}", figures.planning_ms),
        format!("{:.2}", rate / raw),
    ]
}

/// Where the time of a step goes.
fn where_it_goes(cases: &[(&str, &Figures)]) {
    let mut rows = Vec::new();
    for (key, name) in shares::SHARES {
        let share = |figures: &Figures| figures.shares[key].as_f64().unwrap_or(f64::NAN);
        let cells = cases.iter().map(|(_, figures)| format!("{:.1}", share(figures) / figures.steps * 1e6));
        rows.push([vec![name.to_owned()], cells.collect()].concat());
    }
    let whole = cases.iter().map(|(_, figures)| format!("{:.1}", figures.seconds / figures.steps * 1e6));
    rows.push([vec!["all of it".to_owned()], whole.collect()].concat());
    let head = cases.iter().map(|(name, _)| *name);
    let head: Vec<_> = ["microseconds of a step"].into_iter().chain(head).collect();
    chart::print(&head, &rows);
}

/// How long a run of some 100,000 entries takes to stand again: the store opened, the plan read, the state rebuilt. Its steps
/// leave three checkpoints each: started, three of those, reported, succeeded.
fn long_resume(folder: &Path) -> Result<(), String> {
    let place = folder.join("long");
    let stages = [2_400; 7];
    let steps: usize = stages.iter().sum();
    let notes = 3;
    Running { kill: Some(steps as u64), notes, ..Running::of(&place, &stages, true) }.killed()?;
    let mut rows = Vec::new();
    for (name, whole) in [("from the state that was kept", false), ("from the whole journal", true)] {
        let copy = folder.join(format!("long-{whole}"));
        copy_folder(&place, &copy).map_err(|error| format!("a copy of the long run: {error}"))?;
        let states = copy.join("state/states");
        let kept = size_of(&states).map_err(|error| format!("the kept state: {error}"))?;
        if whole {
            fs::remove_dir_all(states).map_err(|error| format!("the kept state: {error}"))?;
        }
        let begun = Instant::now();
        let figures = Running { resume: true, notes, ..Running::of(&copy, &stages, true) }.run()?;
        let all = begun.elapsed();
        exactly_once(&copy.join("effects"), steps)?;
        rows.push(vec![
            name.to_owned(),
            format!("{:.0}", figures.entries),
            format!("{:.3}", figures.stands),
            format!("{:.3}", all.as_secs_f64()),
            format!("{:.0}", figures.peak_mib),
            if whole { "-".to_owned() } else { format!("{:.1}", kept / f64::from(1 << 20)) },
        ]);
    }
    let head = [
        "resume",
        "entries",
        "seconds until it stands",
        "seconds of the process, last step included",
        "peak MiB",
        "MiB of states/RUN",
    ];
    chart::print(&head, &rows);
    Ok(())
}

/// The bytes of a folder's files.
fn size_of(folder: &Path) -> io::Result<f64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// The disk's own rate: append, fdatasync, one at a time.
fn appends_per_second(folder: &Path) -> io::Result<f64> {
    let spent = shares::on_disk(folder, &[64; APPENDS])?;
    Ok(APPENDS as f64 / spent.as_secs_f64())
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
