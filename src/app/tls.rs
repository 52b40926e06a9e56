//! The certificate of the TLS listener: from files, read again on SIGHUP, or of a certificate authority for development.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, bail};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::dev_ca;
use crate::config::{Certificate, Config};

/// What the listener shows to clients. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    source: Certificate,
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the certificate and its key, or makes them.
    ///
    /// # Errors
    /// When they cannot be read, or do not belong together.
    pub(super) fn open(config: &Config, source: &Certificate) -> anyhow::Result<Self> {
        let key = match source {
            Certificate::Files { cert, key } => read(cert, key)?,
            Certificate::Development => {
                let issued = dev_ca::issue(&dev_ca::folder(&config.data_dir))?;
                certified(issued.chain, &issued.key).context("the development certificate")?
            }
        };
        Ok(Self {
            source: source.clone(),
            shown: Arc::new(Shown(RwLock::new(Arc::new(key)))),
        })
    }

    /// Reads the files again; the old certificate stays where the new one is not good.
    pub(super) fn reload(&self) {
        let Certificate::Files { cert, key } = &self.source else {
            return;
        };
        match read(cert, key) {
            Ok(key) => {
                *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!(cert = %cert.display(), "TLS certificate read again");
            }
            Err(error) => tracing::error!("the TLS certificate stays what it was: {error:#}"),
        }
    }

    /// TLS 1.2 and 1.3, without client certificates.
    ///
    /// # Errors
    /// When the cryptography has no such versions.
    pub(super) fn server_config(&self) -> anyhow::Result<ServerConfig> {
        Ok(ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.shown) as Arc<dyn ResolvesServerCert>))
    }
}

fn read(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let unreadable = |setting: &str, path: &Path| format!("cannot read {} (server.{setting})", path.display());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| unreadable("tls_cert", cert))?;
    if chain.is_empty() {
        bail!(
            "{} (server.tls_cert) holds no certificate; it is a PEM file, the server's own certificate first, then those of its issuers",
            cert.display()
        );
    }
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| unreadable("tls_key", key))?;
    certified(chain, &private).with_context(|| {
        format!(
            "{} (server.tls_cert, its own certificate first) and {} (server.tls_key) cannot be used together",
            cert.display(),
            key.display()
        )
    })
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> anyhow::Result<CertifiedKey> {
    Ok(CertifiedKey::from_der(chain, key.clone_key(), &default_provider())?)
}

/// Where clients find the certificate of the development authority.
pub(super) fn authority(config: &Config, source: &Certificate) -> Option<PathBuf> {
    matches!(source, Certificate::Development).then(|| dev_ca::folder(&config.data_dir).join(dev_ca::AUTHORITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> (PathBuf, PathBuf) {
        let issued = dev_ca::issue(&folder.join("ca")).expect("issued");
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, issued.chain_pem).expect("written");
        std::fs::write(&key, issued.key_pem).expect("written");
        (cert, key)
    }

    #[test]
    fn a_certificate_without_its_own_key_is_refused_with_both_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = files(folder.path());
        read(&cert, &key).expect("they belong together");
        let other = folder.path().join("other");
        std::fs::create_dir(&other).expect("made");
        let (_, foreign) = files(&other);
        let error = format!("{:#}", read(&cert, &foreign).expect_err("another's key"));
        assert!(
            error.contains("server.tls_cert") && error.contains("server.tls_key"),
            "{error}"
        );
        let error = format!("{:#}", read(&key, &key).expect_err("no certificate"));
        assert!(error.contains("holds no certificate"), "{error}");
        let error = format!("{:#}", read(&cert, &cert).expect_err("no key"));
        assert!(
            error.contains("cannot read") && error.contains("server.tls_key"),
            "{error}"
        );
        let error = format!("{:#}", read(Path::new("nowhere.pem"), &key).expect_err("no file"));
        assert!(error.contains("nowhere.pem"), "{error}");
    }
}
