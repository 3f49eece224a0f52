//! Accounts that are logged in at the pretend issuer, and the store that holds them.

use std::fs;
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Pretend, Script, Tokens};
use serde_json::{Value, json};

use super::accounts::store;
use super::{CLOCK, Home};

/// A minute before every test, in the store's milliseconds: a token that expired then is renewed.
pub(crate) const EXPIRED: u64 = (CLOCK - 60) * 1000;

/// Longer than anything takes. Waiting ends when the thing has happened.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) pretend: Pretend,
}

impl Stage {
    /// So many accounts, the first of them active; their access tokens have expired.
    pub(crate) fn new(accounts: usize) -> Stage {
        let pretend = Pretend::start(Script::with_accounts(accounts)).expect("a server");
        let mut home = Home::new();
        home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        home.set("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
        let stage = Stage { home, pretend };
        stage.log_in_again();
        stage
    }

    /// Logs every account in anew and writes the store as it was in the beginning.
    pub(crate) fn log_in_again(&self) {
        let count = self.pretend.change(|script| script.accounts.len());
        let accounts = (0..count).map(|index| self.account(index));
        self.home.write_store(&store(accounts));
    }

    fn account(&self, index: usize) -> Value {
        let tokens = self.pretend.issue(index).expect("an account");
        let person = self.pretend.change(|script| script.accounts[index].clone());
        let label = person.email.split('@').next();
        json!({
            "refreshToken": tokens.refresh_token,
            "chatgptAccountId": person.account_id,
            "email": person.email,
            "addedAt": (CLOCK - 24 * 60 * 60) * 1000,
            "lastUsed": 0,
            "chatgptUserId": person.user_id,
            "planType": person.plan,
            "label": label,
            "accessToken": tokens.access_token,
            "expiresAt": EXPIRED,
            "idToken": tokens.id_token,
            "refreshedAt": (CLOCK - 24 * 60 * 60) * 1000,
        })
    }

    /// What the issuer gave out last for an account.
    pub(crate) fn current(&self, index: usize) -> Tokens {
        self.pretend.current(index).expect("a login that is alive")
    }

    /// The store's bytes.
    pub(crate) fn store_bytes(&self) -> Vec<u8> {
        fs::read(self.home.store_path()).expect("a store")
    }

    /// A field of an account in the store, as text.
    pub(crate) fn stored(&self, index: usize, field: &str) -> String {
        let value = &self.home.store()["accounts"][index][field];
        value.as_str().expect("a text").to_owned()
    }

    /// How often the issuer was asked for tokens.
    pub(crate) fn exchanges(&self) -> usize {
        let seen = self.pretend.seen();
        seen.iter()
            .filter(|request| request.is("POST", "/oauth/token"))
            .count()
    }

    /// Waits until the issuer has been asked for tokens so often.
    pub(crate) fn wait_for_exchange(&self, count: usize) {
        let asked = self.pretend.wait_for(LONG, |seen| {
            let exchanges = seen.iter().filter(|it| it.is("POST", "/oauth/token"));
            exchanges.count() >= count
        });
        assert!(asked, "the issuer was not asked");
    }

    /// Lets the issuer take so long for its answers; it acts on a request at once.
    pub(crate) fn slow_issuer(&self, delay: Duration) {
        self.pretend
            .change(|script| script.delays.insert("/oauth/token".into(), delay));
    }
}

/// Waits until something holds that nothing tells of.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
