//! The audit log: one chain, whoever writes, and no change of it goes unseen.

use super::*;
use crate::support::databases::{rows, run};
use tranship::domain::audit::{Action, NewEntry, Outcome, Surface};
use tranship::storage::audit::{AuditFilter, Fault};
use tranship::storage::clients::{Change, Changed, Client, LastAdmin};

crate::on_both_databases!(
    an_entry_comes_with_its_effect_or_not_at_all,
    writers_of_several_processes_make_one_chain,
    entries_are_neither_changed_nor_deleted,
    what_is_changed_behind_the_triggers_is_named,
    what_is_pruned_is_told_and_the_chain_goes_on,
    entries_are_found_by_what_they_say_page_by_page,
    the_last_admin_stays_one,
);

fn entry(action: Action, target: &str, seconds: i64) -> NewEntry {
    NewEntry::new(at(seconds), "op", Surface::Api, action, target)
}

async fn some(store: &Store, count: i64) {
    for n in 0..count {
        let entry = entry(Action::JobPause, &format!("job-{n}"), n).with("note", "why");
        assert_eq!(store.note(entry, Outcome::Done).await.unwrap(), n + 1);
    }
}

async fn seqs(store: &Store, filter: &AuditFilter) -> Vec<i64> {
    let entries = store.audit_entries(filter, 100).await.unwrap();
    entries.iter().map(|entry| entry.link.seq).collect()
}

async fn an_entry_comes_with_its_effect_or_not_at_all(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let audited = store.audited(entry(Action::JobPause, &job.to_string(), 1));
    assert!(audited.pause(job, "op", None, at(1)).await.unwrap());
    assert!(!audited.pause(job, "op", None, at(2)).await.unwrap(), "it is paused");
    store.resume(job, "op", None, at(3)).await.unwrap();
    let entries = store.audit_entries(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(entries.len(), 1, "neither what had no effect nor what was not audited");
    let link = &entries[0].link;
    assert_eq!(
        (
            link.seq,
            link.actor.as_str(),
            link.action.as_str(),
            link.outcome.as_str()
        ),
        (1, "op", "job.pause", "done")
    );
    // A message is told of by the transaction that stores it; the same again is no second act.
    let mut child = inline(job, Direction::Import);
    child.identities = vec![tranship::storage::enqueue::Identity {
        kind: tranship::storage::enqueue::IdentityKind::Key,
        key: "k".into(),
        since: START,
    }];
    let audited = store.audited(entry(Action::MessageResubmit, "parent", 4));
    audited.enqueue(child.clone(), at(4)).await.unwrap();
    let again = NewMessage {
        id: MessageId::generate(),
        ..child.clone()
    };
    audited.enqueue(again, at(5)).await.unwrap();
    let entries = store.audit_entries(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].detail()["message"], child.id.to_string());
}

async fn writers_of_several_processes_make_one_chain(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let write = |store: Store, who: &'static str| {
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for n in 0..40 {
                let mut entry = entry(Action::JobRun, who, n);
                who.clone_into(&mut entry.actor);
                numbers.push(store.note(entry, Outcome::Done).await.unwrap());
            }
            numbers
        })
    };
    let writers = ["a", "b", "c", "d"].map(|who| {
        let store = if who < "c" { &store } else { &other };
        write(store.clone(), who)
    });
    let mut numbers = Vec::new();
    for writer in writers {
        numbers.extend(writer.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=160).collect::<Vec<i64>>());
    let verified = store.verify_audit(None, 1_000_000).await.unwrap();
    assert_eq!((verified.checked, verified.fault, verified.next), (160, None, None));
    let by_parts = store.verify_audit(None, 100).await.unwrap();
    assert_eq!((by_parts.checked, by_parts.next), (100, Some(100)));
    let rest = store.verify_audit(by_parts.next, 100).await.unwrap();
    assert_eq!((rest.checked, rest.next, rest.head), (60, None, verified.head));
}

