//! No circle of files: what one file needs, it can be read without (DESIGN §4).
//!
//! A folder's `mod.rs` names what is in the folder, and that names it: between those two nothing is
//! counted. What a file re-exports is where it comes from. Tests may name what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::layers::{named, sources, without_comments};

/// A module as its path: `["account", "limit"]`; the crate itself is empty.
type Module = Vec<String>;

/// The files, by the modules that they are.
struct Sources {
    files: BTreeMap<Module, Source>,
}

struct Source {
    path: String,
    /// The paths that its code names, as modules and what is in them.
    names: BTreeSet<Vec<String>>,
    /// What it hands on under a name of its own.
    exports: BTreeMap<String, Vec<String>>,
}

#[test]
fn no_files_need_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = sources(&root.join("src")).into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a source file");
        let path = path.strip_prefix(root).expect("a path under the root");
        (path.to_string_lossy().into_owned(), text)
    });
    let found = circles(&Sources::new(texts));
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

impl Sources {
    fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts: Vec<(Module, String, String)> = texts
            .into_iter()
            .filter(|(path, _)| path != "src/lib.rs") // the map of the house
            .map(|(path, text)| (module_of(&path), path, text))
            .collect();
        let modules: BTreeSet<Module> = texts.iter().map(|(module, ..)| module.clone()).collect();
        let source = |(module, path, text): (Module, String, String)| {
            let code = without_tests(&without_comments(&text));
            let absolute = |path: &String| absolute(&module, path, &modules);
            let exports = statements(&code, "pub use ")
                .chain(statements(&code, "pub(super) use "))
                .chain(statements(&code, "pub(crate) use "))
                .flat_map(|statement| named(&statement));
            let source = Source {
                path,
                names: named(&code).iter().filter_map(absolute).collect(),
                exports: exports
                    .filter_map(|path| absolute(&path))
                    .filter_map(|path| Some((path.last()?.clone(), path)))
                    .collect(),
            };
            (module, source)
        };
        Self {
            files: texts.into_iter().map(source).collect(),
        }
    }

    /// The module that a path leads to, re-exports followed.
    fn target(&self, path: &[String]) -> Option<&Module> {
        let end = (1..=path.len()).rfind(|end| self.files.contains_key(&path[..*end]))?;
        let (module, source) = self.files.get_key_value(&path[..end])?;
        match path.get(end).and_then(|name| source.exports.get(name)) {
            Some(origin) if origin != path => self.target(origin),
            _ => Some(module),
        }
    }

    /// What a module needs, itself and its folder's index apart.
    fn needs(&self, module: &Module) -> BTreeSet<&Module> {
        let related = |other: &Module| other.starts_with(module) || module.starts_with(other);
        let targets = self.files[module].names.iter();
        targets
            .filter_map(|path| self.target(path))
            .filter(|target| !related(target))
            .collect()
    }
}

/// The modules of one circle after the other: those from which the way leads back to them, each
/// with what it needs of the others.
fn circles(sources: &Sources) -> Vec<String> {
    let needs: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .files
        .keys()
        .map(|module| (module, sources.needs(module)))
        .collect();
    let reach = |from: &Module| {
        let mut reached: BTreeSet<&Module> = BTreeSet::new();
        let mut open: Vec<&Module> = needs[from].iter().copied().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(&needs[module]);
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = needs
        .keys()
        .map(|module| (*module, reach(module)))
        .collect();
    let mut found = Vec::new();
    for (module, needs) in &needs {
        let back = |other: &&&Module| reached[**other].contains(module);
        let in_circle: Vec<String> = needs
            .iter()
            .filter(back)
            .map(|other| sources.files[*other].path.clone())
            .collect();
        if !in_circle.is_empty() {
            let path = &sources.files[*module].path;
            found.push(format!(
                "{path} is in a circle with {}",
                in_circle.join(", ")
            ));
        }
    }
    found
}

fn module_of(path: &str) -> Module {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inside = inside.trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

/// A path as it would be named from the crate's root; `None` if it is none of ours.
fn absolute(module: &Module, path: &str, modules: &BTreeSet<Module>) -> Option<Vec<String>> {
    let mut segments: Vec<String> = path.split("::").map(str::to_owned).collect();
    let mut base = match segments[0].as_str() {
        "crate" => {
            segments.remove(0);
            Module::new()
        }
        "super" | "self" => module.clone(),
        first => {
            let child: Module = [module.as_slice(), &[first.to_owned()]].concat();
            modules.contains(&child).then(|| module.clone())?
        }
    };
    while let Some(first) = segments.first() {
        match first.as_str() {
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        segments.remove(0);
    }
    // `a::{self}` is `a`.
    segments.retain(|segment| segment != "self");
    Some([base, segments].concat())
}

/// The code up to its unit tests.
fn without_tests(code: &str) -> String {
    let end = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    code[..end].to_owned()
}

/// The statements that begin so at the beginning of a line.
fn statements<'a>(code: &'a str, start: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = code.match_indices(start).map(|(at, _)| at);
    lines
        .filter(|at| *at == 0 || code[..*at].ends_with('\n'))
        .map(move |at| {
            let statement = &code[at + start.len()..];
            statement
                .split_inclusive(';')
                .next()
                .unwrap_or(statement)
                .to_owned()
        })
}

fn found(files: &[(&str, &str)]) -> String {
    let texts = files.iter();
    let texts = texts.map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    circles(&Sources::new(texts)).join("\n")
}

#[test]
fn circles_are_caught() {
    insta::assert_snapshot!(found(&[
        ("src/a/mod.rs", "mod one; mod two; pub use two::Two;"),
        ("src/a/one.rs", "use super::two::Two;"),
        ("src/a/two.rs", "fn f() { crate::a::one::g() }"),
    ]), @"
    src/a/one.rs is in a circle with src/a/two.rs
    src/a/two.rs is in a circle with src/a/one.rs
    ");
    // By way of what an index hands on, and of a third file.
    insta::assert_snapshot!(found(&[
        ("src/a/mod.rs", "mod one;\npub use one::One;"),
        ("src/a/one.rs", "use crate::b::{self, Three};"),
        ("src/b.rs", "mod c;\npub use c::Three;"),
        ("src/b/c.rs", "use crate::a::One;"),
        ("src/d.rs", "use crate::b;"),
    ]), @"
    src/a/one.rs is in a circle with src/b/c.rs
    src/b/c.rs is in a circle with src/a/one.rs
    ");
}

#[test]
fn an_index_and_what_is_in_its_folder_are_no_circle() {
    let files = [
        ("src/a/mod.rs", "mod one; use one::One; pub struct All;"),
        ("src/a/one.rs", "use super::All;"),
        (
            "src/b.rs",
            "use crate::a::All;\n#[cfg(test)]\nmod tests { use crate::c; }",
        ),
        ("src/c.rs", "use crate::b::x;"),
    ];
    assert_eq!(found(&files), "");
}
