//! `codex-token-encode` and `codex-token-decode`: the packed form, there and back.

use serde_json::{Value, json};

use super::support::Home;
use super::support::accounts::{account, store};
use super::support::canary::{self, CANARY};

fn encode(input: &str) -> String {
    let home = Home::new();
    home.sh_with("codex-token-encode", input).to_string()
}

fn decode(input: &str) -> String {
    let home = Home::new();
    home.sh_with("codex-token-decode", input).to_string()
}

#[test]
fn records_are_read_one_by_one_as_an_array_or_as_a_store() {
    let one = r#"{"v":1,"index":7,"refreshToken":"r1","chatgptAccountId":"a1","odd":[1]}"#;
    let two = r#"{"refreshToken":"r2","chatgptAccountId":null}"#;
    for input in [
        format!("{one}\n{two}\n"),
        format!("\r\n{one}\r\n\r\n{two}"),
        format!("{one}{two}"),
        format!("[{one},\n{two}]"),
        format!("[{one}]\n[]\n{two}"),
        format!(r#"{{"version":1,"accounts":[{one},{two}],"activeIndex":1}}"#),
    ] {
        assert_eq!(encode(&input), "r1|a1||r2\n--- exit 0", "{input}");
    }
}

#[test]
fn what_can_not_be_read_back_is_refused_by_its_place() {
    let home = Home::new();
    let good = json!({"refreshToken": "r", "chatgptAccountId": "a"});
    for (field, name) in [
        ("refreshToken", "refresh token"),
        ("chatgptAccountId", "account id"),
    ] {
        for bad in [
            "|", "x|y", "x y", " x", "x\n", "x\t", "\u{0}", "\u{7f}", "\u{a0}",
        ] {
            let mut record = good.clone();
            record[field] = json!(format!("{CANARY}{bad}"));
            let shown = home.sh_with("codex-token-encode", format!("{good}\n{record}"));
            let message = format!(
                "codex-token-encode: error: the {name} of account 2 holds '|', white space or a \
                 control character\n"
            );
            assert_eq!((shown.code, shown.stdout.as_str()), (65, ""), "{bad:?}");
            assert_eq!(shown.stderr, message, "{bad:?}");
        }
    }
    let shown = home.sh_with("codex-token-encode", r#"{"refreshToken":""}"#);
    let message = "codex-token-encode: error: the refresh token of account 1 is empty\n";
    assert_eq!((shown.code, shown.stderr.as_str()), (65, message));
}

#[test]
fn what_is_no_record_is_refused_by_its_place() {
    insta::assert_snapshot!(encode("{\"refreshToken\":\"CANARY\"}\n{\"refreshToken\":CANARY}"), @"
    --- stderr
    codex-token-encode: error: the input is not JSON at line 2, column 17
    --- exit 65
    ");
    insta::assert_snapshot!(encode("[{\"refreshToken\":\"CANARY\"},{\"refresh\":\"CANARY\"}]"), @"
    --- stderr
    codex-token-encode: error: record 2 has no refreshToken, or a key of the wrong type
    --- exit 65
    ");
    for bad in [
        "1",
        "\"CANARY\"",
        "[[]]",
        "{}",
        "{\"refreshToken\":1}",
        "{\"refreshToken\":\"r\",\"chatgptAccountId\":1}",
    ] {
        let shown = encode(bad);
        assert!(
            shown.starts_with("--- stderr\ncodex-token-encode: error: record 1 "),
            "{shown}"
        );
        assert!(shown.ends_with("--- exit 65"), "{shown}");
    }
}

#[test]
fn no_account_makes_no_string() {
    for none in ["", " \n", "[]", r#"{"version":1,"accounts":[]}"#] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(encode(none), @"
            --- stderr
            codex-token-encode: error: there are no accounts to encode
            --- exit 1
            ");
        }
    }
}

#[test]
fn the_store_is_packed_in_its_order() {
    let home = Home::new();
    let mut nameless = account("nameless");
    nameless
        .as_object_mut()
        .expect("an account")
        .shift_remove("chatgptAccountId");
    home.write_store(&store([account("work"), nameless, account("personal")]));
    let before = home.store();
    let shown = home.sh("codex-token-encode --from-store");
    let token = |label: &str| format!("{CANARY}-refresh-{label}");
    let expected = format!(
        "{}|acc-work||{}||{}|acc-personal\n",
        token("work"),
        token("nameless"),
        token("personal")
    );
    assert_eq!(shown.stdout, expected);
    let whole = home.sh(&format!(
        "codex-token-encode <'{}'",
        home.store_path().display()
    ));
    assert_eq!(whole.stdout, expected, "the file is the same");
    assert_eq!(home.store(), before);
}

#[test]
fn without_a_store_there_is_nothing_to_pack() {
    let home = Home::new();
    insta::assert_snapshot!(home.sh("codex-token-encode --from-store"), @"
    --- stderr
    codex-token-encode: error: there are no accounts to encode
    --- exit 1
    ");
    home.write(home.store_path(), "{");
    assert_eq!(home.sh("codex-token-encode --from-store").code, 78);
    let named = home.write("named", store([account("work")]).to_string());
    let shown = home.sh(&format!(
        "codex-token-encode --from-store --store '{}'",
        named.display()
    ));
    assert_eq!(shown.stdout, format!("{CANARY}-refresh-work|acc-work\n"));
}

#[test]
fn a_packed_string_is_read_part_by_part() {
    insta::assert_snapshot!(decode("r1|a1||r2|a2\n"), @r#"
    {"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"a1"}
    {"v":1,"index":1,"refreshToken":"r2","chatgptAccountId":"a2"}
    --- exit 0
    "#);
    insta::assert_snapshot!(decode("just-one-token"), @r#"
    {"v":1,"index":0,"refreshToken":"just-one-token"}
    --- exit 0
    "#);
    insta::assert_snapshot!(decode("\t|| r1 | a1 ||\r\n||||r2|\r\n"), @r#"
    {"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"a1"}
    {"v":1,"index":1,"refreshToken":"r2"}
    --- exit 0
    "#);
    for none in ["", "\n", "||", " || \n||"] {
        assert_eq!(decode(none), "--- exit 0", "{none:?}");
    }
}

#[test]
fn a_mistake_in_a_packed_string_is_named_by_its_place() {
    let home = Home::new();
    for (input, message) in [
        ("CANARY|||r|a", "part 2, at byte 8, has more than one '|'"),
        ("CANARY|a|b|c", "part 1, at byte 0, has more than one '|'"),
        (
            "r||CANARY|a|||b",
            "part 3, at byte 13, has no refresh token before its '|'",
        ),
        (
            "r|| |CANARY",
            "part 2, at byte 3, has no refresh token before its '|'",
        ),
        (
            "r||CAN ARY",
            "part 2, at byte 3, has white space or a control character in it",
        ),
        (
            "r|CAN\tARY",
            "part 1, at byte 0, has white space or a control character in it",
        ),
        (
            "r1|a1\nCANARY|a2",
            "part 1, at byte 0, has more than one '|'",
        ),
        (
            "r1\nCANARY",
            "part 1, at byte 0, has white space or a control character in it",
        ),
        (
            "CANARY\0",
            "part 1, at byte 0, has white space or a control character in it",
        ),
        (
            "{\"openai\":CANARY",
            "the input is not JSON at line 1, column 11",
        ),
        (
            r#"{"openai":{"type":"oauth","refresh":"r|||CANARY"}}"#,
            "the input is JSON, but its refresh token can't be read: part 2, at byte 3, has no refresh token before its '|'",
        ),
    ] {
        let shown = home.sh_with("codex-token-decode", input);
        let expected = format!("codex-token-decode: error: {message}\n");
        assert_eq!((shown.code, shown.stdout.as_str()), (65, ""), "{input:?}");
        assert_eq!(shown.stderr, expected, "{input:?}");
    }
    let shown = home.sh_with("codex-token-decode", b"r1|a1||\xff\xfe".to_vec());
    assert_eq!(
        shown.stderr,
        "codex-token-decode: error: byte 7 is not UTF-8\n"
    );
    assert_eq!(shown.code, 65);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_input() {
    let mark = "\u{feff}";
    for packed in [
        "r1|a1\n",
        r#"{"openai":{"type":"oauth","refresh":"r1|a1"}}"#,
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(decode(&format!("{mark}{packed}")), @r#"
            {"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"a1"}
            --- exit 0
            "#);
        }
    }
    let record = r#"{"refreshToken":"r1","chatgptAccountId":"a1"}"#;
    insta::assert_snapshot!(encode(&format!("{mark}{record}")), @"
    r1|a1
    --- exit 0
    ");
}

#[test]
fn a_blank_account_id_is_none() {
    let records = r#"{"refreshToken":"r1","chatgptAccountId":""} {"refreshToken":"r2","chatgptAccountId":null}"#;
    insta::assert_snapshot!(encode(records), @"
    r1||r2
    --- exit 0
    ");
}

#[test]
fn opencodes_login_is_read() {
    let auth = |openai: Value| json!({"x": {"type": "api", "key": "k"}, "openai": openai});
    let oauth = |refresh: &str| json!({"type": "oauth", "refresh": refresh, "access": "", "expires": 0, "accountId": "acc"});
    insta::assert_snapshot!(decode(&auth(oauth("r1")).to_string()), @r#"
    {"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"acc"}
    --- exit 0
    "#);
    insta::assert_snapshot!(decode(&format!("\n{:#}", auth(oauth("r1|own")))), @r#"
    {"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"own"}
    --- exit 0
    "#);
    insta::assert_snapshot!(decode(&auth(oauth("r1||r2|a2")).to_string()), @r#"
    {"v":1,"index":0,"refreshToken":"r1"}
    {"v":1,"index":1,"refreshToken":"r2","chatgptAccountId":"a2"}
    --- exit 0
    "#);
    for other in [
        json!({}),
        json!({"openai": {"type": "api", "key": "CANARY"}}),
        json!({"openai": {"type": "oauth"}}),
        json!({"openai": "CANARY"}),
        store([account("work")]),
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(decode(&other.to_string()), @"
            --- stderr
            codex-token-decode: error: the input is JSON, but it has no oauth entry for openai
            --- exit 1
            ");
        }
    }
}

#[test]
fn pipelines_that_undo_each_other_change_nothing() {
    let home = Home::new();
    home.write_store(&store(["work", "personal", "spare"].map(account)));
    let shown = home.sh(
        "codex-token-encode --from-store >packed
        codex-token-decode <packed | codex-token-encode | cmp - packed &&
        codex-token-decode <packed >records &&
        codex-token-encode <records | codex-token-decode | cmp - records &&
        jq -s . records | codex-token-encode | cmp - packed &&
        jq -c '{openai: {type: \"oauth\", refresh: .}}' -R packed | codex-token-decode | cmp - records",
    );
    insta::assert_snapshot!(shown, @"--- exit 0");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    home.sh("mkfifo pipe");
    let ends = "exec 3<>pipe 4>pipe; exec 3<&-";
    for command in [
        "echo 'r1|a1||r2' | codex-token-decode >&4",
        "echo '{\"refreshToken\":\"r\"}' | codex-token-encode >&4",
    ] {
        let shown = home.sh(&format!("{ends}; {command}"));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @"--- exit 0");
        }
    }
}

#[test]
fn a_secret_is_not_shown_on_a_terminal() {
    let home = Home::new();
    home.write("packed", format!("{CANARY}|a"));
    home.write("record", format!("{{\"refreshToken\":\"{CANARY}\"}}"));
    for command in [
        "codex-token-decode %s <packed",
        "codex-token-encode %s <record",
    ] {
        let on_terminal = |force: &str| {
            let command = command.replace("%s", force);
            home.sh(&format!("script -qec '{command}' /dev/null </dev/null"))
        };
        let refused = on_terminal("");
        assert_eq!(refused.code, 77, "{refused}");
        canary::assert_none(&refused.stdout);
        let forced = on_terminal("--force");
        assert!(
            forced.code == 0 && forced.stdout.contains(CANARY),
            "{forced}"
        );
    }
}

#[test]
fn a_long_list_goes_through() {
    let home = Home::new();
    let packed: Vec<String> = (0..2000).map(|n| format!("r{n}|a{n}")).collect();
    let packed = packed.join("||") + "\n";
    let shown = home.sh_with("codex-token-decode | codex-token-encode", packed.clone());
    assert!(shown.stdout == packed);
}
