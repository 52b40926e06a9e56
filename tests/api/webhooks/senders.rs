//! Senders: where they may send to, what they do to each other, and how they end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::receiver::{Received, Receiver, Reply};
use super::{CUSTOMERS, app_telling, app_with, job};
use crate::app::Backend;

crate::on_both_backends!(
    destinations_that_are_not_public_are_refused,
    a_sender_that_dies_after_sending_is_followed_by_one_that_sends_the_same_again,
    several_senders_send_each_delivery_once,
    a_sender_past_its_lease_changes_nothing,
    a_dead_destination_holds_up_nobody_else,
    a_sender_that_stops_hands_back_what_is_under_way,
);

async fn destinations_that_are_not_public_are_refused(backend: Backend) {
    let receiver = Receiver::start().await;
    let port = receiver.port;
    let hosts = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0.0.0.0",
    ];
    let app = app_with(backend, &receiver, |setup| {
        let url = format!("http://localhost:{port}/");
        job(setup, &format!("url = \"{url}\"\nper_message = true"));
        setup.set("webhooks.allow_private", "false");
    })
    .await;
    for host in hosts {
        let path = format!("/api/v1/jobs/{}/messages?entity=Customers", app.job("Told customers"));
        let request = app.request(Method::POST, &path).bearer_auth(&app.token).body(CUSTOMERS);
        let named = request.header("Tranship-Webhook", format!("http://{host}:{port}/"));
        let status = named.send().await.unwrap().status();
        // Only a name has to be looked up first.
        let expected = if host == "localhost" {
            StatusCode::CREATED
        } else {
            StatusCode::BAD_REQUEST
        };
        assert_eq!(status, expected, "{host}");
    }
    app.run_until_idle().await;
    app.end_a_message().await;
    app.send_webhooks().await;
    let refused = app.deliveries("").await;
    assert_eq!(refused.len(), 2);
    for delivery in refused {
        assert_eq!(
            (&delivery["state"], &delivery["attempts"]),
            (&json!("dead"), &json!(1)),
            "{delivery:#}"
        );
        let detail = delivery["last_answer"]["detail"].as_str().unwrap();
        assert!(
            detail.contains("localhost") && detail.contains("webhooks.allow_private"),
            "{detail}"
        );
    }
    assert_eq!(receiver.connections(), 0, "nobody was connected to");
}

async fn a_sender_that_dies_after_sending_is_followed_by_one_that_sends_the_same_again(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    app.end_a_message().await;
    receiver.replies([Reply::Hang]);
    let doomed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sender = app.another_sender(&CancellationToken::new());
    doomed.spawn(async move { sender.run_until_idle().await });
    receiver.wait_for(1).await;
    // The process is gone between sending and writing down.
    doomed.shutdown_background();
    app.send_webhooks().await;
    receiver.only();
    let held = app.delivery().await;
    assert_eq!(
        (&held["state"], &held["sending"]),
        (&json!("pending"), &json!(true)),
        "its lease still runs"
    );
    app.clock.advance_seconds(60);
    app.send_webhooks().await;
    let requests = receiver.received();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[0].id(), &requests[0].body),
        (requests[1].id(), &requests[1].body)
    );
    let delivery = app.delivery().await;
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&json!("delivered"), &json!(2))
    );
}

async fn several_senders_send_each_delivery_once(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    for _ in 0..40 {
        app.enqueue("Told customers", "Customers", "CustomerID,CompanyName\r\nAAAAA,One\r\n")
            .await;
    }
    app.run_until_idle().await;
    let stopping = CancellationToken::new();
    let senders: Vec<_> = (0..4)
        .map(|_| tokio::spawn(app.another_sender(&stopping).run()))
        .collect();
    receiver.wait_for(40).await;
    stopping.cancel();
    for sender in senders {
        sender.await.unwrap();
    }
    let requests = receiver.received();
    let ids: BTreeSet<&str> = requests.iter().map(Received::id).collect();
    assert_eq!((requests.len(), ids.len()), (40, 40));
    assert_eq!(app.deliveries("?state=delivered&limit=100").await.len(), 40);
}

async fn a_sender_past_its_lease_changes_nothing(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_with(backend, &receiver, |setup| setup.set("webhooks.timeout_seconds", "1")).await;
    app.end_a_message().await;
    receiver.replies([Reply::Hang, Reply::Status(200, "", "")]);
    let late = app.another_sender(&CancellationToken::new());
    let late = tokio::spawn(async move { late.run_until_idle().await });
    receiver.wait_for(1).await;
    app.clock.advance_seconds(31);
    app.send_webhooks().await;
    let delivered = app.delivery().await;
    assert_eq!(delivered["state"], "delivered");
    // It gives up on its own attempt only now.
    late.await.unwrap().unwrap();
    assert_eq!(app.delivery().await, delivered);
    assert_eq!(receiver.received().len(), 2);
}

async fn a_dead_destination_holds_up_nobody_else(backend: Backend) {
    let (dead, alive) = (Receiver::start().await, Receiver::start().await);
    dead.always(Reply::Hang);
    let app = app_with(backend, &dead, |setup| {
        job(setup, &format!("url = \"{}\"\nper_message = true", dead.url("/")));
        setup.set("webhooks.concurrency", "4");
        setup.set("webhooks.concurrency_per_host", "2");
        setup.set("webhooks.timeout_seconds", "2");
    })
    .await;
    for _ in 0..20 {
        app.enqueue("Told customers", "Customers", CUSTOMERS).await;
    }
    app.run_until_idle().await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(app.another_sender(&stopping).run());
    dead.wait_for(2).await;
    let begun = Instant::now();
    let path = format!("/api/v1/jobs/{}/messages?entity=Customers", app.job("Told customers"));
    let named = app
        .request(Method::POST, &path)
        .bearer_auth(&app.token)
        .header("Tranship-Webhook", alive.url("/"));
    let id = named
        .body(CUSTOMERS)
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap()["id"]
        .clone();
    app.run_until_idle().await;
    assert_eq!(
        app.message(id.as_str().unwrap()).await["final"],
        true,
        "the queue does not wait for webhooks"
    );
    alive.wait_for(1).await;
    assert!(
        begun.elapsed() < Duration::from_millis(1900),
        "{:?}: it waited for the dead one",
        begun.elapsed()
    );
    assert_eq!(alive.only().json()["data"]["id"], id);
    dead.wait_for(4).await;
    assert_eq!(dead.most_at_once(), 2, "no more at once than one host may have");
    stopping.cancel();
    running.await.unwrap();
    let timed_out = app.deliveries("?limit=100").await;
    let detail = timed_out
        .iter()
        .find_map(|d| d["last_answer"]["detail"].as_str().filter(|t| t.contains("timed out")));
    assert!(detail.is_some(), "{timed_out:#?}");
}

async fn a_sender_that_stops_hands_back_what_is_under_way(backend: Backend) {
    let receiver = Receiver::start().await;
    let app = app_telling(backend, &receiver).await;
    app.end_a_message().await;
    receiver.replies([Reply::Hang]);
    let stopping = CancellationToken::new();
    let running = tokio::spawn(app.another_sender(&stopping).run());
    receiver.wait_for(1).await;
    assert_eq!(app.delivery().await["sending"], true);
    stopping.cancel();
    running.await.unwrap();
    let delivery = app.delivery().await;
    assert_eq!(
        (&delivery["sending"], &delivery["attempts"]),
        (&json!(false), &json!(0)),
        "{delivery:#}"
    );
    // At once, without waiting for a lease.
    app.send_webhooks().await;
    assert_eq!(receiver.received().len(), 2);
}
