//! The `openai` entry of opencode's `auth.json` (PROTOCOL §5), as a value: the accounts in it, what
//! renewed tokens change in it, an account as such an entry, and the entry that stands for a login
//! and is none. It reads and writes no file.

use serde_json::{Value, json};

use crate::account::secret::{AccessToken, RefreshToken, Secret};
use crate::account::time::UnixMillis;
use crate::account::token::{self, Entry};
use crate::account::{Account, AccountId, identity};
use crate::client::contract::NoLogin;
use crate::client::json_file::Text;
use crate::client::wiring::Relay;

/// opencode's name for the provider that these accounts are of.
pub(super) const PROVIDER: &str = "openai";

/// What stands for the refresh token in an entry of ours, which opencode has nothing to renew with.
const NO_REFRESH: &str = "none";

/// The accounts in the `openai` entry of an `auth.json`: its `refresh` is one token or the packed
/// form, and where it is one bare token, `accountId`, `access` and `expires` belong to it.
///
/// # Errors
/// When there is no such entry, or its token can't be read.
pub fn accounts(auth: &Value) -> Result<Vec<Account>, NoLogin> {
    let entries = auth.as_object().ok_or(NoLogin::OtherShape)?;
    let entry = entries.get(PROVIDER).ok_or(NoLogin::NoEntry)?;
    let refresh = entry["refresh"].as_str().ok_or(NoLogin::NoEntry)?;
    if is_for_good(entry) {
        return Err(NoLogin::Placeholder);
    }
    if entry["type"] != "oauth" || refresh == NO_REFRESH {
        return Err(NoLogin::NoEntry);
    }
    let packed = token::decode(refresh).map_err(NoLogin::Packed)?;
    let alone = packed.len() == 1;
    Ok(packed
        .into_iter()
        .map(|part| account(part, entry, alone))
        .collect())
}

fn account(part: Entry, entry: &Value, alone: bool) -> Account {
    let mut account = Account::from(part);
    if alone {
        let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
        account.chatgpt_account_id = account
            .chatgpt_account_id
            .or_else(|| text("accountId").map(AccountId::new));
        account.tokens.access = text("access").map(AccessToken::new);
        account.tokens.expires_at = entry["expires"].as_u64().and_then(UnixMillis::known);
        identity::learn_owner(&mut account);
    }
    account
}

/// Puts renewed tokens in the place of a refresh token that is used up, if the text holds it. The
/// access token in it is that of the only account; where there are several, nobody knows whose.
///
/// # Errors
/// When a token there, or the new one, can't be written in the packed form.
pub(super) fn renew(
    text: &mut Text,
    consumed: &RefreshToken,
    renewed: &Account,
) -> Result<(), token::Error> {
    let auth = text.value();
    let refresh = auth[PROVIDER]["refresh"].as_str().unwrap_or_default();
    let mut parts = token::decode(refresh)?;
    let alone = parts.len() == 1;
    let Some(part) = parts
        .iter_mut()
        .find(|part| part.refresh_token == *consumed)
    else {
        return Ok(());
    };
    part.refresh_token = renewed.tokens.refresh.clone();
    text.set(&[PROVIDER, "refresh"], token::encode(&parts)?.expose());
    if let (true, Some(access)) = (alone, &renewed.tokens.access) {
        text.set(&[PROVIDER, "access"], access.expose());
        text.set(&[PROVIDER, "expires"], expires(renewed));
    }
    Ok(())
}

/// The accounts as a store has them: each of several without an id is told by its place among so
/// many, where a store would have the moment it was added.
///
/// # Errors
/// As [`accounts`].
pub(super) fn in_their_places(auth: &Value) -> Result<Vec<Account>, NoLogin> {
    let mut accounts = accounts(auth)?;
    let count = accounts.len() as u64;
    for (account, place) in accounts.iter_mut().zip(0..) {
        if count > 1 && account.chatgpt_account_id.is_none() {
            account.added_at = UnixMillis::known(count * 1000 + place);
        }
    }
    Ok(accounts)
}

/// The accounts' refresh tokens in the packed form.
///
/// # Errors
/// When one can't be written in it.
pub fn pack(accounts: &[Account]) -> Result<Secret, token::Error> {
    token::encode(&accounts.iter().map(Entry::from).collect::<Vec<_>>())
}

/// An account as opencode's `openai` entry, with an access token and no refresh token: opencode can
/// use it until it expires and has nothing to renew it with.
#[must_use]
pub(super) fn entry(account: &Account) -> Value {
    json!({
        "type": "oauth",
        "refresh": NO_REFRESH,
        "access": account.tokens.access.as_ref().map(AccessToken::expose),
        "expires": expires(account),
        "accountId": account.chatgpt_account_id,
    })
}

/// As opencode writes it, which renews what it has no time of.
fn expires(account: &Account) -> u64 {
    account.tokens.expires_at.map_or(0, UnixMillis::as_millis)
}

/// A login that is none: its token is the key of the run, and it never needs a refresh.
#[must_use]
pub(super) fn stand_in(relay: Relay<'_>) -> Value {
    json!({
        "type": "oauth",
        "refresh": NO_REFRESH,
        "access": relay.key,
        "expires": FAR,
        "accountId": relay.account_id,
    })
}

/// The year 2100.
const FAR: u64 = 4_102_444_800_000;

/// Whether an entry is such a one: an account's own expires sooner, and what stands there for good is
/// nobody's to take away.
#[must_use]
pub(super) fn is_stand_in(entry: &Value) -> bool {
    is_no_login(entry) && !is_for_good(entry)
}

fn is_no_login(entry: &Value) -> bool {
    entry["refresh"] == NO_REFRESH && entry["expires"] == FAR
}

/// The entry that stands for a login for good, where opencode is pointed at a relay for good. It is
/// the same for everybody and holds no secret.
#[must_use]
pub(super) fn placeholder() -> Value {
    json!({
        "type": "oauth",
        "refresh": NO_REFRESH,
        "access": FOR_GOOD,
        "expires": FAR,
        "accountId": FOR_GOOD,
    })
}

const FOR_GOOD: &str = "codex-accounts";

/// Whether an entry is that one.
#[must_use]
pub(super) fn is_for_good(entry: &Value) -> bool {
    is_no_login(entry) && entry["access"] == FOR_GOOD
}
