//! Canaries: no token of a person's gets to where it does not belong, whatever command runs and
//! whatever fails: not into arguments and environments of programs, not onto standard error, not
//! into logs, notes or files of another kind, and not into a core dump.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use codex_accounts::rehearse::{Answer, ErrorShape, Interval, Standing, Style, TokenAnswer};
use serde_json::{Value, json};

use super::support::CLOCK;
use super::support::request::QUESTION;
use super::support::shown::Shown;
use super::support::stage::Stage;

/// The commands, and whether one exists to hand a secret out.
const COMMANDS: [(&str, bool); 32] = [
    ("codex-accounts list", false),
    ("codex-accounts list --json", false),
    ("codex-accounts status", false),
    ("codex-accounts doctor", false),
    ("codex-accounts doctor --json --online", false),
    ("codex-accounts log", false),
    ("codex-accounts export", false),
    ("codex-accounts export --with-secrets", true),
    ("codex-accounts label one work", false),
    ("codex-accounts label work one", false),
    ("codex-accounts use two", false),
    ("codex-accounts disable two", false),
    ("codex-accounts enable two", false),
    ("codex-accounts clear --all", false),
    ("codex-accounts import --dry-run codex", false),
    ("codex-accounts import opencode codex", false),
    ("codex-account-pick", false),
    ("codex-account-pick --explain", false),
    ("codex-account-pick --format id", false),
    ("codex-account-pick --format access-token", true),
    ("codex-account-pick --format headers", true),
    ("codex-account-pick --format opencode", true),
    ("codex-token-encode --from-store", true),
    ("codex-token-decode <.local/share/opencode/auth.json", true),
    ("codex-session-strip <question", false),
    ("codex-ratelimit-mark one <response", false),
    ("codex-usage-fetch --all", false),
    ("codex-reset-redeem --yes one", false),
    ("codex-token-refresh --all --force", false),
    ("codex-oauth-login --device", false),
    ("codex-launch sh -c env", false),
    ("codex-accounts remove --yes two", false),
];

/// What can be wrong.
const TROUBLES: [&str; 9] = [
    "nothing",
    "the issuer fails",
    "the issuer echoes the token",
    "the login is dead",
    "the answer is lost",
    "the backend echoes the token",
    "the store is cut off",
    "the store cannot be written",
    "a login file is cut off",
];

struct Watch {
    stage: Stage,
    secrets: BTreeSet<String>,
}

impl Watch {
    fn new() -> Self {
        let stage = Stage::new(2);
        stage.pretend.change(|script| {
            script.device.pending = 0;
            script.device.interval = Interval::Number(0);
        });
        let home = &stage.home;
        home.write("question", QUESTION);
        let refresh = stage.stored(0, "refreshToken");
        let access = stage.stored(0, "accessToken");
        let entry = json!({"openai": {"type": "oauth", "refresh": refresh, "access": access,
            "expires": 1, "accountId": "account-one"}, "other": {"type": "api", "key": "CANARY-key"}});
        home.write(".local/share/opencode/auth.json", entry.to_string());
        let tokens = json!({"id_token": access, "access_token": access, "refresh_token": refresh,
            "account_id": "account-one"});
        let auth = json!({"tokens": tokens, "last_refresh": "2026-05-01T00:00:00Z"});
        home.write(".codex/auth.json", auth.to_string());
        let echo = json!({"error": {"code": refresh, "message": format!("Bearer {access}")}});
        home.write(
            "response",
            format!("HTTP/1.1 401 Unauthorized\r\n\r\n{echo}"),
        );
        let mut watch = Self {
            stage,
            secrets: BTreeSet::from(["CANARY-key".to_owned()]),
        };
        watch.learn();
        watch
    }

    /// Takes in the tokens that there are now.
    fn learn(&mut self) {
        let bytes = fs::read(self.stage.home.store_path()).unwrap_or_default();
        let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let accounts = document["accounts"].as_array().into_iter().flatten();
        for account in accounts {
            for field in ["refreshToken", "accessToken", "idToken"] {
                let token = account[field].as_str().filter(|token| token.len() > 8);
                self.secrets.extend(token.map(str::to_owned));
            }
        }
        for index in 0..2 {
            if let Some(tokens) = self.stage.pretend.current(index) {
                let tokens = [tokens.refresh_token, tokens.access_token, tokens.id_token];
                self.secrets.extend(tokens);
            }
        }
    }

