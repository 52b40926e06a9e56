//! Definitions as the configuration names them, with what they leave to the tables of the business databases.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::business::{BusinessError, Database, DatabaseSettings, Databases};
use crate::config::Config;
use crate::definitions::from_table::Catalogue;
use crate::definitions::{DefinitionError, Definitions};
use crate::domain::table::Table;
use crate::hints::nearest;

/// Longest wait for what a database says of one table.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tables named where one is missing.
const LISTED_MAX: usize = 10;

/// The business databases of the configuration. None of them is opened yet.
///
/// # Errors
/// [`BusinessError::Settings`] for a URL that is neither SQLite nor PostgreSQL.
pub(crate) fn databases(config: &Config) -> Result<Databases, BusinessError> {
    let settings: BTreeMap<_, _> = config
        .databases
        .iter()
        .map(|(name, database)| {
            let settings = DatabaseSettings {
                url: database.url.clone(),
                max_connections: database.max_connections,
            };
            (name.clone(), settings)
        })
        .collect();
    Databases::new(&settings)
}

/// Reads the definitions. Only the databases of entities that leave fields to their tables are opened.
///
/// # Errors
/// Every mistake found in any file; a table that is missing or out of reach is one.
pub(crate) async fn load(config: &Config, databases: &Databases) -> Result<Definitions, Vec<DefinitionError>> {
    let (jobs, entities) = (config.jobs_dir.clone(), config.entities_dir.clone());
    let names: Vec<String> = config.databases.keys().cloned().collect();
    let asked = Asked {
        databases: databases.clone(),
        runtime: Handle::current(),
        silent: RefCell::default(),
    };
    // Files are read the blocking way, and so are the tables among them: definitions know nothing of waiting.
    let loaded = tokio::task::spawn_blocking(move || Definitions::load_with(&jobs, &entities, &names, &asked)).await;
    loaded.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
}

/// The databases as a catalogue, asked from a thread that may wait.
struct Asked {
    databases: Databases,
    runtime: Handle,
    /// Databases that did not answer, and what came instead: each is waited for once.
    silent: RefCell<BTreeMap<String, String>>,
}

impl Catalogue for Asked {
    fn table(&self, database: &str, table: &str) -> Result<Table, String> {
        let asked = self.databases.get(database).ok_or("its database is not configured")?;
        if let Some(why) = self.silent.borrow().get(database) {
            return Err(why.clone());
        }
        match self.runtime.block_on(timeout(PATIENCE, look(asked, table))) {
            Ok(Ok(found)) => found.map_err(|names| missing(database, table, &names)),
            Ok(Err(error)) => Err(self.note_silence(database, error.to_string())),
            Err(_) => {
                let why = format!("database `{database}` did not answer within {} s", PATIENCE.as_secs());
                Err(self.note_silence(database, why))
            }
        }
    }
}

impl Asked {
    fn note_silence(&self, database: &str, why: String) -> String {
        self.silent.borrow_mut().insert(database.to_owned(), why.clone());
        why
    }
}

/// The table, or the names of those that are there.
async fn look(database: &Database, table: &str) -> Result<Result<Table, Vec<String>>, BusinessError> {
    match database.table(table).await? {
        Some(found) => Ok(Ok(found)),
        None => Ok(Err(database.table_names().await?)),
    }
}

/// There is no such table; which one was meant, or which there are.
pub(crate) fn missing(database: &str, table: &str, names: &[String]) -> String {
    let hint = match nearest(table, names.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if names.is_empty() => ", which has none yet".to_owned(),
        None => {
            let shown: Vec<_> = names.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
            let more = names.len() - shown.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!(", which has {}{more}", shown.join(", "))
        }
    };
    format!("there is no such table in database `{database}`{hint}")
}
