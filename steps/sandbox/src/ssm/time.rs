//! Times, as Systems Manager writes them.

use jiff::Timestamp;
use serde_json::Value;

/// Seconds since 1970, with fractions: how AWS JSON writes a timestamp.
pub(super) fn epoch(at: Timestamp) -> Value {
    let millis = at.as_millisecond();
    // Whole milliseconds of any year are exact in a double.
    Value::from(millis as f64 / 1000.0)
}

/// `2026-01-05T08:00:05.000Z`: how `GetCommandInvocation` writes one.
pub(super) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `PT7.5S`: how `GetCommandInvocation` writes a duration.
pub(super) fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond()).max(0);
    format!("PT{}.{:03}S", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{elapsed, epoch, iso};

    #[test]
    fn formats() {
        let at = Timestamp::from_millisecond(1_767_600_005_250).unwrap();
        assert_eq!(epoch(at).to_string(), "1767600005.25");
        assert_eq!(iso(at), "2026-01-05T08:00:05.250Z");
        assert_eq!(elapsed(Timestamp::from_second(1_767_600_000).unwrap(), at), "PT5.250S");
    }
}
