//! A store with runs, and an account in which their things lie.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    ids::{RunId, TargetId, TaskName},
    plan::Plan,
    run::event::Event,
    target::Home,
};
use runbook_state::{
    MemoryStore,
    store::{RunRow, RunStore},
};
use runbook_steps::{
    ports::{
        backup::RecoveryPoint,
        ec2::{Attachment, Image, Snapshot, Volume},
    },
    world::{World, runtime},
};

use super::shelf::Shelf;
use crate::{
    artifacts::{
        books::Books,
        collect::{self, Report, Wishes},
        held,
        orphan::{self, Orphan},
    },
    coordinator::tests::rig,
};

const FLEET: &str = include_str!("../../../runbooks/fleets/happy.yaml");
const RUNBOOK: &str = "\
runbook: small
targets:
  dev: { aws: { tags: { Environment: dev } } }
steps:
  look: { uses: aws/compliance, targets: dev }
";

/// How far a call got before its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The intent is journaled, and nothing was made.
    Intended,
    /// It was made, and nobody heard of it.
    Unheard,
    /// It was made, and the ledger knows.
    Made,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not.
    Unfinished,
    /// Well, or as well as it could.
    Over,
    /// A person is needed.
    Stuck,
}

/// See above.
pub struct Scene {
    pub store: MemoryStore,
    pub shelf: Shelf,
    pub world: Arc<World>,
    plan: Plan,
    number: u64,
}

