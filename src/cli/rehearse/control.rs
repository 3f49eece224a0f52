//! Changing a rehearsal while its command runs: the options that set it out, sent to it from inside.

use std::env;
use std::time::Duration;

use clap::Parser as _;
use http::Request;
use serde_json::Value;

use super::Rehearse;
use crate::cli::exit::{Code, Error};
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;
use crate::rehearse::Controls;

/// Where the rehearsal is that a command runs in.
pub(super) const SETTING: &str = "CODEX_REHEARSAL";

/// How long it waits for the rehearsal.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the options of this command to the rehearsal that it runs in.
pub(super) fn send() -> Result<Code, Error> {
    let url = env::var(SETTING).map_err(|_| {
        Error::hinted(
            Code::Usage,
            "--change has nothing to change: this is no rehearsal",
            "it is for a command that codex-rehearse runs",
        )
    })?;
    let rehearsal = Endpoint::parse(SETTING, &url)?;
    let options: Vec<String> = env::args().collect();
    let request = Request::post(rehearsal.at(""))
        .body(Value::from(options).to_string().into_bytes())
        .map_err(|error| Error::new(Code::Io, error.to_string()))?;
    let answer = Agent::new(&rehearsal, PATIENCE).send(request)?;
    if answer.status().is_success() {
        return Ok(Code::Done);
    }
    let reason = String::from_utf8_lossy(answer.body()).into_owned();
    Err(Error::new(Code::Usage, reason))
}

/// Carries out what such a command sent.
pub(super) fn carry_out(controls: &mut Controls<'_>, options: &[u8]) -> Result<(), String> {
    let options: Vec<String> =
        serde_json::from_slice(options).map_err(|error| error.to_string())?;
    let rehearse = Rehearse::try_parse_from(options).map_err(|error| error.to_string())?;
    let now = controls.script.now();
    let killed = rehearse
        .set_out(controls.script, now)
        .map_err(|error| error.to_string())?;
    for index in killed {
        controls.kill(index);
    }
    Ok(())
}
