//! TLS towards servers: the system's roots, and a CA file of the server's own beside them.

use super::Error;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The client side's settings for one server; `http2`: whether it is offered.
///
/// # Errors
/// Where the CA file cannot be read or holds no certificate.
pub fn client(ca_file: Option<&Path>, http2: bool) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = system_roots().clone();
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unreachable(format!("TLS versions: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols =
        if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Arc::new(config))
}

/// Read once, and only where a provider speaks TLS: a start without one does not wait for it.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a system certificate could not be read");
        }
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "system certificates");
        roots
    })
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let fault = |what: String| Error::Unreachable(format!("CA file {}: {what}", path.display()));
    let mut added = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))? {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        added += 1;
    }
    if added == 0 {
        return Err(fault("no certificate in it".into()));
    }
    Ok(())
}
