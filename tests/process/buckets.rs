//! Exports into real object stores: an S3 server and Azurite. What arrives is whole, what does not arrive leaves nothing, and memory does
//! not grow with it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::{ObjectStore, ObjectStoreExt as _};
use reqwest::StatusCode;
use serde_json::Value;
use tranship::blob::{PART_BYTES, PayloadHasher};

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, rows, run};
use crate::wire::{Caller, http, json};

const JOB: &str = "6a3ff0a6-2d0e-4d2b-bb0c-0e6b0c9f8d55";
/// Of some 230 bytes each when packed: 17 MiB, and enough for two parts.
const ROWS: usize = 80_000;
const FEWER_ROWS: usize = 55_000;

const ENTITY: &str = r#"
name = "Stock"
table = "stock"
key = ["item"]
[[fields]]
name = "item"
type = "int"
[[fields]]
name = "note"
"#;

/// A prefix of its own in a server's bucket, and a look at it that is not Tranship's.
pub struct Bucket {
    pub url: String,
    store: Box<dyn ObjectStore>,
}

impl Bucket {
    /// Nothing where there is no server and that is allowed.
    pub fn s3() -> Option<Self> {
        let url = Self::prefix("TRANSHIP_TEST_S3")?;
        let store = AmazonS3Builder::from_env().with_url(&url).build().expect("a store");
        Some(Self {
            url,
            store: Box::new(store),
        })
    }

    pub fn azure() -> Option<Self> {
        let url = Self::prefix("TRANSHIP_TEST_AZURE")?;
        let store = MicrosoftAzureBuilder::from_env()
            .with_url(&url)
            .build()
            .expect("a store");
        Some(Self {
            url,
            store: Box::new(store),
        })
    }

    fn prefix(variable: &str) -> Option<String> {
        tranship::blob::install_crypto();
        let Ok(url) = std::env::var(variable) else {
            assert!(
                std::env::var("CI").is_err(),
                "{variable} is not set: in CI blob servers are not optional"
            );
            eprintln!("skipped: {variable} is not set (scripts/blob-stores sets it)");
            return None;
        };
        Some(format!("{url}/{}", uuid::Uuid::new_v4().simple()))
    }

    /// Bucket and prefix.
    fn parts(&self) -> (&str, &str) {
        let (_, rest) = self.url.split_once("://").expect("a URL");
        rest.split_once('/').expect("a prefix")
    }

