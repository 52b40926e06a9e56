//! Who goes first: groups, companies, priorities.

use std::collections::HashSet;

use super::*;
use tranship::domain::message::Wait;
use tranship::storage::lately::Lately;
use tranship::storage::redrive::Again;

crate::on_both_databases!(
    groups_keep_their_order_and_flow_beside_each_other,
    a_group_waits_while_its_head_does,
    a_dead_letter_blocks_its_group_until_somebody_unblocks_it,
    a_redriven_message_comes_back_before_those_that_came_after_it,
    companies_take_turns,
    priority_goes_first_and_wears_off,
    a_late_message_of_low_rank_is_not_passed_over,
);

async fn groups_keep_their_order_and_flow_beside_each_other(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let (a1, a2, b1) = (
        in_group(&store, job, "a").await,
        in_group(&store, job, "a").await,
        in_group(&store, job, "b").await,
    );
    let first = lease(&store, job, 10, START).await;
    assert_eq!(ids(&first), [a1, b1], "the head of each");
    assert!(lease(&store, job, 10, START).await.is_empty());
    let groups = store.groups(job, 10).await.unwrap();
    let shown: Vec<_> = groups.iter().map(|g| (g.key.as_str(), g.head, g.behind)).collect();
    assert_eq!(shown, [("a", Some(a1), 1), ("b", Some(b1), 0)]);

    ack(&store, &first[0], START).await;
    let second = lease(&store, job, 10, START).await;
    assert_eq!(ids(&second), [a2]);
    ack(&store, &second[0], START).await;
    ack(&store, &first[1], START).await;
    let third = in_group(&store, job, "a").await;
    assert_eq!(
        ids(&lease(&store, job, 10, START).await),
        [third],
        "an empty group begins anew"
    );
}

async fn a_group_waits_while_its_head_does(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let (a1, a2) = (in_group(&store, job, "a").await, in_group(&store, job, "a").await);
    let first = lease(&store, job, 1, START).await;
    reject(&store, &first[0], "not now", Some(at(30)), at(1)).await;
    assert!(
        lease(&store, job, 10, at(29)).await.is_empty(),
        "its head is in back-off"
    );
    assert_eq!(message(&store, a1).await.wait, Some(Wait::Delayed));
    let again = lease(&store, job, 10, at(30)).await;
    assert_eq!(ids(&again), [a1]);
    // A lease that lapses puts its message back at the front.
    assert_eq!(ids(&lease(&store, job, 10, at(90)).await), [a1]);
    assert_eq!(message(&store, a2).await.wait, Some(Wait::Behind));
}

async fn a_dead_letter_blocks_its_group_until_somebody_unblocks_it(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let mut all = Vec::new();
    for group in ["stop", "stop", "go", "go"] {
        let mut new = grouped(job, Direction::Relay, group);
        new.placement.max_deliveries = Some(1);
        new.placement.block_on_dead_letter = group == "stop";
        all.push(store.insert_message(new, START).await.unwrap().id);
    }
    for message in lease(&store, job, 10, START).await {
        assert_eq!(
            reject(&store, &message, "no", None, START).await,
            Stepped::Done(message.id, Status::DeadLettered)
        );
    }
    assert_eq!(
        ids(&lease(&store, job, 10, START).await),
        [all[3]],
        "the other group flows"
    );
    let late = in_group(&store, job, "stop").await;
    assert!(
        lease(&store, job, 10, START).await.is_empty(),
        "also what comes later stands behind"
    );
    let groups = store.groups(job, 10).await.unwrap();
    assert_eq!(
        (groups[0].key.as_str(), groups[0].blocked_by, groups[0].behind),
        ("stop", Some(all[0]), 2)
    );

    assert!(store.unblock(job, "stop", START).await.unwrap());
    assert!(!store.unblock(job, "stop", START).await.unwrap());
    let next = lease(&store, job, 10, START).await;
    assert_eq!(ids(&next), [all[1]]);
    ack(&store, &next[0], START).await;
    assert_eq!(ids(&lease(&store, job, 10, START).await), [late]);
}

fn again(id: MessageId) -> Again {
    Again {
        id,
        placement: Placement::default(),
        enqueued_at: START,
    }
}

