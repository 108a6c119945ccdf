//! The real world: this machine's network, programs and clock, and AWS.

use std::{path::Path, sync::Arc};

use runbook_http::Network;
use runbook_steps::{
    ports::{Ports, clock::SystemClock},
    programs::{Programs, outputs_folder},
};

use super::{Vars, hosts::RealInventory};
use crate::coordinator::{
    secrets::{FOLDER, VARIABLE},
    session::Setup,
};

/// What decides which account, role and endpoint a process works with.
const TELLING: [&str; 11] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ROLE_ARN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ACCESS_KEY_ID",
];

/// The ports to the real world.
pub(super) fn ports(setup: &Setup, folder: &Path) -> Ports {
    let runtime_folder = setup.vars.get("XDG_RUNTIME_DIR").map(Path::new);
    let secrets = setup.vars.keys().filter(|name| name.starts_with(VARIABLE) || *name == FOLDER).cloned();
    let programs = Programs::new(setup.state.join("programs"), outputs_folder(&setup.state, runtime_folder))
        .withholding(secrets);
    #[cfg(feature = "aws")]
    let aws = Some(Arc::new(runbook_aws::Aws::new()));
    #[cfg(feature = "aws")]
    let (inventory, factory) = (
        RealInventory::new(folder, aws.clone().map(|aws| aws as _)),
        aws.map(|aws| aws as Arc<dyn runbook_steps::ports::AwsFactory>),
    );
    #[cfg(not(feature = "aws"))]
    let (inventory, factory) = (RealInventory::new(folder, None), None);
    Ports {
        clock: Arc::new(SystemClock),
        http: Arc::new(Network::new()),
        process: Arc::new(programs),
        inventory: Arc::new(inventory),
        aws: factory,
    }
}

/// Which account, role and endpoint an environment means, as far as that can be told without asking anybody.
pub(super) fn environment(vars: &Vars) -> String {
    let told: Vec<_> = TELLING
        .iter()
        .filter_map(|name| {
            let value = vars.get(*name).filter(|value| !value.is_empty())?;
            // A key id is no secret, but the end of it tells as much.
            let shown = if *name == "AWS_ACCESS_KEY_ID" { last(value, 4) } else { value };
            Some(format!("{name}={shown}"))
        })
        .collect();
    if told.is_empty() { "AWS's defaults".to_owned() } else { told.join(" ") }
}

fn last(text: &str, count: usize) -> &str {
    let from = text.char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at);
    &text[from..]
}
