//! What the issuer remembers: logins, the codes that lead to them, and which of their tokens are still good.
//!
//! Rules and state only. Requests and answers are `issuer`'s, the look of a token is `token`'s.

use super::account::PretendAccount;
use super::clock::after;
use super::token::{Mint, Tokens};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Why a grant is refused: an error code of PROTOCOL §1.
pub(super) type Refusal = &'static str;

/// All that was ever issued. Nothing is forgotten: a used token is recognised as used.
pub(super) struct Grants {
    mint: Mint,
    logins: Vec<Login>,
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Access>,
    devices: HashMap<String, DeviceLogin>,
}

/// One login and the family of tokens that comes from it.
struct Login {
    account: usize,
    current: Tokens,
    /// Set once every token of the family is dead.
    dead: Option<Refusal>,
}

struct Refresh {
    login: usize,
    used: bool,
}

struct Access {
    login: usize,
    expires: SystemTime,
}

/// An authorization code, for one exchange.
pub(super) struct Code {
    pub(super) account: usize,
    pub(super) redirect_uri: String,
    /// PKCE S256.
    pub(super) challenge: String,
}

/// A device login under way.
pub(super) struct DeviceLogin {
    pub(super) user_code: String,
    pub(super) polls: u32,
}

/// Whom a bearer belongs to and whether it is still good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearer {
    Unknown,
    Expired(usize),
    Dead(usize),
    Good(usize),
}

impl Bearer {
    pub(super) fn account(self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Expired(account) | Self::Dead(account) | Self::Good(account) => Some(account),
        }
    }
}

impl Grants {
    pub(super) fn new(issuer: String) -> Self {
        Self {
            mint: Mint::new(issuer),
            logins: Vec::new(),
            codes: HashMap::new(),
            refresh: HashMap::new(),
            access: HashMap::new(),
            devices: HashMap::new(),
        }
    }

    /// A code for one exchange on these terms.
    pub(super) fn open(&mut self, code: Code) -> String {
        let text = self.mint.unique("code");
        self.codes.insert(text.clone(), code);
        text
    }

    /// Takes a code back and says whose login it is. The code is used up whatever comes of it.
    pub(super) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<usize, Refusal> {
        match self.codes.remove(code) {
            Some(code)
                if code.redirect_uri == redirect_uri
                    && s256(verifier).is_some_and(|challenge| challenge == code.challenge) =>
            {
                Ok(code.account)
            }
            _ => Err("invalid_grant"),
        }
    }

    /// Starts a login with its first tokens.
    pub(super) fn log_in(
        &mut self,
        index: usize,
        account: &PretendAccount,
        lifetime: Duration,
        now: SystemTime,
    ) -> Tokens {
        let login = self.logins.len();
        let tokens = self.mint.tokens(account, lifetime, now);
        self.logins.push(Login {
            account: index,
            current: tokens.clone(),
            dead: None,
        });
        self.refresh
            .insert(tokens.refresh_token.clone(), Refresh { login, used: false });
        self.let_in(login, &tokens, now);
        tokens
    }

    /// The account whose refresh token this is, good or not.
    pub(super) fn owner(&self, refresh_token: &str) -> Option<usize> {
        let refresh = self.refresh.get(refresh_token)?;
        Some(self.logins.get(refresh.login)?.account)
    }

    /// Exchanges a refresh token for new tokens. It is used up by that if it is to `rotate`; presenting a used one kills
    /// the whole login, the tokens that came of it included (PROTOCOL §1).
    pub(super) fn renew(
        &mut self,
        refresh_token: &str,
        account: &PretendAccount,
        lifetime: Duration,
        rotate: bool,
        now: SystemTime,
    ) -> Result<Tokens, Refusal> {
        let refresh = self
            .refresh
            .get_mut(refresh_token)
            .ok_or("invalid_refresh_token")?;
        let index = refresh.login;
        let login = self.logins.get_mut(index).ok_or("invalid_refresh_token")?;
        if refresh.used {
            login.dead = login.dead.or(Some("refresh_token_invalidated"));
            return Err("refresh_token_reused");
        }
        if let Some(code) = login.dead {
            return Err(code);
        }
        refresh.used = rotate;
        let mut tokens = self.mint.tokens(account, lifetime, now);
        if rotate {
            self.refresh.insert(
                tokens.refresh_token.clone(),
                Refresh {
                    login: index,
                    used: false,
                },
            );
        } else {
            tokens.refresh_token = refresh_token.to_owned();
        }
        login.current = tokens.clone();
        self.let_in(index, &tokens, now);
        Ok(tokens)
    }

