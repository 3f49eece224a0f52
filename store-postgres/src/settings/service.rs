//! The connection service file: settings by the name of a service, as `[name]` and lines of
//! `setting=value`.

use std::path::{Path, PathBuf};

use super::{Error, Said, World, home};

/// Takes the settings of a service from its file, the person's own before the machine's.
pub(super) fn read(
    name: &str,
    file: Option<&Path>,
    world: &dyn World,
    said: &mut Said,
) -> Result<(), Error> {
    let own = home(world).map(|home| home.join(".pg_service.conf"));
    let folder = world.variable("PGSYSCONFDIR");
    let folder = folder.unwrap_or_else(|| "/etc/postgresql-common".to_owned());
    let all = PathBuf::from(folder).join("pg_service.conf");
    let files = file.map(ToOwned::to_owned).or(own).into_iter().chain([all]);
    for text in files.filter_map(|path| world.file(&path)) {
        if let Some(lines) = section(&text, name) {
            for line in lines {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                if name.starts_with("service") {
                    return Err(Error::Unknown(format!("{name}, in a service,")));
                }
                said.say(name.trim(), value.trim())?;
            }
            return Ok(());
        }
    }
    Err(Error::NoService(name.to_owned()))
}

/// The lines below a heading that say something.
fn section<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let heading = format!("[{name}]");
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == heading)?;
    let lines = lines.take_while(|line| !line.starts_with('['));
    Some(
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect(),
    )
}
