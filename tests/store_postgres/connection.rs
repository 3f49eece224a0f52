//! Where it connects to, as whom, and what it asks of the server.

use super::*;
use crate::support::postgres::{OWNER, PASSWORD};

/// Each `sslmode` at each server, and what comes of it: TLS or none, or an error.
const MODES: &str = include_str!("sslmode.txt");

#[test]
fn tls_is_as_sslmode_asks() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    for role in ["only_tls", "without_tls"] {
        postgres.role(role);
        let grants = "GRANT USAGE ON SCHEMA codex_accounts TO {role}; \
                      GRANT SELECT ON ALL TABLES IN SCHEMA codex_accounts TO {role}";
        postgres.sql(&database, &grants.replace("{role}", role));
    }
    let home = Home::new();
    let authority = postgres.authority();
    let mut shown = String::new();
    for line in MODES.lines().filter(|line| !line.starts_with('#')) {
        let (asked, _) = line.split_once(" = ").expect("what comes of it");
        let words: Vec<&str> = asked.split_whitespace().collect();
        let [role, host, mode, trusts] = words[..] else {
            panic!("{line}")
        };
        let authority = match trusts {
            "trusted" => format!("&sslrootcert={}", authority.display()),
            "system" => "&sslrootcert=system".to_owned(),
            _ => String::new(),
        };
        let url = format!(
            "postgres://{role}:{PASSWORD}@{host}:{}/{database}?sslmode={mode}{authority}&application_name={mode}",
            postgres.port()
        );
        let mut helper = Helper::new(&home, &url);
        let answer = helper.read();
        let seen = match answer["ok"].is_string() {
            true => {
                let asked = format!(
                    "SELECT CASE WHEN ssl THEN 'TLS' ELSE 'no TLS' END FROM pg_stat_ssl \
                     JOIN pg_stat_activity USING (pid) WHERE application_name = '{mode}' AND datname = '{database}'"
                );
                postgres.sql(&database, &asked)
            }
            false => error(&answer).replace(&database, "DATABASE"),
        };
        shown += &format!("{asked} = {seen}\n");
    }
    let expected: Vec<&str> = MODES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_password_comes_from_where_postgresql_has_it() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let (port, place) = (postgres.port(), format!("127.0.0.1:{}", postgres.port()));
    let plain = format!("postgres://{OWNER}@{place}/{database}");
    let ask = |home: &Home, url: &str| Helper::new(home, url).read();

    let mut home = Home::new();
    let missing = "denied: the server at 127.0.0.1 asks for a password, and none is known";
    assert_eq!(error(&ask(&home, &plain)), missing);
    let wrong = plain.replace('@', ":wrong@");
    let refused =
        "denied: the database server refuses: password authentication failed for user \"owner\"";
    assert_eq!(error(&ask(&home, &wrong)), refused);

    assert_eq!(ask(&home, &postgres.url(&database))["ok"], "read");
    home.write(
        ".pgpass",
        format!("127.0.0.1:{port}:{database}:{OWNER}:{PASSWORD}\n"),
    );
    assert_eq!(ask(&home, &plain)["ok"], "read");
    assert_eq!(home.sh("chmod 644 .pgpass").code, 0);
    assert_eq!(error(&ask(&home, &plain)), missing, "others can read it");
    assert_eq!(home.sh("rm .pgpass").code, 0);
    let service = format!(
        "[accounts]\nhost=127.0.0.1\nport={port}\nuser={OWNER}\npassword={PASSWORD}\ndbname={database}\n"
    );
    home.write(".pg_service.conf", service);
    assert_eq!(ask(&home, "postgres://?service=accounts")["ok"], "read");
    home.set("PGPASSWORD", PASSWORD);
    assert_eq!(ask(&home, &plain)["ok"], "read");
}

#[test]
fn a_socket_is_no_worse_than_an_address() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let socket = postgres.socket().display().to_string();
    let url = format!(
        "postgres://{OWNER}@/{database}?host={socket}&port={}",
        postgres.port()
    );
    let mut helper = Helper::new(&Home::new(), &url);
    assert_eq!(helper.put("{}")["ok"], "commit");
    assert_eq!(helper.read()["document"], "{}");
}

#[test]
fn what_can_t_be_reached_is_said_in_a_line() {
    let home = Home::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("its number").port();
    drop(nobody);
    for (url, expected) in [
        (
            format!("postgres://me@127.0.0.1:{port}/x"),
            "unavailable: the database server at 127.0.0.1 can't be reached: connection refused",
        ),
        (
            "postgres://me@/x?host=/nowhere".to_owned(),
            "unavailable: the database server at /nowhere can't be reached: no such file or directory",
        ),
        (
            "postgres://me@db/x?sslmode=perhaps".to_owned(),
            "config: sslmode can't be 'perhaps': disable, prefer, require, verify-ca or verify-full",
        ),
        (
            Postgres::shared().url("nowhere"),
            "config: the database server says: database \"nowhere\" does not exist",
        ),
    ] {
        assert_eq!(error(&Helper::new(&home, &url).read()), expected);
    }
}
