//! A network of a test's own, where nobody is but this machine; and on it the pretend servers under
//! the names of the real ones, with a certificate of an authority made for the test.
//!
//! It takes root, and there is no way round that: a test that needs it fails without.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use codex_accounts::rehearse::Pretend;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::Home;

/// The servers of PROTOCOL §1 and §3.
const REAL_NAMES: [&str; 2] = ["auth.openai.com", "chatgpt.com"];

/// Runs a test where there is no network but loopback, all of whose ports are free. The threads and
/// processes that it starts are there too.
pub(crate) fn alone<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    // A network is a thread's, for good; the harness may want its own thread back.
    let end = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            leave();
            test()
        });
        thread.join()
    });
    end.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

fn leave() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .unwrap_or_else(|error| panic!("no network of its own for this test ({error}): be root"));
    // Else what is mounted here would be mounted everywhere.
    let flags = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("mounts of its own");
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(
        up.is_ok_and(|status| status.success()),
        "no loopback without ip: run tests/run"
    );
}

/// Pretend servers that are reached under the real names, until it is dropped.
pub(crate) struct Front {
    _runtime: Runtime,
}

impl Home {
    /// Lets the real names lead to these servers, whose time is the real one, and lets all programs
    /// trust their certificate. To be called in a network of its own.
    pub(crate) fn use_real_names(&mut self, pretend: &Pretend) -> Front {
        self.unset("CODEX_ACCOUNTS_CLOCK");
        let names = REAL_NAMES.join(" ");
        let hosts = self.write("hosts", format!("127.0.0.1 localhost {names}\n"));
        let bind = MsFlags::MS_BIND;
        mount(Some(&hosts), "/etc/hosts", None::<&str>, bind, None::<&str>).expect("a hosts file");

        let (authority, config) = certified();
        let authority = self.write("authority.pem", authority);
        // The first is for everybody but node and bun, which have the second.
        for variable in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
            self.set(variable, &authority);
        }
        Front::new(pretend, config).expect("a server for the real names")
    }
}

/// An authority's certificate in PEM, and the other end for the real names with a certificate of
/// that authority.
fn certified() -> (String, ServerConfig) {
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    // Of one name with what it signs, that would be taken for signed by itself.
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "An authority for a test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&key).expect("a certificate").pem();
    let authority = Issuer::new(authority, key);

    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(REAL_NAMES.map(String::from)).expect("names");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .expect("a certificate and its key");
    (pem, config)
}

impl Front {
    fn new(pretend: &Pretend, config: ServerConfig) -> io::Result<Front> {
        let address = pretend.issuer();
        let address = address.trim_start_matches("http://").parse();
        let pretend: SocketAddr = address.expect("an address of loopback");
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 443)))?;
        let tls = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(stream, tls.clone(), pretend));
            }
        });
        Ok(Front { _runtime: runtime })
    }
}

/// What goes wrong here, the client sees.
async fn forward(stream: TcpStream, tls: TlsAcceptor, to: SocketAddr) -> io::Result<()> {
    let mut client = tls.accept(stream).await?;
    let mut server = TcpStream::connect(to).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
