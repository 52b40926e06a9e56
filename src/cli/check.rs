//! `tranship check`: settings, definitions and tables, without starting anything.

mod exports;
mod receivers;
mod rules;

use std::path::Path;

use super::screen::{Screen, Tone, counted, plain};
use super::settings::{Settings, mistaken};
use super::{Exit, Failure};
use crate::app;
use crate::business::differences::Difference;
use crate::business::{BusinessError, Database, Databases};
use crate::config::{Config, Mistake};
use crate::definitions::{DefinitionError, Definitions};
use crate::domain::entity::Entity;

/// Where `jobs_dir` and `entities_dir` point unless somebody says otherwise.
const DEFAULT_FOLDERS: [&str; 2] = ["./jobs", "./entities"];
/// What to do about an empty set-up.
pub(super) const NO_JOBS_YET: &str = "no jobs here yet: `tranship init FILE` makes a set from a sample";

/// Check settings, definitions and tables without starting anything
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 2 when a file has mistakes, the database refuses an export's selection or an entity's rule, or a table needs a change that only you can make; its SQL is printed.
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
pub(super) struct Verdict<'a> {
    pub(super) entity: &'a Entity,
    pub(super) differences: Vec<Difference>,
    applied: bool,
}

impl Verdict<'_> {
    /// Whether something is left that the service would stumble over: all it makes by itself is a missing table.
    pub(super) fn unfit(&self) -> bool {
        self.differences.iter().any(|difference| !difference.made_on_first_use)
    }

    /// Whether something is left that `--apply` does not do either.
    fn needs_hand(&self) -> bool {
        self.differences.iter().any(|difference| !difference.additive)
    }
}

/// Everything the check found.
pub(super) struct Findings<'a> {
    pub(super) verdicts: Vec<Verdict<'a>>,
    pub(super) mistakes: Vec<Mistake>,
    /// What may be meant, and will not work as it is.
    warnings: Vec<Mistake>,
}

impl Findings<'_> {
    fn only(mistakes: Vec<Mistake>) -> Self {
        Self {
            verdicts: Vec::new(),
            mistakes,
            warnings: Vec::new(),
        }
    }

    fn needs_hand(&self) -> bool {
        !self.mistakes.is_empty() || self.verdicts.iter().any(Verdict::unfit)
    }
}

impl Check {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = match self.settings.read() {
            Ok(config) => config,
            Err(mistakes) => return refuse(screen, "settings", mistakes),
        };
        let databases = open_databases(&config)?;
        let ended = match read_definitions(&config, &databases).await {
            Ok(definitions) => self.compare(screen, &config, &databases, &definitions).await,
            Err(mistakes) => refuse(screen, "definitions", mistakes),
        };
        databases.close().await;
        ended
    }

    async fn compare(
        &self,
        screen: &Screen,
        config: &Config,
        databases: &Databases,
        definitions: &Definitions,
    ) -> Result<Exit, Failure> {
        let mut findings = judge(databases, definitions, self.apply).await?;
        findings.warnings = receivers::refused(config, definitions).await;
        if screen.is_json() {
            screen.json(&as_json(definitions, &findings));
        } else {
            print(screen, config, definitions, &findings);
        }
        Ok(if findings.needs_hand() { Exit::Usage } else { Exit::Ok })
    }
}

/// Nothing can be compared before these mistakes are gone.
fn refuse(screen: &Screen, what: &str, mistakes: Vec<Mistake>) -> Result<Exit, Failure> {
    if !screen.is_json() {
        return Err(mistaken(what, &mistakes));
    }
    screen.json(&as_json(&Definitions::default(), &Findings::only(mistakes)));
    Ok(Exit::Usage)
}

/// Reads the definitions the configuration names.
///
/// # Errors
/// [`Exit::Usage`] with every mistake.
pub(super) async fn load_definitions(config: &Config, databases: &Databases) -> Result<Definitions, Failure> {
    let read = read_definitions(config, databases).await;
    read.map_err(|mistakes| mistaken("definitions", &mistakes))
}

pub(super) async fn read_definitions(config: &Config, databases: &Databases) -> Result<Definitions, Vec<Mistake>> {
    // The default folders may be missing, because a first start needs none. A folder somebody named is a wish.
    let folders = [("jobs_dir", &config.jobs_dir), ("entities_dir", &config.entities_dir)];
    let missing: Vec<_> = folders
        .into_iter()
        .zip(DEFAULT_FOLDERS)
        .filter(|((_, folder), default)| folder.as_path() != Path::new(default) && !folder.is_dir())
        .map(|((key, folder), _)| Mistake {
            place: key.to_owned(),
            message: format!("there is no folder {}; make it, or name another", folder.display()),
        })
        .collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let loaded = app::definitions::load(config, databases).await;
    loaded.map_err(|mistakes| mistakes.into_iter().map(in_file).collect())
}

