//! A real terminal for one test: a tmux server of its own with a shell in it, that nothing of the
//! machine's tmux gets into.
//!
//! Nothing here waits for a time to be over: every wait is for what a person would see.

use std::process::Output;
use std::time::{Duration, Instant};

use super::Home;

/// Longer than a client takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at the screen: each of them starts a process.
const GLANCE: Duration = Duration::from_millis(100);

/// What the shell says when it is its turn.
const PROMPT: &str = "sh>";

/// See the module. Ends with all that runs in it when dropped.
pub(crate) struct Terminal<'a> {
    home: &'a Home,
}

impl Home {
    /// Opens a terminal of this size, in which a shell waits.
    pub(crate) fn terminal(&self, columns: u16, rows: u16) -> Terminal<'_> {
        let terminal = Terminal { home: self };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let prompt = format!("PS1={PROMPT} ");
        let size = ["-x", &columns, "-y", &rows];
        // Of one word, tmux would make a line for the person's own shell, which drops the prompt.
        let shell = ["-e", &prompt, "sh", "-i"];
        terminal.tmux(&["new-session", "-d"], &size, &shell);
        terminal.wait_for_shell();
        terminal
    }
}

impl Terminal<'_> {
    /// Types this and sends it, once it is on the screen: a client may take what comes all at once
    /// for something pasted.
    pub(crate) fn enter(&self, text: &str) {
        self.tmux(&["send-keys", "-l"], &[text], &[]);
        self.wait_for(text);
        self.press("Enter");
    }

    /// Presses a key, by tmux's name for it.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys"], &[key], &[]);
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window"], &["-x", &columns, "-y", &rows], &[]);
    }

    /// Waits until the screen shows this.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, || self.screen().contains(text));
    }

    /// Waits until the shell has the terminal.
    pub(crate) fn wait_for_shell(&self) {
        self.wait_until("the shell", || {
            let screen = self.screen();
            screen.lines().rfind(|line| !line.is_empty()) == Some(PROMPT)
        });
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"], &[], &[])
    }

    /// What is on the screen, in its colours.
    pub(crate) fn coloured_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"], &[], &[])
    }

    /// What is on the screen and what has left it at the top, lines that were broken made whole.
    pub(crate) fn all(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"], &[], &[])
    }

    /// Whether a program has the screen to itself, whether the cursor is shown, and whether the
    /// mouse is a program's: `0 1 0` is a terminal as a shell wants it.
    pub(crate) fn modes(&self) -> String {
        let modes = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}";
        let shown = self.tmux(&["display-message", "-p"], &[modes], &[]);
        shown.trim_end().to_owned()
    }

    fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            let waited = start.elapsed();
            assert!(waited < PATIENCE, "never: {what}\n{}", self.screen());
            std::thread::sleep(GLANCE);
        }
    }

    fn tmux(&self, command: &[&str], arguments: &[&str], more: &[&str]) -> String {
        let output = self.ask_tmux(&[command, arguments, more].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {command:?}: {stderr}");
        String::from_utf8(output.stdout).expect("a screen is UTF-8")
    }

    fn ask_tmux(&self, command: &[&str]) -> Output {
        // The socket is named from the home: the name of one must not be long.
        let mut tmux = self.home.std_command("tmux");
        let output = tmux.args(["-S", "tmux", "-f", "/dev/null"]).args(command);
        output.output().expect("no tmux: run tests/run")
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.ask_tmux(&["kill-server"]);
    }
}
