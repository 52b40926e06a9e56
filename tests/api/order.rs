//! Order and priority over HTTP: of each group one message at a time, oldest first; groups do not wait for each other.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::{relay, send, text};

crate::on_both_backends!(
    messages_of_one_company_come_one_after_the_other_and_companies_side_by_side,
    messages_with_one_header_value_keep_their_order,
    messages_with_one_key_in_their_file_name_keep_their_order,
    a_queue_in_order_hands_out_one_message_at_a_time,
    a_message_in_back_off_blocks_its_group_and_no_other,
    a_dead_letter_blocks_its_group_only_where_the_job_says_so,
    a_message_given_back_keeps_its_place,
    an_expired_message_lets_its_group_go_on,
    priority_comes_first_and_waiting_is_worth_as_much,
    a_batch_keeps_the_order_of_its_items,
    a_large_message_does_not_fall_behind_in_its_batch,
    an_unusable_key_is_refused,
);

/// What is offered one after the other when each is acknowledged before the next is asked for.
async fn drained(app: &TestApp, job: &str) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let leases = app.lease(job, json!({})).await;
        let Some(lease) = leases.first() else { return ids };
        ids.push(text(lease, "id"));
        app.step(lease, "ack", json!({})).await.expect(StatusCode::OK);
    }
}

async fn messages_of_one_company_come_one_after_the_other_and_companies_side_by_side(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "order_by = \"company\"")).await;
    let mut ids = Vec::new();
    for company in ["usmf", "usmf", "dat", "USMF", "dat", ""] {
        ids.push(app.put("Orders", &format!("company={company}"), "one").await);
    }
    let first = app.lease("Orders", json!({ "max": 100 })).await;
    let got: Vec<String> = first.iter().map(|lease| text(lease, "id")).collect();
    assert_eq!(
        got,
        [ids[0].clone(), ids[2].clone(), ids[5].clone()],
        "the head of each group"
    );
    assert!(app.offered("Orders").await.is_empty());
    app.step(&first[0], "ack", json!({})).await.expect(StatusCode::OK);
    assert_eq!(app.offered("Orders").await, [ids[1].clone()]);
    app.step(&first[1], "ack", json!({})).await.expect(StatusCode::OK);
    assert_eq!(app.offered("Orders").await, [ids[4].clone()]);
}

async fn messages_with_one_header_value_keep_their_order(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "order_by = \"header:X-Order\"")).await;
    let mut ids = Vec::new();
    for (name, value) in [
        ("X-Order", "17"),
        ("x-order", "17"),
        ("X-Order", "18"),
        ("X-Other", "17"),
    ] {
        let request = app.enqueuing("Orders", "", "one").header(name, value);
        ids.push(send(request, &app.token).await.text("id"));
    }
    let path = format!("/api/connector/enqueue/{}", app.job("Orders"));
    let request = app
        .request(reqwest::Method::POST, &path)
        .header("X-ORDER", "18")
        .body("one");
    let on_connector = send(request, &app.token).await.expect(StatusCode::OK);
    ids.push(on_connector.as_str().unwrap().to_owned());
    let heads = app.lease("Orders", json!({ "max": 100 })).await;
    let got: Vec<String> = heads.iter().map(|lease| text(lease, "id")).collect();
    assert_eq!(got, [ids[0].clone(), ids[2].clone(), ids[3].clone()]);
    app.step(&heads[1], "ack", json!({})).await.expect(StatusCode::OK);
    assert_eq!(
        app.offered("Orders").await,
        [ids[4].clone()],
        "one group on both surfaces"
    );
}

async fn messages_with_one_key_in_their_file_name_keep_their_order(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Orders", "order_by = 'file_name:^(\\w+)-\\d+\\.csv$'");
    })
    .await;
    let mut ids = Vec::new();
    for name in ["shop-1.csv", "shop-2.csv", "web-1.csv", "other", "else", "web-2.csv"] {
        ids.push(app.put("Orders", &format!("external_id={name}"), name).await);
    }
    let heads = app.offered("Orders").await;
    assert_eq!(
        heads,
        [ids[0].clone(), ids[2].clone(), ids[3].clone()],
        "names without a key are one group"
    );
}

async fn a_queue_in_order_hands_out_one_message_at_a_time(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "in_order = true")).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        // Priority does not overtake what is kept in order.
        ids.push(app.put("Orders", &format!("priority={}", number * 10), "one").await);
    }
    let lease = app.lease("Orders", json!({ "max": 100 })).await;
    assert_eq!(lease.len(), 1);
    app.step(&lease[0], "release", json!({})).await.expect(StatusCode::OK);
    assert_eq!(drained(&app, "Orders").await, ids);
}

async fn a_message_in_back_off_blocks_its_group_and_no_other(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(
            setup,
            "Orders",
            "order_by = \"company\"\nretry = { first_seconds = 60, jitter = 0 }",
        );
    })
    .await;
    let first = app.put("Orders", "company=usmf", "one").await;
    let second = app.put("Orders", "company=usmf", "two").await;
    let lease = app.lease_one("Orders").await;
    app.step(&lease, "reject", json!({ "reason": "not now" }))
        .await
        .expect(StatusCode::OK);
    let other = app.put("Orders", "company=dat", "three").await;
    assert_eq!(drained(&app, "Orders").await, [other]);
    app.clock.advance_seconds(60);
    assert_eq!(drained(&app, "Orders").await, [first, second]);
}

