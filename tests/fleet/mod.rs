//! Three machines and a database, each in a network of its own: what several machines do with one
//! list of accounts, also when the network, a clock or the database fails them.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use codex_accounts::rehearse::{Script, Style};
use serde_json::{Value, json};

use super::support::Home;
use super::support::asked::asked;
use super::support::faults::is_soak;
use super::support::fleet::{Fleet, Host};
use super::support::network::alone;
use super::support::postgres::Helper;
use super::support::pretend::now_millis;
use super::support::relay::HOUR;
use super::support::request::QUESTION;
use super::support::server::Server;
use super::support::stage::wait_until;

mod model;

const REFRESH: &str = "codex-token-refresh";

/// One account, whose token expired a minute ago.
fn expired(document: &mut Value) {
    document["accounts"][0]["expiresAt"] = (now_millis() - 60_000).into();
}

fn exchanges(fleet: &Fleet) -> usize {
    let seen = fleet.pretend.seen();
    seen.iter()
        .filter(|it| it.is("POST", "/oauth/token"))
        .count()
}

fn stored_token(fleet: &Fleet) -> String {
    let token = fleet.document()["accounts"][0]["refreshToken"].clone();
    token.as_str().expect("a token").to_owned()
}

fn current_token(fleet: &Fleet) -> String {
    fleet
        .pretend
        .current(0)
        .expect("a login that is alive")
        .refresh_token
}

fn is_limited(document: &Value, index: usize) -> bool {
    document["accounts"][index]["limits"]["default"].is_object()
}

