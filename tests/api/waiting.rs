//! Waiting for news: a status that answers when it changes, and streams of events.

use std::time::{Duration, Instant};

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::app::{Backend, TestApp};
use crate::client::{Answered, relay, send, text};

crate::on_both_backends!(
    a_tag_changes_with_whatever_is_shown,
    a_status_that_is_known_is_not_sent_again,
    who_waits_for_a_change_is_told_at_once,
    who_waits_for_the_end_is_told_at_the_end,
    a_wait_for_nothing_ends_with_nothing,
    a_wait_for_a_change_ends_when_the_service_stops,
    one_more_than_may_wait_is_answered_at_once,
    waits_that_make_no_sense_are_refused,
    the_events_of_a_message_end_with_it,
    who_heard_the_end_is_not_told_again,
    the_events_of_a_job_tell_of_each_message,
    a_slow_listener_is_told_to_look_again,
    events_are_for_who_may_see_the_job_and_bounded,
    events_end_when_their_listener_is_let_in_no_more,
    a_stream_ends_when_the_service_stops,
);

async fn app(backend: Backend) -> TestApp {
    TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        relay(setup, "Others", "");
    })
    .await
}

fn tag(answer: &Answered) -> String {
    answer.headers[ETAG].to_str().unwrap().to_owned()
}

async fn look(app: &TestApp, id: &str, query: &str, tag: &str) -> Answered {
    let request = app.request(Method::GET, &format!("/api/v1/messages/{id}?{query}"));
    let request = if tag.is_empty() {
        request
    } else {
        request.header(IF_NONE_MATCH, tag)
    };
    send(request, &app.token).await
}

/// The same in the background; the answer, and when it came.
fn looking(app: &TestApp, id: &str, wait: u32, tag: &str) -> JoinHandle<(Answered, Instant)> {
    let request = app.request(Method::GET, &format!("/api/v1/messages/{id}?wait_seconds={wait}"));
    let request = if tag.is_empty() {
        request
    } else {
        request.header(IF_NONE_MATCH, tag)
    };
    let token = app.token.clone();
    tokio::spawn(async move { (send(request, &token).await, Instant::now()) })
}

/// Long enough for a request to be on its knees before the service.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

async fn a_tag_changes_with_whatever_is_shown(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let mut tags = vec![tag(&look(&app, &id, "", "").await)];
    let mut note = async |what: &str, changes: bool| {
        let tag = tag(&look(&app, &id, "", "").await);
        assert_eq!(!tags.contains(&tag), changes, "{what}");
        tags.push(tag);
    };
    note("a second look", false).await;
    let lease = app.lease_one("Documents").await;
    note("leased", true).await;
    app.step(&lease, "extend", json!({ "lease_seconds": 9000 })).await;
    note("extended", true).await;
    app.step(&lease, "release", json!({})).await;
    note("given back", true).await;
    let lease = app.lease_one("Documents").await;
    app.step(&lease, "reject", json!({ "reason": "no" })).await;
    note("in back-off", true).await;
    app.clock.advance_seconds(10);
    let lease = app.lease_one("Documents").await;
    note("leased again", true).await;
    app.step(&lease, "ack", json!({})).await;
    note("ended", true).await;
    // What is shown beside the message counts too.
    let file = "CustomerID,CompanyName\r\n,One\r\n";
    let id = app.import("Inbound customers", "Customers", file).await;
    let id = text(&id, "id");
    let before = tag(&look(&app, &id, "", "").await);
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(
        app.post(&format!("/api/v1/messages/{id}/resubmit"), rejects)
            .await
            .status(),
        StatusCode::CREATED
    );
    assert_ne!(tag(&look(&app, &id, "", "").await), before, "a correction is shown");
    app.run_until_idle().await;
}

async fn a_status_that_is_known_is_not_sent_again(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let known = tag(&look(&app, &id, "", "").await);
    for form in [
        known.clone(),
        format!("W/{known}"),
        format!("\"x\", {known}"),
        "*".to_owned(),
    ] {
        let answer = look(&app, &id, "", &form).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::NOT_MODIFIED, &json!("")),
            "{form}"
        );
        assert_eq!(tag(&answer), known);
    }
    assert_eq!(look(&app, &id, "", "\"x\"").await.status, StatusCode::OK);
    app.lease_one("Documents").await;
    assert_eq!(
        look(&app, &id, "", &known).await.expect(StatusCode::OK)["status"],
        "Dequeued"
    );
}

