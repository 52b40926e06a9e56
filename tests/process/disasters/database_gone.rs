//! The database server is away: first it refuses connections, then the network swallows everything without a word.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sqlx::Connection as _;

use super::outage;
use super::senders::{Senders, first_file};
use crate::readings;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::wire::{Caller, http, json};

/// How soon after an outage the service is ready again.
const BACK: Duration = Duration::from_secs(20);
/// How soon whoever asks is answered, whatever is the matter.
const IN_TIME: Duration = Duration::from_secs(45);

async fn behind_a_proxy() -> Option<(Site, Proxy)> {
    let store = TestDatabase::postgres().await?;
    let url = store.url.clone();
    let proxy = Proxy::to_server_of(&url).await;
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_STORE__URL", &proxy.through(&url));
    site.set("TRANSHIP_DATABASES__MAIN__URL", &proxy.through(site.business_url()));
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    readings::define(&site);
    Some((site, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_for_a_while_costs_time_and_nothing_else() {
    let Some((site, proxy)) = behind_a_proxy().await else {
        return;
    };
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    first_file(&site, &caller).await;
    let sending = Senders::start(&service, &caller);
    for broken in [Mode::Cut, Mode::Frozen, Mode::Cut] {
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxy.set(broken);
        tokio::time::sleep(outage()).await;
        if broken == Mode::Cut {
            assert_eq!(health(&service, "ready").await, StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(
            health(&service, "live").await,
            StatusCode::OK,
            "it is no reason to restart it"
        );
        proxy.set(Mode::Pass);
        ready_again(&service).await;
    }
    let sent = sending.stop().await;
    assert!(sent.refused > 0, "nobody noticed");
    sent.all_landed(&site, &caller).await;
    assert!(service.stop().await.success());
}

/// They had been sent, and the server had begun: no timeout of the server's own comes through, and none of a pool's counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_a_silent_server_never_answers_are_answered_in_time() {
    let Some((site, proxy)) = behind_a_proxy().await else {
        return;
    };
    let url = site.store_url();
    site.write(
        "jobs/parcels.toml",
        "id = \"00000000-0000-4000-8000-0000000000e5\"\nname = \"Parcels\"\ndirection = \"relay\"\nclients = [\"tester\"]\n",
    );
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let sent = caller.post("/api/v1/jobs/Parcels/messages", "one").await;
    let id = json(sent, StatusCode::CREATED).await["id"].clone();
    let poll = format!("/api/v1/messages/{}", id.as_str().expect("an id"));

    let mut holder = sqlx::PgConnection::connect(&url).await.expect("a session");
    sqlx::raw_sql("begin; lock table messages in access exclusive mode")
        .execute(&mut holder)
        .await
        .expect("a lock");
    let began = Instant::now();
    let asked = async {
        tokio::join!(
            caller.post("/api/v1/jobs/Parcels/messages", "two"),
            caller.post("/api/v1/jobs/Parcels/leases", "{\"max\":1}"),
            caller.get(&poll),
        )
    };
    let freezing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(Mode::Frozen);
    };
    let ((enqueued, leased, polled), ()) = tokio::join!(asked, freezing);
    let took = began.elapsed();
    assert!(took < IN_TIME, "it took {took:?}");
    for answer in [enqueued, leased, polled] {
        let again = answer.headers().contains_key("retry-after");
        assert_eq!((answer.status(), again), (StatusCode::SERVICE_UNAVAILABLE, true));
    }
    sqlx::raw_sql("rollback").execute(&mut holder).await.expect("let go");
    proxy.set(Mode::Pass);
    ready_again(&service).await;
    // What is left of the old connections is let go one by one.
    let began = Instant::now();
    while caller.post("/api/v1/jobs/Parcels/messages", "three").await.status() != StatusCode::CREATED {
        assert!(began.elapsed() < IN_TIME, "nothing is taken:\n{}", service.log());
    }
    assert!(service.stop().await.success());
}

async fn health(service: &Service, which: &str) -> StatusCode {
    let answer = http().get(format!("{}/health/{which}", service.base)).send().await;
    answer.expect("an answer").status()
}

async fn ready_again(service: &Service) {
    let began = Instant::now();
    while health(service, "ready").await != StatusCode::OK {
        assert!(began.elapsed() < BACK, "not ready after {BACK:?}:\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
