//! Blocks and lists of them (PKG-6).

use reqwest::{Method, Response, StatusCode};

use super::{count, files, get, header, md5_of, new_link, nothing_is_left_over, put, refused, tag};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    blocks_become_a_blob_in_the_order_of_the_list,
    a_list_takes_blocks_from_where_it_says,
    what_is_no_block_or_no_list_is_refused,
    a_block_put_twice_counts_once,
    blocks_are_bounded,
);

/// Puts a block. The id is Base64 of `name`.
pub(super) async fn block(app: &TestApp, link: &str, name: &str, body: impl Into<reqwest::Body>) -> Response {
    let url = format!("{link}&comp=block&blockid={}", escaped(name));
    app.request(Method::PUT, &url).body(body).send().await.unwrap()
}

fn escaped(name: &str) -> String {
    url::form_urlencoded::byte_serialize(id(name).as_bytes()).collect()
}

pub(super) fn id(name: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(name)
}

pub(super) fn list(entries: &[(&str, &str)]) -> String {
    let entries = entries
        .iter()
        .map(|(kind, name)| format!("<{kind}>{}</{kind}>", id(name)));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{}</BlockList>",
        entries.collect::<String>()
    )
}

pub(super) async fn commit(app: &TestApp, link: &str, entries: &[(&str, &str)]) -> Response {
    let request = app.request(Method::PUT, &format!("{link}&comp=blocklist"));
    request.body(list(entries)).send().await.unwrap()
}

async fn staged(app: &TestApp, link: &str, names: &[&str]) {
    for name in names {
        assert_eq!(
            block(app, link, name, (*name).to_owned()).await.status(),
            StatusCode::CREATED
        );
    }
}

async fn text(app: &TestApp, link: &str) -> String {
    get(app, link).await.text().await.unwrap()
}

async fn blocks_become_a_blob_in_the_order_of_the_list(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let first = block(&app, &link, "b", "bbb").await;
    assert_eq!(
        (first.status(), header(&first, "content-md5")),
        (StatusCode::CREATED, md5_of(b"bbb").as_str())
    );
    staged(&app, &link, &["c", "a", "unused"]).await;
    refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    let request = app.request(Method::PUT, &format!("{link}&comp=blocklist"));
    let request = request
        .header("x-ms-blob-content-type", "application/zip")
        .header("Content-Type", "application/xml");
    let request = request.header("x-ms-blob-content-md5", md5_of(b"abbbac"));
    let body = list(&[("Latest", "a"), ("Latest", "b"), ("Uncommitted", "a"), ("Latest", "c")]);
    let done = request
        .header("Content-MD5", md5_of(body.as_bytes()))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let answer = get(&app, &link).await;
    assert_eq!(
        (tag(&answer), header(&answer, "content-type")),
        (tag(&done), "application/zip")
    );
    assert_eq!(header(&answer, "content-md5"), md5_of(b"abbbac"));
    assert_eq!(answer.text().await.unwrap(), "abbbac");
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 1, "blocks go, whether they were named or not");
    // None is a list, too.
    assert_eq!(commit(&app, &link, &[]).await.status(), StatusCode::CREATED);
    assert_eq!(text(&app, &link).await, "");
    nothing_is_left_over(&app).await;
}

async fn a_list_takes_blocks_from_where_it_says(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    staged(&app, &link, &["one", "two", "three"]).await;
    commit(
        &app,
        &link,
        &[("Latest", "one"), ("Latest", "two"), ("Latest", "three")],
    )
    .await;
    assert_eq!(text(&app, &link).await, "onetwothree");
    // A block of the same name as one that is in the blob.
    block(&app, &link, "two", "TWO").await;
    let all = get(&app, &format!("{link}&comp=blocklist&blocklisttype=all"))
        .await
        .text()
        .await
        .unwrap();
    let of = |name: &str, bytes: usize| format!("<Block><Name>{}</Name><Size>{bytes}</Size></Block>", id(name));
    let wanted = format!(
        "<CommittedBlocks>{}{}{}</CommittedBlocks><UncommittedBlocks>{}</UncommittedBlocks>",
        of("one", 3),
        of("two", 3),
        of("three", 5),
        of("two", 3)
    );
    assert!(all.contains(&wanted), "{all}");
    for (missing, kind) in [("one", "Uncommitted"), ("four", "Latest"), ("four", "Committed")] {
        let answer = commit(&app, &link, &[("Committed", "three"), (kind, missing)]).await;
        let body = refused(answer, StatusCode::BAD_REQUEST, "InvalidBlockList").await;
        assert!(body.contains(&id(missing)), "{body}");
    }
    assert_eq!(text(&app, &link).await, "onetwothree", "nothing is half done");
    let mixed = [
        ("Committed", "three"),
        ("Latest", "two"),
        ("Committed", "two"),
        ("Latest", "one"),
    ];
    assert_eq!(commit(&app, &link, &mixed).await.status(), StatusCode::CREATED);
    assert_eq!(text(&app, &link).await, "threeTWOtwoone");
    // A blob that was put in one go has no blocks.
    put(&app, &link, "whole").await;
    let answer = commit(&app, &link, &[("Latest", "one")]).await;
    refused(answer, StatusCode::BAD_REQUEST, "InvalidBlockList").await;
    nothing_is_left_over(&app).await;
}

