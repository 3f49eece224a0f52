//! Logins with a device code.

use super::*;

#[test]
fn a_device_code_logs_in_once_it_has_been_typed() {
    let intervals = [
        Interval::Text("0".into()),
        Interval::Number(0),
        Interval::Text("0.1".into()),
    ];
    for (status, interval) in [403, 404, 403].into_iter().zip(intervals) {
        let pretend = issuer(1);
        pretend.change(|script| {
            script.device.interval = interval;
            script.device.pending = 3;
            script.device.pending_status = status;
            script.device.short_name = status == 404;
        });
        let home = home(&pretend);
        let shown = log_in_by_device(&home);
        assert_eq!(shown.code, 0, "{shown}");
        assert_eq!(shown.json()["email"], "one@example.com");
        let polls = pretend.seen().into_iter();
        let polls = polls.filter(|it| it.path == "/api/accounts/deviceauth/token");
        assert_eq!(polls.count(), 4);
    }
}

#[test]
fn a_device_code_is_shown_even_to_the_quiet() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = 0);
    let home = home(&pretend);
    let shown = home.run(home.command(COMMAND).args(["--device", "-q"]));
    assert_eq!(shown.code, 0);
    insta::assert_snapshot!(shown.stderr.replace(&pretend.issuer(), "ISSUER"), @"
    codex-oauth-login: open ISSUER/codex/device on any device and enter this code:
    PRET-00001
    ");
}

#[test]
fn device_logins_that_fail() {
    let fail = |change: fn(&mut Script)| {
        let pretend = issuer(1);
        pretend.change(|script| {
            script.device.interval = Interval::Number(0);
            change(script);
        });
        let home = home(&pretend);
        let shown = log_in_by_device(&home);
        assert!(!home.store_path().exists());
        let lines = shown
            .stderr
            .lines()
            .filter(|it| it.contains("error: ") || it.contains("hint"));
        format!("{}: {}\n", shown.code, lines.collect::<Vec<_>>().join("; "))
    };
    let mut told = fail(|script| script.device.offered = false);
    told += &fail(|script| script.device.expires = true);
    told += &fail(|script| {
        let denied = Answer::token_error(400, "access_denied", ErrorShape::Object);
        let path = "/api/accounts/deviceauth/token".into();
        script.answers_at.insert(path, denied);
    });
    told += &fail(|script| {
        let path = "/api/accounts/deviceauth/usercode".into();
        script.answers_at.insert(path, Style::Error502.into());
    });
    told += &fail(|script| {
        let path = "/api/accounts/deviceauth/token".into();
        script.answers_at.insert(path, Style::Error500.into());
    });
    insta::assert_snapshot!(told, @"
    69: codex-oauth-login: error: the issuer offers no login with a device code; hint: log in with a browser or --no-browser
    75: codex-oauth-login: error: the device code was not entered in time; hint: start the login again
    77: codex-oauth-login: error: the issuer did not accept the login (access_denied)
    69: codex-oauth-login: error: the issuer answered with something else than tokens (status 502)
    69: codex-oauth-login: error: the issuer answered with something else than tokens (status 500)
    ");
}

#[test]
fn a_device_code_that_nobody_types_times_out() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = u32::MAX);
    let home = home(&pretend);
    let args = ["--device", "--timeout", "50ms"];
    let shown = home.run(home.command(COMMAND).args(args));
    assert_eq!(shown.code, 75, "{shown}");
}
