//! The real world: this machine's network, programs and clock, and AWS.

use std::{path::Path, sync::Arc};

use runbook_engine::expression;
use runbook_http::Network;
use runbook_linux::Hosts;
use runbook_steps::{
    playbooks::Playbooks,
    ports::{
        Ports,
        clock::{Clock, SteadyClock},
        http::Http,
        process::Process,
    },
    programs::{Programs, outputs_folder},
};

use super::{Vars, hosts::RealInventory};
use crate::coordinator::{
    refused::Refused,
    secrets::{FOLDER, Secrets, VARIABLE},
    session::Setup,
};

/// What decides which account, role and endpoint a process works with.
const TELLING: [&str; 12] = [
    super::sandboxed::VARIABLE,
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

/// What a world has in place of this machine's clock, network and AWS.
pub(super) struct Around {
    pub clock: Arc<dyn Clock>,
    pub http: Arc<dyn Http>,
    #[cfg(feature = "aws")]
    pub aws: runbook_aws::Aws,
}

impl Around {
    /// The real ones.
    pub fn real(
        #[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "for AWS"))] vars: &Vars,
    ) -> Self {
        Self {
            clock: Arc::new(SteadyClock::new()),
            http: Arc::new(Network::new()),
            #[cfg(feature = "aws")]
            aws: runbook_aws::Aws::of_profile(profile(vars)),
        }
    }
}

/// The profile that credentials come from, as far as the environment says it.
#[cfg(feature = "aws")]
pub(super) fn profile(vars: &Vars) -> Option<String> {
    let names = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    names.iter().find_map(|name| vars.get(*name).filter(|value| !value.is_empty()).cloned())
}

/// The ports to the real world, or to what stands for it.
///
/// # Errors
/// A secret that cannot be trusted or read.
pub(super) fn ports(setup: &Setup, folder: &Path, around: Around) -> Result<Ports, Refused> {
    let known = Secrets::from_vars(&setup.vars)?;
    let runtime_folder = setup.vars.get("XDG_RUNTIME_DIR").map(Path::new);
    let secrets = setup.vars.keys().filter(|name| name.starts_with(VARIABLE) || *name == FOLDER).cloned();
    let withheld: Vec<String> = secrets.collect();
    let outputs = outputs_folder(&setup.state, runtime_folder);
    let programs =
        Programs::new(setup.state.join("programs"), outputs.clone()).withholding(withheld.iter().cloned());
    let process: Arc<dyn Process> = Arc::new(programs);
    let secrets = known.clone();
    let hosts = Hosts::new()
        .in_folder(runtime_folder.map(Path::to_owned))
        .withholding(withheld)
        .with_secrets(move |name| expression::Secrets::secret(&secrets, name));
    #[cfg(feature = "aws")]
    let aws = Some(Arc::new(around.aws));
    #[cfg(feature = "aws")]
    let (inventory, factory) = (
        RealInventory::new(folder, setup, known, aws.clone().map(|aws| aws as _)),
        aws.map(|aws| aws as Arc<dyn runbook_steps::ports::AwsFactory>),
    );
    #[cfg(not(feature = "aws"))]
    let (inventory, factory) = (RealInventory::new(folder, setup, known, None), None);
    Ok(Ports {
        clock: around.clock,
        http: around.http,
        ansible: Arc::new(Playbooks::new(Arc::clone(&process), outputs)),
        process,
        inventory: Arc::new(inventory),
        linux: Arc::new(hosts),
        aws: factory,
    })
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
