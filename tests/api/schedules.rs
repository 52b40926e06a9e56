//! What schedules do over HTTP: previews, backfills, what is missed, and runs in each other's way.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Backend, Setup, TestApp};
use crate::client::relay;

crate::on_both_backends!(
    a_preview_tells_when_it_runs_when_not_and_why,
    a_long_stretch_that_was_missed_is_counted,
    an_excluded_day_is_told_and_does_not_run,
    jitter_puts_a_run_off_for_every_process_alike,
    a_backfill_makes_up_for_the_past_in_order_and_once,
    requests_that_make_no_sense_are_refused,
    a_later_occurrence_stops_the_run_before_it,
);

/// An export of customers in the place of the shipped one, so that nothing else is due.
fn nightly(schedule: &str, filter: &str) -> String {
    format!(
        r#"
id = "00000000-0000-4000-8000-0000000000dd"
name = "Nightly"
direction = "export"
data_source = "file"
clients = ["warehouse"]
[schedule]
{schedule}
[export]
format = "csv"
[[export.entities]]
entity = "Customers"
{filter}
"#
    )
}

fn define(setup: &mut Setup, schedule: &str) {
    setup.file("jobs/nightly-sales-orders.toml", &nightly(schedule, ""));
}

pub async fn app(backend: Backend, schedule: &str) -> TestApp {
    let app = TestApp::with(backend, |setup| define(setup, schedule)).await;
    // From here on it has a past.
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 0);
    app
}

impl TestApp {
    pub async fn see(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/jobs/{path}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    pub async fn ask(&self, path: &str, asked: Value, status: StatusCode) -> Value {
        self.post_json(&format!("/api/v1/jobs/{path}"), &asked)
            .await
            .expect(status)
    }

    /// Due time, state and reason of the latest occurrences, oldest first.
    pub async fn occurrences(&self) -> Vec<String> {
        let seen = self.see("Nightly/occurrences?limit=50").await;
        let seen = seen["occurrences"].as_array().unwrap().iter().rev();
        let line = |it: &Value| {
            let words = ["due_at", "state", "reason"].map(|member| it[member].as_str().unwrap_or("-").to_owned());
            words.join(" ")
        };
        seen.map(line).collect()
    }
}

async fn a_preview_tells_when_it_runs_when_not_and_why(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file("jobs/calendars/feasts.toml", "days = [\"2026-01-06\", \"2026-03-30..2026-03-31\"]\n");
        define(
            setup,
            "cron = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"\nexcept = [\"feasts\", \"2026-01-08\"]\njitter = \"10m\"",
        );
        relay(setup, "Documents", "");
    })
    .await;
    let next = app.see("Nightly/next?limit=2").await;
    let lines: Vec<(&str, &str, bool, &str)> = next["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |member: &str| it[member].as_str().unwrap_or("-");
            (
                text("due_at"),
                text("local"),
                it["runs"].as_bool().unwrap(),
                text("reason"),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("2026-01-06T01:30:00Z", "2026-01-06T02:30:00+01:00", false, "calendar"),
            ("2026-01-07T01:30:00Z", "2026-01-07T02:30:00+01:00", true, "-"),
            ("2026-01-08T01:30:00Z", "2026-01-08T02:30:00+01:00", false, "calendar"),
            ("2026-01-09T01:30:00Z", "2026-01-09T02:30:00+01:00", true, "-"),
        ]
    );
    assert_eq!(next["next"][0]["note"], "the calendar `feasts` excludes the day");
    assert_eq!(next["next"][2]["note"], "the schedule excludes the day (`except`)");
    let begins = next["next"][1]["begins_at"].as_str().unwrap();
    assert!(
        ("2026-01-07T01:30:00Z".."2026-01-07T01:40:00Z").contains(&begins),
        "{begins}"
    );
    assert_eq!(next["paused"], Value::Null);
    let edge = app.see("Nightly/next?from=2026-03-29&limit=2").await;
    assert_eq!(edge["next"][0]["due_at"], "2026-03-29T01:00:00Z");
    assert_eq!(edge["next"][0]["reason"], "clock_forward");
    assert_eq!(
        edge["next"][1]["runs"], false,
        "two days in a row are one line: {edge:#}"
    );
    assert_eq!(edge["next"][2]["due_at"], "2026-04-01T00:30:00Z");
    let from = app.see("Nightly/next?from=2026-10-25T02:30&limit=1").await;
    assert_eq!(
        from["next"][0]["reason"], "clock_back",
        "a time in the job's zone: {from:#}"
    );
    let shown = app.see("Nightly").await;
    let schedule = &shown["schedule"];
    assert_eq!(schedule["next"][0], "2026-01-07T01:30:00Z", "only what runs");
    assert_eq!(
        (&schedule["calendars"][0], &schedule["jitter_seconds"]),
        (&json!("feasts"), &json!(600))
    );
    let none = app.see("Documents/next").await;
    assert_eq!((&none["next"], &none["time_zone"]), (&json!([]), &Value::Null));
}

