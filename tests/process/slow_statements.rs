//! A run whose statement takes long: nobody waits for it at the end of the process, and it does not outlive it.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::on_both_databases;
use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows, run};
use crate::waited_runs::ENTITY;
use crate::wire::{Caller, json};

on_both_databases!(sigterm_waits_for_no_statement,);

/// Both take minutes, to find nothing.
const SLOW_ON_SQLITE: &str = "item = (with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000000) select count(*) from n)";
const SLOW_ON_POSTGRES: &str = "pg_sleep(600) is null";
/// Longest wait for a run to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Far less than a process has for its running work (`server.shutdown_seconds`).
const AT_ONCE: Duration = Duration::from_secs(12);
/// A server looks for its client every ten seconds.
const SOON: Duration = Duration::from_secs(5);
const LOOKED_FOR: Duration = Duration::from_secs(30);

/// A service in the middle of such a run.
async fn in_the_middle(store: TestDatabase) -> (Site, Credentials, Service) {
    let site = Site::on(store).await;
    let is_on_sqlite = site.business_url().starts_with("sqlite");
    let slow = if is_on_sqlite { SLOW_ON_SQLITE } else { SLOW_ON_POSTGRES };
    site.write("entities/stock.toml", ENTITY);
    let job = format!(
        "id = \"0f1d5f5e-52a1-4c43-9c3e-5a6f2f7f3c02\"\nname = \"Slow\"\ndirection = \"export\"\ndata_source = \"file\"\n\
         clients = [\"tester\"]\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\nfilter = \"{slow}\"\n"
    );
    site.write("jobs/slow.toml", &job);
    run(site.business_url(), "create table stock (item integer primary key)").await;
    run(site.business_url(), "insert into stock values (1)").await;
    let tester = site.add_client("tester", "operator");
    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let asked = caller.post("/api/v1/jobs/Slow/run", "").await;
    assert!(asked.status().is_success(), "{}", asked.status());
    wait_for_state(&caller, "running").await;
    if is_on_sqlite {
        // Which does not tell what it is at.
        tokio::time::sleep(Duration::from_secs(1)).await;
    } else {
        let began = Instant::now();
        while under_way(site.business_url()).await == "0" {
            assert!(began.elapsed() < PATIENCE, "it does not begin");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    (site, tester, service)
}

async fn wait_for_state(caller: &Caller, wanted: &str) {
    let began = Instant::now();
    loop {
        let listed = caller.get("/api/v1/jobs/Slow/occurrences").await;
        let listed = json(listed, StatusCode::OK).await;
        if listed["occurrences"][0]["state"] == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{listed:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Statements of the run that the server is at.
async fn under_way(url: &str) -> String {
    let sql = "select count(*)::text from pg_stat_activity where datname = current_database() and state = 'active' \
               and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";
    let counted = rows(url, sql).await;
    counted[0][0].clone().expect("a number")
}

async fn wait_for_its_end(url: &str, patience: Duration) {
    let began = Instant::now();
    while under_way(url).await != "0" {
        assert!(began.elapsed() < patience, "it goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn sigterm_waits_for_no_statement(store: TestDatabase) {
    let (site, tester, service) = in_the_middle(store).await;
    let began = Instant::now();
    let status = service.stop().await;
    let took = began.elapsed();
    assert!(status.success(), "it ended with {status}");
    assert!(took < AT_ONCE, "it took {took:?}");
    if !site.business_url().starts_with("sqlite") {
        wait_for_its_end(site.business_url(), SOON).await;
    }
    // It was handed back, and does not wait for the end of a lease.
    let state = rows(&site.store_url(), "select state from occurrences").await;
    assert_eq!(state, [[Some("due".to_owned())]]);
    let service = site.start("data").await;
    wait_for_state(&Caller::new(&service, &tester).await, "running").await;
    assert!(service.stop().await.success());
}

/// Its successor would begin the same statement beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_no_statement_behind() {
    let Some(store) = TestDatabase::postgres().await else {
        return;
    };
    let (site, _, service) = in_the_middle(store).await;
    assert_eq!(under_way(site.business_url()).await, "1");
    service.kill9();
    wait_for_its_end(site.business_url(), LOOKED_FOR).await;
}
