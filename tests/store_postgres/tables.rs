//! What it keeps where: `migrate`, several stores in one database, rights, and what is seen of them.

use super::*;
use crate::support::canary::CANARY;
use crate::support::examples;
use crate::support::mdoc::{Page, single_spaced};
use crate::support::postgres::OWNER;

fn migrate(home: &Home, url: &str) -> crate::support::shown::Shown {
    let mut command = home.command(postgres::helper());
    home.run(command.arg("migrate").env("CODEX_ACCOUNTS_FILE", url))
}

#[test]
fn migrate_makes_the_tables_once() {
    let postgres = Postgres::shared();
    let home = Home::new();
    let url = postgres.url(&postgres.database());
    let mut helper = Helper::new(&home, &url);
    let missing = helper.read();
    assert_eq!(
        error(&missing),
        "config: there are no tables for accounts in the database"
    );
    assert!(
        missing["hint"]
            .as_str()
            .unwrap()
            .starts_with("codex-store-postgres migrate")
    );
    assert_eq!(helper.ask(json!({"do": "begin", "wait": 10})), missing);

    assert_eq!(
        migrate(&home, &url).stdout,
        "{\"v\":1,\"schemaVersion\":1,\"before\":0}\n"
    );
    assert_eq!(helper.read(), json!({"ok": "read"}));
    assert_eq!(helper.put("{}")["ok"], "commit");
    assert_eq!(
        migrate(&home, &url).stdout,
        "{\"v\":1,\"schemaVersion\":1,\"before\":1}\n"
    );
    assert_eq!(helper.read()["document"], "{}");
}

#[test]
fn migrate_at_once_is_migrate_once() {
    let postgres = Postgres::shared();
    let url = postgres.url(&postgres.database());
    let home = Home::new();
    let before =
        crate::support::relay::at_once(4, || migrate(&home, &url).json()["before"].clone());
    let mut before: Vec<u64> = before.iter().map(|it| it.as_u64().unwrap()).collect();
    before.sort_unstable();
    assert_eq!(before, [0, 1, 1, 1]);
}

#[test]
fn migrate_takes_a_url_without_a_password() {
    let postgres = Postgres::shared();
    let database = postgres.database();
    let home = Home::new();
    let mut command = home.command(postgres::helper());
    let shown = home.run(command.args(["migrate", &postgres.url(&database)]));
    insta::assert_snapshot!(shown, @"
    --- stderr
    codex-store-postgres: error: an argument can be seen by everybody, and this one has a password
    codex-store-postgres: hint: ~/.pgpass, PGPASSWORD or CODEX_ACCOUNTS_FILE can have it
    --- exit 78
    ");
    let socket = postgres.socket().display().to_string();
    let url = format!(
        "postgres://{OWNER}@/{database}?host={socket}&port={}",
        postgres.port()
    );
    let mut command = home.command(postgres::helper());
    assert_eq!(home.run(command.args(["migrate", &url])).code, 0);
}

#[test]
fn tables_of_a_later_version_are_left_alone() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let (home, url) = (Home::new(), postgres.url(&database));
    let mut helper = Helper::new(&home, &url);
    helper.put("{}");
    postgres.sql(&database, "UPDATE codex_accounts.schema SET version = 2");
    let later = "config: the tables are of version 2, and this program knows 1";
    for request in ["read", "begin", "watch"] {
        assert_eq!(
            error(&helper.ask(json!({"do": request}))),
            later,
            "{request}"
        );
    }
    assert_eq!(migrate(&home, &url).code, 78);
    postgres.sql(&database, "UPDATE codex_accounts.schema SET version = 1");
    assert_eq!(helper.read()["document"], "{}");
}

#[test]
fn stores_of_one_database_are_told_apart_by_name() {
    let postgres = Postgres::shared();
    let url = postgres.url(&postgres.migrated());
    let home = Home::new();
    let named = |name: &str| Helper::new(&home, &format!("{url}?store={name}"));
    let (mut one, mut other) = (named("one"), named("o'ther"));
    assert_eq!(one.ask(json!({"do": "begin", "wait": 10}))["ok"], "begin");
    // Neither waits for the lock of the other.
    let wait = json!({"do": "hold", "name": "x", "wait": 0});
    assert_eq!(other.put("other")["ok"], "commit");
    assert_eq!(
        one.ask(json!({"do": "commit", "document": "one"}))["ok"],
        "commit"
    );
    assert_eq!(
        (
            one.ask(wait.clone())["ok"].clone(),
            other.ask(wait)["ok"].clone()
        ),
        (json!("hold"), json!("hold"))
    );
    one.ask(json!({"do": "scratch-write", "name": "s", "text": "one"}));
    assert_eq!(
        other.ask(json!({"do": "scratch-read", "name": "s"})),
        json!({"ok": "scratch-read"})
    );
    assert_eq!(
        (
            one.read()["document"].clone(),
            other.read()["document"].clone()
        ),
        (json!("one"), json!("other"))
    );
    // What changes in one is no news for who watches the other.
    let version = other.read()["version"].clone();
    other.send(json!({"do": "watch", "version": version, "wait": 300}));
    one.put("one again");
    assert_eq!(other.answer()["version"], version);
    assert_eq!(Helper::new(&home, &url).read(), json!({"ok": "read"}));
}

