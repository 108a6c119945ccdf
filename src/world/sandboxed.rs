//! A simulated world that another process serves, `runbook sandbox`: reached through the real clients, in its time.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_http::Proxied;
use runbook_steps::{
    ports::{
        Ports,
        clock::Clock,
        hindrance::Hindrance,
        process::{Process, Program, Progress},
    },
    world::{Answer, RemoteTime},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::real;
use crate::coordinator::{refused::Refused, session::Setup};

/// The variable that names it.
pub(super) const VARIABLE: &str = "RUNBOOK_SANDBOX";

/// How the name of a sandbox begins, unlike that of a simulated world that the state folder keeps.
pub(super) const PREFIX: &str = "sandbox:";

/// The variable that names where AWS's calls go, if that is not the sandbox itself: a proxy before it.
#[cfg(feature = "aws")]
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// How long the sandbox may take for an answer of its own. (Calls to AWS may be held for as long as a test likes.)
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a program of this machine is let run before the world's time goes on to the next look at it.
const BREATH: Duration = Duration::from_millis(50);

/// A sandbox.
pub struct Sandboxed {
    name: String,
    address: SocketAddr,
    time: Arc<RemoteTime>,
    ports: Ports,
    /// What the fleet's people say, once they were asked.
    said: Mutex<BTreeMap<(String, Timestamp), Vec<Answer>>>,
}

impl Sandboxed {
    /// Whether the environment names one.
    pub(super) fn is_named(setup: &Setup) -> bool {
        setup.vars.get(VARIABLE).is_some_and(|value| !value.is_empty())
    }

    /// The sandbox that the environment names, if it names one.
    ///
    /// # Errors
    /// The variable names none, or nobody answers there.
    pub(super) fn open(setup: &Setup, folder: &Path) -> Result<Option<Arc<Self>>, Refused> {
        let Some(endpoint) = setup.vars.get(VARIABLE).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let wrong = |why: String| Refused::Fleet { why };
        let address = loopback(VARIABLE, endpoint).map_err(wrong)?;
        let place: Place = get(address, "/_sandbox/clock")
            .map_err(|error| wrong(format!("no sandbox answers at {endpoint}: {error}")))?;
        #[cfg(feature = "aws")]
        let calls = match setup.vars.get(ENDPOINT).filter(|value| !value.is_empty()) {
            Some(before) => loopback(ENDPOINT, before).map_err(wrong)?,
            None => address,
        };
        let time = RemoteTime::new(place.now);
        let real = real::Around {
            clock: Arc::clone(&time) as Arc<dyn Clock>,
            http: Arc::new(Proxied::new(address.to_string(), Arc::clone(&time))),
            #[cfg(feature = "aws")]
            aws: aws(format!("http://{calls}"), &time, &place, &setup.vars),
        };
        let mut ports = real::ports(setup, folder, real)?;
        // Of a playbook only its program is waited for, through this port.
        ports.process = Arc::new(Breathing(ports.process));
        let name = format!("{PREFIX}{}", place.fleet);
        Ok(Some(Arc::new(Self { name, address, time, ports, said: Mutex::default() })))
    }

    /// What runs say that were made in it: `sandbox:` and the name of its fleet.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// What its people say to a gate that opened at this time.
    pub fn people_for(&self, gate: &str, opened: Timestamp) -> Vec<Answer> {
        let key = (gate.to_owned(), opened);
        if let Some(said) = self.said.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return said.clone();
        }
        let path = format!("/_sandbox/people?gate={}&opened={opened}", quoted(gate));
        match get::<Vec<Said>>(self.address, &path) {
            Ok(said) => {
                let said: Vec<Answer> = said.into_iter().map(Said::answer).collect();
                self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(key, said.clone());
                said
            }
            Err(error) => {
                tracing::warn!(gate, %error, "the sandbox does not say what its people do");
                Vec::new()
            }
        }
    }

    /// It does not stand before this time.
    pub fn not_before(&self, at: Timestamp) {
        self.time.not_before(at);
    }
}

/// The address that a variable names. What is sent there is sent in the clear, with whatever credentials are set.
fn loopback(variable: &str, endpoint: &str) -> Result<SocketAddr, String> {
    let address = endpoint.trim_end_matches('/').strip_prefix("http://");
    let address: SocketAddr = address
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| format!("{variable} is `{endpoint}`, and not like http://127.0.0.1:4700"))?;
    if !address.ip().is_loopback() {
        return Err(format!("{variable} is `{endpoint}`; a sandbox is on this machine only"));
    }
    Ok(address)
}

/// What a sandbox says of itself.
#[derive(Debug, Deserialize)]
struct Place {
    now: Timestamp,
    /// The fleet's name.
    fleet: String,
    /// The fleet's first account and Region.
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "there are no clients to tell it to"))]
    #[serde(default)]
    account: Option<String>,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "there are no clients to tell it to"))]
    #[serde(default)]
    region: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Said {
    at: Timestamp,
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    approve: bool,
    #[serde(default)]
    note: Option<String>,
}

impl Said {
    fn answer(self) -> Answer {
        let Self { at, user, groups, approve, note } = self;
        Answer { at, user, groups, approve, note }
    }
}

/// AWS, with the environment's credentials and Region where it has some.
#[cfg(feature = "aws")]
fn aws(endpoint: String, time: &Arc<RemoteTime>, place: &Place, vars: &super::Vars) -> runbook_aws::Aws {
    let set =
        |names: &[&str]| names.iter().any(|name| vars.get(*name).is_some_and(|value| !value.is_empty()));
    let signed_in =
        set(&["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]);
    let placed = set(&["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
    let account = place.account.as_deref().unwrap_or_default();
    let sandbox = runbook_aws::Sandbox {
        endpoint,
        time: Arc::clone(time),
        region: (!placed).then(|| place.region.clone().unwrap_or_else(|| "eu-central-1".to_owned())),
        access_key: (!signed_in).then(|| format!("AKIA{account}SBOX")),
    };
    runbook_aws::Aws::in_sandbox(sandbox, real::profile(vars))
}

/// Programs of this machine run in its own time. A look at one that runs takes a moment of that, so that the world's
/// time, which jumps from look to look, does not run away from it.
struct Breathing(Arc<dyn Process>);

#[async_trait]
impl Process for Breathing {
    async fn start(&self, program: Program) -> Result<(), Hindrance> {
        self.0.start(program).await
    }

    async fn progress(&self, token: &str) -> Result<Progress, String> {
        let mut seen = self.0.progress(token).await?;
        if seen == Progress::Running {
            let breath = tokio::task::spawn_blocking(|| std::thread::sleep(BREATH));
            breath.await.map_err(|error| error.to_string())?;
            seen = self.0.progress(token).await?;
        }
        // The file that tells the end has this machine's time.
        if let Progress::Ended(ended) = &mut seen {
            ended.ended_at = None;
        }
        Ok(seen)
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        self.0.kill(token).await
    }

    async fn forget(&self, token: &str) -> Result<(), String> {
        self.0.forget(token).await
    }
}

/// Asks the sandbox about itself. This blocks, and so the world's time stands still.
fn get<T: DeserializeOwned>(address: SocketAddr, path: &str) -> io::Result<T> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    serde_json::from_str(body).map_err(io::Error::other)
}

/// A text, as it stands in a query.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_a_query_must_not_hold_is_quoted() {
        assert_eq!(quoted("production/approve"), "production/approve");
        assert_eq!(quoted("a b&c+ü"), "a%20b%26c%2B%C3%BC");
    }
}
