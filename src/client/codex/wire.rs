//! Pointing Codex CLI at a relay for one run (PROTOCOL §6), by arguments that change none of its files.

use std::ffi::OsString;

use super::PROVIDER;
use super::folder::folder;
use super::sessions;
use crate::client::wiring::{Relay, Wiring};
use crate::store;

/// Points Codex CLI at a relay for one run, without touching its files.
///
/// # Errors
/// When there is no home directory.
pub(super) fn wire(arguments: &[OsString], relay: Relay<'_>) -> Result<Wiring, store::Error> {
    let recorded = folder()?.join("sessions");
    let is_of_ours = sessions::named(arguments)
        .and_then(|id| sessions::recorded_provider(&recorded, id))
        .is_some_and(|provider| provider == PROVIDER);
    Ok(if is_exec(arguments) && !is_of_ours {
        by_built_in_provider(relay)
    } else {
        by_own_provider(relay)
    })
}

/// Codex's own provider at our address, so that the session goes on without us too. The key is
/// stronger than a login of Codex's own; but only `codex exec` reads it.
fn by_built_in_provider(relay: Relay<'_>) -> Wiring {
    let address = format!("openai_base_url=\"{}\"", relay.url);
    let mut environment = vec![("CODEX_API_KEY", relay.key.to_owned())];
    // It tries a WebSocket first, and goes on by another or by HTTP where that fails or is closed;
    // that is no error that a person should see.
    if std::env::var_os(LOG).is_none() {
        environment.push((LOG, LOG_WITHOUT_WEBSOCKET.to_owned()));
    }
    Wiring {
        arguments: ["-c", "model_provider=openai", "-c", &address]
            .map(OsString::from)
            .into(),
        environment,
        borrowed: None,
    }
}

/// What Codex logs on standard error; without it, errors.
const LOG: &str = "RUST_LOG";
const LOG_WITHOUT_WEBSOCKET: &str = "error,codex_api::endpoint::responses_websocket=off";

/// A provider of its own, with the key in a variable: it asks for no login. The name `OpenAI` keeps
/// what Codex does only for OpenAI. The key has a header of its own, since a setup for good gives the
/// provider a command for the bearer, beside which Codex takes no variable for it.
fn by_own_provider(relay: Relay<'_>) -> Wiring {
    const KEY: &str = "CODEX_ACCOUNTS_KEY";
    const KEY_HEADER: &str = "x-codex-accounts-key";
    let provider = format!(
        "model_providers.{PROVIDER}={{name=\"OpenAI\",base_url=\"{}\",wire_api=\"responses\",\
         env_http_headers={{\"{KEY_HEADER}\"=\"{KEY}\"}},requires_openai_auth=false,supports_websockets={}}}",
        relay.url, relay.websocket
    );
    Wiring {
        arguments: ["-c", &format!("model_provider={PROVIDER}"), "-c", &provider]
            .map(OsString::from)
            .into(),
        environment: vec![(KEY, relay.key.to_owned())],
        borrowed: None,
    }
}

/// Whether these are arguments of `codex exec`: of the words, the first that can't be an option's
/// value, or an earlier one that says so.
pub(super) fn is_exec(arguments: &[OsString]) -> bool {
    let is_option = |argument: &OsString| argument.as_encoded_bytes().starts_with(b"-");
    let mut may_be_value = false;
    for argument in arguments {
        if argument == "exec" || argument == "e" {
            return true;
        }
        if !is_option(argument) && !may_be_value {
            return false;
        }
        may_be_value = is_option(argument);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn exec_is_told_from_what_has_a_screen() {
        for line in [
            "exec hi",
            "e",
            "-m gpt-5.5 exec",
            "--oss -c a=b e resume",
            "--search exec",
        ] {
            assert!(is_exec(&words(line)), "{line}");
        }
        for line in [
            "",
            "resume exec",
            "-m gpt-5.5",
            "resume --last",
            "hi exec",
            "--oss",
        ] {
            assert!(!is_exec(&words(line)), "{line}");
        }
    }
}
