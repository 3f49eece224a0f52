//! A person at a terminal who logs in.

use super::*;

/// A login on a pseudo-terminal. Its records go to a file.
struct Terminal {
    child: Child,
    said: String,
}

impl Terminal {
    fn new(home: &Home, args: &str) -> Terminal {
        // It ends by itself if a test hangs.
        let timeout = if args.contains("--timeout") {
            ""
        } else {
            "--timeout 1m"
        };
        let command = format!("{COMMAND} {timeout} {args} >records");
        let child = home
            .std_command("script")
            .args(["-qefc", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        Terminal {
            child,
            said: String::new(),
        }
    }

    /// Waits until the terminal shows this, after what was waited for before.
    fn expect(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        let from = self.said.len();
        let mut byte = [0];
        while !self.said[from..].contains(text) {
            let read = stdout.read(&mut byte).expect("the terminal");
            assert_ne!(read, 0, "{text:?} did not come: {}", self.said);
            self.said.push(byte[0].into());
        }
    }

    fn type_in(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin is a pipe");
        stdin.write_all(keys.as_bytes()).expect("it reads");
    }

    /// Gives the account no label.
    fn without_label(&mut self) {
        self.expect(LABEL);
        self.type_in("\n");
    }

    fn end(mut self) -> i32 {
        let stdout = self.child.stdout.as_mut().expect("stdout is a pipe");
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).expect("the terminal");
        let status = self.child.wait().expect("its end");
        status.code().expect("an exit code")
    }
}

fn emails(home: &Home) -> Vec<String> {
    let records = std::fs::read_to_string(home.path().join("records")).expect("records");
    let email = |line: &str| -> String {
        let record: Value = serde_json::from_str(line).expect("a record");
        record["email"].as_str().expect("an email").to_owned()
    };
    records.lines().map(email).collect()
}

const LABEL: &str = ", like 'work'; Enter for none: ";
const FIRST: &str = "You have 1 account(s). Add another? [y/N]: ";
const SECOND: &str = "You have 2 account(s). Add another? [y/N]: ";

#[test]
fn a_person_is_asked_for_another_until_they_want_no_more() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.without_label();
    login.expect("the browser may still be logged in as one@example.com\r\n");
    login.expect(FIRST);
    login.type_in("y\n");
    login.without_label();
    login.expect("the browser may still be logged in as two@example.com\r\n");
    login.expect(SECOND);
    login.type_in("\n");
    assert_eq!(login.end(), 0);
    assert_eq!(emails(&home), ["one@example.com", "two@example.com"]);
}

#[test]
fn a_person_is_not_asked_beyond_max() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0 --max 2 --label work");
    login.expect(FIRST);
    login.type_in("Yes\n");
    login.without_label();
    assert_eq!(login.end(), 0);
    let accounts = home.store()["accounts"].clone();
    assert_eq!(
        (&accounts[0]["label"], &accounts[1]["label"]),
        (&"work".into(), &Value::Null)
    );
}

