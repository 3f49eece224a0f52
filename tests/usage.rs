//! `codex-usage-fetch`: what the backend says of an account's quota, in its every form, and what
//! picking makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_accounts::rehearse::{Answer, Seen, Style, Window, Windows};
use serde_json::{Value, json};

use super::support::shown::Shown;
use super::support::stage::Stage;
use super::support::{CLOCK, Home};

const COMMAND: &str = "codex-usage-fetch";
const WHAM: &str = "/backend-api/wham/usage";
const CODEX: &str = "/backend-api/codex/usage";
const DAY: u64 = 24 * 60 * 60;

fn run(home: &Home, arguments: &[&str]) -> Shown {
    let shown = home.run(home.command(COMMAND).args(arguments));
    assert!(!shown.stderr.contains("pretend-"), "a secret got out");
    assert!(!shown.stdout.contains("pretend-"), "a secret got out");
    shown
}

fn records(shown: &Shown) -> Vec<Value> {
    let records = shown.stdout.lines().map(serde_json::from_str);
    records.collect::<Result<_, _>>().expect("JSON Lines")
}

fn answer(stage: &Stage, path: &str, answer: Answer) {
    stage
        .pretend
        .change(|script| script.answers_at.insert(path.into(), answer));
}

fn usage(body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    Answer::raw(200, &json, body.to_string())
}

fn window(minutes: u64, used_percent: f64, resets_at: u64) -> Value {
    json!({"used_percent": used_percent, "limit_window_seconds": minutes * 60,
           "reset_after_seconds": 5, "reset_at": resets_at})
}

/// The usage of an account that has used so much of its five hours and of its week.
fn used(short: f64, weekly: f64) -> Answer {
    usage_of(short, weekly, short >= 100.0)
}

fn usage_of(short: f64, weekly: f64, limited: bool) -> Answer {
    usage(&json!({"plan_type": "pro", "email": "one@example.com",
        "rate_limit": {"allowed": !limited, "limit_reached": limited,
            "primary_window": window(300, short, CLOCK + 3600),
            "secondary_window": window(10_080, weekly, CLOCK + 3 * DAY)},
        "additional_rate_limits": null, "credits": null}))
}

fn asked(stage: &Stage, path: &str) -> Vec<Seen> {
    let seen = stage.pretend.seen().into_iter();
    seen.filter(|request| request.is("GET", path)).collect()
}

