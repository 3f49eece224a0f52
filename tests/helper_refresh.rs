//! Refreshes of one login from several machines that have one store, which a helper keeps: one
//! exchange, and no token that is lost or presented twice, whoever loses the store in between.

use std::process::Stdio;
use std::time::Duration;

use super::support::Home;
use super::support::kept::Kept;
use super::support::stage::Stage;

const REFRESH: &str = "codex-token-refresh";

/// A machine with one account whose token has expired, and so many others that share its store.
/// Each calls itself otherwise.
fn machines(others: usize) -> (Stage, Kept, Vec<Home>) {
    let mut stage = Stage::new(1);
    let kept = Kept::of(&mut stage.home);
    let others = (0..others).map(|_| {
        let mut home = Home::new();
        home.set("CODEX_ACCOUNTS_ISSUER", stage.pretend.issuer());
        home.set("CODEX_ACCOUNTS_UPSTREAM", stage.pretend.upstream());
        kept.serve(&mut home);
        home
    });
    let others = others.collect();
    (stage, kept, others)
}

/// The refresh token that the store has.
fn stored(kept: &Kept) -> String {
    let token = kept.store()["accounts"][0]["refreshToken"].clone();
    token.as_str().expect("a token").to_owned()
}

#[test]
fn twenty_processes_on_each_of_three_machines_make_one_exchange() {
    let (stage, kept, others) = machines(2);
    stage.slow_issuer(Duration::from_millis(300));
    let homes = [&stage.home].into_iter().chain(&others);
    let mut children = Vec::new();
    for home in homes {
        for _ in 0..20 {
            let mut command = home.std_command(REFRESH);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            children.push(command.spawn().expect("it starts"));
        }
    }
    for child in children {
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    assert_eq!(stage.exchanges(), 1);
    assert_eq!(stored(&kept), stage.current(0).refresh_token);
}

#[test]
fn a_machine_that_loses_the_store_in_a_refresh_keeps_the_token_and_tells_it_later() {
    let (stage, kept, others) = machines(1);
    stage.slow_issuer(Duration::from_millis(500));
    let mut cut_off = stage.home.std_command(REFRESH);
    let cut_off = cut_off.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let cut_off = cut_off.expect("it starts");
    stage.wait_for_exchange(1);
    Kept::cut(&stage.home, true);
    let output = cut_off.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    let used = stored(&kept);
    let renewed = stage.current(0).refresh_token;
    assert_ne!(used, renewed);

    // The other machine knows that this one asked, and presents the token to nobody.
    let shown = others[0].sh(REFRESH);
    assert_eq!(shown.code, 69, "{shown}");
    assert_eq!(stage.exchanges(), 1, "{shown}");
    assert_eq!(stored(&kept), used);

    Kept::cut(&stage.home, false);
    let shown = stage.home.sh(REFRESH);
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(stored(&kept), renewed);
    let shown = others[0].sh(REFRESH);
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(stage.exchanges(), 1, "nobody asked again");
}

#[test]
fn what_one_machine_could_not_commit_another_does() {
    let (mut stage, kept, others) = machines(1);
    stage.home.set("CODEX_STORE_FAULT", "commit:full");
    let shown = stage.home.sh(REFRESH);
    assert_eq!(shown.code, 74, "{shown}");
    let renewed = stage.current(0).refresh_token;
    assert_ne!(stored(&kept), renewed);
    // The journal lies in the store.
    let shown = others[0].sh(REFRESH);
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(stored(&kept), renewed);
    assert_eq!(stage.exchanges(), 1);
    // And on the machine that made it, which finds out that it is done.
    stage.home.unset("CODEX_STORE_FAULT");
    let shown = stage.home.sh(REFRESH);
    assert_eq!(shown.code, 0, "{shown}");
    assert_eq!(stage.exchanges(), 1);
    for (name, text) in kept.scratches() {
        assert!(
            !text.contains(&renewed),
            "{name} has a token that is committed"
        );
    }
}

#[test]
fn without_room_for_the_journal_nobody_is_asked() {
    let (mut stage, kept, _) = machines(0);
    let before = kept.bytes();
    for (fault, code) in [
        ("scratch-write:full", 74),
        ("scratch-write:unavailable", 69),
    ] {
        stage.home.set("CODEX_STORE_FAULT", fault);
        let shown = stage.home.sh(REFRESH);
        assert_eq!(shown.code, code, "{fault}: {shown}");
    }
    assert_eq!((stage.exchanges(), kept.bytes()), (0, before));
}

#[test]
fn a_client_that_is_killed_with_the_lock_of_a_login_leaves_it() {
    let (stage, kept, others) = machines(1);
    stage.slow_issuer(Duration::from_secs(3));
    let mut killed = stage.home.std_command(REFRESH);
    let mut killed = killed.stdin(Stdio::null()).spawn().expect("it starts");
    stage.wait_for_exchange(1);
    killed.kill().expect("it is killed");
    killed.wait().expect("an end");
    // It has the lock at once, and sees in the journal that somebody asked.
    let shown = others[0].sh(REFRESH);
    assert_eq!(shown.code, 69, "{shown}");
    assert!(!shown.stderr.contains("lock"), "{shown}");
    assert_eq!(stage.exchanges(), 1);
    drop(kept);
}
