//! The real Codex CLI behind the relay.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};
use serde_json::{Value, json};

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::mdoc::Page;
use super::support::pretend::Servers;
use super::support::server::Server;

/// A question, asked by `codex exec` behind the relay.
const EXEC: &str = "codex-launch codex -m gpt-5.5 exec --skip-git-repo-check";

/// A home with the real Codex and two accounts, of which the first is limited.
fn first_limited() -> (Home, Servers) {
    let mut home = Home::with_clients();
    let mut script = Script::with_accounts(2);
    script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    (home, pretend)
}

/// Runs a line of shell in which Codex gets an answer of the second account.
fn answered(home: &Home, line: &str) {
    let shown = home.sh(&format!("{line} </dev/null"));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(
        shown.stdout.contains("answered by two@example.com"),
        "{shown}"
    );
}

/// Codex without the wrapper, as a person runs it who has an API key: with its own provider. In the
/// place of the API is a relay, whose key is that key.
fn plain(api: &Server) -> String {
    let ready = |name: &str| api.ready[name].as_str().expect("a text");
    let (url, key) = (ready("url"), ready("key"));
    format!(
        "CODEX_API_KEY={key} codex -c openai_base_url='\"{url}\"' -m gpt-5.5 exec \
         --skip-git-repo-check"
    )
}

