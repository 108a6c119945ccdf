//! `make soak`: every shipped runbook in as many rehearsed worlds as some minutes give, with crashes, and what came of it.
//!
//! * `SOAK_MINUTES` (30), `SOAK_SEED` (the time): each pair of fleet and mode goes up from this seed.
//! * `SOAK_JOBS`: worlds at a time; one for each core.
//!
//! It calls the `runbook` that stands beside it, in the folder that holds `runbooks/`.

mod case;
mod chunk;
mod score;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use self::{
    case::{Case, MODES},
    score::Score,
};
use crate::beside;

/// How often it says how far it is.
const EVERY: Duration = Duration::from_secs(60);

/// Soaks, and prints the table.
///
/// # Errors
/// A law was broken, a world did not end, or there is nothing to rehearse.
pub fn run() -> Result<(), String> {
    let began = Instant::now();
    let lasts = Duration::from_secs(60 * number("SOAK_MINUTES")?.unwrap_or(30));
    let seed = match number("SOAK_SEED")? {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs()),
    };
    let jobs = match number("SOAK_JOBS")? {
        Some(jobs) => usize::try_from(jobs).unwrap_or(1).max(1),
        None => thread::available_parallelism().map_or(1, usize::from),
    };
    let runbook = beside()?;
    let folder = tempfile::Builder::new().prefix("soak-").tempdir().map_err(|error| error.to_string())?;
    println!("Seeds go up from {seed} (SOAK_SEED={seed} begins with the same worlds), {jobs} at a time.\n");
    let (cases, refused) = case::all(&runbook, folder.path())?;
    for (runbook, why) in &refused {
        println!("{runbook} cannot be rehearsed: {why}");
    }
    let (next, score) = (AtomicUsize::new(0), Mutex::new(Score::new(&cases)));
    thread::scope(|scope| {
        for job in 0..jobs {
            let output = folder.path().join(format!("job-{job}"));
            let (cases, next, score, runbook) = (&cases, &next, &score, &runbook);
            scope.spawn(move || {
                let mut said = Instant::now();
                while began.elapsed() < lasts {
                    let (case, chunk) = chunk(cases, next.fetch_add(1, Ordering::Relaxed), seed);
                    if case.machines > chunk.mode.machines {
                        continue;
                    }
                    let came = chunk.run(runbook, case, &output);
                    let mut score = score.lock().unwrap_or_else(PoisonError::into_inner);
                    score.add(case, &chunk, came);
                    if job == 0 && said.elapsed() > EVERY {
                        said = Instant::now();
                        eprintln!("{:>4} min  {}", began.elapsed().as_secs() / 60, score.in_a_line());
                    }
                }
            });
        }
    });
    let score = score.into_inner().unwrap_or_else(PoisonError::into_inner);
    score.print(began.elapsed());
    if score.is_clean() { Ok(()) } else { Err("the soak found what is listed above".to_owned()) }
}

/// The `nth` piece of work: first each case once, each in another mode, then each in the next mode, and so on.
fn chunk(cases: &[Case], nth: usize, seed: u64) -> (&Case, chunk::Chunk) {
    let (place, round) = (nth % cases.len(), nth / cases.len());
    let mode = &MODES[(place + round) % MODES.len()];
    let before = (round / MODES.len()) as u64 * mode.seeds;
    (&cases[place], chunk::Chunk { mode, first: seed + before })
}

fn number(name: &str) -> Result<Option<u64>, String> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{name} is `{text}`, which is no number")),
    }
}
