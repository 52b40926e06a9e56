//! The listeners, or a sentence that says why there is none and what to do; and the server that answers on them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as WebApp, HttpServer, web};

use super::tls::Tls;
use crate::config::Config;
use crate::console;
use crate::http::{self, Api};

/// Largest body of requests that are not uploads.
const SMALL_BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to begin a TLS connection, and to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection stays open between requests. Longer than clients and load balancers keep theirs (30 to 90 seconds), so that
/// it is they who close it: a request that is under way when a server closes gets no answer, and few clients send a POST again.
const KEPT_OPEN: Duration = Duration::from_mins(2);

/// Where the service listens.
pub(super) struct Listeners {
    plain: TcpListener,
    tls: Option<(TcpListener, Tls)>,
}

impl Listeners {
    /// Binds `server.listen`, and `server.tls_listen` where it is set.
    ///
    /// # Errors
    /// With a cure where the cause has one.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let plain = bind(config.server.listen, "server.listen")?;
        let tls = match &config.server.tls {
            None => None,
            Some(tls) => {
                let shown = Tls::open(config, &tls.certificate)?;
                Some((bind(tls.listen, "server.tls_listen")?, shown))
            }
        };
        Ok(Self { plain, tls })
    }

    /// The address of the plain listener.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.plain.local_addr()?)
    }

    /// The first address that others than this machine can reach.
    ///
    /// # Errors
    /// When the system does not say where it listens.
    pub(super) fn open_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        let addresses = [Some(self.address()?), self.tls_address()];
        Ok(addresses
            .into_iter()
            .flatten()
            .find(|address| !address.ip().is_loopback()))
    }

    /// The address of the TLS listener.
    pub(super) fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref()?.0.local_addr().ok()
    }

    /// What the TLS listener shows.
    pub(super) fn tls(&self) -> Option<Tls> {
        self.tls.as_ref().map(|(_, tls)| tls.clone())
    }

    /// The server on them, not yet running.
    ///
    /// # Errors
    /// When the system does not let it listen.
    pub(super) fn serve(self, api: Api, config: &Config) -> anyhow::Result<actix_web::dev::Server> {
        let settings = &config.server;
        let data = web::Data::new(api);
        let patience = http::slow::Patience {
            body: Duration::from_secs(config.limits.body_seconds.into()),
            upload: Duration::from_secs(config.limits.upload_seconds.into()),
        };
        let is_sandbox = data.context.sandbox.is_some();
        let mut server = HttpServer::new(move || {
            WebApp::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(SMALL_BODY_BYTES_MAX))
                .wrap(Condition::new(is_sandbox, from_fn(http::sandbox::strike)))
                .wrap(from_fn(http::measure::measure))
                .wrap(from_fn(http::headers::stamp))
                .wrap_fn(move |mut request, service| {
                    if let Some(path) = http::canonical::canonical_path(request.path()) {
                        http::rewrite(&mut request, &path);
                    }
                    http::slow::bound(&mut request, patience);
                    service.call(request)
                })
                .wrap(Condition::new(is_sandbox, from_fn(http::sandbox::record)))
                .configure(|service| {
                    if is_sandbox {
                        http::sandbox::routes(service);
                    }
                    console::routes(service);
                    http::routes(service);
                })
        })
        .listen(self.plain)?;
        if let Some((listener, tls)) = self.tls {
            server = server.listen_rustls_0_23(listener, tls.server_config()?)?;
        }
        Ok(server
            // Uploads take as long as they take (GEN-13); a client that sends no request at all does not.
            .client_request_timeout(PATIENCE)
            .keep_alive(KEPT_OPEN)
            .tls_handshake_timeout(PATIENCE)
            .shutdown_timeout(settings.shutdown_seconds)
            .disable_signals()
            // Each of them counts its own.
            .max_connections(config.limits.connections.div_ceil(settings.workers))
            .workers(settings.workers)
            .run())
    }
}

fn bind(wanted: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(wanted).map_err(|cause| {
        let cure = cure(wanted, cause.kind())
            .map(|cure| format!("; {cure}"))
            .unwrap_or_default();
        anyhow::anyhow!("cannot listen on {wanted} ({setting}): {cause}{cure}")
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
        let taken = bind("127.0.0.1:0".parse().expect("an address"), "server.listen").expect("a free port");
        let error = bind(taken.local_addr().expect("bound"), "server.listen").expect_err("taken");
        assert!(error.to_string().ends_with("is another service using it?"), "{error}");
        // Reserved for documentation: no machine has it.
        let error = bind("192.0.2.1:0".parse().expect("an address"), "server.listen").expect_err("not ours");
        assert!(
            error.to_string().contains("does not have the address 192.0.2.1"),
            "{error}"
        );
    }
}
