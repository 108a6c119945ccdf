//! A tool's own words, made fit to be told.

/// One sentence of a tool as a cause: lower case at its beginning, no full stop, no credentials of a repository.
pub(crate) fn plain(sentence: &str) -> String {
    let sentence = without_credentials(sentence.trim());
    let sentence = sentence.trim_end_matches(['.', ' ', '!', ':']);
    let mut letters = sentence.chars();
    let Some(first) = letters.next() else { return String::new() };
    // `GPG check FAILED` stays: a word in capitals is a name.
    let name = letters.clone().next().is_some_and(|second| second.is_uppercase());
    let first = if name { first.to_string() } else { first.to_lowercase().collect() };
    let mut cause: String = first.chars().chain(letters).collect();
    if let Some((cut, _)) = cause.char_indices().nth(300) {
        cause.truncate(cut);
        cause.push('…');
    }
    cause
}

/// `https://user:secret@host/` as `https://host/`.
fn without_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let authority = after.find(['/', ' ', '\'', '"']).unwrap_or(after.len());
        let start = after[..authority].rfind('@').map_or(0, |at| at + 1);
        rest = &after[start..];
    }
    out.push_str(rest);
    out
}

/// There was no room left, in the words of any tool.
pub(crate) fn no_room(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "no space left on device",
        "not enough free space",
        "don't have enough free space",
        "not enough free disk space",
        "at least",
        "insufficient space in download directory",
        "disk quota exceeded",
        "insufficient disk space",
        "needs ",
    ]
    .iter()
    .any(|words| match *words {
        // dnf: `At least 12MB more space needed on the / filesystem.`
        "at least" => line.contains("at least") && line.contains("more space needed"),
        // rpm: `installing package a-1-1.x86_64 needs 12MB more space on the / filesystem`
        "needs " => line.contains("needs ") && line.contains("on the") && line.contains("filesystem"),
        words => line.contains(words),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_begin_small_and_end_without_a_full_stop() {
        assert_eq!(plain("Unable to locate package nope."), "unable to locate package nope");
        assert_eq!(plain("GPG check FAILED"), "GPG check FAILED");
        assert_eq!(plain("  "), "");
    }

    #[test]
    fn credentials_of_a_repository_are_not_told() {
        assert_eq!(
            plain("Failed to fetch https://bob:secret@repo.example.com/a@b/x.deb  401"),
            "failed to fetch https://repo.example.com/a@b/x.deb  401"
        );
        assert_eq!(plain("http://u:p@h and ftp://x@y/z"), "http://h and ftp://y/z");
    }

    #[test]
    fn a_full_disk_is_known_by_every_tool() {
        for line in [
            "dpkg-deb: error: paste subprocess was killed: No space left on device",
            "E: You don't have enough free space in /var/cache/apt/archives/.",
            "  - At least 12MB more space needed on the /var filesystem.",
            "installing package big-1-1.noarch needs 12MB more space on the / filesystem",
            "There is not enough free disk space.",
        ] {
            assert!(no_room(line), "{line}");
        }
        assert!(!no_room("nothing provides at least one of these"));
    }
}
