//! The pretend browser: opens a page and follows where it leads, as far as this machine reaches.

use std::time::Duration;

use http::HeaderMap;

use crate::cli::exit::{Code, Error};
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;

/// How long it waits for a page.
const PATIENCE: Duration = Duration::from_secs(20);

/// As many redirects as browsers follow.
const REDIRECTS: usize = 20;

pub(super) fn follow(url: &str) -> Result<Code, Error> {
    let mut next = url.to_owned();
    for _ in 0..REDIRECTS {
        let endpoint = Endpoint::parse("--follow", &next)?;
        if !endpoint.is_local() {
            return Err(Error::new(Code::Usage, "--follow stays on this machine"));
        }
        let agent = Agent::new(&endpoint, PATIENCE);
        let answer = agent.get(&next, HeaderMap::new())?;
        let location = answer.headers().get(http::header::LOCATION);
        let Some(location) = location.and_then(|location| location.to_str().ok()) else {
            return Ok(Code::Done);
        };
        let base = url::Url::parse(&next);
        next = base
            .and_then(|base| base.join(location))
            .map_err(|_| Error::new(Code::Malformed, "the page leads nowhere"))?
            .into();
    }
    Err(Error::new(Code::Malformed, "the page leads in a circle"))
}
