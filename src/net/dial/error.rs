//! Why there is no connection.

use thiserror::Error;

/// There is no connection: nothing of a request was sent.
#[derive(Debug, Error)]
pub enum Error {
    /// It took too long.
    #[error("the connection took too long")]
    TooLong,
    /// It could not be made.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// What an error says, and its causes: the last one says what it is.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !reason.contains(&more) {
                reason.push_str(": ");
                reason.push_str(&more);
            }
            cause = error.source();
        }
        Self::Failed(reason)
    }
}
