//! Files cut short, flipped bits, lost blocks, strays: either every acknowledged entry is there, or an error says what
//! is wrong and what to do. What was acknowledged is remembered by the test, not by the store.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use runbook_engine::{ids::RunId, run::event::Event};
use runbook_state::{
    SledStore,
    store::{RunStore as _, StoreError},
};
use tempfile::TempDir;

use crate::{dice::Dice, sample};

/// A store as some process left it, and what it had acknowledged.
struct Left {
    folder: TempDir,
    runs: Vec<(RunId, Vec<Event>)>,
}

/// Runs of these names side by side; the store is opened anew between rounds.
fn left(runs: &[&str], rounds: usize, batches: u64, machines: usize) -> Left {
    let folder = sample::folder();
    let mut runs: Vec<_> = runs.iter().map(|run| (RunId::new(run), Vec::new())).collect();
    for _ in 0..rounds {
        let mut store = SledStore::open(folder.path()).expect("a store");
        for (run, written) in &mut runs {
            if written.is_empty() {
                written.push(sample::started(run.as_str()));
                let row = sample::row(run.as_str());
                store.create(&row, &sample::plan("one"), sample::at(0), written).expect("create");
            }
            for number in 0..batches {
                let mut events = sample::step(number);
                events.push(sample::wide(machines));
                store.append(run, sample::at(1), &events, None).expect("append");
                written.extend(events);
            }
        }
    }
    Left { folder, runs }
}

/// One segment, never opened again.
fn small() -> Left {
    left(&["a"], 1, 40, 1)
}

/// Several segments and openings, two runs.
fn large() -> Left {
    left(&["a", "b"], 3, 60, 60)
}

#[derive(Debug, PartialEq)]
enum Found {
    Everything,
    Refused(String),
}

impl Left {
    /// A copy of the folder, in which `damage` is done.
    fn damaged(&self, damage: impl FnOnce(&Path)) -> TempDir {
        let copy = sample::folder();
        copy_all(self.folder.path(), copy.path());
        damage(copy.path());
        copy
    }

    /// Whether everything acknowledged is in this folder; a loss that the store does not notice fails the test.
    fn look(&self, folder: &Path, case: &str) -> Found {
        match self.read(folder, case) {
            Ok(()) => Found::Everything,
            Err(error) => {
                assert_eq!(error.exit_code(), 20, "{case}: {error}");
                assert!(error.hint().contains('`'), "{case}: {error} has no next command");
                Found::Refused(error.to_string())
            }
        }
    }

    fn read(&self, folder: &Path, case: &str) -> Result<(), StoreError> {
        let mut store = SledStore::open(folder)?;
        assert_eq!(store.runs()?.len(), self.runs.len(), "{case}");
        for (run, written) in &self.runs {
            let events: Vec<_> = store.entries(run, 1)?.into_iter().map(|entry| entry.event).collect();
            assert!(events == *written, "{case}: {} entries of {}", events.len(), written.len());
            assert_eq!(store.plan(run)?, sample::plan("one"), "{case}");
        }
        // It goes on, too.
        for (run, written) in &self.runs {
            let last = store.append(run, sample::at(2), &[sample::finished()], None)?;
            assert_eq!(last, written.len() as u64 + 1, "{case}");
        }
        Ok(())
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        list(self.folder.path(), Path::new(""), &mut files);
        files.retain(|file| file != Path::new("LOCK"));
        files
    }

    fn length(&self, file: &Path) -> u64 {
        fs::metadata(self.folder.path().join(file)).expect("a file").len()
    }
}

fn list(folder: &Path, inside: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder.join(inside)).expect("a folder").flatten() {
        let name = inside.join(entry.file_name());
        if entry.path().is_dir() { list(folder, &name, files) } else { files.push(name) }
    }
    files.sort();
}

