//! A page whose content is wanted: inventories that a server keeps.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, Url};

use crate::{Network, phrase};

/// An answer and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The content.
    pub body: Vec<u8>,
}

impl Network {
    /// Gets a page, through the proxy that the environment names if it names one; all of it within this time and this
    /// many bytes. Redirects are not followed.
    ///
    /// # Errors
    /// Why there is none, as one lower-case phrase without the URL's query, headers or content.
    pub async fn page(
        &self,
        url: &str,
        headers: &BTreeMap<String, String>,
        timeout: Duration,
        most: usize,
    ) -> Result<Page, String> {
        let url = Url::parse(url).map_err(|_| "the URL is none".to_owned())?;
        if !cfg!(feature = "tls") && url.scheme() == "https" {
            return Err("this build of runbook cannot speak https".to_owned());
        }
        let mut sending =
            self.client(false).map_err(|hindrance| hindrance.why)?.request(Method::GET, url).timeout(timeout);
        for (name, value) in headers {
            sending = sending.header(name, value);
        }
        let failed = |error: reqwest::Error| {
            if error.is_timeout() { phrase::silence(timeout) } else { phrase::of(&error) }
        };
        let mut answer = sending.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > most {
                return Err(format!("the answer is longer than {} MiB", most >> 20));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Page { status, body })
    }

    /// The page that one at `url` names as its next, whole or relative to it. It must be of the same server: what was
    /// sent with the first, a token, would go to the other one.
    ///
    /// # Errors
    /// Why it is not asked for, one lower-case sentence.
    pub fn following(url: &str, next: &str) -> Result<String, String> {
        let first = Url::parse(url).map_err(|_| "the URL is none".to_owned())?;
        let next =
            first.join(next).map_err(|_| "what the server names as its next page is no URL".to_owned())?;
        if first.origin() != next.origin() {
            let (first, next) = (first.origin().ascii_serialization(), next.origin().ascii_serialization());
            return Err(format!(
                "the next page of {first} is on another server, {next}: it is not asked for"
            ));
        }
        Ok(next.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::Network;

    #[test]
    fn a_next_page_is_of_the_same_server() {
        let first = "https://netbox.example/api/dcim/devices/?limit=2";
        let next = "https://netbox.example/api/dcim/devices/?limit=2&offset=2";
        assert_eq!(Network::following(first, next).as_deref(), Ok(next));
        assert_eq!(Network::following(first, "?limit=2&offset=2").as_deref(), Ok(next));
        for other in ["http://netbox.example/api/", "https://other.example/", "https://netbox.example:8443/"]
        {
            assert!(Network::following(first, other).is_err(), "{other}");
        }
    }
}
