//! `codex-accounts`: what a person sees of their accounts, and what they do with them.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use codex_accounts::rehearse::{Answer, Pretend, Script};
use serde_json::{Value, json};

use super::support::accounts::{access_token, account, jwt, store};
use super::support::pretend::now_millis;
use super::support::{CLOCK, Home};

/// A home with these accounts, the first of them active.
fn home(accounts: impl IntoIterator<Item = Value>) -> Home {
    let home = Home::new();
    home.write_store(&store(accounts));
    home
}

fn two() -> Home {
    home([account("work"), account("personal")])
}

/// The account with some fields set.
fn with(label: &str, fields: Value) -> Value {
    let mut account = account(label);
    let fields = fields.as_object().expect("fields").clone();
    account.as_object_mut().expect("an account").extend(fields);
    account
}

/// In the store's milliseconds, so many seconds after the clock.
fn after(secs: i64) -> u64 {
    CLOCK.saturating_add_signed(secs) * 1000
}

fn usage(short: f64, weekly: f64, age: i64) -> Value {
    json!({"windows": [
        {"minutes": 300, "usedPercent": short, "resetsAt": after(7500)},
        {"minutes": 10_080, "usedPercent": weekly, "resetsAt": after(316_705)},
    ], "observedAt": after(-age)})
}

fn limited(until: u64) -> Value {
    json!({"default": {"until": until, "class": "quota", "source": "body.resets_at",
        "markedAt": after(-60), "windowMinutes": 300}})
}

/// Accounts in every state.
fn all_states() -> Home {
    let mut nameless = with(
        "team",
        json!({"email": "maria.schmidt@company.example", "planType": "business",
            "usage": usage(88.0, 95.5, 200_000), "lastUsed": after(-90_000)}),
    );
    nameless
        .as_object_mut()
        .expect("an account")
        .remove("label");
    home([
        with(
            "work",
            json!({"usage": usage(18.0, 31.0, 180), "lastUsed": after(-200)}),
        ),
        with(
            "personal",
            json!({"usage": usage(100.0, 64.0, 3700), "limits": limited(after(7500)),
                "rateLimitResetTime": after(7500), "planType": "pro"}),
        ),
        nameless,
        with(
            "old",
            json!({"loginRequired": {"code": "refresh_token_reused", "at": after(-9)}}),
        ),
        with("spare", json!({"enabled": false})),
    ])
}

fn status(home: &mut Home, columns: u32) -> String {
    home.set("COLUMNS", columns.to_string());
    home.sh("codex-accounts").to_string()
}

// --- The view.

