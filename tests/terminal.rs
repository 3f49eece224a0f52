//! The real clients in a real terminal, as a person sits before them: an account is limited in the
//! middle of a conversation, the window changes its size, the job is stopped and goes on. The screen
//! is the client's alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use codex_accounts::rehearse::{Script, Style};

use super::support::Home;
use super::support::asked::asked;
use super::support::picture;
use super::support::pretend::Servers;
use super::support::tmux::Terminal;

/// How wide the screen is before it changes.
const COLUMNS: u16 = 100;

/// A client that has the screen to itself.
struct Client {
    /// How a person starts it.
    command: &'static str,
    /// What goes on with its session, up to the name of that.
    resume: &'static str,
    /// The picture of its screen in README, behind the rotation.
    picture: Option<&'static str>,
    /// What it shows when it can be asked something for the first time.
    ready: &'static str,
}

const OPENCODE: Client = Client {
    command: "codex-launch opencode -m openai/gpt-5.5",
    resume: "codex-launch opencode --session ses_",
    picture: None,
    ready: "Ask anything",
};

const CODEX: Client = Client {
    command: "codex-launch codex -m gpt-5.5",
    resume: "codex-launch codex resume 0",
    picture: Some("docs/codex.svg"),
    ready: "Ask Codex to do anything",
};

/// For codex: no questions before the first one of the person's, and keys that are pressed at once
/// are keys.
const NO_QUESTIONS: &str = r#"disable_paste_burst = true
check_for_update_on_startup = false

[notice.model_migrations]
"gpt-5.5" = "gpt-6-sol"
"#;

/// A home with two good accounts, where codex has nothing to ask.
fn setting() -> (Home, Servers) {
    let mut home = Home::with_clients();
    let config = home.path().join(".codex/config.toml");
    let config = fs::read_to_string(config).unwrap();
    let trusted = format!(
        "[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        home.path().display()
    );
    home.write(
        ".codex/config.toml",
        format!("{NO_QUESTIONS}\n{trusted}\n{config}"),
    );
    let pretend = home.with_servers(Script::with_accounts(2));
    (home, pretend)
}

/// From the first question to the last, with everything that happens to a terminal in between, and
/// the line that tells of it when the client is gone.
fn converse(client: &Client) {
    let (home, pretend) = setting();
    let terminal = home.terminal(COLUMNS, 30);
    terminal.enter("stty -g >before");
    terminal.wait_for_shell();

    terminal.enter(client.command);
    terminal.wait_for(client.ready);
    terminal.enter("who are you");
    terminal.wait_for("answered by one@example.com");

    pretend.change(|script| {
        script.accounts[0].limit(Duration::from_secs(3600), Style::UsageLimit);
    });
    terminal.enter("and who is there now");
    terminal.wait_for("answered by two@example.com");
    assert_nothing_was_noticed(&terminal);
    if let Some(picture) = client.picture {
        keep(picture, client.command, &terminal);
    }
    let limited = asked(&pretend);
    assert!(limited.ends_with(&[1]), "{limited:?}");

    let answer = |text: &str| {
        pretend.change(|script| script.accounts[1].text = Some(text.to_owned()));
    };
    answer("seen in a smaller window");
    terminal.resize(72, 22);
    terminal.enter("how is it in there");
    terminal.wait_for("seen in a smaller window");

    terminal.press("C-z");
    terminal.wait_for_shell();
    terminal.wait_for("Stopped");
    terminal.enter("stty -g >stopped");
    terminal.wait_for_shell();
    terminal.enter("fg");
    terminal.wait_for("seen in a smaller window");
    answer("back where it was");
    terminal.enter("are you back");
    terminal.wait_for("back where it was");
    assert_nothing_was_noticed(&terminal);

    terminal.press("C-c");
    terminal.wait_for_shell();
    assert_eq!(terminal.modes(), "0 1 0", "{}", terminal.screen());
    terminal.enter("echo it ended with $?; stty -g >after");
    terminal.wait_for("it ended with 0");
    terminal.wait_for_shell();
    let modes = ["before", "stopped", "after"]
        .map(|name| fs::read_to_string(home.path().join(name)).expect("the modes of the terminal"));
    assert!(modes[0] == modes[1] && modes[0] == modes[2], "{modes:?}");

    let all = terminal.all();
    let closing = all.replace('\n', "");
    let resume = format!("continue with: {}", client.resume);
    for words in [
        "one@example.com is limited until ",
        "two@example.com went on",
        &resume,
    ] {
        assert!(closing.contains(words), "{words}:\n{all}");
    }
    let later = &asked(&pretend)[limited.len()..];
    assert!(later.iter().all(|account| *account == 1), "{later:?}");
    assert_eq!(home.store()["activeIndex"], 1);
}

/// Draws what is on the screen, where `tests/draw` wants that. No two runs look the same to the
/// letter, so that of the picture that is kept only the words are compared that must be in it.
fn keep(picture: &str, command: &str, terminal: &Terminal<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(picture);
    if std::env::var_os("DRAW").is_some() {
        let label = format!("The screen of {command}: both questions are answered");
        let drawn = picture::screen(&label, &terminal.coloured_screen(), COLUMNS);
        fs::write(&path, drawn).expect("a picture");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    for words in [
        "who are you",
        "answered by one@example.com",
        "and who is there now",
        "answered by two@example.com",
    ] {
        assert!(
            kept.contains(words),
            "{picture} has no {words:?}: run tests/draw"
        );
    }
}

/// No word of ours is or was on the screen, nor what the clients say of a limit.
fn assert_nothing_was_noticed(terminal: &Terminal<'_>) {
    const WORDS: [&str; 5] = [
        "codex-launch:",
        "hint:",
        "usage_limit_reached",
        "usage limit has been reached",
        "hit your usage limit",
    ];
    let all = terminal.all();
    for word in WORDS {
        assert!(!all.contains(word), "{word}:\n{all}");
    }
}

#[test]
fn opencode_in_a_terminal_goes_on_with_the_next_account() {
    converse(&OPENCODE);
}

#[test]
fn codex_in_a_terminal_goes_on_with_the_next_account() {
    converse(&CODEX);
}

#[test]
fn a_job_that_was_continued_is_not_stopped_once_more() {
    let mut home = Home::new();
    let _pretend = home.with_servers(Script::with_accounts(1));
    let terminal = home.terminal(100, 30);
    // As the clients do it: they stop their whole group.
    terminal.enter("codex-launch -- sh -c 'kill -TSTP 0; echo went on'");
    terminal.wait_for("Stopped");
    terminal.wait_for_shell();
    terminal.enter("clear; fg");
    terminal.wait_for("\nwent on\n");
    terminal.wait_for_shell();
    // The half of it that is the wrapper's: it does not stop unless its child does.
    terminal.enter("clear; codex-launch -- sh -c 'kill -TSTP $PPID; echo never left'");
    terminal.wait_for_shell();
    let screen = terminal.screen();
    assert_eq!(screen.trim(), "never left\nsh>");
}
