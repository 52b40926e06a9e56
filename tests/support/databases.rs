//! A database per test: a SQLite file in a temporary folder, or a fresh database in the run's PostgreSQL cluster.
//!
//! `TRANSHIP_TEST_POSTGRES` names the cluster (`scripts/test` starts one). Without it the PostgreSQL half of a test is
//! skipped with a note on a developer's machine and fails in CI, so that nobody skips in silence.

use sqlx::Connection as _;

/// A database of a test's own; it goes when this does.
pub struct TestDatabase {
    /// `sqlite://…` or `postgres://…`.
    pub url: String,
    /// Goes with the database.
    _folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A SQLite file that does not exist yet.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/test.db", folder.path().display());
        Self {
            url,
            _folder: Some(folder),
        }
    }

    /// An empty PostgreSQL database, or nothing where there is no cluster and that is allowed.
    pub async fn postgres() -> Option<Self> {
        let Ok(cluster) = std::env::var("TRANSHIP_TEST_POSTGRES") else {
            assert!(
                std::env::var("CI").is_err(),
                "TRANSHIP_TEST_POSTGRES is not set: in CI PostgreSQL is not optional"
            );
            eprintln!("skipped on PostgreSQL: TRANSHIP_TEST_POSTGRES is not set (scripts/test sets it)");
            return None;
        };
        let url = in_cluster(&cluster);
        Self::create(&url).await;
        Some(Self { url, _folder: None })
    }

    /// An empty database in another cluster, whose own goes with it.
    pub async fn in_cluster_of_its_own(cluster: &str) -> Self {
        let url = in_cluster(cluster);
        Self::create_in(cluster, &url).await;
        Self { url, _folder: None }
    }

    /// The URL of a PostgreSQL database that is not there yet, or nothing where there is no cluster.
    pub fn postgres_to_come() -> Option<String> {
        std::env::var("TRANSHIP_TEST_POSTGRES")
            .ok()
            .map(|cluster| in_cluster(&cluster))
    }

    /// Makes the database of such a URL.
    pub async fn create(url: &str) {
        let cluster = std::env::var("TRANSHIP_TEST_POSTGRES").expect("the URL came from there");
        Self::create_in(&cluster, url).await;
    }

    async fn create_in(cluster: &str, url: &str) {
        let name = url::Url::parse(url)
            .expect("a URL")
            .path()
            .trim_start_matches('/')
            .to_owned();
        let mut connection = sqlx::PgConnection::connect(cluster)
            .await
            .expect("the test cluster answers");
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .expect("a database of its own");
    }
}

impl Drop for TestDatabase {
    /// A thousand databases of one run fill a disk. What fails here is left to the end of the cluster.
    fn drop(&mut self) {
        let Ok(cluster) = std::env::var("TRANSHIP_TEST_POSTGRES") else {
            return;
        };
        let Some(name) = self.url.strip_prefix("postgres").and_then(|url| url.rsplit('/').next()) else {
            return;
        };
        let text = format!("drop database if exists {name} with (force)");
        let dropping = async move {
            let mut connection = sqlx::PgConnection::connect(&cluster).await?;
            sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut connection).await
        };
        // A thread of its own: the test's runtime may be ending.
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let bounded = async { tokio::time::timeout(std::time::Duration::from_secs(10), dropping).await };
            runtime.map(|runtime| runtime.block_on(bounded))
        });
        let _ = dropped.join();
    }
}

/// A database name of a test's own in the cluster.
fn in_cluster(cluster: &str) -> String {
    let mut url = url::Url::parse(cluster).expect("a URL");
    url.set_path(&format!("t_{}", uuid::Uuid::new_v4().simple()));
    url.into()
}

/// Declares one test per database for each `async fn name(database: TestDatabase)`.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name($crate::support::databases::TestDatabase::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(database) = $crate::support::databases::TestDatabase::postgres().await {
                    super::$name(database).await;
                }
            }
        })+
    };
}

/// Rows of a database a test looks into, every cell as text.
pub async fn rows(url: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url)
            .await
            .expect("the business database opens");
        let rows = sqlx::query(sql)
            .fetch_all(&mut connection)
            .await
            .expect("the query runs");
        rows.iter().map(texts).collect()
    } else {
        let mut connection = sqlx::PgConnection::connect(url)
            .await
            .expect("the business database opens");
        let rows = sqlx::query(sql)
            .fetch_all(&mut connection)
            .await
            .expect("the query runs");
        rows.iter().map(texts).collect()
    }
}

/// A row's cells; the query casts each to text.
fn texts<R>(row: &R) -> Vec<Option<String>>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    (0..row.len())
        .map(|at| row.try_get::<Option<String>, _>(at).expect("a cell cast to text"))
        .collect()
}

/// Runs statements in a database a test prepares. A SQLite file is made where it is missing.
pub async fn run(url: &str, sql: &str) {
    let query = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    if let Some(file) = url.strip_prefix("sqlite://") {
        if let Some(folder) = std::path::Path::new(file).parent() {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        let mut connection = sqlx::SqliteConnection::connect(&format!("{url}?mode=rwc"))
            .await
            .expect("the file opens");
        query.execute(&mut connection).await.expect(sql);
        connection.close().await.expect("it closes");
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.expect("the server answers");
        query.execute(&mut connection).await.expect(sql);
    }
}
