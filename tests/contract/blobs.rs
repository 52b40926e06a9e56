//! The blob store's contract, on files, S3 and Azure: what was finished is there, whole and unchanged, and what was not is
//! not.

use std::time::Duration;

use bytes::Bytes;
use tranship::blob::{BlobError, BlobReader, Blobs, PART_BYTES, PayloadHasher};
use tranship::domain::ids::BlobKey;
use tranship::domain::message::Digest;

use crate::support::blobs::TestBlobs;

crate::on_every_blob_store!(
    what_was_finished_is_read_back_unchanged,
    large_blobs_written_in_odd_pieces_come_back_whole,
    a_damaged_blob_never_yields_its_last_chunk,
    what_was_never_written_is_missing,
    deleting_twice_is_deleting_once,
    an_aborted_blob_leaves_nothing,
    a_dropped_writer_leaves_nothing,
    a_blob_is_never_overwritten,
    a_probe_succeeds_and_creates_nothing,
    writers_side_by_side_do_not_mix,
);

/// Bytes that differ from each other at every distance a chunk or part might be misplaced by.
fn payload(length: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

async fn write(blobs: &Blobs, key: &BlobKey, bytes: &Bytes, piece: usize) -> Result<(), BlobError> {
    let mut writer = blobs.writer(key).await?;
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        let next = rest.split_to(piece.min(rest.len()));
        writer.write(next).await?;
    }
    writer.finish().await
}

async fn stored(blobs: &Blobs, bytes: &Bytes, piece: usize) -> BlobKey {
    let key = BlobKey::generate();
    write(blobs, &key, bytes, piece).await.expect("finished");
    key
}

async fn everything(mut reader: BlobReader) -> Result<Vec<u8>, BlobError> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.next().await? {
        assert!(!chunk.is_empty(), "no chunk is empty");
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

async fn assert_missing(blobs: &Blobs, key: &BlobKey) {
    match blobs.reader(key, Digest([0; 32])).await {
        Err(BlobError::Missing(named)) => assert_eq!(&named, key),
        other => panic!("{key} should be missing: {other:?}"),
    }
}

async fn what_was_finished_is_read_back_unchanged(store: TestBlobs) {
    for length in [0, 1, PART_BYTES - 1, PART_BYTES] {
        let bytes = payload(length);
        let key = stored(&store.blobs, &bytes, 1 << 20).await;
        let reader = store
            .blobs
            .reader(&key, PayloadHasher::digest(&bytes))
            .await
            .expect("opens");
        assert!(
            everything(reader).await.expect("undamaged") == bytes,
            "{length} bytes differ"
        );
    }
    assert!(
        !store.is_files() || store.all_files().len() == 4,
        "staged: {:?}",
        store.all_files()
    );
}

async fn large_blobs_written_in_odd_pieces_come_back_whole(store: TestBlobs) {
    let bytes = payload(12 << 20);
    // A prime, so that no piece ends where a part does; and one piece that spans three parts.
    for piece in [1_000_003, 12 << 20] {
        let key = stored(&store.blobs, &bytes, piece).await;
        let reader = store
            .blobs
            .reader(&key, PayloadHasher::digest(&bytes))
            .await
            .expect("opens");
        assert!(
            everything(reader).await.expect("undamaged") == bytes,
            "in pieces of {piece}"
        );
    }
}

async fn a_damaged_blob_never_yields_its_last_chunk(store: TestBlobs) {
    for length in [1, 1 << 20] {
        let right = payload(length);
        let mut wrong = right.to_vec();
        wrong[length / 2] ^= 1;
        let key = stored(&store.blobs, &wrong.into(), 1 << 20).await;
        let mut reader = store
            .blobs
            .reader(&key, PayloadHasher::digest(&right))
            .await
            .expect("opens");
        let mut read = 0;
        let cause = loop {
            match reader.next().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => panic!("a damaged blob came to its end"),
                Err(cause) => break cause,
            }
        };
        assert!(
            matches!(&cause, BlobError::Damaged { key: named, .. } if *named == key),
            "{cause}"
        );
        assert!(read < length, "all {read} bytes were handed out");
    }
}

async fn what_was_never_written_is_missing(store: TestBlobs) {
    assert_missing(&store.blobs, &BlobKey::generate()).await;
    stored(&store.blobs, &payload(1), 1).await;
    assert_missing(&store.blobs, &BlobKey::generate()).await;
}

async fn deleting_twice_is_deleting_once(store: TestBlobs) {
    store
        .blobs
        .delete(&BlobKey::generate())
        .await
        .expect("nothing there yet");
    let key = stored(&store.blobs, &payload(10), 10).await;
    store.blobs.delete(&key).await.expect("deleted");
    assert_missing(&store.blobs, &key).await;
    store.blobs.delete(&key).await.expect("gone already");
    assert_eq!(store.all_files(), Vec::<std::path::PathBuf>::new());
}

async fn an_aborted_blob_leaves_nothing(store: TestBlobs) {
    for length in [10, PART_BYTES + 10, 3 * PART_BYTES] {
        let key = BlobKey::generate();
        let mut writer = store.blobs.writer(&key).await.expect("begins");
        writer.write(payload(length)).await.expect("written");
        writer.abort().await;
        assert_missing(&store.blobs, &key).await;
        assert_eq!(store.all_files(), Vec::<std::path::PathBuf>::new());
        assert_no_unfinished_upload(&store, &key).await;
    }
}