#[test]
fn the_status_view_shows_what_the_width_has_room_for() {
    let mut home = all_states();
    insta::assert_snapshot!(status(&mut home, 120), @"
         ACCOUNT               PLAN      STATE                               5 H LEFT           WEEK LEFT        AGE
    ● 0  work                  plus      ready                               █████░  82% 21:29  ████░░  69% Fri  3 min
      1  personal              pro       limited until 21:29 (in 2 h 5 min)  ░░░░░░   0% 21:29  ██░░░░  36% Fri  1 h
      2  maria.schmidt@compa…  business  ready                               █░░░░░  12% 21:29  █░░░░░   5% Fri  2 d
      3  old                   plus      login needed                        -                  -                -
      4  spare                 plus      disabled                            -                  -                -

    the next request goes to work; when that is limited, to maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT         STATE                5 H LEFT         WEEK LEFT      AGE
    ● 0  work            ready                ███░  82% 21:29  ███░  69% Fri  3 min
      1  personal        limited until 21:29  ░░░░   0% 21:29  █░░░  36% Fri  1 h
      2  maria.schmidt…  ready                █░░░  12% 21:29  █░░░   5% Fri  2 d
      3  old             login needed         -                -              -
      4  spare           disabled             -                -              -

    the next request goes to work; when that is limited, to
      maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT       STATE                5 H LEFT  WEEK LEFT
    ● 0  work          ready                 82%       69%
      1  personal      limited until 21:29    0%       36%
      2  maria.schmi…  ready                 12%        5%
      3  old           login needed         -         -
      4  spare         disabled             -         -

    the next request goes to work; when that is limited, to
      maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts
      add
    --- exit 0
    ");
}

#[test]
fn the_status_view_of_two_accounts() {
    let mut home = home([
        with("work", json!({"usage": usage(18.0, 31.0, 180)})),
        with(
            "personal",
            json!({"limits": limited(after(7500)), "rateLimitResetTime": after(7500)}),
        ),
    ]);
    insta::assert_snapshot!(status(&mut home, 120), @"
         ACCOUNT   PLAN  STATE                               5 H LEFT               WEEK LEFT                  AGE
    ● 0  work      plus  ready                               ████████░░  82% 21:29  ███████░░░  69% Fri 11:23  3 min
      1  personal  plus  limited until 21:29 (in 2 h 5 min)  -                      -                          -

    the next request goes to work; personal is back at 21:29 (in 2 h 5 min)
    no figures of personal yet: codex-usage-fetch
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT   STATE                5 H LEFT          WEEK LEFT       AGE
    ● 0  work      ready                ████░  82% 21:29  ███░░  69% Fri  3 min
      1  personal  limited until 21:29  -                 -               -

    the next request goes to work; personal is back at 21:29 (in 2 h 5 min)
    no figures of personal yet: codex-usage-fetch
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT   STATE                5 H LEFT    WEEK LEFT
    ● 0  work      ready                 82% 21:29   69% Fri
      1  personal  limited until 21:29  -           -

    the next request goes to work; personal is back at 21:29 (in
      2 h 5 min)
    no figures of personal yet: codex-usage-fetch
    --- exit 0
    ");
}

#[test]
fn no_width_is_overstepped() {
    let mut home = all_states();
    for columns in 60..=130 {
        let shown = status(&mut home, columns);
        let widest = shown.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns as usize), "{columns}:\n{shown}");
    }
}

