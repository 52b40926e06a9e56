//! Promises 1, 2 and 3: a message handed out, downloaded and acknowledged, the service killed after each commit and before its answer, on
//! both surfaces.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::place::{Payloads, Place};
use crate::in_every_place;
use crate::support::databases::TestDatabase;
use crate::wire::{self, Caller, in_path};

in_every_place!(a_message_whose_answers_are_cut_short_is_delivered,);

pub const JOB: &str = "00000000-0000-4000-8000-0000000000e1";
pub const JOB_FILE: (&str, &str) = (
    "jobs/relay.toml",
    "id = \"00000000-0000-4000-8000-0000000000e1\"\nname = \"Documents\"\ndirection = \"relay\"\nclients = [\"tester\"]\n\
     [queue]\nlease_seconds = 2\n",
);

/// What an answer said of a message handed out.
#[derive(Debug, Clone)]
struct Handed {
    /// Where its bytes are.
    payload: String,
    /// Where it is acknowledged, and with what.
    ack: (String, String),
}

#[derive(Clone, Copy)]
pub enum Surface {
    Native,
    Connector,
}

/// Where it is killed, and on which surface.
pub const STEPS: [(&str, Surface); 5] = [
    ("lease.committed", Surface::Native),
    ("ack.committed", Surface::Native),
    ("lease.committed", Surface::Connector),
    ("download.marked", Surface::Connector),
    ("ack.committed", Surface::Connector),
];

impl Surface {
    /// The next message; `None` where there was no answer, `Some(None)` where there was no message.
    async fn next(self, caller: &Caller) -> Option<Option<Handed>> {
        match self {
            Self::Native => {
                let path = format!("/api/v1/jobs/{JOB}/leases");
                let answer = caller.try_post(&path, "{\"lease_seconds\":2}").await.ok()?;
                let body: Value = answer.json().await.ok()?;
                let lease = &body["leases"][0];
                let text = |member: &str| lease[member].as_str().map(str::to_owned);
                Some(text("receipt").map(|receipt| Handed {
                    payload: lease["links"]["payload"].as_str().expect("a link").to_owned(),
                    ack: (format!("/api/v1/leases/{}/ack", in_path(&receipt)), String::new()),
                }))
            }
            Self::Connector => {
                let answer = caller.try_get(&format!("/api/connector/dequeue/{JOB}")).await.ok()?;
                if answer.status() == StatusCode::NO_CONTENT {
                    return Some(None);
                }
                let delivery: Value = answer.json().await.ok()?;
                let location = delivery["DownloadLocation"].as_str().expect("a location");
                Some(Some(Handed {
                    payload: location[location.find("/api/").expect("a path")..].to_owned(),
                    ack: (format!("/api/connector/ack/{JOB}"), delivery.to_string()),
                }))
            }
        }
    }
}

impl Handed {
    async fn bytes(&self, caller: &Caller) -> Option<Vec<u8>> {
        let answer = caller.try_get(&self.payload).await.ok()?;
        assert_eq!(answer.status(), StatusCode::OK, "{self:?}");
        Some(answer.bytes().await.ok()?.to_vec())
    }

    async fn acknowledge(&self, caller: &Caller) -> Option<()> {
        let (path, body) = self.ack.clone();
        let answer = caller.try_post(&path, body).await.ok()?;
        assert_eq!(answer.status(), StatusCode::OK, "{self:?}");
        Some(())
    }
}

async fn a_message_whose_answers_are_cut_short_is_delivered(store: TestDatabase, payloads: Payloads) {
    let place = Place::new(store, payloads, &[JOB_FILE]).await;
    for (number, (failpoint, surface)) in STEPS.into_iter().enumerate() {
        let text = format!("document {number}, handed out until {failpoint}");
        let mut seen = None;
        place
            .die_at(failpoint, async |caller| {
                let path = format!("/api/v1/jobs/{JOB}/messages");
                let answer = caller.post(&path, text.clone()).await;
                wire::json(answer, StatusCode::CREATED).await;
                seen = deliver(surface, caller, &text).await;
            })
            .await;
        mended(&place, surface, (failpoint, &text), seen).await;
    }
    place.is_swept(STEPS.len() as u64).await;
}

/// Does with the next message what clients do, as far as there are answers; with what was handed out.
async fn deliver(surface: Surface, caller: &Caller, text: &str) -> Option<Handed> {
    let handed = surface.next(caller).await?.expect("the message just sent");
    if handed.bytes(caller).await.is_some_and(|bytes| bytes == text.as_bytes()) {
        handed.acknowledge(caller).await;
    }
    Some(handed)
}

/// What was acknowledged stays so, also when it is said again, as the answer was lost; anything else comes again, under a later epoch.
async fn mended(place: &Place, surface: Surface, (failpoint, text): (&str, &str), seen: Option<Handed>) {
    // Of the one message that is not acknowledged; nobody need have heard of it.
    let epoch = "select coalesce(max(epoch), 0) from queue";
    let before = place.number(epoch).await;
    let (service, caller) = place.live().await;
    if failpoint == "ack.committed" {
        seen.expect("it was handed out")
            .acknowledge(&caller)
            .await
            .expect("the same answer");
    } else {
        let mut again = None;
        for _ in 0..100 {
            again = surface.next(&caller).await.expect("an answer");
            if again.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let again = again.unwrap_or_else(|| panic!("{failpoint}: its lease lapses and it is handed out again"));
        let now = place.number(epoch).await;
        assert!(
            before > 0 && now > before,
            "{failpoint}: epoch {now} after epoch {before}"
        );
        assert_eq!(
            again.bytes(&caller).await.expect("an answer"),
            text.as_bytes(),
            "{failpoint}"
        );
        again.acknowledge(&caller).await.expect("an answer");
    }
    // Longer than a lease: what is acknowledged does not come back.
    tokio::time::sleep(std::time::Duration::from_millis(2200)).await;
    for surface in [Surface::Native, Surface::Connector] {
        let more = surface.next(&caller).await.expect("an answer");
        assert!(more.is_none(), "{failpoint}: {more:?} after the acknowledgement");
    }
    let answer = caller.get("/api/v1/messages?limit=100").await;
    let listed = wire::json(answer, StatusCode::OK).await;
    for message in listed["messages"].as_array().expect("a list") {
        assert_eq!(message["status"], json!("Acked"), "{failpoint}: {message:#}");
    }
    assert!(service.stop().await.success());
}
