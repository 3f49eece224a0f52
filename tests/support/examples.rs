//! The examples of a manual page, run as one session of a shell.
//!
//! `$ ` begins a command, `> ` continues it, and below stands what it prints, stderr
//! among stdout. `…` stands for anything within a line, a line of `...` for any
//! lines. A command that fails is followed by `$ echo $?`, or the example is wrong.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Home;
use super::canary;

/// Printed between the outputs of two commands; no command prints it.
const RECORD_SEPARATOR: char = '\u{1e}';

/// A command and the lines it is said to print.
#[derive(Debug, PartialEq)]
pub(crate) struct Example {
    command: String,
    output: Vec<String>,
}

/// The examples in the literal blocks of a page, or why they are none.
pub(crate) fn read(blocks: &[Vec<String>]) -> Result<Vec<Example>, String> {
    let mut examples: Vec<Example> = Vec::new();
    for block in blocks {
        let first = examples.len();
        for line in block {
            let current = examples.get_mut(first..).and_then(<[_]>::last_mut);
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push(Example {
                    command: command.to_string(),
                    output: Vec::new(),
                });
            } else if let Some(example) = current {
                match line.strip_prefix("> ") {
                    Some(more) if example.output.is_empty() => {
                        example.command += "\n";
                        example.command += more;
                    }
                    _ => example.output.push(line.clone()),
                }
            } else {
                return Err(format!("an example begins without a command: {line}"));
            }
        }
    }
    Ok(examples)
}

/// Runs the examples in their order and returns what is not as they say.
pub(crate) fn differences(home: &Home, examples: &[Example]) -> Vec<String> {
    let transcript = run(home, examples);
    let mut found = Vec::new();
    let mut outputs = transcript.split_inclusive(RECORD_SEPARATOR);
    let mut after = examples.iter().skip(1);
    for example in examples {
        let status_told = after.next().is_some_and(|next| next.command == "echo $?");
        let output = outputs.next().unwrap_or_default();
        let Some(output) = output.strip_suffix(RECORD_SEPARATOR) else {
            found.push(format!("$ {}\nends the shell:\n{output}", example.command));
            break;
        };
        // The status is the last line, which the shell put there.
        let (output, status) = output.rsplit_once('\n').unwrap_or(("", output));
        let lines: Vec<&str> = output.lines().collect();
        if !matches(&example.output, &lines) {
            let told = example.output.iter().map(|line| format!("\n-{line}"));
            let printed = lines.iter().map(|line| format!("\n+{line}"));
            let both: String = told.chain(printed).collect();
            found.push(format!("$ {}{both}", example.command));
        }
        if status != "0" && !status_told {
            found.push(format!("$ {}\nexits {status}, untold", example.command));
        }
    }
    found
}

/// What the shell printed: for each command its output, a line with its exit status,
/// and the separator.
fn run(home: &Home, examples: &[Example]) -> String {
    let mut script = String::from("exec 2>&1\n");
    for example in examples {
        script += &example.command;
        // The last line of output may lack its end; the status keeps for `echo $?`.
        script += "\n__status=$?; printf '\\n%s\\036' $__status; (exit $__status)\n";
    }
    // A file, since what an example leaves in the background would hold a pipe open.
    let path = home.path().join("transcript");
    let mut shell = home
        .std_command("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(File::create(&path).expect("a file for the transcript"))
        .process_group(0)
        .spawn()
        .expect("sh starts");
    let group = Pid::from_raw(shell.id().cast_signed());
    shell.wait().expect("sh ends");
    // What an example left in the background ends with its page; mostly there is nothing.
    let _ = killpg(group, Signal::SIGKILL);
    let transcript = fs::read_to_string(&path).expect("the transcript is UTF-8");
    canary::assert_none(&transcript);
    transcript
}

fn matches(pattern: &[String], lines: &[&str]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "..." || any == "…" => {
            (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(first, line) && matches(rest, lines)),
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == line,
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|line| {
            let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.any(|at| line_matches(rest, &line[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences_of(page: &str) -> Vec<String> {
        let block = page.lines().map(String::from).collect();
        differences(&Home::new(), &read(&[block]).expect("examples"))
    }

    #[test]
    fn true_examples_pass() {
        let differences = differences_of(
            r#"$ name=work; cd "$TMPDIR"
$ echo "$name in $(basename "$PWD")"; echo 'error: no' >&2
work in tmp
error: no
$ for n in 1 2
> do echo "$n$n"
> done
11
22
$ sleep 1000 & printf 'pid %s, no line end' $!
pid …, no line end
$ seq 9
1
...
8
…
$ sh -c 'exit 75'
$ echo $?
75
$ cat <<EOF
> a
>  b
> EOF
a
 b"#,
        );
        assert_eq!(differences, Vec::<String>::new());
    }

    #[test]
    fn false_examples_are_told() {
        let differences = differences_of(
            "$ echo one\ntwo\n$ false\n$ echo more\n$ echo less\nless\nthan this\n$ exit 1\n$ echo never",
        );
        insta::assert_snapshot!(differences.join("\n"), @"
        $ echo one
        -two
        +one
        $ false
        exits 1, untold
        $ echo more
        +more
        $ echo less
        -less
        -than this
        +less
        $ exit 1
        ends the shell:
        ");
    }

    #[test]
    fn text_that_is_no_example_is_refused() {
        let blocks = [vec!["$ true".into()], vec!["codex-account-pick".into()]];
        let error = read(&blocks).expect_err("the second block has no command");
        assert_eq!(
            error,
            "an example begins without a command: codex-account-pick"
        );
    }

    #[test]
    #[should_panic(expected = "a secret got out")]
    fn an_example_that_shows_a_secret_is_refused() {
        differences_of(&format!("$ echo {}\n…", canary::CANARY));
    }

    #[test]
    fn an_ellipsis_is_anything() {
        assert!(line_matches("a…c", "abc"));
        assert!(line_matches("a…c", "ac"));
        assert!(line_matches("…b…", "abbc"));
        assert!(line_matches("…é", "éé"));
        assert!(!line_matches("a…c", "abcd"));
        assert!(!line_matches("a…a", "a"));
    }
}
