//! `codex-accounts`: what a person does with their accounts. What they see of them is in
//! [`accounts_view`](super::accounts_view).

use codex_accounts::rehearse::{Answer, Pretend, Script};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::support::accounts::{access_token, account, jwt, store};
use super::support::people::{after, all_states, and, home, limited, two, with, with_issuer};
use super::support::{CLOCK, Home};

// --- Changes.

#[test]
fn use_changes_the_active_account_and_back() {
    let mut home = home(["one", "two", "three"].map(account));
    let mut clock = CLOCK;
    let mut used = |account: &str| {
        clock += 1;
        home.set("CODEX_ACCOUNTS_CLOCK", clock.to_string());
        home.sh(&format!("codex-accounts use {account}"))
            .to_string()
    };
    let shown = ["three", "-", "-", "two@example.com", "-"].map(&mut used);
    insta::assert_snapshot!(shown.join("\n"), @"
    --- stderr
    codex-accounts: 2 three is the active account
    --- exit 0
    --- stderr
    codex-accounts: 0 one is the active account
    --- exit 0
    --- stderr
    codex-accounts: 2 three is the active account
    --- exit 0
    --- stderr
    codex-accounts: 1 two is the active account
    --- exit 0
    --- stderr
    codex-accounts: 2 three is the active account
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][2]["lastSwitchReason"], "rotation");
    insta::assert_snapshot!(two().sh("codex-accounts use -"), @"
    --- stderr
    codex-accounts: error: no other account was active before
    --- exit 1
    ");
}

