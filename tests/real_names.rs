//! A login that a client and we have both, under the real names of the servers: with the real
//! opencode and the real Codex CLI, each alone with its own file, and with our commands as they are
//! used, no server moved.
//!
//! The pretend issuer ends a login whose used token is presented again. So that somebody still gets
//! new tokens at the end shows that nobody ever presented one.

use std::fs;
use std::time::Duration;

use codex_accounts::rehearse::{Pretend, Script, Tokens};
use codex_accounts::store::lock::{self, Patience};
use serde_json::{Value, json};

use super::support::Home;
use super::support::network::{self, Front};
use super::support::request::QUESTION;
use super::support::stage::wait_until;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A client of its own, that knows nothing of us.
struct Client {
    /// Its file.
    file: &'static str,
    /// What it writes there.
    text: fn(&Tokens) -> Value,
    /// Where in it the refresh token is.
    refresh: &'static str,
    /// Asks it something.
    ask: &'static str,
}

const OPENCODE: Client = Client {
    file: ".local/share/opencode/auth.json",
    text: |tokens| {
        json!({"openai": {"type": "oauth", "refresh": tokens.refresh_token,
            "access": tokens.access_token, "expires": 1, "accountId": "account-one"}})
    },
    refresh: "/openai/refresh",
    ask: "opencode run -m openai/gpt-5.5 'say who you are' </dev/null",
};

const CODEX: Client = Client {
    file: ".codex/auth.json",
    text: |tokens| {
        json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {
            "id_token": tokens.id_token, "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token, "account_id": "account-one"},
            "last_refresh": "2026-11-01T00:00:00Z"})
    },
    refresh: "/tokens/refresh_token",
    ask: "codex exec --skip-git-repo-check -m gpt-5.5 'say who you are' </dev/null",
};

/// One account that is logged in here and in a client, whose access token has expired.
struct Shared {
    home: Home,
    pretend: Pretend,
    _front: Front,
    client: Client,
}

impl Shared {
    fn new(client: Client) -> Shared {
        let mut home = Home::with_clients();
        let pretend = Pretend::start(Script::with_accounts(1)).expect("the pretend servers start");
        let front = home.use_real_names(&pretend);
        pretend.change(|script| script.access_lifetime = Duration::ZERO);
        let tokens = pretend.issue(0).expect("an account");
        home.write(client.file, (client.text)(&tokens).to_string());
        home.write_store(&json!({"version": 1, "activeIndex": 0, "accounts": [{
            "refreshToken": tokens.refresh_token, "accessToken": tokens.access_token,
            "idToken": tokens.id_token, "chatgptAccountId": "account-one",
            "chatgptUserId": "user-one", "email": "one@example.com", "addedAt": 1, "expiresAt": 1}]}));
        let shared = Shared {
            home,
            pretend,
            _front: front,
            client,
        };
        shared.let_tokens_live(HOUR);
        shared
    }

    /// Access tokens that are given out from now on live so long.
    fn let_tokens_live(&self, lifetime: Duration) {
        self.pretend
            .change(|script| script.access_lifetime = lifetime);
    }

    /// Sees to our token by force, and says how it went.
    fn refresh(&self) -> String {
        let shown = self.home.sh("codex-token-refresh --force");
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown}");
        shown.json()["outcome"].as_str().expect("a word").to_owned()
    }

    /// Lets the client work, and checks that it does.
    fn ask_client(&self) {
        let shown = self.home.sh(self.client.ask);
        assert_eq!(shown.code, 0, "{shown}");
        assert!(
            shown.stdout.contains("answered by one@example.com"),
            "{shown}"
        );
    }

    /// So often the issuer has given new tokens for old ones. It never refused to.
    fn exchanges(&self) -> usize {
        let seen = self.pretend.seen();
        let exchanges = seen.iter().filter(|it| it.is("POST", "/oauth/token"));
        exchanges
            .inspect(|it| assert_eq!(it.status, Some(200), "{:?}", it.headers))
            .count()
    }

    /// The refresh token that the client has, and ours: both the issuer's last one.
    fn assert_in_step(&self) {
        let file = fs::read(self.home.path().join(self.client.file)).expect("the client's file");
        let file: Value = serde_json::from_slice(&file).expect("JSON");
        let current = self.pretend.current(0).expect("a login that is alive");
        let ours = &self.home.store()["accounts"][0]["refreshToken"];
        // Compared as a fact: a token is not to be printed.
        assert!(*ours == current.refresh_token, "ours is not the last one");
        let theirs = file.pointer(self.client.refresh).expect("a token");
        assert!(*theirs == current.refresh_token, "theirs is not the last");
    }
}

