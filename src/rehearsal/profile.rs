//! What goes wrong in rehearsed worlds: a file of draws, out of which a seed makes the faults of one world.

use jiff::{SignedDuration, Timestamp};
use runbook_engine::duration::Span;
use runbook_steps::world::{FaultRule, FleetFile, Reply, World};
use serde::{Deserialize, de::DeserializeOwned};
use serde_yaml::{Mapping, Value};
use thiserror::Error;

use super::draws::Draws;

/// The profiles that every binary has, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("none", "profile: none\ndescription: Nothing goes wrong but what the fleet says.\n"),
    ("usual", include_str!("../../runbooks/faults/usual.yaml")),
    ("rough", include_str!("../../runbooks/faults/rough.yaml")),
];

/// Why a profile is none.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// It is not YAML, or has other keys.
    #[error("the faults cannot be read: {0}")]
    Syntax(String),
    /// A draw makes no sense.
    #[error("draw {number} makes no sense: {why}")]
    Draw {
        /// From 1.
        number: usize,
        /// Why.
        why: String,
    },
}

/// What goes wrong, and how likely.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What it is like.
    pub description: Option<String>,
    draws: Vec<Draw>,
    silent: Chance,
    rejects: Chance,
    later_start: Span,
    dead: Option<Range<Span>>,
    clock_jumps: Option<Jump>,
}

/// A profile, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: String,
    #[serde(default)]
    description: Option<String>,
    /// Faults: the keys of a fleet's fault, with `chance`, and `count`, `share`, `times` and `after` as ranges.
    #[serde(default)]
    draws: Vec<Mapping>,
    /// What people do, whatever the fleet says.
    #[serde(default)]
    people: Option<Mapping>,
    /// When the world begins.
    #[serde(default)]
    start: Option<Mapping>,
    /// How long nobody notices that the runner died.
    #[serde(default)]
    dead: Option<Value>,
    /// The clock of the runner jumps.
    #[serde(default)]
    clock: Option<Mapping>,
}

/// What is written below one key of a profile.
struct Section {
    name: &'static str,
    written: Mapping,
}

impl Section {
    fn of(name: &'static str, written: Option<Mapping>, known: &[&str]) -> Result<Self, String> {
        let written = written.unwrap_or_default();
        let is_known = |key: &&Value| key.as_str().is_some_and(|key| known.contains(&key));
        match written.keys().find(|key| !is_known(key)) {
            Some(key) => {
                Err(format!("`{name}` has no key `{}`; its keys are {}", written_out(key), known.join(", ")))
            }
            None => Ok(Self { name, written }),
        }
    }

    fn get<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, String> {
        take(&mut self.written, key).map_err(|why| format!("{why} (in `{}`)", self.name))
    }

    fn must<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, String> {
        self.get(key)?.ok_or_else(|| format!("`{}` must have `{key}`", self.name))
    }
}

/// The clock of the runner jumps.
#[derive(Clone, Debug)]
struct Jump {
    chance: Chance,
    /// Forward by so much: the machine was suspended, or its clock was set.
    forward: Range<Span>,
    /// So long after the beginning.
    after: Range<Span>,
}

impl Jump {
    fn read(written: Mapping) -> Result<Self, String> {
        let mut clock = Section::of("clock", Some(written), &["chance", "forward", "after"])?;
        Ok(Self {
            chance: clock.must("chance")?,
            forward: clock.must("forward")?,
            after: clock.must("after")?,
        })
    }
}

#[derive(Clone, Debug)]
struct Draw {
    chance: Chance,
    /// How many machines; absent: whichever the rule says.
    count: Option<Range<u32>>,
    /// The same as a share of the fleet.
    share: Option<Range<Chance>>,
    times: Option<Range<u32>>,
    after: Option<Range<Span>>,
    rule: FaultRule,
}

/// From 0 to 1; written `30%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "Value")]
struct Chance(f64);

impl TryFrom<Value> for Chance {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let wrong = || format!("{} is not a share like 30%", written_out(&value));
        let percent = value.as_str().and_then(|text| text.trim().strip_suffix('%')).ok_or_else(wrong)?;
        let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(wrong()) }
    }
}

/// A value, or `[from, to]` to be drawn from.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Value", bound = "T: Measure")]
struct Range<T> {
    low: T,
    high: T,
}

/// What ranges are made of.
trait Measure: Copy + PartialOrd + DeserializeOwned {
    /// What it looks like.
    const LIKE: &str;