    fn trouble(&self, trouble: &str) {
        let (home, stage) = (&self.stage.home, &self.stage);
        let token = stage.stored(0, "refreshToken");
        let issuer = |answer: TokenAnswer| {
            stage.pretend.change(|script| {
                for _ in 0..20 {
                    script.token_answers.push_back(answer.clone());
                }
            });
        };
        let text = [("content-type", "application/json")];
        match trouble {
            "the issuer fails" => issuer(TokenAnswer::Refuse(Style::Error500.into())),
            "the issuer echoes the token" => {
                let answer = Answer::token_error(400, &token, ErrorShape::Text);
                issuer(TokenAnswer::Refuse(answer));
            }
            "the login is dead" => {
                let code = "refresh_token_expired";
                issuer(TokenAnswer::Refuse(Answer::token_error(
                    401,
                    code,
                    ErrorShape::Text,
                )));
            }
            "the answer is lost" => issuer(TokenAnswer::Grant(Style::Error500.into())),
            "the backend echoes the token" => stage.pretend.change(|script| {
                let echo = format!(r#"{{"error":{{"code":"{token}","message":"{token}"}}}}"#);
                for account in &mut script.accounts {
                    account.standing = Standing::Always(Answer::raw(401, &text, echo.clone()));
                }
            }),
            "the store is cut off" => {
                let bytes = stage.store_bytes();
                let end = bytes
                    .windows(4)
                    .position(|it| it == b"acce")
                    .expect("a token")
                    + 40;
                home.write(home.store_path(), &bytes[..end]);
            }
            "the store cannot be written" => {
                let lock = home.store_path().with_extension("json.lock");
                let _ = fs::remove_file(&lock);
                fs::create_dir(lock).expect("a folder in its place");
            }
            "a login file is cut off" => {
                for file in [".local/share/opencode/auth.json", ".codex/auth.json"] {
                    home.write(file, format!("{{\"openai\":{{\"refresh\":\"{token}"));
                }
            }
            _ => {}
        }
    }

    /// The secret in a text, if there is one.
    fn secret_in(&self, text: &str) -> Option<&String> {
        self.secrets.iter().find(|secret| text.contains(*secret))
    }

    fn assert_none(&self, text: &str, told: &str) {
        if let Some(secret) = self.secret_in(text) {
            let at = text.find(secret).unwrap_or(0);
            let around: String = text[..at].chars().rev().take(120).collect();
            let around: String = around.chars().rev().collect();
            panic!(
                "a secret of {} letters in {told}, behind: {around}",
                secret.len()
            );
        }
    }

    fn run(&mut self, command: &str, hands_out: bool, told: &str) {
        let clock = CLOCK;
        let shown: Shown = self.stage.home.sh(&format!(
            "CODEX_ACCOUNTS_CLOCK={clock} strace -f -qq -v -s 100000 -e trace=execve -o trace {command}"
        ));
        self.learn();
        self.assert_none(&shown.stderr, &format!("what it says: {told}"));
        if !hands_out {
            self.assert_none(&shown.stdout, &format!("what it prints: {told}"));
        }
        let trace = self.stage.home.path().join("trace");
        let trace = fs::read_to_string(trace).expect("a trace");
        self.assert_none(&trace, &format!("arguments and environment: {told}"));
        self.search(self.stage.home.path(), told);
    }

    /// Searches every file but those that are there for secrets.
    fn search(&self, folder: &Path, told: &str) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let holds_secrets = name.starts_with("openai-codex-accounts.json")
                || name.ends_with(".journal")
                || name == "auth.json"
                || name == "response";
            if path.is_dir() {
                self.search(&path, told);
            } else if !holds_secrets {
                let bytes = fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                self.assert_none(&text, &format!("'{}': {told}", path.display()));
            }
        }
    }
}

#[test]
fn no_token_gets_to_where_it_does_not_belong() {
    for trouble in TROUBLES {
        let mut watch = Watch::new();
        watch.trouble(trouble);
        for (command, hands_out) in COMMANDS {
            let told = format!("{command}, when {trouble}");
            watch.run(command, hands_out, &told);
        }
    }
}

/// A command that is ended by what usually leaves a core dump leaves none.
#[test]
fn a_command_with_tokens_leaves_no_core_dump() {
    let stage = Stage::new(1);
    stage.slow_issuer(std::time::Duration::from_secs(5));
    let shown = stage.home.sh(
        "ulimit -c unlimited; codex-token-refresh --force & pid=$!; \
         until grep -q '^State:.S' /proc/$pid/status && [ -e .local/state/codex-accounts ]; do :; done; \
         kill -ABRT $pid; wait $pid; echo $?; ls",
    );
    assert!(shown.stdout.starts_with("134"), "{shown}");
    assert!(!shown.stdout.contains("core"), "{shown}");
}
