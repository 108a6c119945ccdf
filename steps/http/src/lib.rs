//! HTTP and TCP from this machine, for real: the adapter of [`Http`].
//!
//! Redirects are not followed, every connection is a new one, and no error names a URL, a header or a body. Without the
//! feature `tls` only `http://` can be spoken.

mod page;
mod phrase;
mod proxied;

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Method, redirect::Policy};
use runbook_steps::ports::http::{Http, Request};
use tokio::{net::TcpStream, time::timeout};

pub use page::Page;
pub use proxied::Proxied;

/// The network of this machine. Making it costs nothing: a client, which reads the certificates that this machine
/// trusts, is made when it is first needed.
#[derive(Debug, Default)]
pub struct Network {
    /// For what looks at machines: straight to them, since a proxy's answer says nothing of theirs.
    straight: OnceLock<Result<Client, String>>,
    /// For what is told to others, who may only be reached through the proxy that the environment names.
    outward: OnceLock<Result<Client, String>>,
}

impl Network {
    /// The network as it is configured for this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// # Errors
    /// Why TLS or the name service cannot be used here.
    fn client(&self, looks: bool) -> Result<&Client, String> {
        let (place, proxy) = if looks { (&self.straight, false) } else { (&self.outward, true) };
        let client = place.get_or_init(|| {
            let client = Client::builder()
                .redirect(Policy::none())
                // A look at a machine must not be answered by a connection that was made when it was well.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")));
            let client = if proxy { client } else { client.no_proxy() };
            client.build().map_err(|error| phrase::of(&error))
        });
        client.as_ref().map_err(Clone::clone)
    }
}

#[async_trait]
impl Http for Network {
    async fn request(&self, request: Request) -> Result<u16, String> {
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        if !cfg!(feature = "tls") && request.url.starts_with("https:") {
            return Err("this build of runbook cannot speak https".to_owned());
        }
        let mut sending =
            self.client(method == Method::GET)?.request(method, request.url).timeout(request.timeout);
        for (name, value) in request.headers {
            sending = sending.header(name, value);
        }
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        match sending.send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_timeout() => Err(phrase::silence(request.timeout)),
            Err(error) => Err(phrase::of(&error)),
        }
    }

    async fn connect(&self, host: &str, port: u16, time: Duration) -> Result<(), String> {
        match timeout(time, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(phrase::of(&error)),
            Err(_) => Err(phrase::silence(time)),
        }
    }
}