/// Each renews for both, in turn.
fn go_on_together(client: Client) {
    let shared = Shared::new(client);

    assert_eq!(shared.refresh(), "renewed");
    shared.assert_in_step();
    shared.ask_client();
    assert_eq!(shared.exchanges(), 1, "the client needed none");

    // This one has expired when the client gets it, and has to be renewed by the client.
    shared.let_tokens_live(Duration::ZERO);
    assert_eq!(shared.refresh(), "renewed");
    shared.assert_in_step();
    shared.let_tokens_live(HOUR);
    shared.ask_client();
    assert_eq!(shared.exchanges(), 3, "the client's own");

    assert_eq!(shared.refresh(), "adopted");
    assert_eq!(shared.exchanges(), 3);
    shared.assert_in_step();

    assert_eq!(shared.refresh(), "renewed");
    shared.assert_in_step();
    shared.ask_client();
    assert_eq!(shared.exchanges(), 4);
}

#[test]
fn opencode_and_we_go_on_with_each_others_tokens() {
    network::alone(|| go_on_together(OPENCODE));
}

#[test]
fn codex_and_we_go_on_with_each_others_tokens() {
    network::alone(|| go_on_together(CODEX));
}

#[test]
fn codex_goes_on_after_a_refresh_of_ours_was_killed_before_it_had_the_token() {
    network::alone(|| {
        let shared = Shared::new(CODEX);
        let lock = shared.home.path().join(".codex/auth.lock");
        let held = lock::exclusive(&lock, Patience::USUAL, |_| ()).expect("a lock");
        let mut refresh = shared.home.std_command("codex-token-refresh");
        let mut refresh = refresh.spawn().expect("the command starts");
        wait_until("the store has the new token", || {
            let current = shared.pretend.current(0).expect("a login");
            let ours = &shared.home.store()["accounts"][0]["refreshToken"];
            shared.exchanges() == 1 && *ours == current.refresh_token
        });
        refresh.kill().expect("it runs");
        refresh.wait().expect("its end");
        drop(held);
        assert_eq!(
            shared.home.sh("codex-token-refresh").json()["outcome"],
            "kept"
        );
        shared.assert_in_step();
        shared.ask_client();
        assert_eq!(shared.exchanges(), 1, "the client needed none");
    });
}

#[test]
fn our_commands_trust_whom_the_environment_names_and_nobody_else() {
    network::alone(|| {
        let mut home = Home::new();
        home.install_browser();
        let pretend = Pretend::start(Script::with_accounts(1)).expect("the pretend servers start");
        let _front = home.use_real_names(&pretend);

        home.write("question", QUESTION);
        let ask = "curl -sS -d @question -H \"Authorization: Bearer $OPENAI_API_KEY\" \
                   $OPENAI_BASE_URL/responses";
        for (command, said) in [
            ("codex-oauth-login", r#""email":"one@example.com""#),
            ("codex-token-refresh --force", r#""outcome":"renewed""#),
            ("codex-usage-fetch", r#""usedPercent":12.5"#),
            (&format!("codex-launch -- sh -c '{ask}'"), "answered by one"),
        ] {
            let shown = home.sh(command);
            assert_eq!(shown.code, 0, "{command}: {shown}");
            assert!(shown.stdout.contains(said), "{command}: {shown}");
        }

        let asked = pretend.seen().len();
        home.unset("SSL_CERT_FILE");
        let shown = home.sh("codex-token-refresh --force");
        assert_eq!(shown.code, 69, "{shown}");
        let said = "no answer from auth.openai.com";
        assert!(shown.stderr.contains(said), "{shown}");
        let shown = home.sh(&format!("codex-launch -- sh -c '{ask}'"));
        assert!(shown.stdout.contains("upstream_unreachable"), "{shown}");
        assert_eq!(pretend.seen().len(), asked);
    });
}
