//! Exports that meet a value nobody can write, and failures that may pass.

use serde_json::Value;

use crate::app::{Backend, Setup, TestApp};
use crate::round_trip::{job, run};

crate::on_both_backends!(
    a_value_that_cannot_be_read_fails_the_run_at_once,
    a_failure_that_may_pass_is_told_and_bounded,
);

const DIRTY: &str = "name = \"Dirty\"\ntable = \"dirty\"\nkey = [\"id\"]\n[[fields]]\nname = \"price\"\ntype = \"decimal\"\n\
    [[fields]]\nname = \"id\"\ntype = \"int\"\n[[fields]]\nname = \"d\"\ntype = \"date\"\n";

async fn exporting(backend: Backend, statements: &[&str], more: &str) -> TestApp {
    TestApp::with(backend, |setup: &mut Setup| {
        for sql in statements {
            setup.before(sql);
        }
        setup.set("queue.max_deliveries", "2");
        setup.file("entities/dirty.toml", DIRTY);
        let export = format!("format = \"csv\"\n[[export.entities]]\nentity = \"Dirty\"\n{more}");
        setup.file("jobs/out.toml", &job(1, "Out", "export", "file", &export));
    })
    .await
}

fn failure(run: &Value) -> &str {
    assert_eq!(run["state"], "failed", "{run:#}");
    run["note"].as_str().unwrap()
}

async fn a_value_that_cannot_be_read_fails_the_run_at_once(backend: Backend) {
    let (statements, words): (&[&str], _) = match backend {
        Backend::Sqlite => (
            &[
                "create table dirty (id integer primary key, price decimal(10,2), d date)",
                "insert into dirty values (1, 1.5, '2026-01-31'), (7, x'ff00', '2026-01-31')",
            ],
            "a record of `Dirty` (id = `7`) cannot be written: its field `price` holds bytes that are no text (x'ff00'): \
             correct it in table `dirty`, or leave the field out (`fields`)",
        ),
        Backend::Postgres => (
            &[
                "create table dirty (id integer primary key, price decimal(10,2), d text)",
                "insert into dirty values (1, 1.5, '2026-01-31'), (7, 2.5, 'soon')",
            ],
            "a value of entity `Dirty` cannot be read, or does not fit its filter: business database `main`: invalid input \
             syntax for type date: \"soon\"; correct it in table `dirty`, or leave its field out (`fields`)",
        ),
    };
    let app = exporting(backend, statements, "").await;
    let run = run(&app, "Out").await;
    assert_eq!(failure(&run), format!("value_not_writable: {words}"));
    assert_eq!(run["attempt"], 1, "it is not tried again");
}

/// A failure that passes by itself; only PostgreSQL can be told to have one.
async fn a_failure_that_may_pass_is_told_and_bounded(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let statements = [
        "create table dirty (id integer primary key, price decimal(10,2), d date)",
        "insert into dirty values (1, 1.5, '2026-01-31')",
        "create function unlucky() returns boolean language plpgsql as $$ begin raise exception 'no luck today' using \
         errcode = '40001'; end $$",
    ];
    let app = exporting(backend, &statements, "filter = \"unlucky()\"\n").await;
    let first = run(&app, "Out").await;
    assert_eq!(first["state"], "due", "{first:#}");
    let note = "attempt 1 of 2 failed: business database `main` failed: no luck today; the next attempt is at \
        2026-01-05T08:00:02Z";
    assert_eq!(first["note"], note);
    let why = app.get(&format!("/api/v1/jobs/{}/why-empty", app.job("Out"))).await;
    let why: Value = why.json().await.unwrap();
    assert_eq!(why["reason"], "tries_again");
    let told = format!("The latest run, due at 2026-01-05T08:00:00Z, is not over and tries again: {note}.");
    let answer = why["answer"].as_str().unwrap();
    assert!(answer.starts_with(&told), "{answer}");

    app.clock.advance_seconds(2);
    app.run_until_idle().await;
    let path = format!("/api/v1/jobs/{}/occurrences", app.job("Out"));
    let runs: Value = app.get(&path).await.json().await.unwrap();
    assert_eq!(
        failure(&runs["occurrences"][0]),
        "attempts_exhausted: given up after 2 attempts (queue.max_deliveries = 2); the last: business database `main` \
         failed: no luck today"
    );
}
