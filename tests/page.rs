//! The page that the browser ends on after a login, seen in a real one. There is no network, and
//! nothing on the page that would need one.

use codex_accounts::rehearse::{Consent, Pretend, Script};

use super::support::Home;
use super::support::chromium::{Page, Scheme};
use super::support::network;

/// What somebody may be called, or say. It is to be read, and not to be obeyed.
const MARKUP: &str = "<b>x</b><img src=//127.0.0.1:1/x.png>";
/// The same, as a browser writes down a text.
const QUOTED: &str = "&lt;b&gt;x&lt;/b&gt;&lt;img src=//127.0.0.1:1/x.png&gt;";

/// Logs in with this script, and looks at the page that the browser ends on.
fn end_of_login(script: Script, scheme: Scheme) -> Page {
    network::alone(|| {
        let pretend = Pretend::start(script).expect("the pretend servers start");
        let mut home = Home::new();
        home.use_servers(&pretend);
        let page = home.browse("codex-oauth-login --timeout 60s", scheme);
        let way = [
            format!("{}/oauth/authorize", pretend.issuer()),
            "http://localhost:1455/auth/callback".to_owned(),
        ];
        assert_eq!(page.asked, way, "and nothing else");
        page
    })
}

fn assert_holds(page: &Page, texts: &[&str]) {
    for text in texts {
        assert!(page.document.contains(text), "{text}: {}", page.document);
    }
}

#[test]
fn somebody_who_logged_in_reads_as_whom_by_day() {
    let mut script = Script::with_accounts(1);
    script.accounts[0].email = format!("{MARKUP}@example.com");
    let page = end_of_login(script, Scheme::Light);
    let who = format!("<p>{QUOTED}@example.com is account 0 now.</p>");
    assert_holds(&page, &["<h1>Logged in</h1>", &who, "You can close this"]);
    let look = page.brightness;
    assert!(look.ground > 200 && look.darkest < 60, "{look:?}");
}

#[test]
fn somebody_who_did_not_log_in_reads_why_and_what_to_do_by_night() {
    let mut script = Script::with_accounts(1);
    script.consents.push_back(Consent::Deny {
        error: "access_denied".into(),
        description: format!("It was {MARKUP}"),
    });
    let page = end_of_login(script, Scheme::Dark);
    let why = format!("<p>The login was denied: It was {QUOTED}.</p>");
    let what = "To try again, close this page and start the login again in the terminal.";
    assert_holds(&page, &["<h1>Not logged in</h1>", &why, what]);
    let look = page.brightness;
    assert!(look.ground < 60 && look.brightest > 200, "{look:?}");
}