async fn what_is_no_block_or_no_list_is_refused(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for id in ["", "no+base64!", &id(&"x".repeat(65)), "..%2F.."] {
        let url = format!("{link}&comp=block&blockid={id}");
        let answer = app.request(Method::PUT, &url).body("x").send().await.unwrap();
        refused(answer, StatusCode::BAD_REQUEST, "InvalidBlockId").await;
    }
    let wrong = app
        .request(Method::PUT, &format!("{link}&comp=block&blockid=YQ=="))
        .body("x");
    let wrong = wrong.header("content-md5", md5_of(b"y")).send().await.unwrap();
    refused(wrong, StatusCode::BAD_REQUEST, "Md5Mismatch").await;
    let send = async |body: String| {
        let request = app.request(Method::PUT, &format!("{link}&comp=blocklist"));
        request.body(body).send().await.unwrap()
    };
    for body in [
        String::new(),
        "<BlockList><Latest>YQ==</Latest>".to_owned(),
        "<!DOCTYPE a [<!ENTITY b 'YQ=='>]><BlockList><Latest>&b;</Latest></BlockList>".to_owned(),
        "{}".to_owned(),
    ] {
        refused(send(body).await, StatusCode::BAD_REQUEST, "InvalidXmlDocument").await;
    }
    let many = format!("<BlockList>{}</BlockList>", "<Latest>YQ==</Latest>".repeat(50_001));
    refused(send(many).await, StatusCode::BAD_REQUEST, "BlockListTooLong").await;
    let giant = format!("<BlockList>{}</BlockList>", " ".repeat(9 * 1024 * 1024));
    refused(send(giant).await, StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge").await;
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 0);
}

async fn a_block_put_twice_counts_once(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    for body in ["first", "second"] {
        assert_eq!(block(&app, &link, "a", body).await.status(), StatusCode::CREATED);
    }
    assert_eq!(
        count(&app, "select staged_blocks * 100 + staged_bytes from dmf_blobs").await,
        106
    );
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 1);
    // A commit that would not fit what the client says of it changes nothing.
    let request = app.request(Method::PUT, &format!("{link}&comp=blocklist"));
    let wrong = request
        .header("x-ms-blob-content-md5", md5_of(b"first"))
        .body(list(&[("Latest", "a")]));
    refused(wrong.send().await.unwrap(), StatusCode::BAD_REQUEST, "Md5Mismatch").await;
    assert_eq!(
        commit(&app, &link, &[("Latest", "a")]).await.status(),
        StatusCode::CREATED
    );
    assert_eq!(text(&app, &link).await, "second");
    assert_eq!(
        count(&app, "select staged_blocks + staged_bytes from dmf_blobs").await,
        0
    );
    nothing_is_left_over(&app).await;
}

async fn blocks_are_bounded(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.set("queue.max_payload_bytes", "20000");
    })
    .await;
    let link = new_link(&app).await;
    let large = || vec![b'x'; 9_000];
    for name in ["a", "b"] {
        assert_eq!(block(&app, &link, name, large()).await.status(), StatusCode::CREATED);
    }
    let third = block(&app, &link, "c", large()).await;
    refused(third, StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge").await;
    assert_eq!(
        block(&app, &link, "b", large()).await.status(),
        StatusCode::CREATED,
        "in place of the other"
    );
    let thrice = commit(&app, &link, &[("Latest", "a"), ("Latest", "a"), ("Latest", "b")]).await;
    refused(thrice, StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge").await;
    let whole = super::putting(&app, &link, vec![0; 20_001]).send().await.unwrap();
    refused(whole, StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge").await;
    // As many as there may be, without putting each.
    let text = "update dmf_blobs set staged_blocks = 100000, staged_bytes = 0";
    crate::support::databases::run(&app.store.url, text).await;
    let one_more = block(&app, &link, "d", "x").await;
    refused(one_more, StatusCode::CONFLICT, "BlockCountExceedsLimit").await;
    nothing_is_left_over(&app).await;
}
