//! A reader on SQLite lets go when others have written too much meanwhile, and there are copies to read instead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc::channel;
use tranship::business::snapshot::{Row, Selection};
use tranship::business::{BusinessError, Database};
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};

use super::fixture::{Plain, all_rows, batch, entity, field, field_names, open, read_all, row, text};
use crate::support::databases::TestDatabase;

const ROWS: u32 = 3_000;
const MIB: u64 = 1 << 20;

fn notes() -> Entity {
    let fields = vec![field("number", FieldType::Int), field("text", FieldType::String)];
    entity("Notes", "notes", &["number"], fields)
}

/// A database with some rows, and what is selected of it.
async fn filled(home: &TestDatabase) -> (Database, Entity) {
    let (database, entity) = (open(home), notes());
    let rows = (1..=ROWS)
        .map(|n| vec![Cell::Int(n.into()), text(&"x".repeat(200))])
        .collect();
    let mut loading = super::fixture::Loading::begin(&database, &entity).await;
    loading.chunk_records = 3_000;
    loading.stage(batch(1, rows)).await;
    loading.finish().await;
    (database, entity)
}

fn log_of(home: &TestDatabase) -> PathBuf {
    let file = home.url.strip_prefix("sqlite://").expect("a file");
    PathBuf::from(format!("{file}-wal"))
}

/// Two MiB for the log, or a little more.
async fn write_much(plain: &mut Plain) {
    plain.run("create table if not exists ballast (bytes blob)").await;
    for _ in 0..8 {
        plain.run("insert into ballast values (zeroblob(262144))").await;
    }
}

