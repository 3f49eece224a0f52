//! What a request to the login server is about, and the pages that refuse it or say that the login
//! is over.

use std::str::FromStr as _;

use http::uri::Authority;
use http::{HeaderMap, Method, Request, StatusCode, header};

use super::answer::{Answer, Outcome};
use crate::net::page::Page;

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Callback(Outcome),
    Cancel,
}

/// What a request is about, or the page that refuses it. The state is looked at before anything
/// else that a callback brings.
pub(super) fn judge<B>(request: &Request<B>, state: &str) -> Result<Asked, Page> {
    if !is_for_loopback(request) {
        return Err(refusal(StatusCode::FORBIDDEN, "This is not for here"));
    }
    match request.uri().path() {
        "/auth/callback" | "/cancel" if request.method() != Method::GET => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Err(refusal(status, "This is only to be looked at"))
        }
        "/auth/callback" => {
            let answer = Answer::of_query(request.uri().query().unwrap_or_default());
            match answer.has_state(state) {
                true => Ok(Asked::Callback(answer.outcome)),
                false => Err(wrong_login()),
            }
        }
        "/cancel" if is_by_a_page(request.headers()) => {
            Err(refusal(StatusCode::FORBIDDEN, "No page may do this"))
        }
        "/cancel" => Ok(Asked::Cancel),
        _ => Err(refusal(StatusCode::NOT_FOUND, "There is nothing here")),
    }
}

/// A name that leads here by somebody else's DNS is not ours.
fn is_for_loopback<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok())
        .and_then(|host| Authority::from_str(host).ok())
        .is_some_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// Another program asks by itself; a request that a web page makes says so.
fn is_by_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}

fn refusal(status: StatusCode, heading: &'static str) -> Page {
    Page::bad(status, heading, [])
}

fn wrong_login() -> Page {
    Page::bad(
        StatusCode::BAD_REQUEST,
        "This is another login",
        [
            "This page does not belong to the login that is waiting now: its state does not match."
                .to_owned(),
            "Nothing was changed. Go on in the tab that was opened last.".to_owned(),
        ],
    )
}

pub(super) fn over() -> Page {
    Page::bad(
        StatusCode::CONFLICT,
        "This login is over",
        ["It has ended already; the terminal says how. You can close this page.".to_owned()],
    )
}

pub(super) fn cancelled() -> Page {
    Page::good("Login cancelled", [])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::secret::Secret;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn status(request: &Request<()>) -> u16 {
        match judge(request, "right") {
            Ok(_) => 200,
            Err(page) => page.status.as_u16(),
        }
    }

    #[test]
    fn the_state_comes_before_all_else() {
        let host = [("host", "localhost:1455")];
        for query in [
            "",
            "?code=c",
            "?code=c&state=wrong",
            "?error=access_denied",
            "?state=righ",
        ] {
            let target = format!("/auth/callback{query}");
            assert_eq!(status(&request(&target, &host)), 400, "{query}");
        }
        let right = request("/auth/callback?code=c&state=right", &host);
        let code = Outcome::Code(Secret::new("c"));
        assert_eq!(judge(&right, "right"), Ok(Asked::Callback(code)));
    }

    #[test]
    fn only_a_browser_on_this_machine_is_answered() {
        let target = "/auth/callback?code=c&state=right";
        for good in [
            "localhost:1455",
            "localhost",
            "127.0.0.1:1457",
            "[::1]:1455",
        ] {
            assert_eq!(status(&request(target, &[("host", good)])), 200, "{good}");
        }
        for bad in [
            "evil.example:1455",
            "localhost.evil.example",
            "10.0.0.1",
            "",
        ] {
            assert_eq!(status(&request(target, &[("host", bad)])), 403, "{bad}");
        }
        assert_eq!(status(&request(target, &[])), 403);
    }

    #[test]
    fn a_program_may_cancel_and_a_page_may_not() {
        let host = ("host", "127.0.0.1:1455");
        assert_eq!(status(&request("/cancel", &[host])), 200);
        for by_page in [("origin", "null"), ("sec-fetch-site", "cross-site")] {
            assert_eq!(status(&request("/cancel", &[host, by_page])), 403);
        }
        assert_eq!(status(&request("/favicon.ico", &[host])), 404);
        let mut post = request("/cancel", &[host]);
        *post.method_mut() = Method::POST;
        assert_eq!(status(&post), 405);
    }
}
