//! Plans of stages: so many steps side by side, stage after stage.

use std::{collections::BTreeMap, fmt::Write};

use runbook_engine::{
    catalog::Catalog,
    document,
    experience::Experience,
    loader::NoFiles,
    plan::{self, Making, Plan},
};

/// The runbook's text. Steps are numbered from 1, stage by stage.
pub fn text(stages: &[usize], gates: bool) -> String {
    let mut text = String::from("runbook: bench\nsteps:\n");
    let mut before: Vec<String> = Vec::new();
    let mut number = 0;
    for (at, count) in stages.iter().enumerate() {
        if gates {
            let needs = needs(&before);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  gate{at}: {{ {needs}uses: gate/wait, with: {{ for: 0s }} }}");
            before = vec![format!("gate{at}")];
        }
        let needs = needs(&before);
        before.clear();
        for _ in 0..*count {
            number += 1;
            let _ =
                writeln!(text, "  s{number}: {{ {needs}uses: bench/append, with: {{ number: {number} }} }}");
            before.push(format!("s{number}"));
        }
    }
    text
}

fn needs(before: &[String]) -> String {
    if before.is_empty() { String::new() } else { format!("needs: [{}], ", before.join(", ")) }
}

/// The plan.
pub fn plan(stages: &[usize], gates: bool, catalog: &dyn Catalog) -> Result<Plan, String> {
    let text = text(stages, gates);
    let reading = document::read("bench.yaml", text.as_bytes(), &NoFiles);
    let runbook = reading.runbook.ok_or_else(|| format!("{:?}", reading.diagnostics))?;
    let making = Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog,
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        resolved: BTreeMap::new(),
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    };
    plan::make(making).map_err(|refusal| format!("{refusal:?}"))
}
