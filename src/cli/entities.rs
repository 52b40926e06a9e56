//! `tranship entities`: what the definitions make of the tables, and files for those that have none yet.

mod add;
mod show;

use clap::Subcommand;

use super::screen::Screen;
use super::settings::Settings;
use super::{Exit, Failure, check};
use crate::business::Databases;
use crate::config::Config;
use crate::definitions::Definitions;

/// Write entities from tables, list and show them
#[derive(Debug, Subcommand)]
pub enum Entities {
    /// Write the file of an entity from its table
    Add(add::Add),
    /// List the entities and whether their tables are there
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Show one entity: its fields, its table, the jobs that use it
    Show {
        /// Name or label, in any case
        #[arg(value_name = "NAME")]
        entity: String,
        /// Print the entity as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Entities {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Add(add) => add.json,
            Self::List { json, .. } | Self::Show { json, .. } => *json,
        }
    }

    fn settings(&self) -> &Settings {
        match self {
            Self::Add(add) => &add.settings,
            Self::List { settings, .. } | Self::Show { settings, .. } => settings,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = self.settings().load()?;
        let databases = check::open_databases(&config)?;
        let ended = match check::load_definitions(&config, &databases).await {
            Ok(definitions) => self.work(screen, &config, &databases, &definitions).await,
            Err(failure) => Err(failure),
        };
        databases.close().await;
        ended
    }

    async fn work(
        self,
        screen: &Screen,
        config: &Config,
        databases: &Databases,
        definitions: &Definitions,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Add(add) => add.run(screen, config, databases, definitions).await,
            Self::List { .. } => show::list(screen, databases, definitions).await,
            Self::Show { entity, .. } => show::show(screen, databases, definitions, &entity).await,
        }
    }
}
