//! The blob host (PKG-1 to PKG-10): what a client of Azure storage does to the links it is given, header by header. The client's
//! own package does the same in `tests/clients`.

mod blocks;
mod commits;
mod hostile;
mod keeping;
mod links;
mod package_url;
mod parts;
mod presigned;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::client::send;
use crate::support::databases::rows;

crate::on_both_backends!(
    a_link_to_upload_by_is_json_in_a_text,
    what_was_put_is_there_as_azure_tells_it,
    a_put_says_what_kind_of_blob_and_may_say_its_md5,
    conditions_are_heeded,
    a_deleted_blob_is_gone_and_may_come_again,
);

const ACTION: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";

/// The link to a new blob.
pub async fn new_link(app: &TestApp) -> String {
    link_of(app, "package.zip", &app.token).await
}

async fn link_of(app: &TestApp, name: &str, token: &str) -> String {
    let asked = app
        .request(Method::POST, ACTION)
        .json(&json!({ "uniqueFileName": name }));
    let answer = send(asked, token).await.expect(StatusCode::OK);
    let value: Value = serde_json::from_str(answer["value"].as_str().unwrap()).unwrap();
    value["BlobUrl"].as_str().unwrap().to_owned()
}

fn putting(app: &TestApp, link: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = app.request(Method::PUT, link).header("x-ms-blob-type", "BlockBlob");
    request.body(body)
}

async fn put(app: &TestApp, link: &str, body: impl Into<reqwest::Body>) -> Response {
    let answer = putting(app, link, body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
    answer
}

async fn get(app: &TestApp, link: &str) -> Response {
    app.request(Method::GET, link).send().await.unwrap()
}

/// A refusal: status, code in the header and in the body, which is XML.
async fn refused(answer: Response, status: StatusCode, code: &str) -> String {
    let headers = answer.headers().clone();
    let (got, body) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(got, status, "{body}");
    assert_eq!(headers["x-ms-error-code"], code, "{body}");
    assert_eq!(headers["content-type"], "application/xml");
    assert!(headers.contains_key("x-ms-request-id") && headers.contains_key("x-ms-version"));
    assert!(
        body.starts_with("<?xml") && body.contains(&format!("<Code>{code}</Code><Message>")),
        "{body}"
    );
    body
}

fn md5_of(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value
        .unwrap_or_else(|| panic!("{name} in {:?}", answer.headers()))
        .to_str()
        .unwrap()
}

fn tag(answer: &Response) -> String {
    header(answer, "etag").to_owned()
}

/// Files in the blob folder.
fn files(app: &TestApp) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return 0;
        };
        entries
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&app.folder.join("data/blobs/payloads"))
}

async fn count(app: &TestApp, sql: &str) -> i64 {
    let sql = format!("select cast(({sql}) as text)");
    rows(&app.store.url, &sql).await[0][0]
        .as_ref()
        .unwrap()
        .parse()
        .unwrap()
}

