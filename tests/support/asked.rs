//! Whom the pretend backend was asked by.

use codex_accounts::rehearse::Pretend;

/// The index of each account that asked the model something, in order.
pub(crate) fn asked(pretend: &Pretend) -> Vec<usize> {
    let seen = pretend.seen();
    seen.iter()
        .filter(|seen| seen.asks_the_model())
        .filter_map(|seen| seen.account)
        .collect()
}
