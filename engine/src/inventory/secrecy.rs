//! Variables that may hold a secret never come further than here: what a plan holds is read by many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// In these, the name says that it is one.
const PARTS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "vault",
    "privatekey",
    "private_key",
    "private-key",
];

/// These say so as a word of their own.
const WORDS: [&str; 5] = ["pass", "pwd", "pw", "auth", "creds"];

/// Whether a variable of this name may hold a secret. What is no secret and sounds like one is left out too.
pub fn may_be_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    let key = words.last().is_some_and(|last| matches!(*last, "key" | "keys"))
        && !words.iter().any(|word| matches!(*word, "public" | "pub" | "host" | "authorized"));
    PARTS.iter().any(|part| name.contains(part)) || words.iter().any(|word| WORDS.contains(word)) || key
}

/// The variables without those that may hold a secret, at any depth, and the paths of these.
pub(super) fn without_secrets(vars: BTreeMap<String, Value>) -> (BTreeMap<String, Value>, BTreeSet<String>) {
    let mut withheld = BTreeSet::new();
    let kept = vars.into_iter().filter_map(|(name, value)| {
        let value = kept(&name, &name, value, &mut withheld)?;
        Some((name, value))
    });
    (kept.collect(), withheld)
}

fn kept(name: &str, path: &str, value: Value, withheld: &mut BTreeSet<String>) -> Option<Value> {
    if (may_be_secret(name) && !matches!(value, Value::Bool(_) | Value::Null)) || is_sealed(&value) {
        withheld.insert(path.to_owned());
        return None;
    }
    Some(match value {
        Value::Object(map) => {
            let inner = map.into_iter().filter_map(|(key, value)| {
                let value = kept(&key, &format!("{path}.{key}"), value, withheld)?;
                Some((key, value))
            });
            Value::Object(inner.collect())
        }
        Value::Array(items) => {
            let inner = items.into_iter().filter_map(|item| kept("", &format!("{path}[]"), item, withheld));
            Value::Array(inner.collect())
        }
        value => value,
    })
}

/// What Ansible's vault encrypted, and private keys: their names need not say what they are.
fn is_sealed(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = text.trim_start();
            text.starts_with("$ANSIBLE_VAULT;")
                || (text.starts_with("-----BEGIN") && text.contains("PRIVATE KEY"))
        }
        Value::Object(map) => map.contains_key("__ansible_vault"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{may_be_secret, without_secrets};

    #[test]
    fn names_of_secrets() {
        for name in [
            "ansible_password",
            "ansible_become_pass",
            "ansible_ssh_pass",
            "db_password",
            "rootpw_token",
            "API_KEY",
            "vault_smtp",
            "smtpPassword",
            "oauth-token",
            "aws.secret",
            "pw",
            "basic_auth",
        ] {
            assert!(may_be_secret(name), "{name}");
        }
        for name in ["passenger_port", "keyboard", "ssh_public_key", "tier", "compass", "http_port", "author"]
        {
            assert!(!may_be_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_left_out_at_any_depth_and_named() {
        let Value::Object(vars) = json!({
            "rack": "a1",
            "db": { "user": "shop", "password": "hunter2" },
            "smtp": { "__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3133" },
            "tls": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "list": [{ "token": "x", "name": "n" }, "$ANSIBLE_VAULT;1.1;AES256\n31"],
            "require_password": true
        }) else {
            unreachable!()
        };
        let (kept, withheld) = without_secrets(vars.into_iter().collect());
        assert_eq!(
            serde_json::to_value(kept).unwrap_or_default(),
            json!({ "rack": "a1", "db": { "user": "shop" }, "list": [{ "name": "n" }], "require_password": true })
        );
        let withheld: Vec<_> = withheld.iter().map(String::as_str).collect();
        assert_eq!(withheld, ["db.password", "list[]", "list[].token", "smtp", "tls"]);
    }
}
