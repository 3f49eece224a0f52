//! What the tests read in a manual page: its source, and a section as mandoc shows it.
//!
//! Knows as much of mdoc as the pages here are written in, and refuses the rest.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// The source of a page.
pub(crate) struct Page {
    source: String,
}

impl Page {
    pub(crate) fn new(source: impl Into<String>) -> Page {
        Page {
            source: source.into(),
        }
    }

    /// The headings, in the page's order.
    pub(crate) fn headings(&self) -> Vec<&str> {
        let lines = self.source.lines();
        lines.filter_map(|line| line.strip_prefix(".Sh ")).collect()
    }

    /// The source lines under a heading; none if there is no such heading.
    fn section(&self, heading: &str) -> impl Iterator<Item = &str> {
        let lines = self.source.lines();
        let from_heading = lines.skip_while(move |line| line.strip_prefix(".Sh ") != Some(heading));
        from_heading
            .skip(1)
            .take_while(|line| !line.starts_with(".Sh "))
    }

    /// The flags the page describes, that is has a list item for: `.It Fl q , Fl -quiet`.
    pub(crate) fn flags(&self) -> BTreeSet<String> {
        flags(self.source.lines())
    }

    /// Those that are described under one heading.
    pub(crate) fn flags_under(&self, heading: &str) -> BTreeSet<String> {
        flags(self.section(heading))
    }

    /// The numbers under `EXIT STATUS`, each a list item.
    pub(crate) fn statuses(&self) -> Vec<&str> {
        let items = self.section("EXIT STATUS");
        items.filter_map(|line| line.strip_prefix(".It ")).collect()
    }

    /// The text of each `.Bd -literal` block under a heading.
    pub(crate) fn literals(&self, heading: &str) -> Vec<Vec<String>> {
        let mut blocks = Vec::new();
        let mut lines = self.section(heading);
        while lines.any(|line| line.starts_with(".Bd -literal")) {
            let block = lines.by_ref().take_while(|line| *line != ".Ed");
            let text = block.filter(|line| !line.starts_with(".\\\""));
            blocks.push(text.map(literal).collect());
        }
        blocks
    }

    /// A section as a reader sees it, white space made single.
    pub(crate) fn rendered(&self, heading: &str) -> String {
        let page = mandoc(&self.source);
        let lines = page.lines().skip_while(|line| *line != heading).skip(1);
        let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
        single_spaced(&lines.collect::<Vec<_>>().join(" "))
    }
}

/// The text with each run of white space made one space.
pub(crate) fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn flags<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for line in lines.filter(|line| line.starts_with(".It Fl ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let named = words.windows(2).filter(|pair| pair[0] == "Fl");
        flags.extend(named.map(|pair| format!("-{}", pair[1])));
    }
    flags
}

/// A line of a literal block, its roff escapes undone.
fn literal(line: &str) -> String {
    assert!(
        !line.starts_with('.'),
        "a macro in a literal block (a dot is written '\\&.'): {line}"
    );
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once('\\') {
        let (name, meaning) = [
            ("e", "\\"),
            ("&", ""),
            ("-", "-"),
            ("(aq", "'"),
            ("(dq", "\""),
            ("(ga", "`"),
            ("(ha", "^"),
            ("(ti", "~"),
        ]
        .into_iter()
        .find(|(name, _)| escape.starts_with(name))
        .unwrap_or_else(|| panic!("an escape the tests don't know: {line}"));
        text.push_str(before);
        text.push_str(meaning);
        rest = &escape[name.len()..];
    }
    text + rest
}

/// The page as plain text, its lines too wide to be broken.
fn mandoc(source: &str) -> String {
    let mut mandoc = Command::new("mandoc")
        .args(["-K", "utf-8", "-T", "utf8", "-O", "width=1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("mandoc is installed: run tests/run");
    let mut stdin = mandoc.stdin.take().expect("stdin is a pipe");
    // It reads to the end before it prints, so this cannot block on its output.
    stdin.write_all(source.as_bytes()).expect("mandoc reads");
    drop(stdin);
    let output = mandoc.wait_with_output().expect("mandoc ends");
    let shown = String::from_utf8(output.stdout).expect("mandoc prints UTF-8");
    without_overstrike(&shown)
}

/// Bold and underlined characters come as on a typewriter: struck, back, struck again.
fn without_overstrike(shown: &str) -> String {
    let mut text = String::new();
    for c in shown.chars() {
        if c == '\u{8}' {
            text.pop();
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#".Dd November 23, 2026
.Dt CODEX-SHOW 1
.Os
.Sh NAME
.Nm codex-show
.Nd show a page to the test
.Sh SYNOPSIS
.Nm
.Op Fl -name Ar NAME
.Op Fl -wait Ns Op = Ns Ar MAX
.Ar FILE ...
.Nm
.Cm list
.Sh DESCRIPTION
.Bl -tag -width Ds
.It Fl q , Fl -quiet
Say
.Fl -nothing .
.It Fl -wait Ns Op = Ns Ar MAX
.El
.Bd -literal
no example
.Ed
.Sh EXAMPLES
First:
.Bd -literal -offset indent
$ printf '%s\en' \(dqa\(dq
.\" not shown
\&.b

.Ed
Then:
.Bd -literal
$ true
.Ed
.Sh SEE ALSO
.Xr codex-accounts 1
"#;

    #[test]
    fn a_page_is_read_by_heading() {
        let page = Page::new(PAGE);
        let headings = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"];
        assert_eq!(page.headings(), headings);
        assert_eq!(page.section("FILES").count(), 0);
        let flags = ["--quiet", "--wait", "-q"].map(String::from);
        assert_eq!(page.flags(), flags.clone().into());
        assert_eq!(page.flags_under("DESCRIPTION"), flags.into());
        assert_eq!(page.flags_under("EXAMPLES"), BTreeSet::new());
        let blocks = [&[r#"$ printf '%s\n' "a""#, ".b", ""][..], &["$ true"]];
        assert_eq!(page.literals("EXAMPLES"), blocks);
    }

    #[test]
    fn a_synopsis_is_read_as_it_is_shown() {
        let shown = "codex-show [--name NAME] [--wait[=MAX]] FILE ... codex-show list";
        assert_eq!(Page::new(PAGE).rendered("SYNOPSIS"), shown);
    }

    #[test]
    #[should_panic(expected = "an escape the tests don't know")]
    fn an_unknown_escape_is_refused() {
        literal(r"a \fBbold\fP word");
    }

    #[test]
    #[should_panic(expected = "a macro in a literal block")]
    fn a_macro_among_literal_text_is_refused() {
        literal(".Ar file");
    }
}