    fn read(value: &Value) -> Result<Self, String> {
        serde_yaml::from_value(value.clone())
            .map_err(|_| format!("{} is not {}", written_out(value), Self::LIKE))
    }
}

impl Measure for u32 {
    const LIKE: &str = "a number like 3";
}

impl Measure for Span {
    const LIKE: &str = "a duration like 90s, 15m, 2h or 14d, of 3650 days at most";
}

impl Measure for Chance {
    const LIKE: &str = "a share like 30%";
}

impl<T: Measure> TryFrom<Value> for Range<T> {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let Value::Sequence(ends) = &value else {
            let one = T::read(&value)?;
            return Ok(Self { low: one, high: one });
        };
        let [low, high] = &ends[..] else {
            return Err(format!("a range is [from, to], and this one has {} values", ends.len()));
        };
        let (low, high) = (T::read(low)?, T::read(high)?);
        if low <= high { Ok(Self { low, high }) } else { Err("a range goes from less to more".to_owned()) }
    }
}

impl Range<u32> {
    fn draw(self, draws: &mut Draws) -> u32 {
        u32::try_from(draws.between(self.low.into(), self.high.into())).unwrap_or(u32::MAX)
    }
}

impl Range<Span> {
    fn draw(self, draws: &mut Draws) -> Span {
        Span::from_secs(draws.between(self.low.as_secs(), self.high.as_secs()))
    }
}

impl Range<Chance> {
    /// In millionths.
    fn draw(self, draws: &mut Draws) -> u64 {
        let millionths = |chance: Chance| (chance.0 * 1e6) as u64;
        draws.between(millionths(self.low), millionths(self.high))
    }
}

impl Profile {
    /// The text of the shipped profile of this name.
    pub fn shipped(name: &str) -> Option<&'static str> {
        SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Its faults, each with the share of worlds that have it, as written.
    pub fn draws(&self) -> impl Iterator<Item = (String, String)> {
        self.draws.iter().map(|draw| (draw.rule.kind.to_string(), format!("{} %", draw.chance.0 * 100.0)))
    }

    /// The names of the shipped profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, ProfileError> {
        let file: File =
            serde_yaml::from_str(text).map_err(|error| ProfileError::Syntax(error.to_string()))?;
        let draws = file.draws.into_iter().enumerate().map(|(at, written)| {
            Draw::read(written).map_err(|why| ProfileError::Draw { number: at + 1, why })
        });
        let draws = draws.collect::<Result<_, _>>()?;
        let read = || -> Result<Self, String> {
            let mut people = Section::of("people", file.people, &["silent", "reject"])?;
            let mut start = Section::of("start", file.start, &["within"])?;
            let within: Option<Range<Span>> = start.get("within")?;
            if within.is_some_and(|within| within.low != within.high) {
                return Err("`within` is one duration: no world begins later than that".to_owned());
            }
            Ok(Self {
                name: file.profile,
                description: file.description,
                draws,
                silent: people.get("silent")?.unwrap_or_default(),
                rejects: people.get("reject")?.unwrap_or_default(),
                later_start: within.map(|range| range.high).unwrap_or_default(),
                dead: file.dead.map(|value| typed("dead", value)).transpose()?,
                clock_jumps: file.clock.map(Jump::read).transpose()?,
            })
        };
        read().map_err(ProfileError::Syntax)
    }

    /// Whether every machine that its draws name is in this fleet.
    ///
    /// # Errors
    /// The first draw that names one that is not.
    pub fn fits(&self, fleet: &FleetFile) -> Result<(), ProfileError> {
        if self.draws.iter().all(|draw| draw.rule.targets.is_empty()) {
            return Ok(());
        }
        // What is wrong with the fleet itself is not the profile's.
        let Ok(world) = World::of(fleet.clone(), 1) else { return Ok(()) };
        for (draw, number) in self.draws.iter().zip(1..) {
            for target in &draw.rule.targets {
                world
                    .machines_named(target)
                    .map_err(|why| ProfileError::Draw { number, why: format!("it names {why}") })?;
            }
        }
        Ok(())
    }

    /// The kinds of faults that it draws, in order.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.draws.iter().map(|draw| draw.rule.kind.to_string()).collect();
        kinds.dedup();
        kinds
    }

    /// The world of a seed: the fleet, with what goes wrong in it.
    pub(super) fn fleet(&self, fleet: &FleetFile, seed: u64) -> FleetFile {
        let mut fleet = fleet.clone();
        let mut draws = Draws::new(seed, "faults");
        let machines = fleet.machines();
        for draw in &self.draws {
            fleet.faults.extend(draw.drawn(machines, &mut draws));
        }
        if draws.happens(self.silent.0) {
            fleet.people.iter_mut().for_each(|person| person.answer = Reply::Silent);
        } else if draws.happens(self.rejects.0)
            && let Some(person) = fleet
                .people
                .iter_mut()
                .filter(|person| person.answer == Reply::Approve)
                .min_by_key(|p| p.after)
        {
            person.answer = Reply::Reject;
        }
        let later = draws.between(0, self.later_start.as_secs());
        let later = SignedDuration::from_secs(i64::try_from(later).unwrap_or(0));
        fleet.start = fleet.start.checked_add(later).unwrap_or(fleet.start);
        fleet
    }

    /// How long nobody notices that the runner died.
    pub(super) fn dead_for(&self, draws: &mut Draws) -> SignedDuration {
        let span = self.dead.map(|range| range.draw(draws)).unwrap_or_default();
        SignedDuration::from_secs(i64::try_from(span.as_secs()).unwrap_or(0))
    }

    /// When the clock of a world jumps, and by how much: after its beginning, forward.
    pub(super) fn clock_jump(&self, seed: u64) -> Option<(Span, SignedDuration)> {
        let jump = self.clock_jumps.as_ref()?;
        let mut draws = Draws::new(seed, "clock");
        if !draws.happens(jump.chance.0) {
            return None;
        }
        let (after, by) = (jump.after.draw(&mut draws), jump.forward.draw(&mut draws));
        Some((after, SignedDuration::from_secs(i64::try_from(by.as_secs()).unwrap_or(0))))
    }
}

