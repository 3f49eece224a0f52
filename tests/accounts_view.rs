//! `codex-accounts` alone and `list`: what a person sees of their accounts, on terminals of every
//! kind.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::support::Home;
use super::support::accounts::account;
use super::support::people::{after, all_states, and, home, limited, two, usage, with};

fn status(home: &mut Home, columns: u32) -> String {
    home.set("COLUMNS", columns.to_string());
    home.sh("codex-accounts").to_string()
}

#[test]
fn the_status_view_shows_what_the_width_has_room_for() {
    let mut home = all_states();
    insta::assert_snapshot!(status(&mut home, 120), @"
         ACCOUNT              PLAN      STATE                               5 H LEFT    RESETS  WEEK LEFT   RESETS     SEEN
    ● 0  work                 plus      ready                               █████░  82% 21:29   ████░░  69% Fri 11:23  3 min
      1  personal             pro       limited until 21:29 (in 2 h 5 min)  ░░░░░░   0% 21:29   ██░░░░  36% Fri 11:23  1 h
      2  maria.schmidt@comp…  business  ready                               █░░░░░  12% 21:29   █░░░░░   5% Fri 11:23  2 d
      3  old                  plus      login needed                        -                   -                      -
      4  spare                plus      disabled                            -                   -                      -

    the next request goes to 0 work; when that is limited, to 2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add 3
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT   PLAN      STATE         5 H LEFT  RESETS  WEEK LEFT RESETS  SEEN
    ● 0  work      plus      ready         ███░  82% 21:29   ███░  69% Fri     3 min
      1  personal  pro       back 21:29    ░░░░   0% 21:29   █░░░  36% Fri     1 h
      2  maria.s…  business  ready         █░░░  12% 21:29   █░░░   5% Fri     2 d
      3  old       plus      login needed  -                 -                 -
      4  spare     plus      disabled      -                 -                 -

    the next request goes to 0 work; when that is limited, to
      2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add 3
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT            STATE         5 H LEFT     WEEK LEFT
    ● 0  work               ready           82% 21:29    69% Fri
      1  personal           back 21:29      ~0% 21:29   ~36% Fri
      2  maria.schmidt@co…  ready          ~12% 21:29    ~5% Fri
      3  old                login needed  -            -
      4  spare              disabled      -            -

    the next request goes to 0 work; when that is limited, to
      2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused):
      codex-accounts add 3
    ~ seen more than an hour ago: codex-accounts --refresh
    --- exit 0
    ");
}