const PAGE: &str = include_str!("../../man/codex-store-postgres.1");

#[test]
fn the_page_is_what_it_does() {
    let page = Page::new(PAGE.to_owned());
    let mut home = Home::new();
    let folder = postgres::helper().with_file_name("");
    home.set("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let help = home.sh("codex-store-postgres -h").stdout;
    let usage = help
        .split("Usage:")
        .nth(1)
        .and_then(|it| it.split("\n\n").next());
    assert_eq!(
        single_spaced(usage.expect("a usage")),
        page.rendered("SYNOPSIS")
    );

    let postgres = Postgres::shared();
    let service = format!(
        "[codex]\nhost={}\nport={}\nuser={OWNER}\ndbname={}\n",
        postgres.socket().display(),
        postgres.port(),
        postgres.database()
    );
    home.write(".pg_service.conf", service);
    let examples = examples::read(&page.literals("EXAMPLES")).expect("examples");
    let differences = examples::differences(&home, &examples);
    assert!(
        !examples.is_empty() && differences.is_empty(),
        "{}",
        differences.join("\n")
    );
}

#[test]
fn the_rights_of_the_page_are_enough() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let grants: String = PAGE
        .lines()
        .filter(|line| line.starts_with("GRANT "))
        .collect();
    assert!(grants.matches("GRANT").count() >= 3, "{grants}");
    let role = format!("laptop_{database}");
    postgres.role(&role);
    // PostgreSQL 15 itself grants to all what one needs to connect.
    postgres.sql(
        "postgres",
        &format!("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"),
    );
    let mut helper = Helper::new(&Home::new(), &postgres.url_as(&role, &database));
    assert!(
        error(&helper.read()).starts_with("denied: "),
        "nothing is granted yet"
    );
    let grants = grants
        .replace("laptop", &role)
        .replace("DATABASE codex", &format!("DATABASE {database}"));
    postgres.sql(&database, &grants);
    assert_eq!(helper.read(), json!({"ok": "read"}));
    assert_eq!(helper.put("{}")["ok"], "commit");
    let version = helper.put("{ }")["version"].clone();
    for request in [
        json!({"do": "read"}),
        json!({"do": "hold", "name": "x", "wait": 10}),
        json!({"do": "scratch-write", "name": "s", "text": "a"}),
        json!({"do": "scratch-write", "name": "s", "text": "b"}),
        json!({"do": "scratch-read", "name": "s"}),
        json!({"do": "scratch-clear", "name": "s"}),
        json!({"do": "release", "name": "x"}),
        json!({"do": "watch", "version": version, "wait": 10}),
    ] {
        assert_eq!(
            helper.ask(request.clone())["ok"],
            request["do"],
            "{request}"
        );
    }
}

#[test]
fn a_server_that_logs_everything_logs_nothing_that_is_kept() {
    let postgres = Postgres::shared();
    let database = postgres.migrated();
    let mut helper = Helper::new(&Home::new(), &postgres.url(&database));
    let secret = format!("{CANARY}-in-a-row");
    for _ in 0..2 {
        assert_eq!(helper.put(&secret)["ok"], "commit");
        helper.ask(json!({"do": "scratch-write", "name": "s", "text": secret}));
    }
    assert_eq!(helper.read()["document"], secret);
    assert_eq!(
        helper.ask(json!({"do": "scratch-read", "name": "s"}))["text"],
        secret
    );
    let log = postgres.log();
    assert!(log.contains("COPY codex_accounts.document"), "it logs");
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [secret, hexadecimal] {
        assert!(!log.contains(&form), "a row is in the server's log");
    }
}

#[test]
fn a_row_that_the_database_refuses_is_in_no_message() {
    let postgres = Postgres::start(&["fsync=off"]);
    let database = postgres.migrated();
    let mut helper = Helper::new(&Home::new(), &postgres.url(&database));
    // A rule of its owner's own, whose violation the server explains with the row.
    for (table, column) in [("document", "document"), ("scratch", "text")] {
        let rule = format!("ALTER TABLE codex_accounts.{table} ADD CHECK (length({column}) < 5)");
        postgres.sql(&database, &rule);
    }
    let secret = format!("{CANARY}-in-a-row");
    let refused = [
        helper.put(&secret),
        helper.ask(json!({"do": "scratch-write", "name": "s", "text": secret})),
    ];
    for answer in refused {
        assert!(
            error(&answer).starts_with("failed: the database server says: new row for"),
            "{answer}"
        );
        assert!(!answer.to_string().contains("\\\\x"), "{answer}");
    }
    assert!(postgres.log().contains("Failing row contains"));
}
