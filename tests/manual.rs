//! The manual says what the commands do: each page is compared with its command.
//!
//! There is no list of exceptions. How a page must be written for this is at
//! [`mdoc`](super::support::mdoc) and [`examples`](super::support::examples).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use codex_accounts::rehearse::{Pretend, PretendAccount, Script, Style};

use super::support::accounts::{account, store};
use super::support::mdoc::{Page, single_spaced};
use super::support::pretend::now_millis;
use super::support::{Home, examples};

/// The headings a command's page may have, in their order.
const HEADINGS: &[&str] = &[
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "INPUT FORMAT",
    "OUTPUT FORMAT",
    "ENVIRONMENT",
    "FILES",
    "EXIT STATUS",
    "EXAMPLES",
    "SEE ALSO",
    "STANDARDS",
    "CAVEATS",
];

/// Those it must have.
const REQUIRED: &[&str] = &[
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "EXIT STATUS",
    "EXAMPLES",
    "SEE ALSO",
];

/// The pages that belong to no one command.
const GENERAL: &[&str] = &[
    "codex-accounts-store.5",
    "codex-fleet.7",
    "codex-plumbing.7",
    "codex-store-helper.7",
];

/// The pages of helpers, which are packages of their own and have none of the common flags. They are
/// compared with what they do in the tests of the helper.
const HELPERS: &[&str] = &["codex-store-postgres.1"];

/// Where the flags are described that every command has: once, for all.
const COMMON: (&str, &str) = ("codex-plumbing.7", "COMMON OPTIONS");

#[test]
fn every_command_has_a_page_and_every_page_a_command() {
    let others = [GENERAL, HELPERS].concat().into_iter();
    let mut expected: BTreeSet<String> = others.map(String::from).collect();
    expected.extend(commands().iter().map(|name| format!("{name}.1")));
    let pages: BTreeSet<String> = names("man").into_iter().collect();
    assert_eq!(pages, expected);
}

#[test]
fn the_sections_of_a_page_come_in_their_order() {
    let mut found = Vec::new();
    for name in names("man") {
        let page = page(&name);
        let headings = page.headings();
        let known = |heading: &&str| HEADINGS.contains(heading);
        let mut ordered: Vec<&str> = headings.iter().copied().filter(known).collect();
        ordered.sort_by_key(|heading| HEADINGS.iter().position(|known| known == heading));
        if !headings.iter().copied().filter(known).eq(ordered) {
            found.push(format!("{name}: not in order: {}", headings.join(", ")));
        }
        if !GENERAL.contains(&name.as_str()) {
            let missing = REQUIRED
                .iter()
                .filter(|heading| !headings.contains(heading));
            found.extend(missing.map(|heading| format!("{name}: no {heading}")));
            let unknown = headings.iter().filter(|heading| !known(heading));
            found.extend(unknown.map(|heading| format!("{name}: what is {heading}?")));
        }
    }
    assert_none(&found);
}

#[test]
fn the_synopsis_is_the_usage() {
    let mut found = Vec::new();
    for name in commands() {
        let synopsis = page(&format!("{name}.1")).rendered("SYNOPSIS");
        for help in Help::of_all(&name) {
            let same = match help.subcommand {
                false => synopsis == help.usage,
                true => synopsis.contains(&help.usage),
            };
            if !same {
                let usage = help.usage;
                found.push(format!("{name}:\nSYNOPSIS {synopsis}\n-h       {usage}"));
            }
        }
    }
    assert_none(&found);
}

#[test]
fn the_flags_of_a_page_are_the_flags_of_its_command() {
    let common = page(COMMON.0).flags_under(COMMON.1);
    let mut found = Vec::new();
    for name in commands() {
        let described = page(&format!("{name}.1")).flags();
        let helps = Help::of_all(&name);
        let has: BTreeSet<String> = helps.into_iter().flat_map(|help| help.flags).collect();
        let mut tell = |flags: BTreeSet<&String>, what: &str| {
            found.extend(
                flags
                    .into_iter()
                    .map(|flag| format!("{name}: {flag} {what}")),
            );
        };
        let known: BTreeSet<String> = &described | &common;
        tell(has.difference(&known).collect(), "is not in the manual");
        tell(known.difference(&has).collect(), "is only in the manual");
        tell(
            described.intersection(&common).collect(),
            "is described twice",
        );
    }
    assert_none(&found);
}

#[test]
fn the_long_help_has_the_flags_of_the_page_and_says_more_than_the_short_one() {
    let common = page(COMMON.0).flags_under(COMMON.1);
    let mut found = Vec::new();
    for name in commands() {
        let (short, long) = (Help::of_all(&name), Help::long_of_all(&name));
        let flags: BTreeSet<String> = long.iter().flat_map(|help| help.flags.clone()).collect();
        let described = &page(&format!("{name}.1")).flags() | &common;
        if flags != described {
            found.push(format!("{name}: --help {flags:?}\nmanual {described:?}"));
        }
        for (short, long) in short.iter().zip(&long) {
            if short.usage != long.usage || !short.flags.is_subset(&long.flags) {
                found.push(format!("{name}: -h has more than --help:\n{}", short.text));
            }
        }
        if long[0].text.lines().count() <= short[0].text.lines().count() {
            found.push(format!("{name}: no longer than -h:\n{}", long[0].text));
        }
    }
    assert_none(&found);
}

