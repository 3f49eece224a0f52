//! Who is who: whether two logins are one account, and what of a new login goes into a known one.

use std::time::Duration;

use super::time::UnixMillis;
use super::{Account, AccountId, UserId};

/// What tells whose account it is, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) account_id: Option<&'a AccountId>,
    pub(super) user_id: Option<&'a UserId>,
    pub(super) email: Option<&'a str>,
}

pub(super) fn owner(account: &Account) -> Owner<'_> {
    Owner {
        account_id: account.chatgpt_account_id.as_ref(),
        user_id: account.chatgpt_user_id.as_ref(),
        email: account.email.as_deref(),
    }
}

/// Whether both are logins of one person to one workspace (DESIGN §2, `codex-oauth-login`): by
/// (account id, user id), else by (account id, email), else by the refresh token. The seats of a
/// team share an account id; one email can have a personal and a team workspace.
#[must_use]
pub fn same(one: &Account, other: &Account) -> bool {
    let told = same_owner(owner(one), owner(other));
    told.unwrap_or_else(|| one.tokens.refresh == other.tokens.refresh)
}

/// The same, as far as their ids tell.
pub(super) fn same_owner(one: Owner<'_>, other: Owner<'_>) -> Option<bool> {
    if one.account_id? != other.account_id? {
        return Some(false);
    }
    if let (Some(one), Some(other)) = (one.user_id, other.user_id) {
        return Some(one == other);
    }
    Some(one.email?.to_lowercase() == other.email?.to_lowercase())
}

/// The index of the one that fits, if no other does.
pub(super) fn only(accounts: &[Account], fits: impl Fn(&Account) -> bool) -> Option<usize> {
    let mut fitting = (0..accounts.len()).filter(|&index| fits(&accounts[index]));
    fitting.next().filter(|_| fitting.next().is_none())
}

/// When an account counts as added that is added now: by that moment it can be told from all others
/// where nothing else is known of it, so no two have the same.
#[must_use]
pub fn added_at(accounts: &[Account], now: UnixMillis) -> UnixMillis {
    let last = accounts.iter().filter_map(|account| account.added_at).max();
    let after = |last: UnixMillis| now.max(last.plus(Duration::from_millis(1)));
    last.map_or(now, after)
}

/// A number that stands for texts, the same in every version of this program: FNV-1a over the
/// texts, each closed by a byte that no text contains, and a finalizer, since FNV alone leaves the
/// high bits of similar texts alike.
#[must_use]
pub fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A number that stands for the account, for what is remembered of it outside the store. It stays
/// the same while the account's ids do.
#[must_use]
pub fn key(account: &Account) -> u64 {
    owners_key(owner(account), account.added_at)
}

pub(super) fn owners_key(owner: Owner<'_>, added_at: Option<UnixMillis>) -> u64 {
    let account_id = owner.account_id.map_or("", AccountId::as_str);
    let user_id = owner.user_id.map_or("", UserId::as_str);
    let added_at = added_at.map_or(0, UnixMillis::as_millis);
    fingerprint(&[account_id, user_id, &added_at.to_string()])
}

/// Fills in what the account's tokens say about their owner. The workspace stays the one that is
/// known: a login can be good for several, and an organization is only taken for one.
pub fn learn_owner(account: &mut Account) {
    let claims = account.tokens.claims();
    if account.chatgpt_account_id.is_none() {
        account.chatgpt_account_id = claims.account_id;
    }
    take(&mut account.chatgpt_user_id, claims.user_id);
    take(&mut account.email, claims.email);
    take(&mut account.plan_type, claims.plan_type);
}

fn take<T>(known: &mut Option<T>, told: Option<T>) {
    if told.is_some() {
        *known = told;
    }
}

/// What became of a login that was to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is a new account, at this index.
    Added(usize),
    /// It renewed the account at this index.
    Renewed(usize),
}

impl Admission {
    /// The index of the account.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Added(index) | Self::Renewed(index) => index,
        }
    }
}

