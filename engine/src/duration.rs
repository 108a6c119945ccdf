//! Durations as the document writes them: `90s`, `15m`, `2h`, `14d`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A whole number of seconds, written `90s`, `15m`, `2h` or `14d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

impl Span {
    /// Nothing.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// So many minutes.
    pub const fn from_mins(minutes: u64) -> Self {
        Self::from_secs(minutes * 60)
    }

    /// So many hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_secs(hours * 3600)
    }

    /// The number of seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// To its two largest units, for a person: `2d 3h`, `4m 5s`, `0s`.
    pub fn in_words(self) -> String {
        let secs = self.as_secs();
        let units = [(secs / 86_400, "d"), (secs / 3600 % 24, "h"), (secs / 60 % 60, "m"), (secs % 60, "s")];
        let Some(first) = units.iter().position(|(n, _)| *n > 0) else { return "0s".to_owned() };
        let largest = units[first..].iter().take(2).filter(|(n, _)| *n > 0);
        largest.map(|(n, unit)| format!("{n}{unit}")).collect::<Vec<_>>().join(" ")
    }

    /// As a standard duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads `90s`, `15m`, `2h`, `14d`; at most 3,650 days.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = match text.as_bytes().last()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let secs = digits.parse::<u64>().ok()?.checked_mul(unit)?;
        (secs <= 3650 * 86_400).then_some(Self::from_secs(secs))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.as_secs();
        let (count, unit) = match secs {
            0 => (0, "s"),
            n if n % 86_400 == 0 => (n / 86_400, "d"),
            n if n % 3600 == 0 => (n / 3600, "h"),
            n if n % 60 == 0 => (n / 60, "m"),
            n => (n, "s"),
        };
        write!(f, "{count}{unit}")
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration like 90s, 15m, 2h or 14d")))
    }
}
