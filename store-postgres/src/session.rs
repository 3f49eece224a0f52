//! A session with the server: comes up, says when it was notified, and when it is over.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::{Failure, Kind, is_passing, of_connecting};
use crate::settings::{Attributes, Place, Server, Settings, TlsMode};
use crate::tls;

/// What every session is set to: what has begun ends when its host is gone, and what is committed
/// lasts. None of it takes rights.
const SET: &str = "\
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
    SET tcp_user_timeout = 10000; SET client_connection_check_interval = 1000; \
    SET idle_in_transaction_session_timeout = 15000; SET statement_timeout = 0; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// See the module.
pub(crate) struct Session {
    /// For whatever is asked.
    pub(crate) client: Client,
    /// How often it was notified of a change of a store; closed when the session is over.
    pub(crate) notified: watch::Receiver<u64>,
    /// It asked to be notified.
    pub(crate) listens: bool,
}

/// Brings a session up, with the first server that will do, until `deadline`.
///
/// # Errors
/// When none will.
pub(crate) async fn connect(settings: &Settings, deadline: Instant) -> Result<Session, Failure> {
    let tls = match settings.tls.mode {
        TlsMode::Disable => None,
        _ => Some(MakeRustlsConnect::new(tls::config(&settings.tls)?)),
    };
    let mut failure = None;
    let mut readable = None;
    for server in &settings.servers {
        let session = match connect_to(settings, server, tls.clone(), deadline).await {
            Ok(session) => session,
            Err(error) => {
                // Of several the first that answers says most.
                failure.get_or_insert(error);
                continue;
            }
        };
        if settings.attributes == Attributes::Any || session.is_writable().await? {
            return Ok(session);
        }
        readable.get_or_insert(session);
    }
    match readable {
        Some(session) if settings.attributes == Attributes::PreferWritable => Ok(session),
        Some(_) => Err(Failure::read_only()),
        None => Err(failure.unwrap_or_else(Failure::too_slow)),
    }
}

async fn connect_to(
    settings: &Settings,
    server: &Server,
    tls: Option<MakeRustlsConnect>,
    deadline: Instant,
) -> Result<Session, Failure> {
    let config = config(settings, server);
    let name = match &server.place {
        Place::Host(name) => name.clone(),
        Place::Socket(folder) => folder.display().to_string(),
    };
    loop {
        let tried = tokio::time::timeout_at(deadline, open(&config, tls.clone())).await;
        let unreached = || {
            let message = format!("the database server at {name} does not answer");
            Failure::new(Kind::Unavailable, message)
        };
        match tried.map_err(|_| unreached())? {
            Ok(session) => return Ok(session),
            // It has too many sessions or is starting: that passes.
            Err(error) if is_passing(&error) && Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(of_connecting(&error, &name)),
        }
    }
}

fn config(settings: &Settings, server: &Server) -> Config {
    let mut config = Config::new();
    match &server.place {
        Place::Host(name) => config.host(name),
        Place::Socket(folder) => config.host(folder.display().to_string()),
    };
    config
        .port(server.port)
        .user(&settings.user)
        .dbname(&settings.database)
        .application_name(&settings.application)
        .connect_timeout(settings.connect_timeout)
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(10))
        .ssl_mode(match settings.tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyAuthority | TlsMode::VerifyFull => SslMode::Require,
        });
    // What passes by a socket passes nobody.
    if matches!(server.place, Place::Socket(_)) {
        config.ssl_mode(SslMode::Disable);
    }
    if let Some(password) = &server.password {
        config.password(password.0.as_bytes());
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}

async fn open(
    config: &Config,
    tls: Option<MakeRustlsConnect>,
) -> Result<Session, tokio_postgres::Error> {
    let session = match tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await?;
            Session::new(client, connection)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            Session::new(client, connection)
        }
    };
    session.client.batch_execute(SET).await?;
    Ok(session)
}

impl Session {
    fn new<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (notify, notified) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => {
                        notify.send_modify(|count| *count += 1)
                    }
                    Some(Ok(_)) => {}
                    // What was asked says so by itself.
                    Some(Err(_)) | None => break,
                }
            }
        });
        Self {
            client,
            notified,
            listens: false,
        }
    }

    async fn is_writable(&self) -> Result<bool, Failure> {
        let asked = "SELECT current_setting('transaction_read_only') = 'off'";
        let row = self.client.query_typed_one(asked, &[]).await?;
        Ok(row.try_get(0)?)
    }
}
