//! What is to be connected to, and how: from the URL, a service file, the environment and a password
//! file, as PostgreSQL's own programs read them. Pure: what is read comes in by [`World`]. A message
//! names the setting that is wrong and never the URL, which may hold a password.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

mod passfile;
mod service;
mod url;

/// Where settings come from, besides the URL.
pub(crate) trait World {
    /// A variable of the environment; an empty one is none.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file; `None` if there is none, or it can't be used.
    fn file(&self, path: &Path) -> Option<String>;

    /// The same of a file that nobody else may read or write; `None` if somebody could.
    fn secret_file(&self, path: &Path) -> Option<String>;
}

/// Why the settings are no good.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// The URL can't be read.
    #[error("the URL of the store {0}")]
    Url(&'static str),
    /// There is no such setting.
    #[error("'{0}' is no setting of a connection")]
    Unknown(String),
    /// A setting has a value that it can't have.
    #[error("{name} can't be '{value}': {allowed}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it was to be.
        value: String,
        /// What it can be.
        allowed: &'static str,
    },
    /// The service is in no file.
    #[error("there is no service '{0}' in the connection service file")]
    NoService(String),
    /// It is not known as whom to connect.
    #[error("no user is named: say it in the URL or by PGUSER")]
    NoUser,
    /// A port is none. It is not shown: in a URL that lacks its `@` it is the password.
    #[error("a port is no number below 65536")]
    Port,
    /// As many ports as hosts, or one for all.
    #[error("there are {ports} ports for {hosts} hosts")]
    Ports {
        /// How many ports are named.
        ports: usize,
        /// How many hosts are named.
        hosts: usize,
    },
}

/// What is to be connected to, and how.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The servers, in the order in which they are tried.
    pub(crate) servers: Vec<Server>,
    /// The database.
    pub(crate) database: String,
    /// As whom.
    pub(crate) user: String,
    /// Which of the stores in the database.
    pub(crate) store: String,
    /// What is asked of TLS.
    pub(crate) tls: Tls,
    /// How long a connection may take to come up.
    pub(crate) connect_timeout: Duration,
    /// Whether only a server that can be written to will do.
    pub(crate) attributes: Attributes,
    /// As what it shows in the server's list of sessions.
    pub(crate) application: String,
    /// Options for the session, as `-c name=value`.
    pub(crate) options: Option<String>,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) place: Place,
    /// Its port; a part of the socket's name, for a socket.
    pub(crate) port: u16,
    /// The password, if one is known for it.
    pub(crate) password: Option<Password>,
}

/// A password, which `Debug` does not show.
pub(crate) struct Password(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A name or an address, by TCP.
    Host(String),
    /// The folder of its socket.
    Socket(PathBuf),
}

/// What is asked of TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Whether there must be any, and what the server's certificate has to prove.
    pub(crate) mode: TlsMode,
    /// The authorities that are trusted; `None`: those of the system.
    pub(crate) authorities: Option<PathBuf>,
    /// A certificate of one's own and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it, from whomever.
    Prefer,
    /// TLS, from whomever.
    Require,
    /// TLS, with a certificate of an authority that is trusted.
    VerifyAuthority,
    /// The same, and it is for this host.
    VerifyFull,
}

/// `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// The first server that answers.
    Any,
    /// The first that can be written to; if there is none, one that can be read.
    PreferWritable,
    /// The first that can be written to, or none.
    Writable,
}

