//! Signals while a login is under way.

use super::*;

#[test]
fn a_signal_before_the_answer_leaves_the_store_as_it_was() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    login.url();
    login.signal(Signal::SIGINT);
    assert_eq!(login.end(&home).code, 130);
    assert!(!home.store_path().exists());
}

#[test]
fn a_signal_between_request_and_commit_does_not_lose_the_login() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let pretend = issuer(1);
        let pause = Duration::from_millis(200);
        pretend.change(|script| script.delays.insert("/oauth/token".into(), pause));
        let home = home(&pretend);
        let mut login = Waiting::new(&home, &["--port", "0"]);
        let callback = consent(&login.url());
        login.paste(callback.as_str());
        assert!(pretend.wait_for(LONG, |seen| seen.iter().any(|it| it.path == "/oauth/token")));
        login.signal(signal);
        assert_eq!(login.end(&home).code, 128 + signal as i32);
        let tokens = pretend.current(0).expect("a login");
        assert_eq!(
            home.store()["accounts"][0]["refreshToken"],
            tokens.refresh_token
        );
    }
}

/// A text browser: it takes the terminal, logs in, and stays as long as the file `stay` does. It is
/// the shell under another name, since a file that was just written may be busy.
fn install_text_browser(home: &mut Home) {
    home.write("stay", "");
    home.write(
        "browse",
        "exec >/dev/null 2>&1 </dev/null; grep SigBlk /proc/self/status >blocked
         curl -sSL -m 30 \"$1\"; while [ -e stay ]; do sleep 0.05; done",
    );
    let w3m = home.path().join("w3m");
    std::os::unix::fs::symlink("/bin/sh", &w3m).expect("a link");
    home.set("BROWSER", format!("{} browse %s", w3m.display()));
}

#[test]
fn a_text_browser_in_the_foreground_does_not_lose_the_login_to_a_signal() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let pretend = issuer(1);
        let pause = Duration::from_millis(500);
        pretend.change(|script| script.delays.insert("/oauth/token".into(), pause));
        let mut home = home(&pretend);
        install_text_browser(&mut home);
        let mut login = Waiting::opening_a_browser(&home);
        login.url();
        assert!(pretend.wait_for(LONG, |seen| seen.iter().any(|it| it.path == "/oauth/token")));
        login.signal(signal);
        assert_eq!(login.end(&home).code, 128 + signal as i32);
        let tokens = pretend.current(0).expect("a login");
        assert_eq!(
            home.store()["accounts"][0]["refreshToken"],
            tokens.refresh_token
        );
        let blocked = std::fs::read_to_string(home.path().join("blocked")).expect("a mask");
        assert_eq!(blocked.trim(), "SigBlk:\t0000000000000000", "the browser's");
        std::fs::remove_file(home.path().join("stay")).expect("it stays");
    }
}
