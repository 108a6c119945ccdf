//! AWS Backup's paths: which operation a request asks for, and what its path names.

use hyper::Method;

/// The operations and their paths; `*` is a name. A slash at the end says nothing.
const ROUTES: [(&str, &[&str], &str); 17] = [
    ("PUT", &["backup-jobs"], "StartBackupJob"),
    ("GET", &["backup-jobs"], "ListBackupJobs"),
    ("GET", &["backup-jobs", "*"], "DescribeBackupJob"),
    ("POST", &["backup-jobs", "*"], "StopBackupJob"),
    ("GET", &["backup-vaults"], "ListBackupVaults"),
    ("GET", &["backup-vaults", "*"], "DescribeBackupVault"),
    ("GET", &["backup-vaults", "*", "recovery-points"], "ListRecoveryPointsByBackupVault"),
    ("GET", &["backup-vaults", "*", "recovery-points", "*"], "DescribeRecoveryPoint"),
    ("DELETE", &["backup-vaults", "*", "recovery-points", "*"], "DeleteRecoveryPoint"),
    (
        "GET",
        &["backup-vaults", "*", "recovery-points", "*", "restore-metadata"],
        "GetRecoveryPointRestoreMetadata",
    ),
    ("GET", &["resources", "*", "recovery-points"], "ListRecoveryPointsByResource"),
    ("PUT", &["restore-jobs"], "StartRestoreJob"),
    ("GET", &["restore-jobs"], "ListRestoreJobs"),
    ("GET", &["restore-jobs", "*"], "DescribeRestoreJob"),
    ("GET", &["tags", "*"], "ListTags"),
    ("GET", &["account-settings"], "DescribeRegionSettings"),
    ("GET", &["supported-resource-types"], "GetSupportedResourceTypes"),
];

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The operation, in AWS's words.
    pub operation: &'static str,
    /// The names in the path, decoded, in order.
    pub names: Vec<String>,
}

impl Route {
    /// By method and path. `None`: no operation that this sandbox knows.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let path: Vec<_> = path.trim_matches('/').split('/').collect();
        ROUTES.iter().find_map(|(wanted, pattern, operation)| {
            if *wanted != method.as_str() || pattern.len() != path.len() {
                return None;
            }
            let mut names = Vec::new();
            for (piece, part) in pattern.iter().zip(&path) {
                match *piece {
                    "*" => names.push(decode(part)?),
                    piece if piece == *part => {}
                    _ => return None,
                }
            }
            Some(Self { operation, names })
        })
    }
}

/// Undoes the percent encoding of a part of a path, in which `+` is a plus. `None`: it is no text, or an empty one.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::Route;

    #[test]
    fn paths_name_operations() {
        let route = |method, path: &str| Route::of(&method, path).map(|route| (route.operation, route.names));
        assert_eq!(route(Method::PUT, "/backup-jobs"), Some(("StartBackupJob", vec![])));
        assert_eq!(route(Method::GET, "/backup-jobs/"), Some(("ListBackupJobs", vec![])));
        let arn = "arn%3Aaws%3Aec2%3Aeu-central-1%3A%3Aimage%2Fami-1";
        assert_eq!(
            route(Method::GET, &format!("/backup-vaults/Default/recovery-points/{arn}/restore-metadata")),
            Some((
                "GetRecoveryPointRestoreMetadata",
                vec!["Default".into(), "arn:aws:ec2:eu-central-1::image/ami-1".into()]
            ))
        );
        assert_eq!(route(Method::DELETE, "/backup-vaults/Default"), None);
        assert_eq!(route(Method::GET, "/backup-jobs/%zz"), None);
        assert_eq!(route(Method::GET, "/nothing"), None);
    }
}
