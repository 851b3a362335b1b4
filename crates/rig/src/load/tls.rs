//! TLS for `https` URLs: the system's trusted roots, and a CA file beside them. Certificates are
//! always checked; there is no switch to turn that off.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::{Error, Url};

/// What is needed to speak TLS with one host.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(url: &Url, ca_file: Option<&Path>) -> Result<Self, Error> {
        let wrong = |why: String| Error::Tls(why);
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|error| wrong(format!("{}: {error}", url.host())))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots(ca_file)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: Arc::new(config).into(), name })
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let refuse = |why: String| Error::CaFile { path: path.to_owned(), why };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(refuse("it holds no certificate".to_owned()));
        }
    }
    if roots.is_empty() {
        let why = native.errors.first().map(ToString::to_string);
        return Err(Error::Tls(format!(
            "the system has no trusted certificates{}; install ca-certificates or name a CA file",
            why.map(|why| format!(" ({why})")).unwrap_or_default()
        )));
    }
    Ok(roots)
}
