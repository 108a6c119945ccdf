//! Runbooks on the disk.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use runbook_engine::{
    diagnostic::{Diagnostic, Place, Severity},
    document::{self, Reading, Sources},
    loader::Loader,
};

/// More than any limit of the reader, and little enough to hold: a device that never ends must not fill the memory.
const MOST_BYTES: u64 = 64 << 20;

/// Reads files beside a runbook.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder that a runbook stands in.
    pub fn of(file: &Path) -> Self {
        Self(file.parent().map_or_else(PathBuf::new, Path::to_path_buf))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Loader for Folder {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        bytes(&self.0.join(path)).map_err(|error| reason(&error))
    }
}

/// The bytes of a file; `-` is stdin.
///
/// # Errors
/// Why they cannot be read.
pub fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The file's name in messages.
pub fn name(file: &Path) -> String {
    if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() }
}

/// Reads a runbook and the files that it names. What cannot be read is a diagnostic too.
pub fn read(file: &Path) -> Reading {
    let name = name(file);
    match bytes(file) {
        Ok(bytes) => document::read(&name, &bytes, &Folder::of(file)),
        Err(error) => {
            let (sources, diagnostics) = unreadable(name, &error);
            Reading { sources, runbook: None, diagnostics }
        }
    }
}

/// Reads a test file: its text, and what is wrong with it.
pub fn read_tests(file: &Path) -> (Sources, Vec<Diagnostic>) {
    let name = name(file);
    match bytes(file) {
        Ok(bytes) => {
            let reading = document::read_test(&name, &bytes);
            (reading.sources, reading.diagnostics)
        }
        Err(error) => unreadable(name, &error),
    }
}

fn unreadable(name: String, error: &io::Error) -> (Sources, Vec<Diagnostic>) {
    let problem = Diagnostic {
        severity: Severity::Error,
        code: "unreadable-file",
        message: format!("the file cannot be read: {}", reason(error)),
        place: Place::whole(0),
        hint: None,
    };
    (Sources { files: vec![(name, String::new())] }, vec![problem])
}

/// What the system says, without its error number.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}