impl Draw {
    fn read(mut written: Mapping) -> Result<Self, String> {
        let chance = take(&mut written, "chance")?.unwrap_or(Chance(1.0));
        let count = take(&mut written, "count")?;
        let share = take(&mut written, "share")?;
        let times = take(&mut written, "times")?;
        let after = take(&mut written, "after")?;
        if count.is_some() && share.is_some() {
            return Err("it has both `count` and `share`".into());
        }
        let rule: FaultRule =
            serde_yaml::from_value(Value::Mapping(written)).map_err(|error| error.to_string())?;
        let draw = Self { chance, count, share, times, after, rule };
        // Any draw shows whether the fields go with the kind.
        let drawn = draw.rule_of(1, &mut Draws::new(0, "check"));
        match drawn.misplaced_field() {
            Some(field) => Err(format!("`{field}` does not go with `{}`", drawn.kind)),
            None => Ok(draw),
        }
    }

    fn drawn(&self, machines: u64, draws: &mut Draws) -> Option<FaultRule> {
        // Whether it happens or not, the next draw is the same.
        let happens = draws.happens(self.chance.0);
        let rule = self.rule_of(machines, draws);
        (happens && rule.count != Some(0)).then_some(rule)
    }

    fn rule_of(&self, machines: u64, draws: &mut Draws) -> FaultRule {
        let mut rule = self.rule.clone();
        if let Some(count) = self.count {
            rule.count = Some(count.draw(draws));
        }
        if let Some(share) = self.share {
            // Rounded up: a share of a small fleet is somebody too.
            let many = (share.draw(draws) * machines).div_ceil(1_000_000);
            rule.count = Some(u32::try_from(many).unwrap_or(u32::MAX));
        }
        if let Some(times) = self.times {
            rule.times = Some(times.draw(draws));
        }
        if let Some(after) = self.after {
            rule.after = Some(after.draw(draws));
        }
        rule
    }
}

fn take<T: DeserializeOwned>(written: &mut Mapping, key: &str) -> Result<Option<T>, String> {
    written.remove(key).map(|value| typed(key, value)).transpose()
}

fn typed<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, String> {
    serde_yaml::from_value(value).map_err(|error| format!("`{key}`: {error}"))
}

