//! Names of things, as types. All of them are cheap to clone, ordered, and are stored as plain strings.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name made of this text.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )+};
}

name! {
    /// A run: a short random id, lower-case letters and digits.
    RunId;
    /// One step for one wave, in the plan: `production/wave-2/patch`.
    TaskName;
    /// A part of the plan that starts and ends as a whole: `production`, `production/wave-2`,
    /// `production/wave-3/part-2`, `production/wave-2/soak`; the empty name is the whole plan.
    ScopeName;
    /// A step as the author wrote it, by its path from the root: `production/patch`.
    StepPath;
    /// One machine: an EC2 instance id or a host's name.
    TargetId;
    /// A target group of the runbook.
    GroupName;
    /// What a step uses: `aws/patch`.
    ActionName;
}

impl TaskName {
    /// The stage: the first part of the name.
    pub fn stage(&self) -> &str {
        self.as_str().split('/').next().unwrap_or_default()
    }
}
