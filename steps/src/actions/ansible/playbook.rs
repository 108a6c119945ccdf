//! `ansible/playbook`: a playbook for a wave.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc, Unit},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass},
    target::Target,
};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    invocation::Invocation,
    verdict::{Asked, Verdict, is_unclear, judge, was_not_begun},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Intent, StopReason},
    fanout::journal,
    ports::{ansible::Told, hindrance::Hindrance, process::Progress},
    program::{End, environment, unseen, wait},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("playbook", InputKind::String, "Its file, relative to the working folder."),
            InputDoc::optional(
                "sha256",
                InputKind::String,
                "What the playbook and the `roles` beside it were when the plan was made: the planner fills it in \
                 where nothing is said, and what has changed since is not started.",
            ),
            InputDoc::optional(
                "inventory",
                InputKind::Strings,
                "Inventories of Ansible's that have these machines under the same names; absent: one is made of the \
                 plan, with each machine's connection and variables.",
            ),
            InputDoc::optional(
                "vars",
                InputKind::Any,
                "Variables that go before all others, by name (`--extra-vars`).",
            ),
            InputDoc::optional("tags", InputKind::Strings, "Only what has one of these tags."),
            InputDoc::optional("skip_tags", InputKind::Strings, "Nothing that has one of these tags."),
            InputDoc::optional(
                "forks",
                InputKind::Integer,
                "How many machines at a time; absent: all of the wave, at most 25.",
            ),
            InputDoc::defaulting(
                "check",
                InputKind::Bool,
                false,
                "Only say what would be changed (`--check`): `changes` of the outputs has the tasks.",
            ),
            InputDoc::defaulting(
                "repeatable",
                InputKind::Bool,
                false,
                "It does no harm to run it again: that is done, once, where nobody saw its end.",
            ),
            InputDoc::optional("env", InputKind::StringMap, "What is added to the environment.")
                .may_hold_secrets(),
            InputDoc::defaulting(
                "program",
                InputKind::String,
                PROGRAM,
                "What runs playbooks, where it is not the one of PATH.",
            ),
        ],
        effect: EffectDoc::ByInput {
            input: "check",
            value: "true",
            then: Effect::Reads,
            otherwise: Effect::Unknown,
        },
        unit: Unit::Wave,
        repeatable: false,
        outputs: vec![
            ("ok", "how many tasks ended well"),
            ("changed", "how many of these changed something, or would"),
            ("skipped", "how many tasks were skipped"),
            ("rescued", "how many tasks failed and were rescued: such a machine counts as failed"),
            ("ignored", "how many failures the playbook ignores"),
            ("changes", "the tasks that changed something, or would; the first 50"),
        ],
        ..ActionDoc::new(
            "ansible/playbook",
            "Runs an Ansible playbook for a wave of machines, and takes the result of each one from Ansible's own counts.",
            TimeoutDoc::Fixed(Span::from_hours(2)),
        )
    }
}

/// The call, as the journal names it.
const START: &str = "ansible:playbook";

/// How the key of a second invocation of the same group ends.
const AGAIN: &str = "/again";

/// What runs playbooks, where nothing else is said.
pub(super) const PROGRAM: &str = "ansible-playbook";

/// Invocations at a time, where the machines of a wave have different inputs.
const AT_ONCE: usize = 4;

/// The action.
#[derive(Clone, Debug)]
pub struct Playbook {
    doc: ActionDoc,
}

impl Default for Playbook {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Playbook {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        if ctx.resumed {
            look_up(ctx).await?;
            ctx.ledger.looked_up().await?;
        }
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut working = JoinSet::new();
        for group in groups(ctx, work) {
            let (ctx, turns) = (ctx.clone(), Arc::clone(&turns));
            working.spawn(async move {
                let _turn = turns.acquire().await.map_err(|_| Failure::Detached)?;
                group.work(&ctx).await
            });
        }
        let mut failed: Option<Failure> = None;
        while let Some(ended) = working.join_next().await {
            let result = ended.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Failure::Detached),
            });
            if let Err(failure) = result {
                failed = Some(match failed.take() {
                    Some(first) => first.or(failure),
                    None => failure,
                });
            }
        }
        failed.map_or(Ok(Value::Null), Err)
    }
}

/// The machines that share an invocation: their inputs were the same when it was made.
struct Group {
    /// What the journal knows it by: made of its machines, and of no value of an input, which may hold a secret.
    key: String,
    machines: Vec<Arc<Target>>,
    inputs: Arc<Inputs>,
    /// What its machines are given is no longer the same for all of them.
    parted: bool,
}

