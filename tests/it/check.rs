//! `check` on broken runbooks: each exact diagnostic is a snapshot beside the runbook.

use std::{
    fs,
    path::{Path, PathBuf},
};

use runbook_engine::{diagnostic::render, document::read, loader::Loader};
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