fn in_file(mistake: DefinitionError) -> Mistake {
    let file = mistake.file.display();
    Mistake {
        place: mistake
            .line
            .map_or_else(|| file.to_string(), |line| format!("{file}:{line}")),
        message: mistake.message,
    }
}

pub(super) fn open_databases(config: &Config) -> Result<Databases, Failure> {
    app::definitions::databases(config).map_err(|error| Failure::usage(error.to_string()))
}

pub(super) async fn judge<'a>(
    databases: &Databases,
    definitions: &'a Definitions,
    apply: bool,
) -> Result<Findings<'a>, Failure> {
    let mut findings = Findings::only(Vec::new());
    for entity in &definitions.entities {
        let place = format!("entity `{}`", entity.name);
        let database = databases.get(&entity.database).ok_or_else(|| {
            Failure::usage(format!(
                "{place} names database `{}`, which is not configured",
                entity.database
            ))
        })?;
        match compare(database, entity, apply).await {
            Ok(verdict) => findings.verdicts.push(verdict),
            Err(error) => findings.mistakes.push(mistake_or_outage(place, &error)?),
        }
    }
    let refused = exports::refused(databases, definitions, &findings.verdicts).await?;
    findings.mistakes.extend(refused);
    findings
        .mistakes
        .extend(rules::refused(databases, &findings.verdicts).await?);
    Ok(findings)
}

async fn compare<'a>(database: &Database, entity: &'a Entity, apply: bool) -> Result<Verdict<'a>, BusinessError> {
    let mut differences = database.diff_entity(entity).await?;
    let applied = apply && differences.iter().any(|difference| difference.additive);
    if applied {
        database.apply(&differences).await?;
        // What the database says now, not what we hope we did.
        differences = database.diff_entity(entity).await?;
    }
    Ok(Verdict {
        entity,
        differences,
        applied,
    })
}

/// What the definition has to answer for is a mistake of it; a database out of reach ends the check.
fn mistake_or_outage(place: String, error: &BusinessError) -> Result<Mistake, Failure> {
    if error.is_transient() {
        return Err(Failure::failed(format!("{place}: {error}")));
    }
    Ok(Mistake {
        place,
        message: error.to_string(),
    })
}

fn print(screen: &Screen, config: &Config, definitions: &Definitions, findings: &Findings<'_>) {
    let Findings {
        verdicts,
        mistakes,
        warnings,
    } = findings;
    for verdict in verdicts {
        let (tone, word) = match () {
            () if verdict.unfit() => (Tone::Bad, "needs a change"),
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
    let bad = mistakes.iter().map(|mistake| (Tone::Bad, "mistake", mistake));
    let doubtful = warnings.iter().map(|warning| (Tone::Warning, "warning", warning));
    for (tone, word, found) in bad.chain(doubtful) {
        let word = screen.paint(tone, word);
        screen.line(format!("{word}  {}: {}", found.place, plain(&found.message)));
    }
    conclude(screen, config, definitions, findings);
}

/// What it comes to, and what to do next.
fn conclude(screen: &Screen, config: &Config, definitions: &Definitions, findings: &Findings<'_>) {
    let found = format!(
        "{} and {} are in order",
        counted(definitions.jobs.len() as u64, "job"),
        match definitions.entities.len() {
            1 => "1 entity".to_owned(),
            many => format!("{many} entities"),
        },
    );
    if findings.verdicts.iter().any(Verdict::needs_hand) {
        screen.note("Run the SQL above, or change the definitions, then check again.");
    } else if findings.verdicts.iter().any(Verdict::unfit) {
        screen.note("Imports would fail until then: `tranship check --apply` makes these changes.");
    } else if !findings.mistakes.is_empty() {
        screen.note("Change the definitions, then check again.");
    } else if definitions.jobs.is_empty() {
        screen.note(format!("In {}: {NO_JOBS_YET}.", config.jobs_dir.display()));
    } else if findings.verdicts.iter().any(|verdict| !verdict.differences.is_empty()) {
        screen.line(format!(
            "{found}; the service makes what is missing, or `tranship check --apply` does now."
        ));
    } else {
        screen.line(format!("{found}."));
    }
}

fn as_json(definitions: &Definitions, findings: &Findings<'_>) -> serde_json::Value {
    let entities: Vec<_> = findings
        .verdicts
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
    let listed = |found: &[Mistake]| -> Vec<_> {
        let found = found.iter();
        found
            .map(|found| serde_json::json!({"place": found.place, "message": found.message}))
            .collect()
    };
    let (mistakes, warnings) = (listed(&findings.mistakes), listed(&findings.warnings));
    serde_json::json!({"jobs": jobs, "entities": entities, "mistakes": mistakes, "warnings": warnings})
}

#[cfg(test)]
mod tests;
