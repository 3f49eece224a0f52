//! What a person installs is whole: the commands with their manual pages and completions, by cargo,
//! by make, and as a Debian package. Only the release build is left out, which takes minutes: what
//! is installed here is what the tests run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::support::accounts::{account, store};
use super::support::{Home, postgres};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the commands that were built for the tests.
fn built() -> &'static Path {
    let command = Path::new(env!("CARGO_BIN_EXE_codex-accounts"));
    command.parent().expect("a command is in a folder")
}

/// The names of the files in a folder, all the way down, as they are below it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("below");
                found.insert(below.to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn commands() -> BTreeSet<String> {
    let sources = files(&root().join("bin")).into_iter();
    sources
        .map(|file| file.trim_end_matches(".rs").to_owned())
        .collect()
}

/// What comes along from a package of its own; people don't type it, so it has no completions.
const HELPER: &str = "codex-store-postgres";

fn handed_out() -> BTreeSet<String> {
    let mut all = commands();
    all.insert(HELPER.to_owned());
    all
}

/// Everything that belongs on a machine, below `/usr`.
fn expected(zsh: &str, suffix: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([format!("share/zsh/{zsh}/_codex-accounts")]);
    all.insert(format!("bin/{HELPER}"));
    for command in commands() {
        all.insert(format!("bin/{command}"));
        all.insert(format!("share/bash-completion/completions/{command}"));
        all.insert(format!("share/fish/vendor_completions.d/{command}.fish"));
    }
    for unit in files(&root().join("units")) {
        all.insert(format!("lib/systemd/user/{unit}"));
    }
    for page in files(&root().join("man")) {
        let section = page.rsplit('.').next().expect("a section");
        all.insert(format!("share/man/man{section}/{page}{suffix}"));
    }
    all
}

/// Runs a program of the person's in the project's folder, and gives what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run tests/run"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// What cargo knows of a package of this project.
fn package(name: &str) -> Value {
    let arguments = "metadata --no-deps --format-version 1 --locked --offline";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let metadata: Value = serde_json::from_str(&run(env!("CARGO"), &arguments)).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let mut of_name = packages.filter(|package| package["name"] == name);
    of_name.next().expect("a package of that name").clone()
}

fn targets(package: &Value, kind: &str) -> BTreeSet<String> {
    let targets = package["targets"].as_array().expect("targets").iter();
    let targets = targets.filter(|target| target["kind"][0] == kind);
    targets
        .map(|target| target["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn assert_page_is_shown(share: &Path) {
    let home = Home::new();
    let man = format!("MANPAGER=cat man -M '{}/man'", share.display());
    let shown = home.sh(&format!(
        "{man} codex-launch; {man} -w 5 codex-accounts-store"
    ));
    assert!(shown.stdout.starts_with("CODEX-LAUNCH(1)"), "{shown}");
    assert!(
        shown.stdout.contains("/man5/codex-accounts-store.5"),
        "{shown}"
    );
}

// --- The ways to install

#[test]
fn cargo_installs_every_command() {
    let helper = package(HELPER);
    assert_eq!(targets(&helper, "bin"), BTreeSet::from([HELPER.to_owned()]));
    let package = package("codex-accounts");
    assert_eq!(package["version"], helper["version"]);
    assert_eq!(targets(&package, "bin"), commands());
    let needs_features = |target: &Value| !target["required-features"].is_null();
    assert!(
        !package["targets"]
            .as_array()
            .unwrap()
            .iter()
            .any(needs_features)
    );
}

#[test]
fn cargo_finds_what_is_to_be_run_and_measured() {
    let package = package("codex-accounts");
    assert_eq!(package["default_run"], "codex-rehearse");
    assert!(targets(&package, "bin").contains("codex-rehearse"));
    for bench in ["relay", "plumbing", "strategies"] {
        assert!(targets(&package, "bench").contains(bench), "{bench}");
    }
}

#[test]
fn make_installs_everything_and_takes_it_away() {
    postgres::helper();
    let home = Home::new();
    let place = home.path().join("root");
    let (place, built) = (place.to_str().unwrap(), built().to_str().unwrap());
    let make = |target: &str| {
        let built = format!("BUILT={built}");
        let place = format!("DESTDIR={place}");
        run("make", &["-s", target, &built, "PREFIX=/usr", &place]);
    };
    make("install");
    let usr = Path::new(place).join("usr");
    assert_eq!(files(&usr), expected("site-functions", ""));
    assert_page_is_shown(&usr.join("share"));
    let service = fs::read_to_string(usr.join("lib/systemd/user/codex-proxy.service")).unwrap();
    assert!(
        service.contains("ExecStart=/usr/bin/codex-proxy "),
        "{service}"
    );
    make("uninstall");
    assert_eq!(files(Path::new(place)), BTreeSet::new());
}

/// What a person gets who sets it up by hand is what `codex-accounts setup` writes, but for what is
/// said of it and the places of files.
#[test]
fn the_units_are_those_of_setup() {
    let home = Home::new();
    let shown = home.sh("codex-rehearse -q -- codex-accounts setup codex");
    for name in ["socket", "service"] {
        let unit = fs::read_to_string(root().join(format!("units/codex-proxy.{name}"))).unwrap();
        let settings = unit
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains('='));
        for setting in settings {
            let (key, _) = setting.split_once('=').expect("a setting");
            let is_known = match key {
                "Documentation" | "ConditionPathExists" => true,
                "ExecStart" => shown.stdout.contains("ExecStart="),
                _ => shown.stdout.contains(setting),
            };
            assert!(is_known, "{setting}\n{shown}");
        }
    }
}

#[test]
fn make_does_not_install_what_is_not_built() {
    let home = Home::new();
    let place = format!("DESTDIR={}", home.path().join("root").display());
    let mut make = home.std_command("make");
    let make = make.args(["-s", "install", "BUILT=nowhere", &place]);
    let output = make.current_dir(root()).output().expect("make");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not built yet: run make first"), "{said}");
    assert!(!output.status.success() && !home.path().join("root").exists());
}

#[test]
fn a_debian_package_holds_everything() {
    postgres::helper();
    let home = Home::new();
    // `target/tools` is beside the folder for the tests.
    let tool = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools/bin/cargo-deb");
    let profile = match built().file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let output = home.path().join("package");
    let arguments = format!(
        "-q --no-build --profile {profile} --fast --compress-system --locked --offline -o {}/",
        output.display()
    );
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let file = run(tool.to_str().unwrap(), &arguments);

    let place = home.path().join("root");
    run("dpkg-deb", &["-x", file.trim(), place.to_str().unwrap()]);
    let found = files(&place.join("usr"));
    let is_document = |file: &String| file.starts_with("share/doc");
    let (documents, found): (BTreeSet<String>, BTreeSet<String>) =
        found.into_iter().partition(is_document);
    let documents: Vec<String> = documents.into_iter().collect();
    assert_eq!(found, expected("vendor-completions", ".gz"));
    insta::assert_snapshot!(documents.join("\n"), @"
    share/doc/codex-accounts/README.md
    share/doc/codex-accounts/changelog.Debian.gz
    share/doc/codex-accounts/copyright
    share/doc/codex-accounts/docs/codex.svg
    share/doc/codex-accounts/docs/demonstration.svg
    share/doc/codex-accounts/docs/status.svg
    share/doc/codex-accounts/docs/strategies.svg
    ");
    assert_page_is_shown(&place.join("usr/share"));

    let control = run("dpkg-deb", &["-f", file.trim()]);
    let field = |name: &str| {
        let line = control.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("Package:"), "codex-accounts");
    assert!(field("Depends:").contains("libc6 ("), "{control}");
    // The changelog begins with the version that the package has.
    let version = field("Version:");
    let changelog = fs::read_to_string(root().join("debian/changelog")).unwrap();
    let first = format!("codex-accounts ({version}) ");
    assert!(changelog.starts_with(&first), "{version}");
    assert!(changelog.contains(&format!(" -- {}  ", field("Maintainer:"))));
}

/// What `packaging/make` makes, with scripts in the place of commands that would take long to pack:
/// each runs the one that was built for the tests.
fn packed(home: &Home) -> PathBuf {
    let out = home.path().join("packages");
    let mut arguments = vec!["--out".to_owned(), out.display().to_string()];
    for (system, suffix) in SYSTEMS {
        let folder = home.path().join(system);
        fs::create_dir(&folder).expect("a folder");
        for command in handed_out() {
            let path = folder.join(format!("{command}{suffix}"));
            let real = built().join(&command);
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
            fs::write(&path, script).expect("a script");
        }
        arguments.push("--built".to_owned());
        arguments.push(format!("{system}={}", folder.display()));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("packaging/make", &arguments);
    out
}

const SYSTEMS: [(&str, &str); 5] = [
    ("darwin-arm64", ""),
    ("darwin-x64", ""),
    ("linux-arm64", ""),
    ("linux-x64", ""),
    ("win32-x64", ".exe"),
];

/// From the files, with nothing fetched: npm asks no registry here.
#[test]
fn npm_installs_every_command_and_takes_it_away() {
    let home = Home::new();
    let npm = packed(&home).join("npm");
    let pack = format!(
        "cd '{}' && npm pack --silent --pack-destination \"$HOME\" ./codex-accounts ./codex-accounts-{}",
        npm.display(),
        system()
    );
    home.run(home.command("sh").args(["-c", &pack]));
    let global = "npm --global --offline --loglevel=error --prefix \"$HOME/prefix\"";
    for scripts in ["true", "false"] {
        let installed = home.sh(&format!(
            "{global} install --ignore-scripts={scripts} \"$HOME\"/*.tgz >&2
             printf 'r1|a1' | \"$HOME/prefix/bin/codex-token-decode\"; ls \"$HOME/prefix/bin\"
             \"$HOME/prefix/bin/codex-token-decode\" --no-such >&2; echo $?"
        ));
        let names: Vec<String> = handed_out().into_iter().collect();
        let record = r#"{"v":1,"index":0,"refreshToken":"r1","chatgptAccountId":"a1"}"#;
        let expected = format!("{record}\n{}\n2\n", names.join("\n"));
        assert_eq!(installed.stdout, expected, "{installed}");
        let left = home.sh(&format!(
            "{global} uninstall codex-accounts >&2; ls \"$HOME/prefix/bin\""
        ));
        assert_eq!(left.stdout, "", "{left}");
    }
}

/// This machine's system, as npm's packages name it.
fn system() -> String {
    let processor = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    format!("linux-{processor}")
}

#[test]
fn what_package_managers_are_told_names_every_archive_and_command() {
    let home = Home::new();
    let packages = packed(&home);
    let version = env!("CARGO_PKG_VERSION");
    let sums = fs::read_to_string(packages.join("SHA256SUMS")).expect("sums");
    let told: String = files(&packages)
        .iter()
        .filter(|file| !file.starts_with("npm/") && !file.contains(version))
        .filter(|file| *file != "SHA256SUMS")
        .map(|file| fs::read_to_string(packages.join(file)).expect("text"))
        .collect();
    assert!(!told.contains("@"), "a mark is left: {told}");
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").expect("a sum and a name");
        assert!(packages.join(name).is_file(), "{name}");
        assert!(told.to_lowercase().contains(sum), "{name}");
    }
    assert_eq!(sums.lines().count(), SYSTEMS.len());
    for command in handed_out() {
        assert!(told.contains(&format!("{command}.exe")), "{command}");
    }
    // As they are checked by those who have nothing else.
    let checked = format!(
        "cd '{}' && sha256sum --quiet -c SHA256SUMS",
        packages.display()
    );
    run("sh", &["-c", &checked]);
}

#[test]
fn the_same_is_packed_twice() {
    let (one, other) = (Home::new(), Home::new());
    let sums = |home: &Home| {
        let packages = packed(home);
        let all = files(&packages);
        let read = |file: &String| fs::read(packages.join(file)).expect("a file");
        all.iter()
            .map(|file| (file.clone(), read(file)))
            .collect::<Vec<_>>()
    };
    assert!(
        sums(&one) == sums(&other),
        "packed twice, it is not the same"
    );
}

#[test]
fn the_scripts_can_be_run() {
    let scripts = [
        "tests/run",
        "tests/draw",
        "tests/platforms",
        "packaging/make",
        "packaging/tools",
        "packaging/cargo-for",
        ".ci/run",
    ];
    for script in scripts {
        let mode = fs::metadata(root().join(script))
            .expect("a script")
            .permissions();
        assert_eq!(mode.mode() & 0o111, 0o111, "{script}");
    }
}

#[test]
fn the_version_shows_the_commit() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = match root().join(".git").exists() {
        true => {
            let commit = run("git", &["rev-parse", "--short=12", "HEAD"]);
            format!("{version} ({})", commit.trim())
        }
        false => version.to_owned(),
    };
    for command in commands() {
        let shown = Home::new().sh(&format!("{command} --version; {command} -V"));
        let said = format!("{command} {expected}\n{command} {version}\n");
        assert_eq!(shown.stdout, said);
    }
}

#[test]
fn programs_are_told_the_version_too() {
    for command in commands() {
        let shown = Home::new().sh(&format!("{command} --version --json"));
        let record: Value = serde_json::from_str(&shown.stdout).expect("a record");
        assert_eq!(record["v"], 1, "{shown}");
        assert_eq!(record["name"], command, "{shown}");
        assert_eq!(record["version"], env!("CARGO_PKG_VERSION"), "{shown}");
        let processor = record["system"]
            .as_str()
            .and_then(|it| it.split('-').next());
        assert_eq!(processor, Some(std::env::consts::ARCH), "{shown}");
        assert!(record["features"].is_array(), "{shown}");
        let people = Home::new().sh(&format!("{command} --version"));
        let commit = record["commit"].as_str().unwrap_or_default();
        assert!(people.stdout.contains(commit), "{people}");
    }
}

// --- Completion, in the real shells

/// A home with two accounts, and the completions of a shell.
fn completing(shell: &str) -> (Home, PathBuf) {
    let home = Home::new();
    home.write_store(&store([account("work"), account("personal")]));
    (home, root().join("completions").join(shell))
}

#[test]
fn fish_completes_commands_and_accounts() {
    let (home, folder) = completing("fish");
    let ask = |line: &str| {
        let script = format!(
            "set fish_complete_path '{}'; complete -C '{line}' | cut -f 1",
            folder.display()
        );
        home.run(home.command("fish").args(["-c", &script])).stdout
    };
    assert!(ask("codex-accounts use ").starts_with("work\npersonal\n"));
    assert_eq!(ask("codex-account-pick --account p"), "personal\n");
    for command in commands() {
        assert!(
            ask(&format!("{command} --he")).contains("--help"),
            "{command}"
        );
    }
}

#[test]
fn bash_completes_commands_and_accounts() {
    let (home, folder) = completing("bash");
    let ask = |command: &str, words: &str| {
        // As bash-completion does: the file of the command, then what is registered for it.
        let script = format!(
            "source '{}/{command}'
             COMP_WORDS=({command} {words} '') COMP_TYPE=9
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             set -- $(complete -p {command}); while [ \"$1\" != -F ]; do shift; done
             \"$2\" {command} '' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            folder.display()
        );
        home.run(home.command("bash").args(["-c", &script])).stdout
    };
    assert!(ask("codex-accounts", "use").contains("work\npersonal\n"));
    assert!(ask("codex-account-pick", "--account").contains("work\npersonal"));
    for command in commands() {
        assert!(ask(&command, "").contains("--help"), "{command}");
    }
}

#[test]
fn zsh_completes_commands_and_accounts() {
    let (home, folder) = completing("zsh");
    let ask = |line: &str, until: &str| {
        // A terminal for zsh within zsh, since completion is for those who type.
        let script = format!(
            "zmodload zsh/zpty; zpty inner zsh -f -i
             zpty -w inner 'fpath=({} $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy'
             zpty -r inner out '*ready*'
             zpty -w -n inner $'{line}\\t'
             zpty -r inner out '*{until}*'; print -r -- \"$out\"",
            folder.display()
        );
        home.run(home.command("zsh").args(["-fc", &script])).stdout
    };
    // The first time that it is asked it is not known to the shell yet.
    assert!(ask("codex-accounts use ", "personal").contains("work"));
    assert!(ask("codex-account-pick --account p", "personal").contains("personal"));
    let first = fs::read_to_string(folder.join("_codex-accounts")).unwrap();
    let names = commands().into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(first.lines().next(), Some(&*format!("#compdef {names}")));
}

#[test]
fn every_command_has_its_completions() {
    let folder = root().join("completions");
    assert_eq!(files(&folder.join("bash")), commands());
    let fish = commands()
        .into_iter()
        .map(|command| format!("{command}.fish"));
    assert_eq!(files(&folder.join("fish")), fish.collect());
}
