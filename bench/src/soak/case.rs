//! What is rehearsed: each shipped runbook on fleets of up to twenty machines, and how.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// The largest fleet.
const MOST_MACHINES: u64 = 20;

/// The largest fleet whose runner dies before every append.
const MOST_AT_EVERY_APPEND: u64 = 6;

/// How many machines a made-up fleet has, about.
const SIZES: [u64; 5] = [2, 5, 9, 14, 20];

/// What runbooks must be told besides.
const PARAMS: [(&str, &str); 1] = [("runbooks/run-command.yaml", "script=uptime")];

/// How worlds go.
#[derive(Debug)]
pub struct Mode {
    /// The profile of faults.
    pub faults: &'static str,
    /// When the runner dies.
    pub crash: &'static str,
    /// How many worlds at a time.
    pub seeds: u64,
    /// The largest fleet. A world that dies before every append reads its journal again for each of them.
    pub machines: u64,
}

/// Every way in which each fleet is rehearsed.
pub const MODES: [Mode; 6] = [
    Mode { faults: "usual", crash: "random", seeds: 40, machines: MOST_MACHINES },
    Mode { faults: "rough", crash: "every-append", seeds: 2, machines: MOST_AT_EVERY_APPEND },
    Mode { faults: "rough", crash: "random", seeds: 40, machines: MOST_MACHINES },
    Mode { faults: "usual", crash: "none", seeds: 20, machines: MOST_MACHINES },
    Mode { faults: "usual", crash: "every-append", seeds: 2, machines: MOST_AT_EVERY_APPEND },
    Mode { faults: "rough", crash: "none", seeds: 20, machines: MOST_MACHINES },
];

/// A runbook and its machines.
#[derive(Debug)]
pub struct Case {
    /// The file.
    pub runbook: String,
    /// `--fleet FILE` or `--machines N`.
    pub fleet: [String; 2],
    /// How many machines the plan has.
    pub machines: u64,
}

impl Case {
    /// What `runbook` is called with.
    pub fn arguments(&self) -> Vec<&str> {
        let params = PARAMS.iter().filter(|(runbook, _)| *runbook == self.runbook);
        let mut arguments = vec!["rehearse", &self.runbook];
        arguments.extend(params.flat_map(|(_, param)| ["--param", *param]));
        arguments.extend(self.fleet.iter().map(String::as_str));
        arguments
    }

    /// One world, to see whether this can be rehearsed: the case with its number of machines, or why not.
    fn tried(program: &Path, folder: &Path, runbook: &str, fleet: [String; 2]) -> Result<Self, String> {
        let case = Self { runbook: runbook.to_owned(), fleet, machines: 0 };
        let done = Command::new(program)
            .args(case.arguments())
            .args(["--seeds", "1", "--faults", "none", "--crash", "none", "--json", "--state"])
            .arg(folder.join("state"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        let Ok(summary) = serde_json::from_slice::<Value>(&done.stdout) else {
            let why = serde_json::from_slice::<Value>(&done.stderr).unwrap_or_default();
            return Err(why["error"].as_str().unwrap_or("it does not say why").to_owned());
        };
        let machines = summary["machines"].as_object().into_iter().flatten();
        let machines = machines.filter_map(|(_, count)| count.as_u64()).sum();
        Ok(Self { machines, ..case })
    }
}

/// The cases, and the runbooks that cannot be rehearsed at all, with the reason.
pub fn all(program: &Path, folder: &Path) -> Result<(Vec<Case>, BTreeMap<String, String>), String> {
    let fleets = yaml_below("runbooks/fleets")?;
    let (mut cases, mut refused) = (Vec::new(), BTreeMap::new());
    for runbook in yaml_below("runbooks")? {
        let before = cases.len();
        let tried = |fleet| Case::tried(program, folder, &runbook, fleet);
        let made_up = |machines: u64| ["--machines".to_owned(), machines.to_string()];
        match tried(made_up(1)) {
            Ok(one) => {
                let mut most = 0;
                for size in SIZES {
                    let each = (size / one.machines.max(1)).max(1);
                    let case = tried(made_up(each))?;
                    if case.machines > most && case.machines <= MOST_MACHINES {
                        most = case.machines;
                        cases.push(case);
                    }
                }
            }
            Err(why) => {
                refused.insert(runbook.clone(), why);
            }
        }
        // Which fleets are meant for a runbook, its machines say.
        for fleet in &fleets {
            if let Ok(case) = tried(["--fleet".to_owned(), fleet.clone()])
                && (1..=MOST_MACHINES).contains(&case.machines)
            {
                cases.push(case);
            }
        }
        if cases.len() > before {
            refused.remove(&runbook);
        }
    }
    if cases.is_empty() {
        Err("there is no runbook that can be rehearsed".to_owned())
    } else {
        Ok((cases, refused))
    }
}

fn yaml_below(folder: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let yaml = paths.filter(|path: &PathBuf| path.extension().is_some_and(|kind| kind == "yaml"));
    let mut names: Vec<String> = yaml.map(|path| path.display().to_string()).collect();
    // What is expected of a runbook is no runbook.
    names.retain(|name| !name.ends_with(".test.yaml"));
    names.sort();
    Ok(names)
}