/// Starts a command on a machine.
fn start(host: &Host, command: &str) -> std::process::Child {
    host.network.enter(|| {
        let mut command = host.home.std_command(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("it starts")
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A relay on a machine.
fn relay(host: &Host) -> Server {
    host.home.write("question", QUESTION);
    host.network
        .enter(|| host.home.serve("codex-proxy", &["-v"]))
}

/// Who answers a request to a relay of this machine, and how long that took.
fn ask(host: &Host, relay: &Server) -> (String, Duration) {
    let text = |name: &str| relay.ready[name].as_str().expect("a text");
    let begun = Instant::now();
    let shown = host.sh(&format!(
        "curl -sS -m 30 -H 'authorization: Bearer {}' -H 'session-id: s' -d @question {}/responses",
        text("key"),
        text("url")
    ));
    assert_eq!(shown.code, 0, "{shown}");
    let answered = shown
        .stdout
        .split("answered by ")
        .nth(1)
        .unwrap_or(&shown.stdout);
    (
        answered.split('@').next().unwrap_or_default().to_owned(),
        begun.elapsed(),
    )
}

#[test]
fn twenty_processes_on_each_of_three_hosts_make_one_exchange() {
    alone(|| {
        let settings = ["fsync=off"];
        let fleet = Fleet::with(Script::with_accounts(1), &settings, Home::new, expired);
        let slow = Duration::from_millis(300);
        fleet
            .pretend
            .change(|script| script.delays.insert("/oauth/token".into(), slow));
        let children: Vec<_> = fleet
            .hosts
            .iter()
            .flat_map(|host| (0..20).map(move |_| start(host, REFRESH)))
            .collect();
        for child in children {
            let output = child.wait_with_output().expect("an end");
            assert!(output.status.success(), "{}", said(&output));
        }
        assert_eq!(exchanges(&fleet), 1);
        assert_eq!(stored_token(&fleet), current_token(&fleet));
    });
}

#[test]
fn opencode_on_two_hosts_at_once_changes_accounts_on_both() {
    const RUN: &str = "codex-launch opencode run -m openai/gpt-5.5 'say who you are' </dev/null";
    alone(|| {
        let fleet = Fleet::with(
            Script::with_accounts(2),
            &["fsync=off"],
            Home::with_clients,
            |_| {},
        );
        let [laptop, server, _] = &fleet.hosts[..] else {
            panic!("three machines")
        };
        let both = || {
            std::thread::scope(|scope| {
                let runs = [laptop, server].map(|host| scope.spawn(|| host.sh(RUN)));
                runs.map(|run| run.join().expect("an end"))
            })
        };
        for shown in both() {
            assert!(
                shown.stdout.contains("answered by one@example.com"),
                "{shown}"
            );
        }
        fleet
            .pretend
            .change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
        for shown in both() {
            assert!(
                shown.stdout.contains("answered by two@example.com"),
                "{shown}"
            );
        }
        assert!(is_limited(&fleet.document(), 0));
        // Whoever comes now asks the one that is left, and no other.
        let before = asked(&fleet.pretend).len();
        for shown in both() {
            assert!(
                shown.stdout.contains("answered by two@example.com"),
                "{shown}"
            );
        }
        let asked = asked(&fleet.pretend).split_off(before);
        assert!(
            !asked.is_empty() && asked.iter().all(|index| *index == 1),
            "{asked:?}"
        );
    });
}

#[test]
fn a_mark_of_one_host_moves_the_relays_of_the_others() {
    alone(|| {
        let settings = ["fsync=off", "log_statement=all", "log_line_prefix=%a "];
        let fleet = Fleet::new(Script::with_accounts(2), &settings);
        let [laptop, server, runner] = &fleet.hosts[..] else {
            panic!("three machines")
        };
        let relays = [server, runner].map(|host| (host, relay(host)));
        for (host, relay) in &relays {
            assert_eq!(ask(host, relay).0, "one");
        }
        let url = format!("{}?application_name=watcher", fleet.url);
        let mut watcher = server.network.enter(|| Helper::new(&server.home, &url));
        let version = watcher.read()["version"].clone();
        watcher.send(json!({"do": "watch", "version": version, "wait": 600_000}));
        let watches = || {
            fleet
                .postgres
                .log()
                .contains("watcher LOG:  statement: LISTEN")
        };
        wait_until("it watches", watches);
        let looks = |log: &str| {
            let of_watcher = log.lines().filter(|line| line.starts_with("watcher "));
            of_watcher
                .filter(|line| line.contains("SELECT s.version, d.version FROM"))
                .count()
        };
        wait_until("it looked", || looks(&fleet.postgres.log()) == 1);

        let shown = laptop.sh("codex-ratelimit-mark --retry-after 1h 0");
        let marked = Instant::now();
        assert_eq!(shown.code, 0, "{shown}");
        let answer = watcher.answer();
        assert!(
            answer["ok"] == "watch" && answer["version"] != version,
            "{answer}"
        );
        let seen = marked.elapsed();
        // It was told: it looked when it began to watch, and when it was notified.
        wait_until("it looked again", || looks(&fleet.postgres.log()) == 2);
        for (host, relay) in &relays {
            wait_until("another account answers", || ask(host, relay).0 == "two");
        }
        let moved = marked.elapsed();
        println!(
            "a mark is seen {seen:?} after its command ended, and moved two relays within {moved:?}"
        );
        // The backend told nobody: the account has no limit there.
        let asked = asked(&fleet.pretend);
        assert_eq!(asked.last(), Some(&1), "{asked:?}");
    });
}

#[test]
fn a_host_that_is_cut_off_in_a_refresh_keeps_the_token() {
    alone(|| {
        let settings = ["fsync=off"];
        let fleet = Fleet::with(Script::with_accounts(1), &settings, Home::new, expired);
        let [laptop, server, _] = &fleet.hosts[..] else {
            panic!("three machines")
        };
        let slow = Duration::from_secs(1);
        fleet
            .pretend
            .change(|script| script.delays.insert("/oauth/token".into(), slow));
        let cut_off = start(laptop, REFRESH);
        wait_until("the issuer is asked", || exchanges(&fleet) == 1);
        laptop.network.cut(true);
        let output = cut_off.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(69), "{}", said(&output));
        let renewed = current_token(&fleet);
        let used = stored_token(&fleet);
        assert_ne!(used, renewed);

        // The lock of the login ends with the session, and nobody presents the token again.
        let shown = server.sh(REFRESH);
        assert_eq!(shown.code, 69, "{shown}");
        assert!(!shown.stderr.contains("waiting for the lock"), "{shown}");
        assert_eq!((exchanges(&fleet), stored_token(&fleet)), (1, used));

        laptop.network.cut(false);
        // A network that was away may take a moment to find its neighbours again.
        wait_until("the database is reached again", || {
            laptop.sh("codex-accounts list").code == 0
        });
        let shown = laptop.sh(REFRESH);
        assert_eq!(shown.code, 0, "{shown}");
        assert_eq!(stored_token(&fleet), renewed);
        for host in &fleet.hosts {
            let shown = host.sh("codex-account-pick --format access-token >token");
            assert_eq!(shown.code, 0, "{shown}");
        }
        assert_eq!(exchanges(&fleet), 1, "nobody asked again");
    });
}

#[test]
fn relays_go_on_without_the_database_and_tell_it_later() {
    let outage = Duration::from_secs(if is_soak() { 30 } else { 4 });
    alone(|| {
        let fleet = Fleet::new(Script::with_accounts(2), &["fsync=off"]);
        let relays: Vec<_> = fleet.hosts.iter().map(|host| (host, relay(host))).collect();
        for (host, relay) in &relays {
            assert_eq!(ask(host, relay).0, "one");
        }
        let shown = fleet.hosts[0].sh("codex-account-pick");
        assert_eq!(shown.code, 0, "{shown}");
        fleet.cut_database(true);
        fleet
            .pretend
            .change(|script| script.accounts[0].limit(HOUR, Style::UsageLimit));
        let begun = Instant::now();
        let (mut count, mut longest) = (0, Duration::ZERO);
        while begun.elapsed() < outage {
            for (host, relay) in &relays {
                let (answered, took) = ask(host, relay);
                assert_eq!(answered, "two");
                longest = longest.max(took);
                count += 1;
            }
        }
        fleet.cut_database(false);
        wait_until("the mark is in the store", || {
            is_limited(&fleet.document(), 0)
        });
        println!("{count} requests without the database for {outage:?}, the longest {longest:?}");
        assert!(longest < Duration::from_secs(5), "{longest:?}");
        let refused = asked(&fleet.pretend).iter().filter(|it| **it == 0).count();
        assert!(refused <= 6, "each relay is refused once: {refused}");
    });
}

#[test]
fn a_clock_that_is_an_hour_off_costs_no_login() {
    alone(|| {
        let mut script = Script::with_accounts(2);
        script.access_lifetime = Duration::from_secs(10 * 24 * 3600);
        let mut fleet = Fleet::with(script, &["fsync=off"], Home::new, expired);
        let now = now_millis() / 1000;
        fleet.hosts[1]
            .home
            .set("CODEX_ACCOUNTS_CLOCK", (now + 3600).to_string());
        fleet.hosts[2]
            .home
            .set("CODEX_ACCOUNTS_CLOCK", (now - 3600).to_string());
        for round in 0..3 {
            for index in [1, 0, 2] {
                let host = &fleet.hosts[index];
                for command in [REFRESH, "codex-account-pick --format access-token >token"] {
                    let shown = host.sh(command);
                    assert_eq!(shown.code, 0, "{round}: {index}: {command}: {shown}");
                }
            }
        }
        assert_eq!(exchanges(&fleet), 1);
        assert_eq!(stored_token(&fleet), current_token(&fleet));
        // A limit ends for each when its own clock says so. Who is behind does not believe a mark of
        // its future, and finds out by itself.
        let until = (now + 600) * 1000;
        let shown = fleet.hosts[0].sh(&format!("codex-ratelimit-mark --until {until} 0"));
        assert_eq!(shown.code, 0, "{shown}");
        let picks = [0, 1, 2].map(|index| {
            let shown = fleet.hosts[index].sh("codex-account-pick --peek --format index");
            shown.stdout.trim().to_owned()
        });
        assert_eq!(picks, ["1", "0", "0"]);
    });
}
