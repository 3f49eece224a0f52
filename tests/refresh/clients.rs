//! The clients' files: they get the tokens that we renewed, and we take those that they renewed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use codex_accounts::rehearse::{Answer, ErrorShape};
use codex_accounts::store::lock::{self, Patience};
use serde_json::{Value, json};

use super::super::support::accounts::jwt;
use super::super::support::stage::{EXPIRED, Stage, wait_until};
use super::super::support::{CLOCK, Home};
use super::{end, outcomes, refuse, run, share, start};

/// opencode's `auth.json`, formatted as nobody would.
pub(super) fn opencode_text(refresh: &str, access: &str, expires: u64) -> String {
    format!(
        "{{\r\n\t\"anthropic\" : {{\"key\":\"k\\u0041\", \"type\":\"api\"}},\n\
         \"openai\":{{ \"type\":\"oauth\" ,\"x\":[1.50,{{}}],\"refresh\":\"{refresh}\",\
         \"access\":\"{access}\",\"expires\":{expires},\"accountId\":\"account-one\"}}, \"z\":null}}"
    )
}

/// Codex's `auth.json`, with the keys that newer versions write.
pub(super) fn codex_text(refresh: &str, access: &str, id: &str, last_refresh: &str) -> String {
    format!(
        "{{\n  \"auth_mode\": \"chatgpt\",\n  \"OPENAI_API_KEY\": null,\n  \"tokens\": {{\n    \
         \"id_token\": \"{id}\",\n    \"access_token\": \"{access}\",\n    \
         \"refresh_token\": \"{refresh}\",\n    \
         \"oauth_provenance\": {{\"issuer\":\"https://auth.openai.com\"}},\n    \
         \"login_owner_id\": \"abc\",\n    \"account_id\": \"account-one\"\n  }},\n  \
         \"last_refresh\": \"{last_refresh}\"\n}}"
    )
}

pub(super) const OPENCODE: &str = ".local/share/opencode/auth.json";
pub(super) const CODEX: &str = ".codex/auth.json";
pub(super) const LATER: u64 = (CLOCK + 7200) * 1000;

pub(super) fn read(home: &Home, path: &str) -> String {
    fs::read_to_string(home.path().join(path)).unwrap()
}

pub(super) fn mode(home: &Home, path: &str) -> u32 {
    let metadata = fs::metadata(home.path().join(path)).unwrap();
    metadata.permissions().mode() & 0o777
}

/// A token of account one as a client would have it, and when it expires.
pub(super) fn access_of_account_one(expires: u64) -> String {
    jwt(
        &json!({"exp": expires / 1000, "https://api.openai.com/auth": {
        "chatgpt_account_id": "account-one", "chatgpt_user_id": "user-one"}}),
    )
}

#[test]
fn a_consumed_token_is_replaced_in_the_clients_files_and_nothing_else() {
    let stage = Stage::new(1);
    let old = |field| stage.stored(0, field);
    let (refresh, access, id) = (old("refreshToken"), old("accessToken"), old("idToken"));
    let text = opencode_text(&refresh, &access, EXPIRED);
    stage.home.write("elsewhere/opencode.json", text);
    let target = stage.home.path().join("elsewhere/opencode.json");
    symlink(&target, stage.home.path().join(OPENCODE)).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let text = codex_text(&refresh, &access, &id, "2026-05-01T00:00:00Z");
    stage.home.write(CODEX, text);

    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    let new = stage.current(0);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
    assert_eq!(mode(&stage.home, OPENCODE), 0o640);
    let link = fs::symlink_metadata(stage.home.path().join(OPENCODE)).unwrap();
    assert!(link.is_symlink());
    let expected = codex_text(
        &new.refresh_token,
        &new.access_token,
        &new.id_token,
        "2026-05-04T19:24:56Z",
    );
    assert_eq!(read(&stage.home, CODEX), expected);
    assert_eq!(mode(&stage.home, CODEX), 0o600);
}

#[test]
fn codex_home_says_where_codex_keeps_its_login() {
    let mut stage = Stage::new(1);
    let folder = stage.home.path().join("codex home");
    stage.home.set("CODEX_HOME", &folder);
    let text = |refresh: &str| codex_text(refresh, "", "", "");
    let path = folder.join("auth.json");
    stage
        .home
        .write(&path, text(&stage.stored(0, "refreshToken")));
    run(&stage.home, &[]);
    let now: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        now["tokens"]["refresh_token"],
        stage.current(0).refresh_token
    );
}

