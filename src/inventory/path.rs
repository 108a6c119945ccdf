//! Paths into JSON: `primary_ip.address`, `tags.*.slug`, or JSON pointers (RFC 6901).

use serde_json::Value;

/// Every value that a path leads to; `*` stands for every item of a list or mapping. Nothing where it leads nowhere.
pub(super) fn all<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    if path.is_empty() {
        return vec![value];
    }
    if path.starts_with('/') {
        return value.pointer(path).into_iter().collect();
    }
    let mut found = vec![value];
    for step in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|value| match (value, step) {
                (Value::Array(items), "*") => items.iter().collect(),
                (Value::Object(map), "*") => map.values().collect(),
                (Value::Object(map), key) => map.get(key).into_iter().collect(),
                (Value::Array(items), index) => index
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .into_iter()
                    .collect::<Vec<_>>(),
                _ => Vec::new(),
            })
            .collect();
    }
    found
}

/// The first text that a path leads to; numbers and truth values are texts here.
pub(super) fn text(value: &Value, path: &str) -> Option<String> {
    all(value, path).into_iter().find_map(plain)
}

/// A value as text; none for nothing, lists and mappings.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{all, text};

    #[test]
    fn paths() {
        let value = json!({ "ip": { "address": "10.0.0.1/24" }, "tags": [{ "slug": "a" }, { "slug": "b" }], "a.b": 1, "n": null });
        assert_eq!(text(&value, "ip.address").as_deref(), Some("10.0.0.1/24"));
        assert_eq!(text(&value, "/ip/address").as_deref(), Some("10.0.0.1/24"));
        assert_eq!(text(&value, "/a.b").as_deref(), Some("1"));
        assert_eq!(all(&value, "tags.*.slug"), ["a", "b"]);
        assert_eq!(text(&value, "tags.1.slug").as_deref(), Some("b"));
        for nowhere in ["n", "ip.x.y", "tags.slug", "/x", "tags.9.slug"] {
            assert_eq!(text(&value, nowhere), None, "{nowhere}");
        }
    }
}