/// The commands whose long help explains input, output, exit status and use.
const EXPLAINED: [&str; 7] = [
    "codex-account-pick",
    "codex-ratelimit-mark",
    "codex-session-strip",
    "codex-token-decode",
    "codex-token-encode",
    "codex-token-refresh",
    "codex-usage-fetch",
];

#[test]
fn every_long_help_tells_of_output_exit_status_and_use() {
    for name in commands() {
        let help = Help::of(&name, None, "--help");
        for part in ["Output:", "Exit status:", "Examples:"] {
            assert_ne!(help.under(part).count(), 0, "{name}: {part}");
        }
        let strategies = help.under("Strategies:").next();
        assert!(strategies.is_none_or(|it| it.starts_with("sticky  ")));
    }
}

#[test]
fn the_long_help_and_the_page_have_the_same_exit_status() {
    for name in EXPLAINED {
        let help = Help::of(name, None, "--help");
        let of_help: Vec<&str> = help
            .under("Exit status:")
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(of_help, page(&format!("{name}.1")).statuses(), "{name}");
    }
}

#[test]
fn the_examples_of_the_long_help_work() {
    for name in EXPLAINED {
        let help = Help::of(name, None, "--help");
        let examples: Vec<&str> = help.under("Examples:").collect();
        assert!(!examples.is_empty(), "{name}");
        let mut stage = Stage::new(name);
        let url = format!("{}/codex/models", stage.pretend.upstream());
        stage.home.set("url", url);
        for example in examples {
            let shown = stage.home.sh(example);
            assert!(
                shown.code == 0 && shown.stderr.is_empty(),
                "{example}: {shown}"
            );
        }
    }
}

#[test]
fn help_fits_a_screen() {
    let mut found = Vec::new();
    for name in commands() {
        for help in Help::of_all(&name) {
            let lines = help.text.lines().count();
            let columns = help.text.lines().map(|line| line.chars().count()).max();
            if lines > 48 || columns > Some(80) {
                found.push(format!(
                    "{lines} lines, {columns:?} columns:\n{}",
                    help.text
                ));
            }
        }
    }
    assert_none(&found);
}

#[test]
fn the_examples_do_as_they_say() {
    let mut found = Vec::new();
    for name in names("man") {
        if HELPERS.contains(&name.as_str()) {
            continue;
        }
        let page = page(&name);
        match examples::read(&page.literals("EXAMPLES")) {
            Err(error) => found.push(format!("{name}: {error}")),
            Ok(none) if none.is_empty() && page.headings().contains(&"EXAMPLES") => {
                found.push(format!("{name}: no example"));
            }
            Ok(examples) => {
                let stage = Stage::new(&name);
                let differences = examples::differences(&stage.home, &examples);
                found.extend(differences.iter().map(|it| format!("{name}: {it}")));
            }
        }
    }
    assert_none(&found);
}

/// What the examples of a page find when they begin, and what serves them until they end.
struct Stage {
    home: Home,
    pretend: Pretend,
}

impl Stage {
    /// A store with the accounts `work`, which is active, and `personal`; a browser; and the
    /// pretend issuer and backend, which know both. For codex-plumbing(7), `work` has used up its
    /// five hours, and the clock runs.
    fn new(page: &str) -> Stage {
        let names = ["work", "personal"];
        let mut home = Home::new();
        home.install_browser();
        let pretend = Pretend::start(script(names)).expect("the pretend servers start");
        let accounts = names.iter().enumerate().map(|(index, name)| {
            let tokens = pretend.issue(index).expect("a pretend account");
            let mut account = account(name);
            account["refreshToken"] = tokens.refresh_token.into();
            account["accessToken"] = tokens.access_token.into();
            account
        });
        home.write_store(&store(accounts));
        home.set("CODEX_ACCOUNTS_ISSUER", pretend.issuer());
        home.set("CODEX_ACCOUNTS_UPSTREAM", pretend.upstream());
        if page == "codex-plumbing.7" {
            // A stand-in for the transport and the other machine: another home on this one, and a
            // shell there that is given the words as one line, as sshd does it.
            let ssh = "#!/bin/sh\nshift\nXDG_DATA_HOME=$HOME/other exec sh -c \"$*\"\n";
            home.install("ssh", ssh);
            home.unset("CODEX_ACCOUNTS_CLOCK");
            pretend.change(|script| {
                script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
            });
            // Its tokens are good by the real clock too.
            let mut store = home.store();
            for account in store["accounts"].as_array_mut().expect("accounts") {
                account["expiresAt"] = (now_millis() + 3_600_000).into();
            }
            home.write_store(&store);
        }
        Stage { home, pretend }
    }
}

