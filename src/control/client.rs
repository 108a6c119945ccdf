//! What commands do that do not hold the store for long: they try its lock, then the socket of whoever holds it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use runbook_engine::{ids::RunId, plan::Plan, run::Run};
use runbook_state::{
    SledStore,
    error::StoreError,
    store::{Entry, RunRow, RunStore},
};

use super::{
    asked::Ask,
    order::{Order, Told},
    peer::Person,
    place::Place,
    protocol::{Line, Request, VERSION},
};
use crate::artifacts::books::Books;
use crate::coordinator::{
    exit::ExitReport, interrupts, mask::Mask, observer::Observer, offline, refused::Refused, replay,
    secrets::Secrets, session::Setup,
};

/// How long a command tries.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A run, copied out of the store.
#[derive(Debug)]
pub struct Journal {
    /// What the list of runs says. A run that nobody holds is `interrupted` here, not `running`.
    pub row: RunRow,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Every entry.
    pub entries: Vec<Entry>,
    /// Whether a process advances it.
    pub live: bool,
}

impl Journal {
    /// The run as its journal tells it.
    ///
    /// # Errors
    /// The plan or the journal does not fit together.
    pub fn replay(&self) -> Result<Run, Refused> {
        replay::replay(&self.row.run, &self.plan, &self.entries)
    }
}

/// Every run, oldest first; none where there is no state folder.
///
/// # Errors
/// The store cannot be read, or its holder does not answer.
pub fn runs(setup: &Setup) -> Result<Vec<RunRow>, Refused> {
    match reach(setup) {
        Ok(Reached::Store(store)) => Ok(store.runs()?.into_iter().map(unheld).collect()),
        Ok(Reached::Holder(mut holder)) => {
            holder.ask(Ask::Runs, false)?;
            let mut rows = Vec::new();
            while let Some(line) = holder.line()? {
                if let Line::Run { row } = line {
                    rows.push(*row);
                }
            }
            Ok(rows)
        }
        Err(Refused::NoRuns { .. }) => Ok(Vec::new()),
        Err(refused) => Err(refused),
    }
}

