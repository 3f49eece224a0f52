//! The document, locks and scratches of one store, over a session that comes up when it is needed
//! and again when it was lost.
//!
//! Rows are written by COPY alone: a server that logs its statements, or the values in them, has
//! nothing to log then. Locks are the server's advisory ones, for which it keeps a queue: the
//! document's is of the transaction, the others are of the session, and both go with it.

use std::collections::BTreeSet;
use std::pin::pin;

use tokio::time::{Duration, Instant, sleep_until, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, binary_copy::BinaryCopyInWriter};

use crate::failure::{Failure, Kind, is_refusal};
use crate::schema;
use crate::session::{self, Session};
use crate::settings::Settings;
use crate::wire::{Answer, Asked, not_understood};

/// How long the server may take for one request, besides what that waits for.
const PATIENCE: Duration = Duration::from_secs(8);

const READ: &str = "\
    SELECT s.version, current_setting('transaction_read_only') = 'on', d.version, \
    CASE WHEN d.version = $2 THEN NULL ELSE d.document END \
    FROM codex_accounts.schema s LEFT JOIN codex_accounts.document d ON d.store = $1";

const LOOK: &str = "\
    SELECT s.version, d.version \
    FROM codex_accounts.schema s LEFT JOIN codex_accounts.document d ON d.store = $1";

/// A lock on a replica would be no lock for anybody elsewhere.
const HOLD: &str = "\
    SELECT pg_is_in_recovery(), pg_advisory_lock(hashtextextended($1, 0))";

const COPY_DOCUMENT: &str = "\
    COPY codex_accounts.document (store, version, document) FROM STDIN (FORMAT binary)";

const COPY_SCRATCH: &str = "\
    COPY codex_accounts.scratch (store, name, text) FROM STDIN (FORMAT binary)";

/// See the module.
pub(crate) struct Store {
    settings: Settings,
    session: Option<Session>,
    /// Names of locks that the session has.
    held: BTreeSet<String>,
    /// A transaction was begun, and not ended.
    begun: bool,
}

impl Store {
    /// The store that the settings name. Nothing is asked yet.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            session: None,
            held: BTreeSet::new(),
            begun: false,
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// By the kinds of the protocol.
    pub(crate) async fn answer(&mut self, asked: Asked) -> Result<Answer, Failure> {
        let is_commit = matches!(asked, Asked::Commit { .. });
        let deadline = Instant::now() + Duration::from_millis(asked.wait()) + PATIENCE;
        match timeout_at(deadline, self.act(asked)).await {
            Ok(result) => result,
            Err(_) => {
                // Nobody knows what the session is in the middle of.
                self.drop_session();
                let failure = Failure::too_slow();
                Err(match is_commit {
                    true => Failure {
                        kind: Kind::Unclear,
                        ..failure
                    },
                    false => failure,
                })
            }
        }
    }

    async fn act(&mut self, asked: Asked) -> Result<Answer, Failure> {
        let was_up = self.session.is_some();
        if self.is_lost() {
            let (begun, held) = (self.begun, !self.held.is_empty());
            self.drop_session();
            match begun {
                true => return Err(Failure::lost("what was begun")),
                false if held => return Err(Failure::lost("what was held")),
                false => {}
            }
        }
        let again = (was_up && self.held.is_empty())
            .then(|| asked.repeated())
            .flatten();
        let result = self.act_once(asked).await;
        match (&result, again) {
            // The server was started again since the request before, or another took its place.
            (Err(failure), Some(asked)) if failure.kind == Kind::Unavailable => {
                self.drop_session();
                self.act_once(asked).await
            }
            _ => result,
        }
    }

    async fn act_once(&mut self, asked: Asked) -> Result<Answer, Failure> {
        let ends = matches!(asked, Asked::Commit { .. } | Asked::Abort);
        match (self.begun, ends) {
            (false, true) => return Err(Failure::lost("what was begun")),
            (true, false) => return Err(not_understood("what was begun is not ended")),
            _ => self.begun = false,
        }
        match asked {
            Asked::Read { unless } => self.read(&unless).await,
            Asked::Begin { wait, unless } => self.begin(wait, &unless).await,
            Asked::Commit { document } => self.commit(&document).await,
            Asked::Abort => self.abort().await,
            Asked::Hold { name, wait } => self.hold(name, wait).await,
            Asked::Release { name } => self.release(&name).await,
            Asked::ScratchRead { name } => self.scratch_read(&name).await,
            Asked::ScratchWrite { name, text } => self.scratch_write(&name, &text).await,
            Asked::ScratchClear { name } => self.scratch_clear(&name).await,
            Asked::Watch { version, wait } => self.watch(&version, wait).await,
        }
    }

    // --- The session