#[test]
fn usage_is_shown_and_recorded() {
    let stage = Stage::new(1);
    answer(&stage, WHAM, used(42.5, 7.0));
    insta::assert_snapshot!(run(&stage.home, &[]), @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","label":"one","planType":"pro","windows":[{"minutes":300,"usedPercent":42.5,"resetsAt":1777926296000},{"minutes":10080,"usedPercent":7.0,"resetsAt":1778181896000}],"observedAt":1777922696000}
    --- exit 0
    "#);
    let account = &stage.home.store()["accounts"][0];
    insta::assert_snapshot!(account["usage"], @r#"
    {"windows":[{"minutes":300,"usedPercent":42.5,"resetsAt":1777926296000},{"minutes":10080,"usedPercent":7.0,"resetsAt":1778181896000}],"observedAt":1777922696000}
    "#);
    assert_eq!(account["planType"], "pro");
    assert_eq!(account["limits"], Value::Null);
}

#[test]
fn it_asks_with_a_fresh_token_of_the_account() {
    let stage = Stage::new(1);
    stage
        .pretend
        .change(|script| script.accounts[0].residency = Some("eu".into()));
    assert_eq!(run(&stage.home, &[]).code, 0);
    assert_eq!(stage.exchanges(), 1);
    let [request] = &asked(&stage, WHAM)[..] else {
        panic!("one request");
    };
    let bearer = format!("Bearer {}", stage.current(0).access_token);
    assert_eq!(request.header("authorization"), Some(&*bearer));
    assert_eq!(request.header("chatgpt-account-id"), Some("account-one"));
    assert_eq!(
        request.header("x-openai-internal-codex-residency"),
        Some("eu")
    );
    assert_eq!(request.status, Some(200));
    assert_eq!(run(&stage.home, &[]).code, 0);
    assert_eq!(stage.exchanges(), 1, "the token is still fresh");
}

#[test]
fn every_account_that_is_enabled_is_asked_unless_named() {
    let stage = Stage::new(3);
    let mut store = stage.home.store();
    store["accounts"][1]["enabled"] = json!(false);
    stage.home.write_store(&store);
    let indices = |arguments: &[&str]| -> Vec<u64> {
        let shown = run(&stage.home, arguments);
        assert_eq!(shown.code, 0, "{shown}");
        let index = |record: &Value| record["index"].as_u64().unwrap();
        records(&shown).iter().map(index).collect()
    };
    assert_eq!(indices(&[]), [0, 2]);
    assert_eq!(indices(&["--all"]), [0, 1, 2]);
    assert_eq!(indices(&["three", "1"]), [2, 1]);
    insta::assert_snapshot!(run(&stage.home, &["nobody"]), @"
    --- stderr
    codex-usage-fetch: error: no account is called 'nobody'
    hint: there is 0 one, 1 two, 2 three
    --- exit 1
    ");
    insta::assert_snapshot!(run(&Home::new(), &[]), @"
    --- stderr
    codex-usage-fetch: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
}

#[test]
fn the_older_place_is_asked_where_the_newer_one_is_not_there() {
    let stage = Stage::new(1);
    answer(
        &stage,
        WHAM,
        Answer::raw(404, &[], "{\"detail\":\"Not Found\"}"),
    );
    answer(&stage, CODEX, used(1.0, 2.0));
    let shown = run(&stage.home, &[]);
    assert_eq!(shown.json()["windows"][1]["usedPercent"], 2.0, "{shown}");
    assert_eq!(asked(&stage, CODEX).len(), 1);
}

#[test]
fn windows_that_are_null_are_none() {
    let stage = Stage::new(1);
    let windows = |rate_limit: Value| {
        answer(
            &stage,
            WHAM,
            usage(&json!({"plan_type": "plus", "rate_limit": rate_limit})),
        );
        let shown = run(&stage.home, &[]);
        assert_eq!(shown.code, 0, "{shown}");
        let windows = shown.json()["windows"].take();
        let minutes = |window: &Value| window["minutes"].as_u64().unwrap();
        windows
            .as_array()
            .unwrap()
            .iter()
            .map(minutes)
            .collect::<Vec<_>>()
    };
    assert_eq!(windows(Value::Null), [0; 0]);
    assert_eq!(
        windows(json!({"primary_window": null, "secondary_window": null})),
        [0; 0]
    );
    // The weekly window is seen as the primary one, too (PROTOCOL §4).
    let weekly = window(10_080, 3.0, CLOCK + DAY);
    assert_eq!(
        windows(json!({"primary_window": weekly, "secondary_window": null})),
        [10_080]
    );
    assert_eq!(
        stage.home.store()["accounts"][0]["usage"]["windows"][0]["minutes"],
        10_080
    );
}

#[test]
fn additional_limits_have_windows_of_their_own() {
    let stage = Stage::new(1);
    let family = json!({"limit_name": "gpt-5.3-codex-spark", "metered_feature": "codex_bengalfox",
        "rate_limit": {"primary_window": window(300, 100.0, CLOCK + 60), "secondary_window": null}});
    answer(
        &stage,
        WHAM,
        usage(&json!({"plan_type": "plus",
        "rate_limit": {"primary_window": window(300, 5.0, CLOCK + 60)},
        "additional_rate_limits": [family, {"metered_feature": null, "rate_limit": null}]})),
    );
    let shown = run(&stage.home, &[]);
    insta::assert_snapshot!(shown.json()["windows"], @r#"
    [{"minutes":300,"usedPercent":5.0,"resetsAt":1777922756000},{"scope":"codex_bengalfox","minutes":300,"usedPercent":100.0,"resetsAt":1777922756000}]
    "#);
    let pick = stage.home.sh("codex-account-pick --format id");
    assert_eq!(
        pick.stdout, "account-one\n",
        "the account itself is not limited"
    );
}

#[test]
fn a_window_that_is_used_up_limits_the_account_and_one_that_is_not_lifts_that() {
    let stage = Stage::new(1);
    answer(&stage, WHAM, used(100.0, 50.0));
    assert_eq!(run(&stage.home, &[]).code, 0);
    let limits = || stage.home.store()["accounts"][0]["limits"].take();
    insta::assert_snapshot!(limits(), @r#"
    {"default":{"until":1777926296000,"class":"quota","source":"usage","markedAt":1777922696000,"windowMinutes":300}}
    "#);
    assert_eq!(stage.home.sh("codex-account-pick --peek").code, 75);
    answer(&stage, WHAM, used(0.0, 50.0));
    assert_eq!(run(&stage.home, &[]).code, 0);
    assert_eq!(limits(), Value::Null);
    // With credit it goes on where the window has ended.
    answer(&stage, WHAM, usage_of(100.0, 50.0, false));
    assert_eq!(run(&stage.home, &[]).code, 0);
    assert_eq!(limits(), Value::Null);
}

// --- When it does not tell.

#[test]
fn a_403_is_no_dead_login() {
    let stage = Stage::new(2);
    assert_eq!(run(&stage.home, &[]).code, 0);
    let before = stage.store_bytes();
    let html = [("content-type", "text/html")];
    answer(&stage, WHAM, Answer::raw(403, &html, "<html>no</html>"));
    insta::assert_snapshot!(run(&stage.home, &["one"]), @"
    --- stderr
    codex-usage-fetch: error: the backend answered with something else than the usage of 'one' (status 403)
    --- exit 69
    ");
    answer(
        &stage,
        WHAM,
        Answer::raw(403, &[], r#"{"detail":"Forbidden"}"#),
    );
    insta::assert_snapshot!(run(&stage.home, &["one"]), @"
    --- stderr
    codex-usage-fetch: error: the backend does not tell the usage of 'one' (other, status 403)
    --- exit 77
    ");
    answer(&stage, WHAM, Style::WorkspaceGone403.into());
    insta::assert_snapshot!(run(&stage.home, &["one"]), @"
    --- stderr
    codex-usage-fetch: error: the backend does not tell the usage of 'one' (workspace-gone, status 403)
    --- exit 77
    ");
    assert!(stage.store_bytes() == before);
}

#[test]
fn a_token_that_is_not_accepted_is_renewed_once_and_tried_again() {
    let stage = Stage::new(1);
    let mut store = stage.home.store();
    store["accounts"][0]["accessToken"] = json!("not.one.they-know");
    store["accounts"][0]["expiresAt"] = json!((CLOCK + DAY) * 1000);
    stage.home.write_store(&store);
    assert_eq!(run(&stage.home, &[]).code, 0);
    let statuses: Vec<_> = asked(&stage, WHAM).iter().map(|it| it.status).collect();
    assert_eq!(statuses, [Some(401), Some(200)]);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn a_token_that_is_never_accepted_is_told() {
    let stage = Stage::new(1);
    for style in [Style::Expired, Style::Invalidated] {
        let exchanges = stage.exchanges();
        let requests = asked(&stage, WHAM).len();
        answer(&stage, WHAM, style.into());
        run(&stage.home, &[]);
        let before = stage.exchanges();
        let shown = run(&stage.home, &[]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"
            --- stderr
            codex-usage-fetch: error: the backend does not accept the token of 'one'
            hint: log in again with 'codex-accounts add'
            --- exit 77
            ");
        }
        assert_eq!(stage.exchanges() - before, 1);
        assert!(stage.exchanges() > exchanges);
        assert_eq!(asked(&stage, WHAM).len() - requests, 4);
        assert_eq!(
            stage.home.store()["accounts"][0]["loginRequired"],
            Value::Null
        );
    }
}

#[test]
fn answers_that_are_no_usage_change_nothing() {
    let stage = Stage::new(1);
    assert_eq!(run(&stage.home, &[]).code, 0);
    let before = stage.store_bytes();
    let answers = [
        Style::Error500.into(),
        Style::Error502.into(),
        Style::NoHint.into(),
        Style::CloseBeforeHead.into(),
        Style::CloseMidBody.into(),
        Style::Garbage.into(),
        Answer::raw(200, &[("content-type", "text/html")], "<html>hello</html>"),
        Answer::raw(200, &[("content-type", "application/json")], "[]"),
        Answer::raw(302, &[("location", "https://example.com/")], ""),
    ];
    for it in answers {
        let what = format!("{it:?}");
        answer(&stage, WHAM, it);
        let shown = run(&stage.home, &[]);
        assert_eq!((shown.code, &*shown.stdout), (69, ""), "{what}: {shown}");
        assert!(stage.store_bytes() == before, "{what}");
    }
    answer(&stage, WHAM, Answer::raw(404, &[], ""));
    answer(&stage, CODEX, Answer::raw(404, &[], ""));
    insta::assert_snapshot!(run(&stage.home, &[]), @"
    --- stderr
    codex-usage-fetch: error: the backend answered with something else than the usage of 'one' (status 404)
    --- exit 69
    ");
}

#[test]
fn a_backend_that_is_not_there_changes_nothing() {
    let mut stage = Stage::new(1);
    assert_eq!(run(&stage.home, &[]).code, 0);
    let before = stage.store_bytes();
    let gone = Stage::new(1).pretend.upstream();
    stage.home.set("CODEX_ACCOUNTS_UPSTREAM", gone);
    insta::assert_snapshot!(run(&stage.home, &[]), @"
    --- stderr
    codex-usage-fetch: error: the usage of 'one' is not known: no answer from 127.0.0.1: Connection refused (os error 111)
    --- exit 69
    ");
    assert!(stage.store_bytes() == before);
}

#[test]
fn one_failure_does_not_keep_the_others_from_being_asked() {
    let stage = Stage::new(3);
    stage.pretend.kill(1);
    let shown = run(&stage.home, &[]);
    let index = |record: &Value| record["index"].as_u64().unwrap();
    let indices: Vec<u64> = records(&shown).iter().map(index).collect();
    assert_eq!(indices, [0, 2]);
    assert_eq!(shown.code, 77);
    insta::assert_snapshot!(shown.stderr, @"
    codex-usage-fetch: error: 'two' needs a new login (refresh_token_invalidated)
    hint: log in again with 'codex-accounts add'
    ");
}

#[test]
fn without_a_store_it_is_shown_and_recorded_nowhere() {
    let stage = Stage::new(1);
    let tokens = stage.current(0);
    fs::remove_file(stage.home.store_path()).unwrap();
    let auth = json!({"openai": {"type": "oauth", "refresh": tokens.refresh_token,
        "access": tokens.access_token, "expires": (CLOCK + DAY) * 1000,
        "accountId": "account-one"}});
    let path = ".local/share/opencode/auth.json";
    let path = stage.home.write(path, auth.to_string());
    answer(&stage, WHAM, used(1.0, 2.0));
    assert_eq!(
        run(&stage.home, &[]).json()["windows"][0]["usedPercent"],
        1.0
    );
    assert_eq!(fs::read_to_string(path).unwrap(), auth.to_string());
    assert!(!stage.home.store_path().exists());
}

// --- What it is for.

#[test]
fn the_least_used_account_is_picked() {
    let stage = Stage::new(3);
    let weekly = |used: [f64; 3]| {
        stage.pretend.change(|script| {
            for (account, used) in script.accounts.iter_mut().zip(used) {
                account.windows = windows(used);
            }
        });
        assert_eq!(run(&stage.home, &[]).code, 0);
        let pick = "codex-account-pick --strategy least-used --format id";
        stage.home.sh(pick).stdout.trim().to_owned()
    };
    assert_eq!(weekly([40.0, 20.0, 30.0]), "account-two");
    assert_eq!(weekly([40.0, 31.0, 30.0]), "account-three");
    assert_eq!(weekly([29.0, 31.0, 30.0]), "account-one");
}

/// A weekly window of which so much is used, in percent, and that ends with the week played here.
fn windows(used_percent: f64) -> Windows {
    let end: SystemTime = UNIX_EPOCH + Duration::from_secs(CLOCK + 7 * DAY);
    let weekly = Window {
        minutes: 10_080,
        used_percent,
        resets_at: end,
    };
    Windows {
        primary: Some(weekly),
        secondary: None,
    }
}

#[test]
fn in_a_week_the_least_used_account_takes_every_turn() {
    let mut stage = Stage::new(3);
    let ids = ["account-one", "account-two", "account-three"];
    let mut used = [0.0, 2.5, 5.0];
    let tell = |stage: &Stage, used: [f64; 3]| {
        stage.pretend.change(|script| {
            for (account, used) in script.accounts.iter_mut().zip(used) {
                account.windows = windows(used);
            }
        });
        assert_eq!(run(&stage.home, &[]).code, 0);
    };
    tell(&stage, used);
    let mut week = Vec::new();
    for hour in (0..7 * 24).step_by(12) {
        let now = CLOCK + hour * 60 * 60;
        stage.home.set("CODEX_ACCOUNTS_CLOCK", now.to_string());
        let picked = stage
            .home
            .sh("codex-account-pick --strategy least-used --format id");
        let index = ids.iter().position(|id| *id == picked.stdout.trim());
        let index = index.unwrap_or_else(|| panic!("{picked}"));
        week.push(["1", "2", "3"][index]);
        used[index] += 1.25;
        tell(&stage, used);
    }
    // First the others are caught up with, then they take turns.
    insta::assert_snapshot!(week.concat(), @"11212132132132");
}

#[test]
fn a_week_is_shared_in_steps_of_five_points_and_idle_accounts_are_kept_alive() {
    let mut stage = Stage::new(3);
    let ids = ["account-one", "account-two", "account-three"];
    let mut used = [0.0; 3];
    stage.pretend.change(|script| {
        for account in &mut script.accounts {
            account.windows = windows(0.0);
        }
    });
    assert_eq!(run(&stage.home, &[]).code, 0);
    let mut week = Vec::new();
    let mut kept_alive: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    // Four times a day some work is done, which costs 1.25 points.
    for hour in (0..7 * 24).step_by(6) {
        let now = CLOCK + hour * 60 * 60;
        stage.home.set("CODEX_ACCOUNTS_CLOCK", now.to_string());
        if hour % 24 == 0 {
            let shown = stage.home.sh("codex-token-refresh --all --older-than 2d");
            let renewed = records(&shown);
            let renewed = renewed.iter().filter(|it| it["outcome"] == "renewed");
            let indices = renewed.map(|it| it["index"].as_u64().unwrap()).collect();
            kept_alive.insert(hour / 24, indices);
        }
        let pick = "codex-account-pick --strategy step=5 --format id";
        let picked = stage.home.sh(pick).stdout.trim().to_owned();
        let index = ids.iter().position(|id| *id == picked).expect("an account");
        week.push(["1", "2", "3"][index]);
        used[index] += 1.25;
        stage
            .pretend
            .change(|script| script.accounts[index].windows = windows(used[index]));
        assert_eq!(run(&stage.home, &[&picked]).code, 0);
    }
    insta::assert_snapshot!(week.concat(), @"
    1111222233331111222233331111
    ");
    insta::assert_snapshot!(format!("{kept_alive:?}"), @"
    {0: [], 1: [], 2: [], 3: [0], 4: [1], 5: [2], 6: [0]}
    ");
    assert_eq!(used, [15.0, 10.0, 10.0]);
}
