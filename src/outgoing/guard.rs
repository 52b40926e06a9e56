//! Which receivers are sent to: who may write a job's file or name a webhook must not thereby reach what only this machine
//! can reach.
//!
//! A name is judged by the addresses it resolves to, at the moment of connecting, and only to those is connected: a name that
//! resolves to something else a moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config;

/// How long a name may take to be looked up by whoever only wants to know.
const LOOK_UP: Duration = Duration::from_secs(3);

/// What of the network may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Addresses that are not public too.
    allow_private: bool,
    /// Without TLS too.
    allow_http: bool,
    /// Section of the settings that says so.
    section: &'static str,
}

/// The receiver is not one to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Guard {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &config::Outgoing) -> Self {
        Self {
            allow_private: settings.allow_private,
            allow_http: settings.allow_http,
            section: settings.section,
        }
    }

    /// Everything about a URL that can be judged without looking its host up.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn check(self, text: &str) -> Result<Url, Refused> {
        let refuse = |why: String| Err(Refused(why));
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return refuse(format!("the URL is not one: {error}")),
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                let section = self.section;
                return refuse(format!("the URL is http://, which {section}.allow_http does not allow"));
            }
            _ => return refuse("the URL does not begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the URL holds a user name or password".to_owned());
        }
        // The resolver is not asked about these.
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return refuse("the URL has no host".to_owned()),
        };
        match literal {
            Some(ip) if !self.allows(ip) => Err(self.not_public(&ip.to_string())),
            _ => Ok(url),
        }
    }

    /// Everything about a URL, its host looked up once. A name that is not found, or not in time, may be one elsewhere: it is allowed.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub async fn look(self, text: &str) -> Result<(), Refused> {
        let url = self.check(text)?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((name, 0))).await;
        match found {
            Ok(Ok(found)) => self.judge(name, found).map(|_| ()),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    fn allows(self, ip: IpAddr) -> bool {
        self.allow_private || is_public(ip)
    }

    /// Of the addresses a name resolves to, those that may be connected to. Asked anew for every connection.
    fn judge(self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let allowed: Vec<SocketAddr> = found.filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() {
            return Err(self.not_public(name));
        }
        Ok(allowed)
    }

    fn not_public(self, host: &str) -> Refused {
        let section = self.section;
        Refused(format!(
            "{host} has no public address, and {section}.allow_private does not allow others"
        ))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = guard.judge(name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether the address is one anybody on the internet can reach: the special-purpose registries of RFC 6890 taken out.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // This network, private, loopback, multicast and reserved up to broadcast.
        [0 | 10 | 127 | 224..=255, ..]
        // Carrier-grade NAT.
        | [100, 64..=127, ..]
        // Link-local, where clouds keep their metadata, and the address at which Azure's machines find theirs.
        | [169, 254, ..]
        | [168, 63, 129, 16]
        // Private.
        | [172, 16..=31, ..]
        | [192, 168, ..]
        // Protocol assignments, documentation, 6to4 relays.
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        // Benchmarks.
        | [198, 18 | 19, ..] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // NAT64: as public as the IPv4 address inside, which is how networks without IPv4 see everybody.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Of all the rest only global unicast: loopback, IPv4-mapped, unique local, link-local and multicast lie elsewhere.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard {
        allow_private: false,
        allow_http: false,
        section: "webhooks",
    };

    #[test]
    fn only_public_addresses_are_public() {
        let refused = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:a00:1::1",
            "fe80::5efe:127.0.0.1",
            "fd00:ec2::254",
            "5f00::1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for text in refused {
            assert!(!is_public(text.parse().expect("an address")), "{text}");
        }
        let public = [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ];
        for text in public {
            assert!(is_public(text.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn an_address_is_seen_through_every_spelling() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[0:0:0:0:0:ffff:7f00:1]/",
            "https://[::]/",
            "https://0/",
            "https://0.0.0.0/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://127%2e0%2e0%2e1/",
            "https://017700000001/",
            "https://0x7f000001/",
            "https://0x7f.0x0.0x0.0x1/",
            "https://[64:ff9b::7f00:1]/",
            "https://127.0.0.1:443/",
            "https:127.0.0.1/",
            "https:\\\\127.0.0.1\\x",
            "https://\t127.0.0.1/",
            "https://①②⑦.0.0.1/",
            "https://１２７.0.0.1/",
        ] {
            let refused = STRICT.check(url).expect_err(url);
            assert!(refused.to_string().contains("no public address"), "{url}: {refused}");
        }
    }

    #[test]
    fn urls_are_refused_for_their_scheme_and_for_credentials() {
        for (url, reason) in [
            ("http://example.com/", "allow_http"),
            ("ftp://example.com/", "https://"),
            ("file:///etc/passwd", "https://"),
            ("https://user:word@example.com/", "user name"),
            ("not a url", "is not one"),
            ("https://example.com@127.0.0.1/", "user name"),
            ("https://:word@example.com/", "user name"),
            ("https://%40@example.com/", "user name"),
            ("gopher://example.com/", "https://"),
            ("https://", "is not one"),
            ("https://exa mple.com/", "is not one"),
            ("https://[::1/", "is not one"),
            ("https://256.256.256.256/", "is not one"),
            ("https://example.com:65536/", "is not one"),
        ] {
            let refused = STRICT.check(url).expect_err(url);
            assert!(refused.to_string().contains(reason), "{url}: {refused}");
        }
        assert!(STRICT.check("https://hooks.example.com/x?y=z").is_ok());
    }

    #[test]
    fn a_name_that_resolves_to_something_else_a_moment_later_gains_nothing() {
        let resolves = |to: &[&str]| -> Vec<SocketAddr> {
            to.iter()
                .map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0))
                .collect()
        };
        let connected = |to: &[&str]| STRICT.judge("rebound.test", resolves(to).into_iter());
        // Public at first, as when the URL was looked at, and private when it is connected to.
        assert_eq!(connected(&["8.8.8.8"]), Ok(resolves(&["8.8.8.8"])));
        for later in [&["127.0.0.1"][..], &["::1", "10.0.0.1"], &["169.254.169.254"], &[]] {
            let refused = connected(later).expect_err("nothing public");
            assert!(
                refused.to_string().contains("rebound.test has no public address"),
                "{refused}"
            );
        }
        // Both at once: only the public one is tried, also when it does not answer.
        assert_eq!(
            connected(&["127.0.0.1", "8.8.8.8", "::ffff:127.0.0.1"]),
            Ok(resolves(&["8.8.8.8"]))
        );
    }

    #[tokio::test]
    async fn a_name_is_refused_for_what_it_resolves_to() {
        let name = || "localhost".parse::<Name>().expect("a name");
        let refused = STRICT.resolve(name()).await.err().expect("loopback only");
        assert!(refused.downcast_ref::<Refused>().is_some(), "{refused}");
        let lax = Guard {
            allow_private: true,
            ..STRICT
        };
        assert!(lax.resolve(name()).await.expect("allowed").next().is_some());
    }
}
