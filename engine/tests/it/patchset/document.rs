//! `patchset:` in the document: what `check` says of it.

use runbook_engine::{diagnostic::Diagnostic, document, loader::NoFiles};

use super::{STAGES, text};
use crate::{catalog::TestCatalog, planned::plan};

/// What `check` says of stages, as `line:column code`, message and hint.
fn problems(text: &str) -> Vec<String> {
    let reading = document::read("patch.yaml", text.as_bytes(), &NoFiles).checked(&TestCatalog::default());
    let said = |problem: &Diagnostic| {
        let hint = problem.hint.as_deref().unwrap_or_default();
        format!(
            "{}:{} {}: {}; {hint}",
            problem.place.line, problem.place.column, problem.code, problem.message
        )
    };
    reading.diagnostics.iter().map(said).collect()
}

#[test]
fn both_forms_are_read() {
    assert_eq!(problems(&text(STAGES)), [""; 0]);
    let short = text(STAGES).replace("{ from: dev }", "dev");
    assert_eq!(problems(&short), [""; 0]);
    assert_eq!(
        plan(&short, &[("dev", 1), ("staging", 1), ("production", 1)])
            .patchset
            .map(|one| one.from.to_string()),
        Some("dev".into())
    );
}

#[test]
fn a_step_that_is_not_there() {
    let wrong = text(STAGES).replace("{ from: dev }", "{ from: dve }");
    assert_eq!(
        problems(&wrong),
        ["2:19 unknown-step: there is no step `dve` at the top level; did you mean `dev`?"]
    );
    let inside = text(STAGES).replace("{ from: dev }", "dev/patch");
    assert_eq!(
        problems(&inside),
        [
            "2:11 unknown-step: there is no step `dev/patch` at the top level; name the step that installs patches first"
        ]
    );
}

#[test]
fn a_step_that_installs_nothing() {
    let wrong = text(STAGES).replace(
        "  staging:",
        "  look: { uses: local/command, effect: reads, with: { script: 'true' } }\n  staging:",
    );
    let wrong = wrong.replace("{ from: dev }", "look");
    assert_eq!(
        problems(&wrong)[0],
        "2:11 patchset-from-nothing: nothing in `look` installs patches that a patchset could be made of; a patchset is made by `linux/patch`"
    );
}

#[test]
fn a_step_without_machines() {
    let stages = "  dev: { run: own-machines }
  staging: { needs: [dev], run: patch-and-verify, targets: staging }
";
    let block = "  own-machines:
    patch: { uses: linux/patch, targets: other, way_back: none, because: it is a test }
";
    let wrong = text(stages).replace("blocks:\n", &format!("blocks:\n{block}"));
    let wrong =
        wrong.replace("targets:\n  staging", "targets:\n  other: { aws: { tags: { A: b } } }\n  staging");
    assert_eq!(
        problems(&wrong),
        [
            "2:19 patchset-without-targets: `dev` has no targets, so there are no machines that test the patches; name a step with `targets`"
        ]
    );
}

#[test]
fn a_step_that_would_run_before_anything_is_tested() {
    let wrong = text(&STAGES.replace("needs: [dev], ", ""));
    let hint = "add `dev` to its `needs`";
    assert_eq!(
        problems(&wrong),
        [
            format!(
                "15:3 untested-patches: `staging` installs patches and does not wait until `dev` has tested them; {hint}"
            ),
            format!(
                "16:3 untested-patches: `production` installs patches and does not wait until `dev` has tested them; {hint}"
            ),
        ]
    );
    let skipped = text(&STAGES.replace("  staging: {", "  staging: { when: \"run.id == 'a'\", "));
    assert!(
        problems(&skipped).contains(&format!(
            "16:3 untested-patches: `production` waits for `dev` only through steps under `when:`; {hint}"
        )),
        "{:#?}",
        problems(&skipped)
    );
}

#[test]
fn nothing_after_it() {
    let alone = text("  dev: { run: patch-and-verify, targets: dev }\n");
    assert_eq!(
        problems(&alone),
        [
            "2:19 unused-patchset: no step but `dev` installs patches: nothing takes the patchset; take `patchset` out, or add the stages that come after it"
        ]
    );
}
