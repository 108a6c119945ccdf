//! The configuration that every connection starts from.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_ssm::config::IdentityCache;

/// The SDK sets no limit for an attempt or a call of its own: a half-dead connection would hang for ever.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(120);

/// What is changed in how the environment and the files of this process are read.
type Adjust = Box<dyn Fn(ConfigLoader) -> ConfigLoader + Send + Sync>;

/// The configuration that every connection starts from.
pub(crate) enum Base {
    /// A given one.
    Given(Box<SdkConfig>),
    /// The process's own, read anew each time: somebody may have signed in again meanwhile.
    Process(Option<Adjust>),
}

impl Base {
    /// The configuration, with credentials that nobody has kept. The SDK's own retries are for its own questions
    /// (who gives us credentials): our calls switch them off (facts: The SDK).
    pub async fn config(&self) -> SdkConfig {
        let config = match self {
            Self::Given(config) => (**config).clone(),
            Self::Process(adjust) => {
                let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
                if let Ok(name) = AppName::new("runbook") {
                    loader = loader.app_name(name);
                }
                if let Some(adjust) = adjust {
                    loader = adjust(loader);
                }
                loader.load().await
            }
        };
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        config
            .into_builder()
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard())
            .identity_cache(IdentityCache::lazy().build())
            .build()
    }
}

impl Default for Base {
    fn default() -> Self {
        Self::Process(None)
    }
}
