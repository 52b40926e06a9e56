//! The definitions and the TLS certificate are read again: on SIGHUP, and when somebody asks over HTTP. A broken file, or a table that cannot
//! be read, leaves the running set as it was and says why.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::definitions;
use super::tls::Tls;
use crate::config::Config;
use crate::definitions::Definitions;
use crate::http::reload::{Asked, Broken, Reloaded};
use crate::pipeline::Context;
use crate::pipeline::projects::Projects;
use crate::webhook;

/// What is read again, and by what.
pub(super) struct Reload {
    pub(super) config: Arc<Config>,
    pub(super) context: Context,
    pub(super) projects: Projects,
    pub(super) tls: Option<Tls>,
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) stopping: CancellationToken,
}

impl Reload {
    /// Until the service stops. A terminal that is closed hangs up, too, and then nobody is left to stop what ran in it: that is
    /// a stop.
    pub(super) async fn run(mut self) {
        let had_terminal = std::io::stderr().is_terminal();
        let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else {
            return;
        };
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => None,
                Some(asked) = self.asked.recv() => Some(asked),
                () = self.stopping.cancelled() => return,
            };
            if asked.is_none() && had_terminal && !std::io::stderr().is_terminal() {
                tracing::info!("the terminal is gone: stopping");
                self.stopping.cancel();
                return;
            }
            let reloaded = self.reload().await;
            if let Some(asked) = asked {
                // Who went away has it in the audit log.
                let _ = asked.send(reloaded);
            }
        }
    }

    async fn reload(&self) -> Result<Reloaded, Broken> {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        let loaded = definitions::load(&self.config, &self.context.databases).await;
        let loaded = loaded.map_err(Broken).inspect_err(|broken| {
            tracing::error!("definitions not reloaded, the running ones stay:\n{broken}");
        })?;
        let rules = webhook::rules(&loaded, self.config.server.public_url.as_ref());
        self.context.store.set_webhook_rules(rules);
        let now = loaded.clone();
        let before = self.projects.set_files(loaded).await;
        let reloaded = difference(&before, &now);
        tracing::info!(
            jobs = reloaded.jobs,
            entities = reloaded.entities,
            added = reloaded.added.len(),
            changed = reloaded.changed.len(),
            removed = reloaded.removed.len(),
            "definitions reloaded"
        );
        Ok(reloaded)
    }
}

/// What is another than before, jobs first.
fn difference(before: &Definitions, now: &Definitions) -> Reloaded {
    let mut reloaded = Reloaded {
        jobs: now.jobs.len(),
        entities: now.entities.len(),
        ..Reloaded::default()
    };
    for job in &now.jobs {
        match before.jobs.iter().find(|known| known.id == job.id) {
            None => reloaded.added.push(job.name.clone()),
            Some(known) if known != job => reloaded.changed.push(job.name.clone()),
            Some(_) => {}
        }
    }
    let gone = before
        .jobs
        .iter()
        .filter(|job| now.jobs.iter().all(|left| left.id != job.id));
    reloaded.removed.extend(gone.map(|job| job.name.clone()));
    for entity in &now.entities {
        match before.entities.iter().find(|known| known.name == entity.name) {
            None => reloaded.added.push(entity.label.clone()),
            Some(known) if known != entity => reloaded.changed.push(entity.label.clone()),
            Some(_) => {}
        }
    }
    let gone = before
        .entities
        .iter()
        .filter(|entity| now.entities.iter().all(|left| left.name != entity.name));
    reloaded.removed.extend(gone.map(|entity| entity.label.clone()));
    reloaded
}
