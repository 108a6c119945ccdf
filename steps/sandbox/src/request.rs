//! What came in, and who sent it.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};

/// A request, body included.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its target, as sent.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Request {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The parameters behind `?`, decoded, in order.
    pub fn query(&self) -> Vec<(String, String)> {
        let text = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    /// The first parameter behind `?` with this name.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// What a signature says of its sender. The signature itself is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The access key id.
    pub access_key: String,
    /// The Region.
    pub region: String,
    /// The name that the service signs with: `ssm`, `ec2`, `monitoring`.
    pub service: String,
}

impl Scope {
    /// The credential scope of SigV4: in `Authorization`, else in the query of a presigned request.
    pub fn of(request: &Request) -> Option<Self> {
        match request.header("authorization") {
            Some(header) => {
                let credential = header
                    .strip_prefix("AWS4-HMAC-SHA256")?
                    .split(',')
                    .find_map(|part| part.trim().strip_prefix("Credential="))?;
                Self::read(credential)
            }
            None => Self::read(&request.query_value("X-Amz-Credential")?),
        }
    }

    /// `KEY/20260105/eu-central-1/ssm/aws4_request`. The key may hold slashes, the rest not.
    fn read(credential: &str) -> Option<Self> {
        let mut parts = credential.trim().rsplitn(5, '/');
        let (end, service, region) = (parts.next()?, parts.next()?, parts.next()?);
        let (_date, access_key) = (parts.next()?, parts.next()?);
        (end == "aws4_request" && !service.is_empty() && !region.is_empty()).then(|| Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// The account that the access key carries in its characters 5 to 16.
    pub fn account(&self) -> Option<&str> {
        let digits = self.access_key.get(4..16)?;
        let known = self.access_key.starts_with("AKIA") || self.access_key.starts_with("ASIA");
        (known && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scope_and_account() {
        let scope = Scope::read("AKIA123456789012XYZQ/20260105/eu-central-1/ssm/aws4_request").unwrap();
        assert_eq!(
            (&*scope.region, &*scope.service, scope.account()),
            ("eu-central-1", "ssm", Some("123456789012"))
        );
        let plain = Scope::read("test/20260105/us-east-1/ec2/aws4_request").unwrap();
        assert_eq!(plain.account(), None);
        assert_eq!(Scope::read("test/20260105/us-east-1/ec2"), None);
    }
}
