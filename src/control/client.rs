//! What commands do that do not hold the store for long: they try its lock, then the socket of whoever holds it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
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
    silent::SilentHolder,
};
use crate::artifacts::books::Books;
use crate::coordinator::{
    exit::ExitReport,
    interrupts,
    mask::Mask,
    observer::{Observer, Silent},
    offline,
    refused::Refused,
    replay::{self, Copied, Replayed},
    secrets::Secrets,
    session::Setup,
};

/// How long a command tries.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// A run that was found.
#[derive(Debug)]
pub struct Found {
    /// What the list of runs says. A run that nobody holds is `interrupted` here, not `running`.
    pub row: RunRow,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Whether a process advances it.
    pub live: bool,
}

/// A run as it stands.
#[derive(Debug)]
pub struct Standing {
    /// The run.
    pub run: Run,
    /// What the list of runs says. A run that nobody holds is `interrupted` here, not `running`.
    pub row: RunRow,
    /// The time of its last entry.
    pub last_at: Timestamp,
    /// Whether a process advances it.
    pub live: bool,
}

/// Is handed a run's entries one by one.
type Give<'a> = dyn FnMut(&Found, &Entry) -> Result<(), Refused> + 'a;

/// Every run, oldest first; none where there is no state folder.
///
/// # Errors
/// The store cannot be read, or its holder does not answer.
pub fn runs(setup: &Setup) -> Result<Vec<RunRow>, Refused> {
    insist(|| match reach(setup) {
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
    })
}

/// The ledger of artifacts; none where there is no state folder.
///
/// # Errors
/// The store cannot be read, or its holder does not answer.
pub fn books(setup: &Setup) -> Result<Option<Books>, Refused> {
    insist(|| match reach(setup) {
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
    })
}

/// One run as it stands: by id or unique prefix; without one the only unfinished run, else the newest. Of its journal no
/// more is kept in memory than what stands behind its kept state. Where nobody holds the store, it is held only to copy
/// that: whoever wants to go on with a run does not wait for it.
///
/// # Errors
/// There is no such run, the store cannot be read, or its holder does not answer.
pub fn standing(setup: &Setup, run: Option<&str>) -> Result<Standing, Refused> {
    insist(|| as_it_stands(setup, run))
}

fn as_it_stands(setup: &Setup, run: Option<&str>) -> Result<Standing, Refused> {
    let mut watched: Option<Watched> = None;
    let give: &mut Give<'_> =
        &mut |found, entry| watched_of(found, &mut watched, 1)?.entry(entry, &mut Silent);
    let found = match reach(setup)? {
        Reached::Store(store) => {
            let rows = store.runs()?;
            let row = replay::select(&rows, run, &setup.state)?;
            let copied = Copied::of(&store, row)?;
            drop(store);
            if let Some(Replayed { run, last_at, .. }) = copied.replayed()? {
                return Ok(Standing { run, row: unheld(row.clone()), last_at, live: false });
            }
            journal(setup, Some(row.run.as_str()), give)?
        }
        Reached::Holder(mut holder) => holder.journal(run, give)?,
    };
    let Some(Watched { run, last_at, .. }) = watched else { return Err(Refused::Stopping) };
    let last_at = last_at.unwrap_or(found.row.started_at);
    Ok(Standing { run, row: found.row, last_at, live: found.live })
}

/// Hands over the journal of a run, entry by entry. Where nobody holds the store it is copied first: nobody waits for
/// its lock while somebody reads what is printed.
///
/// # Errors
/// There is no such run, the store cannot be read, or its holder does not answer; and what `give` says.
pub fn journal(setup: &Setup, run: Option<&str>, give: &mut Give<'_>) -> Result<Found, Refused> {
    match reach(setup)? {
        Reached::Store(store) => {
            let rows = store.runs()?;
            let row = replay::select(&rows, run, &setup.state)?;
            let plan = Arc::new(store.plan(&row.run)?);
            let entries = store.entries(&row.run, 1)?;
            drop(store);
            let found = Found { row: unheld(row.clone()), plan, live: false };
            for entry in entries {
                give(&found, &entry)?;
            }
            Ok(found)
        }
        Reached::Holder(mut holder) => holder.journal(run, give),
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
                let mut watched = None;
                journal(setup, run.as_deref(), &mut |found, entry| {
                    watched_of(found, &mut watched, from)?.entry(entry, observer)
                })?;
                return watched.map(|watched| watched.abandoned()).ok_or(Refused::Stopping);
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
                return Ok(Reached::Holder(Holder::new(stream, &setup.state)?));
            }
        }
        if begun.elapsed() >= PATIENCE {
            return Err(Refused::NoAnswer { state: setup.state.clone(), holder: None, asked: false });
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
    state: PathBuf,
    /// Something was asked, completely.
    asked: bool,
}

