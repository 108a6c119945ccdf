//! With whose keys a server is spoken to.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{REGION, folder, program, python};

/// An access key. By default one that every server takes which does not ask who it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Keys(String, String);

impl Default for Keys {
    fn default() -> Self {
        Self("test".to_owned(), "test".to_owned())
    }
}

impl Keys {
    /// What an AWS client needs in its environment to speak to a server here with these keys, and to nobody else.
    pub fn environment(&self, endpoint: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", self.0.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.1.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }

    /// Runs the AWS CLI with these keys; its answer.
    ///
    /// # Panics
    /// When it fails.
    pub fn aws(&self, endpoint: &str, arguments: &[&str]) -> Value {
        let output = Command::new(program("aws"))
            .args(arguments)
            .args(["--output", "json"])
            .envs(self.environment(endpoint))
            .stdin(Stdio::null())
            .output()
            .expect("the AWS CLI starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// A policy as it was written, and what of it a server can understand.
#[derive(Clone, Debug)]
pub struct Granted {
    /// As it was written: the server's IAM reads it.
    pub written: Value,
    /// What the user may do.
    pub granted: Value,
}

/// Makes an IAM user for each of these; its keys.
///
/// # Panics
/// When the server refuses.
pub fn make_users(endpoint: &str, users: &BTreeMap<String, Granted>) -> BTreeMap<String, Keys> {
    let users: BTreeMap<_, _> = users
        .iter()
        .map(|(name, user)| (name, json!({ "written": user.written, "granted": user.granted })))
        .collect();
    let arguments = [folder().join("users.py").display().to_string()];
    let keys = python(endpoint, &Keys::default(), &arguments, &json!(users).to_string());
    serde_json::from_value(keys).expect("keys")
}

/// Gives a program its standard input; what it printed, as JSON.
pub(crate) fn answered(mut command: Command, input: &str) -> Value {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
