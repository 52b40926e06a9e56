//! Promise 8, and what users are told of it: webhooks and deliveries to destinations arrive at least once, under one id, however the service
//! dies meanwhile.

use std::time::Duration;

use reqwest::StatusCode;

use super::place::{Payloads, Place};
use crate::collector::Collector;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;
use crate::wire::{self, Caller};

on_both_databases!(what_is_told_to_others_arrives_at_least_once_under_one_id,);

const STOCK: &str = "name = \"Stock\"\ntable = \"stock\"\ncreate_table = true\nkey = [\"item\"]\n[[fields]]\nname = \"item\"\nmax_length = 10\n";
const IN: &str = "00000000-0000-4000-8000-0000000000a1";
const OUT: &str = "00000000-0000-4000-8000-0000000000a2";
/// Longer than the lease of any attempt.
const LEASES_ARE_OVER: &str = "{\"advance_seconds\":300}";

async fn site(store: TestDatabase, collector: &Collector) -> Place {
    let base = &collector.base;
    let incoming = format!(
        "id = \"{IN}\"\nname = \"Stock in\"\ndirection = \"import\"\nclients = [\"tester\"]\n[import]\nformat = \"csv\"\n\
         [[import.entities]]\nentity = \"Stock\"\n[webhook]\nurl = \"{base}/hook\"\nsecret_env = \"HOOK_SECRET\"\n"
    );
    let outgoing = format!(
        "id = \"{OUT}\"\nname = \"Stock out\"\ndirection = \"export\"\nclients = [\"tester\"]\n[export]\nformat = \"csv\"\n\
         [[export.entities]]\nentity = \"Stock\"\n[[export.destinations]]\nname = \"mirror\"\nkind = \"http\"\nurl = \"{base}/mirror\"\n"
    );
    let definitions = [
        ("entities/stock.toml", STOCK),
        ("jobs/in.toml", &incoming),
        ("jobs/out.toml", &outgoing),
    ];
    let mut place = Place::new(store, Payloads::Inline, &definitions).await.with_clock();
    for (name, value) in [
        ("TRANSHIP_WEBHOOKS__ALLOW_PRIVATE", "true"),
        ("TRANSHIP_WEBHOOKS__ALLOW_HTTP", "true"),
        ("TRANSHIP_DESTINATIONS__ALLOW_PRIVATE", "true"),
        ("TRANSHIP_DESTINATIONS__ALLOW_HTTP", "true"),
        ("HOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ] {
        place.site.set(name, value);
    }
    place
}

async fn what_is_told_to_others_arrives_at_least_once_under_one_id(store: TestDatabase) {
    let collector = Collector::start().await;
    let place = site(store, &collector).await;
    let (service, caller) = place.live().await;
    import(&caller, "first").await;
    collector.call("/hook").await;
    assert!(service.stop().await.success());
    for failpoint in tranship::failpoint::OUTGOING {
        let path = if failpoint.starts_with("webhook") {
            "/hook"
        } else {
            "/mirror"
        };
        let before = collector.ids(path);
        place
            .die_at(failpoint, async |caller| {
                if path == "/hook" {
                    import(caller, failpoint).await;
                } else {
                    _ = caller.try_post(&format!("/api/v1/jobs/{OUT}/run"), "").await;
                }
            })
            .await;
        let (service, caller) = place.live().await;
        let jumped = caller.post("/api/v1/sandbox/clock", LEASES_ARE_OVER).await;
        assert_eq!(jumped.status(), StatusCode::OK);
        // What was sent and not written down is sent again; what was written down is not.
        let times = if failpoint.ends_with("sent") { 2 } else { 1 };
        for _ in 0..100 {
            if collector.ids(path).len() >= before.len() + times {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let told = collector.ids(path).split_off(before.len());
        assert_eq!(told.len(), times, "{failpoint}: {told:?}");
        assert!(told.iter().all(|id| *id == told[0]), "{failpoint}: one id: {told:?}");
        assert!(
            !told[0].is_empty() && !before.contains(&told[0]),
            "{failpoint}: {told:?} after {before:?}"
        );
        assert!(service.stop().await.success());
    }
    let open = "select count(*) from webhook_deliveries where state = 'pending'";
    assert_eq!(place.number(open).await, 0);
    let open = "select count(*) from export_deliveries where state = 'pending'";
    assert_eq!(place.number(open).await, 0);
}

async fn import(caller: &Caller, item: &str) {
    let item: String = item.chars().filter(|c| *c != '.').take(10).collect();
    let path = format!("/api/v1/jobs/{IN}/messages");
    let answer = caller.post(&path, format!("item\n{item}\n")).await;
    wire::json(answer, StatusCode::CREATED).await;
}
