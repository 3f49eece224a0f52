//! The lock of a login: how it is called, and how long it is waited for.

use std::time::Duration;

use super::error::{Error, gone};
use crate::account::handle::Handle;
use crate::account::identity::fingerprint;
use crate::account::{Account, AccountId, UserId};
use crate::store::Store;
use crate::store::lock::Patience;

/// As long as the holder of the lock may take: half a minute for the issuer, ten seconds for the
/// store's lock, and as much for each of the three locks of the clients' files.
pub(super) const PATIENCE: Patience = Patience {
    quiet: Duration::from_secs(2),
    most: Duration::from_secs(90),
};

/// The account as the store has it now, and the name of its lock.
pub(super) fn read_again(store: &dyn Store, before: &Account) -> Result<(Account, String), Error> {
    let accounts = store.read()?.ok_or_else(|| gone(before))?.accounts;
    let index = Handle::from(before)
        .find(&accounts)
        .ok_or_else(|| gone(before))?;
    let name = lock_name(&accounts, &accounts[index]);
    accounts
        .into_iter()
        .nth(index)
        .map(|account| (account, name))
        .ok_or_else(|| gone(before))
}

/// The lock of a login, wherever its token stands: by whose it is, or where that is not known, by
/// the token. A token that two accounts have is used once, so the first of them says whose it is.
pub(super) fn lock_name(accounts: &[Account], account: &Account) -> String {
    let holds_it = |it: &&Account| it.tokens.refresh == account.tokens.refresh;
    let first = accounts.iter().find(holds_it).unwrap_or(account);
    let ids = (&first.chatgpt_account_id, &first.chatgpt_user_id);
    let key = match ids {
        (Some(account), Some(user)) => {
            fingerprint(&[AccountId::as_str(account), UserId::as_str(user)])
        }
        _ => fingerprint(&[first.tokens.refresh.expose()]),
    };
    format!("refresh-{key:016x}")
}
