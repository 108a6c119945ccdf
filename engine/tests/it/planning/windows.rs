//! Windows: openings, cut-offs, the days on which the clocks change.

use jiff::Timestamp;
use runbook_engine::{
    duration::Span,
    plan::{Opening, Window, WindowError},
};

fn window(cron: &str, duration: &str, cutoff: &str) -> Window {
    let span = |text| Span::parse(text).unwrap();
    Window {
        cron: cron.into(),
        duration: span(duration),
        timezone: "Europe/Berlin".into(),
        cutoff: span(cutoff),
    }
}

/// When it opens, until when something may start, and when it closes, on the wall in Berlin.
fn at(window: &Window, now: &str) -> String {
    let Opening { opens, starts_until, closes } =
        window.now_or_next(now.parse::<Timestamp>().unwrap()).expect("an opening");
    let shown =
        |moment: Timestamp| moment.in_tz("Europe/Berlin").unwrap().strftime("%a %d %b %H:%M %Z").to_string();
    format!("{}, until {}, closes {}", shown(opens), shown(starts_until), shown(closes))
}

#[test]
fn now_or_next() {
    let saturday = window("0 22 * * SAT", "6h", "2h");
    insta::assert_snapshot!(at(&saturday, "2026-11-18T12:00:00+01:00"), @"Sat 21 Nov 22:00 CET, until Sun 22 Nov 02:00 CET, closes Sun 22 Nov 04:00 CET");
    insta::assert_snapshot!(at(&saturday, "2026-11-21T22:00:00+01:00"), @"Sat 21 Nov 22:00 CET, until Sun 22 Nov 02:00 CET, closes Sun 22 Nov 04:00 CET");
    insta::assert_snapshot!(at(&saturday, "2026-11-22T01:59:59+01:00"), @"Sat 21 Nov 22:00 CET, until Sun 22 Nov 02:00 CET, closes Sun 22 Nov 04:00 CET");
    insta::assert_snapshot!(at(&saturday, "2026-11-22T02:00:00+01:00"), @"Sat 28 Nov 22:00 CET, until Sun 29 Nov 02:00 CET, closes Sun 29 Nov 04:00 CET");
}

#[test]
fn of_openings_that_overlap_the_last_counts() {
    let hourly = window("0 * * * *", "3h", "0s");
    insta::assert_snapshot!(at(&hourly, "2026-11-18T12:30:00+01:00"), @"Wed 18 Nov 12:00 CET, until Wed 18 Nov 15:00 CET, closes Wed 18 Nov 15:00 CET");
    let always = window("* * * * *", "30d", "0s");
    insta::assert_snapshot!(at(&always, "2026-11-18T12:30:30+01:00"), @"Wed 18 Nov 12:30 CET, until Fri 18 Dec 12:30 CET, closes Fri 18 Dec 12:30 CET");
}

#[test]
fn an_opening_that_the_clocks_skip_comes_later() {
    // On 29 March 2026 the clocks go from 02:00 to 03:00.
    let night = window("30 2 * * *", "1h", "0s");
    insta::assert_snapshot!(at(&night, "2026-03-28T12:00:00+01:00"), @"Sun 29 Mar 03:30 CEST, until Sun 29 Mar 04:30 CEST, closes Sun 29 Mar 04:30 CEST");
    insta::assert_snapshot!(at(&night, "2026-03-29T12:00:00+02:00"), @"Mon 30 Mar 02:30 CEST, until Mon 30 Mar 03:30 CEST, closes Mon 30 Mar 03:30 CEST");
    // A window over the night keeps its length.
    let evening = window("0 22 * * SAT", "6h", "2h");
    insta::assert_snapshot!(at(&evening, "2026-03-28T12:00:00+01:00"), @"Sat 28 Mar 22:00 CET, until Sun 29 Mar 03:00 CEST, closes Sun 29 Mar 05:00 CEST");
}

#[test]
fn an_opening_in_the_hour_that_comes_twice_opens_once() {
    // On 25 October 2026 the clocks go from 03:00 back to 02:00.
    let night = window("30 2 * * *", "30m", "0s");
    insta::assert_snapshot!(at(&night, "2026-10-24T12:00:00+02:00"), @"Sun 25 Oct 02:30 CEST, until Sun 25 Oct 02:00 CET, closes Sun 25 Oct 02:00 CET");
    insta::assert_snapshot!(at(&night, "2026-10-25T03:00:00+02:00"), @"Mon 26 Oct 02:30 CET, until Mon 26 Oct 03:00 CET, closes Mon 26 Oct 03:00 CET");
    let evening = window("0 22 * * SAT", "6h", "2h");
    insta::assert_snapshot!(at(&evening, "2026-10-24T12:00:00+02:00"), @"Sat 24 Oct 22:00 CEST, until Sun 25 Oct 02:00 CEST, closes Sun 25 Oct 03:00 CET");
}

