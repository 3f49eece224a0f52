//! Many refreshes at once, and those that are ended in the middle.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::super::support::CLOCK;
use super::super::support::stage::Stage;
use super::{end, outcomes, run, run_later, send, start};

#[test]
fn fifty_processes_make_one_request() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(500));
    let children: Vec<Child> = (0..50).map(|_| start(&stage.home, &[])).collect();
    let mut renewed = 0;
    for output in children.into_iter().map(end) {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let record: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(record["refreshedAt"], CLOCK * 1000, "{record}");
        assert_eq!(record["expiresAt"], (CLOCK + 3600) * 1000, "{record}");
        renewed += usize::from(record["outcome"] == "renewed");
    }
    assert_eq!(renewed, 1);
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(
        stage.stored(0, "refreshToken"),
        stage.current(0).refresh_token
    );
}

#[test]
fn a_refresh_of_one_account_does_not_wait_for_that_of_another() {
    let stage = Stage::new(2);
    stage.slow_issuer(Duration::from_secs(600));
    let slow = start(&stage.home, &["one"]);
    stage.wait_for_exchange(1);
    stage.slow_issuer(Duration::ZERO);
    assert_eq!(outcomes(&run(&stage.home, &["two"])), ["renewed"]);
    send(Signal::SIGKILL, &slow);
    end(slow);
}

#[test]
fn signals_between_request_and_commit_lose_nothing() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_millis(300));
    for (count, signal) in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .enumerate()
    {
        let child = start(&stage.home, &["--force"]);
        stage.wait_for_exchange(count + 1);
        send(signal, &child);
        let ended = end(child).status;
        assert_eq!(ended.signal(), Some(signal as i32), "{ended}");
        let expected = stage.current(0).refresh_token;
        assert_eq!(stage.stored(0, "refreshToken"), expected, "{signal}");
    }
}

#[test]
fn others_go_on_when_the_one_with_the_lock_is_killed() {
    let stage = Stage::new(1);
    stage.slow_issuer(Duration::from_secs(600));
    let killed = start(&stage.home, &[]);
    stage.wait_for_exchange(1);
    let waiting: Vec<Child> = (0..5).map(|_| start(&stage.home, &[])).collect();
    stage.slow_issuer(Duration::ZERO);
    send(Signal::SIGKILL, &killed);
    end(killed);
    // The one exchange that was hit is lost. The others know of it, and leave the issuer alone.
    for output in waiting.into_iter().map(end) {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{stderr}");
        assert!(stderr.contains("no answer came"), "{stderr}");
    }
    assert_eq!(stage.exchanges(), 1);
    for secs in [30, 100] {
        let shown = run_later(&stage.home, secs, &[]);
        assert!(shown.stderr.contains("refresh_token_reused"), "{shown}");
    }
    assert_eq!(stage.exchanges(), 2);
}

#[test]
fn killed_at_any_point_the_account_works_or_says_that_it_does_not() {
    let stage = Stage::new(1);
    for point in 0..20 {
        stage.log_in_again();
        let child = start(&stage.home, &["--force"]);
        // Not to wait for anything: this is the random point.
        std::thread::sleep(Duration::from_micros(point * 700));
        send(Signal::SIGKILL, &child);
        end(child);
        let shown = run_later(&stage.home, 60, &["--force"]);
        let exchanges = stage.exchanges();
        match shown.code {
            0 => assert_eq!(
                stage.stored(0, "refreshToken"),
                stage.current(0).refresh_token
            ),
            77 => {
                assert_eq!(run(&stage.home, &["--force"]).code, 77);
                assert_eq!(stage.exchanges(), exchanges, "it was presented again");
            }
            _ => panic!("killed at {point}: {shown}"),
        }
    }
}