/// Lets a fresh login in: a known account is renewed in place, enabled, and needs no login any
/// more; its history, limits and label stay. An unknown one goes to the end.
pub fn admit(accounts: &mut Vec<Account>, login: Account, now: UnixMillis) -> Admission {
    let known = accounts.iter().position(|known| same(known, &login));
    let Some(index) = known.or_else(|| nameless_dead(accounts, &login)) else {
        accounts.push(Account {
            added_at: Some(added_at(accounts, now)),
            ..login
        });
        return Admission::Added(accounts.len() - 1);
    };
    let known = &mut accounts[index];
    take(&mut known.chatgpt_account_id, login.chatgpt_account_id);
    take(&mut known.chatgpt_user_id, login.chatgpt_user_id);
    take(&mut known.email, login.email);
    take(&mut known.plan_type, login.plan_type);
    take(&mut known.label, login.label);
    known.take_login(login.tokens, login.shared_with);
    known.enabled = true;
    Admission::Renewed(index)
}

/// The dead account that this login is to repair: of its workspace, the only one of which it is not
/// known whose it is, as packed logins are.
fn nameless_dead(accounts: &[Account], login: &Account) -> Option<usize> {
    let id = login.chatgpt_account_id.as_ref()?;
    let index = only(accounts, |known| {
        known.chatgpt_account_id.as_ref() == Some(id)
            && known.chatgpt_user_id.is_none()
            && known.email.is_none()
    })?;
    accounts[index].login_required.as_ref().map(|_| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Scope;
    use crate::account::secret::RefreshToken;

    fn login(token: &str, account: &str, user: Option<&str>, email: Option<&str>) -> Account {
        Account {
            chatgpt_account_id: Some(AccountId::new(account)),
            chatgpt_user_id: user.map(UserId::new),
            email: email.map(str::to_owned),
            ..Account::new(RefreshToken::new(token))
        }
    }

    #[test]
    fn five_seats_of_one_team_are_five_accounts() {
        let mut accounts = Vec::new();
        for user in ["u1", "u2", "u3", "u4", "u5", "u1"] {
            let seat = login(user, "team", Some(user), None);
            admit(&mut accounts, seat, UnixMillis::from_secs(1));
        }
        assert_eq!(accounts.len(), 5);
    }

    #[test]
    fn personal_and_team_workspace_of_one_email_are_two_accounts() {
        let personal = login("a", "personal", Some("u"), Some("me@example.com"));
        let team = login("b", "team", Some("u"), Some("me@example.com"));
        assert!(!same(&personal, &team));
    }

    #[test]
    fn case_of_the_email_makes_no_new_account() {
        let one = login("a", "acc", None, Some("Me@Example.com"));
        let two = login("b", "acc", Some("u"), Some("me@example.com"));
        assert!(same(&one, &two));
    }

    #[test]
    fn a_new_login_revives_a_dead_account_and_keeps_its_label() {
        let mut accounts = vec![Account {
            label: Some("work".into()),
            enabled: false,
            ..login("old", "acc", Some("u"), None)
        }];
        let admission = admit(
            &mut accounts,
            login("new", "acc", Some("u"), None),
            UnixMillis::from_secs(1),
        );
        assert_eq!(admission, Admission::Renewed(0));
        assert_eq!(accounts[0].label.as_deref(), Some("work"));
        assert!(accounts[0].enabled);
        assert_eq!(accounts[0].tokens.refresh.expose(), "new");
    }

    #[test]
    fn a_new_login_does_not_wait_for_the_refusals_of_the_old_one_to_end() {
        let now = UnixMillis::from_secs(1);
        let hour = UnixMillis::from_secs(3600);
        let mut refused = login("old", "acc", Some("u"), None);
        for scope in [Scope::REFUSED, Scope::DEFAULT] {
            refused.record_by_hand(Scope::new(scope), hour, None, now);
        }
        let mut accounts = vec![refused];
        admit(&mut accounts, login("new", "acc", Some("u"), None), now);
        let marked: Vec<&str> = accounts[0].limits().keys().map(Scope::as_str).collect();
        assert_eq!(marked, [Scope::DEFAULT], "a limit is the account's");
    }
}
