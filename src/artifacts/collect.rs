//! Deletes what no run needs any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::{
    artifact::ArtifactKind,
    connection::Connection,
    ids::{RunId, TargetId, TaskName},
    target::Home,
};
use runbook_state::{
    artifact::{ArtifactRow, ArtifactState, Collection, CollectionEnd},
    store::RunStore,
};
use runbook_steps::ports::Ports;

use super::{
    books::{Books, is_due},
    delete::{self, Deletion},
    held::{self, Held, Survey, Unasked},
    orphan::{self, Why},
    snapshots::Snapshots,
};
use crate::coordinator::refused::Refused;

/// What is to be collected.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Orphans too, other state folders' included.
    pub orphans: bool,
    /// How old an orphan is at least; absent: see [`orphan::is_old_enough`].
    pub older_than: Option<Duration>,
    /// Where to look for orphans beside the places that the ledger knows.
    pub homes: BTreeSet<Home>,
    /// How many are deleted before the store is given back; absent: all.
    pub at_most: Option<usize>,
    /// What was looked at before: [`gc`] keeps it.
    pub done: BTreeSet<Name>,
    /// What AWS held when it was asked: [`gc`] keeps it.
    pub survey: Option<(BTreeSet<Home>, Survey)>,
    /// What deletes the snapshots of hosts: [`gc`] keeps it.
    pub snapshots: Snapshots,
}

/// What finds a thing again: run, token and id.
pub type Name = (RunId, Option<String>, Option<String>);

/// Why something is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its time is over.
    Expired,
    /// Its run meant to make it, died before it heard of it, and is over.
    Intended,
    /// Nobody answers for it.
    Orphan(Why),
}

impl Reason {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Intended => "intended",
            Self::Orphan(why) => why.as_str(),
        }
    }

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Intended => Why::Intended.words(),
            Self::Orphan(why) => why.words(),
        }
    }
}

/// One thing that was collected, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// What it is, as the ledger has it.
    pub row: ArtifactRow,
    /// Why.
    pub reason: Reason,
    /// What came of it; absent in a dry run.
    pub end: Option<CollectionEnd>,
    /// Why it is still there.
    pub note: Option<String>,
    /// It should not be there any more.
    pub failed: bool,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Everything that was looked at.
    pub collected: Vec<Collected>,
    /// Where nobody could look.
    pub unasked: Vec<Unasked>,
    /// There is more.
    pub more: bool,
}

/// How long after an intent something may still appear: tags are seen late, and AWS Backup may begin a job hours after
/// it was asked to (facts: Backup jobs).
fn appears_within(kind: ArtifactKind) -> Duration {
    match kind {
        ArtifactKind::RecoveryPoint => Duration::from_secs(48 * 3600),
        _ => Duration::from_secs(3600),
    }
}

/// What [`gc`] would delete.
pub async fn due(books: &Books, world: Option<&str>, ports: &Ports, wishes: &mut Wishes) -> Report {
    let (candidates, unasked) = candidates(books, world, ports, wishes, ports.clock.now()).await;
    let collected = candidates.into_iter().map(Candidate::undecided).collect();
    Report { collected, unasked, more: false }
}

