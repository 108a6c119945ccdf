//! `runbook rehearse`: many worlds of one plan, held against the laws.

use serde_json::Value;

use crate::program::Place;

const PATCH: &str = "runbooks/patch-linux.yaml";
const FLEET: &str = "runbooks/fleets/happy.yaml";

/// A fleet that is small enough for a world with hundreds of lives.
const SMALL: &str = "
fleet: small
groups:
  - { name: dev, count: 1, tags: { Environment: dev, \"Patch Group\": LinuxProd } }
  - { name: staging, count: 1, tags: { Environment: staging, \"Patch Group\": LinuxProd } }
  - { name: production, count: 2, tags: { Environment: production, \"Patch Group\": LinuxProd } }
people:
  - { name: anna, groups: [change-managers], after: 5m, answer: approve }
  - { name: bert, groups: [change-managers], after: 9m, answer: approve }
";

fn rehearsed(place: &Place, arguments: &[&str]) -> Value {
    let done = place.run(&[&["rehearse"], arguments, &["--json"]].concat());
    done.exits(0).json()
}

#[test]
fn the_same_seed_is_the_same_world_entry_by_entry() {
    let place = Place::new();
    let fleet = place.write("small.yaml", SMALL).display().to_string();
    let traced = |seed: &str| {
        let arguments =
            ["rehearse", PATCH, "--fleet", &fleet, "--faults", "rough", "--seed", seed, "--trace", "--json"];
        place.run(&arguments).exits(0).stdout
    };
    let worlds: Vec<String> = ["1", "2", "3", "4"].map(traced).into();
    for (seed, world) in ["1", "2", "3", "4"].iter().zip(&worlds) {
        assert_eq!(&traced(seed), world, "seed {seed}");
    }
    assert_ne!(worlds[0], worlds[1]);
}

#[test]
fn how_many_worlds_run_at_a_time_changes_nothing() {
    let place = Place::new();
    let fleet = place.write("small.yaml", SMALL).display().to_string();
    let summary = |jobs| {
        rehearsed(&place, &[PATCH, "--fleet", &fleet, "--seeds", "12", "--faults", "rough", "--jobs", jobs])
    };
    let one = summary("1");
    assert_eq!(one["seeds"], 12);
    assert_eq!(one["violations"], Value::Array(Vec::new()));
    let ended = one["outcomes"].as_object().expect("by status").values();
    assert_eq!(ended.filter_map(Value::as_u64).sum::<u64>(), 12);
    assert_eq!(one, summary("3"));
}

#[test]
fn a_quiet_night_ends_as_planned_in_every_world() {
    let place = Place::new();
    let summary =
        rehearsed(&place, &[PATCH, "--fleet", FLEET, "--seeds", "3", "--faults", "none", "--crash", "none"]);
    assert_eq!(summary["outcomes"], serde_json::json!({ "succeeded": 3 }));
    assert_eq!(summary["crashes"], 0);
    assert_eq!(summary["worst"], Value::Array(Vec::new()));
    assert!(summary["makespan_s"]["p50"].as_i64().is_some_and(|seconds| seconds > 600), "{summary}");
}

#[test]
fn the_runner_dies_before_every_append_and_no_law_is_broken() {
    let place = Place::new();
    let fleet = place.write("small.yaml", SMALL).display().to_string();
    let summary = rehearsed(&place, &[PATCH, "--fleet", &fleet, "--seeds", "2", "--crash", "every-append"]);
    assert_eq!(summary["broken"], 0);
    assert!(summary["crashes"].as_u64().is_some_and(|crashes| crashes > 60), "{summary}");
}

/// Some actions tell in every life what they found: that gets the run no further, and the next life lives longer.
#[test]
fn what_every_life_writes_again_does_not_hold_a_run_up() {
    let place = Place::new();
    let mixed = "runbooks/mixed-fleet.yaml";
    let summary =
        rehearsed(&place, &[mixed, "--machines", "1", "--seed", "700000", "--crash", "every-append"]);
    assert_eq!(summary["outcomes"], serde_json::json!({ "succeeded": 1 }), "{}", summary["violations"]);
}

/// What `make sizes` measures, as far as it can be counted: ten times as many machines cost ten times as much at most.
#[test]
fn calls_and_journal_grow_no_faster_than_the_fleet() {
    let place = Place::new();
    let costs = |machines: u64| {
        let (dev, staging) = (machines / 10, machines * 3 / 10);
        let group = |stage: &str, count: u64| {
            format!(
                "  - {{ name: {stage}, count: {count}, volumes: 2, tags: {{ Environment: {stage}, \"Patch Group\": LinuxProd }} }}\n"
            )
        };
        let groups = [("dev", dev), ("staging", staging), ("production", machines - dev - staging)];
        let groups: String = groups.into_iter().map(|(stage, count)| group(stage, count)).collect();
        let fleet =
            place.write("sized.yaml", &format!("fleet: sized\ngroups:\n{groups}")).display().to_string();
        let quiet = ["--seed", "1", "--faults", "none", "--crash", "none"];
        let summary = rehearsed(&place, &[&[PATCH, "--fleet", &fleet], &quiet[..]].concat());
        assert_eq!(summary["outcomes"], serde_json::json!({ "succeeded": 1 }), "{machines}");
        ["calls", "entries", "journal_bytes"].map(|what| summary[what]["sum"].as_u64().expect(what))
    };
    let costs = [10, 100, 1_000].map(costs);
    for pair in costs.windows(2) {
        for (small, large) in pair[0].iter().zip(&pair[1]) {
            assert!(*large <= 10 * small, "{costs:?}");
        }
    }
    // And from a size on nearly as much: what is counted is there.
    assert!(costs[2][0] > 8 * costs[1][0] && costs[2][2] > 8 * costs[1][2], "{costs:?}");
}

/// Each shipped runbook that has a fleet, in rough nights.
#[test]
fn every_shipped_runbook_keeps_the_laws_in_rough_nights() {
    let place = Place::new();
    for (runbook, fleet) in [
        ("patch-linux", "happy"),
        ("patch-windows", "windows"),
        ("patch-debian", "debian"),
        ("patch-rhel", "rhel"),
        ("patch-sles", "sles"),
        ("mixed-fleet", "mixed"),
        ("ansible", "ansible"),
    ] {
        let (runbook, fleet) = (format!("runbooks/{runbook}.yaml"), format!("runbooks/fleets/{fleet}.yaml"));
        let summary = rehearsed(&place, &[&runbook, "--fleet", &fleet, "--seeds", "4", "--faults", "rough"]);
        assert_eq!(summary["broken"], 0, "{runbook}: {}", summary["violations"]);
    }
}

#[test]
fn machines_are_made_up_where_no_fleet_is_given() {
    let place = Place::new();
    let summary = rehearsed(&place, &[PATCH, "--machines", "3", "--seeds", "2"]);
    let machines = summary["machines"].as_object().expect("by outcome").values().filter_map(Value::as_u64);
    assert_eq!(machines.sum::<u64>(), 2 * 3 * 3, "three groups of three in two worlds");
}

#[test]
fn the_page_shows_what_came_and_how_to_see_it_again() {
    let place = Place::new();
    let fleet = place.write("small.yaml", SMALL).display().to_string();
    let done =
        place.run(&["rehearse", PATCH, "--fleet", &fleet, "--seeds", "8", "--faults", "rough"]).exits(0);
    for part in
        ["all 12 laws were kept in every world", "how runs end", "how machines come out", "in a world"]
    {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    let again = done.stdout.lines().find_map(|line| line.trim().strip_prefix("see one: runbook "));
    let words: Vec<&str> = again.expect("a rough night has a worst world").split(' ').collect();
    let shown = place.run(&words).exits(0).stdout;
    assert!(shown.contains("world of seed ") && shown.contains("started by rehearsal"), "{shown}");
}

/// Nothing outside is loaded, and what a runbook says is text.
#[test]
fn the_html_page_stands_alone() {
    let place = Place::new();
    let runbook = place.write(
        "odd.yaml",
        "runbook: odd\ndescription: \"<script>alert(1)</script> & more\"\ntargets: { all: { aws: { tags: { a: b } } } }\n\
         steps: { patch: { uses: aws/patch, targets: all, with: { operation: Scan } } }\n",
    );
    let page = place.path("page.html");
    let (runbook, page) = (runbook.display().to_string(), page.display().to_string());
    place.run(&["rehearse", &runbook, "--machines", "4", "--seeds", "6", "--html", &page]).exits(0);
    let html = std::fs::read_to_string(&page).expect("a page").replace("&#x2f;", "/");
    assert!(html.contains("&lt;script&gt;alert(1)") && !html.contains("<script"), "{html}");
    for outside in ["src=", "href=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    for part in [
        "All 12 laws were kept in every world.",
        "Plan (SHA-256)",
        "all 4)",
        "seeds 1 to 6",
        "What this cannot know",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(html.contains(&format!(
        "runbook rehearse {runbook} --machines 4 --faults usual --crash random --seed 1"
    )));
}

#[test]
fn faults_that_make_no_sense_are_refused_with_their_place() {
    let place = Place::new();
    let refused = |faults: &str| {
        let done = place.run(&["rehearse", PATCH, "--fleet", FLEET, "--faults", faults]);
        done.exits(3).stderr
    };
    for (option, value) in [("--seeds", "0"), ("--jobs", "0"), ("--seed", "18446744073709551615")] {
        let done = place.run(&["rehearse", PATCH, "--fleet", FLEET, option, value]);
        assert!(done.exits(2).stderr.contains(value), "{option}");
    }
    let unknown = refused("stormy");
    assert!(unknown.contains("the shipped ones are none, usual, rough"), "{unknown}");
    let file = place.write("mine.yaml", "profile: mine\ndraws:\n  - { kind: throttled, chance: often }\n");
    let senseless = refused(&file.display().to_string());
    assert!(senseless.contains("is not a share like 30%") && senseless.contains("mine.yaml"), "{senseless}");
    for (text, why) in [
        (
            "dead: 1000000h",
            "`dead`: 1000000h is not a duration like 90s, 15m, 2h or 14d, of 3650 days at most",
        ),
        ("clock: { chance: 1%, forward: 3 hours, after: 1m }", "`forward`: 3 hours is not a duration like"),
        (
            "draws: [{ kind: undeliverable, targets: [nowhere/1] }]",
            "draw 1 makes no sense: it names `nowhere/1`",
        ),
    ] {
        let file = place.write("mine.yaml", &format!("profile: mine\n{text}\n"));
        let said = refused(&file.display().to_string());
        assert!(said.contains(why) && said.contains("mine.yaml") && !said.contains("fleet file"), "{said}");
    }
}

#[test]
fn a_limit_that_means_nothing_is_told_with_the_groups() {
    let said = Place::new().run(&["rehearse", PATCH, "--limit", "nogroup"]).exits(3).stderr;
    for part in [
        "the limit `nogroup` is neither a used target group nor a machine of one",
        "the groups are dev, production, staging",
        "do: --limit GROUP",
    ] {
        assert!(said.contains(part) && !said.contains(":1:1"), "{said}");
    }
}

/// The summary is not lost with the page; what can be seen before is said before.
#[test]
fn a_page_that_cannot_be_written_is_told() {
    let place = Place::new();
    let page = |options: &[&str]| place.run(&[&["rehearse", PATCH, "--machines", "1"], options].concat());
    let traced = page(&["--seed", "3", "--trace", "--html", "p.html"]).exits(2).stderr;
    assert!(traced.contains("'--trace' cannot be used with '--html <FILE>'"), "{traced}");
    let nowhere = page(&["--html", "/nonexistent/x.html"]).exits(2);
    assert!(nowhere.stderr.contains("there is no folder /nonexistent"), "{}", nowhere.stderr);
    assert!(
        nowhere.stderr.contains("mkdir -p /nonexistent") && nowhere.stdout.is_empty(),
        "{}",
        nowhere.stderr
    );
    let folder = page(&["--html", "docs"]).exits(2).stderr;
    assert!(folder.contains("it is a folder"), "{folder}");
    // No room for it: only writing shows that.
    let full = page(&["--seeds", "1", "--html", "/dev/full"]).exits(2);
    assert!(full.stderr.contains("the page cannot be written"), "{}", full.stderr);
    assert!(full.stdout.contains("laws were kept in every world"), "{}", full.stdout);
}

/// A gate that nobody answers pauses the run while something goes on; somebody goes on three times, and no more.
#[test]
fn a_run_that_is_left_paused_has_broken_no_law() {
    let place = Place::new();
    let mut steps = String::from(
        "  ask: { uses: gate/approval, with: { approvers: [anna], expires: 10s, on_expiry: pause } }\n  one: { uses: aws/patch, targets: all, with: { operation: Scan } }\n",
    );
    for (step, before) in [("two", "one"), ("three", "two"), ("four", "three"), ("five", "four")] {
        let scan = "uses: aws/patch, targets: all, with: { operation: Scan }";
        steps += &format!("  {step}: {{ needs: [{before}], {scan} }}\n");
    }
    let targets = "targets: { all: { aws: { tags: { a: b } } } }";
    let runbook = place.write("paused.yaml", &format!("runbook: paused\n{targets}\nsteps:\n{steps}"));
    let faults = place.write("silent.yaml", "profile: silent\npeople: { silent: 100% }\n");
    let (runbook, faults) = (runbook.display().to_string(), faults.display().to_string());
    let arguments = [&runbook, "--machines", "3", "--faults", &faults, "--crash", "none"];
    let summary = rehearsed(&place, &[&arguments[..], &["--seeds", "3"]].concat());
    assert_eq!(summary["outcomes"], serde_json::json!({ "paused": 3 }));
    assert_eq!(summary["broken"], 0, "{}", summary["violations"]);
    assert_eq!(summary["crashes"], 0, "a pause is no death");
    let shown =
        place.run(&[&["rehearse"], &arguments[..], &["--seed", "1", "--trace"]].concat()).exits(0).stdout;
    assert!(shown.contains("somebody goes on, and life 2 begins"), "{shown}");
    assert!(!shown.contains("the runner d"), "{shown}");
}
