//! The ports that a browser comes back to.

use super::*;

#[test]
fn the_browser_comes_back_to_the_registered_port() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
}

#[test]
fn where_1455_is_taken_it_is_1457() {
    let _ports = registered_ports();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 1455)).expect("the port is free");
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1457"), "{shown}");
}

#[test]
fn another_login_on_1455_is_asked_to_leave_and_does() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let mut older = Waiting::new(&home, &[]);
    assert!(older.url().as_str().contains("localhost%3A1455"));
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
    insta::assert_snapshot!(steady(&older.end(&home)), @"
    --- stderr
    codex-oauth-login: open this page in a browser and log in:
    URL
    codex-oauth-login: error: the login was cancelled by another program
    --- exit 1
    ");
}

#[test]
fn a_foreign_login_server_has_a_second_to_leave() {
    let _ports = registered_ports();
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    let foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, 1455)).expect("the port");
    let leaves = std::thread::spawn(move || {
        let (mut stream, _) = foreign.accept().expect("somebody asks");
        let mut asked = [0; 11];
        stream.read_exact(&mut asked).expect("a request");
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("it listens");
        // It has things to end first.
        std::thread::sleep(Duration::from_secs(1));
        asked
    });
    let shown = home.run(&mut home.command(COMMAND));
    assert_eq!(shown.code, 0, "{shown}");
    assert!(shown.stderr.contains("localhost%3A1455"), "{shown}");
    assert_eq!(&leaves.join().expect("its end"), b"GET /cancel");
}

#[test]
fn where_both_are_taken_only_a_browser_that_comes_back_is_lost() {
    let _ports = registered_ports();
    let taken = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    let _both = [taken(1455), taken(1457)];
    let pretend = Pretend::start(Script::with_accounts(1)).expect("a pretend issuer");
    let home = home(&pretend);
    insta::assert_snapshot!(home.run(&mut home.command(COMMAND)), @"
    --- stderr
    codex-oauth-login: error: the ports 1455 and 1457 are taken by another program
    hint: end the program that listens there, or use --no-browser or --device
    --- exit 74
    ");
    let mut login = Waiting::new(&home, &[]);
    let callback = consent(&login.url());
    login.paste(callback.as_str());
    assert_eq!(login.end(&home).code, 0);
}

#[test]
fn both_addresses_of_localhost_are_served() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Waiting::new(&home, &["--port", "0"]);
    let mut callback = consent(&login.url());
    if TcpListener::bind(("::1", 0)).is_ok() {
        callback.set_host(Some("[::1]")).expect("a host");
    }
    assert_eq!(get(&callback).status, 200);
    assert_eq!(login.end(&home).code, 0);
}