async fn entries_are_neither_changed_nor_deleted(database: TestDatabase) {
    let store = open(&database).await;
    some(&store, 3).await;
    let mut statements = vec![
        "update audit set actor = 'nobody' where seq = 2",
        "delete from audit where seq = 2",
        "delete from audit",
    ];
    if database.url.starts_with("postgres") {
        statements.push("truncate audit");
    }
    for statement in statements {
        let refused = attempt(&database.url, statement).await;
        assert!(
            refused.contains("the audit log is append-only"),
            "{statement}: {refused}"
        );
    }
    assert_eq!(store.verify_audit(None, 10).await.unwrap().checked, 3);
}

/// Runs a statement that is refused; what the database said.
async fn attempt(url: &str, statement: &'static str) -> String {
    use sqlx::Connection as _;
    let refused = if url.starts_with("postgres") {
        let mut db = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query(statement).execute(&mut db).await.map(|_| ())
    } else {
        let mut db = sqlx::SqliteConnection::connect(url).await.unwrap();
        sqlx::query(statement).execute(&mut db).await.map(|_| ())
    };
    refused.expect_err(statement).to_string()
}

/// Takes the triggers away, as somebody can who has the database.
async fn without_triggers(database: &TestDatabase) {
    let statements: &[&str] = if database.url.starts_with("postgres") {
        &["alter table audit disable trigger user"]
    } else {
        &["drop trigger audit_is_not_changed", "drop trigger audit_is_not_deleted"]
    };
    for statement in statements {
        run(&database.url, statement).await;
    }
}

async fn what_is_changed_behind_the_triggers_is_named(database: TestDatabase) {
    let store = open(&database).await;
    some(&store, 10).await;
    let head = store.audit_head().await.unwrap().unwrap();
    without_triggers(&database).await;
    let fault = async || store.verify_audit(None, 100).await.unwrap().fault;
    let changed = |seq, what: &str| {
        Some(Fault {
            seq,
            what: what.to_owned(),
        })
    };
    for column in ["actor", "surface", "action", "target", "outcome", "detail"] {
        let other = match column {
            "surface" => "'console'",
            "outcome" => "'failed'",
            _ => "'x'",
        };
        let before = rows(&database.url, &format!("select {column} from audit where seq = 4")).await;
        let before = before[0][0].clone().unwrap();
        run(
            &database.url,
            &format!("update audit set {column} = {other} where seq = 4"),
        )
        .await;
        assert_eq!(
            fault().await,
            changed(4, "was changed: its hash is another one"),
            "{column}"
        );
        run(
            &database.url,
            &format!("update audit set {column} = '{before}' where seq = 4"),
        )
        .await;
    }
    run(&database.url, "update audit set at = at + 1 where seq = 10").await;
    assert_eq!(fault().await.map(|fault| fault.seq), Some(10));
    run(&database.url, "update audit set at = at - 1 where seq = 10").await;
    assert_eq!(fault().await, None);

    assert!(store.audit_holds(10, &head.hex()).await.unwrap());
    run(&database.url, "delete from audit where seq = 10").await;
    assert_eq!(
        fault().await,
        None,
        "that the end is missing shows to whoever wrote it down"
    );
    assert!(!store.audit_holds(10, &head.hex()).await.unwrap());
    run(&database.url, "delete from audit where seq = 5").await;
    assert_eq!(fault().await, changed(6, "follows entry 4: those between are missing"));
    run(&database.url, "delete from audit where seq < 3").await;
    let what = "is the first there is, and no entry says that those up to 2 were pruned";
    assert_eq!(fault().await, changed(3, what));
}

async fn what_is_pruned_is_told_and_the_chain_goes_on(database: TestDatabase) {
    let store = open(&database).await;
    some(&store, 10).await;
    assert_eq!(store.prune_audit(at(0), at(50)).await.unwrap(), 0);
    assert_eq!(store.prune_audit(at(4), at(50)).await.unwrap(), 4);
    let filter = AuditFilter::default();
    assert_eq!(seqs(&store, &filter).await, [11, 10, 9, 8, 7, 6, 5]);
    let verified = store.verify_audit(None, 100).await.unwrap();
    assert_eq!((verified.checked, verified.first, verified.fault), (7, Some(5), None));
    // The entry that said so may go too: the next one says it again.
    assert_eq!(store.prune_audit(at(60), at(70)).await.unwrap(), 7);
    let entries = store.audit_entries(&filter, 10).await.unwrap();
    assert_eq!((entries[0].link.seq, entries[0].link.target.as_str()), (12, "11"));
    assert_eq!(store.verify_audit(None, 100).await.unwrap().fault, None);
    without_triggers(&database).await;
    run(&database.url, "update audit set detail = '{}' where seq = 12").await;
    assert!(store.verify_audit(None, 100).await.unwrap().fault.is_some());
}

