//! Other people's servers, for the tests: ministack (which really runs scripts), moto, and microburst in front of them.
//!
//! They are installed once, by `install.sh`, into a virtual environment under the target folder. Each is started on a
//! free loopback port and stopped when its handle is dropped, or when the test process dies.

mod estate;
mod keys;
mod microburst;
mod ministack;
mod moto;
mod process;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub use estate::{EstateMachine, Machines, start_estate};
pub use keys::{Granted, Keys, make_users};
pub use microburst::Microburst;
pub use ministack::Ministack;
pub use moto::Moto;
use serde_json::Value;

/// The Region that the tests work in.
pub const REGION: &str = "eu-central-1";

/// What an AWS client needs in its environment to speak to a server here, and to nobody else.
pub fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    Keys::default().environment(endpoint)
}

/// Starts machines with these tags through boto3; their ids, `box-1` first.
///
/// # Panics
/// When the server refuses.
pub fn start_machines(endpoint: &str, count: usize, tags: &[(&str, &str)]) -> Vec<String> {
    let mut arguments = vec![folder().join("fleet.py").display().to_string(), count.to_string()];
    arguments.extend(tags.iter().map(|(key, value)| format!("{key}={value}")));
    let ids = python(endpoint, &Keys::default(), &arguments, "");
    let ids = ids.as_array().expect("a list of ids");
    ids.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// Runs a line of Python with `boto3` imported and prints nothing else than JSON; what it printed.
///
/// # Panics
/// When it fails.
pub fn boto3(endpoint: &str, line: &str) -> Value {
    let program = format!("import boto3, json\nprint(json.dumps({line}, default=str))");
    python(endpoint, &Keys::default(), &["-c".into(), program], "")
}

/// Runs a Python program with what is installed here, in this environment and nobody else's; what it printed, on
/// standard output and then on standard error.
///
/// # Panics
/// When it does not start.
pub fn script(path: &Path, variables: &[(&str, &str)]) -> String {
    let output = Command::new(program("python"))
        .arg(path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // It writes nothing beside the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(variables.iter().copied())
        .output()
        .expect("python starts");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn python(endpoint: &str, keys: &Keys, arguments: &[String], input: &str) -> Value {
    let mut command = Command::new(program("python"));
    command.args(arguments).envs(keys.environment(endpoint));
    keys::answered(command, input)
}

/// The folder with the programs of the virtual environment: the AWS CLI is one of them.
///
/// # Panics
/// When it cannot be installed.
pub fn programs() -> PathBuf {
    program("aws").parent().expect("a folder").to_owned()
}

/// The folder of this crate, where the scripts are.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the virtual environment, which is installed first where it is missing.
fn program(name: &str) -> PathBuf {
    let install = Command::new(folder().join("install.sh")).output().expect("install.sh starts");
    assert!(install.status.success(), "install.sh: {}", String::from_utf8_lossy(&install.stderr));
    let venv = String::from_utf8(install.stdout).expect("a path");
    Path::new(venv.trim()).join("bin").join(name)
}