    fn is_lost(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.client.is_closed())
    }

    fn drop_session(&mut self) {
        self.session = None;
        self.held.clear();
        self.begun = false;
    }

    async fn session(&mut self) -> Result<&mut Session, Failure> {
        if self.session.is_none() {
            let deadline = Instant::now() + self.settings.connect_timeout;
            self.session = Some(session::connect(&self.settings, deadline).await?);
        }
        self.session.as_mut().ok_or_else(Failure::too_slow)
    }

    async fn client(&mut self) -> Result<&Client, Failure> {
        Ok(&self.session().await?.client)
    }

    fn key(&self, name: &str) -> String {
        format!("codex_accounts/{}/{name}", self.settings.store)
    }

    // --- The document

    async fn read(&mut self, unless: &Option<String>) -> Result<Answer, Failure> {
        let store = self.settings.store.clone();
        let values = [(&store as Value<'_>, Type::TEXT), (unless, Type::TEXT)];
        let row = self.client().await?.query_typed_opt(READ, &values).await?;
        Ok(document("read", row)?.answer)
    }

    async fn begin(&mut self, wait: u64, unless: &Option<String>) -> Result<Answer, Failure> {
        let (store, key) = (self.settings.store.clone(), self.key("document"));
        let client = self.client().await?;
        let values = [(&store as Value<'_>, Type::TEXT), (unless, Type::TEXT)];
        // In one go; what comes after one that fails, fails.
        let begin = begin_waiting(wait);
        let (begun, locked, row) = tokio::join!(
            client.batch_execute(&begin),
            lock(client, &key),
            client.query_typed_opt(READ, &values),
        );
        let read = begun.and(locked).and(row).map_err(Failure::from);
        let read = read.and_then(|row| document("begin", row));
        match read {
            Ok(read) if read.is_read_only => self.undo(Failure::read_only()).await,
            Ok(read) => {
                self.begun = true;
                Ok(read.answer)
            }
            Err(failure) => self.undo(failure).await,
        }
    }

    /// Ends a transaction that failed.
    async fn undo<T>(&mut self, failure: Failure) -> Result<T, Failure> {
        let undone = self.client().await?.batch_execute("ROLLBACK").await;
        if undone.is_err() {
            self.drop_session();
        }
        Err(failure)
    }

    async fn commit(&mut self, document: &str) -> Result<Answer, Failure> {
        let store = self.settings.store.clone();
        let client = self.client().await?;
        let written = async {
            let delete = "DELETE FROM codex_accounts.document WHERE store = $1";
            let asked = "SELECT pg_notify('codex_accounts', $1), gen_random_uuid()::text";
            let named = [(&store as Value<'_>, Type::TEXT)];
            let (deleted, notified) = tokio::join!(
                client.query_typed(delete, &named),
                client.query_typed_one(asked, &named),
            );
            deleted?;
            let version: String = notified?.try_get(1)?;
            let row = [&store as Value<'_>, &version, &document.as_bytes()];
            copy(
                client,
                COPY_DOCUMENT,
                &[Type::TEXT, Type::TEXT, Type::BYTEA],
                &row,
            )
            .await?;
            Ok(version)
        };
        let version = match written
            .await
            .map_err(|error: tokio_postgres::Error| error.into())
        {
            Ok(version) => version,
            Err(failure) => return self.undo(failure).await,
        };
        self.end().await?;
        Ok(Answer {
            ok: "commit".into(),
            version: Some(version),
            ..Answer::default()
        })
    }

    /// Commits what was written.
    async fn end(&mut self) -> Result<(), Failure> {
        match self.client().await?.batch_execute("COMMIT").await {
            Ok(()) => Ok(()),
            Err(error) if is_refusal(&error) => Err(error.into()),
            Err(error) => {
                self.drop_session();
                Err(Failure {
                    kind: Kind::Unclear,
                    ..error.into()
                })
            }
        }
    }

    async fn abort(&mut self) -> Result<Answer, Failure> {
        self.client().await?.batch_execute("ROLLBACK").await?;
        Ok(done("abort"))
    }

    async fn watch(&mut self, version: &Option<String>, wait: u64) -> Result<Answer, Failure> {
        let deadline = Instant::now() + Duration::from_millis(wait);
        let store = self.settings.store.clone();
        let session = self.session().await?;
        if wait > 0 && !session.listens {
            session
                .client
                .batch_execute("LISTEN codex_accounts")
                .await?;
            session.listens = true;
        }
        loop {
            session.notified.borrow_and_update();
            let named = [(&store as Value<'_>, Type::TEXT)];
            let row = session.client.query_typed_opt(LOOK, &named).await?;
            let row = row.ok_or_else(Failure::no_tables)?;
            schema::check(row.try_get(0)?)?;
            let found: Option<String> = row.try_get(1)?;
            if found != *version || Instant::now() >= deadline {
                return Ok(Answer {
                    ok: "watch".into(),
                    version: found,
                    ..Answer::default()
                });
            }
            tokio::select! {
                changed = session.notified.changed() => {
                    changed.map_err(|_| Failure::lost("what was watched"))?;
                }
                () = sleep_until(deadline) => {}
            }
        }
    }

    // --- Locks

    async fn hold(&mut self, name: String, wait: u64) -> Result<Answer, Failure> {
        if self.held.contains(&name) {
            return Err(not_understood("that lock is held already"));
        }
        let key = self.key(&name);
        let client = self.client().await?;
        let begin = begin_waiting(wait);
        let values = [(&key as Value<'_>, Type::TEXT)];
        // The lock is the session's, and outlasts the transaction that limits the waiting.
        let (begun, row, ended) = tokio::join!(
            client.batch_execute(&begin),
            client.query_typed_one(HOLD, &values),
            client.batch_execute("COMMIT"),
        );
        let row = begun.and(row)?;
        ended?;
        if row.try_get(0)? {
            unlock(client, &key).await?;
            return Err(Failure::read_only());
        }
        self.held.insert(name);
        Ok(done("hold"))
    }

    async fn release(&mut self, name: &str) -> Result<Answer, Failure> {
        if !self.held.remove(name) {
            return Err(Failure::lost("what was held"));
        }
        let key = self.key(name);
        match unlock(self.client().await?, &key).await? {
            true => Ok(done("release")),
            false => Err(Failure::lost("what was held")),
        }
    }

    // --- Scratches

    async fn scratch_read(&mut self, name: &str) -> Result<Answer, Failure> {
        const TEXT: &str = "SELECT text FROM codex_accounts.scratch WHERE store = $1 AND name = $2";
        let store = self.settings.store.clone();
        let values = [(&store as Value<'_>, Type::TEXT), (&name, Type::TEXT)];
        let row = self.client().await?.query_typed_opt(TEXT, &values).await?;
        let text = match &row {
            Some(row) => Some(as_text(row.try_get(0)?)?),
            None => None,
        };
        Ok(Answer {
            text,
            ..done("scratch-read")
        })
    }

    async fn scratch_write(&mut self, name: &str, text: &str) -> Result<Answer, Failure> {
        let (store, key) = (
            self.settings.store.clone(),
            self.key(&format!("scratch/{name}")),
        );
        let client = self.client().await?;
        let written = async {
            let begin = begin_waiting(PATIENCE.as_millis() as u64);
            // Two who write at once do it one after the other.
            let values = [(&store as Value<'_>, Type::TEXT), (&name, Type::TEXT)];
            let (begun, locked, deleted) = tokio::join!(
                client.batch_execute(&begin),
                lock(client, &key),
                client.query_typed(CLEAR, &values),
            );
            begun.and(locked).and(deleted)?;
            let row = [&store as Value<'_>, &name, &text.as_bytes()];
            copy(
                client,
                COPY_SCRATCH,
                &[Type::TEXT, Type::TEXT, Type::BYTEA],
                &row,
            )
            .await
        };
        if let Err(error) = written.await {
            return self.undo(error.into()).await;
        }
        self.end().await?;
        Ok(done("scratch-write"))
    }

    async fn scratch_clear(&mut self, name: &str) -> Result<Answer, Failure> {
        let store = self.settings.store.clone();
        let values = [(&store as Value<'_>, Type::TEXT), (&name, Type::TEXT)];
        self.client().await?.query_typed(CLEAR, &values).await?;
        Ok(done("scratch-clear"))
    }
}

/// A value for the server.
type Value<'a> = &'a (dyn ToSql + Sync);

const CLEAR: &str = "DELETE FROM codex_accounts.scratch WHERE store = $1 AND name = $2";

fn done(word: &str) -> Answer {
    Answer {
        ok: word.to_owned(),
        ..Answer::default()
    }
}

/// A transaction that sees what was committed before each statement, whatever is the rule there, and
/// waits so many milliseconds for a lock.
fn begin_waiting(wait: u64) -> String {
    // 0 is without end, there.
    let wait = wait.clamp(1, 1 << 30);
    format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {wait}")
}

/// Takes a lock that goes with the transaction.
async fn lock(client: &Client, key: &String) -> Result<(), tokio_postgres::Error> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    client
        .query_typed(LOCK, &[(key, Type::TEXT)])
        .await
        .map(drop)
}

/// Gives a lock of the session back. `false`: it did not have it.
async fn unlock(client: &Client, key: &String) -> Result<bool, tokio_postgres::Error> {
    const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended($1, 0))";
    client
        .query_typed_one(UNLOCK, &[(key, Type::TEXT)])
        .await?
        .try_get(0)
}

/// Writes one row.
async fn copy(
    client: &Client,
    statement: &str,
    types: &[Type],
    row: &[Value<'_>],
) -> Result<(), tokio_postgres::Error> {
    let sink = client.copy_in(statement).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, types));
    writer.as_mut().write(row).await?;
    writer.finish().await.map(drop)
}

struct Read {
    answer: Answer,
    is_read_only: bool,
}

/// What a row of [`READ`] says.
fn document(word: &str, row: Option<Row>) -> Result<Read, Failure> {
    let row = row.ok_or_else(Failure::no_tables)?;
    schema::check(row.try_get(0)?)?;
    let version: Option<String> = row.try_get(2)?;
    let document: Option<&[u8]> = row.try_get(3)?;
    let document = document.map(as_text).transpose()?;
    Ok(Read {
        is_read_only: row.try_get(1)?,
        answer: Answer {
            unchanged: version.is_some() && document.is_none(),
            version,
            document,
            ..done(word)
        },
    })
}

fn as_text(bytes: &[u8]) -> Result<String, Failure> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| Failure::new(Kind::Failed, "what is in the database is no text"))
}
