//! What must hold of each reader, whatever bytes it gets. The fuzz targets try new bytes; the tests
//! of the main package (`tests/corpus.rs`) try the ones in `corpus/` every time.
//!
//! `cargo fuzz run TARGET` in this folder's parent looks for more; `fuzz/run` does it without
//! cargo-fuzz and without a nightly compiler.

use std::ffi::OsStr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_accounts::account::claims::Claims;
use codex_accounts::account::handle::Handle;
use codex_accounts::account::limit::{LONGEST_WINDOW, Limit, Verdict};
use codex_accounts::account::merge::{self, Merged};
use codex_accounts::account::observation::{Asking, Observation};
use codex_accounts::account::secret::RefreshToken;
use codex_accounts::account::session::{Body, Extent};
use codex_accounts::account::stream::{Event, Events};
use codex_accounts::account::time::UnixMillis;
use codex_accounts::account::{Account, response, token};
use codex_accounts::client::json_file::Text;
use codex_accounts::client::{jsonc, login, registry};
use codex_accounts::net::callback::{Answer, Outcome};
use codex_accounts::oauth::refresh::journal::{self, Chain};
use codex_accounts::proxy::socket::message::Create;
use codex_accounts::store::Document;
use codex_accounts::store::locator::Locator;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The moment at which responses are read.
const NOW: UnixMillis = UnixMillis::from_secs(1_777_922_696);

/// A packed string that can be read can be written, and is the same then.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(entries) = token::decode(text) else {
        return;
    };
    let packed = token::encode(&entries).expect("what was read can be written");
    let again = token::decode(packed.expose()).expect("what was written can be read");
    assert!(again == entries);
}

/// A response that can be read marks nothing beyond the longest time, and nothing in the past.
pub fn response(bytes: &[u8]) {
    let Ok(reading) = response::read(bytes, NOW, &TimeZone::UTC) else {
        return;
    };
    let longest = NOW.plus(LONGEST_WINDOW);
    if let Verdict::Limited(Limit {
        reset: Some(reset), ..
    }) = &reading.verdict
    {
        assert!(NOW < reset.at && reset.at <= longest);
    }
    let mut account = Account::new(RefreshToken::new("r"));
    account.record(&Observation {
        asking: Asking {
            who: Handle::from(&account),
            model: Some("gpt-5.5".to_owned()),
            at: NOW,
        },
        reading,
        seen_at: NOW,
    });
    for mark in account.limits().values() {
        assert!(NOW < mark.until && mark.until <= longest);
    }
    let document = Document::of(vec![account]);
    assert!(Document::parse(&document.to_bytes()) == Ok(document));
}

/// What is cut out of a message of a WebSocket is the state of its turn, and nothing else.
pub fn message(bytes: &[u8]) {
    const TURN_STATE: &str = "x-codex-turn-state";
    let _ = Event::of_message(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(create) = Create::read(&text.into()) else {
        return;
    };
    let cut = create.without_turn_state();
    if cut.as_str() == text {
        return;
    }
    let mut before: Value = serde_json::from_str(text).expect("what was cut could be read");
    let after: Value = serde_json::from_str(&cut).expect("what was cut can be read");
    let metadata = before["client_metadata"].as_object_mut();
    metadata.expect("metadata").remove(TURN_STATE);
    assert!(before == after);
}

/// A document that can be read stays what it is when it is written and read again.
pub fn store(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else {
        return;
    };
    assert!(Document::parse(&document.to_bytes()) == Ok(document));
}

/// What a token says of its owner is something, or it says nothing.
pub fn claims(bytes: &[u8]) {
    let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(bytes));
    let claims = Claims::of_login(Some(&token), Some(&token));
    let _ = Claims::of(&String::from_utf8_lossy(bytes));
    let texts = [&claims.email, &claims.plan_type, &claims.residency];
    assert!(
        texts
            .iter()
            .all(|text| text.as_ref().is_none_or(|it| !it.trim().is_empty()))
    );
    let account = claims.account_id.as_ref().map(|id| id.as_str());
    let user = claims.user_id.as_ref().map(|id| id.as_str());
    assert!(
        [account, user]
            .iter()
            .flatten()
            .all(|id| !id.trim().is_empty())
    );
}

/// What is read from a login file can be kept, is the same account when it is read twice, and why
/// it can't be read is said without a word of it.
pub fn import(bytes: &[u8]) {
    let logins = match login::read(bytes) {
        Ok(logins) => logins,
        Err(error) => return assert!(!error.to_string().contains("CANARY")),
    };
    let mut known = Vec::new();
    for account in &logins.accounts {
        merge::merge(&mut known, account.clone(), NOW);
    }
    let document = Document::of(known.clone());
    assert!(Document::parse(&document.to_bytes()) == Ok(document));
    for account in logins.accounts {
        let merged = merge::merge(&mut known, account, NOW);
        assert!(!matches!(merged, Merged::Added(_)), "it is added once more");
    }
}

