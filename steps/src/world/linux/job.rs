//! The jobs that hosts know of.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    fact::{HostFact, HostJob, JobEnd, Keeps},
    stock::Stock,
};
use crate::{
    ports::linux::{Ended, Progress, Verdict},
    world::{machine::Content, state::State, truth::WayBack},
};

/// What hosts keep.
#[derive(Debug, Default)]
pub struct Hosts {
    jobs: HashMap<String, HostJob>,
    /// Exclusive jobs by machine: until when each runs.
    busy: HashMap<TargetId, BTreeMap<String, Timestamp>>,
    /// Package files, by the token of the job that put them aside.
    pub kept: HashMap<String, BTreeMap<String, String>>,
    /// Snapshots by their markers.
    pub snapshots: HashMap<String, (Stock, Content)>,
    /// All of these, by run: also when the host was told to forget the job.
    ways_back: Vec<(String, WayBack)>,
}

impl Hosts {
    /// Whether a job was started under this token.
    pub fn knows(&self, token: &str) -> bool {
        self.jobs.contains_key(token)
    }

    /// The run whose exclusive job is on this host now.
    pub fn held_by(&self, machine: &TargetId, now: Timestamp) -> Option<&str> {
        let token = self.busy.get(machine)?.iter().find(|(_, until)| **until > now)?.0;
        self.jobs.get(token).map(|job| job.run.as_str())
    }

    /// What jobs of this run left on their hosts for a way back.
    pub fn ways_back_of(&self, run: &str) -> Vec<WayBack> {
        self.ways_back.iter().filter(|(of, _)| of == run).map(|(_, way)| way.clone()).collect()
    }

    /// Whether a job runs now.
    pub fn is_running(&self, token: &str, now: Timestamp) -> bool {
        self.jobs.get(token).is_some_and(|job| job.ended > now)
    }

    /// How a job stands.
    pub fn progress(&self, token: &str, now: Timestamp) -> Progress {
        match self.jobs.get(token) {
            None => Progress::Absent,
            Some(job) if now < job.ended => Progress::Running { last: None },
            Some(job) => match &job.end {
                JobEnd::Ended(ended) => Progress::Ended(ended.clone()),
                JobEnd::Lost { rebooted } => Progress::Lost { rebooted: *rebooted },
            },
        }
    }
}

impl State {
    /// Something takes place on a host.
    pub fn apply_to_hosts(&mut self, at: Timestamp, fact: &HostFact) {
        match fact {
            HostFact::Started(job) => {
                if let Some(machine) = self.touch(&job.machine) {
                    self.expect(machine, &job.changes);
                }
                if job.exclusive {
                    let busy = self.hosts.busy.entry(job.machine.clone()).or_default();
                    busy.retain(|_, until| *until > at);
                    busy.insert(job.token.clone(), job.ended);
                }
                if matches!(job.keeps, Some(Keeps::Packages(_) | Keeps::Snapshot { .. })) {
                    let done = matches!(&job.end, JobEnd::Ended(ended) if ended.verdict == Verdict::Done);
                    let way = WayBack {
                        id: None,
                        token: job.token.clone(),
                        machine: job.machine.clone(),
                        usable_from: done.then_some(job.ended),
                    };
                    self.hosts.ways_back.push((job.run.clone(), way));
                }
                match &job.keeps {
                    None => {}
                    Some(Keeps::Packages(files)) => {
                        self.hosts.kept.insert(job.token.clone(), files.clone());
                    }
                    Some(Keeps::Snapshot { marker, stock, content }) => {
                        self.hosts.snapshots.insert(marker.clone(), (stock.clone(), *content));
                    }
                    Some(Keeps::Nothing(marker)) => {
                        self.hosts.snapshots.remove(marker);
                        self.hosts.kept.remove(marker);
                    }
                }
                self.hosts.jobs.insert(job.token.clone(), (**job).clone());
            }
            HostFact::Ended { token, .. } => {
                let Some(job) = self.hosts.jobs.get_mut(token).filter(|job| job.ended > at) else { return };
                let undone: Vec<_> = job.changes.iter().filter(|(then, _)| *then > at).cloned().collect();
                job.ended = at;
                job.end = JobEnd::Ended(Ended {
                    code: 128 + 15,
                    verdict: Verdict::Failed,
                    cause: "it was asked to end".to_owned(),
                    told: serde_json::Value::Null,
                    stdout: String::new(),
                    stderr: String::new(),
                    ended_at: Some(at),
                });
                let machine = job.machine.clone();
                if let Some(busy) = self.hosts.busy.get_mut(&machine) {
                    busy.remove(token);
                }
                if let Some(place) = self.roster.by_id(&machine) {
                    self.machines[place].unexpect(&undone);
                }
            }
            HostFact::Forgotten { token, .. } => {
                self.hosts.jobs.remove(token);
            }
        }
    }
}

/// How the call log tells of it: the call, the host, the token, and what is done.
pub fn call(fact: &HostFact) -> (&'static str, &TargetId, &str, Option<&str>) {
    match fact {
        HostFact::Started(job) => ("ssh:start", &job.machine, &job.token, Some(&job.deed)),
        HostFact::Ended { token, machine } => ("ssh:end", machine, token, None),
        HostFact::Forgotten { token, machine } => ("ssh:forget", machine, token, None),
    }
}
