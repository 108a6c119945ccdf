//! The rights to see what becomes of a command. Systems Manager has no dry run, so they are asked for by reading: a right
//! that is missing is found before anything is changed, and not when nobody can tell any more how it ended.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::{ids::TargetId, target::Home};
use tokio::sync::Mutex;

use super::{
    errand::{Errand, Road},
    patience::read,
};
use crate::{
    action::Failure,
    ports::{
        fault::{Fault, FaultKind},
        ssm::Ssm,
    },
};

/// No command has this id: only the right to ask is wanted.
const NO_COMMAND: &str = "00000000-0000-4000-8000-000000000000";

/// What was found out in an attempt: it is asked once for each place where machines live.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    missing: Arc<Mutex<BTreeMap<Home, Option<Fault>>>>,
}

impl Rights {
    /// The right that is missing to see the end of an errand, if one is.
    ///
    /// # Errors
    /// [`Failure::Detached`], or that a person must renew credentials.
    pub async fn missing(&self, road: &Road, errand: &Errand) -> Result<Option<Fault>, Failure> {
        let Some(machine) = errand.targets.first() else { return Ok(None) };
        // Whoever comes while somebody asks waits for that answer.
        let mut missing = self.missing.lock().await;
        if let Some(known) = missing.get(&errand.home) {
            return Ok(known.clone());
        }
        let found = ask(road, &road.ssm(&errand.home)?, errand, machine).await?;
        missing.insert(errand.home.clone(), found.clone());
        Ok(found)
    }
}

async fn ask(
    road: &Road,
    ssm: &Arc<dyn Ssm>,
    errand: &Errand,
    machine: &TargetId,
) -> Result<Option<Fault>, Failure> {
    let (ctx, token) = (&road.ctx, errand.token(&road.ctx));
    let machine = std::slice::from_ref(machine);
    let command = || async { ssm.invocations(NO_COMMAND, machine).await.map(|_| ()) };
    let states = || async { ssm.patch_states(machine).await.map(|_| ()) };
    let mut answers = vec![read(ctx, token, command).await?];
    if errand.alone {
        answers.push(read(ctx, token, states).await?);
    }
    // What else is said says nothing of rights: it is seen when it matters.
    Ok(answers.into_iter().flatten().filter_map(Result::err).find(|fault| fault.kind == FaultKind::Denied))
}
