//! A home whose commands talk to the pretend issuer and backend.

use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

use codex_accounts::rehearse::{Pretend, Script};
use serde_json::{Value, json};

use super::{Home, accounts};

/// The most requests that may be made for one thing of which an account could not read something: as it was written,
/// as the maker of that or without it, and without a summary too (PROTOCOL-SWITCH, rule 2).
const MOST_FOR_ONE_REFUSAL: usize = 3;

/// The pretend servers of a test. A test fails in the end if its commands asked on and on for what was refused.
pub(crate) struct Servers(Pretend);

impl From<Pretend> for Servers {
    fn from(pretend: Pretend) -> Self {
        Self(pretend)
    }
}

impl Deref for Servers {
    type Target = Pretend;

    fn deref(&self) -> &Pretend {
        &self.0
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A test that failed already says more by that.
        if !std::thread::panicking() {
            let most = self.0.most_for_one_refusal();
            assert!(
                most <= MOST_FOR_ONE_REFUSAL,
                "{most} requests for one refusal"
            );
        }
    }
}

impl Home {
    /// Points the commands at these servers, whose time is the real one.
    pub(crate) fn use_servers(&mut self, pretend: &Pretend) {
        self.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        self.set("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
        self.unset("CODEX_ACCOUNTS_CLOCK");
    }

    /// Starts servers with this script and puts a store there in which all of its accounts are
    /// logged in.
    pub(crate) fn with_servers(&mut self, script: Script) -> Servers {
        let count = script.accounts.len();
        let pretend = Servers::from(Pretend::start(script).expect("the pretend servers start"));
        self.use_servers(&pretend);
        self.write_store(&accounts::store(
            (0..count).map(|index| logged_in(&pretend, index)),
        ));
        pretend
    }
}

/// One of the pretend accounts, as a login would have stored it.
fn logged_in(pretend: &Pretend, index: usize) -> Value {
    let tokens = pretend.issue(index).expect("a pretend account");
    let now = now_millis();
    pretend.change(|script| {
        let account = &script.accounts[index];
        json!({
            "refreshToken": tokens.refresh_token,
            "chatgptAccountId": account.account_id,
            "email": account.email,
            "addedAt": now + index as u64,
            "chatgptUserId": account.user_id,
            "planType": account.plan,
            "accessToken": tokens.access_token,
            "idToken": tokens.id_token,
            "expiresAt": now + 10 * 24 * 3_600_000,
            "refreshedAt": now,
        })
    })
}

/// The real time, in the store's milliseconds.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("after 1970").as_millis()).expect("before the end of time")
}