async fn who_waits_for_a_change_is_told_at_once(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let mut known = tag(&look(&app, &id, "", "").await);
    let mut best = Duration::MAX;
    // Of some tries one must be much faster than looking again by the clock.
    for _ in 0..3 {
        for status in ["Dequeued", "Enqueued"] {
            let waiting = looking(&app, &id, 30, &known);
            a_moment().await;
            assert!(!waiting.is_finished());
            // Other messages' news are not this one's.
            app.put("Others", "", "two").await;
            let lease = if status == "Dequeued" {
                Some(app.lease_one("Documents").await)
            } else {
                None
            };
            let began = Instant::now();
            if lease.is_none() {
                app.clock.advance_seconds(1801);
                assert!(app.lease("Others", json!({})).await.len() == 1);
            }
            let (answer, came) = waiting.await.unwrap();
            best = best.min(came.saturating_duration_since(began));
            known = tag(&answer);
            assert_eq!(answer.expect(StatusCode::OK)["status"], status);
        }
    }
    assert!(best < Duration::from_millis(200), "told after {best:?}");
}

async fn who_waits_for_the_end_is_told_at_the_end(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let waiting = looking(&app, &id, 30, "");
    a_moment().await;
    let lease = app.lease_one("Documents").await;
    a_moment().await;
    assert!(!waiting.is_finished(), "a lease is not the end");
    app.step(&lease, "ack", json!({})).await.expect(StatusCode::OK);
    let (answer, _) = waiting.await.unwrap();
    assert_eq!(answer.expect(StatusCode::OK)["status"], "Acked");
    let began = Instant::now();
    assert_eq!(
        look(&app, &id, "wait_seconds=30", "").await.expect(StatusCode::OK)["status"],
        "Acked"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "what has ended is not waited for"
    );
}

async fn a_wait_for_nothing_ends_with_nothing(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let known = tag(&look(&app, &id, "", "").await);
    let began = Instant::now();
    let answer = look(&app, &id, "wait_seconds=1", &known).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let answer = look(&app, &id, "wait_seconds=1", "").await;
    assert_eq!(
        answer.expect(StatusCode::OK)["status"],
        "Enqueued",
        "where it stands, though it has not ended"
    );
}

async fn a_wait_for_a_change_ends_when_the_service_stops(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let known = tag(&look(&app, &id, "", "").await);
    let waiting = looking(&app, &id, 60, &known);
    a_moment().await;
    let began = Instant::now();
    app.stop();
    let (answer, came) = waiting.await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert!(came.duration_since(began) < Duration::from_secs(5));
}

async fn one_more_than_may_wait_is_answered_at_once(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("server.max_waiters", "1");
    })
    .await;
    let id = app.put("Documents", "delay_seconds=60", "one").await;
    let known = tag(&look(&app, &id, "", "").await);
    let waiting = looking(&app, &id, 30, &known);
    a_moment().await;
    let began = Instant::now();
    let answer = look(&app, &id, "wait_seconds=30", &known).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(app.lease("Documents", json!({ "wait_seconds": 30 })).await.is_empty());
    assert!(began.elapsed() < Duration::from_secs(5));
    app.clock.advance_seconds(60);
    app.lease_one("Documents").await;
    waiting.await.unwrap().0.expect(StatusCode::OK);
}

async fn waits_that_make_no_sense_are_refused(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    for query in ["wait_seconds=61", "wait_seconds=-1", "wait_seconds=x"] {
        let problem = look(&app, &id, query, "").await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(problem["code"], "invalid_number", "{query}");
    }
}

/// An open stream of events.
struct Events {
    answer: Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(app: &TestApp, path: &str, last: &str) -> Self {
        Self::open_as(app, &app.token, path, last).await
    }

    async fn open_as(app: &TestApp, token: &str, path: &str, last: &str) -> Self {
        let request = app.request(Method::GET, path).bearer_auth(token);
        let request = if last.is_empty() {
            request
        } else {
            request.header("Last-Event-ID", last)
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
        }
    }

