//! What clients ask of the process that holds the store, and who may.

use runbook_engine::{ids::RunId, run::event::Event};
use runbook_state::store::RunRow;

use super::{
    Coordinator, Start,
    message::{Answer, Fact},
    offline, orders,
    refused::Refused,
    replay,
};
use crate::artifacts::books::Books;
use crate::control::{
    asked::{Answered, Ask, Asked, MOST_ENTRIES},
    order::{self, Order},
    peer::Peer,
};

impl Coordinator<'_> {
    /// Answers a client, or puts what it says among the facts of a run: then the answer comes when it is durable.
    pub(super) fn hear(&mut self, asked: Asked) {
        let Asked { peer, ask, answer } = asked;
        if let Ask::Tell { run, order } = ask {
            let told = self.tell(&peer, run.as_deref(), &order);
            match told {
                Ok(Told::Fact(run, fact, told)) => {
                    let (to, durable) = tokio::sync::oneshot::channel();
                    if let Some(live) = self.runs.get_mut(&run) {
                        live.facts.push(Fact { event: fact, answer: Answer::Person(to, told) });
                    }
                    tokio::spawn(async move {
                        let told = durable.await.unwrap_or(Err(Refused::Stopping));
                        // A client that is gone sees it in the journal.
                        let _ = answer.send(told.map(Answered::Told));
                    });
                }
                Ok(Told::Done(told)) => drop(answer.send(Ok(Answered::Told(told)))),
                Err(refused) => drop(answer.send(Err(refused))),
            }
            return;
        }
        let answered = match ask {
            Ask::Runs => self.visible(&peer).map(Answered::Runs),
            Ask::Books => self.books(&peer),
            Ask::Journal { run, from, plan } => self.journal(&peer, run.as_deref(), from, plan),
            Ask::Submit { plan, expect_plan, not_before, environment } => {
                let start = Start { plan: plan.into(), expect_plan, not_before, no_wait: false };
                self.submit(&peer, start, &environment)
            }
            Ask::Resume { run } => self.go_on(&peer, run.as_deref()),
            Ask::Tell { .. } => return,
        };
        let pending = match &answered {
            Ok(Answered::Advancing(run)) => self.runs.get_mut(run).and_then(|live| live.facts.last_mut()),
            _ => None,
        };
        match (pending, answered) {
            // Nothing is said of a run before its batch is durable: whoever asks for it then finds it.
            (Some(fact), Ok(answered)) if matches!(fact.answer, Answer::Nobody) => {
                fact.answer = Answer::Client(answer, answered);
            }
            // A client that is gone needs no answer.
            (_, answered) => drop(answer.send(answered)),
        }
    }

    fn tell(&mut self, peer: &Peer, run: Option<&str>, order: &Order) -> Result<Told, Refused> {
        if self.stopping.is_some() {
            return Err(Refused::Stopping);
        }
        let rows = self.visible(peer)?;
        let row = replay::select(&rows, run, &self.state)?.clone();
        let owner = self.owns(peer);
        let Some(live) = self.runs.get(&row.run).filter(|live| live.run().finished_at().is_none()) else {
            let mask = self.around.secrets.mask().clone();
            let told = offline::tell(self.store.as_mut(), &row, order, &peer.person, owner, &mask)?;
            return Ok(Told::Done(told));
        };
        let (event, told) = orders::fact(live.run(), &row.run, order, &peer.person, owner)?;
        Ok(Told::Fact(row.run, event, told))
    }

    fn journal(&self, peer: &Peer, run: Option<&str>, from: u64, plan: bool) -> Result<Answered, Refused> {
        let rows = self.visible(peer)?;
        let row = replay::select(&rows, run, &self.state)?;
        Ok(Answered::Journal {
            plan: if plan { Some(Box::new(self.store.plan(&row.run)?)) } else { None },
            entries: self.store.some(&row.run, from, MOST_ENTRIES)?,
            progress: self.runs.get(&row.run).map(|live| live.progress.subscribe()),
            heard: self.runs.get(&row.run).map(|live| live.heard.subscribe()),
            row: Box::new(row.clone()),
        })
    }

    fn books(&self, peer: &Peer) -> Result<Answered, Refused> {
        if !self.owns(peer) {
            let why = "the state folder belongs to somebody else".to_owned();
            return Err(Refused::NotAllowed { user: peer.person.name.clone(), what: "artifacts", why });
        }
        Ok(Answered::Books(Box::new(Books::read(self.store.as_ref())?)))
    }

    fn submit(&mut self, peer: &Peer, start: Start, environment: &str) -> Result<Answered, Refused> {
        if self.stopping.is_some() {
            return Err(Refused::Stopping);
        }
        if peer.uid != self.owner {
            return Err(Refused::NotAllowed {
                user: peer.person.name.clone(),
                what: "run",
                why: "the state folder belongs to somebody else; use another --state".to_owned(),
            });
        }
        if environment != self.environment {
            return Err(Refused::OtherEnvironment {
                theirs: self.environment.clone(),
                ours: environment.to_owned(),
            });
        }
        self.start(start, &peer.person.name).map(Answered::Advancing)
    }

    fn go_on(&mut self, peer: &Peer, run: Option<&str>) -> Result<Answered, Refused> {
        if self.stopping.is_some() {
            return Err(Refused::Stopping);
        }
        let row = replay::select(&self.visible(peer)?, run, &self.state)?.clone();
        if !self.owns(peer) {
            let why = "the run belongs to somebody else".to_owned();
            return Err(Refused::NotAllowed { user: peer.person.name.clone(), what: "resume", why });
        }
        if row.finished_at.is_some() {
            return Ok(Answered::Advancing(row.run));
        }
        if let Some(live) = self.runs.get_mut(&row.run) {
            if live.run().paused() {
                live.facts.push(Fact::of(Event::RunUnpaused { by: peer.person.name.clone() }));
            }
            return Ok(Answered::Advancing(row.run));
        }
        if row.world != self.world {
            let world = |name: &Option<String>| name.clone().unwrap_or_else(|| "the real world".to_owned());
            return Err(Refused::OtherEnvironment { theirs: world(&self.world), ours: world(&row.world) });
        }
        self.resume(&row, &peer.person.name, false)?;
        Ok(Answered::Advancing(row.run))
    }

    /// The runs that a peer may see: all for the owner, else those with an open gate that the peer may answer.
    fn visible(&self, peer: &Peer) -> Result<Vec<RunRow>, Refused> {
        let mut rows = self.store.runs()?;
        if !self.owns(peer) {
            rows.retain(|row| {
                self.runs.get(&row.run).is_some_and(|live| orders::is_asked(live.run(), &peer.person))
            });
        }
        Ok(rows)
    }

    fn owns(&self, peer: &Peer) -> bool {
        peer.uid == self.owner || peer.uid == 0
    }
}

/// What became of an order.
enum Told {
    /// It waits to be admitted.
    Fact(RunId, Event, order::Told),
    /// It is in the store.
    Done(order::Told),
}
