//! The disk of the data folder turns read-only, as file systems do that meet an error: while the service runs, and before it starts.

use reqwest::StatusCode;
use serde_json::json;

use super::disk::Disk;
use super::full_disk::{assert_refused, define, health, ready_again, send_parcel, start, until_full};
use super::outage;
use super::senders::{Senders, first_file};
use crate::service::Service;
use crate::site::Site;
use crate::wire::{self, Caller};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_written_costs_time_and_nothing_else() {
    let mut site = Site::empty();
    define(&mut site);
    let tester = site.add_client("tester", "operator");
    let data = site.data_dir("data");
    let disk = Disk::of(&data);
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    let known = wire::json(send_parcel(&caller, b"known".to_vec()).await, StatusCode::CREATED).await;
    let known = format!("/api/v1/messages/{}/payload", known["id"].as_str().expect("an id"));
    let sending = Senders::start(&service, &caller);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    disk.make_read_only();
    until_full(&caller, &service).await;
    assert_refused(send_parcel(&caller, b"one more".to_vec()).await, "cannot be written").await;
    let payload = caller.get(&known).await;
    assert_eq!(
        payload.bytes().await.expect("bytes"),
        "known",
        "what is there can be had"
    );
    let (status, body) = health(&service, "ready").await;
    let told = (status, &body["store"]);
    assert_eq!(
        told,
        (StatusCode::SERVICE_UNAVAILABLE, &json!("not writable")),
        "{body}"
    );
    tokio::time::sleep(outage()).await;
    disk.mend();
    ready_again(&service).await;
    let sent = sending.stop().await;
    assert!(sent.refused > 0, "nobody noticed");
    sent.all_landed(&site, &caller).await;
    assert!(service.stop().await.success());

    disk.make_read_only();
    let refused = Service::try_start(disk.under(site.serve_command("data")), &data).await;
    let said = refused.err().expect("it does not start");
    assert!(said.contains("exit status: 1") && !said.contains("panicked"), "{said}");
    let names = said.contains(data.to_str().expect("a path"));
    assert!(names && said.contains("mount it so that it can be written"), "{said}");
    disk.mend();
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    assert_eq!(caller.get(&known).await.bytes().await.expect("bytes"), "known");
    assert!(service.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_without_room_says_so_and_the_next_one_makes_a_whole_store() {
    let mut site = Site::empty();
    define(&mut site);
    let data = site.data_dir("data");
    let disk = Disk::of(&data);
    // At once, and in the middle of the new store.
    for bytes in [0, 50_000] {
        disk.fill_after(bytes);
        let refused = Service::try_start(disk.under(site.serve_command("data")), &data).await;
        let said = refused.err().expect("it does not start");
        assert!(said.contains("exit status: 1") && !said.contains("panicked"), "{said}");
        assert!(said.contains("full") && said.contains("make room"), "{said}");
        disk.mend();
    }
    let tester = site.add_client("tester", "operator");
    let service = start(&site, &disk).await;
    let caller = Caller::new(&service, &tester).await;
    assert_eq!(
        send_parcel(&caller, b"first".to_vec()).await.status(),
        StatusCode::CREATED
    );
    assert!(service.stop().await.success());
}
