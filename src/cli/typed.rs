//! Commands as a person types them, for hints and for what mends things.

use std::ffi::OsStr;

/// A path as one word of a POSIX shell (POSIX 2.2.2).
#[must_use]
pub fn quoted(path: impl AsRef<OsStr>) -> String {
    let path = path.as_ref().display();
    format!("'{}'", path.to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        for (path, word) in [
            ("/a/b.json", "'/a/b.json'"),
            ("/my own/b.json", "'/my own/b.json'"),
            ("/it's/$b`c`", r"'/it'\''s/$b`c`'"),
        ] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
