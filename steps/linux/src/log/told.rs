//! What a host told of a log: its clock, and lines with the times that they were written at.

use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::DateTime,
    fmt::strtime,
    tz::{Offset, TimeZone},
};

/// How far the last line of a file may be from its last write, for the difference to tell the zone of its times.
const PROMPT: i64 = 60;

/// Offsets from UTC are whole quarters of an hour.
const QUARTER: i64 = 15 * 60;

/// An answer of the script.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// What the host's own times are in.
    zone: TimeZone,
    /// What its clock showed, in whole seconds.
    clock: Timestamp,
    /// When the file was written to last; absent: it is no file.
    written: Option<Timestamp>,
    /// Each with the text that its time stands in.
    lines: Vec<(&'a str, &'a str)>,
    /// The text of the file's last time.
    last: &'a str,
    /// How many of the lines stand behind that one.
    behind: usize,
}

impl<'a> Told<'a> {
    /// None: it cannot be understood.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.lines();
        let mut head = lines.next()?.split_whitespace();
        let offset = strtime::parse("%z", head.next()?).ok()?.offset()?;
        let seconds = |text: &str| Timestamp::from_second(text.parse().ok()?).ok();
        let mut told = Self {
            zone: TimeZone::fixed(offset),
            clock: seconds(head.next()?)?,
            written: seconds(head.next()?),
            lines: Vec::new(),
            last: "",
            behind: 0,
        };
        let mut time = "";
        for line in lines {
            // What a line holds besides is no end of it for the host: `\r`, for one.
            match line.split_at_checked(1) {
                Some(("T", text)) => time = text,
                Some(("L", text)) => told.lines.push((time, text)),
                Some(("Z", text)) => told.last = text,
                Some(("N", text)) => told.behind = text.parse().ok()?,
                _ => {}
            }
        }
        Some(told)
    }

    /// This moment by the host's clock, which was read between these two of ours. Where it cannot be known exactly, the
    /// earliest that it may be; where the clocks may be in step, they are.
    pub fn clock(&self, moment: Timestamp, sent: Timestamp, received: Timestamp) -> Timestamp {
        let earliest = self.clock.duration_since(received);
        // Its seconds are cut off.
        let latest = self.clock.duration_since(sent) + SignedDuration::from_secs(1);
        if earliest <= SignedDuration::ZERO && latest >= SignedDuration::ZERO {
            return moment;
        }
        moment.checked_add(earliest).unwrap_or(moment)
    }

    /// The lines that may have been written since this moment of the host's, oldest first.
    pub fn since(&self, since: Timestamp) -> impl Iterator<Item = &'a str> {
        let untouched = self.written.is_some_and(|written| written.as_second() < since.as_second());
        let zones = self.zones();
        // What was written last stands at the end: lines there without a time of their own may be it, whatever the time
        // before them (the last words of a program that crashed).
        let timed =
            self.lines.len() - if self.written.is_some() { self.behind.min(self.lines.len()) } else { 0 };
        let recent = move |(at, (time, _)): &(usize, &(&str, &str))| {
            let times: Vec<_> = zones.iter().filter_map(|zone| time_of(time, since, zone)).collect();
            // Times of logs are whole seconds, or cut to them.
            let old = !times.is_empty() && times.iter().all(|time| time.as_second() < since.as_second());
            !untouched && (!old || *at >= timed)
        };
        self.lines
            .iter()
            .enumerate()
            .filter(recent)
            .map(|(_, (_, line))| *line)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// What times without a zone may be in. A line is written to its file soon after it was made, so the last one tells;
    /// where it does not, the host's own time and UTC are both possible, and a line is old only if it is in both.
    fn zones(&self) -> Vec<TimeZone> {
        let told = self.written.and_then(|written| {
            let last = time_of(self.last, written, &TimeZone::UTC)?;
            let ahead = last.as_second() - written.as_second();
            let quarters = (ahead + QUARTER / 2).div_euclid(QUARTER);
            let near = (ahead - quarters * QUARTER).abs() <= PROMPT;
            near.then(|| Offset::from_seconds(i32::try_from(quarters * QUARTER).ok()?).ok())?
        });
        match told {
            Some(offset) => vec![TimeZone::fixed(offset)],
            None => vec![self.zone.clone(), TimeZone::UTC],
        }
    }
}

