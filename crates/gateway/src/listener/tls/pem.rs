//! Certificates and private keys in PEM: read, and a certificate paired with its key. Both who judges a configuration
//! and who shows a certificate do it here, so that what the one has taken the other can show.

use super::provider;
use crate::config::{Inputs, Unreadable};
use rustls::CertificateError;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// What is wrong with a file, in words that do not name it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is nothing to look at.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
    /// Nothing of the kind in it.
    #[error("the file holds no certificate")]
    NoCertificate,
    /// A certificate that no server can show.
    #[error("the file's first certificate cannot be read: {0}")]
    Certificate(CertificateError),
    /// Nothing of the kind in it.
    #[error("the file holds no private key")]
    NoKey,
    /// A key of a kind that is not spoken, or none at all.
    #[error("the private key cannot be used: {0}")]
    Key(rustls::Error),
    /// The key of another certificate.
    #[error("the private key does not belong to the certificate in `cert`")]
    Foreign,
}

impl Fault {
    /// How to mend it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Unreadable(why) => why.mend(),
            Self::NoCertificate => "name a PEM file with one or more",
            Self::Certificate(_) => "name a PEM file with one for a TLS server",
            Self::NoKey => "name a PEM file with one, not encrypted",
            Self::Key(_) => {
                "name an RSA key of 2048 bits or more, one for ECDSA on P-256 or P-384, or an Ed25519 key"
            }
            Self::Foreign => {
                "name the key that the certificate was made for; in `cert`, the listener's own certificate comes first"
            }
        }
    }

    /// Whether, of a pair that does not fit, the certificate's file is at fault and not the key's.
    pub fn is_of_certificate(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }
}

/// The certificates that a file holds; at least one.
///
/// # Errors
/// Where there is none, or the file cannot be read.
pub fn certificates(file: &Path, inputs: &mut Inputs) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = inputs.read(file, BYTES_MAX)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(Fault::NoCertificate)
}

/// The private key that a file holds.
///
/// # Errors
/// Where there is none, or the file cannot be read.
pub fn private_key(file: &Path, inputs: &mut Inputs) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = inputs.read(file, BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| Fault::NoKey)
}

/// A chain, the listener's own certificate first, with the key that this was made for.
///
/// # Errors
/// Where it was made for another, or either cannot be used.
pub fn pair(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, Fault> {
    CertifiedKey::from_der(chain, key, &provider()).map_err(|why| match why {
        rustls::Error::InconsistentKeys(_) => Fault::Foreign,
        rustls::Error::InvalidCertificate(why) => Fault::Certificate(why),
        why => Fault::Key(why),
    })
}
