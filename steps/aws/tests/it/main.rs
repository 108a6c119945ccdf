//! The adapters against other people's servers.

mod ec2;
mod inventory;
mod lost_answers;
mod manners;
mod run_command;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use runbook_aws::Aws;
use runbook_engine::{ids::TargetId, target::Home};
use runbook_test_servers::REGION;

/// AWS behind this endpoint.
async fn aws(endpoint: &str) -> Aws {
    let credentials =
        Credentials::builder().access_key_id("test").secret_access_key("test").provider_name("test").build();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials)
        .load()
        .await;
    Aws::with(config)
}

/// Where the machines live, without an account to compare.
fn home() -> Home {
    Home::Aws { account: None, region: None, role: None, external_id: None }
}

fn targets(ids: &[String]) -> Vec<TargetId> {
    ids.iter().map(TargetId::new).collect()
}
