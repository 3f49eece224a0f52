//! `codex-reset-redeem`: a banked reset is spent when it is wanted, once, and never for nothing.

use std::time::{Duration, SystemTime};

use codex_accounts::rehearse::{Answer, BankedReset, Budget};
use serde_json::Value;

use super::support::CLOCK;
use super::support::shown::Shown;
use super::support::stage::Stage;

const CONSUME: &str = "/backend-api/wham/rate-limit-reset-credits/consume";
const DAY: u64 = 24 * 60 * 60;

/// Far enough ahead for the pretend backend, whose clock is the real one.
const FAR: u64 = 1_900_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// One account, whose five hours are used up as far as said, with these resets in store.
pub(crate) fn stage(used_percent: f64, expire_in_days: &[u64]) -> Stage {
    let stage = Stage::new(1);
    stage.pretend.change(|script| {
        let account = &mut script.accounts[0];
        let windows = [&mut account.windows.primary, &mut account.windows.secondary];
        for window in windows.into_iter().flatten() {
            window.used_percent = 10.0;
            window.resets_at = at(CLOCK + 3600);
        }
        if let Some(window) = &mut account.windows.primary {
            window.used_percent = used_percent;
        }
        account.banked = (expire_in_days.iter().enumerate())
            .map(|(number, days)| BankedReset {
                id: format!("reset-{number}"),
                expires_at: at(FAR + days * DAY),
                redeemed_by: None,
            })
            .collect();
    });
    stage
}

fn redeem(stage: &Stage, arguments: &[&str]) -> Shown {
    let mut command = stage.home.command("codex-reset-redeem");
    stage.home.run(command.args(arguments).arg("one"))
}

/// The ids of the resets that were spent.
pub(crate) fn spent(stage: &Stage) -> Vec<String> {
    let mut spent = Vec::new();
    stage.pretend.change(|script| {
        let banked = script.accounts[0].banked.iter();
        let redeemed = banked.filter(|reset| reset.redeemed_by.is_some());
        spent.extend(redeemed.map(|reset| reset.id.clone()));
    });
    spent
}

/// The ids of the requests that were made.
fn requests(stage: &Stage) -> Vec<String> {
    let seen = stage.pretend.seen().into_iter();
    let made = seen.filter(|request| request.is("POST", CONSUME));
    made.map(|request| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        body["redeem_request_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    })
    .collect()
}

#[test]
fn the_one_that_expires_first_is_spent_and_the_account_is_ready() {
    let stage = stage(100.0, &[20, 3, 9]);
    let limited = stage.home.sh("codex-usage-fetch one");
    assert!(
        limited
            .stdout
            .contains(r#""bankedResets":{"count":3,"firstExpiresAt":1900259200000}"#),
        "{limited}"
    );
    assert!(stage.home.store()["accounts"][0]["limits"]["default"].is_object());
    let shown = redeem(&stage, &["--yes"]);
    assert_eq!(shown.code, 0, "{shown}");
    let record = shown.json();
    assert_eq!(record["outcome"], "reset");
    assert_eq!(
        (&record["windowsReset"], &record["left"]),
        (&2.into(), &2.into())
    );
    assert_eq!(spent(&stage), ["reset-1"]);
    let account = &stage.home.store()["accounts"][0];
    assert_eq!(account["limits"], Value::Null);
    assert_eq!(account["usage"]["windows"][0]["usedPercent"], 0.0);
}

#[test]
fn nothing_is_spent_for_nothing() {
    let unused = stage(42.0, &[3]);
    let shown = redeem(&unused, &["--yes"]);
    assert_eq!(
        (shown.code, &shown.json()["outcome"]),
        (1, &"nothing-to-reset".into())
    );
    let without = stage(100.0, &[]);
    let shown = redeem(&without, &["--yes"]);
    assert_eq!(
        (shown.code, &shown.json()["outcome"]),
        (1, &"no-credit".into())
    );
    for stage in [&unused, &without] {
        assert!(requests(stage).is_empty());
    }
}

#[test]
fn without_a_terminal_and_yes_nothing_is_spent() {
    let stage = stage(100.0, &[3]);
    let shown = redeem(&stage, &[]);
    assert_eq!((shown.code, shown.stdout.as_str()), (2, ""));
    assert!(shown.stderr.contains("--yes"), "{shown}");
    assert!(spent(&stage).is_empty());
}

#[test]
fn an_answer_that_was_lost_spends_no_second_one() {
    let stage = stage(100.0, &[3, 9]);
    // It is done, and the answer does not arrive.
    let lost = Answer::raw(502, &[("content-type", "text/html")], "<html>502</html>");
    stage
        .pretend
        .change(|script| script.answers_at.insert(CONSUME.into(), lost));
    let shown = redeem(&stage, &["--yes"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (69, ""), "{shown}");
    let [first] = &requests(&stage)[..] else {
        panic!("one request");
    };
    stage.pretend.change(|script| {
        script.answers_at.clear();
        script.accounts[0].banked[0].redeemed_by = Some(first.clone());
        script.accounts[0]
            .windows
            .primary
            .as_mut()
            .expect("a window")
            .used_percent = 0.0;
    });
    let shown = redeem(&stage, &["--yes"]);
    assert_eq!(
        (shown.code, &shown.json()["outcome"]),
        (0, &"already-redeemed".into())
    );
    assert_eq!(requests(&stage), [first.as_str(), first], "one id");
    assert_eq!(spent(&stage), ["reset-0"]);
    // It is answered now: the next one would be another.
    let shown = redeem(&stage, &["--yes"]);
    assert_eq!(shown.json()["outcome"], "nothing-to-reset");
}

#[test]
fn a_request_that_can_not_be_read_is_kept_and_named() {
    let stage = stage(100.0, &[3]);
    let lost = Answer::raw(500, &[], "");
    stage
        .pretend
        .change(|script| script.answers_at.insert(CONSUME.into(), lost));
    assert_eq!(redeem(&stage, &["--yes"]).code, 69);
    // With the locks of logins, which all stores share.
    let folder = stage.home.path().join(".local/state/codex-accounts");
    let files = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|it| it.expect("a file").path());
    let [request] = &files
        .filter(|it| it.extension().is_some_and(|end| end == "request"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one request");
    };
    std::fs::write(request, "{").expect("it can be written");
    let shown = redeem(&stage, &["--yes"]);
    assert_eq!(shown.code, 78, "{shown}");
    assert!(shown.stderr.contains(".request"), "{shown}");
    assert!(request.exists());
}

#[test]
fn the_status_view_tells_of_banked_resets_and_a_budget() {
    let stage = stage(42.0, &[20, 3]);
    assert_eq!(stage.home.sh("codex-usage-fetch -q").code, 0);
    let shown = stage.home.sh("codex-accounts");
    let said = shown.unwrapped();
    assert!(
        said.contains("has 2 banked resets, until 20 Mar 17:46: codex-reset-redeem 0"),
        "{shown}"
    );
    stage.pretend.change(|script| {
        script.accounts[0].banked.clear();
        script.accounts[0].budget = Some(Budget {
            used_percent: 96.0,
            resets_at: at(CLOCK + 20 * DAY),
        });
    });
    let record = stage.home.sh("codex-usage-fetch");
    assert!(
        record.stdout.contains(r#""budget":{"usedPercent":96.0"#),
        "{record}"
    );
    let shown = stage.home.sh("codex-accounts");
    let said = shown.unwrapped();
    assert!(
        said.contains("has 4 % of its budget left, until 24 May 19:24"),
        "{shown}"
    );
    assert!(!said.contains("banked"), "{shown}");
}