/// Deletes what is due in one world, and records it. Each thing is read again before it is deleted: its tags must name
/// the same run and no other call. The caller holds the store, so no run begins meanwhile that could need it.
///
/// # Errors
/// The store cannot be read or written. What was deleted before that is found gone the next time.
pub async fn gc(
    store: &mut dyn RunStore,
    world: Option<&str>,
    ports: &Ports,
    wishes: &mut Wishes,
    by: &str,
) -> Result<Report, Refused> {
    let books = Books::read(store)?;
    let (mut candidates, unasked) = candidates(&books, world, ports, wishes, ports.clock.now()).await;
    candidates.retain(|candidate| !wishes.done.contains(&candidate.name()));
    let most = wishes.at_most.unwrap_or(usize::MAX);
    let mut report = Report { unasked, more: candidates.len() > most, collected: Vec::new() };
    candidates.truncate(most);
    wishes.done.extend(candidates.iter().map(Candidate::name));
    let of_hosts = candidates.iter().filter(|each| each.row.kind == ArtifactKind::HostSnapshot);
    wishes.snapshots.read(store, of_hosts.map(|each| &each.row.run))?;
    // Each place takes its time, a host as long as its disks do.
    let places = by_home(candidates).into_iter().map(|(home, batch)| {
        let wanted: Vec<_> = batch.iter().filter_map(|each| each.deletion(&wishes.snapshots)).collect();
        let ports = ports.clone();
        let ends = tokio::spawn(async move { delete::all(&ports, &home, &wanted).await });
        (batch, ends)
    });
    for (batch, ends) in places.collect::<Vec<_>>() {
        let ends = ends.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        for candidate in batch {
            let end = candidate.row.id.as_ref().map_or(delete::End::never_made(), |id| {
                ends.get(&(candidate.row.kind, id.clone())).cloned().unwrap_or(delete::End::gone())
            });
            report.collected.push(candidate.decided(end, ports.clock.now(), by));
        }
    }
    record(store, &books, &report.collected)?;
    Ok(report)
}

/// Writes what came of it to the ledger, beside the journals of the runs that are here.
fn record(store: &mut dyn RunStore, books: &Books, collected: &[Collected]) -> Result<(), Refused> {
    let same = |row: &ArtifactRow| {
        let before = books.rows.iter().find(|known| known.token == row.token && known.id == row.id);
        let said = |row: &ArtifactRow| row.gc.as_ref().map(|gc| (gc.end, gc.note.clone()));
        before.is_some_and(|before| before.state == row.state && said(before) == said(row))
    };
    let mut by_run: BTreeMap<&RunId, Vec<ArtifactRow>> = BTreeMap::new();
    for each in collected.iter().filter(|each| books.run(&each.row.run).is_some() && !same(&each.row)) {
        by_run.entry(&each.row.run).or_default().push(each.row.clone());
    }
    for (run, rows) in by_run {
        store.collect(run, &rows)?;
    }
    store.seal()?;
    Ok(())
}

/// Something that is to be collected.
struct Candidate {
    row: ArtifactRow,
    reason: Reason,
    home: Home,
}

impl Candidate {
    fn name(&self) -> Name {
        (self.row.run.clone(), Some(self.row.token.clone()), self.row.id.clone())
    }

    fn deletion(&self, snapshots: &Snapshots) -> Option<Deletion> {
        Some(Deletion {
            kind: self.row.kind,
            id: self.row.id.clone()?,
            vault: self.row.vault.clone(),
            run: self.row.run.clone(),
            token: self.row.token.clone(),
            heard_of: self.reason != Reason::Intended,
            snapshot: snapshots.of(&self.row.run, &self.row.token).cloned(),
        })
    }

    fn undecided(self) -> Collected {
        Collected { row: self.row, reason: self.reason, end: None, note: None, failed: false }
    }

    fn decided(self, end: delete::End, at: Timestamp, by: &str) -> Collected {
        let mut row = self.row;
        if end.end != CollectionEnd::Kept {
            row.state = ArtifactState::Deleted;
        }
        let note = end.note.clone();
        row.gc = Some(Collection { at, by: by.to_owned(), end: end.end, note: note.clone() });
        Collected { row, reason: self.reason, end: Some(end.end), note, failed: end.failed }
    }
}

fn by_home(candidates: Vec<Candidate>) -> BTreeMap<Home, Vec<Candidate>> {
    let mut homes: BTreeMap<Home, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        homes.entry(candidate.home.clone()).or_default().push(candidate);
    }
    homes
}

