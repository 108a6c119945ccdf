//! AWS Backup: REST with JSON.

mod asked;
mod jobs;
mod recovery_points;
mod restores;
mod route;
mod vaults;

use async_trait::async_trait;
use serde_json::json;

use self::{asked::Asked, route::Route};
use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
    service::Service,
};

/// AWS Backup.
pub struct BackupService;

#[async_trait]
impl Service for BackupService {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn operation(&self, request: &Request) -> Option<String> {
        Route::of(&request.method, request.path()).map(|route| route.operation.to_owned())
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let Some(route) = Route::of(&call.request.method, call.request.path()) else {
            return Err(self.unknown_operation(Some(call.operation)).into());
        };
        let operation = route.operation;
        let asked = Asked::read(call, route)?;
        match operation {
            "StartBackupJob" => jobs::start(asked).await,
            "DescribeBackupJob" => jobs::describe(asked).await,
            "ListBackupJobs" => jobs::list(asked).await,
            "StopBackupJob" => jobs::stop(asked).await,
            "DescribeBackupVault" => vaults::describe(asked).await,
            "ListBackupVaults" => vaults::list(asked).await,
            "DescribeRegionSettings" => vaults::region_settings(asked),
            "GetSupportedResourceTypes" => vaults::resource_types(asked),
            "DescribeRecoveryPoint" => recovery_points::describe(asked).await,
            "ListRecoveryPointsByBackupVault" => recovery_points::of_vault(asked).await,
            "ListRecoveryPointsByResource" => recovery_points::of_resource(asked).await,
            "GetRecoveryPointRestoreMetadata" => recovery_points::restore_metadata(asked).await,
            "DeleteRecoveryPoint" => recovery_points::delete(asked).await,
            "ListTags" => recovery_points::tags(asked).await,
            "StartRestoreJob" => restores::start(asked).await,
            "DescribeRestoreJob" => restores::describe(asked).await,
            "ListRestoreJobs" => restores::list(asked).await,
            other => Err(self.unknown_operation(Some(other)).into()),
        }
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, _request_id: &str) -> Answer {
        let body = json!({ "Code": refusal.code, "Message": refusal.message, "Type": "Client" });
        Answer::new(refusal.status, "application/json", body.to_string())
            .with("x-amzn-errortype", refusal.code.clone())
    }
}
