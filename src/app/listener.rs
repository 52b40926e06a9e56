//! The listener, or a sentence that says why there is none and what to do.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// Binds the address of `server.listen`.
///
/// # Errors
/// With a cure where the cause has one.
pub(super) fn bind(wanted: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(wanted).map_err(|cause| {
        let cure = cure(wanted, cause.kind())
            .map(|cure| format!("; {cure}"))
            .unwrap_or_default();
        anyhow::anyhow!("cannot listen on {wanted} (server.listen): {cause}{cure}")
    })
}

fn cure(wanted: SocketAddr, cause: ErrorKind) -> Option<String> {
    match cause {
        ErrorKind::AddrInUse => Some("is another service using it?".to_owned()),
        ErrorKind::PermissionDenied => Some(format!(
            "this user may not use port {}; take one above 1023",
            wanted.port()
        )),
        ErrorKind::AddrNotAvailable => Some(format!(
            "this machine does not have the address {}; {} stands for every address it has",
            wanted.ip(),
            if wanted.is_ipv4() { "0.0.0.0" } else { "[::]" }
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_cure_and_only_a_taken_port_another_service() {
        let address: SocketAddr = "203.0.113.7:80".parse().expect("an address");
        let of = |kind| cure(address, kind).expect("a cure");
        assert!(of(ErrorKind::AddrInUse).contains("another service"));
        assert!(of(ErrorKind::PermissionDenied).contains("port 80"));
        assert!(of(ErrorKind::AddrNotAvailable).contains("203.0.113.7"));
        assert_eq!(cure(address, ErrorKind::OutOfMemory), None);
        for kind in [ErrorKind::PermissionDenied, ErrorKind::AddrNotAvailable] {
            assert!(!of(kind).contains("another"), "{kind:?}");
        }
    }

    #[test]
    fn a_taken_port_and_a_foreign_address_are_told_apart() {
        let taken = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let error = bind(taken.local_addr().expect("bound")).expect_err("taken");
        assert!(error.to_string().ends_with("is another service using it?"), "{error}");
        // Reserved for documentation: no machine has it.
        let error = bind("192.0.2.1:0".parse().expect("an address")).expect_err("not ours");
        assert!(
            error.to_string().contains("does not have the address 192.0.2.1"),
            "{error}"
        );
    }
}
