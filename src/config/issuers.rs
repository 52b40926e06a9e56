//! `issuers.NAME.*`: who else issues access tokens.

use url::{Host, Url};

use super::reader::Reader;

/// An issuer of access tokens besides the service itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `issuer`: `iss` of its tokens, letter by letter.
    pub issuer: String,
    /// `jwks_url`: where its keys are; without it, what its discovery document says.
    pub jwks_url: Option<String>,
    /// `tenant`: `tid` of its tokens.
    pub tenant: Option<String>,
    /// `audiences`: what its tokens may be for, besides the public URL of this service or the address it listens on.
    pub audiences: Vec<String>,
}

impl Issuer {
    pub(super) fn read_all(reader: &Reader<'_>) -> Vec<Self> {
        let names = reader.names_below("issuers").into_iter();
        names.filter_map(|name| Self::read(reader, &name)).collect()
    }

    fn read(reader: &Reader<'_>, name: &str) -> Option<Self> {
        let key = |member: &str| format!("issuers.{name}.{member}");
        let unfit = "is where keys are fetched from, so it begins with https:// (http:// on this machine only)";
        let issuer = reader.required_text(&key("issuer"));
        let jwks_url = reader.text(&key("jwks_url"));
        if let Some(url) = jwks_url.as_ref().filter(|url| !is_fit_for_keys(url)) {
            reader.blame(&key("jwks_url"), format!("`{url}` {unfit}"));
        }
        let discovered = issuer.as_ref().filter(|_| jwks_url.is_none());
        if let Some(url) = discovered.filter(|url| !is_fit_for_keys(url)) {
            reader.blame(&key("issuer"), format!("`{url}` {unfit}; or set `{}`", key("jwks_url")));
        }
        Some(Self {
            jwks_url,
            tenant: reader.text(&key("tenant")),
            audiences: reader.list(&key("audiences")),
            issuer: issuer?,
        })
    }
}

/// Whether nobody on the way can put in other keys.
#[must_use]
pub fn is_fit_for_keys(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}