/// Waits until SQLite can write the whole log back, for which nobody may read what came before.
async fn wait_for_checkpoint(plain: &mut Plain, log: &Path) {
    for _ in 0..100 {
        plain.run("pragma busy_timeout = 0").await;
        plain.run("pragma wal_checkpoint(truncate)").await;
        if log.metadata().expect("a log").len() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("somebody still reads what came before the log");
}

fn assert_given_up<T: std::fmt::Debug>(outcome: Result<T, BusinessError>) {
    match outcome {
        Err(BusinessError::LogGrown { database, grown_bytes }) => {
            assert_eq!(database, "main");
            assert!((MIB + 1..8 * MIB).contains(&grown_bytes), "{grown_bytes}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_lets_go_when_others_have_written_too_much() {
    let home = TestDatabase::sqlite();
    let (database, entity) = filled(&home).await;
    let mut plain = Plain::open(&home).await;
    let fields = field_names(&entity);
    let selection = all_rows(&entity, &fields);
    let mut snapshot = database.snapshot_within(MIB).await.expect("a snapshot");
    let (sender, mut receiver) = channel::<Vec<Row>>(1);
    let writing = async {
        assert_eq!(receiver.recv().await.expect("a batch").len(), 500);
        write_much(&mut plain).await;
        // The reader waits for us, and we for nothing.
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let (read, ()) = tokio::join!(snapshot.read(selection, sender), writing);
    assert_given_up(read);
    assert!(snapshot.is_given_up());
    let (sender, _receiver) = channel(1);
    assert_given_up(snapshot.read(selection, sender).await);
    // While it is still there.
    wait_for_checkpoint(&mut plain, &log_of(&home)).await;

    // A database has any number of readers after that.
    let mut within = database.snapshot_within(64 * MIB).await.expect("a snapshot");
    write_much(&mut plain).await;
    let (sender, mut receiver) = channel(16);
    assert_eq!(within.read(selection, sender).await.expect("all rows"), u64::from(ROWS));
    receiver.close();
    assert!(!within.is_given_up());
    drop(within);
    assert_eq!(read_all(&database, &entity).await.len(), ROWS as usize);
}

/// Takes some minutes before there is a row.
const LONG: &str =
    "(with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000000) select count(*) from n) > 0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_whose_reader_is_gone_is_ended() {
    let home = TestDatabase::sqlite();
    let (database, entity) = filled(&home).await;
    let mut plain = Plain::open(&home).await;
    let fields = field_names(&entity);
    let selection = Selection {
        filter: Some(LONG),
        ..all_rows(&entity, &fields)
    };
    for mut snapshot in [
        database.snapshot().await.expect("a snapshot"),
        database.snapshot_within(64 * MIB).await.expect("a snapshot"),
    ] {
        let (sender, _receiver) = channel(1);
        let reading = tokio::time::timeout(Duration::from_millis(200), snapshot.read(selection, sender));
        assert!(reading.await.is_err(), "it takes longer");
    }
    write_much(&mut plain).await;
    wait_for_checkpoint(&mut plain, &log_of(&home)).await;
    assert_eq!(read_all(&database, &entity).await.len(), ROWS as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_has_no_rows_yet_is_ended_too() {
    let home = TestDatabase::sqlite();
    let (database, entity) = filled(&home).await;
    let mut plain = Plain::open(&home).await;
    let fields = field_names(&entity);
    let selection = Selection {
        filter: Some(LONG),
        ..all_rows(&entity, &fields)
    };
    let mut snapshot = database.snapshot_within(MIB).await.expect("a snapshot");
    let (sender, _receiver) = channel(1);
    let (read, ()) = tokio::join!(snapshot.read(selection, sender), write_much(&mut plain));
    assert_given_up(read);
    wait_for_checkpoint(&mut plain, &log_of(&home)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_state_and_goes_with_its_reader() {
    let home = TestDatabase::sqlite();
    let (database, entity) = filled(&home).await;
    let mut plain = Plain::open(&home).await;
    plain.run("delete from notes where number > 2").await;
    let folder = tempfile::tempdir().expect("a folder");
    let copies = folder.path().join("data/copies");
    let copy = database.back_up(&copies).await.expect("a copy");
    assert_eq!(copy.path().parent(), Some(copies.as_path()));
    assert_eq!(copy.bytes(), copy.path().metadata().expect("a file").len());
    plain.run("delete from notes").await;
    wait_for_checkpoint(&mut plain, &log_of(&home)).await;

    let long = "x".repeat(200);
    let read = read_all(copy.database(), &entity).await;
    assert_eq!(read, [row(&["1", &long]), row(&["2", &long])]);
    assert_eq!(
        std::fs::read_dir(&copies).expect("lists").count(),
        1,
        "nothing beside it"
    );
    drop(copy);
    assert_eq!(std::fs::read_dir(&copies).expect("lists").count(), 0);
    assert!(read_all(&database, &entity).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_given_up_half_way_leaves_nothing() {
    let home = TestDatabase::sqlite();
    let (database, _) = filled(&home).await;
    let mut plain = Plain::open(&home).await;
    for _ in 0..10 {
        write_much(&mut plain).await;
    }
    let copies = tempfile::tempdir().expect("a folder");
    let copying = tokio::time::timeout(Duration::from_millis(3), database.back_up(copies.path()));
    assert!(copying.await.is_err(), "it takes longer");
    for _ in 0..100 {
        if std::fs::read_dir(copies.path()).expect("lists").count() == 0 {
            wait_for_checkpoint(&mut plain, &log_of(&home)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_needs_neither() {
    let Some(home) = TestDatabase::postgres().await else {
        return;
    };
    let (database, entity) = filled(&home).await;
    let fields = field_names(&entity);
    let selection = all_rows(&entity, &fields);
    let mut snapshot = database.snapshot_within(1).await.expect("a snapshot");
    let much = "create table ballast as select repeat(md5(n::text), 100) from generate_series(1, 1000) n";
    Plain::open(&home).await.run(much).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (sender, _receiver) = channel(16);
    assert_eq!(
        snapshot.read(selection, sender).await.expect("all rows"),
        u64::from(ROWS)
    );
    let folder = tempfile::tempdir().expect("a folder");
    let refused = database.back_up(folder.path()).await;
    assert!(matches!(refused, Err(BusinessError::Settings(_))), "{refused:?}");
}
