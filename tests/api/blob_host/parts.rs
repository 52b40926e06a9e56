//! Parts of a blob (PKG-6).

use reqwest::{Method, StatusCode};

use super::{get, header, md5_of, new_link, put, refused, tag};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    a_part_is_what_was_asked_for,
    a_part_of_nothing_is_no_part,
    a_download_is_of_one_version
);

/// More than a read from a file takes, so that a part lies across two.
fn body() -> Vec<u8> {
    (0..700_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn a_part_is_what_was_asked_for(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let (link, body) = (new_link(&app).await, body());
    let etag = tag(&put(&app, &link, body.clone()).await);
    for (name, value, from, to) in [
        ("x-ms-range", "bytes=0-33554431", 0, 699_999),
        ("Range", "bytes=0-0", 0, 0),
        ("Range", "bytes=262143-262145", 262_143, 262_145),
        ("x-ms-range", "bytes=699999-", 699_999, 699_999),
        ("Range", "bytes=-5", 699_995, 699_999),
    ] {
        let answer = app
            .request(Method::GET, &link)
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{value}");
        assert_eq!(header(&answer, "content-range"), format!("bytes {from}-{to}/700000"));
        assert_eq!(header(&answer, "content-length"), (to - from + 1).to_string());
        assert_eq!(tag(&answer), etag);
        assert!(!answer.headers().contains_key("content-md5"), "it would be the part's");
        assert_eq!(header(&answer, "x-ms-blob-content-md5"), md5_of(&body));
        assert_eq!(answer.bytes().await.unwrap(), body[from..=to]);
    }
    let both = app.request(Method::GET, &link).header("Range", "bytes=5-6");
    let both = both.header("x-ms-range", "bytes=1-2").send().await.unwrap();
    assert_eq!(
        header(&both, "content-range"),
        "bytes 1-2/700000",
        "theirs counts first"
    );
    for whole in ["bytes=5-4", "bytes=a-b", "pages=1-2", "bytes=0-1,5-6", "bytes=-"] {
        let answer = app
            .request(Method::GET, &link)
            .header("Range", whole)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{whole}");
        assert_eq!(answer.bytes().await.unwrap(), body);
    }
}

async fn a_part_of_nothing_is_no_part(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for (body, range) in [
        ("", "bytes=0-33554431"),
        ("abc", "bytes=3-"),
        ("abc", "bytes=-0"),
        ("abc", "bytes=18446744073709551615-"),
    ] {
        put(&app, &link, body).await;
        let answer = app
            .request(Method::GET, &link)
            .header("x-ms-range", range)
            .send()
            .await
            .unwrap();
        assert_eq!(header(&answer, "content-range"), format!("bytes */{}", body.len()));
        refused(answer, StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange").await;
    }
    // A HEAD is of the whole.
    let head = app
        .request(Method::HEAD, &link)
        .header("Range", "bytes=1-1")
        .send()
        .await
        .unwrap();
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, "3"));
}

/// A client that reads part after part is told when the blob was written over in between; one that is reading it reads on.
async fn a_download_is_of_one_version(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    // More than the sockets between us hold.
    let large = vec![b'o'; 24 * 1024 * 1024];
    let old = tag(&put(&app, &link, large.clone()).await);
    let mut reading = get(&app, &link).await;
    let begun = reading.chunk().await.unwrap().unwrap().len();
    put(&app, &link, "new").await;
    tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
    let next = app
        .request(Method::GET, &link)
        .header("if-match", &old)
        .header("x-ms-range", "bytes=1-2");
    refused(
        next.send().await.unwrap(),
        StatusCode::PRECONDITION_FAILED,
        "ConditionNotMet",
    )
    .await;
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "new");
    let mut read = begun;
    while let Some(chunk) = reading.chunk().await.unwrap() {
        assert!(chunk.iter().all(|byte| *byte == b'o'));
        read += chunk.len();
    }
    assert_eq!(read, large.len());
}
