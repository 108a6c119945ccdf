//! Worlds of one size, measured.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

/// How many machines are simulated in all, so that small worlds are measured often.
const MACHINES: u64 = 10_000;

/// How often the process is looked at. What it needs in its last moments is not seen.
const LOOK: Duration = Duration::from_millis(5);

/// A tick of the processor times that Linux tells.
const TICK: f64 = 0.01;

/// What a world costs.
#[derive(Debug)]
pub struct Measured {
    /// How many machines it has.
    pub machines: u64,
    /// Processor time, the plan's share in it.
    pub seconds: f64,
    /// Calls to services and hosts.
    pub calls: f64,
    /// Entries of the journal.
    pub entries: f64,
    /// Bytes of the journal.
    pub bytes: f64,
    /// The most memory that the process had resident, however many worlds it saw.
    pub peak_kib: f64,
}

impl Measured {
    /// `patch-linux.yaml` on a tenth of the machines in dev, three in staging and the rest in production, with the usual faults.
    ///
    /// # Errors
    /// The rehearsal failed.
    pub fn of(program: &Path, folder: &Path, machines: u64) -> Result<Self, String> {
        let worlds = (MACHINES / machines).max(1);
        let (fleet, output) = (folder.join("fleet.yaml"), folder.join("summary"));
        let (dev, staging) = (machines / 10, machines * 3 / 10);
        let stages = [("dev", dev), ("staging", staging), ("production", machines - dev - staging)];
        let mut text = format!("fleet: of-{machines}\ngroups:\n");
        for (stage, count) in stages {
            text.push_str(&format!(
                "  - {{ name: {stage}, count: {count}, volumes: 2, tags: {{ Environment: {stage}, \"Patch Group\": LinuxProd }} }}\n"
            ));
        }
        fs::write(&fleet, text).map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["rehearse", "runbooks/patch-linux.yaml", "--jobs", "1", "--crash", "none", "--json"])
            .args(["--seed", "1", "--seeds", &worlds.to_string(), "--fleet"])
            .arg(&fleet)
            .arg("--state")
            .arg(folder.join("state"))
            .stdin(Stdio::null())
            .stdout(File::create(&output).map_err(|error| error.to_string())?)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (mut ticks, mut peak_kib) = (0, 0);
        let status = loop {
            if let Some((now, most)) = look(child.id()) {
                (ticks, peak_kib) = (now.max(ticks), most.max(peak_kib));
            }
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None => thread::sleep(LOOK),
            }
        };
        let told = fs::read(&output).map_err(|error| error.to_string())?;
        let summary: Value = serde_json::from_slice(&told)
            .map_err(|_| format!("the rehearsal of {machines} machines ended with {status}"))?;
        if summary["broken"] != 0 {
            return Err(format!("laws were broken: {}", summary["violations"]));
        }
        let each = |key: &str| summary[key]["sum"].as_f64().unwrap_or(0.0) / worlds as f64;
        Ok(Self {
            machines,
            seconds: ticks as f64 * TICK / worlds as f64,
            calls: each("calls"),
            entries: each("entries"),
            bytes: each("journal_bytes"),
            peak_kib: peak_kib as f64,
        })
    }

    /// As a row of the table.
    pub fn row(&self) -> Vec<String> {
        let time = if self.seconds < 1.0 {
            format!("{:.1} ms", self.seconds * 1_000.0)
        } else {
            format!("{:.2} s", self.seconds)
        };
        vec![
            self.machines.to_string(),
            time,
            format!("{:.0}", self.calls),
            format!("{:.0}", self.entries),
            format!("{:.0} KiB", self.bytes / 1_024.0),
            format!("{:.0} MiB", self.peak_kib / 1_024.0),
        ]
    }
}

/// Processor time in ticks, and the most memory in KiB, of a process that lives.
fn look(process: u32) -> Option<(u64, u64)> {
    let times = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut after_name = times.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (after_name.next()?.parse().ok()?, after_name.next()?.parse().ok()?);
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some((user + system, peak.split_whitespace().next()?.parse().ok()?))
}
