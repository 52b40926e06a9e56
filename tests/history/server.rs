//! The database server that crashes under the clusters: it has to come back whatever else the machine does.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;

use crate::support::postgres_server::Server;

/// How long the port is kept from the server.
const KEPT: Duration = Duration::from_secs(1);
/// How long whoever wants the port tries to get it.
const PATIENCE: Duration = Duration::from_secs(5);
/// On a crowded machine it may come too late.
const CRASHES_MAX: usize = 5;

/// Between its end and its start the port is free, and a machine full of other tests may give it to one of them.
#[tokio::test]
async fn a_server_comes_back_though_somebody_took_its_port() {
    let Some(server) = Server::start() else { return };
    let url = url::Url::parse(&server.url).expect("a URL");
    let port = url.port().expect("a port of its own");
    let server = Arc::new(server);
    for _ in 0..CRASHES_MAX {
        let thief = std::thread::spawn(move || keep(port));
        let crashing = Arc::clone(&server);
        let crashed = tokio::task::spawn_blocking(move || crashing.crash()).await;
        crashed.expect("it comes back");
        let was_taken = thief.join().expect("nothing failed");
        let connection = sqlx::PgConnection::connect(&server.url).await;
        connection.expect("it answers").ping().await.expect("it works");
        if was_taken {
            return;
        }
    }
    panic!("nobody ever took the port");
}

/// Takes the port as soon as it is free, and gives it back a moment later. Whether it got it.
fn keep(port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Ok(_taken) = TcpListener::bind(("127.0.0.1", port)) {
            std::thread::sleep(KEPT);
            return true;
        }
    }
    false
}
