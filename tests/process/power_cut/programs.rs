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
    let path = format!("/api/v1/jobs/{}/messages?external_id={number}", load::RELAY);
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
    let path = format!("/api/v1/jobs/{}/messages", load::RELAY);
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
    // Under names of its own.
    let mut collected = Vec::new();
    for entry in std::fs::read_dir(home.join("documents/of/today")).expect("its folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            let text = std::fs::read_to_string(path.join("in/here/orders.csv"));
            assert_eq!(text.expect("the package is there"), "1,2");
            collected.push("package");
        } else if path.extension().is_some_and(|extension| extension == "dat") {
            assert!(
                std::fs::read(path).expect("it reads") == load::body(3),
                "its bytes are lost"
            );
            collected.push("file");
        }
    }
    collected.sort_unstable();
    assert_eq!(collected, ["file", "package"]);
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

/// A backup that was made is whole, wherever it was made, with blobs and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_made_is_whole() {
    let (site, tester, service, caller) = served().await;
    let home = site.path("home");
    let mut sent = Vec::new();
    for number in [4, 3] {
        sent.push((send(&caller, number).await, number));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).expect("a folder");
        let mut command = site.command(&["backup"]);
        command.arg(home.join("backups/of/today"));
        command.env("TRANSHIP_DATA_DIR", site.data_dir("data"));
        cut_after(command, &home).await;
        restored(&home.join("backups/of/today"), &tester, &sent).await;
    }
    assert!(service.stop().await.success());
}

async fn restored(backup: &std::path::Path, tester: &Credentials, sent: &[(String, u64)]) {
    let after = load::furnished(Site::empty());
    std::fs::create_dir_all(after.data_dir("data")).expect("a folder");
    let mut command = after.command(&["restore"]);
    command.arg(backup).env("TRANSHIP_DATA_DIR", after.data_dir("data"));
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let service = after.start("data").await;
    let caller = Caller::new(&service, tester).await;
    for (id, number) in sent {
        let payload = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
        assert_eq!(payload.bytes().await.expect("all of it"), load::body(*number));
    }
    assert!(service.stop().await.success());
}
