//! Which resources, as EC2 wants to hear it.

use std::future::Future;

use aws_sdk_ec2::types::Filter;
use runbook_steps::ports::{
    ec2::Which,
    fault::{Fault, FaultKind},
};

/// A filter takes so many values (facts: Pages and batches).
pub(crate) const VALUES_PER_FILTER: usize = 200;

/// A call takes so many ids (facts: Pages and batches).
const IDS_PER_CALL: usize = 1000;

/// What one call asks for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// These ids, all of which must exist. There are no pages to choose then.
    Ids(Vec<String>),
    /// What passes this filter.
    Passing(Filter),
}

impl Asked {
    /// The ids, as the SDK takes them.
    pub fn ids(&self) -> Option<Vec<String>> {
        match self {
            Self::Ids(ids) => Some(ids.clone()),
            Self::Passing(_) => None,
        }
    }

    /// The filter, as the SDK takes it.
    pub fn filters(&self) -> Option<Vec<Filter>> {
        match self {
            Self::Ids(_) => None,
            Self::Passing(filter) => Some(vec![filter.clone()]),
        }
    }

    /// The size of a page: it must not be stated together with ids.
    pub fn page(&self) -> Option<i32> {
        matches!(self, Self::Passing(_)).then_some(1000)
    }
}

/// A filter.
pub(crate) fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// Asks for resources in as few calls as the service allows: ids by the thousand. A call in which one id is unknown
/// fails as a whole, so its ids are asked for again by the filter `id_filter`, which leaves unknown ones out.
pub(crate) async fn ask<T, F>(
    which: &Which,
    id_filter: &str,
    described: impl Fn(Asked) -> F + Send,
) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<Vec<T>, Fault>> + Send,
    T: Send,
{
    let ids = match which {
        Which::Ids(ids) => ids,
        Which::Tagged { key, values } if values.is_empty() => {
            return described(Asked::Passing(filter("tag-key", vec![key.clone()]))).await;
        }
        Which::Tagged { key, values } => {
            let mut found = Vec::new();
            for chunk in values.chunks(VALUES_PER_FILTER) {
                let filter = filter(&format!("tag:{key}"), chunk.to_vec());
                found.extend(described(Asked::Passing(filter)).await?);
            }
            return Ok(found);
        }
    };
    let mut found = Vec::new();
    for chunk in ids.chunks(IDS_PER_CALL) {
        match described(Asked::Ids(chunk.to_vec())).await {
            Ok(all) => found.extend(all),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                tracing::debug!(call = fault.call, %fault, "asking by filter, which leaves unknown ids out");
                for chunk in chunk.chunks(VALUES_PER_FILTER) {
                    found.extend(described(Asked::Passing(filter(id_filter, chunk.to_vec()))).await?);
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}