/// The id of the newest session, and the provider that it was recorded with.
fn newest_session(home: &Home) -> (String, String) {
    let files = files_below(&home.path().join(".codex/sessions"));
    // The name begins with the time.
    let newest = files.into_iter().max().expect("a session");
    let text = fs::read_to_string(newest).expect("a file");
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    let field = |name: &str| first["payload"][name].as_str().expect("a text").to_owned();
    (field("id"), field("model_provider"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn codex_survives_a_429_of_the_active_account() {
    let (home, pretend) = first_limited();
    let config = fs::read(home.path().join(".codex/config.toml")).unwrap();
    answered(&home, &format!("{EXEC} 'say who you are'"));
    assert_eq!(home.store()["activeIndex"], 1);
    assert!(!home.path().join(".codex/auth.json").exists());
    assert_eq!(
        fs::read(home.path().join(".codex/config.toml")).unwrap(),
        config
    );
    let asked = pretend.seen();
    assert!(asked.iter().any(|seen| seen.account == Some(0)));
}

#[test]
fn codex_goes_on_with_a_session_that_another_account_made() {
    let mut home = Home::with_clients();
    let mut script = Script::with_accounts(2);
    // The output of the tool meets the limit.
    script.accounts[0].limit_after(1, Duration::from_secs(3600), Style::UsageLimit);
    let pretend = home.with_servers(script);
    let asked = || -> Vec<_> {
        let seen = pretend.seen().into_iter();
        seen.filter(|seen| seen.asks_the_model())
            .map(|seen| seen.account)
            .collect()
    };
    let exec = EXEC.replace("codex-launch", "codex-launch --no-websocket");
    answered(&home, &format!("{exec} '[run echo hi]'"));
    let (one, two) = (Some(0), Some(1));
    assert_eq!(asked(), [one, one, two, two]);
    // Resumed, behind a relay that remembers nothing: its file has still what account one thought.
    answered(&home, &format!("{exec} resume --last 'and now?'"));
    assert_eq!(asked()[4..], [two, two]);
}

#[test]
fn without_websockets_codex_asks_for_one_once_and_goes_on_by_http() {
    let (mut home, pretend) = first_limited();
    let exec = EXEC.replace("codex-launch", "codex-launch --no-websocket");
    let ask = format!("{exec} 'say who you are' </dev/null");
    let shown = home.sh(&ask);
    assert_eq!(shown.code, 0, "{shown}");
    assert!(!shown.stderr.contains("ERROR"), "{shown}");
    // A line for each attempt that fails, for who wants to see it.
    home.set("RUST_LOG", "error");
    let shown = home.sh(&ask);
    let attempts = shown.stderr.matches("responses_websocket: failed");
    assert_eq!(attempts.count(), 1, "{shown}");
    assert!(!shown.stderr.contains("Reconnecting"), "{shown}");
    let seen = pretend.seen();
    assert!(seen.iter().all(|seen| seen.header("upgrade").is_none()));
}

#[test]
fn a_session_could_not_go_on_with_and_without_the_wrapper() {
    let (home, _pretend) = first_limited();
    let api = home.serve("codex-proxy", &[]);
    let plain = plain(&api);

    answered(&home, &format!("{EXEC} one"));
    let (id, _) = newest_session(&home);
    answered(&home, &format!("{plain} resume {id} two"));
    answered(&home, &format!("{EXEC} resume {id} three"));

    answered(&home, &format!("{plain} one"));
    let (other, _) = newest_session(&home);
    assert_ne!(other, id);
    answered(&home, &format!("{EXEC} resume {other} two"));
    answered(&home, &format!("{plain} resume {other} three"));
}

#[test]
fn a_session_of_the_provider_that_is_ours_goes_on_with_that() {
    let (home, _pretend) = first_limited();
    // As with a screen, which a test has not.
    let ours = "codex-launch sh -c 'codex -c model_provider=codex_accounts -c \
                \"model_providers.codex_accounts={name=\\\"OpenAI\\\",\
                base_url=\\\"$OPENAI_BASE_URL\\\",env_key=\\\"OPENAI_API_KEY\\\"}\" \
                -m gpt-5.5 exec --skip-git-repo-check one'";
    answered(&home, ours);
    let (id, provider) = newest_session(&home);
    assert_eq!(provider, "codex_accounts");
    answered(&home, &format!("{EXEC} resume {id} two"));

    // Without the wrapper, as the manual shows, with the API in the place of the backend.
    let page = Page::new(include_str!("../man/codex-launch.1"));
    let provider = page.literals("DESCRIPTION").concat().join("\n");
    let api = home.serve("codex-proxy", &[]);
    let url = api.ready["url"].as_str().expect("a text");
    let provider = provider.replace("https://chatgpt.com/backend-api/codex", url);
    let config = home.path().join(".codex/config.toml");
    let config = fs::read_to_string(config).unwrap() + &provider;
    home.write(".codex/config.toml", config);
    let plain = plain(&api).replace("codex -c", "codex -c model_provider=codex_accounts -c");
    answered(&home, &format!("{plain} resume {id} three"));
    answered(&home, &format!("{EXEC} resume {id} four"));
}

#[test]
fn a_login_of_codex_itself_is_left_alone_and_its_token_goes_nowhere() {
    let (home, pretend) = first_limited();
    let account = &home.store()["accounts"][0];
    let token = |name: &str| account[name].as_str().unwrap().to_owned() + "-theirs";
    let auth = json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {
        "id_token": token("idToken"), "access_token": token("accessToken"),
        "refresh_token": "theirs", "account_id": "their-account"},
        "last_refresh": "2099-01-01T00:00:00Z"})
    .to_string();
    let path = home.write(".codex/auth.json", &auth);
    answered(&home, &format!("{EXEC} one"));
    assert_eq!(fs::read_to_string(path).unwrap(), auth);
    for seen in pretend.seen() {
        let bearer = seen.header("authorization").unwrap_or_default();
        assert!(!bearer.ends_with("-theirs"), "{}", seen.path);
        assert_ne!(seen.header("chatgpt-account-id"), Some("their-account"));
    }
}

#[test]
fn a_screen_without_a_login_gets_a_provider_that_asks_for_none() {
    let mut home = Home::new();
    home.write_store(&store([account("work")]));
    home.install(
        "codex",
        "#!/bin/sh\nprintf '%s\\n' \"$@\"; env | grep -c -x \"CODEX_ACCOUNTS_KEY=.*\"\n",
    );
    insta::assert_snapshot!(home.sh("codex-launch codex resume --last"), @r#"
    -c
    model_provider=codex_accounts
    -c
    model_providers.codex_accounts={name="OpenAI",base_url="http://127.0.0.1:PORT/codex",wire_api="responses",env_http_headers={"x-codex-accounts-key"="CODEX_ACCOUNTS_KEY"},requires_openai_auth=false,supports_websockets=true}
    resume
    --last
    1
    --- exit 0
    "#);
}
