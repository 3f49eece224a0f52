//! `postgres://user:password@host:port,host:port/database?name=value`

use super::{Error, Said};

/// Reads a URL. Whatever it leaves out is not said.
pub(super) fn read(url: &str, said: &mut Said) -> Result<(), Error> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or(Error::Url("does not begin with 'postgres://'"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // What follows would be taken for a setting's name and the like, and named by a message.
    if query.contains('@') || database.contains('@') {
        return Err(Error::Url(
            "has a '/' or '?' before its '@': in a password they are %2F and %3F",
        ));
    }
    // Before the others: `?host=` has to win over an empty host, and nothing else is said twice.
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or(Error::Url("has a setting without '='"))?;
        said.say(&decoded(name)?, decoded(value)?)?;
    }
    let (person, hosts) = match authority.rsplit_once('@') {
        Some((person, hosts)) => (person, hosts),
        None => ("", authority),
    };
    let (user, password) = person.split_once(':').unwrap_or((person, ""));
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        names.push(decoded(name)?);
        ports.push(port);
    }
    let ports = match ports.iter().all(|port| port.is_empty()) {
        true => String::new(),
        false => ports.join(","),
    };
    let parts = [
        ("user", decoded(user)?),
        ("password", decoded(password)?),
        ("host", names.join(",")),
        ("port", ports),
        ("dbname", decoded(database)?),
    ];
    for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
        said.say(name, value)?;
    }
    Ok(())
}

/// An address of IPv6 stands in brackets.
fn host_and_port(text: &str) -> Result<(&str, &str), Error> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest
            .split_once(']')
            .ok_or(Error::Url("has a '[' without a ']'"))?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if rest.is_empty() => Ok((address, "")),
            None => Err(Error::Url("has something behind a ']'")),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

fn decoded(text: &str) -> Result<String, Error> {
    const WRONG: Error = Error::Url("has a '%' that no two hexadecimal digits follow");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
        let (high, low) = (digit().ok_or(WRONG)?, digit().ok_or(WRONG)?);
        bytes.push((high * 16 + low) as u8);
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Error::Url("is no text")),
    }
}