    /// The next event; none when the stream has ended. Comments are passed over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let found = block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    found.unwrap_or_default().to_owned()
                };
                let event = Event {
                    name: field("event"),
                    id: field("id"),
                    data: serde_json::from_str(&field("data")).unwrap_or_default(),
                };
                let read = self.text.len() - rest.len();
                self.text.drain(..read);
                if !event.name.is_empty() {
                    return Some(event);
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.answer.chunk());
            let chunk = chunk.await.expect("an event, or the end").unwrap()?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    async fn status(&mut self) -> String {
        let event = self.next().await.expect("an event");
        text(&event.data, "status")
    }
}

async fn the_events_of_a_message_end_with_it(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let mut events = Events::open(&app, &format!("/api/v1/messages/{id}/events"), "").await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("status", &app.message(&id).await));
    assert_eq!(format!("\"{}\"", first.id), tag(&look(&app, &id, "", "").await));
    let lease = app.lease_one("Documents").await;
    assert_eq!(events.status().await, "Dequeued");
    app.step(&lease, "release", json!({})).await;
    assert_eq!(events.status().await, "Enqueued");
    let lease = app.lease_one("Documents").await;
    assert_eq!(events.status().await, "Dequeued");
    app.step(&lease, "ack", json!({})).await;
    assert_eq!(events.status().await, "Acked");
    assert!(events.next().await.is_none(), "the stream ends");
    // A load tells its steps as far as somebody listens in time, and its end always.
    let id = app
        .enqueue(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\nAAAAA,One\r\n",
        )
        .await;
    let mut events = Events::open(&app, &format!("/api/v1/messages/{id}/events"), "").await;
    assert_eq!(events.status().await, "Enqueued");
    app.run_until_idle().await;
    let mut last = String::new();
    while let Some(event) = events.next().await {
        last = text(&event.data, "status");
    }
    assert_eq!(last, "Processed");
}

async fn who_heard_the_end_is_not_told_again(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let path = format!("/api/v1/messages/{id}/events");
    let mut events = Events::open(&app, &path, "").await;
    let first = events.next().await.unwrap();
    let mut again = Events::open(&app, &path, &first.id).await;
    let lease = app.lease_one("Documents").await;
    assert_eq!(again.status().await, "Dequeued", "what it heard last is not told again");
    app.step(&lease, "ack", json!({})).await;
    let mut last = first.id;
    while let Some(event) = events.next().await {
        last = event.id;
    }
    let request = app.request(Method::GET, &path).header("Last-Event-ID", &last);
    assert_eq!(send(request, &app.token).await.status, StatusCode::NO_CONTENT);
    let mut late = Events::open(&app, &path, "nonsense").await;
    assert_eq!(late.status().await, "Acked");
    assert!(late.next().await.is_none());
}

async fn the_events_of_a_job_tell_of_each_message(backend: Backend) {
    let app = app(backend).await;
    app.put("Documents", "", "before").await;
    app.lease_one("Documents").await;
    let mut events = Events::open(&app, "/api/v1/jobs/Documents/events", "").await;
    a_moment().await;
    app.put("Others", "", "not of this job").await;
    let id = app.put("Documents", "", "one").await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (
            event.name.as_str(),
            text(&event.data, "id"),
            text(&event.data, "status")
        ),
        ("message", id.clone(), "Enqueued".to_owned())
    );
    let lease = app.lease_one("Documents").await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (text(&event.data, "id"), text(&event.data, "status")),
        (id.clone(), "Dequeued".to_owned())
    );
    app.step(&lease, "ack", json!({})).await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (text(&event.data, "id"), text(&event.data, "status")),
        (id, "Acked".to_owned())
    );
    let mut again = Events::open(&app, "/api/v1/jobs/Documents/events", "anything").await;
    assert_eq!(
        again.next().await.unwrap().name,
        "look-again",
        "what it missed meanwhile is not kept"
    );
}

