//! What only the servers can tell: whether the clock is right, and whether each account answers.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::finding::{Finding, Mend, named};
use crate::account::{Account, State};
use crate::cli::exit::Error;
use crate::cli::shell::Shell;
use crate::net::agent::Agent;
use crate::net::endpoint::Endpoint;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh;
use crate::oauth::usage::{self, Backend};

/// A clock that is off by more makes tokens look fresh that are not, or the reverse.
const TOLERANCE: Duration = Duration::from_secs(60);

const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn examine(shell: &Shell) -> Vec<Finding> {
    let servers = Endpoint::issuer().and_then(|issuer| Ok((issuer, Endpoint::upstream()?)));
    let (issuer, upstream) = match servers {
        Ok(servers) => servers,
        Err(error) => return vec![Finding::wrong("setting", error.to_string(), Mend::Nothing)],
    };
    let mut findings = vec![clock(shell, &issuer)];
    let (issuer, backend) = (Issuer::new(issuer), Backend::new(upstream));
    match accounts(shell, &issuer, &backend) {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::wrong("store", error.to_string(), Mend::Nothing)),
    }
    findings
}

fn clock(shell: &Shell, issuer: &Endpoint) -> Finding {
    let answer = Agent::new(issuer, PATIENCE).get(&issuer.at("/"), HeaderMap::new());
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let mend = Mend::Type(format!("curl -I {issuer}"));
            return Finding::wrong("issuer", error.to_string(), mend);
        }
    };
    let date = answer
        .headers()
        .get("date")
        .and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Finding::note(
            "clock",
            "the issuer does not say what time it is",
            Mend::Nothing,
        );
    };
    let ours = SystemTime::from(shell.now());
    let (off, how) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let secs = off.as_secs();
    if off <= TOLERANCE {
        return Finding::well("clock", "right to the minute");
    }
    let what = format!("it is {secs} s {how} the issuer's");
    Finding::wrong(
        "clock",
        what,
        Mend::Type("timedatectl set-ntp true".to_owned()),
    )
}

/// One request for each account that could be used.
fn accounts(shell: &Shell, issuer: &Issuer, backend: &Backend) -> Result<Vec<Finding>, Error> {
    let store = shell.accounts()?;
    let document = shell.read(store.as_ref())?;
    let can_be_asked = |account: &Account| {
        let state = account.state(None, shell.now());
        matches!(
            state,
            State::Ready | State::Limited { .. } | State::Refused(_)
        )
    };
    let asked = document.accounts.iter().enumerate();
    let asked = asked.filter(|(_, account)| can_be_asked(account));
    let findings = asked.map(|(index, account)| {
        let name = named(&document, &[index]);
        match usage::fetch(store.as_ref(), issuer, backend, account, shell.clock()) {
            Ok(_) => Finding::well("online", format!("{name} answers")),
            Err(error) => {
                let mend = mend(shell, &error);
                Finding::wrong("online", format!("{name}: {error}"), mend)
            }
        }
    });
    Ok(findings.collect())
}

fn mend(shell: &Shell, error: &usage::Error) -> Mend {
    match error {
        usage::Error::NotAccepted { .. }
        | usage::Error::Refresh(refresh::Error::LoginRequired { .. }) => {
            Mend::Type(shell.command("codex-accounts add"))
        }
        _ => Mend::Nothing,
    }
}
