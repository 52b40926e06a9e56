//! With many messages a page touches no more rows than with few.

use super::browser::Browser;
use crate::app::{Backend, TestApp};
use crate::support::databases::{rows, run};

/// What a service holds that has run for long.
const MESSAGES: u64 = 1_000_000;
/// Far more than any page may touch.
const MANY: u64 = 60_000;

/// PostgreSQL counts what its tables and indexes gave. Counts go out when a connection ends, so they are read once the service has
/// stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_walks_through_all_messages() {
    if crate::support::databases::TestDatabase::postgres().await.is_none() {
        return;
    }
    let app = TestApp::with(Backend::Postgres, |setup| crate::client::relay(setup, "Shop", "")).await;
    let first = app.put("Shop", "external_id=first", "x").await;
    fill(&app).await;
    let browser = Browser::of(&app, "boss", "admin").await;
    let shop = app.job("Shop");
    let before = touched(&app).await;
    let pages = [
        "/console".to_owned(),
        "/console?range=day".to_owned(),
        "/console?range=week".to_owned(),
        "/console/jobs".to_owned(),
        format!("/console/jobs/{shop}"),
        format!("/console/jobs/{shop}?range=week"),
        "/console/messages".to_owned(),
        format!("/console/messages?job={shop}"),
        format!("/console/messages?job={shop}&before={first}"),
        "/console/messages?status=failed".to_owned(),
        "/console/messages?status=DeadLettered".to_owned(),
        "/console/messages?status=Expired".to_owned(),
        "/console/messages?status=Acked".to_owned(),
        "/console/messages?status=PreProcessing".to_owned(),
        "/console/messages?file=no-such-file".to_owned(),
        format!("/console/messages/{first}"),
        format!("/console/messages/{first}/preview"),
        "/console/audit".to_owned(),
        "/console/audit?actor=op-7".to_owned(),
        "/console/audit?action=job.resume".to_owned(),
        format!("/console/audit?target={shop}"),
        "/console/audit?actor=nobody".to_owned(),
        "/console/audit?from=2026-01-01&before=2026-01-02".to_owned(),
        "/console/audit?before_entry=30000".to_owned(),
        "/console/webhooks".to_owned(),
        "/console/webhooks?state=dead".to_owned(),
        format!("/console/webhooks?state=dead&job={shop}"),
        "/console/entities".to_owned(),
        "/console/entities/Customers".to_owned(),
        "/console/clients".to_owned(),
        "/console/messages?code=no-such".to_owned(),
        "/console/dead-letters".to_owned(),
        format!("/console/messages/bulk?action=retry&all=true&job={shop}"),
        format!("/console/messages/bulk?action=cancel&all=true&job={shop}"),
    ];
    for page in &pages {
        browser.see(page).await;
    }
    let store = app.store.url.clone();
    app.stop();
    app.context.store.close().await;
    let mut touched_by = 0;
    // The server writes its counts down a moment after a connection ended.
    for _ in 0..50 {
        let now = of(&store).await - before;
        if now > 0 && now == touched_by {
            break;
        }
        touched_by = now;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Four of the pages look at 2,000 messages, which stand in three tables.
    let most = 4 * 2_000 * 3 * 2 + 10_000;
    assert!(touched_by > 1_000, "{touched_by} were counted");
    assert!(
        touched_by < most,
        "{} pages touched {touched_by} rows and entries",
        pages.len()
    );
}

/// Messages of one job that ended, one in a thousand of them badly.
async fn fill(app: &TestApp) {
    let job = app.job("Shop");
    let now = app.clock.now().micros();
    let messages = format!(
        "with many as (select n, ('019b8d00-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id from generate_series(1, {MESSAGES}) n), \
         m as (insert into messages (id, job, direction, enqueued_by, digest, bytes, durability, enqueued_at, external_id) \
           select id, '{job}', 'relay', 'shop', decode(repeat('00', 32), 'hex'), 1, 'full', {now}, 'file-' || n from many) \
         insert into outcomes (message, job, status, seq, epoch, attempt, finished_at) \
           select id, '{job}', case when n % 1000 = 0 then 'DeadLettered' else 'Processed' end, -n, 1, 1, {now} from many"
    );
    run(&app.store.url, &messages).await;
    let audit = format!(
        "insert into audit (seq, at, actor, surface, action, target, outcome, detail, previous, hash) \
         select n, {now} + n, 'op-' || n % 1000, 'api', case when n % 1000 = 0 then 'job.resume' else 'job.pause' end, \
           case when n % 100 = 0 then '{job}' else 'another' end, 'done', '{{}}', '', '' from generate_series(1, {MANY}) n"
    );
    run(&app.store.url, &audit).await;
    let deliveries = format!(
        "insert into webhook_deliveries (id, job, event, url, destination, body, state, epoch, attempt, due_at, created_at) \
         select ('019b8d00-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '{job}', 'ping', 'https://a.test', 'a.test', '{{}}', \
           case when n % 10000 = 0 then 'dead' else 'delivered' end, 1, 1, {now}, {now} from generate_series(1, {MANY}) n"
    );
    run(&app.store.url, &deliveries).await;
    // Far more minutes than a chart shows, as if nobody had tidied.
    let minutes = format!(
        "insert into traffic (job, bucket_seconds, starts_at, enqueued, succeeded, with_errors, failed, stopped) \
         select '{job}', 60, ({now} / 60000000 - n) * 60000000, 1, 1, 0, 0, 0 from generate_series(1, {MANY}) n"
    );
    run(&app.store.url, &minutes).await;
    run(&app.store.url, "analyze").await;
}

async fn touched(app: &TestApp) -> i64 {
    of(&app.store.url).await
}

/// Rows that were read one after the other, and entries of indexes.
async fn of(store: &str) -> i64 {
    let sql = "select cast((select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables where relname not like 'pg_%') \
        + (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes) as text)";
    rows(store, sql).await[0][0].as_ref().unwrap().parse().unwrap()
}
