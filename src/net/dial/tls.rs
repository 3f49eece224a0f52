//! TLS by rustls, with the system's certificates. One configuration for all connections, so that a
//! later one resumes the session of an earlier one.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;

use super::error::Error;
use super::stream::Stream;

/// See the module. The certificates are read when the first connection needs them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls(Arc<OnceCell<Arc<ClientConfig>>>);

impl Tls {
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let made = self.0.get_or_try_init(|| async {
            let making = spawn_blocking(make).await.map_err(|it| Error::of(&it))?;
            making.map(Arc::new).map_err(|it| Error::of(&it))
        });
        made.await.map(Arc::clone)
    }

    /// Shakes hands over a connection with the server of this name.
    pub(super) async fn over(&self, stream: Stream, name: &str) -> Result<Stream, Error> {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|it| Error::of(&it))?;
        let connector = TlsConnector::from(self.config().await?);
        let stream = connector.connect(name, stream).await;
        Ok(Stream::Tls(Box::new(stream.map_err(|it| Error::of(&it))?)))
    }
}

fn make() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
