use std::collections::BTreeMap;

use super::{
    Reading,
    model::{Amount, StepTargets, What},
    read,
};
use crate::{
    diagnostic::render,
    loader::{Loader, NoFiles},
};

const SHIPPED: &str = include_str!("../../../runbooks/patch-linux.yaml");

struct Files(BTreeMap<&'static str, &'static str>);

impl Loader for Files {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0
            .get(path)
            .map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| "there is no such file".to_owned())
    }
}

fn problems(reading: &Reading) -> String {
    reading
        .diagnostics
        .iter()
        .map(|problem| format!("{}:{} {}\n", problem.place.line, problem.place.column, problem.code))
        .collect()
}

#[test]
fn the_shipped_runbook_reads() {
    let reading = read("patch-linux.yaml", SHIPPED.as_bytes(), &NoFiles);
    assert_eq!(render(&reading.diagnostics, &reading.sources, false), "");
    let runbook = reading.runbook.unwrap();
    assert_eq!(runbook.name.value, "patch-linux");
    assert_eq!(runbook.params.len(), 2);
    assert_eq!(runbook.targets.len(), 3);
    let block = &runbook.blocks[0];
    let ids: Vec<&str> = block.steps.iter().map(|step| step.id.value.as_str()).collect();
    assert_eq!(ids, ["backup", "patch", "compliant", "healthy", "restore"]);
    let healthy = &block.steps[3];
    assert_eq!((healthy.id.place.line, healthy.id.place.column, healthy.id.place.width), (30, 5, 7));
    let url = &healthy.with[0];
    assert_eq!(url.expressions[0].value, " target.private_ip ");
    assert_eq!((url.expressions[0].place.line, url.expressions[0].place.column), (33, 30));
    assert!(
        matches!(&block.steps[4].targets.as_ref().unwrap().value, StepTargets::FailedIn(steps) if steps.len() == 3)
    );
    let production = runbook.steps.last().unwrap();
    assert!(matches!(&production.what, What::Block(block) if block.value == "patch-and-verify"));
    let waves: Vec<Amount> =
        production.rollout.as_ref().unwrap().waves.iter().map(|wave| wave.value).collect();
    assert_eq!(waves, [Amount::Count(1), Amount::Percent(5), Amount::Percent(25), Amount::Percent(100)]);
}

#[test]
fn expressions_in_scripts_have_their_places() {
    let text = concat!(
        "runbook: a\nsteps:\n  s:\n    uses: local/command\n    with:\n      script: |\n",
        "        echo {{ params.a | sh }}\n\n        üü {{ params.b | sh }} {{ params.a | sh }}\n",
        "      x: >-\n        folded\n        {{ params.d }} 'it''s'\n",
        "      y: 'it''s {{ params.e }} {{ \"''\" }}'\n",
    );
    let reading = read("a", text.as_bytes(), &NoFiles);
    let runbook = reading.runbook.unwrap();
    let places = |input: usize| -> Vec<(usize, usize)> {
        runbook.steps[0].with[input].expressions.iter().map(|e| (e.place.line, e.place.column)).collect()
    };
    assert_eq!(places(0), [(7, 16), (9, 14), (9, 34)]);
    assert_eq!(places(1), [(12, 11)]);
    // What is written with escapes has the place of its text.
    assert_eq!(places(2), [(13, 19), (13, 10)]);
}

#[test]
fn encodings() {
    let wide: Vec<u8> = "runbook: a\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(problems(&read("a", &wide, &NoFiles)), "1:1 wrong-encoding\n");
    assert_eq!(problems(&read("a", b"runbook: a\nx: \xff\n", &NoFiles)), "2:4 wrong-encoding\n");
    assert_eq!(problems(&read("a", b"runbook: a\nx: \0\n", &NoFiles)), "2:4 nul-byte\n");
    assert_eq!(problems(&read("a", b"runbook: a\rx: b\n", &NoFiles)), "1:11 control-character\n");
    let marked = format!("\u{feff}{}", SHIPPED.replace('\n', "\r\n"));
    assert_eq!(problems(&read("a", marked.as_bytes(), &NoFiles)), "");
    assert_eq!(problems(&read("a", &vec![b'#'; 10_000_001], &NoFiles)), "1:1 too-large\n");
    assert_eq!(problems(&read("a", b"", &NoFiles)), "1:1 empty-document\n");
}

#[test]
fn bombs() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in ('b'..='i').zip('a'..) {
        bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", ")));
    }
    assert!(problems(&read("a", bomb.as_bytes(), &NoFiles)).contains("alias-expansion"));
    let deep = "[".repeat(100_000);
    assert_eq!(problems(&read("a", deep.as_bytes(), &NoFiles)), "1:256 too-deep\n");
    let deep: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(problems(&read("a", deep.as_bytes(), &NoFiles)).contains("too-deep"));
    let many = "- a\n".repeat(300_000);
    assert!(problems(&read("a", many.as_bytes(), &NoFiles)).contains("too-many-values"));
    assert!(problems(&read("a", b"a: &x [*x]", &NoFiles)).contains("recursive-alias"));
}

#[test]
fn files_that_run_each_other() {
    let part = "runbook: part\nsteps:\n  x: { run: ../entry.yaml }\n  y: { run: ./other.yaml }\n  z: { run: other.yaml }\n";
    let files = Files(BTreeMap::from([
        ("parts/part.yaml", part),
        ("parts/other.yaml", "runbook: other\nsteps:\n  a: { uses: local/command }\ntargets: {}\n"),
    ]));
    let entry = "runbook: entry\nsteps:\n  a: { run: ./parts/part.yaml }\n  b: { run: parts/none.yaml }\n";
    let reading = read("books/entry.yaml", entry.as_bytes(), &files);
    let names: Vec<&str> = reading.sources.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["books/entry.yaml", "books/parts/part.yaml", "books/parts/other.yaml"]);
    let said: Vec<String> = reading
        .diagnostics
        .iter()
        .map(|problem| format!("{}:{}: {}", problem.place.source, problem.place.line, problem.message))
        .collect();
    assert_eq!(
        said,
        [
            "0:4: `parts/none.yaml` cannot be read: there is no such file",
            "1:3: the file runs itself: entry.yaml → parts/part.yaml → entry.yaml",
            "2:4: a file that `run:` names cannot have `targets`",
        ]
    );
    assert!(reading.sources.load("parts/other.yaml").is_ok());
}
