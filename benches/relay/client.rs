//! Clients that cost as little as they can: they write bytes that lie ready, and read to the end of
//! an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Result;
use super::backend::Kind;
use super::ways::Way;

/// As a client asks: the pretend backend takes nothing less.
pub(super) const QUESTION: &str = r#"{"model":"gpt-5.5","stream":true,"store":false,"instructions":"Be brief.","input":[{"role":"user","content":"hi"}]}"#;

/// What an answer ends with: its last chunk.
const END: &[u8] = b"0\r\n\r\n";

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(way: &Way) -> Result<Self> {
        let (host, _) = place(way);
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: vec![0; 256 << 10],
        })
    }

    /// Asks, and when the first byte of content is there.
    pub(super) async fn begin(&mut self, question: &[u8]) -> Result<Instant> {
        self.stream.write_all(question).await?;
        let mut head = Vec::with_capacity(4 << 10);
        loop {
            let read = self.stream.read_buf(&mut head).await?;
            let end = memchr::memmem::find(&head, b"\r\n\r\n").map(|end| end + 4);
            if read == 0 {
                return Err("closed before it answered".into());
            }
            if end.is_some_and(|end| end < head.len()) {
                let came = Instant::now();
                if !head.starts_with(b"HTTP/1.1 200") {
                    return Err(format!("answered {}", String::from_utf8_lossy(&head)).into());
                }
                if !head.ends_with(END) {
                    self.read_to_end().await?;
                }
                return Ok(came);
            }
        }
    }

    /// Asks, and does not wait for the end of the answer.
    pub(super) async fn open(&mut self, question: &[u8]) -> Result<()> {
        self.stream.write_all(question).await?;
        let read = self.stream.read(&mut self.read).await?;
        self.read = Vec::new();
        (read > 0)
            .then_some(())
            .ok_or("closed before it answered".into())
    }

    /// Asks, and how many bytes came.
    pub(super) async fn ask(&mut self, question: &[u8]) -> Result<usize> {
        self.stream.write_all(question).await?;
        let read = self.stream.read(&mut self.read).await?;
        if !self.read[..read].starts_with(b"HTTP/1.1 200") {
            let said = String::from_utf8_lossy(&self.read[..read]).into_owned();
            return Err(format!("answered {said}").into());
        }
        if self.read[..read].ends_with(END) {
            return Ok(read);
        }
        Ok(read + self.read_to_end().await?)
    }

    async fn read_to_end(&mut self) -> Result<usize> {
        let mut all = 0;
        // The end may come in two pieces.
        let mut tail = [0_u8; 5];
        loop {
            let read = self.stream.read(&mut self.read).await?;
            if read == 0 {
                return Err("an answer broke off".into());
            }
            all += read;
            let new = read.min(tail.len());
            tail.copy_within(new.., 0);
            let from = tail.len() - new;
            tail[from..].copy_from_slice(&self.read[read - new..read]);
            if tail == END {
                return Ok(all);
            }
        }
    }
}

fn place(way: &Way) -> (&str, &str) {
    let rest = way.url.trim_start_matches("http://");
    rest.split_once('/').unwrap_or((rest, ""))
}

/// The bytes of a request.
pub(super) fn question(way: &Way, kind: Kind) -> Arc<[u8]> {
    let (host, path) = place(way);
    let mut head = format!(
        "POST /{path}?{} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         accept: text/event-stream\r\ncontent-type: application/json\r\nsession-id: bench\r\n\
         originator: codex_cli_rs\r\nuser-agent: codex_cli_rs/0.169.0\r\ncontent-length: {}\r\n",
        kind.query(),
        way.bearer,
        QUESTION.len()
    );
    if let Some(account) = &way.account {
        head.push_str(&format!("chatgpt-account-id: {account}\r\n"));
    }
    format!("{head}\r\n{QUESTION}").into_bytes().into()
}

/// What a round came to.
pub(super) struct Round {
    pub(super) times: Vec<Duration>,
    pub(super) took: Duration,
    pub(super) bytes: usize,
}

/// Asks for so long, so many at once.
pub(super) async fn round(way: &Way, kind: Kind, at_once: usize, time: Duration) -> Result<Round> {
    let question = question(way, kind);
    let mut clients = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        let mut client = Client::connect(way).await?;
        if kind != Kind::Long {
            client.ask(&question).await?;
        }
        clients.push(client);
    }
    let started = Instant::now();
    let asking = clients.into_iter().map(|mut client| {
        let question = Arc::clone(&question);
        tokio::spawn(async move {
            let (mut times, mut bytes) = (Vec::new(), 0);
            while started.elapsed() < time {
                let sent = Instant::now();
                bytes += client
                    .ask(&question)
                    .await
                    .map_err(|error| error.to_string())?;
                times.push(sent.elapsed());
            }
            Ok::<_, String>((times, bytes))
        })
    });
    let asking: Vec<_> = asking.collect();
    let (mut times, mut bytes) = (Vec::new(), 0);
    for one in asking {
        let (more, read) = one.await??;
        times.extend(more);
        bytes += read;
    }
    Ok(Round {
        times,
        took: started.elapsed(),
        bytes,
    })
}