async fn a_dropped_writer_leaves_nothing(store: TestBlobs) {
    let key = BlobKey::generate();
    let mut writer = store.blobs.writer(&key).await.expect("begins");
    writer.write(payload(2 * PART_BYTES + 1)).await.expect("written");
    drop(writer);
    // Cleaning up happens behind the back of whoever dropped it.
    for _ in 0..500 {
        if store.all_files().is_empty() && !unfinished_uploads(&store).await.contains(&key.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_missing(&store.blobs, &key).await;
    assert_eq!(store.all_files(), Vec::<std::path::PathBuf>::new());
    assert_no_unfinished_upload(&store, &key).await;
}

async fn a_blob_is_never_overwritten(store: TestBlobs) {
    for length in [10, PART_BYTES + 1] {
        let first = payload(length);
        let key = stored(&store.blobs, &first, length).await;
        let second = Bytes::from(vec![b'x'; length]);
        assert!(
            write(&store.blobs, &key, &second, length).await.is_err(),
            "{length} bytes overwritten"
        );
        let reader = store
            .blobs
            .reader(&key, PayloadHasher::digest(&first))
            .await
            .expect("opens");
        assert!(everything(reader).await.expect("undamaged") == first);
    }
}

async fn a_probe_succeeds_and_creates_nothing(store: TestBlobs) {
    store.blobs.probe().await.expect("the store answers");
    if let Some(root) = store.url.strip_prefix("file://") {
        assert!(!std::path::Path::new(root).exists(), "the probe made the folder");
    }
    stored(&store.blobs, &payload(1), 1).await;
    store.blobs.probe().await.expect("the store still answers");
}

async fn writers_side_by_side_do_not_mix(store: TestBlobs) {
    let written = (1..=8_usize).map(|number| {
        let blobs = store.blobs.clone();
        tokio::spawn(async move {
            let bytes = payload(number * 100_000);
            let key = stored(&blobs, &bytes, 4_096).await;
            (key, PayloadHasher::digest(&bytes))
        })
    });
    for task in written.collect::<Vec<_>>() {
        let (key, digest) = task.await.expect("a writer");
        let reader = store.blobs.reader(&key, digest).await.expect("opens");
        everything(reader).await.expect("its own bytes");
    }
}

/// What the S3 server lists as begun and neither finished nor aborted; nothing for the other stores.
async fn unfinished_uploads(store: &TestBlobs) -> String {
    let (Some(rest), Ok(endpoint)) = (store.url.strip_prefix("s3://"), std::env::var("AWS_ENDPOINT")) else {
        return String::new();
    };
    let bucket = rest.split('/').next().expect("a bucket");
    let answer = reqwest::get(format!("{endpoint}/{bucket}?uploads"))
        .await
        .expect("an answer");
    let listing = answer.text().await.expect("a listing");
    assert!(listing.contains("ListMultipartUploadsResult"), "{listing}");
    listing
}

async fn assert_no_unfinished_upload(store: &TestBlobs, key: &BlobKey) {
    let listing = unfinished_uploads(store).await;
    assert!(!listing.contains(&key.0), "{listing}");
}

// What only a folder can show.

#[tokio::test]
async fn a_bit_flipped_on_the_disk_is_found() {
    let store = TestBlobs::files();
    let bytes = payload(600_000);
    let key = stored(&store.blobs, &bytes, 600_000).await;
    let file = store.all_files().pop().expect("one file");
    let mut altered = std::fs::read(&file).expect("read");
    altered[0] ^= 0x80;
    std::fs::write(&file, &altered).expect("written");
    let digest = PayloadHasher::digest(&bytes);
    let flipped = everything(store.blobs.reader(&key, digest).await.expect("opens")).await;
    assert!(matches!(flipped, Err(BlobError::Damaged { .. })), "{flipped:?}");
    std::fs::write(&file, &bytes[..599_999]).expect("cut short");
    let cut = everything(store.blobs.reader(&key, digest).await.expect("opens")).await;
    assert!(matches!(cut, Err(BlobError::Damaged { .. })), "{cut:?}");
}

#[tokio::test]
async fn deleting_the_key_of_a_killed_upload_removes_its_staged_file() {
    let store = TestBlobs::files();
    let key = BlobKey::generate();
    let mut writer = store.blobs.writer(&key).await.expect("begins");
    writer.write(payload(PART_BYTES)).await.expect("written");
    // A killed process runs no destructors.
    std::mem::forget(writer);
    assert_eq!(store.all_files().len(), 1, "the staged file");
    store.blobs.delete(&key).await.expect("deleted");
    assert_eq!(store.all_files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_swept_upload_cannot_be_finished() {
    let store = TestBlobs::files();
    let key = BlobKey::generate();
    let mut writer = store.blobs.writer(&key).await.expect("begins");
    writer.write(payload(PART_BYTES)).await.expect("written");
    store.blobs.delete(&key).await.expect("swept");
    assert!(writer.finish().await.is_err());
    assert_missing(&store.blobs, &key).await;
}
