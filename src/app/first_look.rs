//! What the service looks at once it listens, so that its log says in the first minute what would otherwise show with the
//! first message: blobs and business databases out of reach, tables that do not fit.
//!
//! Changes nothing and holds nothing up.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::business::Database;
use crate::definitions::Definitions;
use crate::pipeline::Context;

/// How long the whole look may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks once and warns of what it finds.
pub(super) async fn look(context: Context, definitions: std::sync::Arc<Definitions>, stopping: CancellationToken) {
    let everything = async {
        look_at_blobs(&context).await;
        for database in context.databases.iter() {
            look_at_database(database, &definitions).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = everything => {}
        () = tokio::time::sleep(PATIENCE) => tracing::warn!(
            "blobs and business databases did not all answer within {} s; `tranship check` looks at the tables again",
            PATIENCE.as_secs()
        ),
    }
}

async fn look_at_blobs(context: &Context) {
    if let Err(error) = context.blobs.probe().await {
        tracing::warn!(
            "{error}; larger payloads are refused until it answers: see blobs.url, and for a bucket its credentials"
        );
    }
}

async fn look_at_database(database: &Database, definitions: &Definitions) {
    if database.is_yet_to_be_made() {
        return;
    }
    let name = database.name();
    if let Err(error) = database.ping().await {
        tracing::warn!("{error}; its imports and exports are tried again until it answers: see databases.{name}.url");
        return;
    }
    for entity in definitions.entities.iter().filter(|entity| entity.database == name) {
        match database.diff_entity(entity).await {
            Ok(differences) => {
                for difference in differences.iter().filter(|difference| !difference.made_on_first_use) {
                    tracing::warn!(
                        entity = %entity.name,
                        "{}; imports into it fail until that is mended: {}",
                        difference.what,
                        if difference.additive { "`tranship check --apply` does it" } else { "`tranship check` prints the SQL" }
                    );
                }
            }
            Err(error) => tracing::warn!(entity = %entity.name, "its table could not be looked at: {error}"),
        }
    }
}
