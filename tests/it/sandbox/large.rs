//! Ten thousand machines: AWS calls are counted against the least that pages, batches and the cadence allow.
//!
//! `RUNBOOK_LARGE=N` takes another number of machines. What is printed is what `docs/performance.md` has.

use std::{collections::BTreeMap, time::Instant};

use super::rollout::Rollout;

/// Says how many machines.
const HOW_MANY: &str = "RUNBOOK_LARGE";

const MACHINES: usize = 10_000;

/// The shares of the waves, in percent.
const WAVES: [usize; 3] = [10, 50, 100];

/// Machines of one `SendCommand`, and of one page of `ListCommandInvocations`, `DescribeInstanceInformation` and
/// `DescribeInstancePatchStates`; commands of one page of `ListCommands`.
const BATCH: usize = 50;

/// Machines of one page of `DescribeInstances`.
const PAGE: usize = 1000;

/// The longest that the machines of this fleet take, in seconds: the script that says which boot it is, patches with
/// their reboot, the closing scan.
const BOOT: usize = 20;
const INSTALLATION: usize = 12 * 60 + 90;
const SCAN: usize = 60;

fn fleet(machines: usize) -> String {
    format!(
        r#"
fleet: large
start: 2026-11-21T16:00:00Z
durations: {{ command: 5s..{BOOT}s, patch: 4m..12m, boot: 45s..90s, scan: 20s..{SCAN}s }}
groups:
  - {{ name: web, count: {machines}, tags: {{ Fleet: large }} }}
"#
    )
}

const RUNBOOK: &str = r#"
runbook: large
targets:
  all: { aws: { tags: { Fleet: large } } }
blocks:
  patched:
    patch:
      uses: aws/patch
      with: { operation: Install }
      way_back: none
      because: the machines of this test are thrown away
    compliant:
      needs: [patch]
      uses: aws/compliance
steps:
  all:
    run: patched
    targets: all
    rollout: { waves: [10%, 50%, 100%] }
"#;

#[test]
fn calls_are_near_the_least_possible() {
    let machines = std::env::var(HOW_MANY).ok().and_then(|text| text.parse().ok()).unwrap_or(MACHINES);
    let rollout = Rollout::new(RUNBOOK, &fleet(machines));
    let begun = Instant::now();
    let memory = rollout.ends(rollout.begin());
    let took = begun.elapsed();
    let end = rollout.end();
    assert_eq!(end.exit, Some(0), "{}", rollout.log());
    assert_eq!(end.outcomes.len(), machines);
    assert!(end.outcomes.values().all(|outcome| outcome == "succeeded"));
    let calls = rollout.sandbox.calls();
    assert_eq!(calls.doubled(), [].into());

    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for (operation, count) in calls.by_operation() {
        *made.entry(operation.trim_end_matches(" boot").to_owned()).or_default() += count;
    }
    eprintln!(
        "{machines} machines in {took:.1?}; the runner had {memory} MiB, the sandbox {} MiB",
        rollout.sandbox.peak_memory()
    );
    let least = least(machines);
    for (operation, count) in &made {
        let least = least.get(operation.as_str()).unwrap_or_else(|| panic!("{operation}: not counted"));
        eprintln!("{operation}: {count}, at least {least}");
        // A single look too many counts for much where there are few.
        assert!(*count <= least * 12 / 10 + 5, "{operation}: {count} where {least} would do");
    }
    let (made, least): (usize, usize) = (made.values().sum(), least.values().sum());
    eprintln!("{made} calls, at least {least}");
    assert!(made * 10 <= least * 12, "{made} calls where {least} would do");
}

/// How many machines each wave has.
fn waves(machines: usize) -> Vec<usize> {
    let reached: Vec<_> = WAVES.iter().map(|share| (machines * share).div_ceil(100)).collect();
    reached.iter().scan(0, |from, to| Some(to - std::mem::replace(from, *to))).collect()
}

/// How often something is looked at that takes so many seconds: every 5 s in the first minute, every 15 s up to ten
/// minutes, then every 30 s; the look that finds it over is one of them.
fn looks(seconds: usize) -> usize {
    let within =
        |from: usize, to: usize, every: usize| seconds.clamp(from, to).saturating_sub(from).div_ceil(every);
    within(0, 60, 5) + within(60, 600, 15) + within(600, 3600, 30)
}

/// The least number of calls, by operation. A wave has as many commands as fifty machines a command make, in four legs:
/// which boot, installation with its reboot, which boot, closing scan. Of each wave:
///
/// * each command is sent once, and its machines are listed once, when it is over;
/// * whether agents are heard is asked before the installation; patch states are read after the scan, and again to be
///   judged: fifty machines a call;
/// * whether ends may be seen at all is asked of both calls that tell them, before anything is sent;
/// * how far commands are is looked at, at the documented cadence, for as long as the slowest machine takes, fifty
///   commands a page; and once before the wave, whether somebody else patches;
/// * its machines are looked at once more before it begins.
///
/// The machines are found when the plan is made, and whose credentials these are is asked then and when it is run.
fn least(machines: usize) -> BTreeMap<&'static str, usize> {
    let sum = |of: &dyn Fn(usize) -> usize| -> usize { waves(machines).into_iter().map(of).sum() };
    let commands = |wave: usize| wave.div_ceil(BATCH);
    let rounds = 2 * looks(BOOT) + looks(INSTALLATION) + looks(SCAN);
    BTreeMap::from([
        ("ssm:SendCommand", sum(&|wave| 4 * commands(wave))),
        ("ssm:ListCommandInvocations", sum(&|wave| 4 * commands(wave) + 1)),
        ("ssm:ListCommands", sum(&|wave| rounds * commands(wave).div_ceil(BATCH) + 1)),
        ("ssm:DescribeInstanceInformation", sum(&commands)),
        ("ssm:DescribeInstancePatchStates", sum(&|wave| 2 * commands(wave) + 1)),
        ("ec2:DescribeInstances", machines.div_ceil(PAGE) + sum(&|wave| wave.div_ceil(PAGE))),
        ("sts:GetCallerIdentity", 2),
    ])
}
