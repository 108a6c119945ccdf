//! `runbook test`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use clap::Args;
use runbook::{
    expectation::{Case, try_all},
    view::{
        junit::{self, Untried},
        paint::Paint,
        test_json,
        test_page::{self, Told},
    },
};

use super::{
    Done, Session,
    cases::{ENDING, Script, Wrong, unread},
    exit::Exit,
    problem::Problem,
    shell, source,
};

/// Try what is expected of runbooks in simulated worlds
///
/// Test files stand beside runbooks and are called NAME.test.yaml. Each case says which machines there are, what goes wrong,
/// and what must come of it; it is tried with the real engine and the real actions in virtual time, and nothing outside is
/// touched. Exit 10 says that something did not come as expected, with the command that shows the world in which it did not.
#[derive(Debug, Args)]
pub struct Test {
    /// Folders, with everything below them, and test files
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Only the cases with this name; may be repeated
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// How many worlds at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write a report as JUnit XML, for a CI server
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A case that can be tried.
struct Staged {
    file: String,
    name: String,
    description: Option<String>,
    again: String,
}

impl Test {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let mut files = Vec::new();
        for path in &self.paths {
            test_files(path, &mut files).map_err(|error| unread(path, &error))?;
        }
        if files.is_empty() {
            let place =
                self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Problem::new(Exit::Usage, format!("there is no test file (NAME{ENDING})")).at(place));
        }
        let (staged, cases) = self.stage(session, &files)?;
        let paint = Paint(session.screen.color);
        let width = staged.iter().map(|staged| staged.name.len()).max().unwrap_or(0);
        let mut told: Vec<Told> = Vec::new();
        try_all(&cases, self.jobs(), |number, tried| {
            let Staged { file, name, description, again } = &staged[number];
            let (file, name, again) = (file.clone(), name.clone(), again.clone());
            let case = Told { file, name, description: description.clone(), tried, again };
            if !session.screen.json {
                if told.last().is_none_or(|last| last.file != case.file) {
                    session.screen.data(&format!("{}\n", paint.bold(&case.file)));
                }
                session.screen.data(&test_page::case(&case, width, paint));
            }
            told.push(case);
        })
        .map_err(|error| Problem::from_error(Exit::Invalid, &error))?;
        self.write_report(&told, &[])?;
        if session.screen.json {
            session.screen.json_page(&test_json::page(&told));
        } else {
            let failed = told.iter().filter(|case| !case.holds()).count();
            let worlds = told.iter().map(|case| case.tried.worlds).sum();
            session.screen.data(&test_page::sum(told.len(), failed, worlds, paint));
        }
        Ok(exit(&told))
    }

    /// Everything that is wrong with any file is told before anything is tried.
    fn stage(&self, session: &Session, files: &[PathBuf]) -> Result<(Vec<Staged>, Vec<Case>), Problem> {
        let (mut staged, mut cases, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut names: Vec<String> = Vec::new();
        for file in files {
            let script = match Script::read(file) {
                Ok(script) => script,
                Err(problem) => {
                    problems.push((source::name(file), problem));
                    continue;
                }
            };
            let mut here = Vec::new();
            for case in &script.file.cases {
                let name = case.name.value.clone();
                names.push(name.clone());
                if !self.case.is_empty() && !self.case.contains(&name) {
                    continue;
                }
                match script.stage(session, case) {
                    Ok(found) => {
                        let again =
                            format!("runbook rehearse {} --case {name}", shell::quoted(&script.name()));
                        let description = case.description.clone();
                        staged.push(Staged { file: script.name(), name, description, again });
                        cases.push(found);
                    }
                    Err(Wrong::Here(diagnostics)) => here.extend(diagnostics),
                    Err(Wrong::There(mut problem)) => {
                        problem.cause = format!("case `{name}`: {}", problem.cause);
                        problems.push((script.name(), problem));
                        // The other cases most likely have the same to say.
                        break;
                    }
                }
            }
            if !here.is_empty() {
                problems.push((script.name(), script.invalid(here)));
            }
        }
        if let Some(unknown) = self.case.iter().find(|name| !names.contains(name))
            && problems.is_empty()
        {
            let problem = Problem::new(Exit::Usage, format!("there is no case `{unknown}`"));
            return Err(match runbook_engine::document::nearest(unknown, names.iter().map(String::as_str)) {
                Some(near) => problem.next(format!("--case {near}")),
                None => problem,
            });
        }
        if problems.is_empty() {
            return Ok((staged, cases));
        }
        let untried: Vec<Untried> = problems
            .iter()
            .map(|(file, problem)| Untried { file: file.clone(), why: problem.to_text(false) })
            .collect();
        self.write_report(&[], &untried)?;
        let last = problems.pop();
        for (_, problem) in &problems {
            session.screen.problem(problem);
        }
        Err(last.map_or_else(|| Problem::bug("nothing is wrong"), |(_, problem)| problem))
    }

    fn write_report(&self, told: &[Told], untried: &[Untried]) -> Result<(), Problem> {
        let Some(file) = &self.junit else { return Ok(()) };
        let report = junit::report(told, untried).map_err(|error| Problem::from_error(Exit::Bug, &error))?;
        fs::write(file, report).map_err(|error| {
            Problem::new(Exit::Usage, format!("the report cannot be written: {}", source::reason(&error)))
                .at(file.display().to_string())
        })
    }

    fn jobs(&self) -> usize {
        match self.jobs {
            Some(jobs) => usize::from(jobs),
            None => thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// A broken law goes before what was not met.
fn exit(told: &[Told]) -> Exit {
    if told.iter().any(Told::breaks_a_law) {
        Exit::Bug
    } else if told.iter().all(Told::holds) {
        Exit::Succeeded
    } else {
        Exit::Failed
    }
}

/// The test files of a path: itself, or what is below it, sorted. Hidden folders and those that links lead to are left out.
fn test_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut found: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = if path == Path::new(".") { PathBuf::from(&name) } else { entry.path() };
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            test_files(&below, files)?;
        } else if name.ends_with(ENDING) && fs::metadata(&below).is_ok_and(|found| found.is_file()) {
            files.push(below);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use runbook::{
        expectation::{Failure, Tried, Unmet},
        view::{
            junit,
            paint::Paint,
            test_json,
            test_page::{self, Told},
        },
    };
    use runbook_engine::{
        diagnostic::Place,
        laws::{Law, Violation},
    };

    use super::{Exit, exit};

    /// One world does not come as expected, a later one breaks a law.
    fn told(laws: bool) -> Told {
        let unmet = Unmet {
            place: Place::whole(0),
            expected: "outcome failed".to_owned(),
            came: "succeeded".to_owned(),
        };
        let first = Failure { seed: 1, unmet: vec![unmet], violations: Vec::new() };
        let violation = Violation::of(Law::EveryWaitEnds, "it waits for ever".to_owned());
        let broken = Failure { seed: 2, unmet: Vec::new(), violations: vec![violation] };
        Told {
            file: "a.test.yaml".to_owned(),
            name: "a".to_owned(),
            description: None,
            tried: Tried {
                worlds: 2,
                failed: 1 + u64::from(laws),
                first: Some(first),
                broken: laws.then_some(broken),
                ..Tried::default()
            },
            again: "runbook rehearse a.test.yaml --case a".to_owned(),
        }
    }

    #[test]
    fn a_broken_law_is_told_and_decides_the_exit_whatever_was_not_met_before() {
        assert_eq!(exit(&[]), Exit::Succeeded);
        assert_eq!(exit(&[told(false)]), Exit::Failed);
        assert_eq!(exit(&[told(false), told(true)]), Exit::Bug);

        let both = told(true);
        let page = test_page::case(&both, 1, Paint(false));
        let xml = junit::report(std::slice::from_ref(&both), &[]).expect("XML");
        for part in ["outcome failed", "--seed 1 --trace", "it waits for ever", "--seed 2 --trace"] {
            assert!(page.contains(part) && xml.contains(part), "{part}\n{page}\n{xml}");
        }
        let json = test_json::page(&[both, told(false)]);
        assert_eq!(json["results"][0]["seed"], 1);
        assert_eq!(json["results"][0]["broken"]["seed"], 2);
        assert_eq!(json["results"][0]["broken"]["violations"][0]["detail"], "it waits for ever");
        assert!(json["results"][1]["broken"].is_null());
    }
}