#[test]
fn the_status_view_of_two_accounts() {
    let mut home = home([
        with("work", json!({"usage": usage(18.0, 31.0, 180)})),
        with("personal", limited(7500)),
    ]);
    insta::assert_snapshot!(status(&mut home, 120), @"
         ACCOUNT   PLAN  STATE                               5 H LEFT        RESETS  WEEK LEFT       RESETS     SEEN
    ● 0  work      plus  ready                               ████████░░  82% 21:29   ███████░░░  69% Fri 11:23  3 min
      1  personal  plus  limited until 21:29 (in 2 h 5 min)  -                       -                          -

    the next request goes to 0 work; 1 personal is back at 21:29 (in 2 h 5 min)
    no figures of 1 personal yet: codex-accounts --refresh
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT   PLAN  STATE       5 H LEFT  RESETS  WEEK LEFT RESETS     SEEN
    ● 0  work      plus  ready       ███░  82% 21:29   ███░  69% Fri 11:23  3 min
      1  personal  plus  back 21:29  -                 -                    -

    the next request goes to 0 work; 1 personal is back at 21:29 (in 2 h 5 min)
    no figures of 1 personal yet: codex-accounts --refresh
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT   STATE       5 H LEFT     WEEK LEFT
    ● 0  work      ready         82% 21:29    69% Fri
      1  personal  back 21:29  -            -

    the next request goes to 0 work; 1 personal is back at
      21:29 (in 2 h 5 min)
    no figures of 1 personal yet: codex-accounts --refresh
    --- exit 0
    ");
}

/// Limits that end today, in the night, on another day of the week, and beyond it.
fn limits_of_all_days() -> Home {
    let window = |minutes: u32, used: f64, resets: i64| json!({"minutes": minutes, "usedPercent": used, "resetsAt": after(resets)});
    let account = |label: &str, plan: &str, secs: i64| {
        let windows = [window(300, 100.0, 16_600), window(10_080, 99.0, secs)];
        let usage = json!({"windows": windows, "observedAt": after(-500)});
        with(
            label,
            and(limited(secs), json!({"planType": plan, "usage": usage})),
        )
    };
    home([
        account("today", "plus", 7500),
        account("tonight", "business", 16_600),
        account("会社のアカウント", "pro", 300_000),
        and(
            account("later", "self_serve_business", 600_000),
            json!({"label": null, "email": "maria.schmidt-lindqvist@subdomain.company.example"}),
        ),
    ])
}

#[test]
fn limits_that_end_on_another_day_push_nothing_out() {
    let mut home = limits_of_all_days();
    insta::assert_snapshot!(status(&mut home, 120), @"
         ACCOUNT               PLAN          STATE                       5 H LEFT    RESETS  WEEK LEFT   RESETS        SEEN
    ● 0  today                 plus          limited until 21:29         ░░░░░░   0% 00:01   █░░░░░   1% 21:29         8 min
      1  tonight               business      limited until 00:01         ░░░░░░   0% 00:01   █░░░░░   1% 00:01         8 min
      2  会社のアカウント      pro           limited until Fri 06:44     ░░░░░░   0% 00:01   █░░░░░   1% Fri 06:44     8 min
      3  maria.schmidt-lindq…  self_serve_…  limited until 11 May 18:04  ░░░░░░   0% 00:01   █░░░░░   1% 11 May 18:04  8 min

    every account is limited; 0 today is back first, at 21:29 (in 2 h 5 min)
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT    PLAN      STATE        5 H LEFT  RESETS  WEEK LEFT RESETS  SEEN
    ● 0  today      plus      back 21:29   ░░░░   0% 00:01   █░░░   1% 21:29   8 min
      1  tonight    business  back 00:01   ░░░░   0% 00:01   █░░░   1% 00:01   8 min
      2  会社のア…  pro       back Fri     ░░░░   0% 00:01   █░░░   1% Fri     8 min
      3  maria.sc…  self_se…  back 11 May  ░░░░   0% 00:01   █░░░   1% 11 May  8 min

    every account is limited; 0 today is back first, at 21:29 (in 2 h 5 min)
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT          STATE        5 H LEFT     WEEK LEFT
    ● 0  today            back 21:29      0% 00:01     1% 21:29
      1  tonight          back 00:01      0% 00:01     1% 00:01
      2  会社のアカウン…  back Fri        0% 00:01     1% Fri
      3  maria.schmidt-…  back 11 May     0% 00:01     1% 11 May

    every account is limited; 0 today is back first, at 21:29
      (in 2 h 5 min)
    --- exit 0
    ");
}

/// Twelve accounts of long names, of which only one has a label.
fn many() -> Home {
    let account = |index: usize| {
        let plan = ["enterprise", "business"][index % 2];
        with(
            &format!("account-{index}"),
            json!({"label": null, "email": "a.very.long.address@subdomain.company.example",
                "planType": plan,
                "usage": usage(50.0, 0.3, 4000)}),
        )
    };
    home((0..12).map(account).chain([with("last", limited(35_900))]))
}

#[test]
fn accounts_of_one_email_are_told_apart() {
    let email = |label: &str, plan: &str| {
        with(
            label,
            json!({"label": null, "email": "me@example.com", "planType": plan}),
        )
    };
    let mut home = home([
        email("home", "plus"),
        email("seat-1", "business"),
        email("seat-2", "business"),
    ]);
    insta::assert_snapshot!(status(&mut home, 80), @"
         ACCOUNT           PLAN      STATE  5 H LEFT  RESETS  WEEK LEFT RESETS  SEEN
    ● 0  me@example.com    plus      ready  -                 -                 -
      1  me@exampl… …at-1  business  ready  -                 -                 -
      2  me@exampl… …at-2  business  ready  -                 -                 -

    the next request goes to 0 me@example.com; when that is limited, to
      1 me@example.com
    no figures of 3 accounts yet: codex-accounts --refresh
    --- exit 0
    ");
    insta::assert_snapshot!(status(&mut home, 60), @"
         ACCOUNT               STATE  5 H LEFT  WEEK LEFT
    ● 0  me@example.com plus   ready  -         -
      1  me@example.com …at-1  ready  -         -
      2  me@example.com …at-2  ready  -         -

    the next request goes to 0 me@example.com; when that is
      limited, to 1 me@example.com
    no figures of 3 accounts yet: codex-accounts --refresh
    --- exit 0
    ");
    insta::assert_snapshot!(home.sh("codex-accounts list"), @"
          LABEL  EMAIL                 PLAN      STATE
    *  0  -      me@example.com        plus      ready
       1  -      me@example.com …at-1  business  ready
       2  -      me@example.com …at-2  business  ready
    --- exit 0
    ");
}

#[test]
fn no_width_is_overstepped() {
    for mut home in [all_states(), limits_of_all_days(), many()] {
        for columns in 20..=130 {
            let shown = status(&mut home, columns);
            let widest = shown.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(columns as usize), "{columns}:\n{shown}");
        }
    }
}

#[test]
fn eighty_columns_have_all_of_every_account() {
    for mut home in [all_states(), limits_of_all_days(), many()] {
        for columns in 80..=130 {
            let shown = status(&mut home, columns);
            let head = shown.lines().next().expect("a head");
            for name in ["ACCOUNT", "PLAN", "STATE", "5 H LEFT", "WEEK LEFT", "SEEN"] {
                assert!(head.contains(name), "{columns}: {name}\n{shown}");
            }
            assert_eq!(head.matches("RESETS").count(), 2, "{columns}:\n{shown}");
            let accounts = home.store()["accounts"]
                .as_array()
                .expect("accounts")
                .clone();
            for (row, account) in shown.lines().skip(1).zip(accounts) {
                let bars = row.matches(['█', '░']).count();
                let expected = if account.get("usage").is_some() { 8 } else { 0 };
                assert!(bars >= expected, "{columns}: {row}");
            }
        }
    }
}

#[test]
fn stale_figures_are_marked_where_their_age_is_not_shown() {
    let mut home = home([
        with("fresh", json!({"usage": usage(18.0, 31.0, 3500)})),
        with("stale", json!({"usage": usage(18.0, 31.0, 3700)})),
    ]);
    insta::assert_snapshot!(status(&mut home, 50), @"
         ACCOUNT  STATE  5 H LEFT     WEEK LEFT
    ● 0  fresh    ready    82% 21:29    69% Fri
      1  stale    ready   ~82% 21:29   ~69% Fri

    the next request goes to 0 fresh; when that is
      limited, to 1 stale
    ~ seen more than an hour ago:
      codex-accounts --refresh
    --- exit 0
    ");
}

#[test]
fn windows_of_other_lengths_are_shown() {
    let windows = |windows: &[(u32, f64)]| {
        let windows: Vec<Value> = windows.iter().map(|(minutes, used)| {
            json!({"minutes": minutes, "usedPercent": used, "resetsAt": after(9000)})
        }).collect();
        json!({"usage": {"windows": windows, "observedAt": after(-60)}})
    };
    let mut odd = home([
        with("free", windows(&[(43_200, 20.0)])),
        with("short", windows(&[(299, 30.0), (10_079, 40.0)])),
        with("fast", windows(&[(60, 90.0), (300, 10.0), (10_080, 50.0)])),
    ]);
    insta::assert_snapshot!(status(&mut odd, 80), @"
         ACCOUNT  PLAN  STATE  SHORT LEFT      RESETS  LONG LEFT       RESETS  SEEN
    ● 0  free     plus  ready  -                       ████████░░  80% 21:54   1 min
      1  short    plus  ready  ███████░░░  70% 21:54   ██████░░░░  60% 21:54   1 min
      2  fast     plus  ready  █░░░░░░░░░  10% 21:54   █████░░░░░  50% 21:54   1 min

    the next request goes to 0 free; when that is limited, to 1 short
    the short window of 2 fast is of 1 h
    the long window of 0 free is of 30 d
    --- exit 0
    ");
    let mut monthly = home([with("free", windows(&[(43_200, 20.0)]))]);
    insta::assert_snapshot!(status(&mut monthly, 80), @"
         ACCOUNT  PLAN  STATE  5 H LEFT        RESETS  30 D LEFT       RESETS  SEEN
    ● 0  free     plus  ready  -                       ████████░░  80% 21:54   1 min
    --- exit 0
    ");
}

#[test]
fn the_status_view_without_unicode() {
    let mut home = all_states();
    home.set("LC_ALL", "C");
    insta::assert_snapshot!(home.sh("codex-accounts"), @"
         ACCOUNT   PLAN      STATE         5 H LEFT  RESETS  WEEK LEFT RESETS  SEEN
    * 0  work      plus      ready         ###.  82% 21:29   ###.  69% Fri     3 min
      1  personal  pro       back 21:29    ....   0% 21:29   #...  36% Fri     1 h
      2  maria.s~  business  ready         #...  12% 21:29   #...   5% Fri     2 d
      3  old       plus      login needed  -                 -                 -
      4  spare     plus      disabled      -                 -                 -

    the next request goes to 0 work; when that is limited, to
      2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add 3
    --- exit 0
    ");
    assert!(home.sh("codex-accounts").stdout.is_ascii());
}

#[test]
fn the_status_view_in_colour() {
    let mut home = all_states();
    let mut coloured = |columns: &str| {
        home.set("COLUMNS", columns);
        home.sh("codex-accounts --color always | sed 's/\\x1b/^/g'")
    };
    insta::assert_snapshot!(coloured("120"), @"
    ^[2m     ACCOUNT^[0m              ^[2mPLAN^[0m      ^[2mSTATE^[0m                               ^[2m5 H LEFT    RESETS^[0m  ^[2mWEEK LEFT   RESETS^[0m     ^[2mSEEN^[0m
    ^[32m●^[0m^[2m 0  ^[0m^[1mwork^[0m                 plus      ^[32mready^[0m                               ^[32m█████^[0m^[2m░^[0m  82% ^[2m21:29^[0m   ^[32m████^[0m^[2m░░^[0m  69% ^[2mFri 11:23^[0m  ^[2m3 min^[0m
     ^[2m 1  ^[0mpersonal             pro       ^[33mlimited until 21:29^[0m (in 2 h 5 min)  ^[2m░░░░░░^[0m   0% ^[2m21:29^[0m   ^[32m██^[0m^[2m░░░░^[0m  36% ^[2mFri 11:23^[0m  ^[2m1 h^[0m
     ^[2m 2  ^[0mmaria.schmidt@comp…  business  ^[32mready^[0m                               ^[33m█^[0m^[2m░░░░░^[0m  12% ^[2m21:29^[0m   ^[31m█^[0m^[2m░░░░░^[0m   5% ^[2mFri 11:23^[0m  ^[2m2 d^[0m
     ^[2m 3  ^[0mold                  plus      ^[31mlogin needed^[0m                        ^[2m-^[0m                   ^[2m-^[0m                      ^[2m-^[0m
     ^[2m 4  ^[0mspare                plus      ^[2mdisabled^[0m                            ^[2m-^[0m                   ^[2m-^[0m                      ^[2m-^[0m

    the next request goes to 0 work; when that is limited, to 2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add 3
    --- exit 0
    ");
    insta::assert_snapshot!(coloured("80"), @"
    ^[2m     ACCOUNT^[0m   ^[2mPLAN^[0m      ^[2mSTATE^[0m         ^[2m5 H LEFT  RESETS^[0m  ^[2mWEEK LEFT RESETS^[0m  ^[2mSEEN^[0m
    ^[32m●^[0m^[2m 0  ^[0m^[1mwork^[0m      plus      ^[32mready^[0m         ^[32m███^[0m^[2m░^[0m  82% ^[2m21:29^[0m   ^[32m███^[0m^[2m░^[0m  69% ^[2mFri^[0m     ^[2m3 min^[0m
     ^[2m 1  ^[0mpersonal  pro       ^[33mback 21:29^[0m    ^[2m░░░░^[0m   0% ^[2m21:29^[0m   ^[32m█^[0m^[2m░░░^[0m  36% ^[2mFri^[0m     ^[2m1 h^[0m
     ^[2m 2  ^[0mmaria.s…  business  ^[32mready^[0m         ^[33m█^[0m^[2m░░░^[0m  12% ^[2m21:29^[0m   ^[31m█^[0m^[2m░░░^[0m   5% ^[2mFri^[0m     ^[2m2 d^[0m
     ^[2m 3  ^[0mold       plus      ^[31mlogin needed^[0m  ^[2m-^[0m                 ^[2m-^[0m                 ^[2m-^[0m
     ^[2m 4  ^[0mspare     plus      ^[2mdisabled^[0m      ^[2m-^[0m                 ^[2m-^[0m                 ^[2m-^[0m

    the next request goes to 0 work; when that is limited, to
      2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused): codex-accounts add 3
    --- exit 0
    ");
    insta::assert_snapshot!(coloured("60"), @"
    ^[2m     ACCOUNT^[0m            ^[2mSTATE^[0m         ^[2m5 H LEFT^[0m     ^[2mWEEK LEFT^[0m
    ^[32m●^[0m^[2m 0  ^[0m^[1mwork^[0m               ^[32mready^[0m           82% ^[2m21:29^[0m    69% ^[2mFri^[0m
     ^[2m 1  ^[0mpersonal           ^[33mback 21:29^[0m    ^[31m  ~0%^[0m ^[2m21:29^[0m   ~36% ^[2mFri^[0m
     ^[2m 2  ^[0mmaria.schmidt@co…  ^[32mready^[0m         ^[33m ~12%^[0m ^[2m21:29^[0m  ^[31m  ~5%^[0m ^[2mFri^[0m
     ^[2m 3  ^[0mold                ^[31mlogin needed^[0m  ^[2m-^[0m            ^[2m-^[0m
     ^[2m 4  ^[0mspare              ^[2mdisabled^[0m      ^[2m-^[0m            ^[2m-^[0m

    the next request goes to 0 work; when that is limited, to
      2 maria.schmidt@company.example
    3 old is logged out (refresh_token_reused):
      codex-accounts add 3
    ^[2m~ seen more than an hour ago: codex-accounts --refresh^[0m
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
          LABEL     EMAIL                   PLAN      STATE                LAST USED
    *  0  work      work@example.com        plus      ready                19:21
       1  personal  personal@example.com    pro       limited until 21:29  never
       2  -         maria.schmidt@company…  business  ready                Sun 18:24
       3  old       old@example.com         plus      login needed         never
       4  spare     spare@example.com       plus      disabled             never
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
         ACCOUNT   PLAN  STATE  5 H LEFT        RESETS  WEEK LEFT       RESETS  SEEN
    ● 0  work      plus  ready  -                       -                       -
      1  personal  plus  ready  -                       -                       -

    the next request goes to 0 work; when that is limited, to 1 personal
    0 work is limited until 20:24 for gpt-5.3-codex-spark
    no figures of 2 accounts yet: codex-accounts --refresh
    --- exit 0
    ");
}

#[test]
fn whose_turn_it_is_when_nobody_can() {
    let all_limited = home([with("work", limited(90_000)), with("personal", limited(90))]);
    insta::assert_snapshot!(all_limited.sh("codex-accounts"), @"
         ACCOUNT   PLAN  STATE       5 H LEFT    RESETS  WEEK LEFT   RESETS  SEEN
    ● 0  work      plus  back Tue    -                   -                   -
      1  personal  plus  back 19:26  -                   -                   -

    every account is limited; 1 personal is back first, at 19:26 (in 2 min)
    no figures of 2 accounts yet: codex-accounts --refresh
    --- exit 0
    ");
    let dead = json!({"loginRequired": {"code": "refresh_token_expired", "at": 1}});
    insta::assert_snapshot!(home([with("work", dead)]).sh("codex-accounts"), @"
         ACCOUNT  PLAN  STATE         5 H LEFT    RESETS  WEEK LEFT   RESETS  SEEN
    ● 0  work     plus  login needed  -                   -                   -

    no account can be used without a new login
    0 work is logged out (refresh_token_expired): codex-accounts add 0
    --- exit 0
    ");
    let off = json!({"enabled": false});
    insta::assert_snapshot!(home([with("work", off)]).sh("codex-accounts"), @"
         ACCOUNT  PLAN  STATE     5 H LEFT    RESETS  WEEK LEFT   RESETS  SEEN
    ● 0  work     plus  disabled  -                   -                   -

    no account is enabled: codex-accounts enable 0
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
         ACCOUNT  PLAN  STATE  5 H LEFT        RESETS  WEEK LEFT       RESETS  SEEN
    ● 0  acc      -     ready  -                       -                       -

    no figures of 0 acc yet: codex-accounts --refresh
    --- exit 0
    ");
    assert!(!home.store_path().exists());
}

#[test]
fn times_are_local() {
    let mut home = home([with("work", limited(60))]);
    home.set("TZ", "Asia/Tokyo");
    let shown = home.sh("codex-accounts list");
    assert!(shown.stdout.contains("limited until 04:25"), "{shown}");
}
