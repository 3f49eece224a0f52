//! The shell that a person types in, for the commands that they are told.

/// A text as one word of a POSIX shell (POSIX 2.2.2).
#[must_use]
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Sets a variable for the programs that are started later.
#[must_use]
pub fn set(variable: &str, word: &str) -> String {
    format!("export {variable}={word}")
}

/// The same to what is in a file, which is one word.
#[must_use]
pub fn set_from_file(variable: &str, file: &str) -> String {
    format!("export {variable}=\"$(cat {file})\"")
}

/// Puts a text, which has nothing in it that a shell reads, before what is in a variable.
#[must_use]
pub fn set_before(variable: &str, text: &str) -> String {
    format!("export {variable}=\"{text}${variable}\"")
}

/// Opens a file, which is one word, to be changed.
#[must_use]
pub fn edit(file: &str) -> String {
    format!("${{EDITOR:-vi}} {file}")
}

/// Shows who has a file open, which is one word.
#[must_use]
pub fn holders(file: &str) -> String {
    format!("fuser -v {file}")
}

/// What a person types on a terminal where their input ends.
pub const END_OF_INPUT: &str = "Ctrl-D ends it";

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        for (path, expected) in [
            ("/a/b.json", "'/a/b.json'"),
            ("/my own/b.json", "'/my own/b.json'"),
            ("/it's/$b`c`", r"'/it'\''s/$b`c`'"),
        ] {
            assert_eq!(word(path), expected);
        }
    }
}
