//! Promises 1 and 8: what is over is removed, the service killed at each step of that; nothing stays behind for ever, and nothing goes that
//! is still waited for.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::handed_out::{JOB, JOB_FILE};
use super::place::{Payloads, Place};
use crate::in_every_place;
use crate::service::Service;
use crate::support::databases::TestDatabase;
use crate::wire::{self, Caller};

in_every_place!(housekeeping_killed_at_each_of_its_steps_removes_what_is_over,);

/// Payloads are kept for seven days, messages for ninety.
const PAYLOADS_ARE_OVER: u32 = 8 * 86_400;
const MESSAGES_ARE_OVER: u32 = 91 * 86_400;
const WAITING: &str = "a document nobody has collected yet";

async fn housekeeping_killed_at_each_of_its_steps_removes_what_is_over(store: TestDatabase, payloads: Payloads) {
    let place = Place::new(store, payloads, &[JOB_FILE]).await.with_clock();
    let steps = tranship::failpoint::HOUSEKEEPING.into_iter();
    // Payloads that are rows have no blobs to sweep.
    for failpoint in steps.filter(|failpoint| place.has_blobs() || *failpoint == "retention.rows_deleted") {
        let over = if failpoint == "retention.rows_deleted" {
            MESSAGES_ARE_OVER
        } else {
            PAYLOADS_ARE_OVER
        };
        if place.has_blobs() {
            // A blob that no message names.
            place
                .die_at("upload.stored", async |caller| {
                    _ = send(caller, "an upload cut short").await;
                })
                .await;
        }
        place
            .die_at(failpoint, async |caller| {
                if send(caller, failpoint).await.is_some() && collect(caller).await.is_some() {
                    jump(caller, over).await;
                }
            })
            .await;
    }
    let (service, caller) = place.live().await;
    let waiting = send(&caller, WAITING).await.expect("an answer");
    let (service, caller) = jumped(&place, service, &caller, PAYLOADS_ARE_OVER).await;
    // Of the messages that ended only what is known of them is left.
    place.is_swept(1).await;
    let payload = caller.get(&format!("/api/v1/messages/{waiting}/payload")).await;
    assert_eq!(payload.text().await.expect("all of it"), WAITING);
    collect(&caller).await.expect("an answer");
    let (service, caller) = jumped(&place, service, &caller, PAYLOADS_ARE_OVER).await;
    place.is_swept(0).await;
    assert_eq!(
        caller.message(&waiting).await.status(),
        "Acked",
        "it outlives its payload"
    );
    is_gone(&caller, &format!("/api/v1/messages/{waiting}/payload")).await;
    let (service, _) = jumped(&place, service, &caller, MESSAGES_ARE_OVER).await;
    for table in ["messages", "outcomes", "payloads", "uploads", "queue"] {
        let mut rows = u64::MAX;
        for _ in 0..100 {
            rows = place.number(&format!("select count(*) from {table}")).await;
            if rows == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(rows, 0, "{table}");
    }
    assert!(service.stop().await.success());
}

async fn is_gone(caller: &Caller, path: &str) {
    for _ in 0..100 {
        if caller.get(path).await.status() != StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} is still there");
}

async fn send(caller: &Caller, text: &str) -> Option<String> {
    let body = format!("{text:<40}");
    let body = if text == WAITING { WAITING.to_owned() } else { body };
    let answer = caller
        .try_post(&format!("/api/v1/jobs/{JOB}/messages"), body)
        .await
        .ok()?;
    let sent: Value = answer.json().await.ok()?;
    Some(sent["id"].as_str().expect("an id").to_owned())
}

/// Acknowledges everything there is.
async fn collect(caller: &Caller) -> Option<()> {
    loop {
        let answer = caller
            .try_post(&format!("/api/v1/jobs/{JOB}/leases"), "{}")
            .await
            .ok()?;
        let body: Value = answer.json().await.ok()?;
        let Some(receipt) = body["leases"][0]["receipt"].as_str() else {
            return Some(());
        };
        let path = format!("/api/v1/leases/{}/ack", wire::in_path(receipt));
        caller.try_post(&path, "").await.ok()?;
    }
}

/// Moves the clock; its tokens do not outlive that.
async fn jump(caller: &Caller, seconds: u32) {
    let body = format!("{{\"advance_seconds\":{seconds}}}");
    // There may be no answer.
    let _ = caller.try_post("/api/v1/sandbox/clock", body).await;
}

async fn jumped(place: &Place, service: Service, caller: &Caller, seconds: u32) -> (Service, Caller) {
    jump(caller, seconds).await;
    let caller = Caller::new(&service, &place.tester).await;
    (service, caller)
}
