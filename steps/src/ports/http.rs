//! HTTP and TCP from this machine.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use super::hindrance::Hindrance;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Option<String>,
    /// All of it must be done within this time.
    pub timeout: Duration,
}

/// HTTP and TCP from this machine. Redirects are not followed.
#[async_trait]
pub trait Http: Send + Sync {
    /// The status of the answer.
    ///
    /// # Errors
    /// Why there was none, without the URL's query, headers or body.
    async fn request(&self, request: Request) -> Result<u16, Hindrance>;

    /// Whether a TCP connection can be made.
    ///
    /// # Errors
    /// Why not.
    async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<(), Hindrance>;
}
