//! What failed beside messages stands on the overview, too: nobody looks through every job.

use super::browser::Browser;
use crate::app::Backend;
use crate::destinations::{destinations, service};
use crate::support::databases::run;
use crate::webhooks::receiver::{Receiver, Reply};

crate::on_both_backends!(failed_runs_and_deliveries_stand_on_the_overview,);

async fn failed_runs_and_deliveries_stand_on_the_overview(backend: Backend) {
    let receiver = Receiver::start().await;
    receiver.always(Reply::Status(422, "", "no such item"));
    let export = destinations("") + &service("erp", &receiver, "");
    let app = crate::destinations::app(backend, &export).await;
    let browser = Browser::of(&app, "op", "operator").await;
    browser.see("/console").await.says("Nothing failed.");
    app.export().await;
    app.bring().await;
    let page = browser.see("/console").await;
    page.does_not_say("Nothing failed.");
    page.says("Stock out erp just now 422 no such item");

    run(&app.business.url, "alter table stock rename column quantity to amount").await;
    app.clock.advance_seconds(60);
    app.post(&format!("/api/v1/jobs/{}/run", app.job("Stock out")), "{}")
        .await;
    app.run_until_idle().await;
    let page = browser.see("/console").await;
    page.says("Runs that failed lately Job Due Failed Attempts Why Stock out just now");
    page.says("quantity");

    // A client that may use other jobs only sees none of it.
    let stranger = Browser::of(&app, "stranger", "client").await;
    stranger.see("/console").await.says("Nothing failed.");
    app.clock.advance_seconds(8 * 86_400);
    let browser = Browser::of(&app, "later", "operator").await;
    browser.see("/console").await.says("Nothing failed.");
}
