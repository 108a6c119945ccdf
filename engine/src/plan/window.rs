//! Windows: when something may start.

use cronexpr::Crontab;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::duration::Span;

/// When something may start.
///
/// `cron` is read in `timezone`, by the clock on the wall. Where the clocks skip an opening (02:30 on the last Sunday
/// of March in Berlin), it opens as much later as the clocks were moved (03:30); where they repeat an hour, it opens in
/// the first of the two. Only a `cron` whose hours begin with `*` opens in both. `duration` and `cutoff` are real time:
/// a night in which the clocks change does not make a window longer or shorter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Openings: five cron fields.
    pub cron: String,
    /// How long each stays open.
    pub duration: Span,
    /// IANA name.
    pub timezone: String,
    /// Nothing starts in the last part of it; shorter than `duration`.
    pub cutoff: Span,
}

/// One opening of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// When it opens.
    pub opens: Timestamp,
    /// Before this something may start: `closes` less the cut-off.
    pub starts_until: Timestamp,
    /// When it closes.
    pub closes: Timestamp,
}

/// Why a window is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WindowError {
    /// The cron expression cannot be read.
    #[error("`{0}` is not a cron expression of five fields")]
    Cron(String),
    /// There is no such time zone.
    #[error("there is no time zone `{0}`")]
    TimeZone(String),
    /// It never opens.
    #[error("`{0}` never opens")]
    NeverOpens(String),
    /// It stays open for no time.
    #[error("a window must stay open for some time")]
    NoDuration,
    /// Nothing could ever start.
    #[error("the cut-off of {cutoff} leaves nothing of a window of {duration}")]
    Cutoff {
        /// The cut-off.
        cutoff: Span,
        /// The duration.
        duration: Span,
    },
}

impl WindowError {
    /// The input of `gate/window` that is wrong.
    pub fn input(&self) -> &'static str {
        match self {
            Self::Cron(_) | Self::NeverOpens(_) => "cron",
            Self::TimeZone(_) => "timezone",
            Self::NoDuration => "duration",
            Self::Cutoff { .. } => "cutoff",
        }
    }
}

impl Window {
    /// Whether it is one: cron, time zone, an opening, and time before the cut-off.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), WindowError> {
        self.clock()?;
        if self.duration == Span::ZERO {
            return Err(WindowError::NoDuration);
        }
        if self.cutoff >= self.duration {
            return Err(WindowError::Cutoff { cutoff: self.cutoff, duration: self.duration });
        }
        let start = date(2024, 1, 1);
        let opens = start.and_then(|start| next(&self.clock().ok()?.wall, start));
        if opens.is_none() { Err(WindowError::NeverOpens(self.cron.clone())) } else { Ok(()) }
    }

    /// The opening in which something may start now, else the next one; absent when there is none (see
    /// [`Window::check`]). Of openings that overlap it is the one that began last.
    pub fn now_or_next(&self, now: Timestamp) -> Option<Opening> {
        let clock = self.clock().ok()?;
        let startable =
            self.duration.as_secs().checked_sub(self.cutoff.as_secs()).filter(|secs| *secs > 0)?;
        let startable = SignedDuration::from_secs(startable as i64);
        let earliest = now.checked_sub(startable).ok()?;
        // Looked for in ever longer stretches before now: a window of minutes in a cron of minutes has thousands.
        let mut back = SignedDuration::from_mins(90).min(startable);
        loop {
            let from = now.checked_sub(back).ok()?.max(earliest);
            if let Some(opens) = clock.last_between(from, now) {
                return self.opening(opens);
            }
            if from <= earliest {
                break;
            }
            back = (back * 8).min(startable);
        }
        self.opening(clock.next(now)?)
    }

    /// The longest time between two openings, by the clock on the wall.
    pub fn longest_gap(&self) -> Span {
        self.gap().unwrap_or_default()
    }

    fn opening(&self, opens: Timestamp) -> Option<Opening> {
        let after = |secs: u64| opens.checked_add(SignedDuration::from_secs(secs as i64)).ok();
        Some(Opening {
            opens,
            starts_until: after(self.duration.as_secs().checked_sub(self.cutoff.as_secs())?)?,
            closes: after(self.duration.as_secs())?,
        })
    }

    fn clock(&self) -> Result<Clock, WindowError> {
        let wrong = || WindowError::Cron(self.cron.clone());
        let fields: Vec<_> = self.cron.split_ascii_whitespace().collect();
        if fields.len() != 5 {
            return Err(wrong());
        }
        let zone = TimeZone::get(&self.timezone).map_err(|_| WindowError::TimeZone(self.timezone.clone()))?;
        let wall = cronexpr::parse_crontab(&format!("{} UTC", fields.join(" "))).map_err(|_| wrong())?;
        Ok(Clock { wall, every_hour: fields[1].starts_with('*'), zone })
    }

    /// Days and times of day are independent in a cron expression: the longest gap is either inside a day, or from the
    /// last opening of a day to the first of the next day that has any. Eight years hold every kind of year; where only
    /// weekdays count, one week is like another.
    fn gap(&self) -> Option<Span> {
        const DAY: u64 = 86_400;
        let fields: Vec<_> = self.cron.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return None };
        let start = date(2024, 1, 1)?;
        let times = openings(&format!("{minute} {hour} * * *"), start, date(2024, 1, 2)?);
        let weekly = day == "*" && month == "*" && !weekday.contains(['#', 'L', 'l']);
        let end = if weekly { date(2024, 1, 8)? } else { date(2032, 1, 1)? };
        let days = openings(&format!("0 0 {day} {month} {weekday}"), start, end);
        let longest = |list: &[u64]| list.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let (first, last) = (times.first()?, times.last()?);
        let (first_day, last_day) = (days.first()?, days.last()?);
        // The gap over the end, as if the same days came again.
        let around = (end.as_second() - start.as_second()) as u64 + first_day - last_day;
        let between_days = longest(&days).max(around).max(DAY);
        Some(Span::from_secs(longest(&times).max(between_days - (last - first))))
    }
}

