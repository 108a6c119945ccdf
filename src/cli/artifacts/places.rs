//! Where to look beside the places that the ledger knows.

use std::{collections::BTreeSet, path::PathBuf};

use clap::Args;
use runbook::world::Choice;
use runbook_engine::target::Home;

/// Where to look.
#[derive(Debug, Args)]
pub struct Places {
    /// Look in this Region too; may be repeated
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Look in the account of this role too; may be repeated
    #[arg(long, value_name = "ARN")]
    role: Vec<String>,
    /// What --role asks for besides (sts:ExternalId)
    #[arg(long, value_name = "ID", requires = "role")]
    external_id: Option<String>,
    /// A simulated fleet, in place of the real world
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
}

impl Places {
    /// The world that is meant.
    pub fn choice(&self) -> Choice {
        self.fleet.clone().map_or(Choice::Real, Choice::Fleet)
    }

    /// The default account and Region, and every account in every Region that was named.
    pub fn homes(&self) -> BTreeSet<Home> {
        let regions = || std::iter::once(None).chain(self.region.iter().cloned().map(Some));
        let own = regions().map(|region| (region, None));
        let roles = self.role.iter().flat_map(|role| regions().map(move |region| (region, Some(role))));
        own.chain(roles)
            .map(|(region, role)| Home::Aws {
                account: role.and_then(|role| role.split(':').nth(4)).map(str::to_owned),
                region,
                external_id: role.and(self.external_id.clone()),
                role: role.cloned(),
            })
            .collect()
    }
}