#[test]
fn use_refuses_what_cannot_be_used() {
    let home = all_states();
    insta::assert_snapshot!(home.sh("codex-accounts use personal"), @"
    --- stderr
    codex-accounts: 1 personal is limited until 21:29; others are picked till then
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts use old"), @"
    --- stderr
    codex-accounts: error: 'old' needs a login (refresh_token_reused)
    hint: codex-accounts add 3
    --- exit 77
    ");
    insta::assert_snapshot!(home.sh("codex-accounts use spare"), @"
    --- stderr
    codex-accounts: error: 'spare' is disabled
    hint: codex-accounts enable 4
    --- exit 1
    ");
}

#[test]
fn disabling_the_active_account_moves_activity_on() {
    let home = two();
    insta::assert_snapshot!(home.sh("codex-accounts disable work && codex-account-pick --format id"), @"
    acc-personal
    --- stderr
    codex-accounts: 0 work is disabled
    codex-accounts: 1 personal is the active account
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts enable 0 && codex-accounts use 0"), @"
    --- stderr
    codex-accounts: 0 work is enabled
    codex-accounts: 0 work is the active account
    --- exit 0
    ");
}

#[test]
fn activity_that_was_moved_on_is_in_the_log() {
    let mut home = home(["one", "two", "three"].map(account));
    home.sh("codex-accounts disable one");
    home.sh("codex-accounts remove --yes --keep-login two");
    home.set("COLUMNS", "60");
    insta::assert_snapshot!(home.sh("codex-accounts log"), @"
    05-04 19:24  0 one  → 1 two    disabled
    05-04 19:24  1 two  → 1 three  removed
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts disable three"), @"
    --- stderr
    codex-accounts: 1 three is disabled
    codex-accounts: no other account can be used now
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts log --json | tail -n 1"), @r#"
    {"v":1,"at":1777922696000,"from":"two","to":"three","reason":"removed","fromIndex":1,"toIndex":1}
    --- exit 0
    "#);
}

#[test]
fn labels_stand_for_one_account() {
    let home = two();
    insta::assert_snapshot!(home.sh("codex-accounts label 1 home && codex-accounts label home ''"), @"
    --- stderr
    codex-accounts: account 1 is called home
    codex-accounts: account 1 is called personal@example.com
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts label 1 work"), @"
    --- stderr
    codex-accounts: error: 'work' already stands for account 0
    --- exit 2
    ");
    insta::assert_snapshot!(home.sh("codex-accounts label 1 7"), @"
    --- stderr
    codex-accounts: error: a label must not be a number: '7' would be taken for an index
    --- exit 2
    ");
    assert_eq!(home.store()["accounts"][1].get("label"), None);
}

#[test]
fn clear_lifts_limits_by_hand() {
    let limits =
        json!({"default": {"until": after(900)}, "codex_bengalfox": {"until": after(900)}});
    let fields = json!({"limits": limits, "rateLimitResetTime": after(900)});
    let home = home([with("work", fields.clone()), with("personal", fields)]);
    insta::assert_snapshot!(home.sh("codex-accounts clear work --scope codex_bengalfox"), @"
    --- stderr
    codex-accounts: lifted for 0 work: codex_bengalfox
    --- exit 0
    ");
    assert_eq!(
        home.store()["accounts"][0]["limits"]
            .as_object()
            .map(|it| it.len()),
        Some(1)
    );
    insta::assert_snapshot!(home.sh("codex-accounts clear --all"), @"
    --- stderr
    codex-accounts: lifted for 0 work: default
    codex-accounts: lifted for 1 personal: codex_bengalfox, default
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][1].get("rateLimitResetTime"), None);
    insta::assert_snapshot!(home.sh("codex-accounts clear work"), @"
    --- stderr
    codex-accounts: there was no limit to lift
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts clear work --scope default"), @"
    --- stderr
    codex-accounts: there was no limit to lift
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts clear work --scope weekly"), @"
    --- stderr
    codex-accounts: error: 0 work has no limit called 'weekly'
    hint: there is no limit at all
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts clear"), @"
    --- stderr
    codex-accounts: error: the following required arguments were not provided: <ACCOUNT|--all>
    hint: -h shows the usage
    --- exit 2
    ");
}

#[test]
fn a_slip_of_the_finger_is_answered_with_the_nearest() {
    let home = two();
    insta::assert_snapshot!(home.sh("codex-accounts use wrok"), @"
    --- stderr
    codex-accounts: error: no account is called 'wrok'
    hint: did you mean 'work'? there is 0 work, 1 personal
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts lst"), @"
    --- stderr
    codex-accounts: error: unrecognized subcommand 'lst'
    hint: some similar subcommands exist: 'ls', 'list'
    --- exit 2
    ");
    insta::assert_snapshot!(home.sh("codex-accounts import opencod"), @"
    --- stderr
    codex-accounts: error: 'opencod': No such file or directory (os error 2)
    hint: did you mean 'opencode'? It stands for that program's own login
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts --json list"), @"
    --- stderr
    codex-accounts: error: a flag of 'status' stands before another subcommand
    hint: write it after the subcommand
    --- exit 2
    ");
}

#[test]
fn an_unknown_scope_is_answered_with_those_there_are() {
    let limits =
        json!({"default": {"until": after(900)}, "codex_bengalfox": {"until": after(900)}});
    let fields = json!({"limits": limits, "rateLimitResetTime": after(900)});
    let home = home([with("work", fields), account("personal")]);
    insta::assert_snapshot!(home.sh("codex-accounts clear work --scope weekly"), @"
    --- stderr
    codex-accounts: error: 0 work has no limit called 'weekly'
    hint: there is codex_bengalfox, default
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts clear --all --scope weekly"), @"
    --- stderr
    codex-accounts: error: no account has a limit called 'weekly'
    hint: there is codex_bengalfox, default
    --- exit 1
    ");
    assert_eq!(home.store()["accounts"][0]["limits"], limits);
}

#[test]
fn the_words_of_other_programs_are_understood() {
    let home = two();
    let same = |one: &str, other: &str| {
        let run = |command: &str| home.sh(&format!("codex-accounts {command}")).to_string();
        assert_eq!(run(one), run(other), "{one} and {other}");
    };
    same("ls", "list");
    same("switch 0", "use 0");
    same("rename 0 work", "label 0 work");
    same("rm 7", "remove 7");
    same("delete 7", "remove 7");
    same("logout 7", "remove 7");
    same("login --max 1", "add --max 1");
    same("help", "-h");
    same("help doctor", "doctor -h");
    same("--color always list", "list --color always");
    same("--color always log", "log --color always");
    insta::assert_snapshot!(home.sh("codex-accounts help nothing"), @"
    --- stderr
    codex-accounts: error: unrecognized subcommand 'nothing'
    hint: -h shows the usage
    --- exit 2
    ");
}

#[test]
fn path_tells_where_the_store_is() {
    let home = Home::new();
    insta::assert_snapshot!(home.sh("codex-accounts path; codex-accounts --store x.json path"), @"
    $HOME/.local/share/opencode/openai-codex-accounts.json
    x.json
    --- exit 0
    ");
}

// --- remove.

fn revoked(pretend: &Pretend) -> usize {
    let seen = pretend.seen();
    seen.iter()
        .filter(|seen| seen.is("POST", "/oauth/revoke"))
        .count()
}

#[test]
fn remove_ends_the_login_and_moves_activity_on() {
    let (pretend, home) = with_issuer();
    insta::assert_snapshot!(home.sh("codex-accounts remove --yes one"), @"
    --- stderr
    codex-accounts: 0 one is removed
    codex-accounts: 0 two is the active account
    --- exit 0
    ");
    assert_eq!(revoked(&pretend), 1);
    assert_eq!(home.store()["accounts"][0]["label"], "two");
    assert_eq!(home.store()["activeIndex"], 0);
    insta::assert_snapshot!(home.sh("codex-accounts remove --yes --keep-login two; codex-accounts"), @"
    --- stderr
    codex-accounts: 0 two is removed
    codex-accounts: its login was not ended; other programs can go on using it
    codex-accounts: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    assert_eq!(revoked(&pretend), 1);
}

#[test]
fn remove_says_when_the_login_could_not_be_ended() {
    let (pretend, home) = with_issuer();
    let refused = Answer::raw(503, &[], "down");
    pretend.change(|script| script.answers_at.insert("/oauth/revoke".into(), refused));
    insta::assert_snapshot!(home.sh("codex-accounts remove --yes 1"), @"
    --- stderr
    codex-accounts: 1 two is removed
    codex-accounts: its login could not be ended at http://127.0.0.1:PORT: the issuer refuses to end it (503)
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn remove_asks_first() {
    let (pretend, home) = with_issuer();
    insta::assert_snapshot!(home.sh("codex-accounts remove one"), @"
    --- stderr
    codex-accounts: error: there is nobody to ask: standard input is no terminal
    hint: --yes does it without asking
    --- exit 2
    ");
    let answered = |answer: &str| {
        let script = "script -qec 'codex-accounts remove one' /dev/null";
        let shown = home.sh_with(script, format!("{answer}\n"));
        format!("{}--- exit {}", shown.stdout.replace('\r', ""), shown.code)
    };
    assert!(
        answered("n").ends_with("nothing was changed\n--- exit 1"),
        "{}",
        answered("n")
    );
    assert_eq!(revoked(&pretend), 0);
    assert!(answered("y").ends_with("--- exit 0"));
    assert_eq!(revoked(&pretend), 1);
}

// --- import and export.

fn opencode_auth(label: &str) -> Value {
    json!({"openai": {"type": "oauth", "refresh": format!("CANARY-{label}"),
        "access": access_token(label), "expires": after(864_000), "accountId": format!("acc-{label}")}})
}

fn codex_auth(label: &str, refreshed: &str) -> Value {
    json!({"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {
        "id_token": access_token(label), "access_token": access_token(label),
        "refresh_token": format!("CANARY-{label}-{refreshed}"), "account_id": format!("acc-{label}"),
    }, "last_refresh": refreshed})
}

/// A home with a login file of each kind.
fn login_files() -> Home {
    let home = Home::new();
    let write = |path: &str, text: &Value| drop(home.write(path, text.to_string()));
    write(".local/share/opencode/auth.json", &opencode_auth("first"));
    write(
        ".codex/auth.json",
        &codex_auth("second", "2026-05-01T00:00:00Z"),
    );
    write(
        "packed.json",
        &json!({"openai": {"type": "oauth", "refresh": "CANARY-a|acc-a||CANARY-b"}}),
    );
    write(
        "plugin.json",
        &json!({"version": 3, "activeIndexByFamily": {"codex": 0}, "accounts": [
        {"refreshToken": "CANARY-third", "accountId": "acc-third", "email": "third@example.com",
         "accountLabel": "third", "addedAt": 1, "lastUsed": 1, "rateLimitResetTimes": {"codex": 9}}]}),
    );
    write(
        "proxy/codex-fourth.json",
        &json!({"type": "codex", "refresh_token": "CANARY-fourth",
        "access_token": access_token("fourth"), "account_id": "acc-fourth",
        "email": "fourth@example.com", "last_refresh": "2026-05-01T00:00:00Z"}),
    );
    write(
        "proxy/gemini.json",
        &json!({"type": "gemini", "refresh_token": "CANARY"}),
    );
    home
}

#[test]
fn import_reads_every_kind_of_login_file() {
    let home = login_files();
    let script = "codex-accounts import codex packed.json plugin.json proxy && codex-accounts list";
    insta::assert_snapshot!(home.sh(script), @"
    added    0 first@example.com, from '$HOME/.local/share/opencode/auth.json'
    added    1 second@example.com, from '$HOME/.codex/auth.json'
    added    2 acc-a, from 'packed.json'
    added    3 unnamed account, from 'packed.json'
    added    4 third, from 'plugin.json'
    added    5 fourth@example.com, from 'proxy/codex-fourth.json'
          LABEL  EMAIL               PLAN  STATE  LAST USED
    *  0  -      first@example.com   plus  ready  never
       1  -      second@example.com  plus  ready  never
       2  -      acc-a               -     ready  never
       3  -      unnamed account     -     ready  never
       4  third  third@example.com   -     ready  1 Jan 00:00
       5  -      fourth@example.com  plus  ready  never
    --- stderr
    codex-accounts: this login is Codex CLI's too: 'codex login' and 'codex logout' end it for both
    --- exit 0
    ");
}

#[test]
fn a_dry_run_changes_nothing() {
    let home = login_files();
    insta::assert_snapshot!(home.sh("codex-accounts import --dry-run opencode codex"), @"
    added    0 first@example.com, from '$HOME/.local/share/opencode/auth.json'
    added    1 second@example.com, from '$HOME/.codex/auth.json'
    --- exit 0
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn of_two_files_of_one_account_the_later_refreshed_wins() {
    let home = Home::new();
    let file = |name: &str, refreshed: &str| {
        home.write(name, codex_auth("work", refreshed).to_string());
    };
    file("old.json", "2026-05-01T00:00:00Z");
    file("new.json", "2026-05-02T00:00:00Z");
    let token = || home.store()["accounts"][0]["refreshToken"].clone();
    insta::assert_snapshot!(home.sh("codex-accounts import old.json new.json"), @"
    added    0 work@example.com, from 'old.json'
    renewed  0 work@example.com, from 'new.json'
    --- exit 0
    ");
    assert_eq!(token(), "CANARY-work-2026-05-02T00:00:00Z");
    insta::assert_snapshot!(home.sh("codex-accounts import old.json new.json"), @"
    kept     0 work@example.com, from 'old.json': the tokens here are no older
    same     0 work@example.com, from 'new.json'
    --- exit 0
    ");
    assert_eq!(token(), "CANARY-work-2026-05-02T00:00:00Z");
}

#[test]
fn import_tells_seats_and_workspaces_apart() {
    let home = Home::new();
    let member = |user: &str, account: &str, plan: &str| {
        let claims = json!({"email": "Me@Example.com", "exp": CLOCK, "https://api.openai.com/auth": {
            "chatgpt_account_id": account, "chatgpt_user_id": user, "chatgpt_plan_type": plan}});
        json!({"type": "codex", "refresh_token": format!("CANARY-{user}-{account}-{plan}"),
            "id_token": jwt(&claims), "last_refresh": "2026-05-01T00:00:00Z"})
    };
    for (name, file) in [
        ("1", member("u1", "team", "business")),
        ("2", member("u2", "team", "business")),
        ("3", member("u1", "personal", "plus")),
        ("4", member("u1", "personal", "pro")),
    ] {
        home.write(format!("logins/{name}.json"), file.to_string());
    }
    insta::assert_snapshot!(home.sh("codex-accounts import logins && codex-accounts list"), @"
    added    0 Me@Example.com, from 'logins/1.json'
    added    1 Me@Example.com, from 'logins/2.json'
    added    2 Me@Example.com, from 'logins/3.json'
    kept     2 Me@Example.com, from 'logins/4.json': the tokens here are no older
          LABEL  EMAIL               PLAN      STATE  LAST USED
    *  0  -      Me@Example.com      business  ready  never
       1  -      Me@Example.com …u2  business  ready  never
       2  -      Me@Example.com      plus      ready  never
    --- exit 0
    ");
}

#[test]
fn import_revives_a_dead_login_and_leaves_a_choice_alone() {
    let dead = json!({"loginRequired": {"code": "refresh_token_expired", "at": 1}});
    let home = home([
        with("work", dead),
        with("personal", json!({"enabled": false})),
    ]);
    let exported = store(["work", "personal"].map(|label| {
        with(
            label,
            json!({"refreshToken": format!("CANARY-{label}-new"), "refreshedAt": after(0)}),
        )
    }));
    home.write("exported.json", exported.to_string());
    insta::assert_snapshot!(home.sh("codex-accounts import exported.json && codex-accounts list"), @"
    renewed  0 work, from 'exported.json'
    renewed  1 personal, from 'exported.json'
          LABEL     EMAIL                 PLAN  STATE     LAST USED
    *  0  work      work@example.com      plus  ready     never
       1  personal  personal@example.com  plus  disabled  never
    --- exit 0
    ");
}

#[test]
fn what_is_no_login_file_is_named() {
    let home = login_files();
    home.write("none.json", r#"{"name": "x"}"#);
    home.write("half.json", r#"{"openai": {"type": "oau"#);
    for file in ["none.json", "half.json", "missing.json", "-"] {
        let shown = home.sh(&format!("codex-accounts import {file}"));
        assert!(
            shown.stdout.is_empty() && shown.stderr.contains("error: "),
            "{shown}"
        );
    }
    insta::assert_snapshot!(home.sh("codex-accounts import packed.json half.json"), @"
    --- stderr
    codex-accounts: error: 'half.json': not valid JSON at line 1, column 24
    --- exit 65
    ");
    assert!(!home.store_path().exists(), "all of it or nothing");
}

#[test]
fn an_export_has_secrets_only_for_who_asks() {
    let home = home([
        with("work", json!({"secretOfAnother": "CANARY"})),
        account("personal"),
    ]);
    insta::assert_snapshot!(home.sh("codex-accounts export"), @r#"
    {
      "version": 1,
      "accounts": [
        {
          "chatgptAccountId": "acc-work",
          "email": "work@example.com",
          "addedAt": 1777836296000,
          "lastUsed": 0,
          "chatgptUserId": "user-work",
          "planType": "plus",
          "label": "work",
          "expiresAt": 1778786696000,
          "refreshedAt": 1777836296000
        },
        {
          "chatgptAccountId": "acc-personal",
          "email": "personal@example.com",
          "addedAt": 1777836296000,
          "lastUsed": 0,
          "chatgptUserId": "user-personal",
          "planType": "plus",
          "label": "personal",
          "expiresAt": 1778786696000,
          "refreshedAt": 1777836296000
        }
      ],
      "activeIndex": 0
    }
    --- stderr
    codex-accounts: the tokens are left out, and what other programs keep there; --with-secrets prints them too
    --- exit 0
    "#);
    let refused = home.sh("codex-accounts export > plain.json; codex-accounts import plain.json");
    insta::assert_snapshot!(refused, @"
    --- stderr
    codex-accounts: the tokens are left out, and what other programs keep there; --with-secrets prints them too
    codex-accounts: error: 'plain.json': it has no refresh tokens: it was exported without --with-secrets
    --- exit 65
    ");
    let script = "script -qec 'codex-accounts export --with-secrets' /dev/null";
    let shown = home.sh(script);
    assert!(
        shown.code == 77 && !shown.stdout.contains("CANARY"),
        "{shown}"
    );
}

#[test]
fn an_export_with_secrets_makes_the_same_store_elsewhere() {
    let (here, there) = (two(), Home::new());
    let exported = here.sh("codex-accounts export --with-secrets");
    let shown = there.sh_with("codex-accounts import -", exported.stdout.clone());
    insta::assert_snapshot!(shown, @"
    added    0 work, from standard input
    added    1 personal, from standard input
    --- exit 0
    ");
    assert_eq!(there.store(), here.store());
    let packed = here.sh("codex-token-encode --from-store").stdout;
    let shown = there.sh_with("codex-token-decode | codex-accounts import -", packed);
    insta::assert_snapshot!(shown, @"
    same     0 work, from standard input
    same     1 personal, from standard input
    --- exit 0
    ");
}

// --- The log.

#[test]
fn the_log_tells_who_followed_whom_and_why() {
    let home = home([with("work", limited(7500)), account("personal")]);
    insta::assert_snapshot!(home.sh("codex-accounts log"), @"
    --- stderr
    codex-accounts: the active account has not changed yet
    --- exit 0
    ");
    home.sh("codex-account-pick; codex-account-pick --strategy round-robin --exclude work");
    home.sh("codex-accounts clear work; codex-account-pick --strategy round-robin; codex-accounts use 1");
    insta::assert_snapshot!(home.sh("codex-accounts log"), @"
    05-04 19:24  0 work      → 1 personal  limited until 21:29
    05-04 19:24  1 personal  → 0 work      rotation
    05-04 19:24  0 work      → 1 personal  by hand
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts log -n 0"), @"--- exit 0");
    insta::assert_snapshot!(home.sh("codex-accounts log -n 1 --json"), @r#"
    {"v":1,"at":1777922696000,"from":"work","to":"personal","reason":"by hand","fromIndex":0,"toIndex":1}
    --- exit 0
    "#);
    let other = home.sh("codex-accounts --store other.json log");
    assert_eq!(other.stdout, "", "each store has its own");
}

#[test]
fn the_log_and_the_list_keep_to_the_width() {
    let long = json!({"label": null, "email": "a.very.long.address@subdomain.company.example",
        "planType": "business"});
    let mut home = home([
        with("one", and(limited(90_000), long.clone())),
        with("two", and(limited(300_000), long)),
        account("会社のアカウントはここにあります"),
    ]);
    home.sh("codex-account-pick; codex-accounts use 0");
    home.set("COLUMNS", "60");
    insta::assert_snapshot!(home.sh("codex-accounts log; codex-accounts list"), @"
    05-04 19:24  0 a.very.…  → 2 会社…   limited until Tue 20:24
    05-04 19:24  2 会社の…   → 0 a.ver…  by hand
          LABEL            EMAIL             PLAN      STATE
    *  0  -                a.very.lo… …-one  business  back Tue
       1  -                a.very.lo… …-two  business  back Fri
       2  会社のアカウン…  会社のアカウン…   plus      ready
    --- exit 0
    ");
    for columns in 20..130 {
        home.set("COLUMNS", columns.to_string());
        let shown = home.sh("codex-accounts log; codex-accounts list").stdout;
        let widest = shown.lines().map(UnicodeWidthStr::width).max();
        assert!(widest <= Some(columns), "{columns}:\n{shown}");
    }
    home.unset("COLUMNS");
    let piped = home.sh("codex-accounts log; codex-accounts list").stdout;
    let whole = piped.matches("a.very.long.address@subdomain.company.example");
    assert_eq!(whole.count(), 4, "a pipe gets all of it: {piped}");
}

/// What turns a terminal red, moves its cursor, and reads from right to left.
const COMMANDS: &str = "\x1b[31m\x07\u{9b}2J\u{202e}\u{2066}";

#[test]
fn what_others_wrote_does_not_command_the_terminal() {
    let bad = |name: &str| {
        with(
            name,
            json!({"label": null, "email": format!("{name}{COMMANDS}@example.com"),
                "planType": format!("plus{COMMANDS}"), "chatgptAccountId": format!("acc{COMMANDS}")}),
        )
    };
    let dead = json!({"loginRequired": {"code": format!("dead{COMMANDS}"), "at": 1}});
    let spark = json!({"limits": {format!("spark{COMMANDS}"): {"until": after(900)}}});
    let home = home([
        bad("one"),
        and(bad("two"), spark),
        and(bad("three"), dead),
        and(bad("four"), json!({"enabled": false})),
    ]);
    for command in [
        "",
        "list",
        "use 1",
        "use 2",
        "use 3",
        "use nobody",
        "use acc",
        "log",
        "label 1 ''",
        "clear 1",
        "clear 1 --scope other",
        "disable 1",
        "enable 3",
        "doctor",
        "remove 1 --yes --keep-login",
        "doctor --restore </dev/null",
        "import \"$(printf 'no\\033[31mfile')\"",
        "--store \"$(printf 'no\\033[31mfile')\" use 0",
    ] {
        let shown = home.sh(&format!("codex-accounts {command}"));
        let said = format!("{}{}", shown.stdout, shown.stderr);
        let commands = |c: char| {
            (c.is_control() && c != '\n')
                || COMMANDS[1..].chars().any(|it| it == c && !it.is_ascii())
        };
        assert!(!said.contains(commands), "{command}: {said:?}");
    }
    let on_terminal = home.sh_with("script -qec 'codex-accounts remove 0' /dev/null", "n\n");
    assert!(!on_terminal.stdout.contains("\x1b[31m"), "{on_terminal}");
}

// --- completions.

#[test]
fn completions_know_all_commands_and_the_accounts() {
    let home = two();
    for shell in ["bash", "zsh", "fish"] {
        let script = home
            .sh(&format!("codex-accounts completions {shell}"))
            .stdout;
        for command in std::fs::read_dir("bin").expect("the commands") {
            let command = command.expect("a command").path();
            let name = command
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            assert!(script.contains(&name), "{shell} {name}");
        }
    }
    let completed = |words: &str| {
        let script = format!(
            r#"bash -c '. <(codex-accounts completions bash); COMP_WORDS=({words} "");
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9
            _clap_complete_${{COMP_WORDS//-/_}} "$COMP_WORDS" ""; echo "${{COMPREPLY[@]}}"'"#
        );
        home.sh(&script).to_string()
    };
    insta::assert_snapshot!(completed("codex-accounts use"), @"
    work personal --color --store --quiet --help --version
    --- exit 0
    ");
    insta::assert_snapshot!(completed("codex-accounts completions"), @"
    bash zsh fish --color --store --quiet --help --version
    --- exit 0
    ");
    assert!(completed("codex-launch").starts_with("opencode codex "));
    // What comes behind the command is the command's.
    let own = completed("codex-launch codex");
    assert!(!own.contains("opencode"), "{own}");
    // The subcommands by the names that the page has, and each once.
    let subcommands = completed("codex-accounts");
    for (name, other) in [("use", "switch"), ("remove", "delete"), ("add", "login")] {
        let words: Vec<&str> = subcommands.split_whitespace().collect();
        assert!(
            words.contains(&name) && !words.contains(&other),
            "{subcommands}"
        );
    }
    assert!(completed("codex-accounts rm").starts_with("work personal "));
    insta::assert_snapshot!(completed("codex-account-pick --account"), @"
    work personal
    --- exit 0
    ");
}

// --- add.

#[test]
fn add_logs_in_and_revives_what_was_logged_out() {
    let mut script = Script::with_accounts(1);
    script.any_port = true;
    let pretend = Pretend::start(script).expect("the pretend server starts");
    let dead = json!({"loginRequired": {"code": "refresh_token_expired", "at": 1},
        "chatgptAccountId": "account-one", "chatgptUserId": "user-one"});
    let mut home = home([with("work", dead)]);
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    home.install_browser();
    insta::assert_snapshot!(home.sh("codex-accounts add --port 0 2>&1 | grep -v http"), @"
    codex-accounts: log in with the browser; its page is
    codex-accounts: renewed the login of work, account 0
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][0].get("loginRequired"), None);
    insta::assert_snapshot!(home.sh("codex-accounts add --max 1"), @"
    --- stderr
    codex-accounts: error: there is 1 account already
    hint: --max 2 lets one more in
    --- exit 1
    ");
}
