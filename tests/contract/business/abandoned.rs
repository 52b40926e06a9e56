//! A statement that nobody waits for any more is ended on PostgreSQL as well, whose sessions look only now and then whether anybody does.
//! (`copies` asks the same of SQLite.)

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc::channel;
use tranship::business::Database;
use tranship::business::snapshot::{Row, Selection};
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};

use super::fixture::{all_rows, batch, entity, field, field_names, open};
use crate::support::databases::TestDatabase;

const ROWS: u32 = 3_000;
/// The statements here would take minutes, and the server looks for its client every ten seconds.
const SOON: Duration = Duration::from_secs(5);

struct Place {
    database: Database,
    entity: Entity,
    fields: Vec<String>,
    beside: PgConnection,
    _home: TestDatabase,
}

impl Place {
    /// A table that is read in the order of its key, row by row.
    async fn new() -> Option<Self> {
        let home = TestDatabase::postgres().await?;
        let mut beside = PgConnection::connect(&home.url).await.expect("a connection");
        let settings = "do $$ begin \
             execute format('alter database %I set enable_seqscan = off', current_database()); \
             execute format('alter database %I set enable_bitmapscan = off', current_database()); \
             execute format('alter database %I set enable_sort = off', current_database()); end $$";
        sqlx::raw_sql(settings)
            .execute(&mut beside)
            .await
            .expect("a database of our own");
        let database = open(&home);
        let entity = entity("Notes", "notes", &["number"], vec![field("number", FieldType::Int)]);
        let mut loading = super::fixture::Loading::begin(&database, &entity).await;
        loading.chunk_records = ROWS.into();
        loading
            .stage(batch(1, (1..=ROWS).map(|n| vec![Cell::Int(n.into())]).collect()))
            .await;
        loading.finish().await;
        Some(Self {
            database,
            fields: field_names(&entity),
            entity,
            beside,
            _home: home,
        })
    }

    fn slow<'a>(&'a self, filter: &'a str) -> Selection<'a> {
        Selection {
            filter: Some(filter),
            ..all_rows(&self.entity, &self.fields)
        }
    }

    async fn under_way(&mut self) -> i64 {
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' \
                   and query like '%pg_sleep%' and pid <> pg_backend_pid()";
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.beside)
            .await
            .expect("an answer")
    }

    async fn waits_for_the_beginning(&mut self) {
        let began = Instant::now();
        while self.under_way().await == 0 {
            assert!(began.elapsed() < SOON, "it does not begin");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn waits_for_the_end(&mut self) {
        let began = Instant::now();
        while self.under_way().await > 0 {
            assert!(began.elapsed() < SOON, "it goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_without_rows_yet_is_ended() {
    let Some(mut place) = Place::new().await else { return };
    let mut snapshot = place.database.snapshot().await.expect("a snapshot");
    let (sender, _receiver) = channel(1);
    let reading = snapshot.read(place.slow("pg_sleep(1) is null"), sender);
    let reading = tokio::time::timeout(Duration::from_millis(500), reading);
    assert!(reading.await.is_err(), "it takes longer");
    place.waits_for_the_beginning().await;
    drop(snapshot);
    place.waits_for_the_end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_in_the_middle_of_its_rows_is_ended() {
    let Some(mut place) = Place::new().await else { return };
    let mut snapshot = place.database.snapshot().await.expect("a snapshot");
    let (sender, mut receiver) = channel::<Vec<Row>>(1);
    let selection = place.slow("number <= 2000 or pg_sleep(0.5) is not null");
    let first = async { receiver.recv().await.expect("a batch").len() };
    tokio::select! {
        read = snapshot.read(selection, sender) => panic!("{read:?}"),
        rows = first => assert_eq!(rows, 500),
    }
    assert_eq!(place.under_way().await, 1);
    drop((receiver, snapshot));
    place.waits_for_the_end().await;
}
