//! Inventories of hosts in the real world: our own files, whatever Ansible reads, programs and servers that answer with
//! JSON. The rest of the program sees the register that comes of one.
//!
//! A source is asked once in the life of a process that plans: all groups see the same answer, and the plan freezes it.

mod ansible;
mod asking;
mod error;
pub mod gather;
mod pages;
mod path;
mod program;
mod ssh_arguments;
mod template;
mod twins;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use runbook_engine::{
    document::{self, InventoryFile},
    inventory::{From, Listing, Pages, Register, Source},
};
use tokio::sync::Mutex;

pub use self::error::InventoryError;
use self::{asking::Asker, error::unreadable};
use crate::coordinator::{secrets::Secrets, session::Setup};

/// More than the reader's limit, so that it says what is too large.
const MOST_BYTES: u64 = 16 << 20;

/// The inventories beside a runbook.
pub struct Inventories {
    folder: PathBuf,
    asker: Arc<Asker>,
    opened: Mutex<BTreeMap<PathBuf, Arc<Opened>>>,
}

/// An inventory that was read, and whose source was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// Its hosts.
    pub register: Register,
    /// What was not taken over, and which hosts may be one machine; one lower-case sentence each, without secrets.
    pub notes: Vec<String>,
}

impl Inventories {
    /// The inventories beside a runbook in this folder. What is asked gets none of the secrets but those that its file
    /// names.
    pub fn new(folder: &Path, setup: &Setup, secrets: Secrets) -> Self {
        let asker = Arc::new(Asker::new(&setup.vars, secrets));
        Self { folder: folder.to_owned(), asker, opened: Mutex::default() }
    }

    /// Where a file of this name is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// What is to be said of the inventories that were asked so far, with the inventory that it stands in.
    pub async fn notes(&self) -> Vec<String> {
        let opened = self.opened.lock().await;
        let told = |(path, opened): (&PathBuf, &Arc<Opened>)| {
            let of = |note: &String| format!("{}: {note}", path.display());
            opened.notes.iter().map(of).collect::<Vec<_>>()
        };
        opened.iter().flat_map(told).collect()
    }

    /// Reads an inventory, and asks its source if nobody did yet.
    ///
    /// # Errors
    /// The file is wrong, or the source gave no answer that could be used.
    pub async fn open(&self, file: &str) -> Result<Arc<Opened>, InventoryError> {
        let path = self.path(file);
        let mut opened = self.opened.lock().await;
        if let Some(known) = opened.get(&path) {
            return Ok(Arc::clone(known));
        }
        let (asker, asked) = (Arc::clone(&self.asker), path.clone());
        // Programs and servers are waited for in this machine's time, whatever time the world has.
        let found = tokio::task::spawn_blocking(move || read(&asker, &asked)).await;
        let found = Arc::new(found.map_err(|error| unreadable(&path, &io::Error::other(error)))??);
        opened.insert(path, Arc::clone(&found));
        Ok(found)
    }
}

/// The hosts that a program of an inventory, or Ansible, printed.
///
/// # Errors
/// Why it is no listing of hosts, in one lower-case sentence.
pub fn of_program(printed: &[u8]) -> Result<Register, String> {
    let told = asking::understood("the program", printed)?;
    Register::of(&told.listing).map_err(|defects| format!("{} defects", defects.len()))
}

/// The hosts that a page of a server tells.
///
/// # Errors
/// Why it is no such page, in one lower-case sentence.
pub fn of_page(pages: &Pages, body: &[u8]) -> Result<Register, String> {
    let page: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut listing = Listing::default();
    pages::take_page(&page, pages, 1, &mut listing)?;
    Register::of(&listing).map_err(|defects| format!("{} defects", defects.len()))
}

/// What a path is: a file in our notation, or something that Ansible reads.
enum Found {
    Ours(Vec<u8>),
    Ansible,
}

fn recognised(path: &Path) -> Result<Found, InventoryError> {
    let failed = |error: io::Error| unreadable(path, &error);
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(Found::Ansible);
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(if document::is_inventory(&text) { Found::Ours(bytes) } else { Found::Ansible })
}

fn read(asker: &Asker, path: &Path) -> Result<Opened, InventoryError> {
    let name = path.display().to_string();
    let (file, sources) = match recognised(path)? {
        Found::Ansible => {
            let whole = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
            let from = From::Ansible(vec![whole.to_string_lossy().into_owned()]);
            let source = Source { from, timeout: None, vars: None };
            (InventoryFile::told_by(source), document::Sources::default())
        }
        Found::Ours(bytes) => {
            let reading = document::read_inventory(&name, &bytes);
            match reading.file {
                Some(file) if reading.diagnostics.is_empty() => (file, reading.sources),
                _ => {
                    let (sources, diagnostics) = (reading.sources, reading.diagnostics);
                    return Err(InventoryError::Invalid { path: name, sources, diagnostics });
                }
            }
        }
    };
    let beside = path.parent().unwrap_or(Path::new("."));
    let told = file.source.as_ref().map(|source| asker.ask(source, beside, &name)).transpose()?;
    let (listing, notes) = told.map(|told| (told.listing, told.notes)).unzip();
    let register = file.register(listing).map_err(|diagnostics| {
        let mut sources = sources;
        if sources.files.is_empty() {
            sources.files.push((name.clone(), String::new()));
        }
        InventoryError::Invalid { path: name.clone(), sources, diagnostics }
    })?;
    let mut notes = notes.unwrap_or_default();
    notes.extend(twins::notes(&register));
    Ok(Opened { register, notes })
}
