//! The issuer's word that a token is dead, where no store keeps that (DESIGN §2: somebody with one
//! account in opencode stays as they were): a fingerprint of the token and the issuer's code, in a
//! file beside the account's refresh lock and touched with that lock only. No token is in it.

use crate::account::handle::Fingerprint;
use crate::account::secret::RefreshToken;
use crate::store::scratch::Scratch;
use crate::store::{self, Store};

/// Notes that the issuer called this token dead.
pub(super) fn note(store: &dyn Store, lock: &str, token: &RefreshToken, code: &str) {
    let text = format!("{} {code}\n", Fingerprint::from(token));
    // Without it the token is presented once more, which the issuer answers as before.
    let _ = place(store, lock).map(|place| place.put(text.as_bytes()));
}

/// The code with which the issuer called this token dead. What it said of another token is over.
pub(super) fn of(store: &dyn Store, lock: &str, token: &RefreshToken) -> Option<String> {
    let place = place(store, lock).ok()?;
    let text = String::from_utf8(place.read().ok()??).ok()?;
    match text.trim_end().split_once(' ') {
        Some((known, code)) if known == Fingerprint::from(token).to_string() => {
            Some(code.to_owned())
        }
        _ => {
            let _ = place.clear();
            None
        }
    }
}

fn place(store: &dyn Store, lock: &str) -> Result<Box<dyn Scratch>, store::Error> {
    store.scratch(&format!("{lock}.dead"))
}
