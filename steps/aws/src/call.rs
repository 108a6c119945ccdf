//! How a call is made: in its turn, with credentials that hold, and again only where that is harmless.

use std::{
    error::Error,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use aws_sdk_ssm::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use runbook_steps::ports::fault::{Fault, FaultKind};
use tokio::time::sleep;

use crate::{
    connection::{Clients, Connection},
    fault::{fault, retry_after},
    rate::Family,
};

/// A kind of call: its name, in the words in which rights are written, and what AWS counts it with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub name: &'static str,
    pub family: Family,
}

impl Call {
    pub const fn new(name: &'static str, family: Family) -> Self {
        Self { name, family }
    }
}

/// How often a question is asked while its answer is throttled, and while it is lost.
const THROTTLED_TRIES: u32 = 10;
const LOST_TRIES: u32 = 4;

/// The longest pause between two tries, before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

impl Connection {
    /// A call that changes nothing, or that may be repeated: tried again when it is throttled or its answer is lost,
    /// with full jitter.
    pub async fn read<T, E, F>(
        &self,
        call: Call,
        ask: impl Fn(&Clients) -> F + Send + Sync,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        patiently(call, || self.once(call, 1, &ask)).await
    }

    /// The clients, asked for as patiently as everything that changes nothing: whose they are may have to be asked.
    pub async fn opened(&self, call: Call) -> Result<Arc<Clients>, Fault> {
        patiently(call, || self.clients(call.name)).await
    }

    /// A call that changes something on so many machines. It is sent once; only one that was refused for its
    /// credentials, and so not carried out, is sent again with fresh ones.
    pub async fn write<T, E, F>(
        &self,
        call: Call,
        machines: usize,
        ask: impl Fn(&Clients) -> F + Send + Sync,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        self.once(call, machines, &ask).await
    }

    async fn once<T, E, F>(
        &self,
        call: Call,
        machines: usize,
        ask: &(impl Fn(&Clients) -> F + Send + Sync),
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        let mut clients = self.clients(call.name).await?;
        let mut renewed = false;
        loop {
            let bucket = self.bucket(&clients, call.family);
            if let Some(family) = call.family.machines(call.name) {
                let machines = u32::try_from(machines).unwrap_or(u32::MAX);
                self.bucket(&clients, family).take(f64::from(machines)).await;
            }
            bucket.take(1.0).await;
            let error = match ask(&clients).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let fault = fault(call.name, &error);
            match fault.kind {
                FaultKind::Throttled => {
                    bucket.throttled(retry_after(&error));
                    return Err(fault);
                }
                FaultKind::Credentials if !renewed => {
                    tracing::info!(%fault, "the credentials are read again");
                    renewed = true;
                    clients = self.renew(call.name, &clients).await?;
                }
                FaultKind::Credentials => return Err(self.refused(fault)),
                _ => return Err(fault),
            }
        }
    }
}

/// Asks again while the answer is throttled or lost, a few times.
async fn patiently<T, F>(call: Call, ask: impl Fn() -> F + Send + Sync) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>> + Send,
    T: Send,
{
    let mut tries = 1;
    loop {
        let fault = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let most = match fault.kind {
            FaultKind::Throttled => THROTTLED_TRIES,
            FaultKind::Ambiguous | FaultKind::NotSent => LOST_TRIES,
            _ => return Err(fault),
        };
        if tries >= most {
            return Err(fault);
        }
        tracing::debug!(call = call.name, tries, %fault, "asking again");
        sleep(pause(tries)).await;
        tries += 1;
    }
}

/// The pause before the next try: any time up to a longest one that doubles.
fn pause(tries: u32) -> Duration {
    let longest = Duration::from_secs(1 << tries.min(5)).min(LONGEST_PAUSE);
    // Seeded by the operating system for each value.
    let drawn = RandomState::new().hash_one(tries);
    longest.mul_f64((drawn >> 11) as f64 / (1_u64 << 53) as f64)
}

/// The token of the next page. An empty page may carry one; an empty token, or the same one again, ends the listing.
pub(crate) fn next(last: Option<String>, next: Option<String>) -> Option<String> {
    next.filter(|token| !token.is_empty() && Some(token) != last.as_ref())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST_PAUSE, next, pause};

    #[test]
    fn pauses_differ_and_have_an_end() {
        let pauses: Vec<Duration> = (1..200).map(pause).collect();
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(pauses.windows(2).any(|two| two[0] != two[1]));
    }

    #[test]
    fn a_listing_ends_at_an_empty_token_and_at_one_that_repeats_itself() {
        let token = |text: &str| Some(text.to_owned());
        assert_eq!(next(None, token("a")), token("a"));
        assert_eq!(next(token("a"), token("a")), None);
        assert_eq!(next(token("a"), token("")), None);
        assert_eq!(next(token("a"), None), None);
    }
}
