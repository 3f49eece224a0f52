//! The page that a browser ends on after a login. It is whole in itself: nothing is loaded, no
//! script runs, and what it quotes is escaped.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

const TEMPLATE: &str = include_str!("page.html");

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of the answer that it is in.
    pub status: StatusCode,
    /// Whether it brings good news.
    pub good: bool,
    /// The news in a few words, none of them quoted.
    pub heading: &'static str,
    /// The rest, a paragraph each; may quote anything.
    pub text: Vec<String>,
}

impl Page {
    /// Good news.
    #[must_use]
    pub fn good(heading: &'static str, text: impl IntoIterator<Item = String>) -> Self {
        Self {
            status: StatusCode::OK,
            good: true,
            heading,
            text: text.into_iter().collect(),
        }
    }

    /// Bad news.
    #[must_use]
    pub fn bad(
        status: StatusCode,
        heading: &'static str,
        text: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            status,
            good: false,
            heading,
            text: text.into_iter().collect(),
        }
    }

    /// The page as an answer: not to be kept, framed, or named to other sites.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let nonce = nonce();
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        let mut response = Response::new(Full::new(Bytes::from(self.html(&nonce))));
        *response.status_mut() = self.status;
        let headers: [(HeaderName, &'static str); 4] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        // It is always a header value; without it nothing of the page would be looser than plain.
        if let Ok(policy) = HeaderValue::try_from(policy) {
            let name = header::CONTENT_SECURITY_POLICY;
            response.headers_mut().insert(name, policy);
        }
        response
    }

    /// What is quoted goes in last, so that nothing is looked for in it.
    fn html(&self, nonce: &str) -> String {
        let paragraph = |text: &String| format!("<p>{}</p>\n", escaped(text));
        let text: String = self.text.iter().map(paragraph).collect();
        let (tone, sign) = if self.good {
            ("good", "\u{2713}")
        } else {
            ("bad", "!")
        };
        TEMPLATE
            .replace("{{nonce}}", nonce)
            .replace("{{tone}}", tone)
            .replace("{{sign}}", sign)
            .replace("{{heading}}", self.heading)
            .replace("{{text}}", &text)
    }
}

/// A word that lets the page's own style in and no other.
fn nonce() -> String {
    let mut noise = [0; 16];
    // Without chance the page is as safe as its escaping, which is what the policy only backs up.
    let _ = getrandom::fill(&mut noise);
    format!("{:032x}", u128::from_le_bytes(noise))
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_text_and_nothing_else() {
        let text = "<script>alert('1 & 2')</script> {{nonce}}";
        let html = Page::good("Logged in", [text.to_owned()]).html("N");
        assert!(
            html.contains(
                "<p>&lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt; {{nonce}}</p>"
            )
        );
        assert_eq!(html.matches("<script").count(), 0);
    }

    #[test]
    fn nothing_is_loaded_and_nothing_is_left_to_fill_in() {
        let html = Page::bad(StatusCode::OK, "Not logged in", []).html("N");
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "{{"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