async fn a_redriven_message_comes_back_before_those_that_came_after_it(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut new = grouped(job, Direction::Relay, "a");
        new.placement.max_deliveries = Some(1);
        all.push(store.insert_message(new, START).await.unwrap().id);
    }
    let first = lease(&store, job, 1, START).await;
    reject(&store, &first[0], "no", None, START).await;
    let second = lease(&store, job, 1, START).await;
    assert_eq!(ids(&second), [all[1]], "a dead letter lets its group go on");

    let wanted = Lately {
        jobs: vec![job],
        troubled: true,
        limit: 10,
        ..Lately::default()
    };
    assert_eq!(store.lately(&wanted).await.unwrap(), [all[0]]);
    let groups = store.failures(&[job], 10).await.unwrap();
    assert_eq!(
        (groups[0].status, groups[0].count, groups[0].at_least),
        (Status::DeadLettered, 1, false)
    );
    assert_eq!(
        store.redrive(vec![again(all[0])], "operator", at(1)).await.unwrap(),
        [all[0]]
    );
    assert!(
        store
            .redrive(vec![again(all[0])], "operator", at(1))
            .await
            .unwrap()
            .is_empty(),
        "once"
    );
    assert!(
        lease(&store, job, 10, at(1)).await.is_empty(),
        "one of the group is out"
    );
    ack(&store, &second[0], at(2)).await;
    let third = lease(&store, job, 10, at(2)).await;
    assert_eq!(ids(&third), [all[0]], "its number is older than the third one's");
    assert_eq!(third[0].epoch, 2, "leases go on counting");
    let stale = store.step(Step::Ack(fence(&first[0])), at(3)).await.unwrap();
    assert!(matches!(stale, Stepped::Stale(_)), "{stale:?}");
    ack(&store, &third[0], at(3)).await;
    let notes: Vec<_> = store.message_events(all[0]).await.unwrap();
    let notes: Vec<_> = notes
        .iter()
        .map(|e| (e.status, e.note.clone().unwrap_or_default()))
        .collect();
    assert!(
        notes.contains(&(Status::DeadLettered, "max_deliveries".into())),
        "{notes:?}"
    );
    assert!(
        notes.contains(&(Status::Enqueued, "tried again by operator".into())),
        "{notes:?}"
    );
}

async fn companies_take_turns(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let of = |company: &'static str| {
        let store = store.clone();
        async move { put(&store, job, |new| company.clone_into(&mut new.placement.lane)).await }
    };
    for _ in 0..6 {
        of("busy").await;
    }
    let quiet = [of("quiet").await, of("quiet").await];
    let first = lease(&store, job, 4, START).await;
    let got: HashSet<MessageId> = ids(&first).into_iter().collect();
    assert!(
        quiet.iter().all(|id| got.contains(id)),
        "two of four are the quiet company's"
    );
    assert_eq!(
        lease(&store, job, 10, START).await.len(),
        4,
        "and nobody's are kept back"
    );
}

async fn priority_goes_first_and_wears_off(database: TestDatabase) {
    let store = open(&database).await;
    let job = JobId::generate();
    let plain = put(&store, job, |_| ()).await;
    let urgent = put(&store, job, |new| new.placement.priority = 5).await;
    let mut late = inline(job, Direction::Relay);
    late.placement.priority = 5;
    // Six minutes later, five steps of priority weigh less than the wait.
    let late = store.insert_message(late, at(360)).await.unwrap().id;
    assert_eq!(ids(&lease(&store, job, 10, at(360)).await), [urgent, plain, late]);
}

/// A message may come to a place that claims have passed: by priority, or because another process was slow.
async fn a_late_message_of_low_rank_is_not_passed_over(database: TestDatabase) {
    let store = open(&database).await;
    let other = second(&database, &store).await;
    let job = JobId::generate();
    for _ in 0..3 {
        put(&store, job, |_| ()).await;
    }
    assert_eq!(lease(&store, job, 10, START).await.len(), 3);
    let own = put(&store, job, |new| new.placement.priority = 50).await;
    assert_eq!(
        ids(&lease(&store, job, 10, START).await),
        [own],
        "this process's own is seen at once"
    );
    let others = put(&other, job, |new| new.placement.priority = 60).await;
    let mut seen = Vec::new();
    for _ in 0..60 {
        seen = ids(&lease(&store, job, 10, START).await);
        if !seen.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(seen, [others], "another process's within seconds");
}
