//! Every target takes its kept corpus, and a fixed number of changes of it, without a panic: the short run of the fuzzer
//! that needs no instrumentation.

use std::{fs, path::PathBuf};

use runbook_fuzzed::TARGETS;

/// Changed inputs for each target.
const CHANGES: usize = 400;

/// Words that open ways which single bytes rarely find.
const WORDS: [&str; 16] = [
    "{{ ",
    " }}",
    ": ",
    "\n  ",
    "- ",
    "[]",
    "{}",
    "null",
    "-1",
    "18446744073709551616",
    "\u{0}",
    "\u{feff}",
    "\"",
    "*a",
    "&a ",
    "9999d",
];

/// Choices that are the same in every run.
struct Choices(u64);

impl Choices {
    /// Below this number, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("an input")).collect()
}

/// An input with one to four changes: bytes flipped, parts left out, repeated or taken from another input, words put in.
fn changed(corpus: &[Vec<u8>], choices: &mut Choices) -> Vec<u8> {
    let mut bytes = corpus[choices.below(corpus.len())].clone();
    for _ in 0..=choices.below(4) {
        let at = choices.below(bytes.len() + 1);
        let end = (at + choices.below(64)).min(bytes.len());
        match choices.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << choices.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => {
                let other = &corpus[choices.below(corpus.len())];
                let from = choices.below(other.len() + 1);
                let to = (from + choices.below(256)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => drop(bytes.splice(at..at, WORDS[choices.below(WORDS.len())].bytes())),
        }
    }
    bytes
}

#[test]
fn every_target_takes_its_corpus_and_what_it_may_become() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{}", target.name);
        corpus.iter().for_each(|input| (target.take)(input));
        let mut choices = Choices(target.name.len() as u64);
        for _ in 0..CHANGES {
            (target.take)(&changed(&corpus, &mut choices));
        }
    }
}

#[test]
fn the_fuzzer_runs_all_targets_and_no_other() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let script = fs::read_to_string(fuzz.join("run.sh")).expect("fuzz/run.sh");
    let all = script.lines().find_map(|line| line.strip_prefix("all='")).expect("the list of targets");
    let mut named: Vec<&str> = all.trim_end_matches('\'').split(' ').collect();
    named.sort_unstable();
    let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    known.sort_unstable();
    assert_eq!(named, known);
    for name in known {
        let text = fs::read_to_string(fuzz.join(format!("targets/{name}.rs"))).expect("a target");
        assert!(text.contains(&format!("take(\"{name}\", bytes)")), "{name}");
    }
}
