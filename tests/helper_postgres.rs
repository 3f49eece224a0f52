//! The same commands with a real PostgreSQL behind them. What its helper does beside is in
//! `store_postgres`, and what several machines do with it in `fleet`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::postgres::{self, Postgres};

/// A database with tables, and the URL of a store in it.
struct Database {
    name: String,
    url: String,
}

impl Database {
    fn new() -> Database {
        let name = Postgres::shared().migrated();
        // The helper stands where the commands look for it.
        postgres::helper();
        let url = Postgres::shared().url(&name);
        Database { name, url }
    }

    /// The store of a machine is this one from now on.
    fn serve(&self, home: &mut Home) {
        home.set("CODEX_ACCOUNTS_FILE", &self.url);
    }

    /// What it says now.
    fn store(&self) -> Value {
        let query = "SELECT convert_from(document, 'UTF8') FROM codex_accounts.document";
        let text = Postgres::shared().sql(&self.name, query);
        serde_json::from_str(&text).expect("a document")
    }
}

/// What a machine has in its file becomes what the database has.
fn moved(home: &mut Home) -> Database {
    let database = Database::new();
    let file = home.store_path();
    database.serve(home);
    let shown = home.sh(&format!("codex-accounts import '{}'", file.display()));
    assert_eq!(shown.code, 0, "{shown}");
    std::fs::remove_file(file).expect("the file goes");
    database
}

#[test]
fn every_command_does_with_postgres_what_it_does_with_a_file() {
    let home = || {
        let home = Home::new();
        home.write_store(&store([account("work"), account("personal")]));
        home
    };
    let (in_file, mut by_postgres) = (home(), home());
    let database = moved(&mut by_postgres);
    let lines = include_str!("helper/typed").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (expected, shown) = (in_file.sh(line), by_postgres.sh(line));
        assert_eq!(shown.to_string(), expected.to_string(), "{line}");
    }
    let accounts = |document: Value| {
        let accounts = document["accounts"].as_array().cloned();
        accounts.expect("accounts").len()
    };
    assert_eq!(accounts(database.store()), accounts(in_file.store()));
}

/// How many marks are made while the server is killed.
const MARKS: usize = 60;

#[test]
fn a_mark_that_was_told_outlives_a_server_that_is_killed_in_commits() {
    let postgres = Postgres::start(&["fsync=on"]);
    let database = postgres.migrated();
    postgres::helper();
    let mut home = Home::new();
    home.write_store(&store(
        (0..MARKS).map(|number| account(&format!("a{number}"))),
    ));
    home.set("CODEX_ACCOUNTS_FILE", postgres.url(&database));
    let file = home.store_path();
    let shown = home.sh(&format!("codex-accounts import '{}'", file.display()));
    assert_eq!(shown.code, 0, "{shown}");
    let told: Vec<bool> = std::thread::scope(|scope| {
        let killing = scope.spawn(|| {
            let until = Instant::now() + Duration::from_secs(8);
            while Instant::now() < until {
                std::thread::sleep(Duration::from_millis(700));
                postgres.kill();
                postgres.run();
            }
        });
        let marking: Vec<_> = (0..3)
            .map(|which| {
                let home = &home;
                scope.spawn(move || {
                    let own = (0..MARKS).filter(move |number| number % 3 == which);
                    let mark = |number| {
                        let line = format!("codex-ratelimit-mark -q --retry-after 1h a{number}");
                        let shown = home.sh(&line);
                        assert!([0, 69].contains(&shown.code), "{shown}");
                        (number, shown.code == 0)
                    };
                    own.map(mark).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut told: Vec<_> = marking
            .into_iter()
            .flat_map(|it| it.join().expect("marks"))
            .collect();
        killing.join().expect("kills");
        told.sort_unstable();
        told.into_iter().map(|(_, was_told)| was_told).collect()
    });
    let query = "SELECT convert_from(document, 'UTF8') FROM codex_accounts.document";
    let document: Value = serde_json::from_str(&postgres.sql(&database, query)).expect("JSON");
    for (index, was_told) in told.iter().enumerate() {
        let is_there = document["accounts"][index]["limits"]["default"].is_object();
        assert!(
            is_there || !was_told,
            "the mark of a{index} was told, and is lost"
        );
    }
    assert!(
        told.iter().filter(|it| **it).count() > MARKS / 4,
        "{told:?}"
    );
}