async fn a_dead_letter_blocks_its_group_only_where_the_job_says_so(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Blocked", "order_by = \"company\"\nblock_on_dead_letter = true");
        relay(setup, "Flowing", "order_by = \"company\"");
    })
    .await;
    for (job, goes_on) in [("Blocked", false), ("Flowing", true)] {
        app.put(job, "company=usmf", "one").await;
        let second = app.put(job, "company=usmf", "two").await;
        let lease = app.lease_one(job).await;
        let asked = json!({ "reason": "rotten", "dead_letter": true });
        app.step(&lease, "reject", asked).await.expect(StatusCode::OK);
        let third = app.put(job, "company=usmf", "three").await;
        let other = app.put(job, "company=dat", "four").await;
        let wanted = if goes_on {
            vec![second, third, other]
        } else {
            vec![other]
        };
        assert_eq!(drained(&app, job).await, wanted, "{job}");
    }
}

async fn a_message_given_back_keeps_its_place(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Orders", "order_by = \"company\"\nlease_seconds = 60");
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.put("Orders", "company=usmf", "one").await);
    }
    let lease = app.lease_one("Orders").await;
    app.step(&lease, "release", json!({ "delay_seconds": 30 }))
        .await
        .expect(StatusCode::OK);
    assert!(app.offered("Orders").await.is_empty(), "nobody overtakes it");
    app.clock.advance_seconds(30);
    assert_eq!(text(&app.lease_one("Orders").await, "id"), ids[0]);
    app.clock.advance_seconds(61);
    assert_eq!(drained(&app, "Orders").await, ids, "nor after its lease lapsed");
}

async fn an_expired_message_lets_its_group_go_on(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "in_order = true")).await;
    let first = app.put("Orders", "delay_seconds=60&expires_in_seconds=90", "one").await;
    let second = app.put("Orders", "expires_in_seconds=30", "two").await;
    let third = app.put("Orders", "", "three").await;
    assert!(
        app.offered("Orders").await.is_empty(),
        "a delayed head blocks its group"
    );
    app.clock.advance_seconds(31);
    assert!(app.offered("Orders").await.is_empty());
    assert_eq!(
        text(&app.message(&second).await, "status"),
        "Expired",
        "also behind another one"
    );
    app.clock.advance_seconds(60);
    assert_eq!(drained(&app, "Orders").await, [third]);
    assert_eq!(text(&app.message(&first).await, "status"), "Expired");
}

async fn priority_comes_first_and_waiting_is_worth_as_much(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "priority = 2")).await;
    let usual = app.put("Orders", "", "of the job: 2").await;
    let low = app.put("Orders", "priority=-100", "low").await;
    let high = app.put("Orders", "priority=100", "high").await;
    app.clock.advance_seconds(59);
    let fresh = app
        .put("Orders", "priority=3", "a step more, a second too early to be late")
        .await;
    app.clock.advance_seconds(2);
    let late = app.put("Orders", "priority=3", "a step more, but a minute later").await;
    assert_eq!(drained(&app, "Orders").await, [high, fresh, usual, late, low]);
}

async fn a_batch_keeps_the_order_of_its_items(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "order_by = \"header:x-order\"")).await;
    let items: Vec<_> = (0..600)
        .map(|number| json!({ "text": "one", "headers": { "X-Order": format!("{}", number % 100) } }))
        .collect();
    keeps_its_order(&app, &items, 100).await;
}

async fn a_large_message_does_not_fall_behind_in_its_batch(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "order_by = \"header:x-order\"")).await;
    let items: Vec<_> = (0..40)
        .map(|number| {
            // Stored elsewhere first.
            let text = "x".repeat(if number % 7 == 0 { 40_000 } else { 1 });
            json!({ "text": text, "headers": { "X-Order": format!("{}", number % 2) } })
        })
        .collect();
    keeps_its_order(&app, &items, 2).await;
}

/// Enqueues items of which each `groups`-th is of one group, and drains them.
async fn keeps_its_order(app: &TestApp, items: &[Value], groups: usize) {
    let path = "/api/v1/jobs/Orders/messages/batch";
    let answer = app.post_json(path, &json!({ "messages": items })).await;
    let body = answer.expect(StatusCode::OK);
    let results = body["results"].as_array().unwrap();
    let ids: Vec<String> = results.iter().map(|item| text(item, "id")).collect();
    let mut offered = vec![Vec::new(); groups];
    loop {
        let leases = app.lease("Orders", json!({ "max": 1000 })).await;
        if leases.is_empty() {
            break;
        }
        for lease in &leases {
            let place = ids.iter().position(|id| *id == text(lease, "id")).unwrap();
            offered[place % groups].push(place);
        }
        let items: Vec<_> = leases
            .iter()
            .map(|lease| json!({ "receipt": lease["receipt"], "action": "ack" }))
            .collect();
        let answer = app.post_json("/api/v1/leases/batch", &json!({ "items": items })).await;
        answer.expect(StatusCode::OK);
    }
    assert_eq!(offered.iter().map(Vec::len).sum::<usize>(), items.len());
    for group in offered {
        assert!(group.is_sorted(), "{group:?}");
    }
}

async fn an_unusable_key_is_refused(backend: Backend) {
    let app = TestApp::with(backend, |setup| relay(setup, "Orders", "order_by = \"header:x-order\"")).await;
    let request = app.enqueuing("Orders", "", "one").header("x-order", "x".repeat(201));
    let problem = send(request, &app.token).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(problem["code"], "invalid_order_key");
}
