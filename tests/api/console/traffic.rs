//! The charts of what comes in and ends.

use serde_json::json;

use super::browser::{Browser, Seen};
use crate::app::{Backend, TestApp};
use crate::client::relay;

crate::on_both_backends!(
    the_overview_draws_what_came_in_and_how_it_ended,
    a_job_has_a_chart_of_its_own,
    who_sees_some_jobs_sees_their_sums,
);

/// Eight messages for the shop, two for the stock; five minutes later three of the shop's end, one of them badly.
async fn lively(backend: Backend) -> TestApp {
    let app = TestApp::with(backend, |setup| {
        relay(setup, "Shop", "");
        relay(setup, "Stock", "");
        for (_, text) in setup.files.iter_mut().filter(|(_, text)| text.contains("\"Stock\"")) {
            *text = text.replace("clients = [", "clients = [\"stock-taker\", ");
        }
    })
    .await;
    for _ in 0..8 {
        app.put("Shop", "", "x").await;
    }
    for _ in 0..2 {
        app.put("Stock", "", "x").await;
    }
    app.clock.advance_seconds(5 * 60);
    let leases = app.lease("Shop", json!({ "max": 3 })).await;
    for lease in &leases[..2] {
        app.step(lease, "ack", json!({})).await;
    }
    app.step(&leases[2], "reject", json!({ "reason": "no", "dead_letter": true }))
        .await;
    app.context.store.write_traffic().await.unwrap();
    app
}

/// Class, top and height of the bars of the chart.
fn bars(page: &Seen) -> Vec<(String, u64, u64)> {
    let units = |text: Option<&str>| text.unwrap().parse().unwrap();
    let elements = page.elements();
    let bars = elements.iter().filter(|element| {
        let class = element.get("class").unwrap_or_default();
        element.name == "rect" && element.get("width").is_some_and(|width| width.ends_with('%')) && class != "hit"
    });
    bars.map(|bar| {
        (
            bar.get("class").unwrap().to_owned(),
            units(bar.get("y")),
            units(bar.get("height")),
        )
    })
    .collect()
}

async fn the_overview_draws_what_came_in_and_how_it_ended(backend: Backend) {
    let app = lively(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see("/console").await;
    page.says("2.0 a minute in 0.6 a minute out 0.2 a minute failed over the last five minutes");
    page.says("08:00 UTC: 10 came in");
    page.says("08:05 UTC: 0 came in, 2 ended well, 1 failed");
    // In a table too, for who sees no chart.
    page.says("UTC In Ended well With rejects Cancelled, expired Failed 08:05 0 2 0 0 1 08:00 10 0 0 0 0");
    page.says("GET /api/v1/rates?range=hour");
    page.says("tranship rates --range hour");
    let drawn = "aria-label=\"Chart of the last hour: 10 messages came in, 3 ended, 1 of them failed. Most came in at 08:00 UTC: 10. \
                 The table below has every number.\"";
    assert!(page.page.contains(drawn), "{}", page.page);
    // What came in stands on the line, what ended hangs from it, the failed one below the others.
    let expected = [("in", 6, 80), ("well", 86, 16), ("failed", 102, 8)];
    assert_eq!(
        bars(&page),
        expected.map(|(class, y, height)| (class.to_owned(), y, height))
    );
    assert!(
        page.page.contains("fill=\"url(#hatched)\""),
        "more than its colour tells that it failed"
    );

    // The ranges are links, which need no script.
    let ranges = ["hour", "day", "week"].map(|range| format!("/console?range={range}#traffic"));
    let links = page.links();
    assert!(ranges.iter().all(|range| links.contains(range)), "{links:?}");
    let day = browser.see("/console?range=day").await;
    day.says("Mon 2026-01-05 08:00 to 08:15 10 2 0 0 1");
    day.says("tranship rates --range day");
    assert_eq!(bars(&day).len(), 3);
    let week = browser.see("/console?range=week").await;
    week.says("Mon 2026-01-05 06:00 to 09:00 10 2 0 0 1");
    app.clock.advance_seconds(3600);
    let browser = Browser::of(&app, "later", "operator").await;
    let later = browser.see("/console").await;
    later.says("0.0 a minute in");
    later.says("Nothing came in and nothing ended in the last hour.");
    assert_eq!(browser.get("/console?range=year").await.status, 400);
}

async fn a_job_has_a_chart_of_its_own(backend: Backend) {
    let app = lively(backend).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let path = format!("/console/jobs/{}", app.job("Stock"));
    let page = browser.see(&path).await;
    page.says("0.4 a minute in 0.0 a minute out 0.0 a minute failed");
    page.says("Failed 08:00 2 0 0 0 0");
    page.says("GET /api/v1/rates?range=hour&job=Stock");
    page.says("tranship rates --job Stock --range hour");
    assert!(page.links().contains(&format!("{path}?range=week#traffic")));
    assert_eq!(browser.get(&format!("{path}?range=week")).await.status, 200);
}

async fn who_sees_some_jobs_sees_their_sums(backend: Backend) {
    let app = lively(backend).await;
    let browser = Browser::of(&app, "stock-taker", "client").await;
    let page = browser.see("/console").await;
    page.says("08:00 UTC: 2 came in");
    page.does_not_say("1 failed");
    let browser = Browser::of(&app, "stranger", "client").await;
    browser
        .see("/console")
        .await
        .says("Nothing came in and nothing ended in the last hour.");
}
