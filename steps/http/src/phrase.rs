//! Why there was no answer, as one phrase that holds nothing of the request.

use std::{
    error::Error,
    io::{self, ErrorKind},
    time::Duration,
};

/// No answer came in this time.
pub(crate) fn silence(time: Duration) -> String {
    format!("nothing came within {time:?}")
}

/// What lies at the bottom of an error. What lies above it may name the URL.
pub(crate) fn of(error: &(dyn Error + 'static)) -> String {
    let mut bottom = error;
    let mut kind = None;
    loop {
        if let Some(error) = bottom.downcast_ref::<io::Error>() {
            kind = Some(error.kind());
        }
        match bottom.source() {
            Some(source) => bottom = source,
            None => break,
        }
    }
    match kind {
        Some(ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
            "connection closed by the other side".to_owned()
        }
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "no way to the host".to_owned(),
        Some(ErrorKind::TimedOut) => "connection timed out".to_owned(),
        Some(ErrorKind::UnexpectedEof) => "connection closed before the answer was complete".to_owned(),
        // Its own text may hold the URL.
        _ if bottom.is::<reqwest::Error>() => "the request could not be made".to_owned(),
        _ => bottom.to_string().to_lowercase(),
    }
}
