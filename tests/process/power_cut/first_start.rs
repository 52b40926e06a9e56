//! The power goes while a store is made: the next start makes it, or goes on with it. And a client that was added is there.

use reqwest::StatusCode;

use super::disk::{self, Disk, Loss};
use super::recording::{self, Recorder};
use super::{cut, load};
use crate::readings;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::chance::Chance;
use crate::support::databases::rows;
use crate::wire::{Caller, json};

const CUTS: usize = 8;

fn empty() -> Site {
    let site = Site::empty();
    for folder in ["jobs", "entities", "data"] {
        std::fs::create_dir_all(site.path(folder)).expect("a folder");
    }
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_cut_short_is_begun_again() {
    let mut chance = Chance::announced("TRANSHIP_POWER_SEED");
    let site = empty();
    let data = site.data_dir("data");
    let (mut disk, base) = (Disk::of(&data), Disk::of(&data));
    let (recorder, service) = recording::start(&site).await;
    service.kill9();
    let recording = recorder.end(base, &data);
    let mut cuts: Vec<(usize, Loss)> = (0..CUTS).map(|_| cut(&mut chance, &recording, &[])).collect();
    // When the store has its name, too, but nothing has been checkpointed into it yet.
    cuts.extend((0..CUTS).map(|_| (recording.entries.len(), Loss::Some(chance.number()))));
    cuts.sort_by_key(|(at, _)| *at);
    let mut done = 0;
    for (at, loss) in cuts {
        recording.entries[done..at]
            .iter()
            .for_each(|entry| disk.apply(&entry.op));
        done = at;
        eprintln!("after entry {at} of {}, {loss:?}", recording.entries.len());
        let after = empty();
        disk::write(&disk.after_cut(loss), &after.data_dir("data"));
        let tester = after.add_client("tester", "operator");
        let service = after.start("data").await;
        Caller::new(&service, &tester).await;
        assert!(service.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_added_is_there() {
    let site = empty();
    let data = site.data_dir("data");
    let base = Disk::of(&data);
    let mut command = site.command(&["client", "add", "tester", "--role", "operator", "--json"]);
    // Folders it makes itself.
    command.env("TRANSHIP_DATA_DIR", data.join("made/here"));
    let recorder = Recorder::of(&mut command, &data);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let added: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let recording = recorder.end(base, &data);
    let after = empty();
    disk::write(&recording.disk.after_cut(Loss::Everything), &after.data_dir("data"));
    let made = after.data_dir("data").join("made/here");
    let mut command = after.serve_command("data");
    command.env("TRANSHIP_DATA_DIR", &made);
    let service = Service::start(command, &made).await;
    let text = |member: &str| added[member].as_str().expect("a text").to_owned();
    let tester = Credentials {
        id: text("client_id"),
        secret: text("client_secret"),
    };
    Caller::new(&service, &tester).await;
    assert!(service.stop().await.success());
}

/// The very first payload and the very first import make folders and databases, whose names have to last, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_first_start_took_in_is_there() {
    let site = || {
        let mut site = load::furnished(empty());
        let business = format!("sqlite://{}/books/of/business.db", site.data_dir("data").display());
        site.set("TRANSHIP_DATABASES__MAIN__URL", &business);
        (site, business)
    };
    let (before, _) = site();
    let tester = before.add_client("tester", "operator");
    let data = before.data_dir("data");
    let base = Disk::of(&data);
    let (recorder, service) = recording::start(&before).await;
    let caller = Caller::new(&service, &tester).await;
    let file = load::file(1);
    let imported = caller.push(readings::JOB, readings::ENTITY, file.file()).await;
    file.assert_counted(&caller.ended(&imported).await);
    let large = caller
        .post(&format!("/api/v1/jobs/{}/messages", load::RELAY), load::body(3))
        .await;
    let large = json(large, StatusCode::CREATED).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    service.kill9();
    let recording = recorder.end(base, &data);

    let (after, business) = site();
    disk::write(&recording.disk.after_cut(Loss::Everything), &after.data_dir("data"));
    let service = after.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    file.assert_counted(&caller.ended(&imported).await);
    let landed = rows(&business, "select cast(count(*) as text) from meter_readings").await;
    assert_eq!(landed, [[Some(file.good().to_string())]]);
    let payload = caller.get(&format!("/api/v1/messages/{large}/payload")).await;
    assert_eq!(payload.bytes().await.expect("all of it"), load::body(3));
    assert!(service.stop().await.success());
}