/// One, unless an input differs from machine to machine. What an earlier life was about to start is what it was, with the
/// machines of its intent, whatever the inputs come to now: a secret may be another one by then. Of these machines some
/// may have been reported already.
fn groups(ctx: &Context, work: Work) -> Vec<Group> {
    let mut open: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)> =
        work.targets.into_iter().map(|(target, inputs)| (target.id.clone(), (target, inputs))).collect();
    let mut groups = Vec::new();
    let begun = ctx.memory.intents.iter().filter(|(key, _)| !key.ends_with(AGAIN));
    for (key, intent) in begun {
        let left = intent.targets.iter().filter_map(|id| open.remove(id));
        groups.extend(Group::of(key.clone(), left.collect()));
    }
    let mut fresh: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (target, inputs) in open.into_values() {
        let same = serde_json::to_string(&inputs.values).unwrap_or_default();
        fresh.entry(same).or_default().push((target, inputs));
    }
    for machines in fresh.into_values() {
        let ids: Vec<&str> = machines.iter().map(|(target, _)| target.id.as_str()).collect();
        let key = ctx.token(&ids.join("\n"), "group").to_string();
        groups.extend(Group::of(key, machines));
    }
    groups
}

impl Group {
    /// None where no machine is left.
    fn of(key: String, machines: Vec<(Arc<Target>, Arc<Inputs>)>) -> Option<Self> {
        let inputs = Arc::clone(&machines.first()?.1);
        let parted = machines.iter().any(|(_, others)| others.values != inputs.values);
        let machines = machines.into_iter().map(|(target, _)| target).collect();
        Some(Self { key, machines, inputs, parted })
    }

    async fn work(self, ctx: &Context) -> Result<(), Failure> {
        let (verdicts, tokens) = match recalled(ctx, &self.key) {
            Some(verdicts) => (verdicts, [self.token(ctx, false), self.token(ctx, true)].to_vec()),
            None => match self.run(ctx).await {
                Ok(found) => found,
                Err(Failure::Failed { outcome, class, cause }) => {
                    return self.report_all(ctx, Failure::Failed { outcome, class, cause }).await;
                }
                Err(failure) => return Err(failure),
            },
        };
        let open = self.machines.iter().map(|machine| &machine.id);
        let done = open.filter_map(|id| Some((id.clone(), verdicts.get(id)?.clone().done()))).collect();
        journal(ctx, done).await?;
        for token in tokens {
            if let Err(why) = ctx.ports.ansible.forget(&token).await {
                // Nobody will ask for it again.
                tracing::warn!(token, why, "the traces of a playbook could not be deleted");
            }
        }
        Ok(())
    }

    /// Other groups of the wave go on.
    async fn report_all(&self, ctx: &Context, failure: Failure) -> Result<(), Failure> {
        let Failure::Failed { outcome, class, cause } = failure else { return Err(failure) };
        let report = runbook_engine::run::event::Report::failed(outcome, class, cause);
        ctx.ledger.report(self.ids(), report).await
    }

    fn ids(&self) -> Vec<TargetId> {
        self.machines.iter().map(|machine| machine.id.clone()).collect()
    }

    /// The journaled one, where an earlier life was about to start it.
    fn token(&self, ctx: &Context, again: bool) -> String {
        let key = if again { self.again() } else { self.key.clone() };
        match ctx.memory.intents.get(&key) {
            Some(intent) => intent.token.clone(),
            None => ctx.token(&self.key, if again { "ansible:again" } else { START }).to_string(),
        }
    }

    fn again(&self) -> String {
        format!("{}{AGAIN}", self.key)
    }

    /// Runs the playbook, or takes up the one that an earlier life started. What came of it is in a checkpoint when this
    /// returns, and nowhere else: what it told may hold secrets, which the journal masks.
    async fn run(&self, ctx: &Context) -> Result<(BTreeMap<TargetId, Verdict>, Vec<String>), Failure> {
        let (key, again) = (self.key.as_str(), self.again());
        let first = !ctx.memory.intents.contains_key(&again);
        let harmless = self.flag("check") || self.flag("repeatable");
        let mut tokens = vec![self.token(ctx, false)];
        let mut came = None;
        if first {
            came = Some(self.leg(ctx, key, &tokens[0]).await?);
        }
        let unclear = came.as_ref().is_none_or(|(end, told)| is_unclear(end, told));
        if unclear && harmless && (!first || !self.parted && ctx.stopping() == StopReason::None) {
            let token = self.token(ctx, true);
            let second = match self.leg(ctx, &again, &token).await {
                Ok((end, told)) => Some((end, told)).filter(|(end, told)| !was_not_begun(end, told)),
                // Nothing was applied by it.
                Err(Failure::Failed { class: ErrorClass::Undeliverable, .. }) => None,
                Err(failure) => return Err(failure),
            };
            // What the first one did is no less done where the second was not begun.
            came = second.or(came);
            tokens.push(token);
        }
        let (end, told) = match came {
            Some(came) => came,
            None => self.first_leg(ctx, &tokens[0]).await?,
        };
        let intended =
            ctx.memory.intents.get(key).map_or_else(|| self.ids(), |intent| intent.targets.clone());
        let asked = Asked {
            program: self.inputs.text("program").unwrap_or(PROGRAM),
            playbook: self.inputs.required_text("playbook")?,
            check: self.flag("check"),
            repeatable: self.flag("repeatable"),
            hosts: &intended,
        };
        let verdicts = judge(asked, &end, &told);
        let kept = serde_json::to_value(&verdicts).map_err(|error| Failure::failed(error.to_string()))?;
        ctx.ledger.checkpoint(key, kept).await?;
        Ok((verdicts, tokens))
    }