/// The time in such a text, which begins with it: ISO 8601, syslog's, or those of web servers, with or without a bracket.
fn time_of(text: &str, near: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim_start_matches(['[', '"', ' ']);
    let at = |length: usize| text.get(..length);
    // `2026-11-22T14:53:52.123+01:00`, `2026-11-22 14:53:52,123`, `2026/11/22 14:53:52`
    if let Some(head) = at(19) {
        let plain = head.replace('/', "-").replacen(' ', "T", 1);
        if let Ok(local) = plain.parse::<DateTime>()
            && plain.as_bytes().get(10) == Some(&b'T')
        {
            let rest = &text[19..];
            let rest = rest.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit());
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            if rest.starts_with('Z') || rest.starts_with("UTC") {
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
    // `Sun Nov 22 14:53:52.123456 2026`
    if let Some((head, rest)) = at(19).zip(text.get(19..))
        && let Some((_, year)) = rest.split_once(' ')
        && let Some(year) = year.get(..4)
        && let Ok(parsed) = strtime::parse("%Y %a %b %d %H:%M:%S", format!("{year} {head}"))
    {
        return zone.to_timestamp(parsed.to_datetime().ok()?).ok();
    }
    // `Nov  2 14:53:52`: the year that is nearest, since it says none.
    let head = at(15)?;
    let year = Zoned::new(near, zone.clone()).year();
    let near_in = |year: i16| {
        let parsed = strtime::parse("%Y %b %d %H:%M:%S", format!("{year} {head}")).ok()?;
        zone.to_timestamp(parsed.to_datetime().ok()?).ok()
    };
    [year - 1, year, year + 1]
        .into_iter()
        .filter_map(near_in)
        .min_by_key(|time| (time.as_second() - near.as_second()).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn seconds(text: &str) -> i64 {
        at(text).as_second()
    }

    /// An answer, by the host's offset, its clock, the last write and the lines with their times.
    fn answer(
        offset: &str,
        clock: &str,
        written: Option<&str>,
        lines: &[(&str, &str)],
        last: &str,
    ) -> String {
        let written = written.map_or_else(|| "-".to_owned(), |time| seconds(time).to_string());
        let mut text = format!("{offset} {} {written}\n", seconds(clock));
        for (time, line) in lines {
            text += &format!("T{time}\nL{line}\n");
        }
        text + &format!("Z{last}\n")
    }

    fn since(text: &str, since: &str) -> Vec<String> {
        Told::read(text).expect("an answer").since(at(since)).map(str::to_owned).collect()
    }

    #[test]
    fn times_of_usual_logs_are_read() {
        let (since, zone) = (at("2026-11-22T12:00:00Z"), TimeZone::fixed(Offset::constant(1)));
        for (line, time) in [
            ("2026-11-22T14:53:52.123+02:00 x", "2026-11-22T12:53:52Z"),
            ("2026-11-22T14:53:52+0200 web1 x", "2026-11-22T12:53:52Z"),
            ("2026-11-22T14:53:52Z x", "2026-11-22T14:53:52Z"),
            ("2026-11-22 14:53:52.123 UTC [7] LOG: x", "2026-11-22T14:53:52Z"),
            ("2026-11-22 14:53:52,123 ERROR x", "2026-11-22T13:53:52Z"),
            ("2026/11/22 14:53:52 [error] x", "2026-11-22T13:53:52Z"),
            ("[22/Nov/2026:14:53:52 +0000] x", "2026-11-22T14:53:52Z"),
            ("[Sun Nov 22 14:53:52.123456 2026] [core:error] x", "2026-11-22T13:53:52Z"),
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
    fn a_line_is_as_old_as_its_second_and_one_without_any_time_is_new() {
        let lines = [
            ("2026-11-22T11:59:59Z", "old"),
            ("2026-11-22T12:00:00Z", "of the same second"),
            ("", "before the first time"),
        ];
        let told = answer("+0000", "2026-11-22T12:30:00Z", None, &lines, "");
        assert_eq!(since(&told, "2026-11-22T12:00:00.9Z"), ["of the same second", "before the first time"]);
    }

    #[test]
    fn the_last_write_tells_what_times_without_a_zone_are_in() {
        // The host is at +02:00, its service logs UTC: the last line was written when it says.
        let utc = [("2026-11-22 12:01:00", "new"), ("2026-11-22 11:59:00", "old")];
        let written = Some("2026-11-22T12:20:03Z");
        let told = answer("+0200", "2026-11-22T12:30:00Z", written, &utc, "2026-11-22 12:20:00");
        assert_eq!(since(&told, "2026-11-22T12:00:00Z"), ["new"]);
        // It logs its own time.
        let own = [("2026-11-22 14:01:00", "new"), ("2026-11-22 13:59:00", "old")];
        let told = answer("+0200", "2026-11-22T12:30:00Z", written, &own, "2026-11-22 14:20:00");
        assert_eq!(since(&told, "2026-11-22T12:00:00Z"), ["new"]);
        // It logs the time of New York.
        let far = [("2026-11-22 07:01:00", "new"), ("2026-11-22 06:59:00", "old")];
        let told = answer("+0200", "2026-11-22T12:30:00Z", written, &far, "2026-11-22 07:20:00");
        assert_eq!(since(&told, "2026-11-22T12:00:00Z"), ["new"]);
        // Nothing tells: old is what is old both in the host's time and in UTC.
        let both = [
            ("2026-11-22 11:59:00", "old"),
            ("2026-11-22 12:01:00", "new in UTC"),
            ("2026-11-22 14:01:00", "new"),
        ];
        let told = answer("+0200", "2026-11-22T12:30:00Z", written, &both, "2026-11-22 12:12:00");
        assert_eq!(since(&told, "2026-11-22T12:00:00Z"), ["new in UTC", "new"]);
    }

    #[test]
    fn a_file_that_nobody_has_written_to_since_then_has_no_new_lines() {
        let told =
            answer("+0000", "2026-11-22T12:30:00Z", Some("2026-11-22T11:00:00Z"), &[("", "panic")], "");
        assert_eq!(since(&told, "2026-11-22T12:00:00Z"), [] as [String; 0]);
        assert_eq!(since(&told, "2026-11-22T10:59:00Z"), ["panic"]);
    }

    #[test]
    fn moments_are_taken_by_the_hosts_clock() {
        let moment = at("2026-11-22T12:00:00Z");
        let by = |clock: &str| {
            let text = answer("+0000", clock, None, &[], "");
            let (sent, received) = (at("2026-11-22T12:30:00.2Z"), at("2026-11-22T12:30:03.2Z"));
            Told::read(&text).expect("an answer").clock(moment, sent, received)
        };
        // In step, as far as can be known.
        for clock in ["2026-11-22T12:30:00Z", "2026-11-22T12:30:03Z"] {
            assert_eq!(by(clock), moment, "{clock}");
        }
        assert_eq!(by("2026-11-22T12:40:03Z"), at("2026-11-22T12:09:59.8Z"), "ten minutes fast");
        assert_eq!(by("2026-11-22T12:20:00Z"), at("2026-11-22T11:49:56.8Z"), "ten minutes slow");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for text in ["", "+0000\n", "+0000 soon -\n", "zone 1 -\n"] {
            assert!(Told::read(text).is_none(), "{text}");
        }
    }
}
