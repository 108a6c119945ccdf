//! `runbook rehearse`.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use runbook::{
    rehearsal::{Crashes, Profile, Rehearsal, Senseless, Tally, lengths, stand_in},
    view::{paint::Paint, rehearsal_html, rehearsal_json, rehearsal_page, trace_page},
};

use super::{
    Done, Session, cases,
    exit::Exit,
    planning::{self, Values},
    problem::Problem,
    shell::quoted,
    source,
};

/// Run a runbook in many simulated worlds, with faults and crashes, and say what comes of it
///
/// The real engine and the real actions work on simulated machines, in virtual time: nothing outside is touched, and AWS
/// is not asked. Each seed is a world with other faults; the same seed is the same world, entry by entry. What breaks one
/// of the laws that every run must keep ends in exit 1, with the command that shows it again.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The runbook; with `--case`, a test file
    file: PathBuf,
    #[command(flatten)]
    values: Values,
    /// Only these machines: a target group, or a machine's id; may be repeated
    #[arg(long, value_name = "GROUP|ID")]
    limit: Vec<String>,
    /// The simulated fleet; else machines that fit the runbook's target groups are made up
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// How many machines are made up for each target group
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "fleet")]
    machines: u32,
    /// The worlds of this case of a test file, in place of options that say what they are
    #[arg(long, value_name = "NAME", conflicts_with_all = ["param", "params", "limit", "fleet", "machines", "faults", "crash", "no_experience"])]
    case: Option<String>,
    /// Rehearse as if nothing were known of how long actions took in earlier runs
    #[arg(long)]
    no_experience: bool,
    /// How many worlds [default: 100; with --seed 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    seeds: Option<u64>,
    /// The first of them
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=u64::MAX >> 1))]
    seed: Option<u64>,
    /// Show the journal of one world, step by step, and its timeline
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    trace: bool,
    /// What goes wrong: none, usual, rough, or a file of draws
    #[arg(long, value_name = "NAME|FILE", default_value = "usual")]
    faults: String,
    /// When the runner dies
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Crash::Random)]
    crash: Crash,
    /// How many worlds at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write a page with plots, for a change request
    #[arg(long, value_name = "FILE", conflicts_with = "trace")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Crash {
    /// Before every append to the journal
    EveryAppend,
    /// Up to three times in a world
    Random,
    /// Never
    None,
}

impl From<Crash> for Crashes {
    fn from(crash: Crash) -> Self {
        match crash {
            Crash::EveryAppend => Self::EveryAppend,
            Crash::Random => Self::Random,
            Crash::None => Self::None,
        }
    }
}

