//! What a person has set up in opencode before: configuration of their own, an API key for openai,
//! and another provider whose login is renewed while it runs. All of it stays, and works.

use std::fs;
use std::path::Path;

use codex_accounts::rehearse::Script;
use serde_json::{Value, json};

use super::support::Home;
use super::support::asked::asked;
use super::support::pretend::Servers;
use super::support::wire::{Then, Turn, Wire};

const RUN: &str = "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null";

const AUTH: &str = ".local/share/opencode/auth.json";

fn setting() -> (Home, Servers) {
    let mut home = Home::with_clients();
    let pretend = home.with_servers(Script::with_accounts(1));
    (home, pretend)
}

fn assert_answered(home: &Home) {
    let shown = home.sh(RUN);
    assert_eq!(shown.code, 0, "{shown}");
    let said = "answered by one@example.com";
    assert!(shown.stdout.contains(said), "{shown}");
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn of_a_persons_configuration_only_the_address_is_ours() {
    let (home, pretend) = setting();
    home.write(
        ".config/opencode/opencode.json",
        json!({"provider": {"openai": {"options": {
            "baseURL": "http://127.0.0.1:9/user", "headers": {"x-user": "1"}}}}})
        .to_string(),
    );
    home.write(
        "project/opencode.json",
        json!({"provider": {"openai": {"options": {
            "baseURL": "http://127.0.0.1:9/project", "headers": {"x-project": "2"}}}}})
        .to_string(),
    );

    let shown = home.sh(&format!("cd project && {RUN}"));
    assert_eq!(shown.code, 0, "{shown}");
    let said = "answered by one@example.com";
    assert!(shown.stdout.contains(said), "{shown}");
    let seen = pretend.seen();
    let question = seen
        .iter()
        .find(|seen| seen.is("POST", "/backend-api/codex/responses"))
        .expect("a question");
    assert_eq!(question.header("x-user"), Some("1"));
    assert_eq!(question.header("x-project"), Some("2"));
}

#[test]
fn an_api_key_for_openai_stays_and_goes_nowhere() {
    let (home, pretend) = setting();
    let auth = "{\"openai\": {\"type\":\"api\",\"key\":\"sk-theirs\"}}\n";
    let path = home.write(AUTH, auth);
    assert_answered(&home);
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
    assert_eq!(asked(&pretend).first(), Some(&0));
    for seen in pretend.seen() {
        assert!(
            !format!("{:?}", seen.headers).contains("sk-theirs"),
            "{:?}",
            seen.headers
        );
    }
}

/// A plugin for a provider that logs in by oauth, and renews its token twice while it is loaded,
/// each time with the one that opencode has then.
const PLUGIN: &str = r#"
export const Other = async ({ client }) => ({
  auth: {
    provider: "other",
    methods: [],
    loader: async (getAuth) => {
      for (let time = 0; time < 2; time++) {
        const { refresh } = await getAuth()
        const answer = await fetch(process.env.OTHER_ISSUER, { method: "POST", body: refresh })
        const body = { type: "oauth", ...(await answer.json()) }
        await client.auth.set({ path: { id: "other" }, body })
      }
      return { apiKey: "" }
    },
  },
})
"#;

/// Gives one refresh token after the other, each of them for the one before; it expires at once.
fn single_use_issuer() -> Wire {
    Wire::new((1..=8).map(|number| {
        let tokens = json!({"refresh": format!("other-{number}"), "access": "a", "expires": 1});
        let tokens = tokens.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            tokens.len()
        );
        Turn::new(head + &tokens, Then::Stay)
    }))
}

#[test]
fn another_login_that_is_renewed_meanwhile_stays_a_login() {
    let (mut home, _pretend) = setting();
    let issuer = single_use_issuer();
    home.set("OTHER_ISSUER", &issuer.url);
    let plugin = home.write("other.js", PLUGIN);
    home.write(
        ".config/opencode/opencode.json",
        json!({
            "plugin": [format!("file://{}", plugin.display())],
            "provider": {"other": {"npm": "@ai-sdk/openai-compatible", "models": {"m": {}},
                "options": {"baseURL": "http://127.0.0.1:9/v1"}}},
        })
        .to_string(),
    );
    let other = json!({"type": "oauth", "refresh": "other-0", "access": "a", "expires": 1});
    let key = json!({"type": "api", "key": "k"});
    let auth = json!({"other": other, "anthropic": key});
    let path = home.write(AUTH, auth.to_string());

    for run in 1..=2 {
        assert_answered(&home);
        let after = json_of(&path);
        assert_eq!(after["other"]["refresh"], format!("other-{}", 2 * run));
        assert_eq!(after["anthropic"], key);
        assert_eq!(after.get("openai"), None, "the stand-in is still there");
    }
    let presented: Vec<_> = issuer.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        presented,
        [b"other-0", b"other-1", b"other-2", b"other-3"],
        "each token once"
    );
}