    fn let_in(&mut self, login: usize, tokens: &Tokens, now: SystemTime) {
        self.access.insert(
            tokens.access_token.clone(),
            Access {
                login,
                expires: after(now, tokens.expires_in),
            },
        );
    }

    /// Ends the login that a token belongs to, whichever kind of token it is.
    pub(super) fn revoke(&mut self, token: &str) {
        let login = (self.refresh.get(token).map(|refresh| refresh.login))
            .or_else(|| self.access.get(token).map(|access| access.login));
        if let Some(login) = login.and_then(|login| self.logins.get_mut(login)) {
            login.dead = login.dead.or(Some("refresh_token_revoked"));
        }
    }

    /// Ends every login of an account.
    pub(super) fn kill(&mut self, account: usize) {
        for login in &mut self.logins {
            if login.account == account {
                login.dead = login.dead.or(Some("refresh_token_invalidated"));
            }
        }
    }

    /// The last tokens of the account's latest login that is alive.
    pub(super) fn current(&self, account: usize) -> Option<&Tokens> {
        self.logins
            .iter()
            .rev()
            .find(|login| login.account == account && login.dead.is_none())
            .map(|login| &login.current)
    }

    /// What an access token is worth at `now`.
    pub(super) fn bearer(&self, access_token: &str, now: SystemTime) -> Bearer {
        let Some(access) = self.access.get(access_token) else {
            return Bearer::Unknown;
        };
        match self.logins.get(access.login) {
            Some(login) if login.dead.is_some() => Bearer::Dead(login.account),
            Some(login) if access.expires <= now => Bearer::Expired(login.account),
            Some(login) => Bearer::Good(login.account),
            None => Bearer::Unknown,
        }
    }

    /// Starts a device login: its id, and the code that the person types.
    pub(super) fn open_device(&mut self) -> (String, String) {
        let id = self.mint.unique("device");
        let user_code = format!("PRET-{:05}", self.devices.len() + 1);
        self.devices.insert(
            id.clone(),
            DeviceLogin {
                user_code: user_code.clone(),
                polls: 0,
            },
        );
        (id, user_code)
    }

    /// The device login with this id, if the code is its own.
    pub(super) fn device(&mut self, id: &str, user_code: &str) -> Option<&mut DeviceLogin> {
        self.devices
            .get_mut(id)
            .filter(|device| device.user_code == user_code)
    }

    /// Ends a device login and opens a code for it: the code, with the PKCE pair that is the server's own in this flow.
    pub(super) fn close_device(
        &mut self,
        id: &str,
        account: usize,
        redirect_uri: String,
    ) -> (String, PkceCodeChallenge, PkceCodeVerifier) {
        self.devices.remove(id);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let code = self.open(Code {
            account,
            redirect_uri,
            challenge: challenge.as_str().to_owned(),
        });
        (code, challenge, verifier)
    }
}

/// The S256 challenge of a verifier; `None` if it has not the length that RFC 7636 §4.1 demands, on which the library
/// would panic.
fn s256(verifier: &str) -> Option<String> {
    (43..=128).contains(&verifier.len()).then(|| {
        let verifier = PkceCodeVerifier::new(verifier.to_owned());
        PkceCodeChallenge::from_code_verifier_sha256(&verifier)
            .as_str()
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::s256;

    #[test]
    fn s256_is_that_of_rfc_7636_appendix_b() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").as_deref(),
            Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        );
        assert_eq!(s256("short"), None);
    }
}
