//! A server that is gone, slow, started again, read-only or full, and one that is another than it was.

use super::*;
use crate::support::network;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;

#[test]
fn a_server_that_was_started_again_is_found_again() {
    let postgres = Postgres::start(&[]);
    let mut helper = Helper::new(&Home::new(), &postgres.url(&postgres.migrated()));
    assert_eq!(helper.put("one")["ok"], "commit");
    postgres.stop();
    assert!(error(&helper.read()).starts_with("unavailable: the database server at 127.0.0.1"));
    postgres.run();
    assert_eq!(helper.read()["document"], "one");
    // Between two requests, nobody notices.
    postgres.stop();
    postgres.run();
    assert_eq!(helper.put("two")["ok"], "commit");

    // What was held or begun is lost, and that is said.
    assert_eq!(
        helper.ask(json!({"do": "hold", "name": "x", "wait": 0}))["ok"],
        "hold"
    );
    postgres.stop();
    postgres.run();
    let lost = "unavailable: the connection was lost, and what was held with it";
    assert_eq!(error(&helper.read()), lost);
    assert_eq!(helper.read()["document"], "two");
    assert_eq!(
        error(&helper.ask(json!({"do": "release", "name": "x"}))),
        lost
    );
    assert_eq!(helper.ask(json!({"do": "begin", "wait": 0}))["ok"], "begin");
    postgres.stop();
    postgres.run();
    let committed = helper.ask(json!({"do": "commit", "document": "three"}));
    assert_eq!(
        error(&committed),
        "unavailable: the connection was lost, and what was begun with it"
    );
    assert_eq!(helper.read()["document"], "two");
}

#[test]
fn a_server_that_goes_while_it_is_watched_is_missed_at_once() {
    let postgres = Postgres::start(&["fsync=off"]);
    let mut helper = Helper::new(&Home::new(), &postgres.url(&postgres.migrated()));
    helper.send(json!({"do": "watch", "wait": 600_000}));
    let is_watched = || {
        postgres.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%codex_accounts.schema%' AND state = 'idle'") == "1"
    };
    crate::support::stage::wait_until("it watches", is_watched);
    postgres.kill();
    assert_eq!(
        error(&helper.answer()),
        "unavailable: the connection was lost, and what was watched with it"
    );
}

#[test]
fn a_server_that_stands_still_is_given_up() {
    let postgres = Postgres::start(&["fsync=off"]);
    let mut helper = Helper::new(&Home::new(), &postgres.url(&postgres.migrated()));
    assert_eq!(helper.put("one")["ok"], "commit");
    assert_eq!(helper.ask(json!({"do": "begin", "wait": 0}))["ok"], "begin");
    postgres.signal(Signal::SIGSTOP);
    let committed = helper.ask(json!({"do": "commit", "document": "two"}));
    assert_eq!(
        error(&committed),
        "unclear: the database server does not answer in time"
    );
    postgres.signal(Signal::SIGCONT);
    assert!(
        ["one", "two"]
            .map(Value::from)
            .contains(&helper.read()["document"])
    );
}