/// A callback without the state of this login is another's, and a code is something.
pub fn callback(bytes: &[u8]) {
    let query = String::from_utf8_lossy(bytes);
    let answer = Answer::of_query(&query);
    if answer.has_state("right") {
        assert!(
            answer
                .state
                .as_ref()
                .is_some_and(|it| it.expose() == "right")
        );
        assert!(query.contains("r"));
    }
    match answer.outcome {
        Outcome::Code(code) => assert!(!code.expose().trim().is_empty()),
        Outcome::Error { code, .. } => assert!(!code.trim().is_empty()),
        Outcome::Nothing => {}
    }
}

/// A stream says the same however it is cut into pieces; the first byte says how long they are.
pub fn stream(bytes: &[u8]) {
    let Some((length, text)) = bytes.split_first() else {
        return;
    };
    let read = |length: usize| {
        let mut events = Events::default();
        let mut found: Vec<Event> = Vec::new();
        for piece in text.chunks(length.max(1)) {
            events.push(piece, |event| found.push(event));
        }
        found.extend(events.finish());
        found
    };
    assert!(read(usize::from(*length)) == read(text.len()));
}

/// A body from which something was cut is one still, and nothing is left of what was to go.
pub fn body(bytes: &[u8]) {
    let Ok(body) = Body::read(bytes) else {
        return;
    };
    let blobs = body.blobs().take(1).collect();
    for extent in [
        Extent::AllButCompactions,
        Extent::All,
        Extent::These(&blobs),
    ] {
        let Some(cut) = body.cut(extent) else {
            continue;
        };
        let _: Value = serde_json::from_str(&cut.body).expect("what was cut is JSON");
        let Ok(again) = Body::read(cut.body.as_bytes()) else {
            panic!("what was cut can't be read");
        };
        assert!(again.cut(extent).is_none(), "there is more to cut");
    }
}

/// A journal that can be read stays what it is, and what is looked for in it is found.
pub fn journal(bytes: &[u8]) {
    let Ok(mut chains) = serde_json::from_slice::<Vec<Chain>>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&chains).expect("JSON");
    assert!(serde_json::from_slice::<Vec<Chain>>(&written).expect("a journal") == chains);
    let here = Locator::File("/store".into());
    for chain in &mut chains {
        if let Some(asked) = chain.asked {
            assert!(asked.at <= asked.wait_until(None));
        }
        chain.go_on(&RefreshToken::new("next"));
        assert!(chain.has(&RefreshToken::new("next")) && chain.asked.is_none());
        assert!(!chain.has_used(&RefreshToken::new("next")));
    }
    let account = Account::new(RefreshToken::new("next"));
    assert!(journal::find(&chains, &account, &here).is_none() == chains.is_empty());
}

/// What is put into a configuration with comments is there, and is gone when it is taken out.
pub fn jsonc(bytes: &[u8]) {
    const PATH: [&str; 3] = ["provider", "openai", "baseURL"];
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(with) = jsonc::with_member(text, &PATH, "canary") else {
        return;
    };
    let at = |text: &str| {
        let said = jsonc::value(text).expect("what was changed can be read");
        said["provider"]["openai"]["baseURL"].clone()
    };
    assert!(at(&with) == "canary");
    let without = jsonc::without_member(&with, &PATH).expect("what was changed can be changed");
    assert!(at(&without) == Value::Null);
}

/// A configuration in TOML from which our provider was taken is one still, and has it no more.
pub fn toml(bytes: &[u8]) {
    let codex = registry::named(OsStr::new("codex")).expect("a client");
    let path = Path::new("config.toml");
    let Ok(after) = codex.let_go(path, bytes) else {
        return;
    };
    let again = codex
        .let_go(path, &after)
        .expect("what was changed can be read");
    assert!(again == after);
}

/// Of a client's JSON file only the member that is changed changes.
pub fn text(bytes: &[u8]) {
    let Ok(before) = Text::parse(bytes) else {
        return;
    };
    let mut text = before.clone();
    text.put("canary", r#"{"a":[1]}"#);
    text.set(&["canary", "a"], "b");
    let mut expected = before.value();
    match expected.as_object_mut() {
        Some(members) => drop(members.insert("canary".into(), serde_json::json!({"a": "b"}))),
        None => assert!(text == before),
    }
    assert!(text.value() == expected);
    text.remove("canary");
    assert!(Text::parse(text.as_str().as_bytes()).is_ok());
    assert!(text.value().get("canary").is_none());
}
