//! Ansible's templates in variables: `ansible-inventory` prints them as they are written (seen with ansible-core 2.19).

use runbook_engine::inventory::may_be_secret;
use serde_json::{Map, Value};

/// How deep templates may stand in what templates name.
const DEEPEST: usize = 8;

/// Whether a text is one.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A text of a host with its templates filled in, as far as they only name other variables (`{{ short }}`,
/// `{{ net.address }}`, `{{ inventory_hostname }}`). None: only Ansible can fill in all of them, or one names what may be a
/// secret.
pub(super) fn filled(text: &str, host: &str, vars: &Map<String, Value>) -> Option<String> {
    fill(text, host, vars, DEEPEST)
}

fn fill(text: &str, host: &str, vars: &Map<String, Value>, deeper: usize) -> Option<String> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        filled.push_str(before);
        filled.push_str(&named(name.trim(), host, vars, deeper.checked_sub(1)?)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

fn named(name: &str, host: &str, vars: &Map<String, Value>, deeper: usize) -> Option<String> {
    match name {
        "inventory_hostname" => return Some(host.to_owned()),
        "inventory_hostname_short" => return host.split('.').next().map(str::to_owned),
        _ => {}
    }
    let mut steps = name.split('.');
    let mut value = vars.get(steps.next()?)?;
    for step in steps {
        value = value.as_object()?.get(step)?;
    }
    if name.split('.').any(may_be_secret) {
        return None;
    }
    match value {
        Value::String(text) => fill(text, host, vars, deeper),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::filled;

    #[test]
    fn what_only_names_other_variables_is_filled_in() {
        let Value::Object(vars) = json!({
            "short": "w1", "net": { "address": "10.0.0.1", "again": "{{ net.address }}" }, "n": 5, "round": "{{ round }}",
            "db_password": "hunter2", "list": [1]
        }) else {
            unreachable!()
        };
        let filled = |text: &str| filled(text, "web1.example.com", &vars);
        assert_eq!(filled("{{ short }}.{{inventory_hostname}}").as_deref(), Some("w1.web1.example.com"));
        assert_eq!(filled("{{ net.again }}:{{ n }}").as_deref(), Some("10.0.0.1:5"));
        assert_eq!(filled("{{ inventory_hostname_short }}").as_deref(), Some("web1"));
        assert_eq!(filled("plain").as_deref(), Some("plain"));
        for text in [
            "{{ short | upper }}",
            "{{ lookup('env', 'X') }}",
            "{% if x %}a{% endif %}",
            "{{ nothing }}",
            "{{ round }}",
            "{{ db_password }}",
            "{{ list }}",
            "{{ open",
        ] {
            assert_eq!(filled(text), None, "{text}");
        }
    }
}