async fn entries_are_found_by_what_they_say_page_by_page(database: TestDatabase) {
    let store = open(&database).await;
    some(&store, 5).await;
    let other = NewEntry::new(at(2), "boss", Surface::Api, Action::ClientAdd, "shop");
    store.note(other, Outcome::Done).await.unwrap();
    let all = AuditFilter::default();
    assert_eq!(seqs(&store, &all).await, [5, 4, 6, 3, 2, 1], "by time, then by number");
    let page = |before| AuditFilter { before, ..all.clone() };
    let mut read = Vec::new();
    let mut before = None;
    loop {
        let entries = store.audit_entries(&page(before), 2).await.unwrap();
        let Some(last) = entries.last() else { break };
        before = Some(last.link.seq);
        read.extend(entries.iter().map(|entry| entry.link.seq));
    }
    assert_eq!(read, [5, 4, 6, 3, 2, 1]);
    for (filter, expected) in [
        (
            AuditFilter {
                actor: Some("boss".into()),
                ..all.clone()
            },
            vec![6],
        ),
        (
            AuditFilter {
                action: Some(Action::JobPause),
                ..all.clone()
            },
            vec![5, 4, 3, 2, 1],
        ),
        (
            AuditFilter {
                target: Some("job-1".into()),
                ..all.clone()
            },
            vec![2],
        ),
        (
            AuditFilter {
                from: Some(at(3)),
                ..all.clone()
            },
            vec![5, 4],
        ),
        (
            AuditFilter {
                to: Some(at(2)),
                ..all.clone()
            },
            vec![2, 1],
        ),
        (
            AuditFilter {
                without_access: true,
                ..all.clone()
            },
            vec![5, 4, 3, 2, 1],
        ),
        (
            AuditFilter {
                before: Some(99),
                ..all.clone()
            },
            vec![],
        ),
    ] {
        assert_eq!(seqs(&store, &filter).await, expected, "{filter:?}");
    }
}

async fn the_last_admin_stays_one(database: TestDatabase) {
    use tranship::domain::client::Role;
    let store = open(&database).await;
    let other = second(&database, &store).await;
    for (name, role) in [("a", "admin"), ("b", "admin"), ("c", "client")] {
        let client = Client {
            name: name.into(),
            secret_hash: "$argon2id$1".into(),
            role: role.into(),
            created_at: START,
            revoked_at: None,
            last_used_at: None,
        };
        store.add_client(&client).await.unwrap();
    }
    // Each takes the other away, at the same time: one of them stays.
    let (one, two) = tokio::join!(
        store.change_client("A", Change::Role(Role::Viewer), LastAdmin::Stays),
        other.change_client("b", Change::Revoke(at(1)), LastAdmin::Stays)
    );
    let done = [one.unwrap(), two.unwrap()];
    assert!(
        done.contains(&Changed::Done) && done.contains(&Changed::LastAdmin),
        "{done:?}"
    );
    let clients = store.clients().await.unwrap();
    let admins = clients
        .iter()
        .filter(|client| client.role == "admin" && client.revoked_at.is_none());
    assert_eq!(admins.count(), 1);
    let revoked = store.change_client("c", Change::Revoke(at(1)), LastAdmin::Stays).await;
    assert_eq!(revoked.unwrap(), Changed::Done, "others may always go");
    let nobody = store
        .change_client("nobody", Change::Revoke(at(1)), LastAdmin::Stays)
        .await;
    assert_eq!(nobody.unwrap(), Changed::Unknown);
}