#[test]
fn the_packed_form_keeps_its_other_accounts() {
    let stage = Stage::new(2);
    let refresh = stage.stored(0, "refreshToken");
    let packed = |refresh: &str| {
        let packed = format!("other|account-x||{refresh}|account-one||bare");
        opencode_text(&packed, "of another", 5)
    };
    stage.home.write(OPENCODE, packed(&refresh));
    run(&stage.home, &[]);
    let new = stage.current(0).refresh_token;
    assert_eq!(read(&stage.home, OPENCODE), packed(&new));
    run(&stage.home, &["--force"]);
    let new = stage.current(0).refresh_token;
    assert_eq!(read(&stage.home, OPENCODE), packed(&new));
}

#[test]
fn another_login_in_a_clients_file_is_left_alone() {
    let stage = Stage::new(2);
    let two = stage.pretend.issue(1).unwrap();
    // Another account; a later token of nobody in particular; a placeholder; an API key; no JSON.
    let opencode = [
        opencode_text(&two.refresh_token, &two.access_token, LATER),
        opencode_text("opaque", "opaque", LATER),
        opencode_text("none", &access_of_account_one(LATER), LATER),
        r#"{"openai":{"type":"api","key":"k"}}"#.to_owned(),
        r#"["openai"]"#.to_owned(),
    ];
    let codex = [
        codex_text(&two.refresh_token, &two.access_token, "", "then"),
        codex_text("opaque", "opaque", "opaque", "then"),
        codex_text("", &access_of_account_one(LATER), "", "then"),
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"k"}"#.to_owned(),
        "7".to_owned(),
    ];
    for (opencode, codex) in opencode.iter().zip(&codex) {
        stage.home.write(OPENCODE, opencode);
        stage.home.write(CODEX, codex);
        let shown = run(&stage.home, &["--force"]);
        assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
        assert_eq!(shown.stderr, "");
        assert_eq!(&read(&stage.home, OPENCODE), opencode);
        assert_eq!(&read(&stage.home, CODEX), codex);
    }
    let left: Vec<_> = fs::read_dir(stage.home.path().join(".codex"))
        .unwrap()
        .collect();
    assert_eq!(
        left.len(),
        1,
        "no lock of ours where there is nothing to do"
    );
}

/// What a client does by itself: it renews, and nobody else hears of it.
pub(super) fn renew_as_a_client(stage: &Stage, refresh_token: &str) -> Value {
    let script = "curl -sS -d grant_type=refresh_token -d client_id=app_EMoamEEZ73f0CkXaXp7hrann \
                  -d refresh_token=\"$1\" \"$CODEX_ACCOUNTS_ISSUER\"/oauth/token";
    let mut curl = stage.home.command("sh");
    stage
        .home
        .run(curl.args(["-c", script, "sh", refresh_token]))
        .json()
}

#[test]
fn what_opencode_renewed_by_itself_is_adopted_and_nobody_is_logged_out() {
    let stage = Stage::new(1);
    let tokens = renew_as_a_client(&stage, &stage.stored(0, "refreshToken"));
    let text = |field: &str| tokens[field].as_str().unwrap();
    let auth = opencode_text(text("refresh_token"), text("access_token"), LATER);
    stage.home.write(OPENCODE, &auth);
    share(&stage, &["opencode"]);
    let shown = run(&stage.home, &[]);
    assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    assert_eq!(stage.exchanges(), 1, "the client's own");
    assert_eq!(stage.stored(0, "refreshToken"), text("refresh_token"));
    assert_eq!(stage.stored(0, "accessToken"), text("access_token"));
    assert_eq!(stage.home.store()["accounts"][0]["expiresAt"], LATER);
    assert_eq!(read(&stage.home, OPENCODE), auth);
    // From now on they go on together.
    assert_eq!(outcomes(&run(&stage.home, &["--force"])), ["renewed"]);
    let new = stage.current(0);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
}

