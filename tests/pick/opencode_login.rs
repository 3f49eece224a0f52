//! opencode's own login, where there is no store.

use std::fs;

use codex_accounts::rehearse::{Pretend, Script};
use serde_json::{Value, json};

use super::{AUTH, NOW, pick};
use crate::support::Home;
use crate::support::accounts::access_token;
use crate::support::canary::CANARY;

#[test]
fn without_a_store_opencodes_login_is_the_list() {
    let home = Home::new();
    let token = access_token("work");
    let auth = format!(
        r#"{{ "openai":{{"type":"oauth","refresh":"{CANARY}","access":"{token}","expires":{},"accountId":"acc-work"}}, "x":{{"type":"api","key":"k"}} }}"#,
        NOW + 86_400_000
    );
    let path = home.write(AUTH, &auth);
    insta::assert_snapshot!(pick(&home, ""), @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","switched":true,"lastSwitchReason":"initial"}
    --- exit 0
    "#);
    let shown = pick(&home, "--format access-token --lease 1h");
    assert_eq!(shown.stdout, format!("{token}\n"));
    assert_eq!(fs::read_to_string(&path).expect("auth.json"), auth);
    assert!(!home.store_path().exists(), "no store is created");
}

#[test]
fn opencodes_packed_login_is_several_accounts() {
    let home = Home::new();
    let auth = r#"{"openai":{"type":"oauth","refresh":"r1|a1||r2|a2","access":"","expires":0}}"#;
    let path = home.write(AUTH, auth);
    let shown = home.sh("codex-account-pick --exclude a1; codex-account-pick --format id");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":1,"chatgptAccountId":"a2","switched":true,"lastSwitchReason":"initial"}
    a1
    --- exit 0
    "#);
    assert_eq!(fs::read_to_string(&path).expect("auth.json"), auth);
    assert!(!home.store_path().exists(), "no store is created");
}

#[test]
fn what_is_renewed_of_opencodes_login_goes_back_there() {
    for packed in [false, true] {
        let pretend = Pretend::start(Script::with_accounts(2)).expect("a pretend issuer");
        let mut home = Home::new();
        home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        let tokens = [0, 1].map(|index| pretend.issue(index).expect("an account"));
        let [one, two] = tokens.map(|tokens| tokens.refresh_token);
        let refresh = match packed {
            true => format!("{one}|account-one||{two}|account-two"),
            false => one,
        };
        let auth = json!({"openai": {"type": "oauth", "refresh": refresh, "access": "", "expires": 0},
            "x": {"type": "api", "key": "k"}});
        let path = home.write(AUTH, auth.to_string());
        let shown = pick(&home, "--format access-token");
        let current = pretend.current(0).expect("tokens");
        assert_eq!(
            shown.stdout,
            format!("{}\n", current.access_token),
            "{shown}"
        );
        let text = fs::read(&path).expect("auth.json");
        let after: Value = serde_json::from_slice(&text).expect("auth.json");
        let expected = match packed {
            true => format!("{}|account-one||{two}|account-two", current.refresh_token),
            false => current.refresh_token,
        };
        assert_eq!(after["openai"]["refresh"], json!(expected));
        assert_eq!(after["x"], auth["x"]);
        assert!(!home.store_path().exists(), "no store is created");
    }
}