fn copy_all(from: &Path, to: &Path) {
    let mut files = Vec::new();
    list(from, Path::new(""), &mut files);
    fs::create_dir_all(to.join("blobs")).expect("a folder");
    fs::create_dir_all(to.join("plans")).expect("a folder");
    for file in files {
        fs::copy(from.join(&file), to.join(&file)).expect("a copy");
    }
}

fn cut(file: &Path, by: u64) {
    let file = OpenOptions::new().write(true).open(file).expect("a file");
    let length = file.metadata().expect("metadata").len();
    file.set_len(length.saturating_sub(by)).expect("a shorter file");
}

fn flip(file: &Path, offset: u64, bit: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("a byte");
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).expect("a byte");
}

fn blank(file: &Path, offset: u64, length: u64) {
    let file = OpenOptions::new().write(true).open(file).expect("a file");
    let length = length.min(file.metadata().expect("metadata").len() - offset);
    file.write_all_at(&vec![0; usize::try_from(length).expect("small")], offset).expect("zeros");
}

#[test]
fn any_file_cut_short_by_any_length_is_noticed_or_harmless() {
    for left in [small(), large()] {
        for file in left.files() {
            for by in [1, 100, 4096, 65_536, 524_288, u64::MAX] {
                let case = format!("{} cut by {by}", file.display());
                let copy = left.damaged(|folder| cut(&folder.join(&file), by));
                left.look(copy.path(), &case);
            }
        }
    }
}

#[test]
fn the_journal_cut_short_names_the_last_good_entry() {
    let left = small();
    let copy = left.damaged(|folder| cut(&folder.join("db"), 1));
    let error = left.read(copy.path(), "cut").expect_err("refused");
    let path = copy.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "the journal of run `a` in {path} ends with entry 118, but entry 121 was acknowledged: entries are lost"
        )
    );
    assert!(error.hint().starts_with(&format!("put {path} back from a backup, then `runbook resume`")));
    // And it stays so: opening it has not made a loss look like an end.
    assert_eq!(left.read(copy.path(), "again").expect_err("refused").to_string(), error.to_string());
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless() {
    let mut dice = Dice::new(3);
    for (left, flips) in [(small(), 60), (large(), 60)] {
        for file in left.files() {
            let length = left.length(&file);
            let flips = if file == Path::new("db") { flips } else { 12 };
            for _ in 0..flips {
                // The heads of segments, where sled is most easily misled, as often as all the rest.
                let segment = 524_288 * dice.below(length / 524_288 + 1);
                let offset = match dice.below(2) {
                    0 => (segment + dice.below(64)).min(length - 1),
                    _ => dice.below(length),
                };
                let bit = dice.below(8);
                let case = format!("{} bit {bit} of byte {offset}", file.display());
                let copy = left.damaged(|folder| flip(&folder.join(&file), offset, bit));
                left.look(copy.path(), &case);
            }
        }
    }
}

#[test]
fn a_lost_block_anywhere_is_noticed_or_harmless() {
    let mut dice = Dice::new(4);
    let left = large();
    for file in left.files() {
        let length = left.length(&file);
        for _ in 0..if file == Path::new("db") { 30 } else { 3 } {
            let block = [512, 4096, 65_536][usize::try_from(dice.below(3)).expect("small")];
            let offset = dice.below(length) / block * block;
            let case = format!("{} without {block} bytes at {offset}", file.display());
            let copy = left.damaged(|folder| blank(&folder.join(&file), offset, block));
            left.look(copy.path(), &case);
        }
    }
}

#[test]
fn a_file_that_is_missing_is_noticed_or_harmless() {
    let left = large();
    for file in left.files() {
        let copy = left.damaged(|folder| fs::remove_file(folder.join(&file)).expect("removed"));
        let found = left.look(copy.path(), &format!("{} gone", file.display()));
        let harmless = file == Path::new("conf") || file.to_string_lossy().starts_with("snap.");
        assert_eq!(found == Found::Everything, harmless, "{}: {found:?}", file.display());
    }
}

