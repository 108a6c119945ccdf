//! `gate/manual` as a failure branch: hosts that a person rebuilds.

use crate::program::Place;

const RUNBOOK: &str = "
runbook: rebuild
targets: { box: { hosts: { a: { address: 127.0.0.1 }, b: { address: 127.0.0.1 } } } }
blocks:
  patch-them:
    patch:
      uses: local/command
      effect: changes
      way_back: none
      because: hosts are rebuilt by hand
      with: { script: '[ \"$RUNBOOK_TARGET_ID\" = a ]' }
      on_failure: [rebuild]
    rebuild:
      uses: gate/manual
      timeout: 1d
      with: { instructions: Rebuild these hosts., evidence: The ticket. }
steps:
  stage: { run: patch-them, targets: box, rollout: { waves: [100%], max_failures: 1 } }
";

#[test]
fn instructions_machines_and_evidence_are_asked_for_kept_and_shown() {
    let place = Place::new();
    let file = place.write("rebuild.yaml", RUNBOOK).display().to_string();
    place.run(&["run", &file, "--no-wait"]).exits(12);
    let asked = "Rebuild these hosts. (machines: b) (evidence: The ticket.)";
    let show = place.run(&["show"]).exits(0).stdout;
    assert!(show.contains(asked) && show.contains("--note TEXT"), "{show}");
    let waiting = place.run(&["show", "--json"]).exits(0).json()["waiting_on"][0].clone();
    assert_eq!((waiting["kind"].as_str(), waiting["on"].as_str()), (Some("manual"), Some(asked)));

    let refused = place.run(&["approve"]).exits(2).stderr;
    assert!(refused.contains("asks for evidence: The ticket."), "{refused}");
    place.run(&["approve", "--note", "CHG-7, from image 12"]).exits(0);
    place.run(&["resume"]).exits(0);

    let show = place.run(&["show"]).exits(0).stdout;
    assert!(show.contains("done by hand\n  stage/wave-1/rebuild  "), "{show}");
    assert!(show.contains("  CHG-7, from image 12\n"), "{show}");
    let json = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(json["tasks"][1]["outputs"]["evidence"], "CHG-7, from image 12", "{json:#}");
    let events = place.run(&["events", "--json"]).exits(0).stdout;
    assert!(events.contains("\"note\":\"CHG-7, from image 12\""), "{events}");
}
