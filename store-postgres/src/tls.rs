//! TLS as `sslmode` asks for it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::failure::{Failure, Kind};
use crate::settings::{Tls, TlsMode};

/// What a connection's TLS goes by.
///
/// # Errors
/// When a file of certificates can't be used.
pub(crate) fn config(tls: &Tls) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| Failure::new(Kind::Failed, "there is no TLS here"))?;
    let verifier = verifier(tls, provider)?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|_| unusable("sslkey", key))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|_| unusable("sslkey", key))
}

fn verifier(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let proof = match tls.mode {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Proof::None,
        TlsMode::VerifyAuthority => Proof::Authority(roots(tls)?),
        TlsMode::VerifyFull => {
            let roots = Arc::new(roots(tls)?);
            let full = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            return full.map(|it| it as _).map_err(|_| no_authorities());
        }
    };
    Ok(Arc::new(Lenient { proof, provider }))
}

fn roots(tls: &Tls) -> Result<RootCertStore, Failure> {
    let certificates = match &tls.authorities {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(no_authorities());
    }
    Ok(roots)
}

fn no_authorities() -> Failure {
    Failure::new(
        Kind::Config,
        "no authority is known that could vouch for the server",
    )
    .hinted("sslrootcert=FILE names some")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    all.map_err(|_| unusable("the certificates", path))
}

fn unusable(what: &str, path: &Path) -> Failure {
    let message = format!("{what} in '{}' can't be used", path.display());
    Failure::new(Kind::Config, message)
}

/// What a certificate has to prove, where that is less than everything.
#[derive(Debug)]
enum Proof {
    /// Nothing: it is for who listens on the way, and not for who stands there.
    None,
    /// That one of these made it, for whichever host.
    Authority(RootCertStore),
}

/// Takes a server for less than the proof of its name. That its key is its own is looked at
/// nevertheless.
#[derive(Debug)]
struct Lenient {
    proof: Proof,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Proof::Authority(roots) = &self.proof {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
