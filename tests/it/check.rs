//! `check` on broken runbooks: each exact diagnostic is a snapshot beside the runbook.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::{
    prelude::{Strategy, any, prop_oneof, proptest},
    sample::{Index, select},
};
use runbook_engine::{
    diagnostic::render,
    document::read,
    loader::{Loader, NoFiles},
};
use runbook_steps::catalog::Actions;

/// Files beside the runbook.
struct Beside(PathBuf);

impl Loader for Beside {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(self.0.join(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        })
    }
}

fn checked(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let reading = read(name, &bytes, &Beside(path.parent().unwrap().to_owned()));
    let reading = reading.checked(&Actions::standard());
    render(&reading.diagnostics, &reading.sources, false)
}

fn runbooks(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| !path.to_string_lossy().ends_with(".test.yaml"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_broken_runbook_gets_its_diagnostics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let paths = runbooks(&folder);
    assert!(paths.len() >= 60, "only {} broken runbooks", paths.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in paths {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let rendered = checked(&path);
            assert!(!rendered.is_empty(), "{name} is not broken");
            insta::assert_snapshot!(name, rendered);
        }
    });
}

#[test]
fn every_shipped_runbook_is_clean() {
    for path in runbooks(&Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks")) {
        assert_eq!(checked(&path), "", "{}", path.display());
    }
}

/// What a slip of the hand, or of a program, does to a file.
#[derive(Clone, Debug)]
enum Slip {
    Flip(Index, u8),
    Cut(Index, Index),
    Copy(Index, Index, Index),
    Insert(Index, &'static str),
}

impl Slip {
    fn any() -> impl Strategy<Value = Self> {
        let tokens = [
            "{{",
            "}}",
            "\"",
            "'",
            ": ",
            "\n",
            "  ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "<<: ",
            "!x ",
            "|\n",
            "- ",
            "#",
            "? ",
            "\t",
            "\u{fffd}",
            "ü",
            "{{ steps.patch.outputs }}",
            "0",
            "-1",
            "100%",
            "~",
            "a/b",
            "\r",
            "%YAML 1.1\n",
        ];
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Flip(at, byte)),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Cut(from, to)),
            (any::<Index>(), any::<Index>(), any::<Index>())
                .prop_map(|(from, to, at)| Self::Copy(from, to, at)),
            (any::<Index>(), select(tokens.to_vec())).prop_map(|(at, token)| Self::Insert(at, token)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let range = |from: &Index, to: &Index, length: usize| {
            let (from, to) = (from.index(length), to.index(length));
            // Short pieces: a file that lost most of itself says little.
            let (from, to) = (from.min(to), from.max(to));
            from..to.min(from + 40)
        };
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(from, to) => {
                bytes.drain(range(from, to, bytes.len()));
            }
            Self::Copy(from, to, at) => {
                let piece = bytes[range(from, to, bytes.len())].to_vec();
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece);
            }
            Self::Insert(at, token) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, token.bytes());
            }
        }
    }
}

/// Reads, checks and shows, whatever the bytes are; every diagnostic stands inside the file.
fn survives(bytes: &[u8]) {
    let reading = read("slip.yaml", bytes, &NoFiles).checked(&Actions::standard());
    render(&reading.diagnostics, &reading.sources, false);
    assert!(reading.runbook.is_some() || reading.has_errors());
    let lines = reading.sources.files[0].1.lines().count().max(1);
    for diagnostic in &reading.diagnostics {
        let place = diagnostic.place;
        assert!((1..=lines).contains(&place.line) && place.column >= 1 && place.width >= 1, "{diagnostic:?}");
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        survives(&bytes);
        survives(text.as_bytes());
    }

    #[test]
    fn no_slip_makes_it_panic(which in any::<Index>(), slips in proptest::collection::vec(Slip::any(), 1..8)) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = runbooks(&root.join("tests/check"));
        paths.extend(runbooks(&root.join("runbooks")));
        let mut bytes = fs::read(which.get(&paths)).unwrap();
        for slip in &slips {
            slip.apply(&mut bytes);
        }
        survives(&bytes);
    }
}
