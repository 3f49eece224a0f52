//! The password file: lines of `host:port:database:user:password`, of which the first that fits
//! counts. `*` fits everything; `\:` and `\\` are the characters themselves.

use super::Place;

/// Where the socket of a server is that nobody says a host of.
pub(super) const USUAL_SOCKET: &str = "/var/run/postgresql";

/// The password for a connection.
pub(super) fn find(
    text: &str,
    place: &Place,
    port: u16,
    database: &str,
    user: &str,
) -> Option<String> {
    let host = match place {
        Place::Host(name) => name.clone(),
        // PostgreSQL's own rule for the usual socket.
        Place::Socket(folder) if folder.as_os_str() == USUAL_SOCKET => "localhost".to_owned(),
        Place::Socket(folder) => folder.display().to_string(),
    };
    let sought = [&host, &port.to_string(), database, user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
        let mut pairs = [host, port, database, user].into_iter().zip(sought);
        pairs
            .all(|(field, sought)| field == "*" || field == sought)
            .then_some(password)
    })
}

/// The first four end at a colon; the password is the rest, up to a colon that is not escaped.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let next = match character {
            '\\' => characters.next(),
            ':' => {
                fields.push(String::new());
                continue;
            }
            other => Some(other),
        };
        if let Some(field) = fields.last_mut() {
            field.extend(next);
        }
    }
    fields.truncate(5);
    fields
}