async fn a_long_stretch_that_was_missed_is_counted(backend: Backend) {
    let app = app(backend, "every = \"10s\"").await;
    app.clock.advance_seconds(5 * 3600);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    app.run_until_idle().await;
    assert_eq!(
        app.occurrences().await,
        ["2026-01-05T13:00:00Z done -"],
        "once for all of it"
    );
    let missed = app.see("Nightly/occurrences").await["missed"].clone();
    assert_eq!(missed[0]["first_due"], "2026-01-05T08:00:10Z");
    assert_eq!(missed[0]["last_due"], "2026-01-05T12:59:50Z");
    assert_eq!(missed[0]["occurrences"], 5 * 360 - 1);
}

async fn an_excluded_day_is_told_and_does_not_run(backend: Backend) {
    let mut app = app(backend, "cron = \"0 9 * * *\"\nexcept = [\"2026-01-06\"]").await;
    for (days, runs) in [(0, 1), (1, 0), (2, 1)] {
        app.clock.set(crate::app::START.plus_seconds(3600 + days * 86_400));
        assert_eq!(app.scheduler.evaluate_due().await.unwrap(), runs, "{days}");
        app.run_until_idle().await;
    }
    app.renew_token().await;
    assert_eq!(
        app.occurrences().await,
        [
            "2026-01-05T09:00:00Z done -",
            "2026-01-06T09:00:00Z skipped calendar",
            "2026-01-07T09:00:00Z done -",
        ]
    );
}

async fn jitter_puts_a_run_off_for_every_process_alike(backend: Backend) {
    let app = app(backend, "cron = \"0 9 * * *\"\njitter = \"30m\"").await;
    let next = app.see("Nightly/next?limit=1").await;
    let begins: tranship::domain::time::Timestamp =
        serde_json::from_value(next["next"][0]["begins_at"].clone()).unwrap();
    app.clock.advance_seconds(3600);
    assert!(
        begins > app.clock.now(),
        "one chance in a million that it is not put off at all"
    );
    assert_eq!(
        app.scheduler.evaluate_due().await.unwrap(),
        1,
        "it is recorded when it is due"
    );
    app.run_until_idle().await;
    let due = app.see("Nightly/occurrences").await["occurrences"][0].clone();
    assert_eq!(
        (&due["state"], &due["due_at"]),
        (&json!("due"), &json!("2026-01-05T09:00:00Z"))
    );
    assert_eq!(due["not_before"], json!(begins), "as the preview said");
    app.clock.set(begins);
    app.run_until_idle().await;
    assert_eq!(app.occurrences().await, ["2026-01-05T09:00:00Z done -"]);
}

