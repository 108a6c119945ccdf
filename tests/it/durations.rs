//! How long it takes, from this state folder's own runs: in plans, at windows, and in rehearsals.

use std::fs;

use serde_json::{Value, json};

use crate::{
    holder::{slow, until},
    program::Place,
};

const PATCH: &str = "runbooks/patch-linux.yaml";

/// Nothing goes wrong on it.
const QUIET: &str = "
fleet: quiet
groups:
  - { name: dev, count: 1, tags: { Environment: dev, \"Patch Group\": LinuxProd } }
  - { name: staging, count: 2, tags: { Environment: staging, \"Patch Group\": LinuxProd } }
  - { name: production, count: 3, tags: { Environment: production, \"Patch Group\": LinuxProd } }
people:
  - { name: anna, groups: [change-managers], after: 5m, answer: approve }
  - { name: bert, groups: [change-managers], after: 9m, answer: approve }
";

/// A command takes fifty minutes on it.
const STEADY: &str = "
fleet: steady
durations: { command: 50m }
groups:
  - { name: all, count: 3, tags: { Group: all } }
";

/// Two waves, each behind a window that is open every night for so long.
fn nightly(open: &str) -> String {
    format!(
        "runbook: nightly
targets: {{ all: {{ aws: {{ tags: {{ Group: all }} }} }} }}
steps:
  window:
    uses: gate/window
    with: {{ cron: \"0 22 * * *\", duration: {open} }}
  look:
    needs: [window]
    uses: aws/command
    effect: reads
    timeout: 2h
    targets: all
    rollout: {{ waves: [1, 100%], window: window }}
    with: {{ script: \"true\" }}
"
    )
}

/// The place with the files of a runbook and a fleet.
fn files(place: &Place, runbook: &str, fleet: &str) -> (String, String) {
    let write = |name, text| place.write(name, text).display().to_string();
    (write("runbook.yaml", runbook), write("fleet.yaml", fleet))
}

fn planned(place: &Place, arguments: &[&str]) -> Value {
    place.run(&[&["plan"], arguments, &["--json"]].concat()).exits(0).json()
}

/// What the plan knows of an action.
fn known<'p>(plan: &'p Value, action: &str) -> &'p Value {
    let known = plan["experience"].as_array().into_iter().flatten();
    let mut known = known.filter(|known| known["action"] == action);
    known.next().unwrap_or(&Value::Null)
}

/// On which day, and when, a wave of the newest run began.
fn began(place: &Place, wave: &str) -> String {
    let entries = place.run(&["events", "--json"]).exits(0).lines();
    let started =
        |entry: &&Value| entry["event"]["type"] == "wave_started" && entry["event"]["scope"] == wave;
    let at = entries.iter().find(started).map(|entry| entry["at"].clone()).unwrap_or_default();
    at.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_plan_tells_what_earlier_runs_took_and_says_where_there_is_no_history() {
    let place = Place::new();
    let fleet = place.write("quiet.yaml", QUIET).display().to_string();
    let ours = [PATCH, "--fleet", &fleet];
    let first = planned(&place, &ours);
    assert_eq!((&first["estimate"], &first["experience"]), (&Value::Null, &Value::Null));
    let page = place.run(&["plan", PATCH, "--fleet", &fleet]).exits(0).stdout;
    assert!(
        page.contains("\nno history: nothing is known of how long it takes but the time-outs\n"),
        "{page}"
    );
    assert!(page.contains("no history: no wave is refused because it would take too long"), "{page}");
    let saved = place.path("plan.json").display().to_string();
    place.run(&["plan", PATCH, "--fleet", &fleet, "-o", &saved]).exits(0);

    place.run(&["run", PATCH, "--fleet", &fleet]).exits(0);
    let second = planned(&place, &ours);
    let patch = known(&second, "aws/patch");
    assert_eq!(
        (&patch["platform"], &patch["times"], &patch["runs"]),
        (&json!("linux"), &json!(6), &json!(1))
    );
    assert_ne!(second["sha256"], first["sha256"], "what is approved is what is used");
    assert_eq!(planned(&place, &[&ours[..], &["--no-experience"]].concat())["sha256"], first["sha256"]);
    let task = second["tasks"].as_array().expect("tasks").iter().find(|task| task["action"] == "aws/patch");
    let task = &task.expect("a patch")["expected"];
    assert_eq!((&task["times"], &task["no_history"]), (&json!(6), &json!([])));
    let secs = |value: &Value| value.as_u64().expect("seconds");
    assert!(secs(&task["median_s"]) > 240 && secs(&task["p95_s"]) >= secs(&task["median_s"]), "{task}");
    assert!(
        secs(&second["estimate"]["p95_s"]) > secs(&second["estimate"]["median_s"]),
        "{}",
        second["estimate"]
    );
    // Nothing was restored yet: of that there is no history.
    let windows = second["windows"].as_array().expect("windows");
    assert!(windows.iter().all(|window| window["partly"] == true && window["restore_s"] == 0), "{windows:?}");
    let page = place.run(&["plan", PATCH, "--fleet", &fleet]).exits(0).stdout;
    for said in
        ["estimate  median ", ", p95 ", " of 6", "(aws/restore from backup), no history", " of it (p95 "]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    // Another world tells nothing of this one.
    let other = place.write("other.yaml", &format!("{QUIET}# another\n")).display().to_string();
    assert_eq!(planned(&place, &[PATCH, "--fleet", &other])["estimate"], Value::Null);

    // A plan of before is what it was, and runs.
    let digest = planned(&place, &[&saved, "--fleet", &fleet])["sha256"].clone();
    assert_eq!(digest, first["sha256"]);
    place.run(&["run", &saved, "--fleet", &fleet]).exits(0);
    assert_eq!(place.run(&["show", "--json"]).exits(0).json()["plan"]["sha256"], digest);
    let third = planned(&place, &ours);
    let patch = known(&third, "aws/patch");
    assert_eq!((&patch["times"], &patch["runs"]), (&json!(12), &json!(2)));
}

#[test]
fn a_wave_that_would_not_be_over_when_the_window_closes_waits_for_the_next_night() {
    let place = Place::new();
    let (runbook, fleet) = files(&place, &nightly("90m"), STEADY);
    place.run(&["run", &runbook, "--fleet", &fleet]).exits(0);
    // Nothing is known yet: the second wave begins as soon as the first is over, and is not over at half past eleven.
    let (first, second) = (began(&place, "look/wave-1"), began(&place, "look/wave-2"));
    assert_eq!((&first[10..16], &second[..10]), ("T22:00", &first[..10]));

    let shown = place.run(&["run", &runbook, "--fleet", &fleet]).exits(0).stdout;
    let waits = "look/wave-2/window waits for the next opening of its window, ";
    assert!(shown.contains(waits) && shown.contains(": it needs 50m"), "{shown}");
    let (first, second) = (began(&place, "look/wave-1"), began(&place, "look/wave-2"));
    assert_eq!((&first[10..16], &second[10..16]), ("T22:00", "T22:00"));
    assert_ne!(first[..10], second[..10], "another night");
}

#[test]
fn a_wave_that_fits_into_no_opening_is_refused_with_its_place_and_the_next_command() {
    let place = Place::new();
    let (runbook, fleet) = files(&place, &nightly("90m"), STEADY);
    place.run(&["run", &runbook, "--fleet", &fleet]).exits(0);
    let (runbook, fleet) = files(&place, &nightly("45m"), STEADY);
    let refused = place.run(&["plan", &runbook, "--fleet", &fleet, "--json"]).exits(3);
    let told: Value = serde_json::from_str(&refused.stderr).expect("one line of JSON");
    let problem = &told["diagnostics"][0];
    assert_eq!((&problem["code"], &problem["line"]), (&json!("window-too-short"), &json!(4)));
    assert!(
        problem["message"].as_str().is_some_and(|text| text.contains("the window is open for 45m")),
        "{told}"
    );
    assert_eq!(told["try"], json!(format!("runbook plan {runbook} --no-experience")));
    place.run(&["run", &runbook, "--fleet", &fleet]).exits(3);
    place.run(&["plan", &runbook, "--fleet", &fleet, "--no-experience"]).exits(0);
}

#[test]
fn a_rehearsal_draws_from_experience_and_says_what_it_drew_from() {
    let place = Place::new();
    let fleet =
        place.write("quiet.yaml", &format!("{QUIET}durations: {{ scan: 30s }}\n")).display().to_string();
    let quiet = ["rehearse", PATCH, "--fleet", &fleet, "--seeds", "3", "--faults", "none", "--crash", "none"];
    let rehearsed = |more: &[&str]| place.run(&[&quiet[..], more].concat()).exits(0);
    let source = |summary: &Value, what: &str| {
        let durations = summary["durations"].as_array().expect("durations").iter();
        durations.clone().find(|each| each["what"] == what).cloned().expect("a duration")
    };
    let before = rehearsed(&["--json"]).json();
    assert_eq!(
        (&source(&before, "patch")["source"], &source(&before, "scan")["source"]),
        (&json!("usual"), &json!("fleet"))
    );

    place.run(&["run", PATCH, "--fleet", &fleet]).exits(0);
    let after = rehearsed(&["--json"]).json();
    let snapshot = source(&after, "snapshot");
    let plan = planned(&place, &[PATCH, "--fleet", &fleet]);
    assert_eq!(after["plan"], plan["sha256"]);
    let known = known(&plan, "aws/snapshot");
    assert_eq!(snapshot["source"], "experience");
    assert_eq!(
        (&snapshot["action"], &snapshot["times"], &snapshot["runs"]),
        (&known["action"], &known["times"], &json!(1))
    );
    assert!(snapshot["from_s"].as_u64() < snapshot["to_s"].as_u64(), "{snapshot}");
    assert_eq!(source(&after, "patch")["action"], "aws/patch");
    assert_eq!(source(&after, "scan")["source"], "fleet", "what the fleet says goes first");
    assert_eq!(source(&after, "boot")["source"], "usual");
    assert_eq!(rehearsed(&["--json"]).json(), after, "the same seeds are the same worlds");
    assert_eq!(rehearsed(&["--json", "--no-experience"]).json(), before);

    let html = place.path("page.html").display().to_string();
    let page = rehearsed(&["--html", &html]).stdout;
    let html = fs::read_to_string(html).expect("a page");
    for page in [page, html] {
        for said in
            ["from experience: aws/snapshot 6 times in 1 run", "no history: as is usual", "as the fleet says"]
        {
            assert!(page.replace("&#x2f;", "/").contains(said), "{said}: {page}");
        }
    }
}

/// Without a fleet, and on a fleet that nothing ever ran on, a rehearsal takes what real machines took.
#[test]
fn what_ran_on_this_machine_is_known_also_while_another_process_holds_the_store() {
    let place = Place::new();
    let file = slow(&place);
    fs::write(place.path("go"), "").expect("a file");
    place.run(&["run", &file]).exits(0);
    let alone = planned(&place, &[&file]);
    let times: Vec<(&Value, &Value)> = alone["experience"]
        .as_array()
        .expect("some")
        .iter()
        .map(|known| (&known["platform"], &known["times"]))
        .collect();
    assert_eq!(times, [(&Value::Null, &json!(1)), (&json!("linux"), &json!(2))]);

    fs::remove_file(place.path("go")).expect("gone");
    fs::remove_file(place.path("log")).expect("gone");
    let mut holder = place.start(&["run", &file]);
    until("the first step", || place.path("log").exists());
    assert_eq!(planned(&place, &[&file]), alone, "the same plan, asked of the process that holds the store");
    fs::write(place.path("go"), "").expect("a file");
    assert!(holder.wait().expect("an end").success());
}
