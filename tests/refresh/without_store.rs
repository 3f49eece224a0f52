//! Without a store: opencode's own login is renewed in its place.

use std::fs;

use codex_accounts::rehearse::{Answer, ErrorShape};

use super::super::support::accounts::{account, store};
use super::super::support::stage::{EXPIRED, Stage};
use super::super::support::{CLOCK, Home};
use super::clients::{OPENCODE, opencode_text, read};
use super::{outcomes, refuse, run};

#[test]
fn without_a_store_a_dead_token_is_not_presented_again() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    let auth = opencode_text(&old.refresh_token, "", 5);
    stage.home.write(OPENCODE, &auth);
    refuse(
        &stage,
        Answer::token_error(400, "invalid_grant", ErrorShape::Text),
    );
    for arguments in [&[][..], &[], &["--force"]] {
        let shown = run(&stage.home, arguments);
        assert_eq!(shown.code, 77, "{shown}");
        assert!(shown.stderr.contains("(invalid_grant)"), "{shown}");
    }
    assert_eq!(stage.exchanges(), 1);
    let kept = stage.home.sh("cat .local/state/codex-accounts/*.journal");
    assert!(kept.stdout.contains("invalid_grant"), "{kept}");
    assert!(!kept.stdout.contains(&old.refresh_token), "{kept}");
    assert_eq!(read(&stage.home, OPENCODE), auth);
    // Another token is another matter.
    let new = stage.pretend.issue(0).unwrap();
    stage
        .home
        .write(OPENCODE, opencode_text(&new.refresh_token, "", 5));
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
}

#[test]
fn without_a_store_opencodes_own_login_is_renewed_in_its_place() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    let auth = opencode_text(&old.refresh_token, &old.access_token, EXPIRED);
    stage.home.write(OPENCODE, auth);
    let shown = run(&stage.home, &[]);
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"account-one","chatgptUserId":"user-one","email":"one@example.com","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":0,"lastUsed":0,"expiresAt":1777926296000,"refreshedAt":1777922696000,"outcome":"renewed"}
    --- exit 0
    "#);
    let new = stage.current(0);
    assert_ne!(new.refresh_token, old.refresh_token);
    let expected = opencode_text(&new.refresh_token, &new.access_token, (CLOCK + 3600) * 1000);
    assert_eq!(read(&stage.home, OPENCODE), expected);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
    let folder = stage.home.path().join(".local/share/opencode");
    let left = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["auth.json"], "no store is made");
}

#[test]
fn without_a_store_and_a_new_refresh_token_the_access_token_is_kept() {
    let stage = Stage::new(1);
    fs::remove_file(stage.home.store_path()).unwrap();
    let old = stage.current(0);
    stage.home.write(
        OPENCODE,
        opencode_text(&old.refresh_token, &old.access_token, EXPIRED),
    );
    stage
        .pretend
        .change(|script| script.token_reply.refresh_token = false);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["renewed"]);
    assert_eq!(outcomes(&run(&stage.home, &[])), ["kept"]);
}

#[test]
fn the_accounts_of_a_packed_login_are_renewed_each_in_its_place() {
    let stage = Stage::new(2);
    fs::remove_file(stage.home.store_path()).unwrap();
    let packed = |stage: &Stage| {
        let tokens = [0, 1].map(|index| stage.current(index).refresh_token);
        let [one, two] = tokens;
        opencode_text(&format!("{one}|account-one||{two}|account-two"), "a", 5)
    };
    let before = packed(&stage);
    stage.home.write(OPENCODE, &before);
    assert_eq!(
        outcomes(&run(&stage.home, &["--all"])),
        ["renewed", "renewed"]
    );
    assert_ne!(packed(&stage), before);
    assert_eq!(read(&stage.home, OPENCODE), packed(&stage));
}

#[test]
fn a_fresh_token_asks_nobody_and_writes_nothing() {
    let home = Home::new();
    home.write_store(&store([account("work"), account("personal")]));
    let before = fs::read(home.store_path()).unwrap();
    assert_eq!(outcomes(&run(&home, &["--all"])), ["kept", "kept"]);
    assert!(fs::read(home.store_path()).unwrap() == before);
}
