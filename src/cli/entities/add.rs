//! `tranship entities add`: files of entities from tables. Never writes over a file unless told to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use crate::app;
use crate::business::{Database, Databases};
use crate::cli::screen::{Screen, counted, plain};
use crate::cli::settings::Settings;
use crate::cli::shell::program;
use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::definitions::Definitions;
use crate::definitions::from_table::Proposal;
use crate::domain::composite::Composite;
use crate::domain::entity::Entity;
use crate::hints::one_of;

/// Write the file of an entity from its table
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every column becomes a field with its type and limits; the primary key is the key, and foreign keys to tables that have an
entity are references. Columns the database fills itself are left out. Never writes over a file unless --force is given.

Examples:
  tranship entities add --table order_lines --print
  tranship entities add --table order_lines --label \"Sales order lines\"
  tranship entities add --database erp --all")]
pub struct Add {
    /// Business database, as the settings call it
    #[arg(long, value_name = "NAME", default_value = "main")]
    database: String,
    /// The table
    #[arg(long, value_name = "TABLE", required_unless_present = "all")]
    table: Option<String>,
    /// Every table that has no entity yet
    #[arg(long, conflicts_with_all = ["table", "name", "label"])]
    all: bool,
    /// Technical name of the entity; made of the table's name unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Name on the wire and in manifests; made of the table's name unless given
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Write over a file that is there already
    #[arg(long)]
    force: bool,
    /// Print the text instead of writing a file
    #[arg(long)]
    print: bool,
    /// Print what was made as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// An entity and the file it goes to.
struct Made {
    proposal: Proposal,
    file: PathBuf,
}

/// What is to be written, and the tables that cannot be, each with the reason.
#[derive(Default)]
struct Plan {
    made: Vec<Made>,
    left_out: Vec<(String, String)>,
}

impl Add {
    pub(super) async fn run(
        self,
        screen: &Screen,
        config: &Config,
        databases: &Databases,
        definitions: &Definitions,
    ) -> Result<Exit, Failure> {
        let database = databases.get(&self.database).ok_or_else(|| {
            let known = one_of(databases.iter().map(Database::name));
            let what = format!("database `{}` is not configured; there is {known}", self.database);
            Failure::new(Exit::Refused, what)
        })?;
        let mut plan = Plan::default();
        for table in self.tables(database, definitions).await? {
            match self.propose(database, &table, config, definitions, &plan).await? {
                Ok(made) => plan.made.push(made),
                Err(why) if self.all => plan.left_out.push((table, why)),
                Err(why) => return Err(Failure::usage(format!("table `{table}`: {why}"))),
            }
        }
        let mut parents: Vec<Entity> = plan.made.iter().map(|made| made.proposal.entity.clone()).collect();
        parents.extend(definitions.entities.iter().cloned());
        for made in &mut plan.made {
            made.proposal.link(&parents);
        }
        if !self.print {
            for made in &plan.made {
                write(&made.file, &made.proposal.text(), self.force).await?;
            }
        }
        self.report(screen, &plan);
        Ok(Exit::Ok)
    }

    async fn tables(&self, database: &Database, definitions: &Definitions) -> Result<Vec<String>, Failure> {
        if let Some(table) = &self.table {
            return Ok(vec![table.clone()]);
        }
        let mut names = database
            .table_names()
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        names.retain(|name| owner(definitions, &self.database, name).is_none());
        Ok(names)
    }

    /// The entity of a table, or why there can be none.
    async fn propose(
        &self,
        database: &Database,
        name: &str,
        config: &Config,
        definitions: &Definitions,
        plan: &Plan,
    ) -> Result<Result<Made, String>, Failure> {
        let failed = |error: crate::business::BusinessError| Failure::failed(error.to_string());
        let Some(table) = database.table(name).await.map_err(failed)? else {
            let names = database.table_names().await.map_err(failed)?;
            let why = app::definitions::missing(database.name(), name, &names);
            return Err(Failure::new(Exit::Refused, format!("table `{name}`: {why}")));
        };
        let proposal = match Proposal::of(&table, database.name(), self.name.as_deref(), self.label.as_deref()) {
            Ok(proposal) => proposal,
            Err(why) => return Ok(Err(why)),
        };
        let file = config.entities_dir.join(proposal.file_name());
        let is_there = file.symlink_metadata().is_ok() && !self.print;
        if is_there && !self.force {
            return Ok(Err(format!(
                "{} exists already; --force writes over it, --print shows what would be written",
                file.display()
            )));
        }
        // The entity that is written over is in nobody's way.
        let replaced = if is_there { name_in(&file).await } else { None };
        let others = definitions
            .entities
            .iter()
            .filter(|entity| Some(&entity.name) != replaced.as_ref());
        let others = others.chain(plan.made.iter().map(|made| &made.proposal.entity));
        let composites = (definitions.composites.iter()).filter(|composite| Some(&composite.name) != replaced.as_ref());
        let conflict = self.conflict(&proposal.entity, others);
        if let Some(why) = conflict.or_else(|| self.composed(&proposal.entity, composites)) {
            return Ok(Err(why));
        }
        Ok(Ok(Made { proposal, file }))
    }

