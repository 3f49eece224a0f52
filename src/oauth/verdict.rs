//! The issuer's word that a token is dead, where no store keeps that (DESIGN §2: somebody with one
//! account in opencode stays as they were): a fingerprint of the token and the issuer's code, in a
//! file beside the account's refresh lock and touched with that lock only. No token is in it.

use std::fs;
use std::path::Path;

use crate::account::handle::Fingerprint;
use crate::account::secret::RefreshToken;
use crate::store::commit;

/// Notes that the issuer called this token dead.
pub(super) fn note(lock: &Path, token: &RefreshToken, code: &str) {
    let text = format!("{} {code}\n", Fingerprint::from(token));
    // Without it the token is presented once more, which the issuer answers as before.
    let _ = commit::replace(&lock.with_extension("dead"), text.as_bytes(), None);
}

/// The code with which the issuer called this token dead. What it said of another token is over.
pub(super) fn of(lock: &Path, token: &RefreshToken) -> Option<String> {
    let path = lock.with_extension("dead");
    let text = fs::read_to_string(&path).ok()?;
    match text.trim_end().split_once(' ') {
        Some((known, code)) if known == Fingerprint::from(token).to_string() => {
            Some(code.to_owned())
        }
        _ => {
            let _ = fs::remove_file(&path);
            None
        }
    }
}