async fn a_slow_listener_is_told_to_look_again(backend: Backend) {
    let app = app(backend).await;
    let mut events = Events::open(&app, "/api/v1/jobs/Documents/events", "").await;
    a_moment().await;
    let items: Vec<Value> = (0..1000).map(|number| json!({ "text": number.to_string() })).collect();
    let mut sent = 0;
    // Far more than two sockets hold: somewhere on the way it is too much to remember.
    for _ in 0..16 {
        let answer = app
            .post_json("/api/v1/jobs/Documents/messages/batch", &json!({ "messages": items }))
            .await;
        answer.expect(StatusCode::OK);
        sent += items.len();
    }
    let mut told = 0;
    loop {
        match events.next().await.expect("it goes on").name.as_str() {
            "look-again" => break,
            _ => told += 1,
        }
        assert!(told < sent, "all was kept for it");
    }
    // It is not out: what happens from now on is told, or, where there is still too much before it, that it must look again.
    let id = app.put("Documents", "", "one more").await;
    loop {
        let event = events.next().await.expect("it goes on");
        if event.name == "look-again" || event.data["id"] == json!(id) {
            break;
        }
    }
}

async fn events_are_for_who_may_see_the_job_and_bounded(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Documents", "");
        setup.set("server.max_listeners", "1");
    })
    .await;
    let id = app.put("Documents", "", "one").await;
    let outsider = app.client("outsider").await;
    let message = format!("/api/v1/messages/{id}/events");
    for path in ["/api/v1/jobs/Documents/events", &message] {
        send(app.request(Method::GET, path), &outsider)
            .await
            .expect(StatusCode::NOT_FOUND);
    }
    let events = Events::open(&app, &message, "").await;
    for path in ["/api/v1/jobs/Documents/events", &message] {
        let refused = send(app.request(Method::GET, path), &app.token).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.expect(StatusCode::SERVICE_UNAVAILABLE);
    }
    drop(events);
    // A place is free again once the service has noticed, which it does by saying something.
    for _ in 0..200 {
        let lease = app.lease_one("Documents").await;
        app.step(&lease, "release", json!({})).await.expect(StatusCode::OK);
        let request = app.request(Method::GET, &message).bearer_auth(&app.token);
        if request.send().await.unwrap().status() == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place is never free again");
}

/// A stream stays open for as long as its listener likes, a token does not: neither its end nor a client's is outlasted.
async fn events_end_when_their_listener_is_let_in_no_more(backend: Backend) {
    let mut app = app(backend).await;
    let chief = app.add_client("chief", "admin").await;
    let id = app.put("Documents", "", "one").await;
    for client in ["shop", "archive"] {
        let token = app.client(client).await;
        let path = format!("/api/v1/messages/{id}/events");
        let mut of_message = Events::open_as(&app, &token, &path, "").await;
        let mut of_job = Events::open_as(&app, &token, "/api/v1/jobs/Documents/events", "").await;
        assert_eq!(of_message.status().await, "Enqueued");
        if client == "shop" {
            let chief = app.token_of("chief", &chief).await;
            let revoke = app.request(Method::POST, "/api/v1/clients/shop/revoke");
            send(revoke, &chief).await.expect(StatusCode::OK);
            // So long it may go on.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        } else {
            // Longer than tokens of these tests live.
            app.clock.advance_seconds(90_000);
            app.renew_token().await;
        }
        let lease = app.lease_one("Documents").await;
        for events in [&mut of_message, &mut of_job] {
            let event = events.next().await.expect("why it ends");
            assert_eq!(event.name, "problem", "{client}: {event:?}");
            assert!(events.next().await.is_none(), "{client}: the stream ends");
        }
        app.step(&lease, "release", json!({})).await.expect(StatusCode::OK);
    }
}

async fn a_stream_ends_when_the_service_stops(backend: Backend) {
    let app = app(backend).await;
    let id = app.put("Documents", "", "one").await;
    let mut events = Events::open(&app, &format!("/api/v1/messages/{id}/events"), "").await;
    let mut of_job = Events::open(&app, "/api/v1/jobs/Documents/events", "").await;
    assert_eq!(events.status().await, "Enqueued");
    let began = Instant::now();
    app.stop();
    assert!(events.next().await.is_none());
    assert!(of_job.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5));
}
