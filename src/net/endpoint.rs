//! The two servers that are ever asked, and the rule for moving them elsewhere: https anywhere,
//! plain http to loopback only, so that no token travels in the clear.

use std::fmt;

use http::Uri;
use thiserror::Error;
use url::{Host, Url};

/// The base address of a server, without a slash at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// An address that must not be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// It is no address.
    #[error("{setting}: '{value}' is no URL")]
    NoUrl {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// It is not where a relay of ours can be.
    #[error("{setting}: '{value}' is not http to a loopback address, with the path /codex")]
    NoRelay {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The other machine that it leads to, and the port there.
        elsewhere: Option<(String, u16)>,
    },
    /// Tokens would travel in the clear.
    #[error("{setting}: '{value}' is neither https nor http to a loopback address")]
    Insecure {
        /// The name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

impl Endpoint {
    /// The environment variable that moves the issuer.
    pub const ISSUER_SETTING: &'static str = "CODEX_ACCOUNTS_ISSUER";
    /// The environment variable that moves the backend.
    pub const UPSTREAM_SETTING: &'static str = "CODEX_ACCOUNTS_UPSTREAM";

    /// The issuer of tokens (PROTOCOL §1), unless the environment moves it.
    ///
    /// # Errors
    /// When the environment names an address that must not be used.
    pub fn issuer() -> Result<Self, Error> {
        Self::of_setting(Self::ISSUER_SETTING, "https://auth.openai.com")
    }

    /// The backend (PROTOCOL §3), unless the environment moves it.
    ///
    /// # Errors
    /// When the environment names an address that must not be used.
    pub fn upstream() -> Result<Self, Error> {
        Self::of_setting(Self::UPSTREAM_SETTING, "https://chatgpt.com/backend-api")
    }

    fn of_setting(setting: &'static str, default: &str) -> Result<Self, Error> {
        match std::env::var_os(setting) {
            // One that is set and empty is a mistake, as of a script's: it moves nothing.
            Some(value) => Self::parse(setting, &value.to_string_lossy()),
            None => Self::parse(setting, default),
        }
    }

    /// Reads an address; `setting` is named in the error.
    ///
    /// # Errors
    /// When it is none, or one that must not be used.
    pub fn parse(setting: &'static str, value: &str) -> Result<Self, Error> {
        let url = Url::parse(value).ok().filter(|url| url.has_host());
        let Some(mut url) = url else {
            return Err(Error::NoUrl {
                setting,
                value: without_userinfo(value),
            });
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(Error::Insecure {
                setting,
                value: without_userinfo(value),
            });
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// Reads the address of a relay, as `codex-proxy` prints it; `setting` is named in the error.
    ///
    /// # Errors
    /// When it is none.
    pub fn relay(setting: &'static str, value: &str) -> Result<Self, Error> {
        let is_relay = |endpoint: &Self| {
            let url = &endpoint.0;
            url.scheme() == "http"
                && url.path() == "/codex"
                && url.username().is_empty()
                && url.password().is_none()
        };
        let endpoint = Self::parse(setting, value).ok().filter(is_relay);
        endpoint.ok_or_else(|| Error::NoRelay {
            setting,
            value: without_userinfo(value),
            elsewhere: elsewhere(value),
        })
    }

    /// The address of a path below it; `path` begins with a slash.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// The address of a path of this server, wherever it stands itself.
    #[must_use]
    pub fn at_root(&self, path: &str) -> String {
        let mut url = self.0.clone();
        url.set_path(path);
        url.into()
    }

    /// Where the server is: its scheme, name and port.
    #[must_use]
    pub fn origin(&self) -> Uri {
        let host = self.0.host_str().unwrap_or_default();
        let authority = match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let origin = Uri::builder().scheme(self.0.scheme());
        let origin = origin.authority(authority).path_and_query("/").build();
        // Proof that it is one: what was parsed as a URL with a host has these parts.
        origin.unwrap_or_default()
    }

    /// The path of a path below it on the server; `path` begins with a slash.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.0.path().trim_end_matches('/'))
    }

    /// Whether the server is on this machine: no proxy is asked for it then.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// Without a name and a password: for messages.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_userinfo(self.0.as_str().trim_end_matches('/')))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// The other machine that an address leads to, and the port there.
fn elsewhere(address: &str) -> Option<(String, u16)> {
    let url = Url::parse(address).ok()?;
    let is_other = url.scheme() == "http" && !is_loopback(&url);
    let host = url.host_str().filter(|_| is_other)?;
    Some((host.to_owned(), url.port().unwrap_or(80)))
}

/// An address as it may be shown: a name and a password before an '@' are left out, wherever it is,
/// since what is no URL has none in its place.
fn without_userinfo(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (_, None) => address.to_owned(),
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_to_loopback_only() {
        for good in [
            "https://chatgpt.com/backend-api",
            "http://127.0.0.1:1/x",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(Endpoint::parse("X", good).is_ok(), "{good}");
        }
        for bad in [
            "http://chatgpt.com",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "nonsense",
            "file:///etc/passwd",
        ] {
            assert!(Endpoint::parse("X", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let good = Endpoint::parse("X", "https://user:canary@example.com/api").unwrap();
        let bad = [
            "http://user:canary@example.com",
            "user:canary@host",
            "h ttp://u:canary@x",
        ];
        let errors = bad.map(|bad| Endpoint::parse("X", bad).unwrap_err().to_string());
        let shown = format!("{good} {good:?} {errors:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("https://example.com/api"), "{shown}");
        assert!(good.at("/x").contains("canary"), "it is still used");
    }

    #[test]
    fn a_relay_is_on_loopback_without_tls() {
        for good in [
            "http://127.0.0.1:1/codex",
            "http://[::1]:1/codex",
            "http://localhost:1/codex",
        ] {
            assert!(Endpoint::relay("X", good).is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1:1/codex",
            "http://example.com/codex",
            "http://127.0.0.1:1",
            "http://127.0.0.1:1/codex/responses",
            "http://me@127.0.0.1:1/codex",
            "127.0.0.1:1/codex",
        ] {
            assert!(Endpoint::relay("X", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_joined_without_a_double_slash() {
        let endpoint = Endpoint::parse("X", "https://example.com/api/").unwrap();
        assert_eq!(endpoint.at("/codex"), "https://example.com/api/codex");
    }
}
