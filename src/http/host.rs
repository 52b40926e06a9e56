//! The name a request calls the service by. Links are made from it where `server.public_url` is not set, so it is a host and nothing else.

use actix_web::HttpRequest;
use actix_web::http::{Uri, header};
use url::Host;

/// What is wrong with the `Host` of a request, if anything is.
#[must_use]
pub fn flaw(request: &HttpRequest) -> Option<&'static str> {
    let named = request
        .headers()
        .get(header::HOST)
        .map(|host| host.to_str().unwrap_or("\0"));
    let called = request.uri().authority().map(actix_web::http::uri::Authority::as_str);
    if named.into_iter().chain(called).any(|host| !is_host(host)) {
        return Some("the Host of the request is not a name or address with a port");
    }
    match (named, called) {
        (Some(named), Some(called)) if !named.eq_ignore_ascii_case(called) => {
            Some("the request's address and its Host header name two hosts")
        }
        _ => None,
    }
}

/// Whether the request calls this machine by an address of its own or `localhost`: no page of another site does, whatever its name
/// resolves to.
#[must_use]
pub fn is_loopback(request: &HttpRequest) -> bool {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(named) = named.or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str)) else {
        return true;
    };
    let host = named.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    match host.map(|host| Host::parse(&host)) {
        Some(Ok(Host::Domain(name))) => name.eq_ignore_ascii_case("localhost"),
        Some(Ok(Host::Ipv4(ip))) => ip.is_loopback(),
        Some(Ok(Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    }
}

/// `name`, `name:port`, `[address]:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("", rest),
        Some(_) => return false,
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let is_name = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
    let digits = port.strip_prefix(':').unwrap_or(port);
    let is_port =
        port.is_empty() || (port.starts_with(':') && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()));
    !text.is_empty() && !text.starts_with(':') && is_name && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "localhost",
            "a-b.test:8080",
            "tranship_1",
            "10.0.0.7:80",
            "[::1]",
            "[fe80::1]:8443",
            "A.Test:",
        ] {
            assert!(is_host(host), "{host}");
        }
        for other in [
            "",
            ":80",
            "a b",
            "a@b.test",
            "a.test/x",
            "a.test\"><script>",
            "a.test:80:80",
            "a.test:x",
            "a.test:123456",
            "[::1",
            "[x]:1",
            "[::1]x",
            "a\\b",
            "ä.test",
            "a?b",
            "a#b",
            "\0",
        ] {
            assert!(!is_host(other), "{other}");
        }
    }

    #[test]
    fn only_this_machine_is_called_localhost() {
        let called = |host: &str| {
            let request = actix_web::test::TestRequest::default().insert_header((header::HOST, host));
            is_loopback(&request.to_http_request())
        };
        for host in ["localhost:1", "LOCALHOST", "127.0.0.1:80", "127.9.9.9", "[::1]:80"] {
            assert!(called(host), "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test:80",
            "10.0.0.7",
            "[::2]",
            "127.0.0.1.evil.test",
        ] {
            assert!(!called(host), "{host}");
        }
    }
}
