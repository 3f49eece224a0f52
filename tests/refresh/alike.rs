//! Two accounts with one token, and accounts of which little is known.

use std::fs;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::CLOCK;
use super::super::support::shown::Shown;
use super::super::support::stage::Stage;
use super::clients::{LATER, OPENCODE, opencode_text, read};
use super::{end, outcomes, run, start};

#[test]
fn a_token_that_two_accounts_have_is_used_once() {
    let stage = Stage::new(1);
    let mut store = stage.home.store();
    let mut other = store["accounts"][0].clone();
    other["chatgptAccountId"] = json!("account-of-the-team");
    other["label"] = json!("team");
    store["accounts"].as_array_mut().unwrap().push(other);
    stage.home.write_store(&store);
    stage.slow_issuer(Duration::from_millis(300));
    let children = ["1", "0", "1", "0"].map(|index| start(&stage.home, &[index]));
    for output in children.map(end) {
        assert!(output.status.success());
    }
    assert_eq!(stage.exchanges(), 1);
    for index in [0, 1] {
        let token = stage.stored(index, "refreshToken");
        assert_eq!(token, stage.current(0).refresh_token);
    }
    let id = stage.stored(1, "chatgptAccountId");
    assert_eq!(id, "account-of-the-team", "it is still the other workspace");
    assert_eq!(outcomes(&run(&stage.home, &["--force", "1"])), ["renewed"]);
    assert_eq!(outcomes(&run(&stage.home, &["0"])), ["kept"]);
}

/// A packed login without ids, as opencode has it.
fn packed_without_ids(stage: &Stage) -> String {
    let tokens = [0, 1, 2].map(|index| stage.current(index).refresh_token);
    opencode_text(&tokens.join("||"), "", 5)
}

/// Six processes at once that want the token of account 1.
fn six_for_account_one(stage: &Stage) {
    stage.slow_issuer(Duration::from_millis(300));
    let before = [0, 2].map(|index| stage.current(index).refresh_token);
    let children: Vec<Child> = (0..6).map(|_| start(&stage.home, &["1"])).collect();
    for output in children.into_iter().map(end) {
        let shown = Shown::new(output, stage.home.path());
        assert_eq!(shown.json()["index"], 1, "{shown}");
        assert_eq!(shown.json()["email"], "two@example.com", "{shown}");
    }
    let after = [0, 2].map(|index| stage.current(index).refresh_token);
    assert_eq!(before, after, "another account's token was used");
}

#[test]
fn six_processes_for_one_account_without_an_id_are_all_about_that_one() {
    let stage = Stage::new(3);
    fs::remove_file(stage.home.store_path()).unwrap();
    let auth = packed_without_ids(&stage);
    let file = stage
        .home
        .write("packed.json", auth.replace("\"accountId\"", "\"x\""));
    let import = stage
        .home
        .command("codex-accounts")
        .arg("import")
        .arg(file)
        .output();
    assert!(import.unwrap().status.success());
    let moments: Vec<Value> = (0..3)
        .map(|index| stage.home.store()["accounts"][index]["addedAt"].clone())
        .collect();
    assert_eq!(moments, [0, 1, 2].map(|nth| json!(CLOCK * 1000 + nth)));
    six_for_account_one(&stage);
    assert_eq!(stage.exchanges(), 1);
}

#[test]
fn without_a_store_they_are_told_by_their_place() {
    let stage = Stage::new(3);
    fs::remove_file(stage.home.store_path()).unwrap();
    stage.home.write(OPENCODE, packed_without_ids(&stage));
    // A packed entry has no room for an access token, so that each renews it in its turn.
    six_for_account_one(&stage);
    assert_eq!(read(&stage.home, OPENCODE), packed_without_ids(&stage));
}

#[test]
fn accounts_that_were_added_at_one_moment_are_not_taken_for_each_other() {
    let stage = Stage::new(2);
    let mut store = stage.home.store();
    for index in [0, 1] {
        let account = store["accounts"][index].as_object_mut().unwrap();
        let ours = ["refreshToken", "addedAt", "label"];
        account.retain(|name, _| ours.contains(&&**name));
    }
    stage.home.write_store(&store);
    stage.slow_issuer(Duration::from_millis(300));
    let children = [0, 1].map(|_| start(&stage.home, &["two"]));
    for output in children.map(end) {
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    }
    assert_eq!(stage.exchanges(), 1, "that of account one was used");
}

#[test]
fn a_login_that_came_meanwhile_stays() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let child = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    let login = stage.pretend.issue(0).unwrap();
    let mut store = stage.home.store();
    let account = &mut store["accounts"][0];
    account["refreshToken"] = json!(login.refresh_token);
    account["accessToken"] = json!(login.access_token);
    account["expiresAt"] = json!(LATER);
    stage.home.write_store(&store);
    let shown = Shown::new(end(child), stage.home.path());
    assert_eq!(outcomes(&shown), ["adopted"], "{shown}");
    assert_eq!(stage.home.store(), store);
}