#[test]
fn a_change_is_there_or_not_when_the_server_is_killed_in_it() {
    let postgres = Postgres::start(&["fsync=on"]);
    let url = postgres.url(&postgres.migrated());
    let home = Home::new();
    let mut lasting = String::new();
    let mut unclear = 0;
    for round in 0..8_u64 {
        let mut helper = Helper::new(&home, &url);
        let document = format!("{round}{}", "x".repeat(200_000));
        assert_eq!(
            helper.ask(json!({"do": "begin", "wait": 10_000}))["ok"],
            "begin"
        );
        helper.send(json!({"do": "commit", "document": document}));
        // Earlier in one round, later in the next.
        std::thread::sleep(std::time::Duration::from_micros(round * 700));
        postgres.kill();
        let answer = helper.answer();
        postgres.run();
        let found = Helper::new(&home, &url).read()["document"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        match answer["ok"].is_string() {
            true => assert_eq!(found, document, "a commit that was promised is gone"),
            false => assert!(found == document || found == lasting, "{answer}"),
        }
        if answer["error"] != "unclear" && !answer["ok"].is_string() {
            assert_eq!(found, lasting, "{answer}");
        }
        unclear += usize::from(answer["error"] == "unclear");
        lasting = found;
    }
    println!("8 kills in a commit, of which {unclear} left it unclear");
}

#[test]
fn a_replica_is_read_and_takes_no_change() {
    let postgres = Postgres::start(&["fsync=off"]);
    let database = postgres.migrated();
    let home = Home::new();
    assert_eq!(
        Helper::new(&home, &postgres.url(&database)).put("one")["ok"],
        "commit"
    );
    let replica = postgres.replica();
    let mut helper = Helper::new(&home, &replica.url(&database));
    assert_eq!(helper.read()["document"], "one");
    let read_only = "unavailable: the database server takes no changes: it is read-only";
    for request in [
        json!({"do": "begin", "wait": 0}),
        json!({"do": "hold", "name": "x", "wait": 0}),
        json!({"do": "scratch-write", "name": "s", "text": ""}),
    ] {
        assert_eq!(error(&helper.ask(request.clone())), read_only, "{request}");
    }
    assert_eq!(helper.read()["document"], "one", "it goes on");

    // Of two servers, the one that takes changes; and after a failover the other one.
    let both = format!(
        "postgres://owner:{}@127.0.0.1:{},127.0.0.1:{}/{database}",
        postgres::PASSWORD,
        replica.port(),
        postgres.port()
    );
    let mut helper = Helper::new(&home, &both);
    assert_eq!(helper.put("two")["ok"], "commit");
    let arrived = || {
        replica.sql(
            &database,
            "SELECT convert_from(document, 'UTF8') FROM codex_accounts.document",
        ) == "two"
    };
    crate::support::stage::wait_until("it is on the replica", arrived);
    postgres.kill();
    assert_eq!(
        error(&helper.ask(json!({"do": "begin", "wait": 0}))),
        read_only
    );
    replica.sql("postgres", "SELECT pg_promote()");
    assert_eq!(helper.put("three")["ok"], "commit");
    assert_eq!(helper.read()["document"], "three");
}

#[test]
fn a_database_that_takes_no_changes_says_so() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let set = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    postgres.sql("postgres", &set);
    let mut helper = Helper::new(&Home::new(), &postgres.url(&database));
    assert_eq!(helper.read()["ok"], "read");
    let begun = helper.ask(json!({"do": "begin", "wait": 0}));
    assert_eq!(
        error(&begun),
        "unavailable: the database server takes no changes: it is read-only"
    );
}

#[test]
fn a_strict_database_is_no_hindrance() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    for setting in [
        "default_transaction_isolation = serializable",
        "synchronous_commit = off",
        "statement_timeout = 5",
        "lock_timeout = 1",
        "search_path = nowhere",
    ] {
        postgres.sql(
            "postgres",
            &format!("ALTER DATABASE {database} SET {setting}"),
        );
    }
    let (home, url) = (Home::new(), postgres.url(&database));
    let (mut one, mut other) = (Helper::new(&home, &url), Helper::new(&home, &url));
    assert_eq!(one.put("one")["ok"], "commit");
    assert_eq!(one.ask(json!({"do": "begin", "wait": 0}))["ok"], "begin");
    other.send(json!({"do": "begin", "wait": 10_000}));
    let waits = || {
        postgres.sql("postgres", &format!("SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND NOT granted AND datname = '{database}'")) == "1"
    };
    crate::support::stage::wait_until("the other waits", waits);
    assert_eq!(
        one.ask(json!({"do": "commit", "document": "two"}))["ok"],
        "commit"
    );
    assert_eq!(
        other.answer()["document"],
        "two",
        "it sees what was committed while it waited"
    );
}

#[test]
fn a_full_disk_leaves_the_document_as_it_was() {
    network::alone(|| {
        let home = Home::new();
        let postgres = Postgres::start(&["fsync=off"]);
        let database = postgres.migrated();
        let small = postgres.folder_of_its_own("small");
        mount(
            Some("tmpfs"),
            &small,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=12m"),
        )
        .expect("a small disk");
        postgres.take(&small);
        // A server that was started before has the mounts of before.
        postgres.stop();
        postgres.run();
        let place = format!("CREATE TABLESPACE small LOCATION '{}'", small.display());
        postgres.sql("postgres", &place);
        postgres.sql(&database, "ALTER TABLE codex_accounts.document SET TABLESPACE small; ALTER TABLE codex_accounts.scratch SET TABLESPACE small");
        let mut helper = Helper::new(&home, &postgres.url(&database));
        assert_eq!(helper.put("one")["ok"], "commit");
        let big = incompressible(4_000_000);
        let mut full = Value::Null;
        for _ in 0..10 {
            full = helper.put(&big);
            if full["error"].is_string() {
                break;
            }
        }
        assert!(
            error(&full).starts_with("full: the database server has no room: could not"),
            "{full}"
        );
        let found = helper.read()["document"].clone();
        assert!(found == "one" || found == *big, "what was there before");
        drop(helper);
        postgres.stop();
        // Else its folder can't go.
        umount(&small).expect("the small disk goes");
    });
}

/// Text of which a server can make no less.
fn incompressible(length: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'#' + (state % 90) as u8)
    };
    std::iter::repeat_with(next).take(length).collect()
}
