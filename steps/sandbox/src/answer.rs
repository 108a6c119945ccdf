//! What is sent back.

use bytes::Bytes;
use hyper::{Response, StatusCode, header};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This is sent back.
    Reply(Reply),
    /// The connection is closed without an answer: it was lost.
    Drop,
}

/// A response, before the headers that all have.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// Other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A response with a body.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::Reply(Reply { status, content_type, headers: Vec::new(), body: body.into() })
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Reply(mut reply) => {
                reply.headers.push((name, value.into()));
                Self::Reply(reply)
            }
            Self::Drop => Self::Drop,
        }
    }
}

impl Reply {
    /// As hyper sends it. A header that cannot be sent is left out.
    pub fn into_response(self) -> Response<http_body_util::Full<Bytes>> {
        let mut response = Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            if let Ok(value) = header::HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
