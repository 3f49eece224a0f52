//! Who is let in: somebody on this machine who knows the key of the run, and no web page. Decided
//! on the head of a request alone.

use http::header::{AUTHORIZATION, HOST, ORIGIN, UPGRADE};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, request};
use subtle::ConstantTimeEq;

use crate::account::secret::Secret;

/// The header that carries the key where `Authorization` is taken.
pub const KEY_HEADER: HeaderName = HeaderName::from_static("x-codex-accounts-key");

/// The path that the relay serves; the same path below the upstream is where it goes.
pub const PREFIX: &str = "/codex";

/// Where a relay says what it is.
pub const IDENTITY: &str = "/.well-known/codex-accounts";

/// Where a relay says which accounts it has: for `codex-accounts --proxy`.
pub const ACCOUNTS: &str = "/.well-known/codex-accounts/accounts";

/// Where Codex asks what an account has left, below what it takes for the backend or for the API.
const USAGE: [&str; 4] = [
    "/wham/usage",
    "/api/codex/usage",
    "/codex/wham/usage",
    "/codex/api/codex/usage",
];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The key of one run, which a client must show.
#[derive(Clone, Debug)]
pub struct Key(Secret);

impl Key {
    /// A new one, from the system's source of chance.
    ///
    /// # Errors
    /// When the system has none.
    pub fn random() -> Result<Self, getrandom::Error> {
        use base64::Engine;
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        Ok(Self(Secret::new(text)))
    }

    /// This one.
    #[must_use]
    pub const fn new(key: Secret) -> Self {
        Self(key)
    }

    /// Hands it out, as [`Secret::expose`] does.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn is(&self, shown: &[u8]) -> bool {
        shown.ct_eq(self.expose().as_bytes()).into()
    }

    fn is_shown_in(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get_all(AUTHORIZATION)
            .iter()
            .filter_map(|value| bearer(value.as_bytes()));
        let own = headers.get_all(KEY_HEADER).iter().map(|v| v.as_bytes());
        bearer.chain(own).any(|shown| self.is(shown))
    }
}

/// The token in an `Authorization` of the scheme `Bearer`, whose name has no case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer".len())?;
    let token = token.strip_prefix(b" ")?;
    scheme
        .eq_ignore_ascii_case(b"Bearer")
        .then(|| token.trim_ascii_start())
}

/// What a request that is let in asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What this server is.
    Identity,
    /// Which accounts it has, without their secrets.
    Accounts,
    /// Something of the upstream's.
    Upstream,
    /// What an account has left.
    Usage,
    /// Another protocol on this connection.
    Upgrade,
}

