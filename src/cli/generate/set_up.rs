//! The entities and jobs that load what `tranship generate` makes.

use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use super::orders::REFUSED_TERMS;
use crate::cli::screen::Screen;
use crate::cli::{Exit, Failure};

/// The job that loads customers.
pub(in crate::cli) const CUSTOMERS_JOB: &str = "Generated customers";
/// The job that loads sales orders.
pub(in crate::cli) const ORDERS_JOB: &str = "Generated sales orders";
/// Where sales orders land.
const ORDERS_TABLE: &str = "generated_sales_orders";

/// Each file's folder, name and text.
const FILES: [(&str, &str, &str); 4] = [
    (
        "entities",
        "generated-customers.toml",
        include_str!("customers-entity.toml"),
    ),
    (
        "entities",
        "generated-sales-orders.toml",
        include_str!("orders-entity.toml"),
    ),
    ("jobs", "generated-customers.toml", include_str!("customers-job.toml")),
    ("jobs", "generated-sales-orders.toml", include_str!("orders-job.toml")),
];

/// The entities and jobs that load both
#[derive(Debug, clap::Args)]
pub struct SetUp {
    /// Folder to write to; made when it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print the orders' table as SQL instead, with the constraint that --refused is about
    #[arg(long, value_enum, value_name = "DATABASE")]
    table: Option<Kind>,
    /// Print what was written as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl SetUp {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        if let Some(kind) = self.table {
            screen.line(orders_table(kind));
            return Ok(Exit::Ok);
        }
        let written = write(&self.dir).await?;
        if screen.is_json() {
            screen.json(&serde_json::json!({"files": written, "jobs": [CUSTOMERS_JOB, ORDERS_JOB]}));
            return Ok(Exit::Ok);
        }
        screen.line("Written:");
        for path in &written {
            screen.line(format!("  {}", path.display()));
        }
        Ok(Exit::Ok)
    }
}

/// Writes the definitions below `dir`; never over anything.
///
/// # Errors
/// When a file is there already or cannot be written.
pub(in crate::cli) async fn write(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut written = Vec::with_capacity(FILES.len());
    for (folder, name, text) in FILES {
        let folder = dir.join(folder);
        let path = folder.join(name);
        let write = async {
            fs::create_dir_all(&folder).await?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
            file.write_all(text.as_bytes()).await?;
            file.flush().await
        };
        write.await.map_err(|error| Failure::file("write", &path, &error))?;
        written.push(path);
    }
    Ok(written)
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Postgres,
    Sqlite,
}

/// The orders' table, with a constraint that no entity knows of.
fn orders_table(kind: Kind) -> String {
    // What Tranship itself would take for them.
    let (instant, day, amount) = match kind {
        Kind::Postgres => ("timestamp", "date", "numeric(18,2)"),
        Kind::Sqlite => ("text", "text", "decimal_text(18,2)"),
    };
    format!(
        "create table {ORDERS_TABLE} (\n  \
           order_number varchar(20) not null primary key,\n  customer_account varchar(20) not null,\n  \
           order_date {instant} not null,\n  requested_date {day},\n  shipped_at {instant},\n  status text,\n  \
           currency varchar(3),\n  terms varchar(10) check (terms <> '{REFUSED_TERMS}'),\n  ship_via varchar(40),\n  \
           ship_name varchar(100),\n  ship_address varchar(250),\n  ship_city varchar(60),\n  \
           ship_postal_code varchar(20),\n  ship_country varchar(60),\n  freight {amount},\n  subtotal {amount},\n  \
           tax {amount},\n  line_count bigint,\n  prepaid boolean,\n  reference varchar(40)\n);"
    )
}
