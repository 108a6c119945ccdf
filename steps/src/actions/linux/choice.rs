//! What of the pending updates is installed, and why not the rest.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{glob, manifest::few, permission::Permission, policy::Policy};
use crate::{
    action::Inputs,
    ports::linux::{ConfigFiles, Manager, Package, Update, Wanted, version},
};

/// What a step wants to have installed.
#[derive(Clone, Debug)]
pub(super) struct Wishes {
    /// Nothing but security updates.
    pub security_only: bool,
    /// Nothing but these: by name, with a version where one is stated.
    pub named: Vec<(String, Option<String>)>,
    pub exclude: Vec<String>,
    /// Also what the host itself holds back.
    pub held_too: bool,
    pub config_files: ConfigFiles,
    pub lock_wait: Duration,
    pub policy: Policy,
}

impl Wishes {
    /// What the inputs say.
    pub fn of(inputs: &Inputs) -> Self {
        let named = inputs.texts("packages").into_iter().map(|text| match text.split_once('=') {
            Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
            None => (text, None),
        });
        Self {
            security_only: inputs.text("select") != Some("all"),
            named: named.collect(),
            exclude: inputs.texts("exclude"),
            held_too: inputs.text("held") == Some("change"),
            config_files: match inputs.text("config_files") {
                Some("replace") => ConfigFiles::Replace,
                _ => ConfigFiles::Keep,
            },
            lock_wait: inputs.span("lock_wait").map_or(super::stages::LOCK_WAIT, |wait| wait.get()),
            policy: Policy::of(inputs),
        }
    }

    /// Whether an update is one of those that the step is about.
    pub fn is_about(&self, update: &Update) -> bool {
        if self.named.is_empty() {
            return !self.security_only || update.security;
        }
        self.named.iter().any(|(name, _)| *name == update.name)
    }
}

/// An update that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptBack {
    /// The package.
    pub name: String,
    /// What would have been installed.
    pub version: String,
    /// Why it is not.
    pub why: String,
}

impl KeptBack {
    /// This update, for that reason.
    pub fn of(update: &Update, why: impl Into<String>) -> Self {
        Self { name: update.name.clone(), version: update.to.clone(), why: why.into() }
    }
}

/// What is to be installed, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub wanted: Vec<Wanted>,
    pub kept_back: Vec<KeptBack>,
}

/// Chooses of what is pending on a host.
///
/// # Errors
/// A package was named that this host does not have: it would come to nothing, and be told as a success.
pub(super) fn choose(
    wishes: &Wishes,
    permission: &Permission,
    manager: Manager,
    pending: &[Update],
    installed: &[Package],
    now: Timestamp,
) -> Result<Choice, String> {
    let is_there = |name: &String| {
        pending.iter().any(|update| update.name == *name)
            || installed.iter().any(|package| package.name == *name)
    };
    let unknown: Vec<_> = wishes.named.iter().map(|(name, _)| name).filter(|name| !is_there(name)).collect();
    if !unknown.is_empty() {
        let names = few(unknown.into_iter().cloned());
        return Err(format!("what the step names is not installed here, and no update brings it: {names}"));
    }
    let mut choice = Choice::default();
    for update in pending.iter().filter(|update| wishes.is_about(update)) {
        match consider(wishes, permission, manager, update, now) {
            Ok(version) if update.from.as_ref() == Some(&version) => {}
            Ok(version) => choice.wanted.push(Wanted {
                name: update.name.clone(),
                arch: update.arch.clone(),
                version: Some(version),
            }),
            Err(why) => choice.kept_back.push(KeptBack::of(update, why)),
        }
    }
    // A version that was named and that the lists do not offer as the newest one.
    for (name, version) in &wishes.named {
        let Some(version) = version else { continue };
        let known = pending.iter().any(|update| update.name == *name);
        for package in installed.iter().filter(|package| package.name == *name && !known) {
            if package.version == *version {
                continue;
            }
            match permission.objects_to(name, version) {
                Some(why) => {
                    choice.kept_back.push(KeptBack { name: name.clone(), version: version.clone(), why })
                }
                None => choice.wanted.push(Wanted {
                    name: name.clone(),
                    arch: package.arch.clone(),
                    version: Some(version.clone()),
                }),
            }
        }
    }
    Ok(choice)
}

/// The version of an update that is installed, or why none is.
fn consider(
    wishes: &Wishes,
    permission: &Permission,
    manager: Manager,
    update: &Update,
    now: Timestamp,
) -> Result<String, String> {
    if glob::any(&wishes.exclude, &update.name, &update.to) {
        return Err("excluded".to_owned());
    }
    if update.held && !wishes.held_too {
        return Err("held on the host".to_owned());
    }
    if let Some(why) = wishes.policy.holds_back(update, now) {
        return Err(why);
    }
    let named = wishes.named.iter().find(|(name, _)| *name == update.name);
    let named = named.and_then(|(_, version)| version.as_ref());
    let version = match permission.version(&update.name, update.from.as_deref())? {
        Some(tested) if named.is_some_and(|named| *named != tested) => {
            return Err(format!("{tested} was tested, not what the step names"));
        }
        Some(tested) => match &update.from {
            Some(from) if version::compare(manager, from, &tested).is_gt() => {
                return Err(format!("{from} is newer than {tested}, which was tested"));
            }
            _ => tested,
        },
        None => named.unwrap_or(&update.to).clone(),
    };
    match permission.objects_to(&update.name, &version) {
        Some(why) => Err(why),
        None => Ok(version),
    }
}