#[test]
fn every_hour_means_every_hour() {
    let hourly = window("0 * * * *", "5m", "0s");
    // Both hours called two in October …
    insta::assert_snapshot!(at(&hourly, "2026-10-25T01:30:00+02:00"), @"Sun 25 Oct 02:00 CEST, until Sun 25 Oct 02:05 CEST, closes Sun 25 Oct 02:05 CEST");
    insta::assert_snapshot!(at(&hourly, "2026-10-25T02:30:00+02:00"), @"Sun 25 Oct 02:00 CET, until Sun 25 Oct 02:05 CET, closes Sun 25 Oct 02:05 CET");
    insta::assert_snapshot!(at(&hourly, "2026-10-25T02:30:00+01:00"), @"Sun 25 Oct 03:00 CET, until Sun 25 Oct 03:05 CET, closes Sun 25 Oct 03:05 CET");
    // … and none in March.
    insta::assert_snapshot!(at(&hourly, "2026-03-29T01:30:00+01:00"), @"Sun 29 Mar 03:00 CEST, until Sun 29 Mar 03:05 CEST, closes Sun 29 Mar 03:05 CEST");
}

#[test]
fn openings_follow_each_other_through_the_year() {
    for cron in ["0 22 * * SAT", "30 2 * * *", "0 */6 * * *", "15 2,3 1-7 * SUN"] {
        let window = window(cron, "1h", "0s");
        let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut count = 0;
        while now < end {
            let opening = window.now_or_next(now).unwrap();
            assert!(opening.starts_until > now, "{cron}: it can still be used at {now}");
            let again = window.now_or_next(opening.opens).unwrap();
            assert_eq!(again, opening, "{cron}: it is open when it opens");
            now = opening.starts_until;
            count += 1;
        }
        assert!(count > 20, "{cron}: {count}");
    }
}

#[test]
fn the_longest_gap() {
    let gap = |cron: &str| window(cron, "1h", "0s").longest_gap().to_string();
    assert_eq!(gap("0 22 * * SAT"), "7d");
    assert_eq!(gap("0 22 * * *"), "1d");
    assert_eq!(gap("0 * * * *"), "1h");
    assert_eq!(gap("* * * * *"), "1m");
    assert_eq!(gap("0 2,22 * * *"), "20h");
    assert_eq!(gap("0 22 * * MON-FRI"), "3d");
    assert_eq!(gap("0 22 1 * *"), "31d");
    assert_eq!(gap("0 22 * * SAT#2"), "35d");
    assert_eq!(gap("0 0 29 2 *"), "1461d");
    assert_eq!(gap("0 0 1 1 *"), "366d");
}

#[test]
fn what_is_no_window() {
    let error = |window: Window| window.check().unwrap_err();
    assert_eq!(window("0 22 * * SAT", "6h", "2h").check(), Ok(()));
    assert_eq!(error(window("0 22 30 2 *", "6h", "0s")), WindowError::NeverOpens("0 22 30 2 *".into()));
    assert_eq!(error(window("0 22 * *", "6h", "0s")), WindowError::Cron("0 22 * *".into()));
    assert_eq!(error(window("0 22 * * * UTC", "6h", "0s")), WindowError::Cron("0 22 * * * UTC".into()));
    assert_eq!(error(window("0 25 * * *", "6h", "0s")), WindowError::Cron("0 25 * * *".into()));
    assert!(matches!(error(window("0 22 * * *", "2h", "2h")), WindowError::Cutoff { .. }));
    assert_eq!(error(window("0 22 * * *", "0s", "0s")), WindowError::NoDuration);
    let nowhere = Window { timezone: "Europe/Berlni".into(), ..window("0 22 * * *", "1h", "0s") };
    assert_eq!(error(nowhere), WindowError::TimeZone("Europe/Berlni".into()));
}

#[test]
fn the_end_of_time_is_no_panic() {
    let nightly = window("0 22 * * *", "6h", "2h");
    assert_eq!(nightly.now_or_next(Timestamp::MAX), None);
    assert_eq!(nightly.now_or_next(Timestamp::MIN), None);
    let wrong = Window { cutoff: Span::from_hours(9), ..nightly };
    assert_eq!(wrong.now_or_next("2026-01-01T00:00:00Z".parse().unwrap()), None);
}