/// Pretend accounts that are those of the store.
fn script(names: [&str; 2]) -> Script {
    Script {
        accounts: names
            .map(|name| PretendAccount {
                account_id: format!("acc-{name}"),
                ..PretendAccount::named(name)
            })
            .into(),
        any_port: true,
        ..Script::default()
    }
}

/// What `-h` or `--help` prints.
struct Help {
    text: String,
    subcommand: bool,
    usage: String,
    flags: BTreeSet<String>,
}

impl Help {
    /// The short one of a command and, where it has subcommands, of each of these.
    fn of_all(name: &str) -> Vec<Help> {
        let all = Help::subcommands(name).into_iter();
        all.map(|sub| Help::of(name, sub.as_deref(), "-h"))
            .collect()
    }

    /// The long ones, in the same order.
    fn long_of_all(name: &str) -> Vec<Help> {
        let all = Help::subcommands(name).into_iter();
        all.map(|sub| Help::of(name, sub.as_deref(), "--help"))
            .collect()
    }

    /// The command itself, which is none, and its subcommands.
    fn subcommands(name: &str) -> Vec<Option<String>> {
        let help = Help::of(name, None, "-h");
        let commands = help.text.lines().skip_while(|line| *line != "Commands:");
        let commands = commands.skip(1).take_while(|line| !line.is_empty());
        // A longer indent is a description's second line.
        let commands = commands.filter(|line| !line.starts_with("   "));
        let names = commands.filter_map(|line| line.split_whitespace().next());
        let names = names.map(|name| Some(name.to_owned()));
        std::iter::once(None).chain(names).collect()
    }

    fn of(name: &str, subcommand: Option<&str>, flag: &str) -> Help {
        let home = Home::new();
        let shown = home.run(home.command(name).args(subcommand).arg(flag));
        assert!(
            shown.code == 0 && shown.stderr.is_empty(),
            "{name} {flag}: {shown}"
        );
        Help {
            usage: usage(&shown.stdout),
            flags: flags(&shown.stdout),
            subcommand: subcommand.is_some(),
            text: shown.stdout,
        }
    }

    /// The lines under a heading, without their indent.
    fn under(&self, heading: &str) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().skip_while(move |line| *line != heading);
        let lines = lines.skip(1).take_while(|line| !line.is_empty());
        lines.map(str::trim_start)
    }
}

/// The usage lines of a help text, on one line.
fn usage(help: &str) -> String {
    let from_usage = help.split_once("Usage:").map_or("", |(_, rest)| rest);
    single_spaced(from_usage.split("\n\n").next().unwrap_or_default())
}

/// The flags a help text names in its usage and at the start of its lines.
fn flags(help: &str) -> BTreeSet<String> {
    let items = help.lines().map(str::trim_start);
    let items = items.filter(|line| line.starts_with('-'));
    // Two spaces part an item from its description.
    let items = items.map(|line| line.split("  ").next().unwrap_or(line));
    let text = items.chain([&*usage(help)]).collect::<Vec<_>>().join(" ");
    let words = text.split(|c: char| c.is_whitespace() || ",[]()<>=|".contains(c));
    let flags = words.filter(|word| word.starts_with('-') && *word != "--");
    flags.flat_map(apart).collect()
}

/// The flags that one word stands for: `-qh` is `-q` and `-h`.
fn apart(word: &str) -> Vec<String> {
    match word.strip_prefix('-') {
        Some(short) if !short.starts_with('-') => short.chars().map(|c| format!("-{c}")).collect(),
        _ => vec![word.to_string()],
    }
}

fn commands() -> Vec<String> {
    let files = names("bin").into_iter();
    files
        .map(|name| name.trim_end_matches(".rs").to_string())
        .collect()
}

fn page(name: &str) -> Page {
    let path = root().join("man").join(name);
    let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page::new(source)
}

/// The names of the files in a folder of the project, in order.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_help_text_is_read() {
    let help = "\
Say which account to use now

Usage: codex-account-pick [-hV] [--peek] [--wait[=MAX]]
                          [ACCOUNT...] [-- CMD]
       codex-account-pick list

Options:
      --peek                Look only; see --wait
  -w, --wait[=<MAX>]        Wait until one is usable
  -q, --quiet
";
    let synopsis = "codex-account-pick [-hV] [--peek] [--wait[=MAX]] [ACCOUNT...] [-- CMD] \
                    codex-account-pick list";
    assert_eq!(usage(help), synopsis);
    let expected = ["--peek", "--quiet", "--wait", "-V", "-h", "-q", "-w"].map(String::from);
    assert_eq!(flags(help), expected.into());
}
