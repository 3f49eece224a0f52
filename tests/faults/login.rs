//! A login as the subject, by a browser and by a device code: a store with the account or without,
//! and no login alive that is in no file, but where the process was killed.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use codex_accounts::rehearse::{Interval, Pretend, Script};
use serde_json::Value;

use super::super::support::Home;
use super::super::support::accounts::{account, store};
use super::super::support::faults::{points, sample};
use super::{clear, failures, temporary};

const DEVICE: &str = "codex-oauth-login --device --timeout 30s 2>said";
const BROWSER: &str = "codex-oauth-login --port 0 --no-browser --timeout 30s 2>said";

/// A login that gets no answer is not waited for that long.
fn hurried(command: &str) -> String {
    command.replace("30s", "2s")
}

/// A person's browser: it opens what the command says that is to be opened.
struct Browser {
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Browser {
    fn of(home: &Home) -> Self {
        let said = home.path().join("said");
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&is_closed);
        let browse = move || {
            let mut opened = String::new();
            while !closed.load(Ordering::Relaxed) {
                let said = fs::read_to_string(&said).unwrap_or_default();
                let mut whole = said
                    .split_inclusive('\n')
                    .filter_map(|line| line.strip_suffix('\n'));
                let url = whole.rfind(|line| line.starts_with("http://"));
                if let Some(url) = url.filter(|url| *url != opened) {
                    opened = url.to_owned();
                    let options = ["-sSL", "--noproxy", "*", "-m", "10", "-o", "/dev/null"];
                    let _ = Command::new("curl").args(options).arg(url).output();
                }
                thread::sleep(Duration::from_millis(2));
            }
        };
        Self {
            is_closed,
            thread: Some(thread::spawn(browse)),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A person with an account who logs in to another.
struct Person {
    home: Home,
    pretend: Pretend,
    _browser: Browser,
}

impl Person {
    fn new() -> Self {
        let mut script = Script::with_accounts(1);
        script.any_port = true;
        script.device.pending = 0;
        script.device.interval = Interval::Number(0);
        let pretend = Pretend::start(script).expect("an issuer");
        let mut home = Home::new();
        home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        let browser = Browser::of(&home);
        let person = Self {
            home,
            pretend,
            _browser: browser,
        };
        person.reset();
        person
    }

    fn reset(&self) {
        clear(&self.home);
        self.home.write_store(&store([account("work")]));
    }

    /// The tokens in the store.
    fn tokens(&self) -> Vec<String> {
        let document = self.home.store();
        let accounts = document["accounts"].as_array().expect("accounts").iter();
        let token = |it: &Value| it["refreshToken"].as_str().expect("a token").to_owned();
        accounts.map(token).collect()
    }

    /// The other account is in the store whole, or is not.
    fn is_admitted(&self, told: &str) -> bool {
        let tokens = self.tokens();
        assert_eq!(tokens[0], "CANARY-refresh-work", "{told}");
        assert!(tokens.len() <= 2, "{told}");
        let current = self.pretend.current(0).map(|it| it.refresh_token);
        tokens.len() == 2 && Some(&tokens[1]) == current.as_ref()
    }

    /// Another login goes as if nothing had been.
    fn logs_in(&self, command: &str, told: &str) {
        let again = self.home.sh(command);
        assert_eq!(again.code, 0, "after {told}: {again}");
        assert!(self.is_admitted(told), "after {told}: {again}");
        assert_eq!(temporary(self.home.path()), [""; 0], "after {told}");
    }
}

fn kill_at_each_call(command: &str, count: usize) {
    let person = Person::new();
    let points = points(&person.home, command);
    for point in sample(points, count) {
        person.reset();
        point.kill(&person.home, &hurried(command));
        let told = format!("a kill at {point:?}");
        person.is_admitted(&told);
        person.logs_in(command, &told);
    }
}

fn fail_each_call(command: &str, count: usize) {
    let person = Person::new();
    let points = points(&person.home, command);
    for (point, error) in sample(failures(points), count) {
        person.reset();
        let shown = point.fail(&person.home, &hurried(command), error);
        let said = fs::read_to_string(person.home.path().join("said")).expect("what it said");
        let told = format!("{error} at {point:?}: {shown}{said}");
        for text in [&shown.stdout, &said] {
            assert!(!text.contains("pretend-refresh"), "{told}");
        }
        let admitted = person.is_admitted(&told);
        match shown.code {
            0 => assert!(admitted, "{told}"),
            1 | 69 | 74 | 75 | 77 | 78 => {
                // What was committed stays so when its record can't be printed.
                let is_output = said.contains("error: standard output: ");
                assert!(!admitted || is_output, "{told}");
                assert!(said.contains("error: "), "{told}");
            }
            // tokio has no other end for a process that can't have the pair that tells of signals.
            101 if point.name == "socketpair" => assert!(!admitted, "{told}"),
            // The system could not load it.
            127 => assert!(!admitted, "{told}"),
            _ => panic!("{told}"),
        }
        person.logs_in(command, &told);
    }
}

#[test]
fn a_login_by_device_is_killed_at_each_call() {
    kill_at_each_call(DEVICE, 20);
}

#[test]
fn a_login_by_browser_is_killed_at_each_call() {
    kill_at_each_call(BROWSER, 20);
}

#[test]
fn each_call_of_a_login_by_device_fails() {
    fail_each_call(DEVICE, 30);
}

#[test]
fn each_call_of_a_login_by_browser_fails() {
    fail_each_call(BROWSER, 30);
}

/// The person is told that there is no login, and there is none.
#[test]
fn a_login_that_the_store_cannot_take_is_ended() {
    let person = Person::new();
    let folder = person.home.store_path();
    let backup = folder.with_extension("json.lock");
    let _ = fs::remove_file(&backup);
    fs::create_dir(&backup).expect("a folder in the place of the lock");
    let shown = person.home.sh(DEVICE);
    assert_eq!(shown.code, 74, "{shown}");
    assert!(
        person.pretend.current(0).is_none(),
        "a login lives on in no file"
    );
    assert_eq!(person.tokens().len(), 1);
}
