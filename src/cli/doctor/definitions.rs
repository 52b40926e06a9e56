//! Definitions, business databases and the tables in them, by the same code as `tranship check`.

use super::chart::{Chart, Finding};
use crate::business::Databases;
use crate::cli::check::{self, NO_JOBS_YET};
use crate::cli::screen::counted;
use crate::config::{Config, Mistake, redacted};
use crate::definitions::Definitions;

/// Looks at all of them.
pub(super) async fn examine(config: &Config, chart: &mut Chart) {
    let databases = match check::open_databases(config) {
        Ok(databases) => databases,
        Err(failure) => return chart.add(Finding::bad("databases", failure.what, "Correct the settings.")),
    };
    let definitions = match check::read_definitions(config, &databases).await {
        Ok(definitions) => {
            chart.add(read(config, &definitions));
            Some(definitions)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                chart.add(mistaken("definitions", mistake));
            }
            None
        }
    };
    let all_answer = look_at_databases(config, &databases, chart).await;
    if let Some(definitions) = definitions.filter(|_| all_answer) {
        look_at_tables(&databases, &definitions, chart).await;
    }
    databases.close().await;
}

/// A mistake in a file, with its place.
pub(super) fn mistaken(check: &'static str, mistake: &Mistake) -> Finding {
    let found = format!("{}: {}", mistake.place, mistake.message);
    Finding::bad(check, found, "Correct it there; `tranship check` reads it again.")
}

fn read(config: &Config, definitions: &Definitions) -> Finding {
    if definitions.jobs.is_empty() {
        return Finding::ok(
            "definitions",
            format!("in {}: {NO_JOBS_YET}", config.jobs_dir.display()),
        );
    }
    let entities = match definitions.entities.len() {
        1 => "1 entity".to_owned(),
        many => format!("{many} entities"),
    };
    let jobs = counted(definitions.jobs.len() as u64, "job");
    Finding::ok(
        "definitions",
        format!("{jobs} and {entities} are read and hold no mistake"),
    )
}

/// Whether every one of them answers, or is yet to be made.
async fn look_at_databases(config: &Config, databases: &Databases, chart: &mut Chart) -> bool {
    let mut all_answer = true;
    for database in databases.iter() {
        let name = database.name();
        let url = config
            .databases
            .get(name)
            .map_or_else(String::new, |d| redacted(&d.url));
        if database.is_yet_to_be_made() {
            let found = format!("`{name}` ({url}) is not there yet; the first load makes it");
            chart.add(Finding::ok("databases", found));
            continue;
        }
        chart.add(match database.ping().await {
            Ok(()) => Finding::ok("databases", format!("`{name}` ({url}) answers")),
            Err(error) => {
                all_answer = false;
                let cure = format!("Start it, or correct databases.{name}.url. Until then its messages wait.");
                Finding::bad("databases", error.to_string(), cure)
            }
        });
    }
    all_answer
}

async fn look_at_tables(databases: &Databases, definitions: &Definitions, chart: &mut Chart) {
    let findings = match check::judge(databases, definitions, false).await {
        Ok(findings) => findings,
        Err(failure) => {
            chart.add(Finding::bad("tables", failure.what, "`tranship check` tells more."));
            return;
        }
    };
    for verdict in findings.verdicts.iter().filter(|verdict| verdict.unfit()) {
        for difference in &verdict.differences {
            let found = format!("{}: {}", verdict.entity.name, difference.what);
            let cure = "`tranship check` prints the SQL; what only adds, `tranship check --apply` does.";
            chart.add(Finding::bad("tables", found, cure));
        }
    }
    for mistake in &findings.mistakes {
        chart.add(mistaken("tables", mistake));
    }
    let fits = findings.mistakes.is_empty() && !findings.verdicts.iter().any(check::Verdict::unfit);
    if fits && !findings.verdicts.is_empty() {
        let found = "the tables fit their entities, or are made on first use";
        chart.add(Finding::ok("tables", found));
    }
}
