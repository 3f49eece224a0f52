//! What must hold of each reader, whatever bytes it gets. The fuzz targets try new bytes; the tests
//! of the main package (`tests/corpus.rs`) try the ones in `corpus/` every time.
//!
//! `cargo fuzz run token`, `response`, `message` or `store` in this folder's parent looks for more.

use codex_accounts::account::handle::Handle;
use codex_accounts::account::limit::{LONGEST_WINDOW, Limit, Verdict};
use codex_accounts::account::observation::{Asking, Observation};
use codex_accounts::account::secret::RefreshToken;
use codex_accounts::account::stream::Event;
use codex_accounts::account::time::UnixMillis;
use codex_accounts::account::{Account, response, token};
use codex_accounts::proxy::socket::message::Create;
use codex_accounts::store::Document;
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