#[test]
fn what_a_client_renewed_and_let_expire_is_renewed_from_there() {
    let stage = Stage::new(1);
    let tokens = renew_as_a_client(&stage, &stage.stored(0, "refreshToken"));
    let text = |field: &str| tokens[field].as_str().unwrap();
    let auth = opencode_text(text("refresh_token"), text("access_token"), EXPIRED + 1);
    stage.home.write(OPENCODE, auth);
    share(&stage, &["opencode"]);
    let shown = run(&stage.home, &[]);
    assert_eq!(outcomes(&shown), ["renewed"], "{shown}");
    let new = stage.current(0);
    assert_eq!(stage.stored(0, "refreshToken"), new.refresh_token);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
}

#[test]
fn of_two_clients_the_later_token_is_adopted() {
    let stage = Stage::new(1);
    let (early, late) = (
        access_of_account_one(LATER),
        access_of_account_one(LATER + 1000),
    );
    stage
        .home
        .write(OPENCODE, opencode_text("of-opencode", &early, LATER));
    stage
        .home
        .write(CODEX, codex_text("of-codex", &late, &late, "then"));
    share(&stage, &["codex", "opencode"]);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(stage.stored(0, "refreshToken"), "of-codex");
    assert_eq!(stage.exchanges(), 0);
}

#[test]
fn an_older_token_in_a_clients_file_is_not_adopted() {
    let stage = Stage::new(1);
    let auth = opencode_text(
        "stale",
        &access_of_account_one(EXPIRED - 1000),
        EXPIRED - 1000,
    );
    stage.home.write(OPENCODE, &auth);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(read(&stage.home, OPENCODE), auth);
}

#[test]
fn a_login_that_died_here_lives_again_by_a_new_one_in_a_client() {
    let stage = Stage::new(1);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    assert_eq!(run(&stage.home, &[]).code, 77);
    let auth = opencode_text("new-login", &access_of_account_one(LATER), LATER);
    stage.home.write(OPENCODE, auth);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["adopted"]);
    assert_eq!(
        stage.home.store()["accounts"][0]["loginRequired"],
        Value::Null
    );
}

#[test]
fn a_torn_file_is_read_again() {
    let stage = Stage::new(1);
    let whole = opencode_text("of-opencode", &access_of_account_one(LATER), LATER);
    stage.home.write(OPENCODE, &whole);
    share(&stage, &["opencode"]);
    // Somebody writes it in place, time and again: half of the time it is half a file.
    let path = stage.home.path().join(OPENCODE);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                for text in [&whole[..whole.len() / 2], &whole] {
                    fs::write(&path, text).unwrap();
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
        });
        let shown = run(&stage.home, &[]);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    });
}

#[test]
fn a_clients_file_that_cannot_be_changed_is_a_note() {
    let stage = Stage::new(1);
    let torn = &opencode_text(&stage.stored(0, "refreshToken"), "", 0)[..90];
    stage.home.write(OPENCODE, torn);
    insta::assert_snapshot!(run(&stage.home, &[]), @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- stderr
    codex-token-refresh: opencode still has the used-up token of 'one', and loses the login for both when it presents that; make its file writable and run this again, or log in there anew: '$HOME/.local/share/opencode/auth.json': not valid JSON at line 3, column 39
    --- exit 0
    "#);
    assert_eq!(read(&stage.home, OPENCODE), torn);
    let shown = run(&stage.home, &["-q", "--force"]);
    assert_eq!((shown.code, &*shown.stderr), (0, ""));
}

#[test]
fn codex_is_kept_out_by_its_own_locks() {
    for name in ["auth.lock", "auth.json.lock"] {
        let stage = Stage::new(1);
        let text = |refresh: &str| codex_text(refresh, "", "", "");
        let before = text(&stage.stored(0, "refreshToken"));
        let path = stage.home.write(CODEX, &before);
        let lock = path.with_file_name(name);
        let held = lock::exclusive(&lock, Patience::USUAL, |_| ()).unwrap();
        let child = start(&stage.home, &[]);
        wait_until("the store has the new token", || {
            stage.exchanges() == 1
                && stage.stored(0, "refreshToken") == stage.current(0).refresh_token
        });
        assert_eq!(read(&stage.home, CODEX), before, "{name}");
        drop(held);
        assert!(end(child).status.success());
        let after: Value = serde_json::from_str(&read(&stage.home, CODEX)).unwrap();
        let new = stage.current(0).refresh_token;
        assert_eq!(after["tokens"]["refresh_token"], new, "{name}");
    }
}