impl Scene {
    pub fn new() -> Self {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        let world = World::in_memory(FLEET, 1).expect("a world");
        Self {
            store: MemoryStore::called("here"),
            shelf: Shelf::default(),
            plan: PLAN.get_or_init(|| rig::plan(RUNBOOK, &world)).clone(),
            world,
            number: 0,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// So long ago.
    pub fn ago(&self, time: Duration) -> Timestamp {
        self.now() - SignedDuration::try_from(time).expect("a short time")
    }

    /// A run, begun a month ago.
    pub fn begin(&mut self, run: &str, linked_to: Option<&str>) {
        let row = RunRow {
            run: RunId::new(run),
            runbook: "patch-linux".to_owned(),
            status: "running".to_owned(),
            exit: None,
            started_at: self.ago(Duration::from_secs(30 * 86_400)),
            finished_at: None,
            plan: self.plan.digest(),
            holds: vec![self.machine()],
            linked_to: linked_to.map(RunId::new),
            world: None,
        };
        let started = Event::RunStarted {
            run: RunId::new(run),
            plan: row.plan.clone(),
            by: "ann".to_owned(),
            link: None,
            not_before: None,
        };
        self.store.create(&row, &self.plan, row.started_at, &[started]).expect("create");
    }

    pub fn end(&mut self, run: &str, end: End) {
        let mut row =
            self.store.runs().expect("rows").into_iter().find(|row| row.run.as_str() == run).expect("it");
        match end {
            End::Unfinished => return,
            End::Over => (row.status, row.holds) = ("failed".to_owned(), Vec::new()),
            End::Stuck => row.status = "stuck".to_owned(),
        }
        row.finished_at = Some(self.now());
        self.store.append(&RunId::new(run), self.now(), &[], Some(&row)).expect("append");
    }

    fn machine(&self) -> TargetId {
        self.plan.targets.keys().next().expect("a machine").clone()
    }

    /// A call of a run that makes something, a month ago; the id of what lies there.
    pub fn call(
        &mut self,
        run: &str,
        kind: ArtifactKind,
        cut: Cut,
        expires: Option<Timestamp>,
    ) -> Option<String> {
        self.number += 1;
        let token = format!("token-{}", self.number);
        let (machine, at) = (self.machine(), self.ago(Duration::from_secs(29 * 86_400)));
        let task = TaskName::new("dev/wave-1/backup");
        let intent = Event::IntentRecorded {
            task: task.clone(),
            attempt: 1,
            key: machine.to_string(),
            call: "a call".to_owned(),
            token: token.clone(),
            targets: vec![machine.clone()],
            makes: Some(Makes { kind, expires }),
        };
        self.store.append(&RunId::new(run), at, &[intent], None).expect("append");
        if cut == Cut::Intended {
            return None;
        }
        let id = self.put(kind, run, Some(&token), Some("here"), at, expires);
        if cut == Cut::Made {
            let vault = (kind == ArtifactKind::RecoveryPoint).then(|| "Default".to_owned());
            let artifact = Artifact {
                kind,
                id: id.clone(),
                token,
                home: self.plan.targets[&machine].home.clone(),
                target: machine,
                vault,
                size_gib: Some(8),
                expires,
            };
            let made = Event::ArtifactsMade { task, attempt: 1, artifacts: vec![artifact] };
            self.store.append(&RunId::new(run), at, &[made], None).expect("append");
        }
        Some(id)
    }

    /// Something that lies there.
    pub fn put(
        &mut self,
        kind: ArtifactKind,
        run: &str,
        token: Option<&str>,
        store: Option<&str>,
        at: Timestamp,
        expires: Option<Timestamp>,
    ) -> String {
        self.number += 1;
        let number = self.number;
        let mut tags = BTreeMap::from([("runbook:run".to_owned(), run.to_owned())]);
        let expires = expires.map(|at| at.to_string());
        for (key, value) in [("token", token), ("store", store), ("expires", expires.as_deref())] {
            tags.extend(value.map(|value| (format!("runbook:{key}"), value.to_owned())));
        }
        let mut things = self.shelf.things();
        match kind {
            ArtifactKind::Snapshot => {
                let id = format!("snap-{number:04}");
                let snapshot = Snapshot {
                    id: id.clone(),
                    size_gib: 8,
                    started_at: Some(at),
                    tags,
                    ..Snapshot::default()
                };
                things.snapshots.insert(id.clone(), snapshot);
                id
            }
            ArtifactKind::Volume => {
                let id = format!("vol-{number:04}");
                let volume = Volume {
                    id: id.clone(),
                    state: "available".to_owned(),
                    size_gib: 8,
                    created_at: Some(at),
                    tags,
                    ..Volume::default()
                };
                things.volumes.insert(id.clone(), volume);
                id
            }
            ArtifactKind::Image => {
                let (id, part) = (format!("ami-{number:04}"), format!("snap-{number:04}"));
                let snapshot = Snapshot {
                    id: part.clone(),
                    size_gib: 8,
                    started_at: Some(at),
                    tags: tags.clone(),
                    ..Snapshot::default()
                };
                things.snapshots.insert(part.clone(), snapshot);
                let image = Image {
                    id: id.clone(),
                    snapshots: vec![part],
                    created_at: Some(at),
                    tags,
                    ..Image::default()
                };
                things.images.insert(id.clone(), image);
                id
            }
            ArtifactKind::HostSnapshot | ArtifactKind::PackageFiles => {
                unreachable!("hosts have their own tests")
            }
            ArtifactKind::RecoveryPoint => {
                let id = format!("arn:aws:ec2:eu-central-1::image/ami-{number:04}");
                let point = RecoveryPoint {
                    arn: id.clone(),
                    vault: "Default".to_owned(),
                    status: "COMPLETED".to_owned(),
                    size_bytes: Some(8 << 30),
                    created_at: Some(at),
                    tags,
                    ..RecoveryPoint::default()
                };
                things.points.insert(id.clone(), point);
                id
            }
        }
    }

    /// A machine has this volume.
    pub fn attach(&self, volume: &str) {
        let attachment = Attachment {
            volume: volume.to_owned(),
            instance: self.machine().to_string(),
            state: "attached".to_owned(),
            ..Attachment::default()
        };
        if let Some(volume) = self.shelf.things().volumes.get_mut(volume) {
            volume.attachments.push(attachment);
        }
    }

    /// The default account and Region.
    fn homes() -> BTreeSet<Home> {
        BTreeSet::from([Home::Aws { account: None, region: None, role: None, external_id: None }])
    }

    pub fn orphans(&self) -> Vec<Orphan> {
        let books = Books::read(&self.store.reopened()).expect("books");
        let homes = books.homes(None).into_iter().chain(Self::homes()).collect();
        let ports = self.shelf.ports(&self.world);
        let survey = runtime().expect("a runtime").block_on(held::survey(&ports, &homes));
        assert_eq!(survey.unasked, []);
        orphan::orphans(&books, &survey.held)
    }

    /// The ids of the orphans, sorted.
    pub fn orphan_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.orphans().into_iter().map(|orphan| orphan.held.id).collect();
        ids.sort();
        ids
    }

    pub fn gc(&mut self, wishes: Wishes) -> Report {
        let mut wishes = Wishes { homes: Self::homes(), ..wishes };
        let ports = self.shelf.ports(&self.world);
        self.store = self.store.reopened();
        let gc = collect::gc(&mut self.store, None, &ports, &mut wishes, "ann");
        runtime().expect("a runtime").block_on(gc).expect("gc")
    }
}
