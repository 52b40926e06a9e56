//! A certificate authority for development (`tranship serve --dev-tls`): made once, kept in the data folder, so that clients trust it
//! once; the server's own certificate is made at each start.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The authority's certificate, which clients are told to trust.
pub(super) const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca-key.pem";
/// Clients refuse longer ones.
const SERVER_DAYS: i64 = 90;

/// A certificate for this machine, and its key.
pub(super) struct Issued {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    #[cfg(test)]
    pub(super) chain_pem: String,
    #[cfg(test)]
    pub(super) key_pem: String,
}

/// Where the authority is kept.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("dev-tls")
}

/// Issues a certificate for this machine's names, by the authority of the folder, which is made where there is none.
///
/// # Errors
/// When the folder cannot be written to, or the key in it cannot be read.
pub(super) fn issue(folder: &Path) -> anyhow::Result<Issued> {
    let authority = authority(folder).with_context(|| {
        format!(
            "cannot keep a development certificate authority in {}",
            folder.display()
        )
    })?;
    let key = KeyPair::generate()?;
    let certificate = server_params()?.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Issued {
        #[cfg(test)]
        chain_pem: certificate.pem(),
        #[cfg(test)]
        key_pem: key.serialize_pem(),
        chain: vec![certificate.der().clone()],
        key: private,
    })
}

/// The authority of the folder. Its certificate follows from the key and what never changes, but for its serial number and dates, so a
/// certificate that is gone is written anew.
fn authority(folder: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    std::fs::create_dir_all(folder)?;
    let (certificate_file, key_file) = (folder.join(AUTHORITY), folder.join(AUTHORITY_KEY));
    let known = std::fs::read_to_string(&key_file).ok();
    let key = match &known {
        Some(text) => KeyPair::from_pem(text).with_context(|| format!("{} holds no key", key_file.display()))?,
        None => KeyPair::generate()?,
    };
    if known.is_none() {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&key_file)?;
        file.write_all(key.serialize_pem().as_bytes())?;
        file.sync_all()?;
    }
    let params = authority_params()?;
    if known.is_none() || !certificate_file.exists() {
        std::fs::write(&certificate_file, params.self_signed(&key)?.pem())?;
    }
    Ok(Issuer::new(params, key))
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Tranship development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2046, 1, 1);
    Ok(params)
}

fn server_params() -> anyhow::Result<CertificateParams> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_name(host.trim()) && host.trim() != "localhost" {
        names.push(host.trim().to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Tranship");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python's strict checks want it.
    params.use_authority_key_identifier_extension = true;
    let day = |from_today: i64| {
        let day = today() + TimeDelta::days(from_today);
        date_time_ymd(
            day.year(),
            u8::try_from(day.month()).unwrap_or(1),
            u8::try_from(day.day()).unwrap_or(1),
        )
    };
    (params.not_before, params.not_after) = (day(-1), day(SERVER_DAYS));
    Ok(params)
}

/// By the system's clock, as clients check certificates.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates are for clients, whose clock is the system's"
)]
fn today() -> NaiveDate {
    Utc::now().date_naive()
}
