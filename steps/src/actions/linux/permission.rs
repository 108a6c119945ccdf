//! What a patchset and a way back allow to be changed on a host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{choice::Wishes, forbidden::forbidden, glob, kept::Kept, manifest::words};
use crate::ports::linux::{Change, Manager, Wanted};

/// What may be installed on a host of one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Permission {
    platform: String,
    /// Versions by name, on machines that take what was tested.
    tested: Option<BTreeMap<String, String>>,
    also: BTreeMap<String, BTreeSet<String>>,
    removed: BTreeSet<String>,
    barred: Vec<Barred>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Barred {
    name: String,
    version: String,
    #[serde(default)]
    broke: String,
}

impl Permission {
    /// What a patchset says of this platform; everything, where there is none.
    pub fn of(patchset: Option<&Value>, platform: &str) -> Self {
        fn of_platform<T: serde::de::DeserializeOwned>(
            patchset: &Value,
            part: &str,
            platform: &str,
        ) -> Option<T> {
            serde_json::from_value(patchset.get(part)?.get(platform)?.clone()).ok()
        }
        let mut permission = Self { platform: platform.to_owned(), ..Self::default() };
        if let Some(patchset) = patchset {
            let takes = patchset.get("platforms").is_some();
            permission.tested =
                takes.then(|| of_platform(patchset, "platforms", platform).unwrap_or_default());
            permission.also = of_platform(patchset, "also", platform).unwrap_or_default();
            permission.removed = of_platform(patchset, "removed", platform).unwrap_or_default();
            permission.barred = of_platform(patchset, "barred", platform).unwrap_or_default();
        }
        permission
    }

    /// The tested version that an update comes to; `None`: any.
    ///
    /// # Errors
    /// None was tested.
    pub fn version(&self, name: &str, installed: Option<&str>) -> Result<Option<String>, String> {
        let Some(tested) = &self.tested else { return Ok(None) };
        let version = tested.get(name).ok_or_else(|| format!("not tested on {}", self.platform))?;
        let also = self.also.get(name);
        let there = installed.filter(|installed| also.is_some_and(|also| also.contains(*installed)));
        Ok(Some(there.unwrap_or(version).to_owned()))
    }

    /// Why a version must not be installed; none where it may be.
    pub fn objects_to(&self, name: &str, version: &str) -> Option<String> {
        let barred = self.barred.iter().find(|barred| barred.name == name && barred.version == version);
        if let Some(barred) = barred {
            return Some(format!("barred: it broke {}", barred.broke));
        }
        let tested = self.tested.as_ref()?;
        let fits = tested.get(name).is_some_and(|tested| tested == version)
            || self.also.get(name).is_some_and(|also| also.contains(version));
        (!fits).then(|| format!("not tested on {}", self.platform))
    }

    /// Why a transaction must not take place, by what comes along with what was chosen; none where it may.
    pub fn objects_to_all(&self, wishes: &Wishes, wanted: &[Wanted], changes: &[Change]) -> Option<String> {
        changes.iter().find_map(|change| {
            let why = self.objects_to_change(wishes, change)?;
            let chosen = wanted.iter().any(|wanted| wanted.name == change.name && wanted.arch == change.arch);
            let along = if chosen { "" } else { " would come along" };
            Some(format!("{}{along}: {why}", words(change)))
        })
    }

    fn objects_to_change(&self, wishes: &Wishes, change: &Change) -> Option<String> {
        let Some(to) = &change.to else {
            let expected = self.tested.is_some() && self.removed.contains(&change.name);
            return (!expected).then(|| "nothing is removed without having been tested".to_owned());
        };
        if glob::any(&wishes.exclude, &change.name, to) {
            return Some("excluded".to_owned());
        }
        let by_policy = wishes.policy.objects_to(&change.name, to).map(str::to_owned);
        by_policy.or_else(|| self.objects_to(&change.name, to))
    }
}

/// Why a transaction has no way back by this backup; none where it has one, or is restored in another way.
pub(super) fn no_way_back(backup: Option<&Kept>, manager: Manager, changes: &[Change]) -> Option<String> {
    let backup = backup.filter(|backup| backup.is_by_packages())?;
    let manifest = backup.packages.as_ref()?;
    changes.iter().find_map(|change| {
        let from = change.from.as_ref()?;
        if let Some(why) = forbidden(manager, &change.name) {
            let hint = "exclude it, or back the host up with a snapshot";
            return Some(format!("{} has no way back by packages: {why} ({hint})", words(change)));
        }
        if !manifest.has(&change.name, &change.arch, from) {
            return Some(format!("{}: its version changed after the backup", words(change)));
        }
        let kept = backup.kept.iter().any(|kept| kept.name == change.name && kept.version == *from);
        (!kept).then(|| format!("{}: its former version was not kept by the backup", words(change)))
    })
}
