//! A login with a code that the person types on another device (PROTOCOL §1): for machines without
//! a browser. The issuer makes the PKCE pair itself and hands out the verifier with the code.

use std::thread;
use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use super::issuer::{self, CLIENT_ID, Issuer};
use crate::account::limit::error_codes;
use crate::account::secret::Secret;
use crate::net::agent::Unreachable;

/// How long a person may take to type the code (PROTOCOL §1).
pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The pause between two polls where the issuer names none.
const USUAL_PAUSE: Duration = Duration::from_secs(5);

/// A shorter one is not kept, whatever the issuer says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// So many polls in a row may fail for reasons that say nothing about the login.
const HICCUPS: u32 = 3;

/// Why there is no login.
#[derive(Debug, Error)]
pub enum Error {
    /// The issuer has no device login, or not for this person.
    #[error("the issuer offers no login with a device code")]
    Off,
    /// The person took too long.
    #[error("the device code was not entered in time")]
    Expired,
    /// The issuer refused it or can't be asked.
    #[error(transparent)]
    Issuer(#[from] issuer::Error),
}

impl From<Unreachable> for Error {
    fn from(error: Unreachable) -> Self {
        Self::Issuer(error.into())
    }
}

/// What the person is to do, and what to ask meanwhile.
#[derive(Debug)]
pub struct Invitation {
    /// The page to open, on any device.
    pub url: String,
    /// The code to type there.
    pub user_code: String,
    id: Secret,
    pause: Duration,
}

/// What the issuer gives once the person has typed the code.
#[derive(Debug, Deserialize)]
pub struct Grant {
    /// To be traded for tokens.
    #[serde(rename = "authorization_code")]
    pub code: Secret,
    /// The PKCE verifier that goes with it.
    #[serde(rename = "code_verifier")]
    pub verifier: Secret,
}

impl Invitation {
    /// Asks for a code to type.
    ///
    /// # Errors
    /// When the issuer offers none, or can't be asked.
    pub fn ask(issuer: &Issuer) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Reply {
            device_auth_id: Secret,
            #[serde(alias = "usercode")]
            user_code: String,
            #[serde(default)]
            interval: Value,
        }
        let answer = issuer.agent().post_json(
            &issuer.endpoint().at("/api/accounts/deviceauth/usercode"),
            &json!({ "client_id": CLIENT_ID }),
        )?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(Error::Off);
        }
        let reply: Reply = read(&answer)?;
        Ok(Self {
            url: issuer.endpoint().at("/codex/device"),
            user_code: reply.user_code,
            id: reply.device_auth_id,
            pause: pause(&reply.interval),
        })
    }

    /// Waits until the person has typed the code.
    ///
    /// # Errors
    /// When they did not, the issuer refuses the login, or can't be asked.
    pub fn wait(&self, issuer: &Issuer, patience: Duration) -> Result<Grant, Error> {
        let started = Instant::now();
        let mut hiccups = 0;
        loop {
            match self.poll(issuer) {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => hiccups = 0,
                Err(error) if says_nothing(&error) && hiccups < HICCUPS => hiccups += 1,
                Err(error) => return Err(error),
            }
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Error::Expired);
            }
            thread::sleep(self.pause.min(left));
        }
    }

    /// Asks whether the code has been typed. `None`: not yet.
    fn poll(&self, issuer: &Issuer) -> Result<Option<Grant>, Error> {
        let answer = issuer.agent().post_json(
            &issuer.endpoint().at("/api/accounts/deviceauth/token"),
            &json!({ "device_auth_id": self.id.expose(), "user_code": self.user_code }),
        )?;
        match answer.status() {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
            _ => read(&answer).map(Some),
        }
    }
}

/// Whether an error may be over at the next poll.
fn says_nothing(error: &Error) -> bool {
    matches!(
        error,
        Error::Issuer(issuer::Error::Unreachable(_) | issuer::Error::Nonsense { .. })
    )
}

/// The pause between two polls: a number of seconds, which the issuer writes as text.
fn pause(interval: &Value) -> Duration {
    let seconds = interval
        .as_f64()
        .or_else(|| interval.as_str()?.trim().parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(USUAL_PAUSE)
        .max(SHORTEST_PAUSE)
}

fn read<T: DeserializeOwned>(answer: &Response<Vec<u8>>) -> Result<T, Error> {
    let status = answer.status();
    let nonsense = || issuer::Error::Nonsense {
        status: status.as_u16(),
    };
    if status.is_success() {
        return serde_json::from_slice(answer.body()).map_err(|_| nonsense().into());
    }
    if !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(nonsense().into());
    }
    let body = serde_json::from_slice(answer.body()).unwrap_or_default();
    let codes = error_codes(&body);
    if codes.iter().any(|code| code == "expired_token") {
        return Err(Error::Expired);
    }
    let code = codes.into_iter().next();
    Err(Error::Issuer(issuer::Error::Refused {
        code: code.unwrap_or_else(|| status.as_u16().to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_text_or_a_number_or_five_seconds() {
        for (interval, expected) in [
            (json!("1"), Duration::from_secs(1)),
            (json!(" 7 "), Duration::from_secs(7)),
            (json!(2), Duration::from_secs(2)),
            (json!(0), SHORTEST_PAUSE),
            (json!("soon"), USUAL_PAUSE),
            (json!(-1), USUAL_PAUSE),
            (Value::Null, USUAL_PAUSE),
        ] {
            assert_eq!(pause(&interval), expected, "{interval}");
        }
    }
}
