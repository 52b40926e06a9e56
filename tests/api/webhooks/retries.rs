//! What becomes of a delivery that does not arrive.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use super::receiver::{Received, Receiver, Reply};
use super::{SECRET, app_telling, app_with};
use crate::app::Backend;

crate::on_both_backends!(
    what_is_not_taken_is_sent_again_later_and_later_under_the_same_id,
    a_receiver_may_ask_for_more_time_and_redirects_are_not_followed,
    attempts_are_bounded_and_what_was_given_up_can_be_replayed,
    an_answer_is_read_no_further_than_its_beginning,
    old_deliveries_are_removed,
);

async fn what_is_not_taken_is_sent_again_later_and_later_under_the_same_id(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    receiver.replies([
        Reply::Status(500, "", "down\u{0}for maintenance"),
        Reply::Status(404, "", ""),
        Reply::Status(503, "", ""),
    ]);
    app.end_a_message().await;
    app.send_webhooks().await;
    let delivery = app.delivery().await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&json!("pending"), &json!(1))
    );
    assert_eq!(
        delivery["last_answer"],
        json!({ "at": "2026-01-05T08:00:00Z", "status": 500, "detail": "down for maintenance" })
    );
    // Waits of 10, 20 and 40 seconds, less up to a fifth.
    for (attempt, wait) in [(1, 10), (2, 20), (3, 40)] {
        app.clock.advance_seconds(wait * 4 / 5 - 1);
        app.send_webhooks().await;
        assert_eq!(receiver.received().len(), attempt, "too early");
        app.clock.advance_seconds(wait / 5 + 1);
        app.send_webhooks().await;
        assert_eq!(receiver.received().len(), attempt + 1, "too late");
    }
    let requests = receiver.received();
    let ids: BTreeSet<&str> = requests.iter().map(Received::id).collect();
    let bodies: BTreeSet<&str> = requests.iter().map(|r| r.body.as_str()).collect();
    assert_eq!((ids.len(), bodies.len()), (1, 1));
    assert!(
        requests.iter().all(|r| r.is_signed_with(SECRET)),
        "each signed for its own time"
    );
    let times: BTreeSet<&String> = requests.iter().map(|r| &r.headers["webhook-timestamp"]).collect();
    assert_eq!(times.len(), 4);
    let delivery = app.delivery().await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&json!("delivered"), &json!(4))
    );
}

async fn a_receiver_may_ask_for_more_time_and_redirects_are_not_followed(backend: Backend) {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let app = app_telling(backend, &receiver).await;
    let location = format!("location: {}\r\n", elsewhere.url("/"));
    receiver.replies([
        Reply::Status(429, "retry-after: 300\r\n", ""),
        Reply::Status(307, location.leak(), ""),
    ]);
    app.end_a_message().await;
    app.send_webhooks().await;
    app.clock.advance_seconds(299);
    app.send_webhooks().await;
    assert_eq!(receiver.received().len(), 1);
    app.clock.advance_seconds(1);
    app.send_webhooks().await;
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(elsewhere.connections(), 0);
    let delivery = app.delivery().await;
    assert_eq!(
        (&delivery["state"], &delivery["last_answer"]["status"]),
        (&json!("pending"), &json!(307))
    );
}

async fn attempts_are_bounded_and_what_was_given_up_can_be_replayed(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with(backend, &receiver, |setup| setup.set("webhooks.max_attempts", "3")).await;
    receiver.always(Reply::Status(500, "", ""));
    app.end_a_message().await;
    for _ in 0..10 {
        app.send_webhooks().await;
        app.clock.advance_seconds(3600);
    }
    assert_eq!(receiver.received().len(), 3);
    let dead = app.delivery().await;
    assert_eq!(dead["state"], "dead", "{dead:#}");
    assert_eq!(app.deliveries("?state=dead").await.len(), 1);
    assert!(app.deliveries("?state=pending").await.is_empty());

    receiver.replies([Reply::Status(500, "", ""), Reply::Status(201, "", "")]);
    assert_eq!(app.replay(&dead).await, StatusCode::ACCEPTED);
    assert_eq!(app.replay(&dead).await, StatusCode::CONFLICT, "it is pending already");
    for _ in 0..2 {
        app.send_webhooks().await;
        app.clock.advance_seconds(60);
    }
    let requests = receiver.received();
    assert_eq!(requests.len(), 5);
    assert!(
        requests
            .iter()
            .all(|r| r.id() == dead["id"] && r.body == requests[0].body)
    );
    assert_eq!(app.delivery().await["state"], "delivered");
    // What arrived can be sent once more too; a receiver that is gone for good is believed.
    receiver.replies([Reply::Status(410, "", "")]);
    assert_eq!(app.replay(&dead).await, StatusCode::ACCEPTED);
    app.send_webhooks().await;
    let gone = app.delivery().await;
    assert_eq!((&gone["state"], &gone["attempts"]), (&json!("dead"), &json!(1)));
}

async fn an_answer_is_read_no_further_than_its_beginning(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    receiver.replies([Reply::Endless]);
    app.end_a_message().await;
    let begun = Instant::now();
    app.send_webhooks().await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let delivery = app.delivery().await;
    assert_eq!(delivery["state"], "delivered");
    assert_eq!(delivery["last_answer"]["detail"], "x".repeat(1024));
}

async fn old_deliveries_are_removed(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with(backend, &receiver, |setup| setup.set("webhooks.max_attempts", "1")).await;
    receiver.replies([Reply::Status(200, "", ""), Reply::Status(500, "", "")]);
    for _ in 0..2 {
        app.end_a_message().await;
        app.send_webhooks().await;
    }
    let now = app.clock.now();
    let prune = async |delivered, dead| app.context.store.prune_deliveries(delivered, dead).await.unwrap();
    assert_eq!(prune(now, now).await, 0, "neither is older than now");
    let later = now.plus_seconds(1);
    assert_eq!(prune(later, now).await, 1);
    assert_eq!(app.delivery().await["state"], "dead");
    assert_eq!(prune(later, later).await, 1);
    assert!(app.deliveries("").await.is_empty());
}
