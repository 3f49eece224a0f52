//! What README says is what happens.

use super::support::Home;

const README: &str = include_str!("../README.md");

/// The lines of the first block that begins with this one, without it.
fn block(first: &str) -> Vec<&'static str> {
    let lines = README.lines().skip_while(|line| *line != first);
    lines.skip(1).take_while(|line| *line != "```").collect()
}

#[test]
fn the_demonstration_is_the_one_in_readme() {
    let said = block("$ cargo build --release --locked && target/release/codex-rehearse");
    let home = Home::new();
    let shown = home.sh("codex-rehearse");
    let real: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(real.len(), said.len(), "{shown}");
    for (real, said) in real.iter().zip(said) {
        let same = match said.split_once('…') {
            Some((before, after)) => real.starts_with(before) && real.ends_with(after),
            None => *real == said,
        };
        assert!(same, "README: {said}\nreal:   {real}");
    }
}

#[test]
fn every_command_is_in_readme() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bin")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let command = name.trim_end_matches(".rs");
        assert!(README.contains(&format!("| `{command}` |")), "{command}");
    }
}
