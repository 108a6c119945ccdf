//! Accounts and Regions.

use serde::{Deserialize, Serialize};

/// The account of machines whose group names none.
pub(super) const FIRST_ACCOUNT: &str = "000000000000";

/// An account and a Region. What is absent matches everything: a group without a Region is in whichever is asked, and
/// who asks without one sees all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl Place {
    /// Whether what is there is seen from here.
    pub fn sees(&self, there: &Self) -> bool {
        fn fits(here: Option<&String>, there: Option<&String>) -> bool {
            here.is_none() || there.is_none() || here == there
        }
        fits(self.account.as_ref(), there.account.as_ref())
            && fits(self.region.as_ref(), there.region.as_ref())
    }

    /// The Region, or the one that a fleet without Regions stands in.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("eu-central-1")
    }

    /// The account, or the first one.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(FIRST_ACCOUNT)
    }
}
