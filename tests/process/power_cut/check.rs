//! After the cut: the service starts, and everything that was answered before it is so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::load::{self, Fact, RELAXED, RELAY, Told};
use crate::readings;
use crate::site::{Credentials, Site};
use crate::support::databases::rows;
use crate::wire::{Caller, json};

/// Starts the service on what is left and checks it against what was told before. With what it tells now.
pub async fn all(site: &Site, tester: &Credentials, told: &[&Told]) -> Vec<Fact> {
    let service = site.start("data").await;
    let caller = Caller::new(&service, tester).await;
    let messages = messages(&caller).await;
    for told in told {
        holds(&messages, &told.fact);
    }
    payloads(&caller, &messages, told).await;
    let files = imports(&caller, &messages, told).await;
    readings::assert_landed(site, &files).await;
    let now = exports(site, &caller, told).await;
    integrity(site).await;
    assert!(service.stop().await.success());
    now
}

/// All messages there are, by id.
async fn messages(caller: &Caller) -> BTreeMap<String, Value> {
    let (mut found, mut page) = (BTreeMap::new(), String::new());
    loop {
        let listed = json(
            caller.get(&format!("/api/v1/messages?limit=200{page}")).await,
            StatusCode::OK,
        )
        .await;
        for message in listed["messages"].as_array().expect("a list") {
            found.insert(message["id"].as_str().expect("an id").to_owned(), message.clone());
        }
        let Some(next) = listed["next"].as_str() else {
            return found;
        };
        page = format!("&before={next}");
    }
}

fn holds(messages: &BTreeMap<String, Value>, fact: &Fact) {
    match fact {
        Fact::Perhaps => {}
        Fact::Kept { id } | Fact::Sent { id } | Fact::Fetched { id, .. } => {
            assert!(messages.contains_key(id), "lost: {fact:?}");
        }
        Fact::Acked { id } => {
            let message = messages.get(id).unwrap_or_else(|| panic!("lost: {fact:?}"));
            assert_eq!(message["status"], "Acked", "{fact:?}: {message:#}");
        }
        Fact::Ended { id, status, .. } => {
            let message = messages.get(id).unwrap_or_else(|| panic!("lost: {fact:?}"));
            assert_eq!(message["status"], **status, "{fact:?}: {message:#}");
        }
    }
}

/// Every relay message has its bytes, answered or not, relaxed or not: there is no row without what it names.
async fn payloads(caller: &Caller, messages: &BTreeMap<String, Value>, told: &[&Told]) {
    let mut checked = 0;
    for (id, message) in messages {
        if message["job_id"] != RELAY && message["job_id"] != RELAXED {
            continue;
        }
        let number: u64 = message["external_id"]
            .as_str()
            .expect("its number")
            .parse()
            .expect("a number");
        let payload = caller.get(&format!("/api/v1/messages/{id}/payload")).await;
        assert_eq!(payload.status(), StatusCode::OK, "{message:#}");
        let bytes = payload.bytes().await.expect("all of it");
        assert!(bytes == load::body(number), "{id} does not have the bytes of {number}");
        checked += 1;
    }
    let kept = told
        .iter()
        .filter(|told| matches!(told.fact, Fact::Kept { .. }))
        .count();
    assert!(checked >= kept, "{checked} payloads of {kept} messages");
}

/// Every file that is there lands, and what was told of one that ended is still so. All files that landed.
async fn imports(caller: &Caller, messages: &BTreeMap<String, Value>, told: &[&Told]) -> Vec<readings::Readings> {
    let mut ended = BTreeMap::new();
    for told in told {
        if let Fact::Ended { id, records, .. } = &told.fact {
            ended.insert(id.as_str(), records);
        }
    }
    let mut files = vec![load::file(0)];
    for (id, message) in messages
        .iter()
        .filter(|(_, message)| message["entity"] == readings::ENTITY)
    {
        // Those of the export are not for it to land, and the first has no number.
        let Some(number) = message["external_id"].as_str().and_then(|text| text.parse().ok()) else {
            continue;
        };
        let file = load::file(number);
        let now = caller.ended(id).await;
        file.assert_counted(&now);
        if let Some(before) = ended.get(id.as_str()) {
            assert_eq!(now.0["records"], **before, "{id}");
        }
        files.push(file);
    }
    files
}

/// What was exported before and what is exported now tell each row that landed, once.
async fn exports(site: &Site, caller: &Caller, told: &[&Told]) -> Vec<Fact> {
    let now = collected(caller).await;
    let mut lines: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
    for fact in told.iter().map(|told| &told.fact).chain(&now) {
        if let Fact::Fetched { id, lines: of_it } = fact {
            lines.insert(id, of_it);
        }
    }
    let item = |line: &String| line.split(',').next().unwrap_or_default().parse().expect("a number");
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for number in lines.into_values().flatten().map(item) {
        *times.entry(number).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "told by two messages: {twice:?}");
    let landed = rows(site.business_url(), "select cast(reading as text) from landings").await;
    let landed: BTreeSet<u64> = landed
        .into_iter()
        .flatten()
        .flatten()
        .map(|text| text.parse().expect("a number"))
        .collect();
    let missing: Vec<_> = landed.iter().filter(|number| !times.contains_key(number)).collect();
    assert!(missing.is_empty(), "landed, and told by no message: {missing:?}");
    now
}

/// Everything that is exported and not yet acknowledged.
async fn collected(caller: &Caller) -> Vec<Fact> {
    let mut now = Vec::new();
    for _ in 0..100 {
        load::export(caller, |fact| now.push(fact)).await;
        // What was handed out before the cut comes again when its lease is over.
        let is_out = |message: &Value| message["job_id"] == load::EXPORT && message["status"] != "Acked";
        if !messages(caller).await.values().any(is_out) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("exported messages are not handed out");
}

/// SQLite finds no damage.
async fn integrity(site: &Site) {
    if site.business_url().starts_with("postgres") {
        return;
    }
    let store = format!("sqlite://{}/tranship.db", site.data_dir("data").display());
    for url in [&store, site.business_url()] {
        let found = rows(url, "pragma integrity_check").await;
        assert_eq!(found, [[Some("ok".to_owned())]], "{url}");
    }
}