#[test]
fn the_status_view_without_unicode() {
    let mut home = all_states();
    home.set("LC_ALL", "C");
    insta::assert_snapshot!(home.sh("codex-accounts"), @"
         ACCOUNT         STATE                5 H LEFT         WEEK LEFT      AGE
    * 0  work            ready                ###.  82% 21:29  ###.  69% Fri  3 min
      1  personal        limited until 21:29  ....   0% 21:29  #...  36% Fri  1 h
      2  maria.schmidt~  ready                #...  12% 21:29  #...   5% Fri  2 d
      3  old             login needed         -                -              -
      4  spare           disabled             -                -              -

    the next request goes to work; when that is limited, to
      maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add
    --- exit 0
    ");
    assert!(home.sh("codex-accounts").stdout.is_ascii());
}

#[test]
fn the_status_view_in_colour() {
    let home = all_states();
    let shown = home.sh("codex-accounts --color always | sed 's/\\x1b/^/g'");
    insta::assert_snapshot!(shown, @"
         ^[2mACCOUNT^[0m         ^[2mSTATE^[0m                ^[2m5 H LEFT^[0m         ^[2mWEEK LEFT^[0m      ^[2mAGE^[0m
    ^[32m●^[0m^[2m 0^[0m  ^[1mwork^[0m            ^[32mready^[0m                ^[32m███^[0m^[2m░^[0m  82%^[2m 21:29^[0m  ^[32m███^[0m^[2m░^[0m  69%^[2m Fri^[0m  ^[2m3 min^[0m
     ^[2m 1^[0m  personal        ^[33mlimited until 21:29^[0m  ^[2m░░░░^[0m   0%^[2m 21:29^[0m  ^[32m█^[0m^[2m░░░^[0m  36%^[2m Fri^[0m  ^[2m1 h^[0m
     ^[2m 2^[0m  maria.schmidt…  ^[32mready^[0m                ^[33m█^[0m^[2m░░░^[0m  12%^[2m 21:29^[0m  ^[31m█^[0m^[2m░░░^[0m   5%^[2m Fri^[0m  ^[2m2 d^[0m
     ^[2m 3^[0m  old             ^[31mlogin needed^[0m         ^[2m-^[0m                ^[2m-^[0m              ^[2m-^[0m
     ^[2m 4^[0m  spare           ^[2mdisabled^[0m             ^[2m-^[0m                ^[2m-^[0m              ^[2m-^[0m

    the next request goes to work; when that is limited, to
      maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add
    --- exit 0
    ");
}

#[test]
fn colour_adds_nothing_that_has_to_be_read() {
    let mut home = all_states();
    for columns in ["60", "80", "120"] {
        home.set("COLUMNS", columns);
        let plain = home.sh("codex-accounts").stdout;
        let coloured = home.sh("codex-accounts --color always | sed 's/\\x1b\\[[0-9]*m//g'");
        assert_eq!(coloured.stdout, plain);
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let home = all_states();
    let coloured = |script: &str| home.sh(script).stdout.contains('\x1b');
    assert!(!coloured("codex-accounts"), "a pipe");
    assert!(coloured("CLICOLOR_FORCE=1 codex-accounts list"));
    assert!(!coloured("NO_COLOR=1 CLICOLOR_FORCE=1 codex-accounts"));
    assert!(coloured("NO_COLOR=1 codex-accounts --color always"));
    assert!(!coloured("CLICOLOR_FORCE=1 codex-accounts --color never"));
    // `script` gives the command a terminal.
    let on_terminal = "script -qec 'codex-accounts' /dev/null";
    assert!(coloured(&format!("TERM=xterm {on_terminal}")));
    assert!(!coloured(&format!("TERM=xterm NO_COLOR=1 {on_terminal}")));
    assert!(!coloured(&format!("TERM=dumb {on_terminal}")));
}

#[test]
fn a_table_lists_all_that_is_known() {
    insta::assert_snapshot!(all_states().sh("codex-accounts list"), @"
          LABEL     EMAIL                          PLAN      STATE                LAST USED
    *  0  work      work@example.com               plus      ready                19:21
       1  personal  personal@example.com           pro       limited until 21:29  never
       2  -         maria.schmidt@company.example  business  ready                Sun 18:24
       3  old       old@example.com                plus      login needed         never
       4  spare     spare@example.com              plus      disabled             never
    --- exit 0
    ");
}

#[test]
fn records_are_the_same_for_list_and_status() {
    let home = two();
    let shown = home.sh("codex-accounts list --json");
    insta::assert_snapshot!(shown, @r#"
    {"v":1,"index":0,"chatgptAccountId":"acc-work","chatgptUserId":"user-work","email":"work@example.com","label":"work","active":true,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1778786696000,"refreshedAt":1777836296000}
    {"v":1,"index":1,"chatgptAccountId":"acc-personal","chatgptUserId":"user-personal","email":"personal@example.com","label":"personal","active":false,"state":"ready","planType":"plus","enabled":true,"addedAt":1777836296000,"lastUsed":0,"expiresAt":1778786696000,"refreshedAt":1777836296000}
    --- exit 0
    "#);
    assert_eq!(home.sh("codex-accounts --json").stdout, shown.stdout);
    assert_eq!(home.sh("codex-accounts status --json").stdout, shown.stdout);
}

#[test]
fn a_limit_of_one_model_family_is_told_below() {
    let mut one = account("work");
    one["limits"] =
        json!({"codex_bengalfox": {"until": after(3600), "models": ["gpt-5.3-codex-spark"]}});
    insta::assert_snapshot!(home([one, account("personal")]).sh("codex-accounts"), @"
         ACCOUNT   PLAN  STATE  5 H LEFT  WEEK LEFT  AGE
    ● 0  work      plus  ready  -         -          -
      1  personal  plus  ready  -         -          -

    the next request goes to work; when that is limited, to personal
    0 work is limited until 20:24 for gpt-5.3-codex-spark
    no figures of 2 accounts yet: codex-usage-fetch
    --- exit 0
    ");
}

#[test]
fn whose_turn_it_is_when_nobody_can() {
    let limits = |secs| json!({"limits": limited(after(secs)), "rateLimitResetTime": after(secs)});
    let all_limited = home([with("work", limits(90_000)), with("personal", limits(90))]);
    insta::assert_snapshot!(all_limited.sh("codex-accounts"), @"
         ACCOUNT   PLAN  STATE                    5 H LEFT  WEEK LEFT  AGE
    ● 0  work      plus  limited until Tue 20:24  -         -          -
      1  personal  plus  limited until 19:26      -         -          -

    every account is limited; personal is back first, at 19:26 (in 2 min)
    no figures of 2 accounts yet: codex-usage-fetch
    --- exit 0
    ");
    let dead = json!({"loginRequired": {"code": "refresh_token_expired", "at": 1}});
    insta::assert_snapshot!(home([with("work", dead)]).sh("codex-accounts"), @"
         ACCOUNT  PLAN  STATE         5 H LEFT  WEEK LEFT  AGE
    ● 0  work     plus  login needed  -         -          -

    no account can be used without a new login
    0 work is logged out (refresh_token_expired): codex-accounts add
    --- exit 0
    ");
    let off = json!({"enabled": false});
    insta::assert_snapshot!(home([with("work", off)]).sh("codex-accounts"), @"
         ACCOUNT  PLAN  STATE     5 H LEFT  WEEK LEFT  AGE
    ● 0  work     plus  disabled  -         -          -

    no account is enabled
    --- exit 0
    ");
}

#[test]
fn without_accounts_the_way_in_is_told() {
    let home = Home::new();
    insta::assert_snapshot!(home.sh("codex-accounts"), @"
    --- stderr
    codex-accounts: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts list --json"), @"
    --- stderr
    codex-accounts: error: there are no accounts
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts use 0"), @"
    --- stderr
    codex-accounts: error: there is no account store at '$HOME/.local/share/opencode/openai-codex-accounts.json'
    hint: log in with 'codex-accounts add'
    --- exit 1
    ");
}

#[test]
fn a_login_of_opencode_is_shown_and_no_store_appears() {
    let home = Home::new();
    let auth =
        json!({"openai": {"type": "oauth", "refresh": "CANARY|acc", "access": "", "expires": 0}});
    home.write(".local/share/opencode/auth.json", auth.to_string());
    insta::assert_snapshot!(home.sh("codex-accounts"), @"
         ACCOUNT  PLAN  STATE  5 H LEFT  WEEK LEFT  AGE
    ● 0  acc      -     ready  -         -          -

    no figures of acc yet: codex-usage-fetch
    --- exit 0
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn times_are_local() {
    let mut home = home([with(
        "work",
        json!({"limits": limited(after(60)), "rateLimitResetTime": after(60)}),
    )]);
    home.set("TZ", "Asia/Tokyo");
    let shown = home.sh("codex-accounts");
    assert!(shown.stdout.contains("limited until 04:25"), "{shown}");
}

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
    hint: log in again with 'codex-accounts add'
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
    hint: a similar subcommand exists: 'list'
    --- exit 2
    ");
    insta::assert_snapshot!(home.sh("codex-accounts --json list"), @"
    --- stderr
    codex-accounts: error: a flag of 'status' stands before another subcommand
    hint: write it after the subcommand
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

/// A pretend issuer, and a home whose accounts it knows.
fn with_issuer() -> (Pretend, Home) {
    let pretend = Pretend::start(Script::with_accounts(2)).expect("the pretend server starts");
    let accounts = [0, 1].map(|index| {
        let tokens = pretend.issue(index).expect("tokens");
        let name = ["one", "two"][index];
        with(name, json!({"refreshToken": tokens.refresh_token, "accessToken": tokens.access_token,
            "chatgptAccountId": format!("account-{name}"), "chatgptUserId": format!("user-{name}")}))
    });
    let mut home = home(accounts);
    home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
    home.set("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
    (pretend, home)
}

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
    codex-accounts: its login could not be ended and lives on at http://127.0.0.1:PORT: the issuer did not accept the login (503)
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
    codex-accounts: Codex CLI uses this login too: 'codex login' and 'codex logout' end it for both
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
          LABEL  EMAIL           PLAN      STATE  LAST USED
    *  0  -      Me@Example.com  business  ready  never
       1  -      Me@Example.com  business  ready  never
       2  -      Me@Example.com  plus      ready  never
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
    --- exit 0
    "#);
    let refused = home.sh("codex-accounts export > plain.json; codex-accounts import plain.json");
    insta::assert_snapshot!(refused, @"
    --- stderr
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
    let limits = json!({"limits": limited(after(7500)), "rateLimitResetTime": after(7500)});
    let home = home([with("work", limits), account("personal")]);
    insta::assert_snapshot!(home.sh("codex-accounts log"), @"
    --- stderr
    codex-accounts: the active account has not changed yet
    --- exit 0
    ");
    home.sh("codex-account-pick; codex-account-pick --strategy round-robin --exclude work");
    home.sh("codex-accounts clear work; codex-account-pick --strategy round-robin; codex-accounts use 1");
    insta::assert_snapshot!(home.sh("codex-accounts log"), @"
    2026-05-04 19:24:56  work → personal  limited until 21:29
    2026-05-04 19:24:56  personal → work  rotation
    2026-05-04 19:24:56  work → personal  by hand
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts log -n 1 --json"), @r#"
    {"v":1,"at":1777922696000,"from":"work","to":"personal","reason":"by hand"}
    --- exit 0
    "#);
    let other = home.sh("codex-accounts --store other.json log");
    assert_eq!(other.stdout, "", "each store has its own");
}

// --- doctor.

/// What doctor says, without the ports: another test may be logging in on them.
fn doctor(home: &Home, flags: &str) -> String {
    let shown = home.sh(&format!("codex-accounts doctor {flags} 2>&1"));
    let lines = shown.stdout.lines();
    let lines = lines.filter(|line| line.split_whitespace().nth(1) != Some("ports"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.replace(&*home.path().to_string_lossy(), "$HOME");
    format!("{text}\n--- exit {}", shown.code)
}

#[test]
fn doctor_finds_a_healthy_set_up_well() {
    let home = Home::with_clients();
    home.write_store(&store([account("work"), account("personal")]));
    insta::assert_snapshot!(doctor(&home, ""), @"
    ok  store     2 accounts in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok  lock      it can be had
    ok  login     none is known to be dead
    ok  opencode  version 1.18.33
    ok  codex     version 0.169.0
    all is well
    --- exit 0
    ");
}

#[test]
fn doctor_names_what_mends_each_thing() {
    let mut home = all_states();
    let mut document = home.store();
    let accounts = document["accounts"].as_array_mut().expect("accounts");
    accounts.push(with(
        "twin",
        json!({"chatgptAccountId": "acc-work", "chatgptUserId": "user-work"}),
    ));
    accounts[4]["refreshedAt"] = json!(after(-40 * 86_400));
    accounts[0]["lease"] = json!({"until": after(-1), "pid": 1});
    home.write_store(&document);
    home.write(
        ".codex/auth.json",
        json!({"tokens": {"refresh_token": "CANARY-refresh-personal"}}).to_string(),
    );
    home.write(
        ".config/opencode/opencode.json",
        r#"{"plugin": ["oc-codex-multi-auth@1.2"]}"#,
    );
    let older =
        json!({"version": 3, "accounts": [{"refreshToken": "CANARY", "accountId": "acc-x"}]});
    home.write(".opencode/openai-codex-accounts.json", older.to_string());
    home.set("HTTP_PROXY", "http://user:CANARY@proxy.example:3128");
    insta::assert_snapshot!(doctor(&home, ""), @r#"
    ok     store     6 accounts in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok     lock      it can be had
    note   login     1 personal is Codex CLI's too: its 'codex logout' ends it for both
    wrong  login     3 old is logged out (refresh_token_reused): codex-accounts add
    note   login     4 spare was not renewed for 40 days, and may be dead: codex-token-refresh --force 4
    wrong  twice     0 work and 5 twin are one account: codex-accounts remove --keep-login 5
    note   lease     0 work is held by no process any more: codex-accounts doctor --fix
    note   opencode  not found in PATH
    note   codex     not found in PATH
    wrong  proxy     HTTP_PROXY is set, and NO_PROXY does not spare 127.0.0.1: export NO_PROXY="127.0.0.1,localhost,$NO_PROXY"
    wrong  plugin    the plugin oc-codex-multi-auth takes over the same requests: ${EDITOR:-vi} '$HOME/.config/opencode/opencode.json'
    note   import    accounts of an older tool are in '$HOME/.opencode/openai-codex-accounts.json': codex-accounts import '$HOME/.opencode/openai-codex-accounts.json'
    4 things are wrong
    --- exit 1
    "#);
}

#[test]
fn doctor_fix_mends_what_does_no_harm() {
    let home = home([with(
        "work",
        json!({"lease": {"until": after(-1), "pid": 1}}),
    )]);
    home.sh(
        "cd .local/share/opencode && chmod 644 openai-codex-accounts.json && \
             echo '{}' > .codex-accounts-AbCdEf && touch -d '1 hour ago' .codex-accounts-AbCdEf",
    );
    insta::assert_snapshot!(doctor(&home, ""), @"
    wrong  store     '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0644): chmod 600 '$HOME/.local/share/opencode/openai-codex-accounts.json'
    note   opencode  not found in PATH
    note   codex     not found in PATH
    one thing is wrong
    --- exit 1
    ");
    insta::assert_snapshot!(doctor(&home, "--fix"), @"
    codex-accounts: mended: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0644)
    codex-accounts: mended: a write that was cut off left '$HOME/.local/share/opencode/.codex-accounts-AbCdEf'
    codex-accounts: mended: 0 work is held by no process any more
    ok    store     1 account in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok    lock      it can be had
    ok    login     none is known to be dead
    note  opencode  not found in PATH
    note  codex     not found in PATH
    all is well
    --- exit 0
    ");
    let shown = home.sh("ls -A .local/share/opencode; stat -c %a .local/share/opencode/*.json");
    insta::assert_snapshot!(shown, @"
    openai-codex-accounts.json
    openai-codex-accounts.json.bak
    openai-codex-accounts.json.lock
    600
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][0].get("lease"), None);
}

#[test]
fn doctor_restores_the_backup_of_a_corrupt_store() {
    let home = two();
    home.sh("codex-accounts label work office");
    home.write(home.store_path(), "{\"version\":1,\"accounts\":[");
    insta::assert_snapshot!(doctor(&home, ""), @"
    wrong  store     '$HOME/.local/share/opencode/openai-codex-accounts.json' is left as it is: not valid JSON at byte 24 (line 1, column 25): codex-accounts doctor --restore
    note   opencode  not found in PATH
    note   codex     not found in PATH
    one thing is wrong
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts doctor --restore < /dev/null 2>&1 | sed 's/ of .* holds/ holds/'"), @"
    '$HOME/.local/share/opencode/openai-codex-accounts.json.bak' holds
      0 work
      1 personal
    codex-accounts: error: there is nobody to ask: standard input is no terminal
    hint: --yes does it without asking
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts doctor --restore --yes 2>&1 | sed 's/ of .* holds/ holds/'"), @"
    '$HOME/.local/share/opencode/openai-codex-accounts.json.bak' holds
      0 work
      1 personal
    codex-accounts: what was there is now '$HOME/.local/share/opencode/openai-codex-accounts.json.replaced'
    codex-accounts: '$HOME/.local/share/opencode/openai-codex-accounts.json' is brought back
    --- exit 0
    ");
    assert_eq!(home.store()["accounts"][0]["label"], "work");
    let kept = home
        .sh("cat .local/share/opencode/*.replaced; stat -c ' %a' .local/share/opencode/*.replaced");
    assert_eq!(kept.stdout, "{\"version\":1,\"accounts\":[ 600\n");
    insta::assert_snapshot!(Home::new().sh("codex-accounts doctor --restore"), @"
    --- stderr
    codex-accounts: error: there is no backup of '$HOME/.local/share/opencode/openai-codex-accounts.json'
    --- exit 1
    ");
}

#[test]
fn doctor_online_asks_the_servers() {
    let (pretend, mut home) = with_issuer();
    // The pretend server's time is the real one.
    insta::assert_snapshot!(doctor(&home, "--online | sed 's/is [0-9]* s behind/is N s behind/'"), @"
    ok     store     2 accounts in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok     lock      it can be had
    ok     login     none is known to be dead
    note   opencode  not found in PATH
    note   codex     not found in PATH
    wrong  clock     it is N s behind the issuer's: timedatectl set-ntp true
    ok     online    0 one answers
    ok     online    1 two answers
    one thing is wrong
    --- exit 0
    ");
    home.unset("CODEX_ACCOUNTS_CLOCK");
    pretend.kill(1);
    let mut document = home.store();
    for account in document["accounts"].as_array_mut().expect("accounts") {
        account["refreshedAt"] = json!(now_millis());
    }
    document["accounts"][1]["expiresAt"] = json!(1);
    home.write_store(&document);
    insta::assert_snapshot!(doctor(&home, "--online"), @"
    ok     store     2 accounts in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok     lock      it can be had
    ok     login     none is known to be dead
    note   opencode  not found in PATH
    note   codex     not found in PATH
    ok     clock     right to the minute
    ok     online    0 one answers
    wrong  online    1 two: 'two' needs a new login (refresh_token_invalidated): log in again with 'codex-accounts add'
    one thing is wrong
    --- exit 1
    ");
    home.set("CODEX_ACCOUNTS_ISSUER", "http://127.0.0.1:1");
    insta::assert_snapshot!(doctor(&home, "--online"), @"
    ok     store     2 accounts in '$HOME/.local/share/opencode/openai-codex-accounts.json'
    ok     lock      it can be had
    wrong  login     1 two is logged out (refresh_token_invalidated): codex-accounts add
    note   opencode  not found in PATH
    note   codex     not found in PATH
    wrong  issuer    no answer from 127.0.0.1: Connection refused (os error 111): curl -I http://127.0.0.1:1
    ok     online    0 one answers
    2 things are wrong
    --- exit 1
    ");
}

// --- completions, and the view that watches.

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
    work personal --store --quiet --help --version
    --- exit 0
    ");
    insta::assert_snapshot!(completed("codex-accounts completions"), @"
    bash zsh fish --store --quiet --help --version
    --- exit 0
    ");
    insta::assert_snapshot!(completed("codex-account-pick --account"), @"
    work personal
    --- exit 0
    ");
}

#[test]
fn watch_needs_a_terminal() {
    insta::assert_snapshot!(two().sh("codex-accounts --watch"), @"
    --- stderr
    codex-accounts: error: standard output is no terminal
    hint: leave --watch out, or use --json
    --- exit 2
    ");
}

/// What a command draws on a terminal, as it comes.
struct Drawn {
    child: Child,
    text: String,
}

impl Drawn {
    fn by(home: &Home, command: &str) -> Drawn {
        let mut script = home.std_command("script");
        let child = script
            .args(["-qfec", &format!("exec {command}"), "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let text = String::new();
        Drawn { child, text }
    }

    /// Waits until that was drawn.
    fn wait_for(&mut self, what: &str) {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        while !self.text.contains(what) {
            let mut bytes = [0; 4096];
            let count = stdout.read(&mut bytes).expect("more is drawn");
            assert_ne!(count, 0, "it ended: {:?}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Types Ctrl-C, and waits for the end.
    fn interrupt(mut self) -> (String, Option<i32>) {
        let mut stdin = self.child.stdin.take().expect("stdin is a pipe");
        stdin.write_all(b"\x03").expect("Ctrl-C is typed");
        let mut stdout = self.child.stdout.take().expect("stdout is a pipe");
        stdout.read_to_string(&mut self.text).expect("the rest");
        let status = self.child.wait().expect("it ends");
        (self.text, status.code())
    }
}

#[test]
fn watch_redraws_in_place_and_leaves_the_terminal_clean() {
    let mut home = two();
    home.set("TERM", "xterm");
    let mut drawn = Drawn::by(&home, "codex-accounts --watch");
    drawn.wait_for("Ctrl-C ends");
    home.sh("codex-accounts -q label 1 renamed");
    drawn.wait_for("renamed");
    let (drawn, code) = drawn.interrupt();
    assert_eq!(code, Some(0), "{drawn:?}");
    assert_eq!(drawn.matches("\x1b[?1049h").count(), 1, "{drawn:?}");
    let drawings = drawn.matches("\x1b[H").count();
    assert_eq!(drawings, 2, "only a change is drawn: {drawn:?}");
    assert!(!drawn.contains("\x1b[2J"), "nothing is blanked: {drawn:?}");
    let end = drawn.rsplit("\x1b[?2026l").next();
    assert_eq!(end, Some("\x1b[?25h\x1b[?1049l"), "{drawn:?}");
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
