//! `codex-accounts doctor`: that it finds what is wrong, and that what it says helps.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::people::{after, all_states, and, home, limited, two, with, with_issuer};
use super::support::pretend::now_millis;

/// What doctor says, without the ports: another test may be logging in on them.
fn doctor(home: &Home, flags: &str) -> String {
    run(home, &format!("codex-accounts doctor {flags}"))
}

fn run(home: &Home, command: &str) -> String {
    let shown = home.sh(&format!("{command} 2>&1"));
    let is_ports = |line: &&str| line.split_whitespace().nth(1) == Some("ports");
    let lines: Vec<&str> = shown
        .stdout
        .lines()
        .filter(|line| !is_ports(line))
        .collect();
    let text = lines
        .join("\n")
        .replace(&*home.path().to_string_lossy(), "$HOME");
    format!("{text}\n--- exit {}", shown.code)
}

/// The lines that are about something, of what doctor says.
fn about(home: &Home, word: &str, command: &str) -> String {
    let said = run(home, command);
    let mut lines = Vec::new();
    let mut is_about = false;
    for line in said.lines() {
        if !line.starts_with(' ') {
            is_about = line.split_whitespace().nth(1) == Some(word);
        }
        if is_about {
            lines.push(line);
        }
    }
    let end = said.lines().next_back().unwrap_or_default();
    format!("{}\n{end}", lines.join("\n"))
}

