//! `runbook test`: what is expected of a runbook, tried in simulated worlds.

use serde_json::Value;

use crate::program::{Place, root};

/// A runbook with one stage, and a fleet for it.
const RUNBOOK: &str = "
runbook: small
targets: { shop: { hosts: { inventory: hosts.yaml, group: shop } } }
blocks:
  update:
    backup: { uses: linux/backup, with: { method: packages, keep: 1d } }
    patch: { needs: [backup], uses: linux/patch, on_failure: [restore] }
    healthy:
      needs: [patch]
      uses: check/http
      with: { url: \"http://{{ target.private_ip }}/\", within: 5m, for: 1m, every: 15s }
      on_failure: [restore]
    restore: { uses: linux/restore, targets: { failed_in: [patch, healthy] }, with: { from: backup } }
steps:
  shop: { run: update, targets: shop, rollout: { waves: [1, 100%] } }
";

/// Cases, in a test file beside the runbook, and what `runbook test` says of them.
fn tried(place: &Place, cases: &str) -> (String, crate::program::Done) {
    place.write("small.yaml", RUNBOOK);
    let head = "tests: small.yaml\ndefaults: { fleet: { groups: [{ name: shop, count: 3, kind: host }] } }\ncases:\n";
    let file = place.write("small.test.yaml", &format!("{head}{cases}")).display().to_string();
    let done = place.run(&["test", &file]);
    (file, done)
}

#[test]
fn every_shipped_runbook_does_what_is_expected_of_it() {
    let place = Place::new();
    let report = place.path("junit.xml").display().to_string();
    let done = place.run(&["test", "runbooks", "--json", "--junit", &report]).exits(0).json();
    assert_eq!(done["failed"], 0, "{done:#}");
    assert!(done["cases"].as_u64().is_some_and(|cases| cases >= 20), "{done:#}");
    let xml = std::fs::read_to_string(report).expect("a report");
    assert_eq!(xml.matches("<testcase ").count() as u64, done["cases"].as_u64().unwrap_or_default());
    assert!(xml.contains("name=\"a-quiet-night\" classname=\"runbooks.patch-linux\""), "{xml}");
}

#[test]
fn what_did_not_come_is_told_with_its_place_and_its_world() {
    let place = Place::new();
    let (file, done) = tried(
        &place,
        "  wrong:\n    expect:\n      outcome: failed\n      machines: { shop/2: restored, shop: { patched: 1 } }\n      \
         order: [{ task: backup, after: patch, on: all }]\n      calls: [{ call: \"ssh:start\", operation: install, on: all, exactly: 2 }]\n      \
         finishes_within: 1m\n      says: nobody says this\n    never:\n      - { task: patch, on: shop/1 }\n      - { touched: shop }\n",
    );
    let done = done.exits(10);
    for part in [
        "FAILED  wrong  seed 1",
        &format!("expected outcome failed  ({file}:6:16)"),
        "came     succeeded",
        "expected shop/2 restored",
        "shop-2: succeeded, packages were installed",
        "expected exactly 1 of shop patched",
        "came     3 of 3 patched",
        "shop-1: backup began before patch was over",
        "expected exactly 2 ssh:start install on each of all",
        "shop-1: 1; shop-2: 1; shop-3: 1",
        "expected finished within 1m",
        "a message that holds \"nobody says this\"",
        "came     shop/wave-1/patch began",
        "expected shop never touched",
        "1 of 1 case failed",
    ] {
        assert!(done.stdout.contains(part), "{part}\n{}", done.stdout);
    }
    let again = done.stdout.lines().find_map(|line| line.trim().strip_prefix("see it:  runbook "));
    let words: Vec<&str> = again.expect("a command").split(' ').collect();
    let shown = place.run(&words).exits(0).stdout;
    assert!(shown.contains("world of seed 1") && shown.contains("started by rehearsal"), "{shown}");
}

#[test]
fn the_report_is_xml_whatever_was_said() {
    let place = Place::new();
    place.write("small.yaml", RUNBOOK);
    let file = place.write(
        "odd.test.yaml",
        "tests: small.yaml\ncases:\n  odd: { machines: 1, expect: { says: \"<![CDATA[ & ]]> \\u0007\" } }\n  \
         even: { machines: 1, expect: { outcome: succeeded } }\n",
    );
    let report = place.path("junit.xml").display().to_string();
    place.run(&["test", &file.display().to_string(), "--junit", &report]).exits(10);
    let read = "import sys, xml.etree.ElementTree as t\n\
                r = t.parse(sys.argv[1]).getroot()\n\
                print(r.tag, r.get('tests'), r.get('failures'))\n\
                for c in r.iter('testcase'): print(c.get('name'), float(c.get('time')) >= 0, [f.tag for f in c])\n";
    let python = std::process::Command::new("python3").args(["-c", read, &report]).output().expect("python");
    let said = String::from_utf8_lossy(&python.stdout);
    assert_eq!(
        said,
        "testsuites 2 1\nodd True ['failure']\neven True []\n",
        "{}",
        String::from_utf8_lossy(&python.stderr)
    );
}

/// Nothing is tried where anything means nothing: a test that cannot fail is worse than none.
#[test]
fn what_means_nothing_is_refused_with_its_place() {
    let place = Place::new();
    for (case, part) in [
        ("expect: { outcom: failed }", "`expect` has no key `outcom`"),
        ("expect: { outcom: failed }", "did you mean `outcome`?"),
        ("expect: { outcome: fialed }", "did you mean `failed`?"),
        ("seeds: 3", "`a` expects nothing, so it cannot fail"),
        ("never: [{ task: pach }]", "did you mean `patch`?"),
        ("never: [{ task: patch, touched: shop }]", "`touched` cannot stand beside"),
        ("never: [{ call: \"ssh:strat\" }]", "did you mean `ssh:start`?"),
        ("never: [{ call: \"ssh:start\", operation: Install }]", "`ssh:start` never does `Install`"),
        ("never: [{ call: \"http:POST\", on: shop }]", "`http:POST` names no machine"),
        ("never: [{ call: \"ssm:SendCommand\" }]", "the plan has no machine in AWS"),
        ("never: [{ touched: shop/4 }]", "`shop` has no such machine (they count from 1)"),
        ("expect: { machines: { shpo: patched } }", "did you mean `shop`?"),
        ("expect: { machines: { shop: { patched: { at_most: 3 } } } }", "this holds whatever comes"),
        ("expect: { machines: { shop: { patched: { at_least: 0 } } } }", "at least nothing always holds"),
        (
            "expect: { outcome: [succeeded, restored, failed, stuck, cancelled, paused] }",
            "a run always ends as one of these",
        ),
        (
            "expect: { machines: { all: [succeeded, restored, failed, unreachable, timed_out, unknown, restore_failed, not_started, pending] } }",
            "a machine always comes out as one of these",
        ),
        ("never: [{ outcome: excluded }]", "nobody excludes machines in a simulated world"),
        ("never: [{ outcome: excluded, on: shop }]", "no machine comes out as `excluded` here"),
        ("expect: { machines: { shop: { excluded: 0 } } }", "no machine comes out as `excluded` here"),
        ("expect: { exit: 99 }", "no run exits with 99"),
        ("expect: { exit: 99 }", "runs exit with 0, 10, 11, 12, 13"),
        ("seeds: [3, 3, 1], expect: { exit: 0 }", "seed 3 is one world, and named twice"),
        (
            "never: [{ call: \"ssm:SendCommand\", operation: install }]",
            "does `Boot`, `Guarded`, `Install`, `Scan`;",
        ),
        (
            "faults: { draws: [{ kind: undeliverable, targets: [nowhere/1] }] }, expect: { exit: 0 }",
            "draw 1 makes no sense: it names `nowhere/1`, which is no machine and no group (groups: shop)",
        ),
        ("faults: { dead: 1000000h }, expect: { exit: 0 }", "1000000h is not a duration like"),
        ("limit: [shpo], expect: { exit: 0 }", "the groups are shop"),
        ("expect: { window_left: 1h }", "the plan has no window"),
        ("expect: { says: \"\" }", "every message holds the empty text"),
        ("{ faults: [{ kind: unreachable, step: pach }], expect: { exit: 0 } }", "no step `pach`"),
        ("{ faults: [{ kind: unreachable, setp: patch }], expect: { exit: 0 } }", "did you mean `step`?"),
        ("{ faults: stormy, expect: { exit: 0 } }", "the faults `stormy` cannot be read"),
        ("{ people: [{ name: a, gate: ok, answer: approve }], expect: { exit: 0 } }", "no gate `ok`"),
        ("{ fleet: no.yaml, expect: { exit: 0 } }", "there is no fleet file"),
        ("{ limit: [nowhere], expect: { exit: 0 } }", "nowhere"),
        ("{ params: { no: 1 }, expect: { exit: 0 } }", "the parameters do not fit the runbook"),
    ] {
        let case = if case.starts_with('{') { case.to_owned() } else { format!("{{ {case} }}") };
        let (_, done) = tried(&place, &format!("  a: {case}\n"));
        let done = done.exits(3);
        assert!(done.stderr.contains(part), "{case}: {part}\n{}", done.stderr);
        assert!(done.stdout.is_empty(), "{}", done.stdout);
    }
}

#[test]
fn how_many_worlds_run_at_a_time_changes_nothing() {
    let place = Place::new();
    let told = |jobs| {
        let arguments =
            ["test", "runbooks/mixed-fleet.test.yaml", "runbooks/patch-sles.test.yaml", "--jobs", jobs];
        place.run(&arguments).exits(0).stdout
    };
    assert_eq!(told("1"), told("4"));
}

#[test]
fn cases_and_files_that_are_not_there_are_wrong_usage() {
    let place = Place::new();
    let near =
        place.run(&["test", "runbooks/patch-linux.test.yaml", "--case", "a-quiet-nigth"]).exits(2).stderr;
    assert!(near.contains("--case a-quiet-night"), "{near}");
    let none = place.run(&["test", "docs/reference"]).exits(2).stderr;
    assert!(none.contains("there is no test file (NAME.test.yaml)"), "{none}");
}

#[test]
fn what_the_plan_skips_cannot_be_said_never_to_begin() {
    let place = Place::new();
    let runbook = root().join("runbooks/patch-linux.yaml");
    let never = |what: &str| {
        let text = format!(
            "tests: {}\ncases: {{ a: {{ machines: 1, limit: [dev], never: [{{ {what} }}] }} }}\n",
            runbook.display()
        );
        place.run(&["test", &place.write("limited.test.yaml", &text).display().to_string()])
    };
    for what in ["task: production/patch", "call: \"ssm:SendCommand\", task: production/patch"] {
        let said = never(what).exits(3).stderr;
        assert!(said.contains("`production/patch` never begins: the plan skips it"), "{said}");
        assert!(said.contains("leave it out: --limit left no machine"), "{said}");
    }
    // Where some of it begins, it may be said.
    never("task: patch").exits(10);
}

/// As `check`, `plan` and `rehearse` say it.
#[test]
fn what_cannot_be_read_is_invalid_whoever_reads_it() {
    let place = Place::new();
    for arguments in [["test", "nix.yaml"], ["rehearse", "nix.yaml"], ["plan", "nix.yaml"]] {
        let said = place.run(&arguments).exits(3).stderr;
        assert!(said.contains("error: there is no such file\n  at nix.yaml\n  try: runbook "), "{said}");
    }
    let case = place.run(&["rehearse", "runbooks", "--case", "a"]).exits(3).stderr;
    assert!(case.contains("it is a folder") && case.contains("try: runbook test runbooks"), "{case}");
    let folder = place.run(&["rehearse", "runbooks"]).exits(3).stderr;
    assert!(
        folder.contains("it is a folder") && folder.contains("try: runbook check runbooks/*.yaml"),
        "{folder}"
    );
}

#[test]
fn more_jobs_than_worlds_are_no_more_threads() {
    let place = Place::new();
    let arguments = ["test", "runbooks/patch-sles.test.yaml", "--jobs"];
    place.run(&[&arguments[..], &["65535"]].concat()).exits(0);
    for jobs in ["0", "9223372036854775807"] {
        let said = place.run(&[&arguments[..], &[jobs]].concat()).exits(2).stderr;
        assert!(said.contains(jobs) && said.contains("1..=65535"), "{said}");
    }
}

#[test]
fn a_report_tells_of_files_that_could_not_be_tried() {
    let place = Place::new();
    let file = place.write("bad.test.yaml", "tests: none.yaml\ncases: { a: { expect: { exit: 0 } } }\n");
    let report = place.path("junit.xml");
    let done = place.run(&["test", &file.display().to_string(), "--junit", &report.display().to_string()]);
    assert!(done.exits(3).stderr.contains("there is no runbook"));
    let xml = std::fs::read_to_string(report).expect("a report");
    assert!(xml.contains("errors=\"1\"") && xml.contains("there is no runbook"), "{xml}");
}

#[test]
fn check_reads_test_files_too() {
    let place = Place::new();
    place.run(&["check", "runbooks/patch-linux.test.yaml"]).exits(0);
    let file = place.write("bad.test.yaml", "tests: a.yaml\ncases: { a: { expect: { outcome: fine } } }\n");
    let said = place.run(&["check", &file.display().to_string(), "--json"]).exits(3).json();
    assert_eq!(said["diagnostics"][0]["code"], Value::from("unknown-word"));
    assert_eq!(said["diagnostics"][0]["line"], 2);
}

/// What the schema knows, the reader knows, and the other way round.
#[test]
fn the_shipped_tests_fit_the_schema() {
    let schema = Place::new().run(&["schema", "test"]).exits(0).json();
    let keys = |at: &str| schema.pointer(at).and_then(Value::as_object).expect("keys").clone();
    let case = keys("/properties/cases/additionalProperties/properties");
    let expect = keys("/$defs/expect/properties");
    for entry in std::fs::read_dir(root().join("runbooks")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if !path.to_string_lossy().ends_with(".test.yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let file: Value = serde_yaml::from_str(&text).expect("YAML");
        for stated in file["cases"].as_object().expect("cases").values() {
            let known = |key: &String| case.contains_key(key);
            assert!(stated.as_object().expect("a case").keys().all(known), "{}", path.display());
            let known = |key: &String| expect.contains_key(key);
            assert!(
                stated["expect"].as_object().is_none_or(|all| all.keys().all(known)),
                "{}",
                path.display()
            );
        }
    }
}