/// A cron expression in a time zone.
struct Clock {
    /// The expression, read as if the wall's clock were UTC.
    wall: Crontab,
    /// It opens in every hour: also in one that comes twice.
    every_hour: bool,
    zone: TimeZone,
}

impl Clock {
    /// The first opening after a moment.
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // Openings in an hour that comes twice, or that is skipped, are not in the wall's order: look from before.
        let mut wall = self.on_the_wall(after)?.checked_sub(SignedDuration::from_hours(4)).ok()?;
        let mut best: Option<Timestamp> = None;
        loop {
            wall = next(&self.wall, wall)?;
            for moment in self.moments(wall)? {
                if moment > after && best.is_none_or(|best| moment < best) {
                    best = Some(moment);
                }
            }
            // What comes hours later on the wall comes later in time too.
            if let Some(best) = best
                && wall > self.on_the_wall(best)?.checked_add(SignedDuration::from_hours(4)).ok()?
            {
                return Some(best);
            }
        }
    }

    /// The last opening in `(from, to]`.
    fn last_between(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let mut wall = self.on_the_wall(from)?.checked_sub(SignedDuration::from_hours(4)).ok()?;
        let end = self.on_the_wall(to)?.checked_add(SignedDuration::from_hours(4)).ok()?;
        let mut last: Option<Timestamp> = None;
        while let Some(next) = next(&self.wall, wall)
            && next <= end
        {
            wall = next;
            let inside =
                self.moments(wall)?.into_iter().filter(|moment| *moment > from && *moment <= to).max();
            last = last.max(inside);
        }
        last
    }

    /// What the wall shows at a moment, written as if it were UTC.
    fn on_the_wall(&self, moment: Timestamp) -> Option<Timestamp> {
        let shown = self.zone.to_datetime(moment);
        shown.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    }

    /// The moments at which the wall shows this: one, or two in an hour that comes twice.
    fn moments(&self, wall: Timestamp) -> Option<Vec<Timestamp>> {
        let shown = TimeZone::UTC.to_datetime(wall);
        let moment = self.zone.to_ambiguous_timestamp(shown);
        if self.every_hour && moment.is_ambiguous() {
            let fold = matches!(moment.offset(), jiff::tz::AmbiguousOffset::Fold { .. });
            let first = moment.earlier().ok()?;
            // In an hour that is skipped nothing opens: the hours around it do.
            return Some(if fold { vec![first, moment.later().ok()?] } else { Vec::new() });
        }
        moment.compatible().ok().map(|moment| vec![moment])
    }
}

/// The next match of an expression in UTC.
fn next(cron: &Crontab, after: Timestamp) -> Option<Timestamp> {
    // cronexpr looks four years ahead, which must not be beyond the end of its calendar.
    let last = date(9990, 1, 1)?;
    if after >= last {
        return None;
    }
    cron.find_next(cronexpr::MakeTimestamp(after)).ok().map(|zoned| zoned.timestamp())
}

fn date(year: i16, month: i8, day: i8) -> Option<Timestamp> {
    Date::new(year, month, day).ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Seconds from `start` at which an expression matches, before `end`.
fn openings(cron: &str, start: Timestamp, end: Timestamp) -> Vec<u64> {
    let Ok(cron) = cronexpr::parse_crontab(&format!("{cron} UTC")) else { return Vec::new() };
    let mut list = Vec::new();
    let mut at = start - SignedDuration::from_secs(1);
    while let Some(next) = next(&cron, at)
        && next < end
    {
        list.push((next.as_second() - start.as_second()) as u64);
        at = next;
    }
    list
}
