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
use runbook_steps::ports::{
    hindrance::Hindrance,
    http::{Http, Request},
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

pub use page::Page;
pub use proxied::Proxied;

/// Descriptors and memory that this machine lacks come back when others are done with them.
const PAUSE: Duration = Duration::from_millis(200);

/// The network of this machine. Making it costs nothing: a client, which reads the certificates that this machine
/// trusts, is made when it is first needed.
#[derive(Debug, Default)]
pub struct Network {
    /// For what looks at machines: straight to them, since a proxy's answer says nothing of theirs.
    straight: OnceLock<Client>,
    /// For what is told to others, who may only be reached through the proxy that the environment names.
    outward: OnceLock<Client>,
}

impl Network {
    /// The network as it is configured for this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// # Errors
    /// Why TLS or the name service cannot be used here.
    fn client(&self, looks: bool) -> Result<&Client, Hindrance> {
        let (place, proxy) = if looks { (&self.straight, false) } else { (&self.outward, true) };
        // One that could not be made, since there was no descriptor to read certificates with, is made the next time.
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .redirect(Policy::none())
            // A look at a machine must not be answered by a connection that was made when it was well.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")));
        let client = if proxy { client } else { client.no_proxy() };
        let client = client.build().map_err(|error| Hindrance::ours(phrase::of(&error)))?;
        Ok(place.get_or_init(|| client))
    }

    /// Once.
    async fn send(&self, request: Request, within: Duration) -> Result<u16, Hindrance> {
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        let mut sending = self.client(method == Method::GET)?.request(method, request.url).timeout(within);
        for (name, value) in request.headers {
            sending = sending.header(name, value);
        }
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        match sending.send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_timeout() => Err(phrase::silence(request.timeout).into()),
            Err(error) => Err(phrase::hindrance(&error)),
        }
    }
}

/// Tries again, for as long as there is time, where this machine lacks what a connection takes: nothing was sent then.
async fn patiently<T, W: Future<Output = Result<T, Hindrance>>>(
    time: Duration,
    attempt: impl Fn(Duration) -> W,
) -> Result<T, Hindrance> {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match attempt(left).await {
            Err(hindrance) if hindrance.ours && left > PAUSE => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

#[async_trait]
impl Http for Network {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        if !cfg!(feature = "tls") && request.url.starts_with("https:") {
            return Err(Hindrance::ours("this build of runbook cannot speak https"));
        }
        patiently(request.timeout, |left| self.send(request.clone(), left)).await
    }

    async fn connect(&self, host: &str, port: u16, time: Duration) -> Result<(), Hindrance> {
        patiently(time, |left| async move {
            match timeout(left, TcpStream::connect((host, port))).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(phrase::hindrance(&error)),
                Err(_) => Err(phrase::silence(time).into()),
            }
        })
        .await
    }
}
