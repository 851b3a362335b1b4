//! TLS towards callers: the certificate and key that a listener shows, and reading them anew while it listens.
//!
//! Which files those are, and whether there is TLS at all, is settled at the start. What is in them may change at any
//! time: whoever renews certificates replaces the files, and connections to come are shown what is in them then.

pub mod pem;

use crate::config::{Config, Inputs, Tls};
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;

/// What each listener shows; nothing where it speaks no TLS.
#[derive(Default)]
pub struct Certificates {
    data: Option<Front>,
    admin: Option<Front>,
}

/// One listener's TLS.
struct Front {
    /// Where its files stand in the configuration.
    setting: &'static str,
    certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
}

impl Certificates {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A sentence that names the file at fault and what is wrong with it.
    pub fn read(config: &Config) -> Result<Self, String> {
        let front = |setting, tls: Option<&Tls>| tls.map(|files| Front::read(setting, files)).transpose();
        Ok(Self {
            data: front("server.tls", config.server.tls.as_ref())?,
            admin: front("admin.tls", config.admin.tls.as_ref())?,
        })
    }

    /// For the data plane's connections; HTTP/2 is offered.
    pub fn data_acceptor(&self) -> Option<TlsAcceptor> {
        self.data.as_ref().map(|front| front.acceptor.clone())
    }

    /// The same for the admin plane's.
    pub fn admin_acceptor(&self) -> Option<TlsAcceptor> {
        self.admin.as_ref().map(|front| front.acceptor.clone())
    }

    /// Whether files of theirs are others than when they were last read.
    pub fn have_changed(&self) -> bool {
        self.fronts().any(|front| front.certificate.has_changed())
    }

    /// Reads the files anew, for the connections to come. Where they do not fit, what was shown so far stays; why, is
    /// logged and returned, a sentence each.
    pub fn renew(&self) -> Vec<String> {
        let mut kept = Vec::new();
        for Front { setting, certificate, .. } in self.fronts() {
            match certificate.renew() {
                Ok(true) => tracing::info!("`{setting}`: connections to come are shown the new certificate"),
                Ok(false) => {}
                Err(why) => {
                    tracing::error!("`{setting}`: the certificate in use stays: {why}");
                    kept.push(format!("`{setting}`: the certificate in use stays: {why}"));
                }
            }
        }
        kept
    }

    fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.data.iter().chain(&self.admin)
    }
}

impl Front {
    fn read(setting: &'static str, files: &Tls) -> Result<Self, String> {
        let certificate = Arc::new(Certificate::read(files)?);
        let acceptor = acceptor(Arc::clone(&certificate)).map_err(|error| error.to_string())?;
        Ok(Self { setting, certificate, acceptor })
    }
}

fn acceptor(certificate: Arc<Certificate>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A chain and its key, as their files had them when they were last read and found to be sound.
#[derive(Debug)]
struct Certificate {
    files: Tls,
    shown: ArcSwap<CertifiedKey>,
    /// The files as they were before they were last read, sound or not.
    inputs: Mutex<Inputs>,
}

impl Certificate {
    fn read(files: &Tls) -> Result<Self, String> {
        let mut inputs = Inputs::default();
        let shown = ArcSwap::from_pointee(read(files, &mut inputs)?);
        Ok(Self { files: files.clone(), shown, inputs: Mutex::new(inputs) })
    }

    fn has_changed(&self) -> bool {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).have_changed()
    }

    /// Whether the files hold another certificate than before.
    fn renew(&self) -> Result<bool, String> {
        let mut inputs = Inputs::default();
        let fresh = read(&self.files, &mut inputs);
        *self.inputs.lock().unwrap_or_else(PoisonError::into_inner) = inputs;
        let fresh = fresh?;
        // The key belongs to the certificate: where the one is the same, so is the other.
        let is_new = fresh.cert != self.shown.load().cert;
        if is_new {
            self.shown.store(Arc::new(fresh));
        }
        Ok(is_new)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

/// Both files, whatever is wrong with the first: either may be mended.
fn read(files: &Tls, inputs: &mut Inputs) -> Result<CertifiedKey, String> {
    let told = |file: &Path, fault: &pem::Fault| format!("{}: {fault}; {}", file.display(), fault.mend());
    let chain = pem::certificates(&files.cert, inputs);
    let key = pem::private_key(&files.key, inputs);
    let chain = chain.map_err(|fault| told(&files.cert, &fault))?;
    let key = key.map_err(|fault| told(&files.key, &fault))?;
    pem::pair(chain, key).map_err(|fault| {
        let file = if fault.is_of_certificate() { &files.cert } else { &files.key };
        told(file, &fault)
    })
}

/// What is wrong with a certificate at a moment, if its time has passed or not yet come.
pub fn untimely(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<&'static str> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    // Nobody is trusted here: that is told only of a certificate whose time is right.
    let judged = rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        now,
        provider().signature_verification_algorithms.all,
    );
    match judged {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Some("the certificate has expired"),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Some("the certificate is not valid yet"),
        _ => None,
    }
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Certificate, untimely};
    use crate::config::Tls;
    use rcgen::{CertificateParams, CertifiedKey, date_time_ymd, generate_simple_self_signed};
    use rustls_pki_types::UnixTime;
    use std::time::Duration;

    fn made() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    #[test]
    fn what_the_files_hold_is_shown_from_the_next_look_on_unless_it_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let files = Tls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let (first, second) = (made(), made());
        let write = |cert: &str, key: &str| {
            std::fs::write(&files.cert, cert).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        write(&first.cert.pem(), &first.signing_key.serialize_pem());
        let certificate = Certificate::read(&files).unwrap();
        let shown = || certificate.shown.load().cert[0].clone();
        assert_eq!(certificate.renew(), Ok(false), "nothing has changed");
        for (cert, key, at_fault) in [
            (second.cert.pem(), first.signing_key.serialize_pem(), "key.pem"),
            (String::new(), second.signing_key.serialize_pem(), "cert.pem"),
            (second.cert.pem(), String::new(), "key.pem"),
        ] {
            write(&cert, &key);
            assert!(certificate.has_changed());
            let why = certificate.renew().unwrap_err();
            assert!(why.contains(at_fault), "{why}");
            assert_eq!((shown(), certificate.has_changed()), (first.cert.der().clone(), false));
        }
        write(&second.cert.pem(), &second.signing_key.serialize_pem());
        assert!(certificate.has_changed());
        assert_eq!(certificate.renew(), Ok(true));
        assert_eq!(shown(), *second.cert.der());
    }

    #[test]
    fn a_certificate_has_its_time() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let year = |count: u64| UnixTime::since_unix_epoch(Duration::from_secs(count * 31_557_600));
        for (now, expected) in [(year(49), Some("yet")), (year(50), None), (year(52), Some("expired"))] {
            let told = untimely(certificate.der(), now);
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            assert!(expected.is_none_or(|word| told.unwrap().contains(word)), "{told:?}");
        }
    }
}
