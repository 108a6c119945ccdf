//! Which of two versions of a package is the higher: for each family by its package manager's own rule.

use std::cmp::Ordering;

use super::Manager;

/// Which of two versions is the higher, as dpkg or rpm compares them.
pub fn compare(manager: Manager, a: &str, b: &str) -> Ordering {
    match manager {
        Manager::Apt => dpkg(a, b),
        Manager::Dnf | Manager::Dnf5 | Manager::Yum | Manager::Zypper => rpm(a, b),
    }
}

/// `epoch:version-release`, of which epoch and release may be missing.
fn parts(version: &str) -> (u64, &str, Option<&str>) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (version, release) =
        rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
    (epoch.parse().unwrap_or(0), version, release)
}

/// A release that one of them lacks does not count.
fn rpm(a: &str, b: &str) -> Ordering {
    let ((epoch_a, version_a, release_a), (epoch_b, version_b, release_b)) = (parts(a), parts(b));
    epoch_a.cmp(&epoch_b).then_with(|| segments(version_a, version_b)).then_with(|| {
        match (release_a, release_b) {
            (Some(a), Some(b)) => segments(a, b),
            _ => Ordering::Equal,
        }
    })
}

fn dpkg(a: &str, b: &str) -> Ordering {
    let ((epoch_a, version_a, release_a), (epoch_b, version_b, release_b)) = (parts(a), parts(b));
    let releases = || alternating(release_a.unwrap_or_default(), release_b.unwrap_or_default());
    epoch_a.cmp(&epoch_b).then_with(|| alternating(version_a, version_b)).then_with(releases)
}

/// dpkg's own rule: by turns a run of what is no digit and a number. `~` stands below the end, letters below all other
/// signs.
fn alternating(mut a: &str, mut b: &str) -> Ordering {
    fn rank(sign: Option<char>) -> u32 {
        match sign {
            None => 1,
            Some('~') => 0,
            Some(letter) if letter.is_ascii_alphabetic() => 1 + u32::from(letter),
            Some(other) => 257 + u32::from(other),
        }
    }
    fn cut(text: &str, of_kind: impl Fn(char) -> bool) -> (&str, &str) {
        text.split_at(text.find(|sign| !of_kind(sign)).unwrap_or(text.len()))
    }
    while !(a.is_empty() && b.is_empty()) {
        let ((signs_a, rest_a), (signs_b, rest_b)) =
            (cut(a, |sign| !sign.is_ascii_digit()), cut(b, |sign| !sign.is_ascii_digit()));
        for at in 0..signs_a.len().max(signs_b.len()) {
            let order = rank(signs_a.chars().nth(at)).cmp(&rank(signs_b.chars().nth(at)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let ((number_a, rest_a), (number_b, rest_b)) =
            (cut(rest_a, |sign| sign.is_ascii_digit()), cut(rest_b, |sign| sign.is_ascii_digit()));
        let order = numbers(number_a, number_b);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
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
        let order = if digits { numbers(run_a, run_b) } else { run_a.cmp(run_b) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

#[cfg(test)]
mod tests {
    use super::{Manager, Ordering, compare};

    fn rise(manager: Manager, rising: &[&str]) {
        for (at, low) in rising.iter().enumerate() {
            for high in &rising[at + 1..] {
                assert_eq!(compare(manager, low, high), Ordering::Less, "{low} {high}");
                assert_eq!(compare(manager, high, low), Ordering::Greater, "{high} {low}");
            }
            assert_eq!(compare(manager, low, low), Ordering::Equal);
        }
    }

    #[test]
    fn versions_stand_in_the_order_of_rpm() {
        // `rpmdev-vercmp` and rpm's own tests (rpmvercmp.at) say the same.
        let rising = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1.1",
            "1.0^git1-1",
            "1.0a-1",
            "1.0.1-1",
            "1.2-1",
            "1.10-1",
            "1:0.1-1",
        ];
        rise(Manager::Dnf, &rising);
        assert_eq!(compare(Manager::Zypper, "1.0-1", "0:1.00-1"), Ordering::Equal);
        assert_eq!(compare(Manager::Yum, "2.0", "2.0-7"), Ordering::Equal);
    }

    #[test]
    fn versions_stand_in_the_order_of_dpkg() {
        // `dpkg --compare-versions` says the same.
        let rising = [
            "1.0~rc1-1",
            "1.0~rc1-1+b1",
            "1.0-1~deb12u1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-1.1",
            "1.0-10",
            "1.0a-1",
            "1.0+git1-1",
            "1.0.1-1",
            "1.10-1",
            "1:0.1-1",
        ];
        rise(Manager::Apt, &rising);
        assert_eq!(compare(Manager::Apt, "0:1.0-01", "1.00-1"), Ordering::Equal);
        assert_eq!(compare(Manager::Apt, "1.0", "1.0-0"), Ordering::Equal);
    }
}
