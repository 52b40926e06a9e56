//! `tranship agent` as a child process, against the service and against a stand-in for the real product.

mod config;
mod crashes;
mod folders;
mod order;
mod outages;
mod packages;
mod product;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reqwest::StatusCode;
use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::wire::{Caller, json};

/// Imports of stock, and a queue of documents.
const STOCK: &str = "5f3c6a0e-2d0e-4d2b-bb0c-0e6b0c9f8d01";
const DOCUMENTS: &str = "5f3c6a0e-2d0e-4d2b-bb0c-0e6b0c9f8d02";

const ENTITY: &str = "name = \"Stock\"\ntable = \"stock\"\ncreate_table = true\nkey = [\"item\"]\n\
    [[fields]]\nname = \"item\"\ntype = \"int\"\n[[fields]]\nname = \"quantity\"\ntype = \"int\"\n";

/// A service with both jobs, and the folders of an agent beside it.
struct Scene {
    site: Site,
    tester: Credentials,
}

impl Scene {
    /// `store` is the service's.
    async fn on(store: crate::support::databases::TestDatabase) -> Self {
        let site = Site::on(store).await;
        site.write("entities/stock.toml", ENTITY);
        let job = |id: &str, name: &str, rest: &str| {
            format!("id = \"{id}\"\nname = \"{name}\"\nclients = [\"tester\"]\n{rest}")
        };
        let import = "direction = \"import\"\n[import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Stock\"\n";
        site.write("jobs/stock.toml", &job(STOCK, "Inbound stock", import));
        let relay = "direction = \"relay\"\ndata_source = \"file\"\n[queue]\nlease_seconds = 1\n";
        site.write("jobs/documents.toml", &job(DOCUMENTS, "Documents", relay));
        let tester = site.add_client("tester", "operator");
        Self { site, tester }
    }

    /// Writes `agent.toml`: the server at this address, and these folders.
    fn configure(&self, base: &str, folders: &str) {
        let text = format!(
            "[server]\nurl = \"{base}\"\nclient_id = \"{}\"\nsecret_env = \"AGENT_SECRET\"\n[agent]\npoll_seconds = 1\n{folders}",
            self.tester.id
        );
        self.site.write("agent.toml", &text);
    }

    /// `tranship agent ARGUMENTS`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(&["agent"]);
        command
            .args(arguments)
            .env("AGENT_SECRET", &self.tester.secret)
            .env("NO_PROXY", "*");
        command
    }

    /// Works through what is there; how it ended.
    fn once(&self) -> Output {
        self.command(&["--once", "--wait", "60"]).output().expect("it runs")
    }

    /// Works through what is there, which must go well.
    fn once_well(&self) {
        let output = self.once();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// Starts it with a failpoint that kills it.
    async fn dies_at(&self, failpoint: &str) {
        let mut command = self.command(&["--once", "--wait", "60"]);
        command.env("FAILPOINT", failpoint);
        Service::dies(command, &self.site.path("agent")).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.path(name)
    }

    /// The names in a folder, sorted, without hidden ones.
    fn names(&self, folder: &str) -> Vec<String> {
        names(&self.path(folder))
    }

    /// What lies in a folder of the error kind, as JSON.
    fn reasons(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// `--status --json`, of one folder.
    fn status(&self, folder: &str) -> Value {
        let output = self.command(&["--status", "--json"]).output().expect("it runs");
        let all: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        let folders = all["folders"].as_array().expect("folders").clone();
        folders
            .into_iter()
            .find(|one| one["name"] == folder)
            .unwrap_or_else(|| panic!("{folder} in {all}"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(name).filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder of stock files that are sent as soon as they are seen.
fn stock(more: &str) -> String {
    format!(
        "[[upload]]\nname = \"stock\"\njob = \"{STOCK}\"\nentity = \"Stock\"\nfolder = \"stock\"\nstable_seconds = 0\n{more}"
    )
}

/// A folder of documents that are collected.
fn documents(more: &str) -> String {
    format!("[[download]]\nname = \"documents\"\njob = \"{DOCUMENTS}\"\nfolder = \"documents\"\n{more}")
}

/// External identifiers of a job's messages, oldest first.
async fn messages(caller: &Caller, job: &str) -> Vec<Value> {
    let page = json(
        caller.get(&format!("/api/v1/messages?job={job}&limit=200")).await,
        StatusCode::OK,
    )
    .await;
    let mut list = page["messages"].as_array().expect("messages").clone();
    list.reverse();
    list
}

fn external_ids(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["external_id"].as_str().expect("a name"))
        .collect()
}
