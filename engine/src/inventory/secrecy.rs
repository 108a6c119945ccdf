//! Variables that may hold a secret never come further than here: what a plan holds is read by many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// In these, the name says that it is one.
const PARTS: [&str; 12] = [
    "password",
    "passcode",
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
const WORDS: [&str; 6] = ["pass", "pwd", "pw", "psk", "auth", "creds"];

/// Whether a variable of this name may hold a secret. What is no secret and sounds like one is left out too.
pub fn may_be_secret(name: &str) -> bool {
    let apart = words_apart(name);
    let words: Vec<&str> = apart.split(|c: char| !c.is_alphanumeric()).collect();
    let name = name.to_lowercase();
    let key = words.last().is_some_and(|last| matches!(*last, "key" | "keys"))
        && !words.iter().any(|word| matches!(*word, "public" | "pub" | "host" | "authorized"));
    PARTS.iter().any(|part| name.contains(part)) || words.iter().any(|word| WORDS.contains(word)) || key
}

/// `accessKey` as `access_key`.
fn words_apart(name: &str) -> String {
    let mut apart = String::new();
    let mut low = false;
    for c in name.chars() {
        if c.is_uppercase() && low {
            apart.push('_');
        }
        low = c.is_lowercase() || c.is_numeric();
        apart.extend(c.to_lowercase());
    }
    apart
}

/// The variables without those that may hold a secret, at any depth, and the paths of these.
pub(crate) fn without_secrets(vars: BTreeMap<String, Value>) -> (BTreeMap<String, Value>, BTreeSet<String>) {
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

/// What Ansible's vault encrypted, private keys, and addresses with a password in them: their names need not say what they
/// are.
fn is_sealed(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = text.trim_start();
            text.starts_with("$ANSIBLE_VAULT;")
                || (text.starts_with("-----BEGIN") && text.contains("PRIVATE KEY"))
                || has_login(text)
        }
        Value::Object(map) => map.contains_key("__ansible_vault"),
        _ => false,
    }
}

/// `postgres://user:password@db/shop`.
fn has_login(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', '"', '\'']).next().unwrap_or_default();
        let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        login.is_some_and(|(_, password)| !password.is_empty())
    })
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
            "accessKey",
            "sshKey",
            "AWSSecretKey",
            "smtpPass",
            "wifi_psk",
            "wifiPsk",
            "passcode",
        ] {
            assert!(may_be_secret(name), "{name}");
        }
        for name in [
            "passenger_port",
            "keyboard",
            "ssh_public_key",
            "sshPublicKey",
            "tier",
            "compass",
            "compassPort",
            "author",
        ] {
            assert!(!may_be_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_left_out_at_any_depth_and_named() {
        let Value::Object(vars) = json!({
            "rack": "a1",
            "db": { "user": "shop", "password": "hunter2" },
            "smtp": { "__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3133" },
            "db_url": "postgres://shop:hunter2@db/shop",
            "home": "see https://wiki.example/@shop:8080 and postgres://shop@db:5432/shop",
            "tls": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "list": [{ "token": "x", "name": "n" }, "$ANSIBLE_VAULT;1.1;AES256\n31"],
            "require_password": true
        }) else {
            unreachable!()
        };
        let (kept, withheld) = without_secrets(vars.into_iter().collect());
        assert_eq!(
            serde_json::to_value(kept).unwrap_or_default(),
            json!({
                "rack": "a1", "db": { "user": "shop" }, "list": [{ "name": "n" }], "require_password": true,
                "home": "see https://wiki.example/@shop:8080 and postgres://shop@db:5432/shop"
            })
        );
        let withheld: Vec<_> = withheld.iter().map(String::as_str).collect();
        assert_eq!(withheld, ["db.password", "db_url", "list[]", "list[].token", "smtp", "tls"]);
    }
}
