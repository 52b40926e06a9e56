//! More connections than the process may have open files.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::net::TcpStream;

use super::senders::{Senders, first_file};
use crate::on_both_databases;
use crate::readings;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::wire::{Caller, http};

/// Open files that the process may have: enough to run, and not for many connections.
const DESCRIPTORS: usize = 120;
const CONNECTIONS: usize = 400;

on_both_databases!(a_service_without_descriptors_left_goes_on_when_some_are_free,);

async fn a_service_without_descriptors_left_goes_on_when_some_are_free(store: TestDatabase) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.set("TRANSHIP_QUEUE__INLINE_MAX_BYTES", "16");
    readings::define(&site);
    let tester = site.add_client("tester", "operator");
    let service = Service::start(limited(&site), &site.data_dir("data")).await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    // They have their connections already, and go on.
    let sending = Senders::start(&service, &caller);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let address = service.base.trim_start_matches("http://").to_owned();
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS {
        // The system takes them into its queue, as long as that is.
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(&address)).await {
            crowd.push(stream);
        }
    }
    assert!(crowd.len() > DESCRIPTORS, "{}", crowd.len());
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(crowd);
    let began = Instant::now();
    loop {
        let probe = http()
            .get(format!("{}/health/ready", service.base))
            .timeout(Duration::from_secs(5));
        if probe.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", service.log());
    }
    let sent = sending.stop().await;
    sent.all_landed(&site, &caller).await;
    assert!(service.stop().await.success());
}

/// `tranship serve` by a shell that takes the descriptors away first.
fn limited(site: &Site) -> Command {
    let serve = site.serve_command("data");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""))
        .arg(serve.get_program())
        .args(serve.get_args());
    site.furnish(&mut command);
    command.env("TRANSHIP_DATA_DIR", site.data_dir("data"));
    command
}