/// Lets a request in, or says why not: by the status, and without detail.
///
/// # Errors
/// With the status, when the request must not be served.
pub fn admit(request: &request::Parts, key: &Key) -> Result<Wish, StatusCode> {
    let headers = &request.headers;
    // The answer to TRACE is the request, with what was put into it on the way.
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    // A page that had its own name resolve to this machine still sends that name.
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback_host) || hosts.next().is_some() {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    if let Some(authority) = request.uri.authority()
        && !is_loopback_host(authority.as_str())
    {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    if headers.contains_key(ORIGIN) || sites.any(|site| site != "none") {
        return Err(StatusCode::FORBIDDEN);
    }
    if !key.is_shown_in(headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    if request.uri.path() == IDENTITY && request.method == Method::GET {
        return Ok(Wish::Identity);
    }
    if request.uri.path() == ACCOUNTS && request.method == Method::GET {
        return Ok(Wish::Accounts);
    }
    if request.method == Method::GET && USAGE.contains(&request.uri.path()) {
        return Ok(Wish::Usage);
    }
    if !is_served(&request.uri) {
        return Err(StatusCode::NOT_FOUND);
    }
    if headers.contains_key(UPGRADE) {
        return Ok(Wish::Upgrade);
    }
    Ok(Wish::Upstream)
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What one reader of a path takes for a character and another for a slash, or for the beginning of
/// one of these.
const DISGUISES: [&str; 4] = ["\\", "%5c", "%2f", "%25"];

/// The prefix, and nothing that would lead out of it once somebody resolves it.
fn is_served(uri: &Uri) -> bool {
    let below = uri
        .path()
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = uri.path().to_ascii_lowercase();
    below
        && !DISGUISES.iter().any(|disguise| path.contains(disguise))
        && !path.split('/').any(is_dots)
}

/// A dot segment, with its dots encoded or not, and with parameters or not.
fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".");
    let name = plain.split(';').next().unwrap_or_default();
    name == "." || name == ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn judge(path: &str, headers: &[(&str, &str)]) -> Result<Wish, StatusCode> {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        admit(&parts, &Key::new(Secret::new("the-key")))
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:4000");
    const KEY: (&str, &str) = ("x-codex-accounts-key", "the-key");

    #[test]
    fn the_key_as_bearer_or_in_its_own_header() {
        assert_eq!(judge("/codex/responses", &[HOST, KEY]), Ok(Wish::Upstream));
        for bearer in ["Bearer the-key", "bearer the-key", "BEARER  the-key"] {
            let bearer = ("authorization", bearer);
            assert_eq!(
                judge("/codex/responses", &[HOST, bearer]),
                Ok(Wish::Upstream)
            );
        }
        for wrong in [
            ("authorization", "Bearer the-kex"),
            ("authorization", "Bearer the-key "),
            ("authorization", "Bearer"),
            ("authorization", "Bearerthe-key"),
            ("authorization", "Basic the-key"),
            ("authorization", "the-key"),
            ("cookie", "the-key"),
        ] {
            assert_eq!(
                judge("/codex/responses", &[HOST, wrong]),
                Err(StatusCode::UNAUTHORIZED)
            );
        }
    }

    #[test]
    fn no_page_of_the_web_gets_in() {
        for name in [
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert_eq!(
                judge("/codex", &[("host", name), KEY]),
                Err(StatusCode::MISDIRECTED_REQUEST),
                "{name}"
            );
        }
        for name in ["localhost:1", "[::1]:1", "127.0.0.1", "LOCALHOST"] {
            assert_eq!(
                judge("/codex", &[("host", name), KEY]),
                Ok(Wish::Upstream),
                "{name}"
            );
        }
        for page in [
            ("origin", "http://localhost"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let twice = [HOST, KEY, ("sec-fetch-site", "none"), page];
            assert_eq!(judge("/codex", &twice[..]), Err(StatusCode::FORBIDDEN));
            assert_eq!(
                judge("/codex", &[HOST, KEY, page]),
                Err(StatusCode::FORBIDDEN)
            );
        }
    }

    #[test]
    fn it_says_what_it_is_to_those_who_know_the_key() {
        let judge = |headers: &[(&str, &str)]| {
            let mut request = Request::get(IDENTITY);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            admit(&parts, &Key::new(Secret::new("the-key")))
        };
        assert_eq!(judge(&[HOST, KEY]), Ok(Wish::Identity));
        assert_eq!(judge(&[HOST]), Err(StatusCode::UNAUTHORIZED));
        let page = ("origin", "null");
        assert_eq!(judge(&[HOST, KEY, page]), Err(StatusCode::FORBIDDEN));
    }

    #[test]
    fn what_is_left_can_be_read_wherever_codex_asks_for_it() {
        for path in USAGE {
            let mut request = Request::get(path);
            for (name, value) in [HOST, KEY] {
                request = request.header(name, value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let key = Key::new(Secret::new("the-key"));
            assert_eq!(admit(&parts, &key), Ok(Wish::Usage), "{path}");
        }
    }

    #[test]
    fn nothing_outside_the_prefix() {
        for path in [
            "/",
            "/codexx",
            "/wham/usage",
            "/codex/../wham/usage",
            "/codex/%2e%2E/wham",
            "/codex/..\\wham",
            "/codex/..%2fwham",
            "/codex/..%2Fwham",
            "/codex/..%5Cwham",
            "/codex/%252e%252e/wham",
            "/codex/..;/wham",
            "/codex/..;x=1/wham",
            "/codex/%2e.;/wham",
            "/codex/.;/wham",
            "/codex/..",
        ] {
            assert_eq!(
                judge(path, &[HOST, KEY]),
                Err(StatusCode::NOT_FOUND),
                "{path}"
            );
        }
    }

    #[test]
    fn dots_and_parameters_inside_a_name_are_served() {
        for path in [
            "/codex/files/a..b",
            "/codex/files/...;x",
            "/codex/files/%C3%A9;x=..",
            "/codex/responses?path=/../..%2f",
        ] {
            assert_eq!(judge(path, &[HOST, KEY]), Ok(Wish::Upstream), "{path}");
        }
    }

    #[test]
    fn no_tunnel_and_no_echo() {
        for method in [Method::CONNECT, Method::TRACE] {
            let request = Request::builder()
                .method(method.clone())
                .uri("/codex/responses")
                .header(HOST.0, HOST.1)
                .header(KEY.0, KEY.1);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(
                admit(&parts, &Key::new(Secret::new("the-key"))),
                Err(StatusCode::METHOD_NOT_ALLOWED),
                "{method}"
            );
        }
    }
}