    /// All objects, by their path below the prefix.
    async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let prefix = object_store::path::Path::parse(self.parts().1).expect("a prefix");
        let listed: Vec<_> = self.store.list(Some(&prefix)).try_collect().await.expect("lists");
        let mut objects = BTreeMap::new();
        for found in listed {
            let bytes = self.store.get(&found.location).await.expect("there").bytes().await;
            let name = found.location.as_ref()[prefix.as_ref().len() + 1..].to_owned();
            objects.insert(name, bytes.expect("all of it").to_vec());
        }
        objects
    }

    /// How many objects there are.
    pub async fn count(&self) -> usize {
        let prefix = object_store::path::Path::parse(self.parts().1).expect("a prefix");
        let listed: Vec<_> = self.store.list(Some(&prefix)).try_collect().await.expect("lists");
        listed.len()
    }

    /// Uploads in parts that were begun and neither finished nor given up. Azure has no such thing: blocks that nobody commits are nowhere
    /// to be seen, and the server removes them after a week.
    async fn unfinished(&self) -> usize {
        if self.url.starts_with("az:") {
            return 0;
        }
        let endpoint = std::env::var("AWS_ENDPOINT").expect("scripts/blob-stores sets it");
        let (bucket, prefix) = self.parts();
        let answer = http()
            .get(format!("{endpoint}/{bucket}?uploads&prefix={prefix}/"))
            .send()
            .await;
        let listed = answer.expect("the server answers").text().await.expect("a list");
        assert!(listed.contains("ListMultipartUploadsResult"), "{listed}");
        listed.matches("<UploadId>").count()
    }

    async fn wait_until(&self, what: &str, objects: usize, unfinished: usize) {
        let began = Instant::now();
        loop {
            let now = (self.objects().await.len(), self.unfinished().await);
            if now == (objects, unfinished) {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(40),
                "{what}: {} objects and {} unfinished uploads",
                now.0,
                now.1
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

macro_rules! on_both_buckets {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use crate::support::databases::TestDatabase;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_s3() {
                if let Some(bucket) = super::Bucket::s3() {
                    super::$name(bucket, TestDatabase::sqlite()).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_azure() {
                if let Some(bucket) = super::Bucket::azure() {
                    super::$name(bucket, TestDatabase::sqlite()).await;
                }
            }
        })+
    };
}

on_both_buckets!(
    a_package_of_several_parts_arrives_whole,
    a_run_that_fails_leaves_nothing,
    a_run_killed_while_it_uploads_leaves_nothing_but_its_message,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_of_several_parts_arrives_whole_from_postgres() {
    if let (Some(bucket), Some(database)) = (Bucket::s3(), TestDatabase::postgres().await) {
        a_package_of_several_parts_arrives_whole(bucket, database).await;
    }
}

/// A site that keeps its blobs in the bucket, with so many rows that hardly pack.
async fn site(bucket: &Bucket, store: TestDatabase, rows: usize, job: &str) -> (Site, Credentials) {
    let mut site = Site::on(store).await;
    site.set("TRANSHIP_BLOBS__URL", &format!("{}/blobs", bucket.url));
    site.set("TRANSHIP_WORKER__HEARTBEAT_SECONDS", "1");
    site.set("TRANSHIP_QUEUE__UPLOAD_STALE_SECONDS", "1");
    let (table, filled) = if site.business_url().starts_with("sqlite") {
        let numbers = format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})");
        let note = "lower(hex(randomblob(200)))";
        (
            "integer",
            format!("insert into stock {numbers} select i, {note} from n"),
        )
    } else {
        let note = ["md5(random()::text)"; 12].join(" || ");
        (
            "bigint",
            format!("insert into stock select i, {note} from generate_series(1, {rows}) i"),
        )
    };
    run(
        site.business_url(),
        &format!("create table stock (item {table} primary key, note text); {filled}"),
    )
    .await;
    site.write("entities/stock.toml", ENTITY);
    let head = format!("id = \"{JOB}\"\nname = \"Stock out\"\ndirection = \"export\"\nclients = [\"tester\"]\n");
    site.write("jobs/stock.toml", &format!("{head}{job}"));
    let tester = site.add_client("tester", "operator");
    (site, tester)
}

const PACKAGE: &str =
    "data_source = \"package\"\n[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Stock\"\n";

async fn ask_for_run(service: &Service, tester: &Credentials) -> Caller {
    let caller = Caller::new(service, tester).await;
    let asked = caller.post(&format!("/api/v1/jobs/{JOB}/run"), "").await;
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    caller
}

/// The one run there is, once it has ended.
async fn ended(caller: &Caller, patience: Duration) -> Value {
    let began = Instant::now();
    while began.elapsed() < patience {
        let answer = caller.get(&format!("/api/v1/jobs/{JOB}/occurrences?limit=10")).await;
        let listed = json(answer, StatusCode::OK).await["occurrences"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
        if listed[0]["state"] != "due" && listed[0]["state"] != "running" {
            return listed[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the run does not end");
}

/// Collects the one message there is, as its clients do.
async fn collect(caller: &Caller) -> Vec<u8> {
    let answer = caller.get(&format!("/api/connector/dequeue/{JOB}")).await;
    let delivery = json(answer, StatusCode::OK).await;
    let location = delivery["DownloadLocation"].as_str().expect("a location");
    let path = &location[location.find("/api/").expect("a path")..];
    let file = caller.get(path).await.bytes().await.expect("all of it").to_vec();
    let acked = caller
        .post(&format!("/api/connector/ack/{JOB}"), delivery.to_string())
        .await;
    assert_eq!(acked.status(), StatusCode::OK);
    file
}

/// What the digest of a message is to be.
fn digest(bytes: &[u8]) -> String {
    let mut hasher = PayloadHasher::new();
    hasher.update(bytes);
    hasher.finish().content_digest()
}

/// The lines of a package's data file, without the first.
fn lines(package: Vec<u8>) -> Vec<String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(package)).expect("a package");
    let mut text = String::new();
    let mut file = zip.by_name("Stock.csv").expect("its data file");
    file.read_to_string(&mut text).expect("it unpacks");
    text.lines().skip(1).map(str::to_owned).collect()
}

async fn assert_whole(site: &Site, package: Vec<u8>) {
    let table = "select cast(item as text) || ',' || note from stock order by item";
    let table = rows(site.business_url(), table).await;
    let table: Vec<_> = table
        .into_iter()
        .map(|mut row| row.remove(0).expect("a line"))
        .collect();
    assert!(lines(package) == table, "the file is the table");
}

async fn a_package_of_several_parts_arrives_whole(bucket: Bucket, store: TestDatabase) {
    let destination = format!(
        "{PACKAGE}[[export.destinations]]\nname = \"archive\"\nkind = \"blob\"\nurl = \"{}/archive\"\npath = \"stock.zip\"\n",
        bucket.url
    );
    let (site, tester) = site(&bucket, store, ROWS, &destination).await;
    let service = site.start("data").await;
    let caller = ask_for_run(&service, &tester).await;
    let ran = ended(&caller, Duration::from_mins(2)).await;
    assert_eq!(ran["state"], "done", "{ran:#}");
    bucket.wait_until("message and copy", 2, 0).await;

    let package = collect(&caller).await;
    assert!(package.len() > 3 * PART_BYTES, "{} bytes", package.len());
    assert_eq!(ran["messages"][0]["bytes"], package.len());
    assert_eq!(ran["messages"][0]["digest"], digest(&package));
    let objects = bucket.objects().await;
    assert!(objects["archive/stock.zip"] == package, "the copy is the message");
    assert!(objects.values().all(|bytes| *bytes == package), "and so is the blob");
    assert_whole(&site, package).await;
    assert!(service.stop().await.success());
}

async fn a_run_that_fails_leaves_nothing(bucket: Bucket, store: TestDatabase) {
    let package = PACKAGE.replace("format = \"csv\"", "format = \"csv\"\nencoding = \"windows-1252\"");
    let (site, tester) = site(&bucket, store, FEWER_ROWS, &package).await;
    // The last of them, when all others are on their way.
    run(
        site.business_url(),
        &format!("insert into stock values ({}, '漢')", FEWER_ROWS + 1),
    )
    .await;
    let service = site.start("data").await;
    let caller = ask_for_run(&service, &tester).await;
    let ran = ended(&caller, Duration::from_mins(2)).await;
    assert_eq!(ran["state"], "failed", "{ran:#}");
    assert!(ran.to_string().contains("value_not_writable"), "{ran:#}");
    bucket.wait_until("a run that failed", 0, 0).await;
    assert!(service.stop().await.success());
}

async fn a_run_killed_while_it_uploads_leaves_nothing_but_its_message(bucket: Bucket, store: TestDatabase) {
    let (site, tester) = site(&bucket, store, FEWER_ROWS, PACKAGE).await;
    let service = site.start("data").await;
    ask_for_run(&service, &tester).await;
    let began = Instant::now();
    if bucket.url.starts_with("s3:") {
        while bucket.unfinished().await == 0 {
            assert!(began.elapsed() < Duration::from_mins(1), "no upload begins");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    } else {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    service.kill9();
    assert_eq!(bucket.objects().await.len(), 0, "killed before it was done");

    let service = site.start("data").await;
    let caller = Caller::new(&service, &tester).await;
    let ran = ended(&caller, Duration::from_mins(2)).await;
    assert_eq!(ran["state"], "done", "{ran:#}");
    bucket.wait_until("the message of the run", 1, 0).await;
    let package = collect(&caller).await;
    assert_eq!(ran["messages"][0]["digest"], digest(&package));
    assert_whole(&site, package).await;
    assert!(service.stop().await.success());
}

/// Peak resident memory of exports of these sizes may differ by so much, and none may take more than [`MEMORY_MAX_KIB`].
const MEMORY_SPREAD_KIB: u64 = 24 << 10;
/// As E2 in docs/benchmarks.md.
const MEMORY_MAX_KIB: u64 = 96 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_however_many_rows_there_are_in_s3() {
    if let Some(bucket) = Bucket::s3() {
        memory_stays_flat(bucket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_however_many_rows_there_are_in_azure() {
    if let Some(bucket) = Bucket::azure() {
        memory_stays_flat(bucket).await;
    }
}

async fn memory_stays_flat(bucket: Bucket) {
    let long = crate::support::is_long();
    let sizes: &[usize] = if long {
        &[10_000, 200_000, 5_000_000]
    } else {
        &[10_000, 100_000]
    };
    let mut peaks = Vec::new();
    for &rows in sizes {
        let (mut site, tester) = site(&bucket, TestDatabase::sqlite(), 0, PACKAGE).await;
        let note = "lower(hex(randomblob(20)))";
        let numbers = format!("with recursive n(i) as (select 2 union all select i + 1 from n where i < {rows})");
        run(
            site.business_url(),
            &format!("insert into stock {numbers} select i, {note} from n"),
        )
        .await;
        site.set("TRANSHIP_BLOBS__URL", &format!("{}/{rows}", bucket.url));
        let service = site.start("data").await;
        let caller = ask_for_run(&service, &tester).await;
        let began = Instant::now();
        let ran = ended(&caller, Duration::from_mins(45)).await;
        assert_eq!(
            (&ran["state"], &ran["records"]),
            (&"done".into(), &rows.into()),
            "{ran:#}"
        );
        let (peak, bytes) = (service.peak_kib(), ran["messages"][0]["bytes"].clone());
        println!(
            "{}: {rows} rows, {bytes} bytes, {} s, peak {} MiB",
            bucket.url,
            began.elapsed().as_secs(),
            peak >> 10
        );
        peaks.push(peak);
        assert!(service.stop().await.success());
    }
    let (least, most) = (peaks.iter().min().expect("sizes"), peaks.iter().max().expect("sizes"));
    assert!(most - least <= MEMORY_SPREAD_KIB, "{peaks:?} KiB");
    assert!(*most <= MEMORY_MAX_KIB, "{peaks:?} KiB");
}