fn written_out(value: &Value) -> String {
    serde_yaml::to_string(value).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The time of a world that begins so.
pub(super) fn after(at: Timestamp, span: Span) -> Timestamp {
    let span = SignedDuration::from_secs(i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use runbook_steps::world::FleetFile;

    use super::Profile;

    const FLEET: &str =
        "fleet: f\ngroups: [{ name: g, count: 30 }]\npeople: [{ name: a, answer: approve }]\n";

    #[test]
    fn every_shipped_profile_can_be_read_and_its_worlds_make_sense() {
        let fleet = FleetFile::read(FLEET).expect("a fleet");
        for name in Profile::names() {
            let profile = Profile::read(Profile::shipped(name).expect("a text")).expect(name);
            assert_eq!(profile.name, name);
            for seed in 0..200 {
                runbook_steps::world::World::of(profile.fleet(&fleet, seed), seed).expect("a world");
            }
        }
    }

    #[test]
    fn a_draw_happens_as_often_as_it_says_on_as_many_machines() {
        let text = "profile: p\ndraws:\n  - { kind: undeliverable, chance: 25%, share: [10%, 20%] }\n";
        let (profile, fleet) =
            (Profile::read(text).expect("a profile"), FleetFile::read(FLEET).expect("a fleet"));
        let worlds: Vec<FleetFile> = (0..1_000).map(|seed| profile.fleet(&fleet, seed)).collect();
        let struck: Vec<u32> =
            worlds.iter().flat_map(|world| &world.faults).filter_map(|rule| rule.count).collect();
        assert!((200..300).contains(&struck.len()), "{}", struck.len());
        assert!(struck.iter().all(|count| (3..=6).contains(count)), "{struck:?}");
    }

    #[test]
    fn a_share_of_nothing_strikes_nobody() {
        let text = "profile: p\ndraws:\n  - { kind: undeliverable, share: 0% }\n";
        let (profile, fleet) =
            (Profile::read(text).expect("a profile"), FleetFile::read(FLEET).expect("a fleet"));
        assert!((0..50).all(|seed| profile.fleet(&fleet, seed).faults.is_empty()));
    }

    #[test]
    fn machines_that_a_draw_names_are_in_the_fleet() {
        let fleet = FleetFile::read(FLEET).expect("a fleet");
        let fits = |target: &str| {
            let text = format!("profile: p\ndraws:\n  - {{ kind: undeliverable, targets: [{target}] }}\n");
            Profile::read(&text).expect("a profile").fits(&fleet).map_err(|error| error.to_string())
        };
        assert_eq!(fits("g/30"), Ok(()));
        assert_eq!(
            fits("nowhere/1").expect_err("refused"),
            "draw 1 makes no sense: it names `nowhere/1`, which is no machine and no group (groups: g)"
        );
        assert!(fits("g/31").expect_err("refused").contains("`g` has no such machine"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let refused = |draw: &str| {
            Profile::read(&format!("profile: p\ndraws:\n  - {draw}\n")).expect_err("refused").to_string()
        };
        assert_eq!(
            refused("{ kind: unmanaged, after: 1h }"),
            "draw 1 makes no sense: `after` does not go with `unmanaged`"
        );
        assert!(refused("{ kind: throttled, chance: 120% }").contains("is not a share like 30%"));
        assert!(refused("{ kind: throttled, times: often }").ends_with("often is not a number like 3"));
        assert!(refused("{ kind: throttled, times: [1, 2, 3] }").contains("[from, to], and this one has 3"));
        assert!(refused("{ kind: throttled, times: [6, 1] }").contains("from less to more"));
        assert!(refused("{ kind: undeliverable, share: [9%, 1%] }").contains("from less to more"));
        let dead = Profile::read("profile: p\ndraws: []\ndead: [3h, 0s]\n").expect_err("refused").to_string();
        assert!(dead.contains("from less to more"), "{dead}");
        for (key, wrong) in [
            ("dead: 1000000h", "1000000h"),
            ("clock: { chance: 1%, forward: 3 hours, after: 1m }", "3 hours"),
        ] {
            let said = Profile::read(&format!("profile: p\n{key}\n")).expect_err("refused").to_string();
            let why = format!("{wrong} is not a duration like 90s, 15m, 2h or 14d, of 3650 days at most");
            assert!(said.contains(&why), "{said}");
        }
        for (key, why) in [
            ("start: { within: [1h, 2h] }", "`within` is one duration"),
            ("people: { silent: often }", "`silent`: often is not a share like 30% (in `people`)"),
            ("clock: { chance: 1%, after: 1m }", "`clock` must have `forward`"),
            ("people: { slient: 1% }", "`people` has no key `slient`; its keys are silent, reject"),
        ] {
            let said = Profile::read(&format!("profile: p\n{key}\n")).expect_err("refused").to_string();
            assert!(said.contains(why), "{said}");
        }
        assert!(refused("{ kind: bad_weather }").contains("unknown variant"));
        assert!(refused("{ kind: undeliverable, count: 1, share: 1% }").contains("both `count` and `share`"));
    }
}
