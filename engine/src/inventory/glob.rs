//! `*` and `?` in names.

/// Whether a name is one that the glob means: `*` stands for any text, `?` for one character.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the last `*` must stand for one character more.
    let mut again: Option<(usize, usize)> = None;
    while seen < name.len() {
        match glob.get(at) {
            Some('*') => {
                again = Some((at + 1, seen));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match again {
                Some((after, from)) => {
                    at = after;
                    seen = from + 1;
                    again = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs() {
        for (glob, name) in
            [("web*", "web"), ("web*", "web-12"), ("w?b", "web"), ("*-db-*", "a-db-db-1"), ("*", "")]
        {
            assert!(matches(glob, name), "{glob} {name}");
        }
        for (glob, name) in [("web*", "aweb"), ("w?b", "wb"), ("*-db", "a-db-1"), ("web", "web1"), ("", "a")]
        {
            assert!(!matches(glob, name), "{glob} {name}");
        }
    }
}
