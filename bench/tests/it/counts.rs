//! The instructions of the hot paths are those of `bench/counts.txt`, or fewer.
//!
//! `make counts` writes the file anew (`RUNBOOK_WRITE_COUNTS=1`).

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, process::Command};

use crate::callgrind;

/// So much of a count may be added before it is a change for the worse. Hash tables that are seeded anew in every process,
/// and libraries of the system, move a count by less than a hundredth.
const MORE: f64 = 0.05;

/// With ten times as many tasks or machines an event may cost so much more: trees are deeper by a level or two.
const TENFOLD: f64 = 1.5;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
}

/// Another compiler makes other instructions.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg("--version").output().expect("rustc");
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

fn page(counts: &BTreeMap<String, u64>) -> String {
    let mut page = format!(
        "# Instructions of a debug build under callgrind: `make counts` writes this, bench/tests/it/counts.rs compares.\n\
         # {}\n",
        compiler()
    );
    for (name, count) in counts {
        let _ = writeln!(page, "{name:<32} {count:>13}");
    }
    page
}

fn read(page: &str) -> BTreeMap<&str, u64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, count) = line.split_once(' ').expect("a name and a count");
            (name, count.trim().parse().expect("a count"))
        })
        .collect()
}

#[test]
fn no_hot_path_costs_more_instructions_than_the_file_says() {
    let installed =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh")).status().expect("a shell");
    assert!(installed.success(), "bench/install.sh");
    let counts = callgrind::count(env!("CARGO_BIN_EXE_runbook-counts"));
    let now = page(&counts);
    println!("{now}");

    // This holds for every compiler.
    for what in ["tasks", "machines"] {
        let of = |number: &str| counts[&format!("deciding_among_{number}_{what}")] as f64;
        let (few, many) = if what == "tasks" { ("1_000", "10_000") } else { ("500", "5_000") };
        let times = of(many) / of(few);
        assert!(
            times < TENFOLD,
            "an event costs {times:.1} times as much among {many} {what} as among {few}"
        );
    }

    if std::env::var_os("RUNBOOK_WRITE_COUNTS").is_some() {
        fs::write(file(), &now).expect("written");
        return;
    }
    let kept = fs::read_to_string(file()).expect("bench/counts.txt");
    if kept.lines().nth(1) != now.lines().nth(1) {
        println!(
            "bench/counts.txt is of another compiler, so nothing is compared: `make counts` writes it anew"
        );
        return;
    }
    let kept = read(&kept);
    let mut worse = String::new();
    for (name, count) in read(&now) {
        let Some(before) = kept.get(name) else {
            let _ = writeln!(worse, "{name} is not in bench/counts.txt");
            continue;
        };
        let change = count as f64 / *before as f64 - 1.0;
        if change > MORE {
            let share = change * 100.0;
            let _ = writeln!(worse, "{name} costs {share:.1} % more instructions: {before}, now {count}");
        }
    }
    assert!(
        worse.is_empty(),
        "{worse}Mend it; or, where it is worth that, run `make counts` and commit bench/counts.txt with the reason."
    );
}
