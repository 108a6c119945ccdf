//! Versions as rpm compares them: `epoch:version-release`.

use std::cmp::Ordering;

/// `0:1.2-3` and `(none):1.2-3` are `1.2-3`.
pub(in crate::packages) fn without_zero(version: &str) -> String {
    ["0:", "(none):"].iter().find_map(|zero| version.strip_prefix(zero)).unwrap_or(version).to_owned()
}

/// Which of two is the higher; a release that one of them lacks does not count.
pub(in crate::packages) fn compare(a: &str, b: &str) -> Ordering {
    fn parts(evr: &str) -> (u64, &str, Option<&str>) {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) =
            rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
        (epoch.parse().unwrap_or(0), version, release)
    }
    let ((epoch_a, version_a, release_a), (epoch_b, version_b, release_b)) = (parts(a), parts(b));
    epoch_a.cmp(&epoch_b).then_with(|| segments(version_a, version_b)).then_with(|| {
        match (release_a, release_b) {
            (Some(a), Some(b)) => segments(a, b),
            _ => Ordering::Equal,
        }
    })
}

/// rpm's own rule: runs of digits as numbers, runs of letters as text, a number above letters, `~` below everything,
/// `^` above the end and below everything else.
fn segments(mut a: &str, mut b: &str) -> Ordering {
    let between = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        a = a.trim_start_matches(between);
        b = b.trim_start_matches(between);
        match (a.strip_prefix('~'), b.strip_prefix('~')) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        match (a.strip_prefix('^'), b.strip_prefix('^')) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) => return if b.is_empty() { Ordering::Greater } else { Ordering::Less },
            (None, Some(_)) => return if a.is_empty() { Ordering::Less } else { Ordering::Greater },
            (None, None) => {}
        }
        let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let digits = first_a.is_ascii_digit();
        if digits != first_b.is_ascii_digit() {
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let of_kind = |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let (run_a, rest_a) = a.split_at(a.find(|c| !of_kind(c)).unwrap_or(a.len()));
        let (run_b, rest_b) = b.split_at(b.find(|c| !of_kind(c)).unwrap_or(b.len()));
        let order = if digits {
            let (run_a, run_b) = (run_a.trim_start_matches('0'), run_b.trim_start_matches('0'));
            run_a.len().cmp(&run_b.len()).then_with(|| run_a.cmp(run_b))
        } else {
            run_a.cmp(run_b)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_the_order_of_rpm() {
        // `rpmdev-vercmp` and rpm's own tests (rpmvercmp.at) say the same.
        let rising = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1.1",
            "1.0^git1-1",
            "1.0.1-1",
            "1.0a-1",
            "1.2-1",
            "1.10-1",
            "1:0.1-1",
        ];
        for (at, low) in rising.iter().enumerate() {
            for high in &rising[at + 1..] {
                let expected =
                    if (*low, *high) == ("1.0.1-1", "1.0a-1") { Ordering::Greater } else { Ordering::Less };
                assert_eq!(compare(low, high), expected, "{low} {high}");
                assert_eq!(compare(high, low), expected.reverse(), "{high} {low}");
            }
            assert_eq!(compare(low, low), Ordering::Equal);
        }
        assert_eq!(compare("1.0-1", "0:1.00-1"), Ordering::Equal);
        assert_eq!(compare("2.0", "2.0-7"), Ordering::Equal);
    }
}
