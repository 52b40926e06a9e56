//! Whether the databases understand the entities' rules, so that a broken one is not found by the first file.

use super::{Verdict, mistake_or_outage};
use crate::business::Databases;
use crate::cli::Failure;
use crate::config::Mistake;

/// The mistakes the databases find in rules.
///
/// # Errors
/// When a database is out of reach.
pub(super) async fn refused(databases: &Databases, verdicts: &[Verdict<'_>]) -> Result<Vec<Mistake>, Failure> {
    let mut mistakes = Vec::new();
    for entity in verdicts.iter().map(|verdict| verdict.entity) {
        let Some(database) = databases.get(&entity.database) else {
            continue;
        };
        let place = format!("entity `{}`", entity.name);
        match database.refused_rules(entity).await {
            Ok(refused) => {
                let refused = refused
                    .into_iter()
                    .filter(|detail| !names_what_is_to_be_made(detail, verdicts));
                mistakes.extend(refused.map(|message| Mistake {
                    place: place.clone(),
                    message,
                }));
            }
            Err(error) => mistakes.push(mistake_or_outage(place, &error)?),
        }
    }
    Ok(mistakes)
}

/// A rule may ask another entity's table, which the service makes before it asks the rule.
fn names_what_is_to_be_made(detail: &str, verdicts: &[Verdict<'_>]) -> bool {
    let is_to_be_made = |verdict: &&Verdict<'_>| verdict.differences.iter().any(|found| found.made_on_first_use);
    let mut tables = verdicts
        .iter()
        .filter(is_to_be_made)
        .map(|verdict| &verdict.entity.table);
    tables.any(|table| detail.contains(&format!("no such table: {table}")) || detail.contains(&format!("\"{table}\"")))
}
