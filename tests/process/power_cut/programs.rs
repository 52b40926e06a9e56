//! The power goes right after a program of the command line said that all went well, on the machine it runs on.

use std::process::Command;

use reqwest::StatusCode;

use super::disk::{self, Disk, Loss};
use super::load;
use super::recording::Recorder;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::wire::{Caller, json};

/// A service that runs on another machine, where the power stays.
async fn served() -> (Site, Credentials, Service, Caller) {
    let site = load::furnished(Site::empty());
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    (site, tester, service, caller)
}

async fn send(caller: &Caller, number: u64) -> String {
    let path = format!("/api/v1/jobs/{}/messages?external_id={number}.bin", load::RELAY);
    let sent = json(caller.post(&path, load::body(number)).await, StatusCode::CREATED).await;
    sent["id"].as_str().expect("an id").to_owned()
}

/// Runs `command` to its good end, and cuts the power on what is in `home`.
async fn cut_after(mut command: Command, home: &std::path::Path) {
    let base = Disk::of(home);
    let recorder = Recorder::of(&mut command, home);
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it is waited for");
    let output = ran.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let recording = recorder.end(base, home);
    std::fs::remove_dir_all(home).expect("the old disk goes");
    std::fs::create_dir_all(home).expect("a folder");
    disk::write(&recording.disk.after_cut(Loss::Everything), home);
}

/// What the agent acknowledged is in its folder, also where it made that folder itself, and unpacked a package with folders into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_acknowledged_is_in_its_folder() {
    let (site, tester, service, caller) = served().await;
    let home = site.path("home");
    std::fs::create_dir_all(&home).expect("a folder");
    let config = format!(
        "[server]\nurl = \"{}\"\nclient_id = \"{}\"\nsecret_env = \"AGENT_SECRET\"\n[agent]\npoll_seconds = 1\nstate_dir = \"state/of/it\"\n\
         [[download]]\nname = \"documents\"\njob = \"{}\"\nfolder = \"documents/of/today\"\nunzip = true\n",
        service.base,
        tester.id,
        load::RELAY
    );
    site.write("home/agent.toml", &config);
    let plain = send(&caller, 3).await;
    let path = format!("/api/v1/jobs/{}/messages?external_id=package.zip", load::RELAY);
    let packed = json(caller.post(&path, package()).await, StatusCode::CREATED).await;
    let mut command = site.command(&["agent", "--once", "--wait", "60"]);
    command
        .current_dir(&home)
        .env("AGENT_SECRET", &tester.secret)
        .env("NO_PROXY", "*");
    cut_after(command, &home).await;
    let packed = packed["id"].as_str().expect("an id");
    for id in [&plain, packed] {
        assert_eq!(caller.message(id).await.status(), "Acked");
    }
    let folder = home.join("documents/of/today");
    let collected = std::fs::read(folder.join("3.bin"));
    assert!(collected.expect("it is there") == load::body(3), "its bytes are lost");
    let text = std::fs::read_to_string(folder.join("package/in/here/orders.csv"));
    assert_eq!(text.expect("it is there"), "1,2");
    assert!(service.stop().await.success());
}

fn package() -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("in/here/orders.csv", zip::write::SimpleFileOptions::default())
        .expect("a member");
    zip.write_all(b"1,2").expect("in memory");
    zip.finish().expect("a zip").into_inner()
}

/// A backup that was made is whole, wherever it was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_made_is_whole() {
    let (site, tester, service, caller) = served().await;
    let messages = [send(&caller, 3).await, send(&caller, 4).await];
    let home = site.path("home");
    std::fs::create_dir_all(&home).expect("a folder");
    let mut command = site.command(&["backup"]);
    command
        .arg(home.join("backups/of/today"))
        .env("TRANSHIP_DATA_DIR", site.data_dir("data"));
    cut_after(command, &home).await;
    assert!(service.stop().await.success());

    let after = load::furnished(Site::empty());
    std::fs::create_dir_all(after.data_dir("data")).expect("a folder");
    let mut command = after.command(&["restore"]);
    command
        .arg(home.join("backups/of/today"))
        .env("TRANSHIP_DATA_DIR", after.data_dir("data"));
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let service = after.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    for (id, number) in messages.iter().zip([3, 4]) {
        let payload = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
        assert_eq!(payload.bytes().await.expect("all of it"), load::body(number));
    }
    assert!(service.stop().await.success());
}
