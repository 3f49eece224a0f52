//! What the codes of backend and issuer mean: the one table of them. A new code is one line here,
//! and one in the list of codex-ratelimit-mark(1), which a test holds against this.

/// A code, and what it means to whoever was told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code in lower case; one that begins with `*` stands for all that end so.
    pub name: &'static str,
    /// What it means where the backend says it.
    pub at_backend: Meaning,
    /// Whether the issuer calls a login dead with it (PROTOCOL §1).
    pub dead_at_issuer: bool,
}

/// What a code of the backend means. Where an answer says several, the first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// The workspace was deactivated.
    WorkspaceGone,
    /// The account has no right to this, whatever its quota.
    NotIncluded,
    /// What was asked was flagged.
    Flagged,
    /// The backend does not serve the place that the request came from.
    Region,
    /// An encrypted item can't be read by this account.
    Encrypted,
    /// The server has too much to do. With status 429 it is the account that asks too fast.
    Overloaded,
    /// A window or the credit is used up.
    UsedUp,
    /// Too many requests in a short time.
    TooFast,
    /// The login is dead.
    LoginDead,
    /// The access token was invalidated.
    TokenInvalidated,
    /// The access token expired.
    TokenExpired,
    /// The request can't be served as it is, by any account.
    Request,
}

impl Meaning {
    /// The word of the verdict that it leads to.
    #[must_use]
    pub const fn verdict(self) -> &'static str {
        match self {
            Self::WorkspaceGone => "workspace-gone",
            Self::NotIncluded => "no-entitlement",
            Self::Flagged => "content",
            Self::Region => "network",
            Self::Encrypted => "foreign-content",
            Self::Overloaded => "server",
            Self::UsedUp | Self::TooFast => "limited",
            Self::LoginDead => "login-required",
            Self::TokenInvalidated | Self::TokenExpired => "unauthorized",
            Self::Request => "other",
        }
    }
}

/// All codes that mean something (PROTOCOL §1 and §4, PROTOCOL-SWITCH §1 and §5).
pub const TABLE: &[Code] = &[
    of_backend("*usage_limit_reached", Meaning::UsedUp),
    of_backend("*credits_depleted", Meaning::UsedUp),
    of_backend("insufficient_quota", Meaning::UsedUp),
    of_backend("rate_limit_exceeded", Meaning::TooFast),
    // A pool of accounts behind this one (OmniRoute 14190).
    of_backend("model_cooldown", Meaning::TooFast),
    of_backend("token_invalidated", Meaning::TokenInvalidated),
    // Of an access token a refresh decides; of a refresh token it is the end.
    of_both("token_revoked", Meaning::TokenInvalidated),
    of_both("token_expired", Meaning::TokenExpired),
    of_both("refresh_token_expired", Meaning::LoginDead),
    of_both("refresh_token_reused", Meaning::LoginDead),
    of_both("refresh_token_invalidated", Meaning::LoginDead),
    of_both("refresh_token_revoked", Meaning::LoginDead),
    of_both("invalid_refresh_token", Meaning::LoginDead),
    of_both("invalid_grant", Meaning::LoginDead),
    of_both("account_deactivated", Meaning::LoginDead),
    of_both("account_suspended", Meaning::LoginDead),
    of_both("account_deleted", Meaning::LoginDead),
    of_both("app_session_terminated", Meaning::LoginDead),
    of_both("app_session_expired", Meaning::LoginDead),
    of_backend("usage_not_included", Meaning::NotIncluded),
    of_backend("invalid_workspace_selected", Meaning::NotIncluded),
    of_backend("codex_workspace_access_denied", Meaning::NotIncluded),
    of_backend("deactivated_workspace", Meaning::WorkspaceGone),
    of_backend("invalid_encrypted_content", Meaning::Encrypted),
    of_backend("unsupported_country_region_territory", Meaning::Region),
    of_backend("server_is_overloaded", Meaning::Overloaded),
    of_backend("slow_down", Meaning::Overloaded),
    of_backend("cyber_policy", Meaning::Flagged),
    of_backend("bio_policy", Meaning::Flagged),
    of_backend("misalignment_policy_violation", Meaning::Flagged),
    of_backend("policy_capacity_unavailable", Meaning::Flagged),
    of_backend("context_length_exceeded", Meaning::Request),
    of_backend("previous_response_not_found", Meaning::Request),
];

const fn of_backend(name: &'static str, meaning: Meaning) -> Code {
    Code {
        name,
        at_backend: meaning,
        dead_at_issuer: false,
    }
}

const fn of_both(name: &'static str, meaning: Meaning) -> Code {
    Code {
        name,
        at_backend: meaning,
        dead_at_issuer: true,
    }
}

/// What the table has of a code, which is in lower case.
#[must_use]
pub fn find(said: &str) -> Option<&'static Code> {
    TABLE.iter().find(|code| match code.name.strip_prefix('*') {
        Some(end) => said.ends_with(end),
        None => said == code.name,
    })
}

/// Whether the issuer calls a login dead with this code, which is in lower case.
#[must_use]
pub fn is_dead_at_issuer(said: &str) -> bool {
    find(said).is_some_and(|code| code.dead_at_issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_in_the_table_twice() {
        for (place, code) in TABLE.iter().enumerate() {
            assert_eq!(code.name, code.name.to_lowercase());
            let first = find(code.name.trim_start_matches('*'));
            assert_eq!(first, TABLE.get(place), "{}", code.name);
        }
    }
}