#[test]
fn doctor_finds_a_healthy_set_up_well() {
    let home = Home::with_clients();
    home.write_store(&store([account("work"), account("personal")]));
    insta::assert_snapshot!(doctor(&home, ""), @"
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    ok     login        none is known to be dead
    ok     usable       2 of 2 can be used now
    ok     opencode     version 1.18.33
    ok     codex        version 0.169.0
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
    ok     store        6 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    note   login        1 personal is Codex CLI's too: 'codex login' and 'codex
                        logout' end it for both
    wrong  login        3 old is logged out (refresh_token_reused)
                        $ codex-accounts add 3
    note   login        4 spare was not renewed for 40 days, and may be dead
                        $ codex-token-refresh --now 4
    ok     usable       3 of 6 can be used now
    wrong  twice        0 work and 5 twin are one account
                        $ codex-accounts remove --keep-login 5
    note   lease        0 work is held by no process any more
                        $ codex-accounts doctor --fix
    note   import       accounts of an older tool are in
                        '~/.opencode/openai-codex-accounts.json'
      $ codex-accounts import ~/'.opencode/openai-codex-accounts.json'
    note   opencode     not found in PATH
    note   codex        not found in PATH
    wrong  proxy        HTTP_PROXY is set, and NO_PROXY does not spare 127.0.0.1
                        $ export NO_PROXY="127.0.0.1,localhost,$NO_PROXY"
    wrong  plugin       the plugin oc-codex-multi-auth takes over the same requests
                        $ ${EDITOR:-vi} ~/'.config/opencode/opencode.json'
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
    wrong  store     '~/.local/share/opencode/openai-codex-accounts.json' can be
                     read or written by others (mode 0644)
      $ chmod 600 ~/'.local/share/opencode/openai-codex-accounts.json'
    wrong  store     a write that was cut off left
                     '~/.local/share/opencode/.codex-accounts-AbCdEf'
                     $ rm ~/'.local/share/opencode/.codex-accounts-AbCdEf'
    note   opencode  not found in PATH
    note   codex     not found in PATH
    2 things are wrong
    --- exit 1
    ");
    insta::assert_snapshot!(doctor(&home, "--fix"), @"
    codex-accounts: mended: '$HOME/.local/share/opencode/openai-codex-accounts.json' can be read or written by others (mode 0644)
    codex-accounts: mended: a write that was cut off left '$HOME/.local/share/opencode/.codex-accounts-AbCdEf'
    codex-accounts: mended: 0 work is held by no process any more
    ok     store        1 account in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    ok     login        none is known to be dead
    ok     usable       1 of 1 can be used now
    note   opencode     not found in PATH
    note   codex        not found in PATH
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
    wrong  store     '~/.local/share/opencode/openai-codex-accounts.json' is left as
                     it is: not valid JSON at byte 24 (line 1, column 25)
                     $ codex-accounts doctor --restore
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
    codex-accounts: restored '$HOME/.local/share/opencode/openai-codex-accounts.json'
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
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    ok     login        none is known to be dead
    ok     usable       2 of 2 can be used now
    note   opencode     not found in PATH
    note   codex        not found in PATH
    wrong  clock        it is N s behind the issuer's
                        $ timedatectl set-ntp true
    ok     online       0 one answers
    ok     online       1 two answers
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
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    ok     login        none is known to be dead
    note   login        the token of 0 one has expired; if its login is alive, the
                        next use renews it
                        $ codex-token-refresh 0
    note   login        the token of 1 two has expired; if its login is alive, the
                        next use renews it
                        $ codex-token-refresh 1
    ok     usable       2 of 2 can be used now
    note   opencode     not found in PATH
    note   codex        not found in PATH
    ok     clock        right to the minute
    ok     online       0 one answers
    wrong  online       1 two: 'two' needs a new login (refresh_token_invalidated)
                        $ codex-accounts add
    one thing is wrong
    --- exit 1
    ");
    home.set("CODEX_ACCOUNTS_ISSUER", "http://127.0.0.1:1");
    insta::assert_snapshot!(doctor(&home, "--online"), @"
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    wrong  login        1 two is logged out (refresh_token_invalidated)
                        $ codex-accounts add 1
    ok     usable       1 of 2 can be used now
    note   opencode     not found in PATH
    note   codex        not found in PATH
    wrong  issuer       no answer from 127.0.0.1: Connection refused (os error 111)
                        $ curl -I http://127.0.0.1:1
    ok     online       0 one answers
    2 things are wrong
    --- exit 1
    ");
}

#[test]
fn doctor_keeps_to_the_width_and_breaks_no_command() {
    let mut home = all_states();
    home.set("COLUMNS", "60");
    home.set("HTTP_PROXY", "http://proxy.example:3128");
    let shown = home.sh("codex-accounts doctor").stdout;
    let command = |line: &str| line.trim_start().starts_with("$ ");
    for line in shown.lines().filter(|line| !command(line)) {
        assert!(line.width() <= 60, "{line}");
    }
    let shown = about(&home, "proxy", "codex-accounts doctor");
    insta::assert_snapshot!(shown, @r#"
    wrong  proxy        HTTP_PROXY is set, and NO_PROXY does not
                        spare 127.0.0.1
      $ export NO_PROXY="127.0.0.1,localhost,$NO_PROXY"
    --- exit 1
    "#);
    home.set("COLUMNS", "100");
    insta::assert_snapshot!(about(&home, "login", "codex-accounts doctor"), @"
    wrong  login        3 old is logged out (refresh_token_reused)
                        $ codex-accounts add 3
    --- exit 1
    ");
}

#[test]
fn doctor_names_the_store_that_was_named() {
    let home = all_states();
    home.sh("mkdir -m 700 \"it's here\"; mv .local/share/opencode/*.json \"it's here/a b.json\"");
    let command = "unset COLUMNS; codex-accounts --store \"it's here/a b.json\" doctor";
    insta::assert_snapshot!(about(&home, "login", command), @r"
    wrong  login        3 old is logged out (refresh_token_reused)
                        $ codex-accounts add 3 --store 'it'\''s here/a b.json'
    --- exit 1
    ");
    home.sh("chmod 755 \"it's here/a b.json\"");
    let said = about(&home, "store", command);
    insta::assert_snapshot!(said, @r"
    wrong  store     'it's here/a b.json' can be read or written by others (mode 0755)
                     $ chmod 600 'it'\''s here/a b.json'
    --- exit 1
    ");
    // What it says can be typed.
    let mend = said.lines().find_map(|line| line.trim().strip_prefix("$ "));
    home.sh(mend.expect("a command"));
    insta::assert_snapshot!(about(&home, "store", command), @"
    ok     store        5 accounts in 'it's here/a b.json'
    --- exit 1
    ");
    home.sh("echo '{' >\"it's here/a b.json\"");
    insta::assert_snapshot!(about(&home, "store", command), @r"
    wrong  store     'it's here/a b.json' is left as it is: not valid JSON at byte 2 (line 2, column 0)
                     $ mv 'it'\''s here/a b.json' 'it'\''s here/a b.json.damaged'; codex-accounts add --store 'it'\''s here/a b.json'
    --- exit 1
    ");
    insta::assert_snapshot!(home.sh("codex-accounts --store \"it's here/a b.json\""), @"
    --- stderr
    codex-accounts: error: 'it's here/a b.json' is left as it is: not valid JSON at byte 2 (line 2, column 0)
    --- exit 78
    ");
}

#[test]
fn doctor_is_not_content_when_no_account_can_be_used() {
    let off = home([with("work", json!({"enabled": false}))]);
    insta::assert_snapshot!(about(&off, "usable", "codex-accounts doctor"), @"
    wrong  usable       no account is enabled
                        $ codex-accounts enable 0
    --- exit 1
    ");
    let dead = json!({"loginRequired": {"code": "refresh_token_expired", "at": 1}});
    let dead = home([with("work", dead), with("spare", json!({"enabled": false}))]);
    insta::assert_snapshot!(about(&dead, "usable", "codex-accounts doctor"), @"
    wrong  usable       no account can be used without a new login
                        $ codex-accounts add
    --- exit 1
    ");
    let limited = home([with("work", limited(7500)), with("personal", limited(90))]);
    insta::assert_snapshot!(about(&limited, "usable", "codex-accounts doctor"), @"
    note   usable       every account is limited; 1 personal is back first, at 19:26
                        (in 2 min)
    --- exit 0
    ");
}

#[test]
fn tokens_that_an_earlier_version_could_not_keep_are_named_and_can_be_taken_over() {
    let home = home([with("work", json!({}))]);
    let mut newer = home.store()["accounts"][0].clone();
    newer["refreshToken"] = json!("CANARY-newer");
    newer["refreshedAt"] = json!(after(-1));
    let record = json!([{"consumed": [home.store()["accounts"][0]["refreshToken"]],
        "account": newer}]);
    let folder = home.store_path().parent().expect("a folder").to_owned();
    let file = |name: &str| folder.join(format!("openai-codex-accounts.json.{name}.rescued"));
    let (kept, blank) = (file("refresh-0a"), file("refresh-0b"));
    home.write(&kept, format!("{record}{}", " ".repeat(1000)));
    home.write(&blank, " ".repeat(1000));
    insta::assert_snapshot!(about(&home, "store", "codex-accounts doctor"), @"
    ok     store        1 account in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    wrong  store        tokens that an earlier version could not keep wait in
                        '~/.local/share/opencode/openai-codex-accounts.json.refresh-
                        0a.rescued'
      $ codex-accounts import ~/'.local/share/opencode/openai-codex-accounts.json.refresh-0a.rescued' && rm ~/'.local/share/opencode/openai-codex-accounts.json.refresh-0a.rescued'
    wrong  store        an earlier version left
                        '~/.local/share/opencode/openai-codex-accounts.json.refresh-
                        0b.rescued', and nothing is in it
      $ rm ~/'.local/share/opencode/openai-codex-accounts.json.refresh-0b.rescued'
    --- exit 1
    ");
    let take_over = format!("codex-accounts import '{0}' && rm '{0}'", kept.display());
    assert_eq!(home.sh(&take_over).code, 0);
    assert_eq!(home.store()["accounts"][0]["refreshToken"], "CANARY-newer");
    assert_eq!(home.sh("codex-accounts doctor --fix").code, 0);
    assert!(!kept.exists() && !blank.exists());
}

#[test]
fn doctor_tells_of_tokens_that_have_expired() {
    let expired = |fields: Value| and(with("work", json!({"expiresAt": after(-60)})), fields);
    let one = home([expired(json!({}))]);
    insta::assert_snapshot!(about(&one, "login", "codex-accounts doctor"), @"
    ok     login        none is known to be dead
    note   login        the token of 0 work has expired; if its login is alive, the
                        next use renews it
                        $ codex-token-refresh 0
    --- exit 0
    ");
    let one = home([expired(json!({"refreshToken": ""}))]);
    insta::assert_snapshot!(about(&one, "login", "codex-accounts doctor"), @"
    wrong  login        the token of 0 work has expired, and there is none to renew
                        it with
                        $ codex-accounts add 0
    --- exit 1
    ");
}

#[test]
fn doctor_mends_an_active_index_without_an_account() {
    let home = two();
    let mut document = home.store();
    document["activeIndex"] = json!(7);
    home.write_store(&document);
    insta::assert_snapshot!(about(&home, "store", "codex-accounts doctor"), @"
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    wrong  store        the active account has the index 7, and there is none
                        $ codex-accounts doctor --fix
    --- exit 1
    ");
    insta::assert_snapshot!(about(&home, "store", "codex-accounts doctor --fix"), @"
    ok     store        2 accounts in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    --- exit 0
    ");
    assert_eq!(home.store()["activeIndex"], 0);
}

#[test]
fn doctor_fix_says_what_failed_and_goes_on() {
    let lease = json!({"lease": {"until": after(-1), "pid": 1}});
    let home = home([with("work", lease)]);
    // A folder is no file that could be removed.
    home.sh("cd .local/share/opencode && mkdir .codex-accounts-AbCdEf && touch -d '1 hour ago' .codex-accounts-AbCdEf");
    insta::assert_snapshot!(doctor(&home, "-q --fix"), @"
    codex-accounts: not mended: a write that was cut off left '$HOME/.local/share/opencode/.codex-accounts-AbCdEf': Is a directory (os error 21)
    ok     store        1 account in
                        '~/.local/share/opencode/openai-codex-accounts.json'
    ok     permissions  nobody else can read it, or put another in its place
    ok     lock         free
    wrong  store        a write that was cut off left
                        '~/.local/share/opencode/.codex-accounts-AbCdEf'
                        $ rm ~/'.local/share/opencode/.codex-accounts-AbCdEf'
    ok     login        none is known to be dead
    ok     usable       1 of 1 can be used now
    note   opencode     not found in PATH
    note   codex        not found in PATH
    one thing is wrong
    --- exit 1
    ");
    assert_eq!(home.store()["accounts"][0].get("lease"), None);
}

#[test]
fn doctor_sees_who_may_write_beside_the_store() {
    let home = two();
    home.sh(
        "codex-accounts -q label 0 office; cd .local/share/opencode; chmod 770 .; chmod 644 *.bak",
    );
    insta::assert_snapshot!(about(&home, "permissions", "codex-accounts doctor"), @"
    wrong  permissions  others can write to '~/.local/share/opencode' (mode 0770)
                        $ chmod go-w ~/'.local/share/opencode'
    wrong  permissions  others can read or write
                        '~/.local/share/opencode/openai-codex-accounts.json.bak'
                        (mode 0644)
      $ chmod 600 ~/'.local/share/opencode/openai-codex-accounts.json.bak'
    --- exit 1
    ");
    home.sh("chmod 1777 .local/share/opencode");
    insta::assert_snapshot!(about(&home, "permissions", "codex-accounts doctor --fix"), @"
    wrong  permissions  others can write to '~/.local/share/opencode' (mode 1777)
                        keep the store in a folder of your own
    --- exit 1
    ");
    home.sh("chmod 755 .local/share/opencode");
    insta::assert_snapshot!(about(&home, "permissions", "codex-accounts doctor"), @"
    ok     permissions  nobody else can read it, or put another in its place
    --- exit 0
    ");
}

#[test]
fn doctor_sees_a_lock_that_is_held() {
    let home = two();
    let held =
        "flock .local/share/opencode/openai-codex-accounts.json.lock codex-accounts -q doctor";
    insta::assert_snapshot!(about(&home, "lock", held), @"
    wrong  lock         timed out after 2 s waiting for the lock
                        '~/.local/share/opencode/openai-codex-accounts.json.lock'
      $ fuser -v ~/'.local/share/opencode/openai-codex-accounts.json.lock'
    --- exit 1
    ");
}

/// Puts a script before all other programs of its name, for the command.
fn behind(name: &str, script: &str) -> String {
    // Written by a process of its own: no other one that starts here has it open then.
    format!(
        "mkdir -p bin; printf '#!/bin/sh\n{script}\n' >bin/{name}; chmod 700 bin/{name}; \
         PATH=$PWD/bin:$PATH codex-accounts doctor"
    )
}

#[test]
fn doctor_is_not_content_with_a_client_that_does_not_run() {
    let home = two();
    for (name, script) in [
        ("codex", "exit 3"),
        ("opencode", "echo hello"),
        ("codex", ""),
    ] {
        let shown = about(&home, name, &behind(name, script));
        assert!(
            shown.starts_with("wrong") && shown.ends_with("exit 1"),
            "{shown}"
        );
    }
    insta::assert_snapshot!(about(&home, "codex", &behind("codex", "echo 1.2.3; exit 3")), @"
    wrong  codex        it fails to tell its version (exit status: 3)
                        $ codex --version
    --- exit 1
    ");
    insta::assert_snapshot!(about(&home, "opencode", &behind("opencode", "echo no")), @"
    wrong  opencode     it does not tell its version
                        $ opencode --version
    --- exit 1
    ");
    insta::assert_snapshot!(about(&home, "codex", &behind("codex", "exec sleep 1000")), @"
    wrong  codex        it does not tell its version within 8 s
                        $ codex --version
    --- exit 1
    ");
    insta::assert_snapshot!(about(&home, "codex", "rm bin/codex; mkdir bin/codex; PATH=$PWD/bin:$PATH codex-accounts doctor"), @"
    wrong  codex        it is in PATH and can't be started: Permission denied (os
                        error 13)
                        $ codex --version
    --- exit 1
    ");
}

#[test]
#[cfg(target_os = "linux")]
fn doctor_sees_whether_a_login_can_come_back() {
    use super::support::network;
    use std::net::TcpListener;

    network::alone(|| {
        let home = two();
        let ports = || {
            let shown = home.sh("codex-accounts doctor").stdout;
            let lines = shown.lines().skip_while(|line| !line.contains(" ports "));
            let rest = lines.skip(1).take_while(|line| line.starts_with(' '));
            let first = shown.lines().find(|line| line.contains(" ports "));
            first.into_iter().chain(rest).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(ports(), @"ok     ports        1455 and 1457 are free for a login");
        let _one = TcpListener::bind("127.0.0.1:1455").expect("a port");
        insta::assert_snapshot!(ports(), @"note   ports        1455 is taken; the other one is free for a login");
        let _other = TcpListener::bind("127.0.0.1:1457").expect("a port");
        insta::assert_snapshot!(ports(), @"
        wrong  ports        1455 and 1457 are taken; a login in the browser has nowhere
                            to come back to
                            $ codex-accounts add --device
        ");
    });
}

#[test]
fn doctor_tells_the_proxies_apart() {
    let home = two();
    let with = |variables: &str| {
        about(
            &home,
            "proxy",
            &format!("{variables} codex-accounts doctor"),
        )
    };
    insta::assert_snapshot!(with("HTTPS_PROXY=http://p HTTP_PROXY= http_proxy=http://p NO_PROXY= no_proxy=127.0.0.1,localhost"), @"
    ok     proxy        HTTPS_PROXY carries the requests to the servers
    ok     proxy        http_proxy is set, and spares 127.0.0.1
    --- exit 0
    ");
    insta::assert_snapshot!(with("ALL_PROXY=http://p NO_PROXY=localhost"), @r#"
    ok     proxy        ALL_PROXY carries the requests to the servers
    wrong  proxy        ALL_PROXY is set, and NO_PROXY does not spare 127.0.0.1
                        $ export NO_PROXY="127.0.0.1,localhost,$NO_PROXY"
    --- exit 1
    "#);
    insta::assert_snapshot!(with("HTTPS_PROXY= HTTP_PROXY="), @"--- exit 0");
}
