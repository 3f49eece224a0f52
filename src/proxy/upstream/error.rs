//! Why there is no answer, or no more of it.

use thiserror::Error;

use crate::net::dial;

/// See the module.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no connection to the server.
    #[error(transparent)]
    Unreached(#[from] dial::Error),
    /// A connection that was used before was closed before anything of an answer came.
    #[error("the connection was closed")]
    Stale,
    /// The connection broke.
    #[error("{}", reason(.0))]
    Broken(#[from] hyper::Error),
    /// What is asked can't be sent.
    #[error(transparent)]
    Unsendable(#[from] http::Error),
}

/// With its causes: the last one says what it is.
fn reason(error: &hyper::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    reason
}
