//! AWS as a sandbox on this machine plays it: the real clients, on the time of the sandbox's world.
//!
//! The world's time stands still while an answer is on its way. Every request says what time it is here, every answer
//! what time it is there.

use std::{sync::Arc, time::SystemTime};

use aws_config::{ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use jiff::Timestamp;
use runbook_steps::world::RemoteTime;

/// The world's time, there and back.
const CLOCK: &str = "x-runbook-clock";

/// A sandbox, and how it is entered.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// `http://127.0.0.1:4700`
    pub endpoint: String,
    /// The time of its world.
    pub time: Arc<RemoteTime>,
    /// The Region, where the environment names none.
    pub region: Option<String>,
    /// The access key id, where the environment has no credentials: it says which account's machines are meant.
    pub access_key: Option<String>,
}

impl Sandbox {
    /// The configuration of a process that works in it.
    pub(crate) fn adjust(&self, loader: ConfigLoader) -> ConfigLoader {
        let client = HeldClient {
            inner: aws_smithy_http_client::Builder::new().build_http(),
            time: Arc::clone(&self.time),
        };
        let mut loader = loader
            .endpoint_url(&self.endpoint)
            .http_client(client)
            .time_source(WorldTime(Arc::clone(&self.time)));
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(key) = &self.access_key {
            let credentials = Credentials::builder().access_key_id(key).secret_access_key("sandbox");
            loader = loader.credentials_provider(credentials.provider_name("sandbox").build());
        }
        loader
    }
}

/// What the clients take for the time: requests are dated, and credentials expire, by the world's.
#[derive(Debug)]
struct WorldTime(Arc<RemoteTime>);

impl TimeSource for WorldTime {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

/// The SDK's own client, under a clock that stands still while it waits.
#[derive(Debug)]
struct HeldClient {
    inner: SharedHttpClient,
    time: Arc<RemoteTime>,
}

impl HttpClient for HeldClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(HeldConnector {
            inner: self.inner.http_connector(settings, components),
            time: Arc::clone(&self.time),
        })
    }
}

#[derive(Debug)]
struct HeldConnector {
    inner: SharedHttpConnector,
    time: Arc<RemoteTime>,
}

impl HttpConnector for HeldConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let time = Arc::clone(&self.time);
        let held = time.hold();
        request.headers_mut().insert(CLOCK, time.now().to_string());
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            // All of it, while the clock is held.
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            let body = body.collect().await.map_err(ConnectorError::io)?;
            *answer.body_mut() = SdkBody::from(body.to_bytes());
            let now = answer.headers().get(CLOCK).and_then(|now| now.parse::<Timestamp>().ok());
            if let Some(now) = now {
                time.not_before(now);
            }
            drop(held);
            Ok(answer)
        })
    }
}
