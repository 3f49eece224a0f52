//! The forms in which an account is handed out.

use codex_accounts::rehearse::{Pretend, Script};
use serde_json::{Value, json};

use super::{edit, file, home_of, pick};
use crate::support::accounts::access_token;
use crate::support::canary::{self, CANARY};

#[test]
fn each_form_is_what_its_reader_takes() {
    let home = home_of(&["work"]);
    let token = access_token("work");
    let text = |format: &str| pick(&home, &format!("--format {format}")).stdout;
    assert_eq!(text("id"), "acc-work\n");
    assert_eq!(text("index"), "0\n");
    assert_eq!(text("access-token"), format!("{token}\n"));
    assert_eq!(
        text("headers"),
        format!("Authorization: Bearer {token}\nChatGPT-Account-Id: acc-work\n")
    );
    assert_eq!(
        text("curl-config"),
        format!(
            "header = \"Authorization: Bearer {token}\"\nheader = \"ChatGPT-Account-Id: acc-work\"\n"
        )
    );
    let opencode: Value = serde_json::from_str(&text("opencode")).expect("JSON");
    assert_eq!(opencode["openai"]["type"], "oauth");
    assert_eq!(opencode["openai"]["access"], token);
    assert_eq!(opencode["openai"]["accountId"], "acc-work");
    let codex: Value = serde_json::from_str(&text("codex")).expect("JSON");
    assert_eq!(codex["auth_mode"], "chatgpt");
    assert_eq!(codex["tokens"]["access_token"], token);
    assert_eq!(codex["tokens"]["account_id"], "acc-work");
    for format in ["json", "id", "headers", "curl-config", "opencode", "codex"] {
        let refresh = format!("{CANARY}-refresh-work");
        assert!(!text(format).contains(&refresh), "{format}");
    }
    canary::assert_none(&text("json"));
}

#[test]
fn the_record_comes_beside_the_form_on_descriptor_3() {
    let home = home_of(&["work"]);
    let shown = home.sh("codex-account-pick --format id 3>record; cat record");
    insta::assert_snapshot!(shown, @r#"
    acc-work
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","label":"work","switched":true,"lastSwitchReason":"initial"}
    --- exit 0
    "#);
    let shown =
        home.sh("codex-account-pick --format headers 3>record >/dev/null; jq .index record");
    assert_eq!(shown.stdout, "0\n", "{shown}");
    let shown = home.sh("codex-account-pick >/dev/null 3>record; wc -c <record");
    assert_eq!(
        shown.stdout, "0\n",
        "the record is on standard output already"
    );
    let shown = home.sh("codex-account-pick --format id 3<record");
    assert_eq!(
        (shown.code, shown.stdout.as_str()),
        (0, "acc-work\n"),
        "{shown}"
    );
}

#[test]
fn curl_sends_the_headers_as_they_are() {
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend backend");
    let home = home_of(&["work"]);
    let id = r#"a"b\c"#;
    edit(&home, |store| {
        store["accounts"][0]["chatgptAccountId"] = json!(id);
    });
    let url = format!("{}/codex/models", pretend.upstream());
    for (format, takes) in [("headers", "-H @-"), ("curl-config", "-K -")] {
        let script =
            format!("codex-account-pick --format {format} | curl -s -o /dev/null {takes} {url}");
        assert_eq!(home.sh(&script).code, 0, "{format}");
        let seen = pretend.seen();
        let request = seen.last().expect("a request");
        let bearer = format!("Bearer {}", access_token("work"));
        assert_eq!(request.header("authorization"), Some(&*bearer), "{format}");
        assert_eq!(request.header("chatgpt-account-id"), Some(id), "{format}");
    }
}

#[test]
fn a_token_with_a_line_break_makes_no_header() {
    let home = home_of(&["work"]);
    edit(&home, |store| {
        store["accounts"][0]["accessToken"] = json!(format!("{CANARY}\nX-Evil: 1"));
    });
    insta::assert_snapshot!(pick(&home, "--format headers"), @"
    --- stderr
    codex-account-pick: error: what 'work' has for the header Authorization is no text of one line
    --- exit 65
    ");
}

#[test]
fn an_id_that_is_not_known_is_a_clear_no() {
    let home = home_of(&["work"]);
    edit(&home, |store| {
        let account = store["accounts"][0].as_object_mut().expect("an account");
        account.shift_remove("chatgptAccountId");
    });
    let before = file(&home);
    insta::assert_snapshot!(pick(&home, "--format id"), @"
    --- stderr
    codex-account-pick: error: no account id of 'work' is known
    --- exit 1
    ");
    assert_eq!(file(&home), before, "it did not become the active one");
    edit(&home, |store| {
        store["accounts"][0]["chatgptAccountId"] = json!("");
    });
    assert_eq!(pick(&home, "--format id").code, 1, "a blank one is none");
}

#[test]
fn a_token_is_not_shown_on_a_terminal() {
    let home = home_of(&["work"]);
    let on_terminal = |args: &str| {
        let script = format!("script -qec 'codex-account-pick {args}' /dev/null </dev/null");
        home.sh(&script)
    };
    for format in [
        "access-token",
        "headers",
        "curl-config",
        "opencode",
        "codex",
    ] {
        let shown = on_terminal(&format!("--format {format}"));
        assert_eq!(shown.code, 77, "{format}");
        canary::assert_none(&shown.stdout);
        assert!(shown.stdout.contains("a secret is not shown on a terminal"));
    }
    let forced = on_terminal("--format access-token --force");
    assert_eq!(forced.stdout.trim_end(), access_token("work"));
    assert_eq!(on_terminal("").code, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = home_of(&["work", "personal"]);
    // Both ends are opened, and the reader's is closed before anything is written.
    home.sh("mkfifo pipe");
    for args in ["", "--explain", "--format headers"] {
        let ends = "exec 3<>pipe 4>pipe; exec 3<&-";
        let shown = home.sh(&format!("{ends}; codex-account-pick {args} >&4"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"--- exit 0");
        }
    }
}
