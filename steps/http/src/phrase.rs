//! Why there was no answer, as one phrase that holds nothing of the request.

use std::{
    error::Error,
    fs::File,
    io::{self, ErrorKind},
    time::Duration,
};

use runbook_steps::ports::hindrance::{Hindrance, is_ours};

/// No answer came in this time.
pub(crate) fn silence(time: Duration) -> String {
    format!("nothing came within {time:?}")
}

/// The same as [`of`], and whether it lies with this machine.
pub(crate) fn hindrance(error: &(dyn Error + 'static)) -> Hindrance {
    let told = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    let system: Vec<_> = told.filter(|error| error.raw_os_error().is_some()).collect();
    // A look-up of a name that had no descriptor says only that it failed: whether one is to be had says it as well.
    let ours = match system.last() {
        Some(error) => is_ours(error),
        None => File::open("/dev/null").is_err_and(|error| is_ours(&error)),
    };
    Hindrance { why: of(error), ours }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
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
