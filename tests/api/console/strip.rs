//! The latest runs of a job as bars.

use super::browser::Browser;
use crate::app::{Backend, TestApp};
use crate::support::databases::run;

crate::on_both_backends!(the_latest_runs_of_a_job_are_bars,);

const JOB: &str = r#"
id = "5d0a2f64-4f0a-49b5-8c1b-2f3f1f0a7d11"
name = "Customers out"
direction = "export"
data_source = "file"
clients = ["tester"]
[export]
format = "csv"
[[export.entities]]
entity = "Customers"
"#;

async fn the_latest_runs_of_a_job_are_bars(backend: Backend) {
    let app = TestApp::with(backend, |setup| setup.file("jobs/customers-out.toml", JOB)).await;
    let browser = Browser::of(&app, "op", "operator").await;
    let path = format!("/console/jobs/{}", app.job("Customers out"));
    let bars = async || {
        let page = browser.see(&path).await;
        let bars = page.elements().into_iter().filter(|element| {
            let class = element.get("class").unwrap_or_default();
            ["good ", "odd ", "bad "].iter().any(|tone| class.starts_with(tone)) && class.contains(" h")
        });
        bars.map(|bar| {
            (
                bar.get("class").unwrap().to_owned(),
                bar.get("title").unwrap().to_owned(),
            )
        })
        .collect::<Vec<_>>()
    };
    app.import("Inbound customers", "Customers", crate::app::sample("customers.csv"))
        .await;
    let run_once = async || {
        app.clock.advance_seconds(60);
        app.post(&format!("/api/v1/jobs/{}/run", app.job("Customers out")), "{}")
            .await;
        app.run_until_idle().await;
    };
    run_once().await;
    assert_eq!(bars().await, [], "one run has nothing to be compared with");
    run_once().await;
    run(&app.business.url, "drop table customers").await;
    run_once().await;
    let seen = bars().await;
    let tones: Vec<_> = seen.iter().map(|(class, _)| class.split(' ').next().unwrap()).collect();
    assert_eq!(tones, ["good", "good", "bad"], "oldest first: {seen:?}");
    assert!(
        seen[0].1.contains(": done, ") && seen[0].1.contains(" records"),
        "{seen:?}"
    );
    assert!(
        seen[2].1.contains(": failed, ") && seen[2].1.contains("customers"),
        "{seen:?}"
    );
    // One that ran for an instant is seen, too.
    assert!(seen.iter().all(|(class, _)| !class.contains("h0")), "{seen:?}");
}