#[test]
fn an_interrupted_snapshot_is_recovered_from() {
    for left in [small(), large()] {
        for content in [&b""[..], b"torn", &[7; 5000]] {
            for name in ["snap.0000000000000000.generating", "snap.7FFFFFFFFFFFFFFF.generating"] {
                let copy = left.damaged(|folder| fs::write(folder.join(name), content).expect("a stray"));
                assert_eq!(left.look(copy.path(), name), Found::Everything);
                assert!(!copy.path().join(name).exists());
            }
        }
    }
}

#[test]
fn a_damaged_snapshot_is_made_anew() {
    let left = large();
    let snapshot = left.files().into_iter().find(|file| file.to_string_lossy().starts_with("snap."));
    let snapshot = snapshot.expect("a snapshot");
    for damage in
        [|file: &Path| cut(file, 3), |file: &Path| flip(file, 100, 0), |file: &Path| cut(file, u64::MAX)]
    {
        let copy = left.damaged(|folder| damage(&folder.join(&snapshot)));
        assert_eq!(left.look(copy.path(), "snapshot"), Found::Everything);
        assert!(!copy.path().join("trial").exists());
    }
}

#[test]
fn a_lost_or_torn_head_is_said_to_be_lost() {
    let left = large();
    let head = |damage: &dyn Fn(&Path)| {
        let copy = left.damaged(|folder| damage(&folder.join("HEAD")));
        match left.read(copy.path(), "HEAD") {
            Ok(()) => "whole".to_owned(),
            Err(error @ StoreError::HeadLost { .. }) => {
                error.to_string().replace(&copy.path().display().to_string(), "STATE")
            }
            Err(other) => panic!("{other}"),
        }
    };
    let missing = "the file STATE/HEAD is missing or empty, though there are runs, so it cannot be told whether the \
                   journal is complete";
    assert_eq!(head(&|file| fs::remove_file(file).expect("removed")), missing);
    assert_eq!(head(&|file| cut(file, u64::MAX)), missing);
    // Each run has two lines: one of them torn is what a power cut may leave.
    for line in 0..4 {
        assert_eq!(head(&|file| flip(file, line * 192 + 5, 3)), "whole");
    }
    assert!(head(&|file| blank(file, 0, 384)).contains("is damaged (lines 1 and 2)"));
    assert!(head(&|file| blank(file, 384, 384)).contains("does not name run `b`"));
}

#[test]
fn a_journal_of_an_older_copy_is_behind_its_head() {
    let left = small();
    let copy = left.damaged(|_| ());
    {
        let mut store = SledStore::open(copy.path()).expect("a store");
        store.append(&RunId::new("a"), sample::at(3), &[sample::finished()], None).expect("append");
    }
    let mixed = left.damaged(|folder| {
        fs::copy(copy.path().join("HEAD"), folder.join("HEAD")).expect("a copy");
    });
    let refused = SledStore::open(mixed.path()).expect_err("refused");
    assert!(matches!(refused, StoreError::BehindHead { last: 121, acknowledged: 122, .. }), "{refused}");
}

#[test]
fn a_lost_resolution_is_noticed_though_the_entries_are_whole() {
    let left = small();
    let resolve = |folder: &Path| {
        let mut store = SledStore::open(folder).expect("a store");
        let (run, target) = (RunId::new("a"), "i-0a".into());
        let resolution = runbook_state::store::Resolution {
            run,
            target,
            at: sample::at(4),
            by: "ann".to_owned(),
            note: None,
        };
        store.resolve(&resolution).expect("resolve");
    };
    let copy = left.damaged(resolve);
    let mixed = left.damaged(|folder| {
        fs::copy(copy.path().join("HEAD"), folder.join("HEAD")).expect("a copy");
    });
    let refused = SledStore::open(mixed.path()).expect_err("refused");
    assert!(matches!(refused, StoreError::BehindCommit { last: 121, .. }), "{refused}");
}