async fn candidates(
    books: &Books,
    world: Option<&str>,
    ports: &Ports,
    wishes: &mut Wishes,
    now: Timestamp,
) -> (Vec<Candidate>, Vec<Unasked>) {
    let needs = books.needs();
    let due = books.rows_in(world).filter(|row| is_due(row, &needs, now));
    let mut found: Vec<Candidate> = due
        .filter_map(|row| {
            let home = row.home.clone()?;
            Some(Candidate { row: row.clone(), reason: Reason::Expired, home })
        })
        .collect();
    let unheard: Vec<&ArtifactRow> = books
        .rows_in(world)
        .filter(|row| row.state == ArtifactState::Intended && !needs.contains_key(&row.run))
        .filter(|row| now.duration_since(row.made_at).unsigned_abs() >= appears_within(row.kind))
        .collect();
    let mut homes: BTreeSet<Home> = unheard.iter().filter_map(|row| row.home.clone()).collect();
    if wishes.orphans || unheard.iter().any(|row| row.home.is_none()) {
        homes.extend(books.homes(world));
    }
    if wishes.orphans {
        homes.extend(wishes.homes.iter().cloned());
    }
    // What is deleted is read again right before, so that one look is enough.
    let survey = match wishes.survey.take().filter(|(of, _)| homes.is_subset(of)) {
        Some((_, survey)) => survey,
        None => held::survey(ports, &homes).await,
    };
    wishes.survey = Some((homes, survey.clone()));
    let Survey { held, unasked } = survey;
    for row in unheard {
        match &row.home {
            // Their marker is their name: a host deletes them if they are there.
            Some(home @ Home::Host { .. }) => {
                let row = ArtifactRow { id: Some(row.token.clone()), ..row.clone() };
                found.push(Candidate { row, reason: Reason::Intended, home: home.clone() });
            }
            _ => found.extend(heard_of(row, &held, &unasked)),
        }
    }
    if wishes.orphans {
        let known: BTreeSet<_> = found.iter().filter_map(|each| each.row.id.clone()).collect();
        for orphan in orphan::orphans(books, &held) {
            if !known.contains(&orphan.held.id) && orphan::is_old_enough(&orphan, wishes.older_than, now) {
                let home = orphan.held.home.clone();
                found.push(Candidate { row: row_of(&orphan.held), reason: Reason::Orphan(orphan.why), home });
            }
        }
    }
    (found, unasked)
}

/// What was made by a call of which the ledger knows only that it was intended; that nothing was is said only where
/// everything could be looked at.
fn heard_of(row: &ArtifactRow, held: &[Held], unasked: &[Unasked]) -> Vec<Candidate> {
    let made: Vec<Candidate> = held
        .iter()
        .filter(|held| held.run == row.run && held.token.as_ref() == Some(&row.token))
        .filter(|held| held.in_use_by.is_none())
        .map(|held| Candidate {
            row: ArtifactRow { task: row.task.clone(), expires: row.expires, ..row_of(held) },
            reason: Reason::Intended,
            home: held.home.clone(),
        })
        .collect();
    let blind = match &row.home {
        Some(home) => unasked.iter().any(|unasked| unasked.home == *home),
        None => !unasked.is_empty(),
    };
    if !made.is_empty() || blind || held.iter().any(|held| held.token.as_ref() == Some(&row.token)) {
        return made;
    }
    let home =
        row.home.clone().unwrap_or(Home::Host { address: String::new(), connection: Connection::default() });
    vec![Candidate { row: row.clone(), reason: Reason::Intended, home }]
}

/// What the ledger would have said of it.
fn row_of(held: &Held) -> ArtifactRow {
    ArtifactRow {
        run: held.run.clone(),
        task: TaskName::new(held.task.as_deref().unwrap_or_default()),
        token: held.token.clone().unwrap_or_default(),
        kind: held.kind,
        id: Some(held.id.clone()),
        target: held.host.as_ref().map(TargetId::new),
        home: Some(held.home.clone()),
        vault: held.vault.clone(),
        size_gib: held.size_gib,
        made_at: held.made_at.unwrap_or(Timestamp::UNIX_EPOCH),
        expires: held.expires,
        state: ArtifactState::Made,
        gc: None,
    }
}