/// The ledger of artifacts; none where there is no state folder.
///
/// # Errors
/// The store cannot be read, or its holder does not answer.
pub fn books(setup: &Setup) -> Result<Option<Books>, Refused> {
    match reach(setup) {
        Ok(Reached::Store(store)) => Books::read(&store).map(Some),
        Ok(Reached::Holder(mut holder)) => {
            holder.ask(Ask::Books, false)?;
            match holder.line()? {
                Some(Line::Books { books }) => Ok(Some(*books)),
                _ => Err(Refused::Stopping),
            }
        }
        Err(Refused::NoRuns { .. }) => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// One run as it stands: by id or unique prefix; without one the only unfinished run, else the newest.
///
/// # Errors
/// There is no such run, the store cannot be read, or its holder does not answer.
pub fn journal(setup: &Setup, run: Option<&str>) -> Result<Journal, Refused> {
    match reach(setup)? {
        Reached::Store(store) => {
            let rows = store.runs()?;
            let row = replay::select(&rows, run, &setup.state)?;
            Ok(Journal {
                plan: Arc::new(store.plan(&row.run)?),
                entries: store.entries(&row.run, 1)?,
                row: unheld(row.clone()),
                live: false,
            })
        }
        Reached::Holder(mut holder) => holder.journal(run),
    }
}

/// Tells a run something. Where nobody holds the store, its owner's word is appended, and waits for `resume`.
///
/// # Errors
/// The person may not, it makes no sense now, or the store cannot be had.
pub fn tell(setup: &Setup, run: Option<&str>, order: &Order) -> Result<Told, Refused> {
    insist(|| match reach(setup)? {
        Reached::Store(mut store) => {
            let rows = store.runs()?;
            let row = replay::select(&rows, run, &setup.state)?;
            let secrets = Secrets::from_vars(&setup.vars)?;
            let mask: &Mask = secrets.mask();
            offline::tell(&mut store, row, order, &Person::of_this_process(), owns(&setup.state), mask)
        }
        Reached::Holder(mut holder) => {
            holder.ask(Ask::Tell { run: run.map(str::to_owned), order: order.clone() }, false)?;
            match holder.line()? {
                Some(Line::Told { told }) => Ok(told),
                _ => Err(Refused::Stopping),
            }
        }
    })
}

/// Watches a run from its first entry on (`from`: earlier entries are applied, but not shown), until the process that
/// advances it is done with it. Where nobody advances it, until its last entry. Ctrl-C ends the watching, not the run.
///
/// # Errors
/// There is no such run, or the store cannot be had.
pub fn follow(
    setup: &Setup,
    run: Option<&str>,
    from: u64,
    observer: &mut dyn Observer,
) -> Result<ExitReport, Refused> {
    let mut run = run.map(str::to_owned);
    let mut from = from;
    loop {
        let holder = match reach(setup)? {
            Reached::Store(store) => {
                drop(store);
                let journal = journal(setup, run.as_deref())?;
                let mut watched = Watched::new(journal.row.run.clone(), journal.plan, from)?;
                for entry in &journal.entries {
                    watched.entry(entry, observer)?;
                }
                return Ok(watched.abandoned());
            }
            Reached::Holder(holder) => holder,
        };
        match watch(holder, run.as_deref(), from, observer)? {
            Watch::Ended(report) => return Ok(report),
            // The holder ended before it could say so: the rest is in the store.
            Watch::Cut { run: cut, next } => {
                run = Some(cut.to_string());
                from = next;
            }
        }
    }
}

/// Has the process that holds the store advance a run: a plan that is submitted, or one to go on with.
pub(crate) fn advance(mut holder: Holder, ask: Ask) -> Result<RunId, Refused> {
    holder.ask(ask, false)?;
    match holder.line()? {
        Some(Line::Advancing { run }) => Ok(run),
        _ => Err(Refused::Stopping),
    }
}

/// Asks again, for as long as a command has patience, while the process that holds the store is going away.
pub(crate) fn insist<T>(mut ask: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(Refused::Stopping) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

/// What a command reaches.
pub(crate) enum Reached {
    /// The store itself: nobody else has it.
    Store(SledStore),
    /// The process that holds it.
    Holder(Holder),
}

/// The store, or its holder, for a command that only makes sense where there is a store.
pub(crate) fn reach(setup: &Setup) -> Result<Reached, Refused> {
    if matches!(setup.state.try_exists(), Ok(false)) {
        return Err(Refused::NoRuns { state: setup.state.clone() });
    }
    reach_or_make(setup)
}

/// The store, which is made if there is none, or its holder.
pub(crate) fn reach_or_make(setup: &Setup) -> Result<Reached, Refused> {
    let begun = Instant::now();
    let place = Place::of(&setup.state);
    loop {
        match SledStore::open(&setup.state) {
            Ok(store) => return Ok(Reached::Store(store)),
            Err(StoreError::Locked { .. }) => {}
            Err(error) if owns(&setup.state) => return Err(error.into()),
            // A state folder that one may not read counts as locked.
            Err(error) if !place.exists() => return Err(error.into()),
            Err(_) => {}
        }
        if place.exists() {
            place.trust(&setup.state)?;
            if let Ok(stream) = UnixStream::connect(place.socket()) {
                return Ok(Reached::Holder(Holder::new(stream)?));
            }
        }
        if begun.elapsed() >= PATIENCE {
            return Err(Refused::NoAnswer { state: setup.state.clone() });
        }
        thread::sleep(PAUSE);
    }
}

/// Whether this process's user owns the state folder, or is root.
pub(crate) fn owns(state: &Path) -> bool {
    let uid = nix::unistd::geteuid();
    uid.is_root() || fs::metadata(state).is_ok_and(|about| about.uid() == uid.as_raw())
}

/// A run that nobody holds does not run, whatever its last process wrote.
fn unheld(mut row: RunRow) -> RunRow {
    if row.status == "running" {
        row.status = "interrupted".to_owned();
    }
    row
}

/// A connection to the process that holds the store.
pub(crate) struct Holder {
    lines: BufReader<UnixStream>,
    out: UnixStream,
}

impl Holder {
    fn new(stream: UnixStream) -> Result<Self, Refused> {
        let out = stream.try_clone().map_err(broken)?;
        Ok(Self { lines: BufReader::new(stream), out })
    }

    fn ask(&mut self, ask: Ask, follow: bool) -> Result<(), Refused> {
        let mut bytes = serde_json::to_vec(&Request { version: VERSION, ask, follow, hear: follow })
            .map_err(|error| broken(error.into()))?;
        bytes.push(b'\n');
        self.out.write_all(&bytes).map_err(broken)
    }

    /// The next line; none at the end of the answer.
    fn line(&mut self) -> Result<Option<Line>, Refused> {
        let mut text = String::new();
        if self.lines.read_line(&mut text).map_err(broken)? == 0 {
            return Err(Refused::Stopping);
        }
        match serde_json::from_str(&text).map_err(|error| broken(error.into()))? {
            Line::End => Ok(None),
            Line::Refused { refused } => Err(refused.into()),
            line => Ok(Some(line)),
        }
    }

    fn journal(&mut self, run: Option<&str>) -> Result<Journal, Refused> {
        self.ask(Ask::Journal { run: run.map(str::to_owned), from: 1, plan: true }, false)?;
        let (mut row, mut plan, mut entries) = (None, None, Vec::new());
        while let Some(line) = self.line()? {
            match line {
                Line::Run { row: found } => row = Some(*found),
                Line::Plan { plan: found } => plan = Some(Arc::new(*found)),
                Line::Entry { entry } => entries.push(*entry),
                _ => {}
            }
        }
        match (row, plan) {
            (Some(row), Some(plan)) => Ok(Journal { live: row.finished_at.is_none(), row, plan, entries }),
            _ => Err(Refused::Stopping),
        }
    }
}

/// How watching ended.
enum Watch {
    Ended(ExitReport),
    Cut { run: RunId, next: u64 },
}

/// A run that is rebuilt from what the holder sends.
struct Watched {
    id: RunId,
    run: Run,
    next: u64,
    from: u64,
}

impl Watched {
    fn new(id: RunId, plan: Arc<Plan>, from: u64) -> Result<Self, Refused> {
        let run = replay::replay(&id, &plan, &[])?;
        Ok(Self { id, run, next: 1, from })
    }

    fn entry(&mut self, entry: &Entry, observer: &mut dyn Observer) -> Result<(), Refused> {
        self.run.apply(entry.at, &entry.event).map_err(|illegal| Refused::DamagedJournal {
            run: self.id.clone(),
            seq: entry.seq,
            why: illegal.to_string(),
        })?;
        self.next = entry.seq + 1;
        if entry.seq >= self.from {
            observer.entries(&self.run, entry.at, std::slice::from_ref(&entry.event));
            observer.entry(entry);
        }
        Ok(())
    }

    fn abandoned(&self) -> ExitReport {
        ExitReport::of(&self.run, &self.id)
    }
}

fn watch(
    mut holder: Holder,
    run: Option<&str>,
    from: u64,
    observer: &mut dyn Observer,
) -> Result<Watch, Refused> {
    holder.ask(Ask::Journal { run: run.map(str::to_owned), from: 1, plan: true }, true)?;
    let shut = holder.out.try_clone().map_err(broken)?;
    let interrupted = interrupts::shut_on_interrupt(shut).map_err(broken)?;
    let (mut row, mut watched): (Option<Box<RunRow>>, Option<Watched>) = (None, None);
    loop {
        let line = match holder.line() {
            Ok(line) => line,
            Err(_) if interrupted.came() => {
                return match row {
                    Some(row) => Ok(Watch::Ended(ExitReport::detached(row.run))),
                    None => Err(Refused::Stopping),
                };
            }
            Err(Refused::Stopping | Refused::Io { .. }) if watched.is_some() => {
                let Some(watched) = watched else { return Err(Refused::Stopping) };
                return Ok(Watch::Cut { run: watched.id, next: watched.next.max(from) });
            }
            Err(refused) => return Err(refused),
        };
        match (line, &mut watched) {
            (Some(Line::Run { row: found }), _) => row = Some(found),
            (Some(Line::Plan { plan }), _) => {
                let Some(row) = &row else { return Err(Refused::Stopping) };
                watched = Some(Watched::new(row.run.clone(), Arc::new(*plan), from)?);
            }
            (Some(Line::Entry { entry }), Some(watched)) => watched.entry(&entry, observer)?,
            (Some(Line::Heard { heard }), _) => observer.heard(&heard),
            (Some(Line::Report { report }), _) => return Ok(Watch::Ended(report)),
            (None, Some(watched)) => return Ok(Watch::Ended(watched.abandoned())),
            (None, None) => return Err(Refused::Stopping),
            _ => {}
        }
    }
}

fn broken(source: std::io::Error) -> Refused {
    Refused::Io { doing: "talking to the process that holds the state folder", source }
}
