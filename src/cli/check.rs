//! `tranship check`: settings, definitions and tables, without starting anything.

use std::collections::BTreeMap;

use super::screen::{Screen, Tone, counted};
use super::settings::Settings;
use super::{Exit, Failure};
use crate::business::tables::Difference;
use crate::business::{BusinessError, DatabaseSettings, Databases};
use crate::config::Config;
use crate::definitions::{DefinitionError, Definitions};
use crate::domain::entity::Entity;

/// Check settings, definitions and tables without starting anything
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 2 when a file has mistakes or a table needs a change that only you can make; its SQL is printed.
What is missing and only adds is no mistake: the service makes it, or --apply does.")]
pub struct Check {
    /// Make the changes that only add: missing tables, columns, indexes
    #[arg(long)]
    apply: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

/// What one entity's table needs.
struct Verdict<'a> {
    entity: &'a Entity,
    differences: Vec<Difference>,
    applied: bool,
}

impl Verdict<'_> {
    /// Whether something is left that the service would stumble over.
    fn needs_hand(&self) -> bool {
        self.differences.iter().any(|difference| !difference.additive)
    }
}

impl Check {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = self.settings.load()?;
        let definitions = load_definitions(&config)?;
        let databases = open_databases(&config)?;
        let judged = judge(&databases, &definitions, self.apply).await;
        databases.close().await;
        let verdicts = judged?;
        if screen.is_json() {
            screen.json(&as_json(&definitions, &verdicts));
        } else {
            print(screen, &config, &definitions, &verdicts);
        }
        Ok(if verdicts.iter().any(Verdict::needs_hand) {
            Exit::Usage
        } else {
            Exit::Ok
        })
    }
}

/// Reads the definitions the configuration names.
///
/// # Errors
/// [`Exit::Usage`] with every mistake.
pub(super) fn load_definitions(config: &Config) -> Result<Definitions, Failure> {
    let names: Vec<String> = config.databases.keys().cloned().collect();
    Definitions::load(&config.jobs_dir, &config.entities_dir, &names).map_err(|mistakes| {
        let list: Vec<_> = mistakes
            .iter()
            .map(|mistake: &DefinitionError| format!("  {mistake}"))
            .collect();
        Failure::usage(format!(
            "the definitions have {}",
            counted(list.len() as u64, "mistake")
        ))
        .cure(list.join("\n"))
    })
}

fn open_databases(config: &Config) -> Result<Databases, Failure> {
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
    Databases::new(&settings).map_err(|error| Failure::usage(error.to_string()))
}

async fn judge<'a>(
    databases: &Databases,
    definitions: &'a Definitions,
    apply: bool,
) -> Result<Vec<Verdict<'a>>, Failure> {
    let mut verdicts = Vec::new();
    for entity in &definitions.entities {
        let database = databases.get(&entity.database).ok_or_else(|| {
            Failure::usage(format!(
                "entity `{}` names database `{}`, which is not configured",
                entity.name, entity.database
            ))
        })?;
        let refused = |error: BusinessError| refusal(entity, &error);
        let mut differences = database.diff_entity(entity).await.map_err(refused)?;
        let applied = apply && differences.iter().any(|difference| difference.additive);
        if applied {
            database.apply(&differences).await.map_err(refused)?;
            // What the database says now, not what we hope we did.
            differences = database.diff_entity(entity).await.map_err(refused)?;
        }
        verdicts.push(Verdict {
            entity,
            differences,
            applied,
        });
    }
    Ok(verdicts)
}

fn refusal(entity: &Entity, error: &BusinessError) -> Failure {
    let exit = if error.is_transient() {
        Exit::Failed
    } else {
        Exit::Usage
    };
    Failure::new(exit, format!("entity `{}`: {error}", entity.name))
}

fn print(screen: &Screen, config: &Config, definitions: &Definitions, verdicts: &[Verdict<'_>]) {
    for verdict in verdicts {
        let (tone, word) = match () {
            () if verdict.needs_hand() => (Tone::Bad, "needs a change"),
            () if !verdict.differences.is_empty() => (Tone::Warning, "to be made"),
            () if verdict.applied => (Tone::Good, "changed"),
            () => (Tone::Good, "fits"),
        };
        let entity = verdict.entity;
        let place = format!("{}.{}", entity.database, entity.table);
        screen.line(format!("{}  {}  {place}", screen.paint(tone, word), entity.name));
        for difference in &verdict.differences {
            screen.line(format!("  {}", difference.what));
            screen.line(format!("    {}", difference.sql.replace('\n', "\n    ")));
        }
    }
    let found = format!(
        "{} and {} are in order",
        counted(definitions.jobs.len() as u64, "job"),
        match definitions.entities.len() {
            1 => "1 entity".to_owned(),
            many => format!("{many} entities"),
        },
    );
    if definitions.jobs.is_empty() && definitions.entities.is_empty() {
        screen.note(format!(
            "Nothing is defined yet in {} and {}: `tranship init SAMPLE.csv` writes a first set.",
            config.jobs_dir.display(),
            config.entities_dir.display()
        ));
    } else if verdicts.iter().any(Verdict::needs_hand) {
        screen.note("Run the SQL above, or change the definitions, then check again.");
    } else if verdicts.iter().any(|verdict| !verdict.differences.is_empty()) {
        screen.line(format!(
            "{found}; the service makes what is missing, or `tranship check --apply` does now."
        ));
    } else {
        screen.line(format!("{found}."));
    }
}

fn as_json(definitions: &Definitions, verdicts: &[Verdict<'_>]) -> serde_json::Value {
    let entities: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            let differences: Vec<_> = verdict
                .differences
                .iter()
                .map(|d| serde_json::json!({"what": d.what, "sql": d.sql, "additive": d.additive}))
                .collect();
            serde_json::json!({
                "entity": verdict.entity.name, "database": verdict.entity.database, "table": verdict.entity.table,
                "changed": verdict.applied, "differences": differences,
            })
        })
        .collect();
    let jobs: Vec<_> = definitions.jobs.iter().map(|job| job.name.as_str()).collect();
    serde_json::json!({"jobs": jobs, "entities": entities})
}
