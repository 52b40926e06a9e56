//! Commits that meet, and clients that ask again.

use reqwest::StatusCode;
use tranship::blob::PayloadHasher;
use tranship::domain::dmf::{BlobPath, Conditions};
use tranship::domain::ids::BlobKey;
use tranship::storage::dmf_blobs::{Base, Changed, DmfContent, PutContent};

use super::blocks::{block, commit};
use super::{files, get, new_link, nothing_is_left_over, put, refused, tag};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_commit_that_is_asked_for_again_finds_itself_done,
    commits_at_once_leave_one_of_them_whole,
    of_puts_that_may_only_create_one_wins,
    a_block_put_while_a_commit_copies_waits_for_the_next_one,
);

/// A client whose answer was lost, or took too long, sends the list again.
async fn a_commit_that_is_asked_for_again_finds_itself_done(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for name in ["a", "b"] {
        block(&app, &link, name, name.repeat(50_000)).await;
    }
    let wanted = [("Latest", "b"), ("Latest", "a")];
    let first = commit(&app, &link, &wanted).await;
    block(&app, &link, "left", "over").await;
    let again = commit(&app, &link, &wanted).await;
    assert_eq!((again.status(), tag(&again)), (StatusCode::CREATED, tag(&first)));
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 1);
    // Another order is another blob.
    let other = commit(&app, &link, &[("Latest", "a"), ("Latest", "b")]).await;
    assert_ne!(tag(&other), tag(&first));
    nothing_is_left_over(&app).await;
}

async fn commits_at_once_leave_one_of_them_whole(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for round in 0..4 {
        for name in ["a", "b"] {
            block(&app, &link, name, format!("{name}{round}").repeat(100_000)).await;
        }
        let (ab, ba) = ([("Latest", "a"), ("Latest", "b")], [("Latest", "b"), ("Latest", "a")]);
        let (first, second) = futures_util::join!(commit(&app, &link, &ab), commit(&app, &link, &ba));
        assert_eq!(
            (first.status(), second.status()),
            (StatusCode::CREATED, StatusCode::CREATED)
        );
        let of = |name: &str| format!("{name}{round}").repeat(100_000);
        let wanted = [format!("{}{}", of("a"), of("b")), format!("{}{}", of("b"), of("a"))];
        let answer = get(&app, &link).await;
        assert!([tag(&first), tag(&second)].contains(&tag(&answer)));
        assert!(wanted.contains(&answer.text().await.unwrap()));
        nothing_is_left_over(&app).await;
        assert_eq!(files(&app), 1);
    }
}

async fn of_puts_that_may_only_create_one_wins(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let puts = (0..8).map(|number| {
        let request = super::putting(&app, &link, number.to_string().repeat(200_000));
        request.header("if-none-match", "*").send()
    });
    let answers = futures_util::future::join_all(puts.collect::<Vec<_>>()).await;
    let mut won = 0;
    for answer in answers {
        let answer = answer.unwrap();
        if answer.status() == StatusCode::CREATED {
            won += 1;
        } else {
            refused(answer, StatusCode::CONFLICT, "BlobAlreadyExists").await;
        }
    }
    assert_eq!(won, 1);
    nothing_is_left_over(&app).await;
    put(&app, &link, "over it").await;
    nothing_is_left_over(&app).await;
}

/// Both answers said that it was done: the blob has what was there when the commit began, and the block is not lost.
async fn a_block_put_while_a_commit_copies_waits_for_the_next_one(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for name in ["a", "b"] {
        block(&app, &link, name, "early").await;
    }
    let (store, now) = (&app.context.store, app.clock.now());
    let path = link.split_once("/dmf/").unwrap().1.split_once('?').unwrap().0;
    let path = BlobPath::read(path).unwrap();
    let base = store.dmf_staged(&path, now).await.unwrap().unwrap().base;
    for name in ["a", "c"] {
        block(&app, &link, name, "late").await;
    }
    let put = async |base: Base| {
        let key = BlobKey::generate();
        store.begin_upload(&key, "a test", now).await.unwrap();
        let mut writer = app.context.blobs.writer(&key).await.unwrap();
        writer.write("copied".into()).await.unwrap();
        writer.finish().await.unwrap();
        let content = DmfContent {
            key,
            bytes: 6,
            digest: PayloadHasher::digest(b"copied"),
            md5: [0; 16],
            content_type: "text/plain".to_owned(),
            written_at: now,
        };
        let change = PutContent {
            content,
            layout: None,
            conditions: Conditions::default(),
            base: Some(base),
            copied: None,
            keep_until: now,
        };
        store.put_dmf_content(&path, change, now).await.unwrap()
    };
    assert_eq!(put(base.clone()).await, Changed::Done);
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "copied");
    let waiting = store.dmf_staged(&path, now).await.unwrap().unwrap().blocks;
    let mut waiting: Vec<(&str, u64)> = waiting.iter().map(|(id, block)| (id.as_str(), block.bytes)).collect();
    waiting.sort_unstable();
    assert_eq!(
        waiting,
        [
            (super::blocks::id("a").as_str(), 4),
            (super::blocks::id("c").as_str(), 4)
        ]
    );
    // What another commit was made from is not there any more.
    assert_eq!(put(base).await, Changed::Overtaken);
    assert_eq!(
        commit(&app, &link, &[("Latest", "c"), ("Latest", "a")]).await.status(),
        StatusCode::CREATED
    );
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "latelate");
    app.clock.advance_seconds(901);
    nothing_is_left_over(&app).await;
}
