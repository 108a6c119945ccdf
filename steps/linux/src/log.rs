//! Lines of logs.

use std::time::Duration;

use jiff::{
    Timestamp, Zoned,
    civil::DateTime,
    fmt::strtime,
    tz::{Offset, TimeZone},
};
use runbook_engine::target::Target;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    linux::{Log, LogAsked},
};

use crate::{
    Hosts,
    jobs::last,
    service,
    shell::quote,
    ssh::{Call, Rights, fault},
};

const CALL: &str = "ssh:log";
const SCRIPT: &str = include_str!("log.sh");
const PATIENCE: Duration = Duration::from_secs(120);

/// Lines of a file are sorted out by their time only here, so more of them come.
const MORE: u32 = 20;

impl Hosts {
    pub(crate) async fn logged(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault> {
        if asked.patterns.is_empty() || asked.most == 0 {
            return Ok(Vec::new());
        }
        let (unit, path, most) = match &asked.log {
            Log::Journal { unit } => {
                let unit = unit.as_deref().map(|unit| service::checked(unit, CALL)).transpose()?;
                (unit.unwrap_or_default(), "", asked.most)
            }
            Log::File { path } if path.starts_with('/') && !path.contains('\0') => {
                ("", path.as_str(), asked.most.saturating_mul(MORE))
            }
            Log::File { path } => {
                let message = format!("`{}` is not the absolute path of a file", path.escape_debug());
                return Err(fault(CALL, FaultKind::Invalid, message));
            }
        };
        let mut script = String::new();
        for (name, value) in [
            ("rb_patterns", asked.patterns.join("\n")),
            ("rb_except", asked.except.join("\n")),
            ("rb_most", most.to_string()),
            ("rb_unit", unit.to_owned()),
            ("rb_since", asked.since.as_second().to_string()),
            ("rb_path", path.to_owned()),
            ("rb_mark", asked.mark.map(|mark| mark.to_string()).unwrap_or_default()),
        ] {
            script += &format!("{name}={}\n", quote(&value));
        }
        script += SCRIPT;
        let call =
            Call { name: CALL, script: &script, rights: Rights::Root, within: PATIENCE, keep: 8 << 20 };
        let answer = self.call(host, &call).await?;
        let kind = match answer.code {
            Some(0) => {
                let (offset, lines) = answer.stdout.split_once('\n').unwrap_or_default();
                let zone = zone(offset);
                let recent = |line: &&str| {
                    let local = path.is_empty() || !is_before(line, asked.since, &zone);
                    local && !line.is_empty()
                };
                let most = usize::try_from(asked.most).unwrap_or(usize::MAX);
                return Ok(lines.lines().filter(recent).take(most).map(str::to_owned).collect());
            }
            Some(4) => FaultKind::NotFound,
            Some(5) => FaultKind::Invalid,
            None => FaultKind::Ambiguous,
            Some(_) => FaultKind::Denied,
        };
        Err(fault(CALL, kind, format!("the log of {} cannot be read: {}", host.name, last(&answer.stderr))))
    }
}

/// `+0200`, as the host says it.
fn zone(offset: &str) -> TimeZone {
    let parsed = strtime::parse("%z", offset.trim()).ok().and_then(|parsed| parsed.offset());
    TimeZone::fixed(parsed.unwrap_or(Offset::UTC))
}

/// Whether a line carries a time, and one before this second. Times of logs are whole seconds, or cut to them.
fn is_before(line: &str, since: Timestamp, zone: &TimeZone) -> bool {
    time_of(line, since, zone).is_some_and(|time| time.as_second() < since.as_second())
}

/// The time at the beginning of a line: ISO 8601, syslog's, or that of web servers, with or without a bracket.
fn time_of(line: &str, since: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let line = line.trim_start_matches(['[', '"', ' ']);
    let at = |length: usize| line.get(..length);
    // `2026-11-22T14:53:52.123+01:00`, `2026-11-22 14:53:52,123`, `2026/11/22 14:53:52`
    if let Some(head) = at(19) {
        let plain = head.replace('/', "-").replacen(' ', "T", 1);
        if let Ok(local) = plain.parse::<DateTime>()
            && plain.as_bytes().get(10) == Some(&b'T')
        {
            let rest = &line[19..];
            let rest = rest.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit());
            if rest.starts_with('Z') {
                return TimeZone::UTC.to_timestamp(local).ok();
            }
            let offset = rest.get(..6).and_then(|text| strtime::parse("%:z", text).ok());
            let offset = offset.or_else(|| rest.get(..5).and_then(|text| strtime::parse("%z", text).ok()));
            return match offset.and_then(|parsed| parsed.offset()) {
                Some(offset) => offset.to_timestamp(local).ok(),
                None => zone.to_timestamp(local).ok(),
            };
        }
    }
    // `22/Nov/2026:14:53:52 +0000`
    if let Some(head) = at(26)
        && let Ok(parsed) = strtime::parse("%d/%b/%Y:%H:%M:%S %z", head)
    {
        return parsed.to_timestamp().ok();
    }
    // `Nov  2 14:53:52`: the year that is nearest, since it says none.
    let head = at(15)?;
    let year = Zoned::new(since, zone.clone()).year();
    let near = |year: i16| {
        let parsed = strtime::parse("%Y %b %d %H:%M:%S", format!("{year} {head}")).ok()?;
        zone.to_timestamp(parsed.to_datetime().ok()?).ok()
    };
    [year - 1, year, year + 1]
        .into_iter()
        .filter_map(near)
        .min_by_key(|time| (time.as_second() - since.as_second()).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn times_of_usual_logs_are_read() {
        let (since, zone) = (at("2026-11-22T12:00:00Z"), zone("+0100\n"));
        for (line, time) in [
            ("2026-11-22T14:53:52.123+02:00 x", "2026-11-22T12:53:52Z"),
            ("2026-11-22T14:53:52+0200 web1 x", "2026-11-22T12:53:52Z"),
            ("2026-11-22T14:53:52Z x", "2026-11-22T14:53:52Z"),
            ("2026-11-22 14:53:52,123 ERROR x", "2026-11-22T13:53:52Z"),
            ("2026/11/22 14:53:52 [error] x", "2026-11-22T13:53:52Z"),
            ("[22/Nov/2026:14:53:52 +0000] x", "2026-11-22T14:53:52Z"),
            ("Nov 22 14:53:52 web1 x", "2026-11-22T13:53:52Z"),
            ("Jan  2 03:04:05 web1 x", "2027-01-02T02:04:05Z"),
        ] {
            assert_eq!(time_of(line, since, &zone), Some(at(time)), "{line}");
        }
        for line in ["", "ERROR: x", "    at Foo.bar(Foo.java:22)", "20261122 x"] {
            assert_eq!(time_of(line, since, &zone), None, "{line}");
        }
    }

    #[test]
    fn a_line_without_a_time_is_never_too_old() {
        let (since, zone) = (at("2026-11-22T12:00:00.9Z"), zone("+0000"));
        assert!(is_before("2026-11-22T11:59:59Z x", since, &zone));
        assert!(!is_before("2026-11-22T12:00:00Z x", since, &zone));
        assert!(!is_before("panic: x", since, &zone));
    }
}