    /// One invocation, started at most once.
    async fn leg(&self, ctx: &Context, key: &str, token: &str) -> Result<(End, Told), Failure> {
        let process = &ctx.ports.process;
        // A first life need not ask: the token is its own.
        let known = ctx.memory.intents.contains_key(key);
        if !known || process.progress(token).await.map_err(unread)? == Progress::Absent {
            not_stopping(ctx)?;
            self.may_start(ctx).await?;
            let invocation = Invocation { machines: &self.machines, inputs: &self.inputs };
            let env = environment(ctx, None, self.inputs.map("env"));
            let play = invocation.play(token, env).map_err(|why| not_started(&why))?;
            if !known {
                let (key, token) = (key.to_owned(), token.to_owned());
                let intent = Intent { key, call: START, token, targets: self.ids(), makes: None };
                ctx.ledger.intent(intent).await?;
            }
            let started = ctx.ports.ansible.start(play).await;
            started.map_err(|hindrance| hindered(hindrance.after("the playbook could not be started")))?;
        }
        self.outcome(ctx, token).await
    }

    /// What an earlier life saw of the first invocation, which is not started again.
    async fn first_leg(&self, ctx: &Context, token: &str) -> Result<(End, Told), Failure> {
        match ctx.ports.process.progress(token).await.map_err(unread)? {
            Progress::Absent => Ok((End::Lost, Told::default())),
            _ => self.outcome(ctx, token).await,
        }
    }

    async fn outcome(&self, ctx: &Context, token: &str) -> Result<(End, Told), Failure> {
        let end = wait(ctx, token, None).await?;
        let told = ctx.ports.ansible.told(token).await.map_err(unread)?;
        Ok((end, told))
    }

    /// Whether it is still what was planned, for all its machines.
    async fn may_start(&self, ctx: &Context) -> Result<(), Failure> {
        if self.parted {
            return Err(not_started(
                "the playbook was not started before this machine went down, and its hosts would no longer be given the \
                 same",
            ));
        }
        let Some(planned) = self.inputs.text("sha256") else { return Ok(()) };
        let playbook = self.inputs.required_text("playbook")?;
        match ctx.ports.ansible.fingerprint(playbook).await {
            Ok(Some(found)) if found != planned => Err(not_started(&format!(
                "{playbook}, or a role beside it, is no longer the planned one: bring that back, or plan anew"
            ))),
            Ok(_) => Ok(()),
            Err(hindrance) => Err(hindered(hindrance.after(&format!("{playbook} cannot be read")))),
        }
    }

    fn flag(&self, key: &str) -> bool {
        Invocation { machines: &self.machines, inputs: &self.inputs }.flag(key)
    }
}

fn recalled(ctx: &Context, key: &str) -> Option<BTreeMap<TargetId, Verdict>> {
    serde_json::from_value(ctx.recall(key)?.clone()).ok()
}

/// A wave whose turn comes when the attempt must stop already is left alone.
fn not_stopping(ctx: &Context) -> Result<(), Failure> {
    match ctx.stopping() {
        StopReason::None => Ok(()),
        StopReason::TimedOut => Err(not_started("the time was over before the playbook was started")),
        StopReason::Cancelled => Err(not_started("the run was cancelled before the playbook was started")),
        StopReason::Detach => Err(Failure::Detached),
    }
}

/// Nothing was started. What lies with this machine says nothing of those that it was for: the run waits until this one
/// has what it needs.
fn hindered(Hindrance { why, ours }: Hindrance) -> Failure {
    if ours { Failure::NeedsPerson { cause: why } } else { not_started(&why) }
}

fn unread(why: String) -> Failure {
    unseen("the playbook", &why)
}

/// A failure whose class says that nothing was applied.
fn not_started(cause: &str) -> Failure {
    Failure::of(ErrorClass::Undeliverable, cause)
}

/// Asks for everything that earlier lives may have started: only then may the attempt be judged by its deadline.
async fn look_up(ctx: &Context) -> Result<(), Failure> {
    for intent in ctx.memory.intents.values() {
        if let Err(why) = ctx.ports.process.progress(&intent.token).await {
            return Err(unseen("the playbook", &why));
        }
    }
    Ok(())
}
