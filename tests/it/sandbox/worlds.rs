//! A run goes on in the world that it began in, and in no other one.

use super::server::Sandbox;
use crate::program::{Done, Place};

const RUNBOOK: &str = "\
runbook: ask
steps:
  ask:
    uses: gate/approval
    with: { approvers: [alice], expires: 1d }
";

/// Alice answers in the fleet that has her, and nobody does in the other one.
const FLEETS: [&str; 2] = [
    "fleet: peopled\ngroups: [{ name: web }]\npeople: [{ name: alice, gate: ask, after: 12m, answer: approve }]\n",
    "fleet: deserted\ngroups: [{ name: web }]\n",
];

struct Scene {
    place: Place,
    sandboxes: [Sandbox; 2],
}

impl Scene {
    fn new() -> Self {
        Self { place: Place::new(), sandboxes: FLEETS.map(Sandbox::start) }
    }

    /// `runbook` where the environment names this sandbox, or none.
    fn runbook(&self, sandbox: Option<usize>, arguments: &[&str]) -> Done {
        let mut command = self.place.command(arguments);
        if let Some(sandbox) = sandbox {
            command.env("RUNBOOK_SANDBOX", self.sandboxes[sandbox].url());
        }
        Done::from(command.output().expect("the binary runs"))
    }
}

#[test]
fn a_real_run_is_not_answered_by_the_people_of_a_sandbox() {
    let scene = Scene::new();
    let file = scene.place.write("ask.yaml", RUNBOOK).display().to_string();
    scene.runbook(None, &["run", &file, "--no-wait"]).exits(12);
    let refused = scene.runbook(Some(0), &["resume"]).exits(3);
    let said = "the run changes real machines, and RUNBOOK_SANDBOX names a sandbox";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert!(refused.stderr.contains("unset RUNBOOK_SANDBOX"), "{}", refused.stderr);
    scene.runbook(None, &["resume", "--no-wait"]).exits(12);
}

#[test]
fn a_run_of_a_sandbox_goes_on_there_and_nowhere_else() {
    let scene = Scene::new();
    let file = scene.place.write("ask.yaml", RUNBOOK).display().to_string();
    scene.runbook(Some(1), &["run", &file, "--no-wait"]).exits(12);
    for (other, said) in [
        (None, "the run is in sandbox:deserted, and RUNBOOK_SANDBOX names no sandbox"),
        (Some(0), "the run is in sandbox:deserted, and RUNBOOK_SANDBOX names sandbox:peopled"),
    ] {
        let refused = scene.runbook(other, &["resume"]).exits(3);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert!(refused.stderr.contains("set RUNBOOK_SANDBOX to it"), "{}", refused.stderr);
    }
    scene.runbook(Some(1), &["resume", "--no-wait"]).exits(12);
}