impl Rehearse {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        if let Some(file) = &self.html {
            may_stand(file)?;
        }
        let rehearsal = self.rehearsal(session)?;
        let paint = Paint(session.screen.color);
        if self.trace {
            let world = rehearsal.world(self.seed.unwrap_or_default(), true).map_err(senseless)?;
            if session.screen.json {
                for line in rehearsal_json::trace(&world) {
                    session.screen.json_line(&line);
                }
            } else {
                session.screen.data(&trace_page::page(&rehearsal.plan, &world, paint));
            }
            return Ok(if world.violations.is_empty() { Exit::Succeeded } else { Exit::Bug });
        }
        let mut tally = Tally::default();
        let meter = Meter::new(session, &self.worlds());
        rehearsal
            .each(self.worlds(), self.jobs(), |world| {
                tally.add(&world);
                meter.show(tally.worlds);
                true
            })
            .map_err(senseless)?;
        meter.finish();
        tally.settle();
        let about = rehearsal_page::About {
            plan: &rehearsal.plan,
            fleet: &rehearsal.fleet,
            profile: &rehearsal.profile,
            crashes: rehearsal.crashes,
            lengths: &rehearsal.lengths,
            seeds: self.worlds(),
            again: self.again(),
            at: Timestamp::now(),
        };
        if session.screen.json {
            session.screen.json_page(&rehearsal_json::summary(&about, &mut tally));
        } else {
            session.screen.data(&rehearsal_page::page(&about, &mut tally, paint));
        }
        let written = self.html.as_ref().map_or(Ok(()), |file| {
            let page = rehearsal_html::page(&about, &mut tally)
                .map_err(|error| Problem::from_error(Exit::Bug, &error))?;
            fs::write(file, page).map_err(|error| unwritten(file, &source::reason(&error)))
        });
        match written {
            Err(problem) if tally.broken > 0 => {
                // A broken law goes before.
                session.screen.problem(&problem);
                Ok(Exit::Bug)
            }
            Err(problem) => Err(problem),
            Ok(()) => Ok(if tally.broken == 0 { Exit::Succeeded } else { Exit::Bug }),
        }
    }

    fn rehearsal(&self, session: &Session) -> Result<Rehearsal, Problem> {
        if let Some(case) = &self.case {
            return Ok(cases::rehearsal(session, &self.file, case)?.rehearsal);
        }
        let profile = self.profile()?;
        let (plan, mut fleet) = planning::rehearsed(
            session,
            &self.file,
            &self.values,
            &self.limit,
            self.fleet.as_deref(),
            self.machines,
            self.no_experience,
        )?;
        profile.fits(&fleet).map_err(|error| {
            Problem::from_error(Exit::Invalid, &error).at(source::name(&PathBuf::from(&self.faults)))
        })?;
        let lengths = lengths::settle(&mut fleet, &plan);
        fleet.people.extend(stand_in::people(&plan, &fleet));
        let setup = session.setup()?;
        Ok(Rehearsal {
            plan: Arc::new(plan),
            fleet,
            profile,
            crashes: self.crash.into(),
            settings: setup.settings,
            capacity: setup.capacity,
            lengths,
        })
    }

    fn profile(&self) -> Result<Profile, Problem> {
        let path = PathBuf::from(&self.faults);
        let text = match Profile::shipped(&self.faults) {
            Some(text) => text.to_owned(),
            None => {
                let bytes = source::bytes(&path).map_err(|error| {
                    let names: Vec<_> = Profile::names().collect();
                    let cause =
                        format!("{}; the shipped ones are {}", source::reason(&error), names.join(", "));
                    Problem::new(Exit::Invalid, cause)
                        .at(source::name(&path))
                        .next("runbook rehearse FILE --faults usual")
                })?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        Profile::read(&text)
            .map_err(|error| Problem::from_error(Exit::Invalid, &error).at(source::name(&path)))
    }

    fn worlds(&self) -> Range<u64> {
        let first = self.seed.unwrap_or(1);
        let many = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { 100 });
        first..first + many
    }

    fn jobs(&self) -> usize {
        let jobs = match self.jobs {
            Some(jobs) => usize::from(jobs),
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        // One for each world at most.
        let worlds = self.worlds();
        jobs.min(usize::try_from(worlds.end - worlds.start).unwrap_or(jobs))
    }

    /// The command that shows one world again, without its seed.
    fn again(&self) -> String {
        let mut words = vec!["runbook rehearse".to_owned(), quoted(&source::name(&self.file))];
        if let Some(case) = &self.case {
            words.push(format!("--case {}", quoted(case)));
            return words.join(" ");
        }
        for param in &self.values.param {
            words.push(format!("--param {}", quoted(param)));
        }
        if let Some(params) = &self.values.params {
            words.push(format!("--params {}", quoted(&source::name(params))));
        }
        for limit in &self.limit {
            words.push(format!("--limit {}", quoted(limit)));
        }
        match &self.fleet {
            Some(fleet) => words.push(format!("--fleet {}", quoted(&source::name(fleet)))),
            None => words.push(format!("--machines {}", self.machines)),
        }
        if self.no_experience {
            words.push("--no-experience".to_owned());
        }
        words.push(format!("--faults {}", quoted(&self.faults)));
        if let Some(value) = self.crash.to_possible_value() {
            words.push(format!("--crash {}", value.get_name()));
        }
        words.join(" ")
    }
}

/// What can be seen of it before hours of rehearsing: a page needs a folder, and is none.
fn may_stand(file: &Path) -> Result<(), Problem> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            let problem = unwritten(file, &format!("there is no folder {}", folder.display()));
            Err(problem.next(format!("mkdir -p {}", quoted(&folder.display().to_string()))))
        }
        _ if file.is_dir() => Err(unwritten(file, "it is a folder")),
        _ => Ok(()),
    }
}

fn unwritten(file: &Path, why: &str) -> Problem {
    Problem::new(Exit::Usage, format!("the page cannot be written: {why}")).at(file.display().to_string())
}

fn senseless(error: Senseless) -> Problem {
    Problem::from_error(Exit::Invalid, &error)
}

/// How far it is, on a terminal.
struct Meter(Option<ProgressBar>);

impl Meter {
    fn new(session: &Session, worlds: &Range<u64>) -> Self {
        let bar = session.screen.live.then(|| {
            let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} worlds, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━━─");
            ProgressBar::with_draw_target(Some(worlds.end - worlds.start), ProgressDrawTarget::stderr())
                .with_style(style)
        });
        Self(bar)
    }

    fn show(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