#[test]
fn a_failed_login_keeps_those_before_it() {
    let pretend = issuer(3);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.without_label();
    login.expect(FIRST);
    login.type_in("y\n");
    login.without_label();
    login.expect(SECOND);
    pretend.change(|script| script.consents.push_back(Consent::deny()));
    login.type_in("y\n");
    login.expect("error: the login was denied: The pretend person said no");
    assert_eq!(login.end(), 77);
    assert_eq!(emails(&home), ["one@example.com", "two@example.com"]);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn ctrl_c_at_the_question_keeps_what_is_there() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.without_label();
    login.expect(FIRST);
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn ctrl_c_while_the_browser_is_away_keeps_the_store_away() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--no-browser --port 0");
    login.expect("or the code in it");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn ctrl_c_while_the_browser_is_open_keeps_the_store_away() {
    let pretend = issuer(1);
    let home = home(&pretend);
    slow_consent(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect("its page is");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn ctrl_c_in_the_second_login_keeps_the_first() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.without_label();
    login.expect(FIRST);
    slow_consent(&pretend);
    login.type_in("y\n");
    login.expect("prompt=login");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert_eq!(home.store()["accounts"].as_array().map(Vec::len), Some(1));
    assert_eq!(emails(&home), ["one@example.com"]);
}

/// The person takes longer than any test.
fn slow_consent(pretend: &Pretend) {
    pretend.change(|script| script.delays.insert("/oauth/authorize".into(), 10 * LONG));
}

#[test]
fn ctrl_c_at_the_offer_of_a_device_code_and_while_it_is_awaited() {
    let pretend = issuer(1);
    pretend.change(|script| script.device.pending = u32::MAX);
    let mut home = home(&pretend);
    home.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    home.unset("BROWSER");
    let mut login = Terminal::new(&home, "");
    login.expect("[Y/n]: ");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    let mut login = Terminal::new(&home, "");
    login.expect("[Y/n]: ");
    login.type_in("\n");
    login.expect("enter this code:\r\nPRET-00001\r\n");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
    assert!(!home.store_path().exists());
}

#[test]
fn a_person_may_paste_again_what_was_wrong_and_give_up() {
    let pretend = issuer(1);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--no-browser --port 0");
    login.expect("or the code in it");
    login.type_in("code#of-another-login\n");
    login.expect("belongs to another login: its state does not match; try again");
    login.type_in("two words\n");
    login.expect("what was pasted holds no code; try again");
    // The end of input.
    login.type_in("\u{4}");
    login.expect("the login was given up");
    assert_eq!(login.end(), 1);
}

#[test]
fn far_from_any_display_a_device_code_is_offered() {
    let pretend = issuer(2);
    pretend.change(|script| script.device.pending = 0);
    let mut home = home(&pretend);
    home.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    home.unset("BROWSER");
    let mut login = Terminal::new(&home, "");
    login.expect("Log in with a code on another device? [Y/n]: ");
    login.type_in("\n");
    login.expect("enter this code:\r\nPRET-00001\r\n");
    login.expect("waiting, 1 min\r\n");
    login.without_label();
    login.expect(FIRST);
    login.type_in("n\n");
    assert_eq!(login.end(), 0);

    let mut login = Terminal::new(&home, "--port 0");
    login.expect("Log in with a code on another device? [Y/n]: ");
    login.type_in("n\n");
    login.expect("paste the address");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
}

#[test]
fn a_label_is_asked_for_until_it_can_be_one() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect("A label for one@example.com, like 'work'; Enter for none: ");
    login.type_in("7\n");
    login.expect("'7' would be taken for an index");
    login.expect(LABEL);
    login.type_in("work\n");
    login.expect("the browser may still be logged in as work\r\n");
    login.expect(FIRST);
    login.type_in("n\n");
    assert_eq!(login.end(), 0);
    assert_eq!(home.store()["accounts"][0]["label"], "work");
    // The record is written when the label is known.
    let records = std::fs::read_to_string(home.path().join("records")).expect("records");
    assert!(records.contains(r#""label":"work""#), "{records}");
}

#[test]
fn what_a_browser_that_is_open_would_bring_may_be_pasted() {
    let pretend = issuer(1);
    let home = home(&pretend);
    slow_consent(&pretend);
    let mut login = Terminal::new(&home, "--port 0");
    login.expect("waiting, 1 min; if the browser can't come back here, paste the address");
    login.type_in("n\n");
    login.expect("what was pasted holds no code; try again");
    login.type_in("code#of-another-login\n");
    login.expect("belongs to another login: its state does not match; try again");
    login.type_in("\u{3}");
    assert_eq!(login.end(), 130);
}

#[test]
fn a_browser_that_does_not_come_back_is_noticed() {
    let pretend = issuer(1);
    let home = home(&pretend);
    slow_consent(&pretend);
    let mut login = Terminal::new(&home, "--port 0 --timeout 2s");
    login.expect("no browser has come back yet: if none opened, open the page above yourself");
    login.expect("login timed out");
    assert_eq!(login.end(), 75);
}

#[test]
fn an_account_that_is_named_logs_in_again_and_nothing_more_is_asked() {
    let pretend = issuer(2);
    let home = home(&pretend);
    let mut login = Terminal::new(&home, "--port 0 work");
    login.expect(FIRST);
    login.type_in("y\n");
    login.without_label();
    login.expect(SECOND);
    login.type_in("n\n");
    assert_eq!(login.end(), 0);
    assert_eq!(home.store()["accounts"][0]["label"], "work");
    // With the last one's session in the browser, the next to log in is the first one again.
    let again = home.sh(&format!("{COMMAND} --port 0 --max 2 work"));
    assert!(
        again
            .stderr
            .contains("renewed the login of work, account 0"),
        "{again}"
    );
    let other = home.sh(&format!("{COMMAND} --port 0 --max 2 work"));
    assert!(
        other
            .stderr
            .contains("that was not work, whose login is as it was"),
        "{other}"
    );
}