/// Each setting by PostgreSQL's name, with its variable.
const KNOWN: &[(&str, Option<&str>)] = &[
    ("application_name", Some("PGAPPNAME")),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("options", Some("PGOPTIONS")),
    ("passfile", Some("PGPASSFILE")),
    ("password", Some("PGPASSWORD")),
    ("port", Some("PGPORT")),
    ("service", Some("PGSERVICE")),
    ("servicefile", Some("PGSERVICEFILE")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("user", Some("PGUSER")),
    // Ours: which of the stores in a database.
    ("store", None),
];

/// What PostgreSQL knows too and what nothing is lost by here, where it is left out: what is to be
/// had of it is done anyway, or there is no choice.
const PASSED_OVER: &[&str] = &[
    "channel_binding",
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    // Ours, and a matter of the commands: they encrypt before it comes here.
    "key-file",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslcompression",
    "sslnegotiation",
    "sslsni",
    "tcp_user_timeout",
];

/// Settings by name. What was said first counts.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<&'static str, Zeroizing<String>>);

impl Said {
    /// Notes a setting, unless it was said before.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn say(&mut self, name: &str, value: impl Into<String>) -> Result<(), Error> {
        match KNOWN.iter().find(|(known, _)| *known == name) {
            Some((known, _)) => {
                let value = Zeroizing::new(value.into());
                self.0.entry(known).or_insert(value);
            }
            None if PASSED_OVER.contains(&name) => {}
            None => return Err(Error::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// What was said; nothing, where that was empty.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|value| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    fn list(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .map(|it| it.split(',').collect())
            .unwrap_or_default()
    }
}

impl Settings {
    /// The settings of a URL: what that leaves open is taken from the service it names, then from
    /// the environment, and a password from the password file.
    ///
    /// # Errors
    /// When they are no good.
    pub(crate) fn new(url: &str, world: &dyn World) -> Result<Self, Error> {
        let mut said = Said::default();
        url::read(url, &mut said)?;
        let variables = || KNOWN.iter().filter_map(|(name, it)| Some((*name, (*it)?)));
        // These two say where the next settings are.
        for (name, variable) in variables().filter(|(name, _)| name.starts_with("service")) {
            if let Some(value) = world.variable(variable) {
                said.say(name, value)?;
            }
        }
        if let Some(name) = said.get("service").map(ToOwned::to_owned) {
            let file = said.path("servicefile");
            service::read(&name, file.as_deref(), world, &mut said)?;
        }
        for (name, variable) in variables() {
            if let Some(value) = world.variable(variable) {
                said.say(name, value)?;
            }
        }
        Self::of(&said, world)
    }

    fn of(said: &Said, world: &dyn World) -> Result<Self, Error> {
        let user = said.get("user").map(ToOwned::to_owned);
        let whoami = || {
            ["USER", "LOGNAME", "USERNAME"]
                .into_iter()
                .find_map(|it| world.variable(it))
        };
        let user = user.or_else(whoami).ok_or(Error::NoUser)?;
        let database = said.get("dbname").unwrap_or(&user).to_owned();
        let entries = password_file(said, world).unwrap_or_default();
        let password = |place: &Place, port: u16| {
            let given = said.get("password").map(ToOwned::to_owned);
            given
                .or_else(|| passfile::find(&entries, place, port, &database, &user))
                .map(|it| Password(it.into()))
        };
        let servers = servers(said, world)?.into_iter();
        let servers = servers.map(|(place, port)| Server {
            password: password(&place, port),
            place,
            port,
        });
        Ok(Self {
            servers: servers.collect(),
            store: said.get("store").unwrap_or("default").to_owned(),
            tls: tls(said, world)?,
            connect_timeout: connect_timeout(said)?,
            attributes: attributes(said)?,
            application: said
                .get("application_name")
                .unwrap_or("codex-store-postgres")
                .to_owned(),
            options: said.get("options").map(ToOwned::to_owned),
            database,
            user,
        })
    }
}

/// Whether there is a password in a URL.
///
/// # Errors
/// When it can't be read.
pub(crate) fn has_password(url: &str) -> Result<bool, Error> {
    let mut said = Said::default();
    url::read(url, &mut said)?;
    Ok(said.get("password").is_some())
}

fn servers(said: &Said, world: &dyn World) -> Result<Vec<(Place, u16)>, Error> {
    let (names, addresses) = (said.list("host"), said.list("hostaddr"));
    let mut hosts: Vec<&str> = if addresses.len() > names.len() {
        addresses
    } else {
        names
    };
    if hosts.is_empty() {
        hosts.push("");
    }
    let ports = said.list("port");
    if ports.len() > 1 && ports.len() != hosts.len() {
        let (ports, hosts) = (ports.len(), hosts.len());
        return Err(Error::Ports { ports, hosts });
    }
    let port = |text: &str| match text {
        "" => Ok(5432),
        text => text.parse().map_err(|_| Error::Port),
    };
    let place = |host: &str| match host {
        "" => usual_place(world),
        host if host.starts_with('/') => Place::Socket(host.into()),
        host => Place::Host(host.to_owned()),
    };
    let each = hosts.iter().enumerate();
    each.map(|(index, host)| {
        let text = ports.get(index).or_else(|| ports.first());
        Ok((place(host), port(text.unwrap_or(&""))?))
    })
    .collect()
}

/// The server of this machine: Debian and most others have its socket there.
fn usual_place(world: &dyn World) -> Place {
    match world.variable("OS").as_deref() {
        Some("Windows_NT") => Place::Host("localhost".into()),
        _ => Place::Socket(passfile::USUAL_SOCKET.into()),
    }
}

fn tls(said: &Said, world: &dyn World) -> Result<Tls, Error> {
    let mode = match said.get("sslmode") {
        None | Some("prefer") => TlsMode::Prefer,
        Some("disable") => TlsMode::Disable,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyAuthority,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(other) => {
            return Err(Error::Value {
                name: "sslmode",
                value: other.to_owned(),
                allowed: "disable, prefer, require, verify-ca or verify-full",
            });
        }
    };
    let usual = |name: &str| {
        let path = home(world)?.join(".postgresql").join(name);
        world.file(&path).is_some().then_some(path)
    };
    let system = said.get("sslrootcert") == Some("system");
    let authorities = match system {
        true => None,
        false => said.path("sslrootcert").or_else(|| usual("root.crt")),
    };
    let certificate = said.path("sslcert").or_else(|| usual("postgresql.crt"));
    let key = said.path("sslkey").or_else(|| usual("postgresql.key"));
    // As with PostgreSQL's own: who names authorities wants them asked.
    let mode = match mode {
        TlsMode::Require if system => TlsMode::VerifyFull,
        TlsMode::Require if authorities.is_some() => TlsMode::VerifyAuthority,
        mode => mode,
    };
    Ok(Tls {
        mode,
        authorities,
        identity: certificate.zip(key),
    })
}

/// No more than a command waits for its helper.
const MOST_FOR_CONNECTING: u64 = 10;

fn connect_timeout(said: &Said) -> Result<Duration, Error> {
    let Some(text) = said.get("connect_timeout") else {
        return Ok(Duration::from_secs(5));
    };
    let seconds: u64 = text.parse().map_err(|_| Error::Value {
        name: "connect_timeout",
        value: text.to_owned(),
        allowed: "a number of seconds",
    })?;
    Ok(Duration::from_secs(match seconds {
        0 => MOST_FOR_CONNECTING, // "without end", elsewhere
        some => some.min(MOST_FOR_CONNECTING),
    }))
}

fn attributes(said: &Said) -> Result<Attributes, Error> {
    match said.get("target_session_attrs") {
        None => Ok(Attributes::PreferWritable),
        Some("any") => Ok(Attributes::Any),
        Some("read-write" | "primary") => Ok(Attributes::Writable),
        Some(other) => Err(Error::Value {
            name: "target_session_attrs",
            value: other.to_owned(),
            allowed: "any, read-write or primary",
        }),
    }
}

fn home(world: &dyn World) -> Option<PathBuf> {
    world.variable("HOME").map(PathBuf::from)
}

fn password_file(said: &Said, world: &dyn World) -> Option<String> {
    let of_windows =
        || Some(PathBuf::from(world.variable("APPDATA")?).join("postgresql/pgpass.conf"));
    let usual = || {
        home(world)
            .map(|home| home.join(".pgpass"))
            .or_else(of_windows)
    };
    world.secret_file(&said.path("passfile").or_else(usual)?)
}

#[cfg(test)]
mod tests;
