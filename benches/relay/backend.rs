//! A backend that is not the limit: this program once more, which answers what a path's query asks
//! for from bytes that lie ready, by one thread, with TLS or without.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use memchr::memmem;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Result;

/// What a bench is told to do, to be [`serve`] alone: before the files of its certificate and key,
/// if it is to have any.
pub(super) const SERVE: &str = "serve";

/// Of the long answer.
pub(super) const EVENTS: usize = 32 << 10;
pub(super) const EVENT: usize = 1 << 10;

/// How many of its events the backend has ready at once.
const BLOCK: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Four events, in one piece.
    Short,
    /// The same, and the connection ends.
    Closing,
    /// [`EVENTS`] of [`EVENT`] bytes, each a chunk.
    Long,
    /// An event of output, and then nothing.
    Stalled,
}

impl Kind {
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Closing => "closing",
            Self::Long => "long",
            Self::Stalled => "stalled",
        }
    }

    fn of(head: &[u8]) -> Self {
        let all = [Self::Closing, Self::Long, Self::Stalled];
        let asked =
            |kind: &Self| memmem::find(head, format!("?{} ", kind.query()).as_bytes()).is_some();
        all.into_iter().find(asked).unwrap_or(Self::Short)
    }
}

/// Where it runs.
pub(super) struct Backend {
    pub(super) address: String,
    /// The certificate that its own is signed by: itself.
    pub(super) certificate: Option<PathBuf>,
    process: Child,
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Backend {
    /// One without TLS.
    pub(super) fn plain() -> Result<Self> {
        Self::start(&[], None)
    }

    /// One with TLS, for `localhost`; its certificate is put into the folder.
    pub(super) fn with_tls(folder: &Path) -> Result<Self> {
        let made =
            rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        Self::start(&[&certificate, &key], Some(certificate.clone()))
    }

    fn start(files: &[&Path], certificate: Option<PathBuf>) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .args(files)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let stdout = process.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            address: address.trim().to_owned(),
            certificate,
            process,
        })
    }
}

/// Prints where it listens, and answers.
pub(super) async fn serve(files: &[String]) -> Result<()> {
    let tls = match files {
        [certificate, key] => Some(acceptor(Path::new(certificate), Path::new(key))?),
        _ => None,
    };
    let answers = Arc::new(Answers::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, answers) = (tls.clone(), Arc::clone(&answers));
        // Whoever leaves ends it: that is no fault.
        tokio::spawn(async move {
            match tls {
                Some(tls) => answer(tls.accept(stream).await?, &answers).await,
                None => answer(stream, &answers).await,
            }
        });
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The bytes of the answers.
struct Answers {
    short: Vec<u8>,
    closing: Vec<u8>,
    begin: Vec<u8>,
    stalled: Vec<u8>,
    block: Vec<u8>,
    end: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let event = |kind: &str, size: usize| {
            let pad = "x".repeat(size.saturating_sub(50 + kind.len()));
            let event = format!("data: {{\"type\":\"response.{kind}\",\"delta\":\"{pad}\"}}\n\n");
            format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
        };
        let text = |size| event("output_text.delta", size);
        let (created, completed) = (event("created", 200), event("completed", 200));
        let last = b"0\r\n\r\n".to_vec();
        let begin = [&head(""), created.as_slice()].concat();
        let rest = [text(150), text(150), completed.clone(), last.clone()].concat();
        Self {
            short: [begin.as_slice(), &rest].concat(),
            closing: [&head("connection: close\r\n"), created.as_slice(), &rest].concat(),
            stalled: [begin.clone(), text(150)].concat(),
            begin,
            block: text(EVENT).repeat(BLOCK),
            end: [completed, last].concat(),
        }
    }
}

fn head(more: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
         x-codex-primary-used-percent: 12\r\nx-codex-primary-window-minutes: 300\r\n{more}\r\n"
    )
    .into_bytes()
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answers: &Answers,
) -> std::io::Result<()> {
    let mut read = Vec::with_capacity(4 << 10);
    loop {
        let length = loop {
            match request(&read) {
                Some(length) if length <= read.len() => break length,
                _ => {}
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let kind = Kind::of(&read[..length]);
        read.drain(..length);
        match kind {
            Kind::Short => stream.write_all(&answers.short).await?,
            Kind::Closing => {
                stream.write_all(&answers.closing).await?;
                return stream.shutdown().await;
            }
            Kind::Long => {
                stream.write_all(&answers.begin).await?;
                for _ in 0..EVENTS / BLOCK {
                    stream.write_all(&answers.block).await?;
                }
                stream.write_all(&answers.end).await?;
            }
            Kind::Stalled => stream.write_all(&answers.stalled).await?,
        }
        stream.flush().await?;
    }
}

/// How long the request is that begins these bytes, once its head is there.
fn request(read: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = memmem::find(read, b"\r\n\r\n")? + 4;
    let text = read[..head].to_ascii_lowercase();
    let length = memmem::find(&text, LENGTH).map_or(0, |at| {
        let digits = text[at + LENGTH.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
    });
    Some(head + length)
}
