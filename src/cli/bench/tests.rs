//! The bench against a real service of its own.

use std::sync::Arc;

use clap::Parser as _;

use super::service::{Embedded, JOB, sign_in};
use super::tally::Load;
use super::wire::Wire;
use super::work::{self, Plan, Work};
use crate::cli::{Cli, Exit};

fn load(batch: u16, messages: u64) -> Load {
    Load {
        clients: 4,
        batch,
        seconds: 1,
        warm_up_seconds: 0,
        messages: Some(messages),
        payload_bytes: 1024,
    }
}

async fn plan(embedded: &Embedded, load: Load) -> Plan {
    let target = sign_in(&embedded.url, &embedded.client, &embedded.secret)
        .await
        .expect("a token");
    Plan {
        target,
        wire: Wire::new(JOB, load.payload_bytes),
        load,
        ids: Vec::new(),
    }
}

async fn embedded() -> (tempfile::TempDir, Embedded) {
    let parent = tempfile::tempdir().expect("a folder");
    let embedded = Embedded::start(parent.path(), None).await.expect("a service");
    (parent, embedded)
}

#[tokio::test]
async fn what_was_enqueued_can_be_polled() {
    let (parent, embedded) = embedded().await;
    let filled = Arc::new(plan(&embedded, load(1, 20)).await);
    let (tally, _) = work::run(Work::Fill, &filled).await.expect("a fill");
    assert_eq!(tally.figures("fill", &filled.load, 1.0).messages_total, 20);
    let mut polled = plan(&embedded, load(1, 20)).await;
    polled.ids = tally.into_ids();
    assert_eq!(polled.ids.len(), 20);
    let polled = Arc::new(polled);
    for work in [Work::Status, Work::Live] {
        let (tally, _) = work::run(work, &polled).await.expect("polls");
        let figures = tally.figures(work.name(), &polled.load, 1.0);
        assert!(figures.operations[work.name()].count > 30, "{figures:?}");
    }
    embedded.stop().await.expect("an orderly end");
    assert_eq!(std::fs::read_dir(parent.path()).expect("the folder").count(), 0);
}

#[tokio::test]
async fn a_cycle_leaves_the_queue_empty() {
    let (_parent, embedded) = embedded().await;
    for batch in [1, 10] {
        let cycled = Arc::new(plan(&embedded, load(batch, 45)).await);
        let (tally, _) = work::run(Work::Cycle, &cycled).await.expect("cycles");
        let figures = tally.figures("cycle", &cycled.load, 1.0);
        assert_eq!((figures.messages_total, tally.owed), (45, 0));
        let (held, _) = work::run(Work::Hold, &cycled).await.expect("leases");
        assert_eq!(
            held.figures("hold", &cycled.load, 1.0).messages_total,
            0,
            "nothing is left"
        );
    }
    embedded.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_the_service_s_own_words() {
    let (_parent, embedded) = embedded().await;
    let failure = sign_in(&embedded.url, "dev", "no such secret")
        .await
        .err()
        .expect("a refusal");
    assert!(failure.what.starts_with("signing in was answered 4"), "{failure}");
    embedded.stop().await.expect("an orderly end");
}

#[test]
fn a_running_service_needs_a_client_and_a_job() {
    assert!(Cli::try_parse_from(["tranship", "bench", "queue"]).is_ok());
    assert!(Cli::try_parse_from(["tranship", "bench", "queue", "--url", "http://127.0.0.1:1"]).is_err());
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let url = "http://127.0.0.1:9".parse().expect("a URL");
    let failure = sign_in(&url, "dev", "x").await.err().expect("nobody there");
    assert_eq!(failure.exit, Exit::Unreachable);
}
