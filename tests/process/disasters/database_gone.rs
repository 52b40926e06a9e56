//! The database server is away: first it refuses connections, then the network swallows everything without a word.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::outage;
use super::senders::{Senders, first_file};
use crate::readings;
use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::wire::{Caller, http};

/// How soon after an outage the service is ready again.
const BACK: Duration = Duration::from_secs(20);

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