impl Holder {
    fn new(stream: UnixStream, state: &Path) -> Result<Self, Refused> {
        // A process that was stopped still takes connections, and never answers.
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
        let out = stream.try_clone().map_err(broken)?;
        Ok(Self { lines: BufReader::new(stream), out, state: state.to_owned(), asked: false })
    }

    /// From now on lines may take their time.
    fn wait_for_lines(&self) -> Result<(), Refused> {
        self.out.set_read_timeout(None).map_err(broken)
    }

    fn failed(&self, error: io::Error) -> Refused {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Refused::NoAnswer {
                state: self.state.clone(),
                holder: SilentHolder::behind(&self.out),
                asked: self.asked,
            },
            // It went away before it read what it was asked.
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Refused::Stopping,
            _ => broken(error),
        }
    }

    fn ask(&mut self, ask: Ask, follow: bool) -> Result<(), Refused> {
        let mut bytes = serde_json::to_vec(&Request { version: VERSION, ask, follow, hear: follow })
            .map_err(|error| broken(error.into()))?;
        bytes.push(b'\n');
        self.out.write_all(&bytes).map_err(|error| self.failed(error))?;
        self.asked = true;
        Ok(())
    }

    /// The next line; none at the end of the answer.
    fn line(&mut self) -> Result<Option<Line>, Refused> {
        let mut text = String::new();
        if self.lines.read_line(&mut text).map_err(|error| self.failed(error))? == 0 {
            return Err(Refused::Stopping);
        }
        match serde_json::from_str(&text).map_err(|error| broken(error.into()))? {
            Line::End => Ok(None),
            Line::Refused { refused } => Err(refused.into()),
            line => Ok(Some(line)),
        }
    }

    fn journal(&mut self, run: Option<&str>, give: &mut Give<'_>) -> Result<Found, Refused> {
        self.ask(Ask::Journal { run: run.map(str::to_owned), from: 1, plan: true }, false)?;
        let (mut row, mut found): (Option<RunRow>, Option<Found>) = (None, None);
        while let Some(line) = self.line()? {
            match (line, &found) {
                (Line::Run { row: told }, _) => row = Some(*told),
                (Line::Plan { plan }, _) => {
                    let plan = Arc::new(*plan);
                    found = row.take().map(|row| Found { live: row.finished_at.is_none(), row, plan });
                }
                (Line::Entry { entry }, Some(found)) => give(found, &entry)?,
                _ => {}
            }
        }
        found.ok_or(Refused::Stopping)
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
    last_at: Option<Timestamp>,
}

impl Watched {
    fn new(id: RunId, plan: Arc<Plan>, from: u64) -> Result<Self, Refused> {
        let run = replay::replay(&id, &plan, &[])?;
        Ok(Self { id, run, next: 1, from, last_at: None })
    }

    fn entry(&mut self, entry: &Entry, observer: &mut dyn Observer) -> Result<(), Refused> {
        self.run.apply(entry.at, &entry.event).map_err(|illegal| Refused::DamagedJournal {
            run: self.id.clone(),
            seq: entry.seq,
            why: illegal.to_string(),
        })?;
        self.next = entry.seq + 1;
        self.last_at = Some(entry.at);
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

/// The run that is rebuilt from a journal, which begins with its first entry.
fn watched_of<'w>(
    found: &Found,
    watched: &'w mut Option<Watched>,
    from: u64,
) -> Result<&'w mut Watched, Refused> {
    if watched.is_none() {
        *watched = Some(Watched::new(found.row.run.clone(), Arc::clone(&found.plan), from)?);
    }
    watched.as_mut().ok_or(Refused::Stopping)
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
            (Some(Line::Run { row: found }), _) => {
                row = Some(found);
                holder.wait_for_lines()?;
            }
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

fn broken(source: io::Error) -> Refused {
    Refused::Io { doing: "talking to the process that holds the state folder", source }
}