    /// Why the entity cannot stand beside the others. Printed text is for somebody who may see to that.
    fn conflict<'e>(&self, entity: &Entity, mut others: impl Iterator<Item = &'e Entity>) -> Option<String> {
        if self.print {
            return None;
        }
        let lower = |text: &str| text.to_lowercase();
        let taken = |other: &&Entity| {
            let names = [&other.name, &other.label, &other.collection].map(|name| lower(name));
            names.contains(&lower(&entity.name)) || names.contains(&lower(&entity.label))
        };
        let of_table =
            |other: &&Entity| other.database == entity.database && lower(&other.table) == lower(&entity.table);
        let other = others.find(|other| taken(other) || of_table(other))?;
        Some(if of_table(&other) {
            format!("it has an entity already, `{}`; a table belongs to one", other.name)
        } else {
            format!(
                "entity `{}` of table `{}` has that name already; give it another with --name and --label",
                other.name, other.table
            )
        })
    }

    /// Composite entities share their names with entities.
    fn composed<'c>(&self, entity: &Entity, mut composites: impl Iterator<Item = &'c Composite>) -> Option<String> {
        let own = [&entity.name, &entity.label].map(|name| name.to_lowercase());
        let taken = |composite: &&Composite| {
            let names = [&composite.name, &composite.label];
            names.iter().any(|name| own.contains(&name.to_lowercase()))
        };
        let other = composites.find(taken).filter(|_| !self.print)?;
        Some(format!(
            "composite entity `{}` has that name already; give it another with --name and --label",
            other.name
        ))
    }

    fn report(&self, screen: &Screen, plan: &Plan) {
        if screen.is_json() {
            return screen.json(&self.as_json(plan));
        }
        for made in &plan.made {
            if self.print {
                screen.write(made.proposal.text().as_bytes());
                continue;
            }
            let entity = &made.proposal.entity;
            screen.line(format!(
                "{}  {} of table {}: {}, key {}",
                made.file.display(),
                entity.name,
                plain(&entity.table),
                counted(entity.fields.len() as u64, "field"),
                entity.key.join(", ")
            ));
            for (column, why) in &made.proposal.left_out {
                screen.note(format!("  no field: `{}`, {}", plain(column), plain(why)));
            }
        }
        for (table, why) in &plan.left_out {
            screen.note(format!("left out: table `{}`: {}", plain(table), plain(why)));
        }
        self.next_step(screen, plan);
    }

    fn next_step(&self, screen: &Screen, plan: &Plan) {
        let program = program();
        match plan.made.first() {
            None => screen.note(format!(
                "Every table of database `{}` that can have an entity has one.",
                self.database
            )),
            Some(_) if self.print => {}
            Some(made) => {
                let label = &made.proposal.entity.label;
                screen.note(format!(
                    "Look at it, then: {program} check. A job loads it that names it: entity = \"{label}\" in its \
                     [[import.entities]]; a running service reads both on `tranship jobs reload`."
                ));
            }
        }
    }

    fn as_json(&self, plan: &Plan) -> Value {
        let pairs = |pairs: &[(String, String)], what: &str| -> Vec<Value> {
            pairs
                .iter()
                .map(|(name, why)| json!({what: name, "reason": why}))
                .collect()
        };
        let made = plan.made.iter().map(|made| {
            let entity = &made.proposal.entity;
            let mut answer = json!({
                "entity": entity.name, "label": entity.label, "database": entity.database, "table": entity.table,
                "key": entity.key, "fields": entity.fields.len(), "left_out": pairs(&made.proposal.left_out, "column"),
            });
            if self.print {
                answer["text"] = made.proposal.text().into();
            } else {
                answer["file"] = made.file.to_string_lossy().into();
            }
            answer
        });
        json!({"entities": made.collect::<Vec<_>>(), "left_out": pairs(&plan.left_out, "table")})
    }
}

/// The entity a table belongs to.
fn owner<'d>(definitions: &'d Definitions, database: &str, table: &str) -> Option<&'d Entity> {
    let lower = table.to_lowercase();
    let mut entities = definitions.entities.iter();
    entities.find(|entity| entity.database == database && entity.table.to_lowercase() == lower)
}

/// The name of the entity a file defines.
async fn name_in(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).await.ok()?;
    let table: toml::Table = text.parse().ok()?;
    table.get("name")?.as_str().map(str::to_owned)
}

async fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| Failure::file("write", path, &error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).await.map_err(unwritable)?;
    }
    let file = if force {
        fs::File::create(path).await
    } else {
        fs::File::create_new(path).await
    };
    let mut file = file.map_err(unwritable)?;
    file.write_all(text.as_bytes()).await.map_err(unwritable)?;
    file.flush().await.map_err(unwritable)
}
