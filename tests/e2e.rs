//! Sessions of the real clients across accounts, from end to end: the client as people have it, the relay as they run it,
//! and a backend that refuses what the real one refuses. Each case is a file in `tests/e2e`; how one is written stands in
//! `steps`, who plays it in `world`.

#[path = "e2e/steps.rs"]
mod steps;
#[path = "e2e/world.rs"]
mod world;

use std::fs;
use std::path::Path;

use steps::Case;

macro_rules! cases {
    ($($name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )+

        const CASES: &[&str] = &[$(stringify!($name)),+];
    };
}

cases! {
    a_session_stays_with_its_account,
    a_limit_at_the_first_request,
    a_limit_at_a_tools_output,
    a_limit_and_another_relay_for_each_turn,
    two_limits_and_three_accounts,
    back_with_the_first_account,
    a_summary_of_another_account,
    two_sessions_at_once,
    an_answer_cut_behind_its_reasoning,
    a_sub_agent_of_opencode,
    a_sub_agent_of_opencode_and_three_accounts,
    a_sub_agent_of_codex,
    a_sub_agent_of_codex_whose_account_is_limited,
    a_review_of_codex,
    begun_with_us_and_gone_on_without,
    begun_without_us_and_gone_on_with,
    dead_without_us_and_alive_again,
    the_latest_session_goes_on,
}

/// Plays a case with each client that it is for.
fn play(name: &str) {
    let path = folder().join(format!("{name}.case"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case = Case::read(&text);
    for run in &case.runs {
        let row = world::play(&case, *run);
        // The table of what came out, for who asks by --nocapture.
        println!("| {name} | {run:?} | {row} |");
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")
}

#[test]
fn every_case_is_played() {
    let entries = fs::read_dir(folder()).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let cases = paths.filter(|path| path.extension().is_some_and(|it| it == "case"));
    let mut found: Vec<String> = cases
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort();
    let mut named = CASES.to_vec();
    named.sort_unstable();
    assert_eq!(found, named);
}