async fn a_backfill_makes_up_for_the_past_in_order_and_once(backend: Backend) {
    let app = app(backend, "every = \"1h\"\nmissed = \"skip\"\nexcept = [\"2026-01-03\"]").await;
    app.clock.advance_seconds(2 * 3600 + 600);
    app.scheduler.evaluate_due().await.unwrap();
    assert_eq!(
        app.occurrences().await,
        [
            "2026-01-05T09:00:00Z skipped missed",
            "2026-01-05T10:00:00Z skipped missed"
        ]
    );
    // Before the job was known there were due times too.
    let range = json!({ "from": "2026-01-05T06:30", "to": "2026-01-05", "dry_run": true });
    let plan = app.ask("Nightly/backfill", range.clone(), StatusCode::OK).await;
    assert_eq!(
        plan["due"],
        json!(["2026-01-05T07:00:00Z", "2026-01-05T08:00:00Z"]),
        "{plan:#}"
    );
    assert_eq!(
        (&plan["recorded_before"], &plan["skipped_before"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(plan["to"], "2026-01-05T10:10:00Z", "nothing that is yet to come");
    assert_eq!(app.occurrences().await.len(), 2, "a dry run runs nothing");

    let mut asked = range;
    asked["dry_run"] = json!(false);
    asked["skipped"] = json!(true);
    asked["limit"] = json!(3);
    asked["note"] = json!("the outage of Monday");
    let made = app.ask("Nightly/backfill", asked.clone(), StatusCode::ACCEPTED).await;
    assert_eq!(made["occurrences"], 3);
    assert_eq!(made["next_from"], "2026-01-05T10:00:00Z");
    asked["from"] = made["next_from"].clone();
    let rest = app.ask("Nightly/backfill", asked.clone(), StatusCode::ACCEPTED).await;
    assert_eq!((&rest["occurrences"], &rest["next_from"]), (&json!(1), &Value::Null));
    let again = app.ask("Nightly/backfill", asked, StatusCode::ACCEPTED).await;
    assert_eq!(
        (&again["occurrences"], &again["recorded_before"]),
        (&json!(0), &json!(1))
    );
    app.run_until_idle().await;
    assert_eq!(
        app.occurrences().await,
        [7, 8, 9, 10].map(|hour| format!("2026-01-05T{hour:02}:00:00Z done -"))
    );
    let seen = app.see("Nightly/occurrences").await;
    let first = &seen["occurrences"][3];
    assert_eq!(
        (&first["origin"], &first["trigger"], &first["comment"]),
        (&json!("backfill"), &json!("tester"), &json!("the outage of Monday"))
    );
    // It waited since it was asked for, whenever it was due.
    assert_eq!(first["phases"]["waiting_seconds"], 0.0, "{first:#}");
    // Each has its message, named after its own due time.
    let messages: Value = app.get("/api/v1/messages?job=Nightly").await.json().await.unwrap();
    let names: Vec<&str> = messages["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["external_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [10, 9, 8, 7].map(|hour| format!("Nightly 2026-01-05T{hour:02}-00-00Z.csv")),
        "oldest first"
    );
    let excluded = json!({ "from": "2026-01-03", "to": "2026-01-04T01:00", "dry_run": true });
    let excluded = app.ask("Nightly/backfill", excluded, StatusCode::OK).await;
    assert_eq!(
        (&excluded["excluded"], &excluded["occurrences"]),
        (&json!(24), &json!(2))
    );
}

async fn requests_that_make_no_sense_are_refused(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        define(setup, "every = \"1h\"");
        let asked = nightly("cron = \"@daily\"", "")
            .replace("00dd", "00de")
            .replace("\"Nightly\"", "\"On request\"");
        setup.file(
            "jobs/on-request.toml",
            &asked.replace("[schedule]\ncron = \"@daily\"\n", ""),
        );
        relay(setup, "Documents", "");
    })
    .await;
    let range = json!({ "from": "2026-01-01", "to": "2026-01-02" });
    let with = |member: &str, value: Value| {
        let mut asked = range.clone();
        asked[member] = value;
        asked
    };
    for (path, asked, code) in [
        ("Documents/pause", json!({}), "wrong_direction"),
        ("Documents/backfill", range.clone(), "wrong_direction"),
        ("Inbound customers/backfill", range.clone(), "wrong_direction"),
        ("On request/backfill", range.clone(), "no_schedule"),
        ("Nightly/backfill", json!({ "from": "2026-01-01" }), "invalid_json"),
        ("Nightly/backfill", with("from", json!("yesterday")), "invalid_time"),
        ("Nightly/backfill", with("to", json!("2025-12-31")), "invalid_range"),
        (
            "Nightly/backfill",
            json!({ "from": "2026-01-06", "to": "2026-01-07" }),
            "invalid_range",
        ),
        ("Nightly/backfill", with("limit", json!(1001)), "invalid_number"),
        ("Nightly/backfill", with("limit", json!(0)), "invalid_number"),
        ("Nightly/backfill", with("note", json!("two\nlines")), "invalid_note"),
        ("Nightly/pause", json!({ "note": "x".repeat(1001) }), "invalid_note"),
        ("Nightly/pause", json!({ "reason": "x" }), "invalid_json"),
        ("Nightly/run", json!({ "note": "a\tb" }), "invalid_note"),
        ("Nightly/resume", json!({ "missed": "never" }), "invalid_missed"),
    ] {
        let problem = app.ask(path, asked.clone(), StatusCode::BAD_REQUEST).await;
        assert_eq!(problem["code"], code, "{path} {asked}: {problem}");
    }
    let empty = app.post("/api/v1/jobs/Nightly/backfill", "").await;
    assert_eq!(empty.json::<Value>().await.unwrap()["code"], "body_empty");
    for query in ["from=yesterday", "limit=0", "limit=1001"] {
        let answer = app.get(&format!("/api/v1/jobs/Nightly/next?{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    assert!(app.occurrences().await.is_empty());
    // Who may only look may not pause.
    let viewer = app.add_client("looker", "viewer").await;
    let token = app.token_of("looker", &viewer).await;
    for action in ["pause", "resume", "backfill"] {
        let request = app.request(reqwest::Method::POST, &format!("/api/v1/jobs/Nightly/{action}"));
        let answer = request.bearer_auth(&token).body("").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{action}");
    }
}

async fn a_later_occurrence_stops_the_run_before_it(backend: Backend) {
    // A selection that takes some seconds; the customers are the database's own business.
    let slow = match backend {
        Backend::Sqlite => {
            "filter = \"(with recursive c(n) as (select 1 union all select n + 1 from c where n < 8000000) select max(n) from c) > 0\""
        }
        Backend::Postgres => "filter = \"(select count(*) from (select pg_sleep(6)) as slept) > 0\"",
    };
    let app = TestApp::with(backend, |setup| {
        setup.set("worker.heartbeat_seconds", "1");
        let job = nightly("every = \"1h\"\noverlap = \"cancel_previous\"", slow);
        setup.file("jobs/nightly-sales-orders.toml", &job);
    })
    .await;
    app.import(
        "Inbound customers",
        "Customers",
        "CustomerID,CompanyName\r\nAAAAA,One\r\n",
    )
    .await;
    app.scheduler.evaluate_due().await.unwrap();
    app.clock.advance_seconds(3600);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    let worker = app.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    while !app
        .occurrences()
        .await
        .contains(&"2026-01-05T09:00:00Z running -".to_owned())
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.clock.advance_seconds(3600);
    assert_eq!(app.scheduler.evaluate_due().await.unwrap(), 1);
    working.await.unwrap().unwrap();
    assert_eq!(
        app.occurrences().await,
        ["2026-01-05T09:00:00Z cancelled overlap", "2026-01-05T10:00:00Z done -"]
    );
    let seen = app.see("Nightly/occurrences").await;
    let cancelled = &seen["occurrences"][1];
    assert_eq!(
        cancelled["note"],
        "a later occurrence was due (overlap = cancel_previous)"
    );
    assert_eq!(cancelled["message"], Value::Null, "nothing of it was queued");
    let messages: Value = app.get("/api/v1/messages?job=Nightly").await.json().await.unwrap();
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1);
    let path = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetExecutionSummaryStatus";
    let asked = json!({ "executionId": cancelled["execution"] });
    assert_eq!(
        app.post_json(path, &asked).await.expect(StatusCode::OK)["value"],
        "Canceled",
        "PKG-12"
    );
}
