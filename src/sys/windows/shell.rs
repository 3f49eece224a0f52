//! The shell that a person types in, for the commands that they are told: PowerShell.

/// A text as one word of PowerShell (about_Quoting_Rules).
#[must_use]
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Sets a variable for the programs that are started later.
#[must_use]
pub fn set(variable: &str, word: &str) -> String {
    format!("$env:{variable} = '{word}'")
}

/// The same to what is in a file, which is one word.
#[must_use]
pub fn set_from_file(variable: &str, file: &str) -> String {
    format!("$env:{variable} = Get-Content {file}")
}

/// Puts a text, which has nothing in it that PowerShell reads, before what is in a variable.
#[must_use]
pub fn set_before(variable: &str, text: &str) -> String {
    format!("$env:{variable} = \"{text}$env:{variable}\"")
}

/// Opens a file, which is one word, to be changed.
#[must_use]
pub fn edit(file: &str) -> String {
    format!("notepad {file}")
}

/// Shows who might have a file open: Windows tells of no single one.
#[must_use]
pub fn holders(_: &str) -> String {
    "Get-Process codex*, opencode*".to_owned()
}

/// What a person types on a terminal where their input ends.
pub const END_OF_INPUT: &str = "Ctrl-Z and Enter end it";