/// After the sweep every upload is named by one row, and every file by one upload.
async fn nothing_is_left_over(app: &TestApp) {
    for _ in 0..100 {
        tranship::pipeline::tidy::tidy(&app.context).await.unwrap();
        if count(app, "select count(*) from uploads where state <> 'used'").await == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let named = count(app, "select count(*) from dmf_blobs where key is not null").await
        + count(app, "select count(*) from dmf_blocks").await
        + count(app, "select count(*) from messages where blob_key is not null").await;
    assert_eq!(count(app, "select count(*) from uploads").await, named, "uploads");
    assert_eq!(files(app), usize::try_from(named).unwrap(), "files");
    let nameless = "select count(*) from dmf_blobs b where key is not null and not exists \
                    (select 1 from uploads u where u.key = b.key and u.state = 'used')";
    assert_eq!(count(app, nameless).await, 0, "contents without their bytes");
}

/// PKG-1, PKG-2, PKG-3.
async fn a_link_to_upload_by_is_json_in_a_text(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let zeros = "00000000-0000-0000-0000-000000000000";
    let mut links = Vec::new();
    for name in [
        json!(zeros),
        json!(zeros),
        json!("../Größe 1.zip\u{0}"),
        json!(""),
        json!(7),
        json!("x".repeat(5_000)),
    ] {
        let asked = app
            .request(Method::POST, ACTION)
            .json(&json!({ "uniqueFileName": name }));
        let answer = send(asked, &app.token).await.expect(StatusCode::OK);
        let text = answer["value"].as_str().unwrap().to_owned();
        let value: Value = serde_json::from_str(&text).unwrap();
        let id = value["BlobId"].as_str().unwrap();
        assert!(id.starts_with('{') && id.ends_with('}') && id.len() == 38, "{id}");
        let link = value["BlobUrl"].as_str().unwrap().to_owned();
        let url = url::Url::parse(&link).unwrap();
        assert!(link.starts_with(&format!("{}/dmf/packages/", app.url)), "{link}");
        assert!(
            !url.path().contains('%') && url.path_segments().unwrap().count() == 3,
            "{link}"
        );
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |name: &str| query.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!((of("sr").as_str(), of("sp").as_str()), ("b", "rcwd"));
        assert_eq!(of("st"), "2026-01-05T07:55:00Z");
        assert_eq!(of("se"), "2026-01-06T08:00:00Z", "a slow upload has a day");
        assert_eq!(query.len(), 6, "a client drops what Azure does not know: {link}");
        links.push(link);
    }
    links.sort();
    links.dedup();
    assert_eq!(links.len(), 6, "each blob is a new one");
    // No body at all is a name, too.
    let asked = app.request(Method::POST, ACTION);
    send(asked, &app.token).await.expect(StatusCode::OK);
    // Who only looks gets none, and who is nobody neither.
    let secret = app.add_client("looker", "viewer").await;
    let viewer = app.token_of("looker", &secret).await;
    let answer = send(app.request(Method::POST, ACTION).json(&json!({})), &viewer).await;
    let body = answer.expect(StatusCode::BAD_REQUEST).to_string();
    assert!(
        body.contains("executing action GetAzureWriteUrl") && body.contains("change nothing"),
        "{body}"
    );
    let nobody = app.request(Method::POST, ACTION).json(&json!({})).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}

/// PKG-4, PKG-5, PKG-10: as each client sends it, with no token.
async fn what_was_put_is_there_as_azure_tells_it(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let body = vec![b'z'; 100_000];
    for headers in [
        vec![("x-ms-date", "Mon, 05 Jan 2026 08:00:00 GMT"), ("Overwrite", "T")],
        vec![
            ("x-ms-version", "2015-02-21"),
            ("Content-Type", "application/octet-stream"),
        ],
        vec![
            ("Content-Type", "application/zip"),
            ("x-ms-client-request-id", "mine-1"),
            ("Authorization", "Bearer x"),
        ],
    ] {
        let link = new_link(&app).await;
        refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
        let mut request = putting(&app, &link, body.clone());
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(header(&answer, "content-md5"), md5_of(&body));
        assert_eq!(header(&answer, "x-ms-request-server-encrypted"), "true");
        assert_eq!(header(&answer, "last-modified"), "Mon, 05 Jan 2026 08:00:00 GMT");
        assert_eq!(header(&answer, "x-ms-request-id").len(), 36);
        assert!(answer.headers().contains_key("x-ms-version"));
        let sent_id = headers.iter().any(|(name, _)| *name == "x-ms-client-request-id");
        assert_eq!(answer.headers().contains_key("x-ms-client-request-id"), sent_id);
        let etag = tag(&answer);
        let kind = headers.iter().find(|(name, _)| *name == "Content-Type");
        let kind = kind.map_or("application/octet-stream", |(_, value)| value);
        for method in [Method::GET, Method::HEAD] {
            let answer = app.request(method.clone(), &link).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(tag(&answer), etag);
            assert_eq!(header(&answer, "content-length"), "100000");
            assert_eq!(header(&answer, "content-md5"), md5_of(&body));
            assert_eq!(header(&answer, "content-type"), kind);
            assert_eq!(header(&answer, "x-ms-blob-type"), "BlockBlob");
            assert_eq!(header(&answer, "accept-ranges"), "bytes");
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
            let wanted = if method == Method::GET { body.as_slice() } else { b"" };
            assert_eq!(answer.bytes().await.unwrap(), wanted);
        }
        // A connection goes on after a HEAD, too.
        assert_eq!(get(&app, &link).await.bytes().await.unwrap().len(), body.len());
    }
    nothing_is_left_over(&app).await;
}

/// PKG-4, PKG-7.
async fn a_put_says_what_kind_of_blob_and_may_say_its_md5(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let bare = app.request(Method::PUT, &link).body("x").send().await.unwrap();
    refused(bare, StatusCode::BAD_REQUEST, "MissingRequiredHeader").await;
    for (name, value, code) in [
        ("x-ms-blob-type", "PageBlob", "InvalidHeaderValue"),
        ("content-md5", "nonsense", "InvalidMd5"),
        ("content-md5", &md5_of(b"y"), "Md5Mismatch"),
        ("x-ms-blob-content-md5", &md5_of(b"y"), "Md5Mismatch"),
        ("x-ms-copy-source", "http://169.254.169.254/", "UnsupportedHeader"),
        ("x-ms-content-crc64", "AAAAAAAAAAA=", "UnsupportedHeader"),
        ("if-unmodified-since", "yesterday", "InvalidHeaderValue"),
    ] {
        let mut request = app.request(Method::PUT, &link).body("x").header(name, value);
        if name != "x-ms-blob-type" {
            request = request.header("x-ms-blob-type", "BlockBlob");
        }
        refused(request.send().await.unwrap(), StatusCode::BAD_REQUEST, code).await;
    }
    let answer = putting(&app, &format!("{link}&comp=metadata"), "x")
        .send()
        .await
        .unwrap();
    refused(answer, StatusCode::BAD_REQUEST, "InvalidQueryParameterValue").await;
    let posted = app.request(Method::POST, &link).body("x").send().await.unwrap();
    refused(posted, StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb").await;
    refused(get(&app, &link).await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    let right = putting(&app, &link, "x").header("content-md5", md5_of(b"x"));
    assert_eq!(right.send().await.unwrap().status(), StatusCode::CREATED);
    // Nothing is a blob, too.
    put(&app, &link, "").await;
    let answer = get(&app, &link).await;
    assert_eq!(
        (answer.status(), header(&answer, "content-length")),
        (StatusCode::OK, "0")
    );
    nothing_is_left_over(&app).await;
}

/// PKG-6: `ETag`, `If-Match`, `If-None-Match`, and the times.
async fn conditions_are_heeded(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let with = async |method: Method, name: &str, value: &str| {
        let request = app.request(method.clone(), &link).header(name, value);
        let request = if method == Method::PUT {
            request.header("x-ms-blob-type", "BlockBlob").body("other")
        } else {
            request
        };
        request.send().await.unwrap()
    };
    let (failed, conflict) = (StatusCode::PRECONDITION_FAILED, StatusCode::CONFLICT);
    refused(with(Method::PUT, "if-match", "*").await, failed, "ConditionNotMet").await;
    let first = with(Method::PUT, "if-none-match", "*").await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let first = tag(&first);
    refused(
        with(Method::PUT, "if-none-match", "*").await,
        conflict,
        "BlobAlreadyExists",
    )
    .await;
    refused(
        with(Method::PUT, "if-match", "\"0x1\"").await,
        failed,
        "ConditionNotMet",
    )
    .await;
    refused(
        with(Method::DELETE, "if-match", "\"0x1\"").await,
        failed,
        "ConditionNotMet",
    )
    .await;
    refused(
        with(Method::GET, "if-match", "\"0x1\"").await,
        failed,
        "ConditionNotMet",
    )
    .await;
    assert_eq!(with(Method::GET, "if-match", &first).await.status(), StatusCode::OK);
    for (name, value) in [
        ("if-none-match", first.as_str()),
        ("if-none-match", "*"),
        ("if-modified-since", "Mon, 05 Jan 2026 08:00:00 GMT"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = with(method, name, value).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(tag(&answer), first);
            assert_eq!(answer.bytes().await.unwrap(), "");
        }
    }
    let older = "Mon, 05 Jan 2026 07:59:59 GMT";
    refused(
        with(Method::GET, "if-unmodified-since", older).await,
        failed,
        "ConditionNotMet",
    )
    .await;
    assert_eq!(
        with(Method::GET, "if-modified-since", older).await.status(),
        StatusCode::OK
    );
    let head = with(Method::HEAD, "if-match", "\"0x1\"").await;
    assert_eq!(
        (head.status(), header(&head, "x-ms-error-code")),
        (failed, "ConditionNotMet")
    );
    // The same bytes again are another version.
    let second = tag(&with(Method::PUT, "if-match", &first).await);
    assert_ne!(second, first);
    refused(with(Method::PUT, "if-match", &first).await, failed, "ConditionNotMet").await;
    assert_eq!(tag(&get(&app, &link).await), second);
    nothing_is_left_over(&app).await;
}

/// PKG-6: DELETE.
async fn a_deleted_blob_is_gone_and_may_come_again(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let link = new_link(&app).await;
    let delete = async || app.request(Method::DELETE, &link).send().await.unwrap();
    refused(delete().await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    put(&app, &link, "one").await;
    assert_eq!(delete().await.status(), StatusCode::ACCEPTED);
    refused(delete().await, StatusCode::NOT_FOUND, "BlobNotFound").await;
    let head = app.request(Method::HEAD, &link).send().await.unwrap();
    assert_eq!(
        (head.status(), header(&head, "x-ms-error-code")),
        (StatusCode::NOT_FOUND, "BlobNotFound")
    );
    nothing_is_left_over(&app).await;
    assert_eq!(files(&app), 0);
    put(&app, &link, "two").await;
    assert_eq!(get(&app, &link).await.text().await.unwrap(), "two");
}
