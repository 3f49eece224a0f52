//! What an account may use, as what is strict looks at it.

use super::account::PretendAccount;
use super::reply::Field;
use super::strict::{self, Asker};
use http::header::{HeaderName, HeaderValue};

/// The account as what is strict looks at it. Its key is its workspace's.
pub(super) fn asker(account: &PretendAccount) -> Asker<'_> {
    Asker {
        org: &account.account_id,
        plan: &account.plan,
        models: account.models.as_deref(),
        lite: account.lite,
    }
}

/// `x-models-etag`, on which Codex asks for the models anew when it changes.
pub(super) fn etag(account: &PretendAccount) -> Option<Field> {
    let value = HeaderValue::try_from(strict::etag(&asker(account))).ok()?;
    Some((HeaderName::from_static("x-models-etag"), value))
}
