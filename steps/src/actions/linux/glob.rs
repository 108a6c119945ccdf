//! Patterns of package names: `nginx`, `linux-image-*`, `openssl=3.0.*`.

/// Whether a package of this version is meant. A pattern without `=` means every version.
pub(super) fn names(pattern: &str, name: &str, version: &str) -> bool {
    match pattern.split_once('=') {
        Some((of_name, of_version)) => {
            matches(of_name.as_bytes(), name.as_bytes()) && matches(of_version.as_bytes(), version.as_bytes())
        }
        None => matches(pattern.as_bytes(), name.as_bytes()),
    }
}

/// Whether one of them means it.
pub(super) fn any(patterns: &[String], name: &str, version: &str) -> bool {
    patterns.iter().any(|pattern| names(pattern, name, version))
}

/// `*` stands for anything, `?` for one letter. Goes back to the last star only, so that it ends soon.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    (at, seen) = (after, from + 1);
                    star = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_pattern_means_names_and_versions() {
        for (pattern, name, version, meant) in [
            ("nginx", "nginx", "1.22", true),
            ("nginx", "nginx-core", "1.22", false),
            ("linux-image-*", "linux-image-6.1.0-18-amd64", "6.1", true),
            ("*-dev", "libssl-dev", "3", true),
            ("lib*ssl?", "libopenssl3", "3", true),
            ("openssl=3.0.*", "openssl", "3.0.15-1", true),
            ("openssl=3.0.*", "openssl", "3.1.0-1", false),
            ("*", "anything", "", true),
            ("", "anything", "", false),
            ("*a*b*c", "xaxbxbx", "", false),
        ] {
            assert_eq!(names(pattern, name, version), meant, "{pattern} {name}={version}");
        }
    }
}
