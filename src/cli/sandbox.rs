//! `runbook sandbox`.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use runbook::world;
use runbook_sandbox::{Entry, Options, Sandbox as Server, SandboxError};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{Done, Session, exit::Exit, problem::Problem, source};

/// The folder of sandboxes in the state folder.
const SANDBOXES: &str = "sandbox";

/// Serve a simulated fleet as AWS, for the SDKs and the AWS CLI
///
/// Systems Manager, EC2, AWS Backup, STS and CloudWatch alarms of a simulated fleet, on this machine only: signatures
/// are not verified. What happens there is kept in the state folder, and goes on where it stood when the sandbox is
/// started again.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// The simulated fleet
    #[arg(long, value_name = "FILE")]
    fleet: PathBuf,
    /// Where to listen: a loopback address; port 0 is a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4700")]
    listen: SocketAddr,
    /// How many seconds of the fleet one second is; 0: its time stands still until it is moved
    #[arg(long, value_name = "N", default_value_t = 1)]
    speed: u32,
    /// Say every call on stderr
    #[arg(short, long)]
    verbose: bool,
}

impl Sandbox {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let text = fs::read_to_string(&self.fleet).map_err(|error| {
            Problem::new(Exit::Invalid, format!("the fleet cannot be read: {}", source::reason(&error)))
                .at(self.fleet.display().to_string())
        })?;
        let folder = session.state()?.join(SANDBOXES).join(world::fleet_name(&self.fleet, &text));
        let options = Options { folder: Some(folder.clone()), speed: self.speed, seed: 0 };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unforeseen(&error))?;
        runtime.block_on(async {
            // The address first: an address that is refused leaves no state behind.
            let listener = Server::listen(self.listen).await.map_err(|error| self.refused(&error))?;
            let server = Server::open(&text, &options).map_err(|error| self.refused(&error))?;
            let (tell, mut told) = mpsc::unbounded_channel();
            let server = server.watched(move |entry: &Entry| {
                // Nobody listens any more when the sandbox stops.
                let _ = tell.send(entry.clone());
            });
            introduce(session, &server, &listener, &folder).map_err(|error| unforeseen(&error))?;
            let stop = stop().map_err(|error| unforeseen(&error))?;
            let serve = Arc::new(server).serve(listener, stop);
            tokio::pin!(serve);
            loop {
                tokio::select! {
                    ended = &mut serve => {
                        return ended.map(|()| Exit::Succeeded).map_err(|error| unforeseen(&error));
                    }
                    Some(entry) = told.recv() => {
                        if self.verbose {
                            session.screen.note(&line(&entry));
                        }
                    }
                }
            }
        })
    }

    fn refused(&self, error: &SandboxError) -> Problem {
        let exit = match error {
            SandboxError::World(_) => Exit::Invalid,
            SandboxError::NotLoopback { .. } | SandboxError::Listen { .. } => Exit::Usage,
            SandboxError::InUse { .. } | SandboxError::Io { .. } => Exit::Store,
        };
        let problem = Problem::from_error(exit, error);
        match error {
            SandboxError::NotLoopback { .. } | SandboxError::Listen { .. } => {
                problem.next(format!("runbook sandbox --fleet {} --listen 127.0.0.1:0", self.fleet.display()))
            }
            SandboxError::InUse { .. } => {
                problem.next(format!("runbook --state DIR sandbox --fleet {}", self.fleet.display()))
            }
            SandboxError::World(_) | SandboxError::Io { .. } => problem,
        }
    }
}

/// Says where the sandbox is, and what must be set to reach it.
fn introduce(session: &Session, server: &Server, listener: &TcpListener, folder: &Path) -> io::Result<()> {
    let endpoint = format!("http://{}", listener.local_addr()?);
    let (fleet, _) = server.world().about();
    let account = server.first_account();
    let region = server.world().first_region();
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", format!("AKIA{account}SBOX")),
        ("AWS_SECRET_ACCESS_KEY", "sandbox".to_owned()),
        ("AWS_REGION", region.clone()),
        // boto3 and version 1 of the AWS CLI read this one.
        ("AWS_DEFAULT_REGION", region),
    ];
    if session.screen.json {
        let variables: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        session.screen.json_line(&json!({
            "endpoint": endpoint,
            "fleet": fleet,
            "account": account,
            "state": folder.display().to_string(),
            "variables": variables,
        }));
    } else {
        let exports: String =
            variables.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
        session.screen.data(&format!(
            "the fleet {fleet} is AWS at {endpoint} (account {account})\nstate: {}\n\n{exports}\nstop: Ctrl-C\n",
            folder.display()
        ));
    }
    Ok(())
}

/// Completes at SIGINT or SIGTERM.
fn stop() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// One call: number, time, what, where, how it came out.
fn line(entry: &Entry) -> String {
    let outcome = match (&entry.error, entry.answered) {
        (Some(code), true) => code.as_str(),
        (_, false) => "no answer",
        (None, true) if entry.took_effect => "done",
        (None, true) => "ok",
    };
    let machines = match entry.machines.as_slice() {
        [] => String::new(),
        [only] => format!(" {only}"),
        several => format!(" {} machines", several.len()),
    };
    format!(
        "{} {} {}:{} {}/{}{machines}: {outcome}\n",
        entry.n, entry.at, entry.service, entry.operation, entry.account, entry.region
    )
}

fn unforeseen(error: &io::Error) -> Problem {
    Problem::from_error(Exit::Bug, error)
}
