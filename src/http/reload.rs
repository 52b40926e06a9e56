//! `POST /api/v1/definitions/reload`: the files of jobs and entities are read again, as by SIGHUP, and whoever asked hears what came of it.
//!
//! Owns: the asking. Refuses: the reading, which whoever started the service does ([`Reloading::answered_by`]).

use std::fmt;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::Api;
use super::auth::caller;
use super::problem::{Kind, Problem, Surface};
use crate::definitions::DefinitionError;
use crate::domain::audit::Action;

/// Reloads that wait for their turn; more are turned away.
const WAITING_MAX: usize = 8;
/// Most mistakes an answer names.
const MISTAKES_MAX: usize = 50;

/// What changed by a reload: names of jobs, labels of entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// How many jobs there are in files now.
    pub jobs: usize,
    /// How many entities.
    pub entities: usize,
    /// Those that were not there before.
    pub added: Vec<String>,
    /// Those whose definition is another one.
    pub changed: Vec<String>,
    /// Those that are no longer there.
    pub removed: Vec<String>,
}

/// The files have mistakes; the running definitions stay.
#[derive(Debug)]
pub struct Broken(pub Vec<DefinitionError>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().take(MISTAKES_MAX).enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        match self.0.len().saturating_sub(MISTAKES_MAX) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// Somebody who waits for a reload.
pub type Asked = oneshot::Sender<Result<Reloaded, Broken>>;

/// Asks for reloads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloading(mpsc::Sender<Asked>);

impl Reloading {
    /// With the other end, which answers.
    #[must_use]
    pub fn answered_by() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    async fn reload(self) -> Result<Reloaded, NotReloaded> {
        let (asked, answer) = oneshot::channel();
        self.0.try_send(asked).map_err(|_| NotReloaded::Busy)?;
        match answer.await {
            Ok(reloaded) => reloaded.map_err(NotReloaded::Broken),
            Err(_) => Err(NotReloaded::Busy),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum NotReloaded {
    #[error("{0}")]
    Broken(Broken),
    #[error("others reload the definitions, or the service is stopping; ask again in a moment")]
    Busy,
}

impl From<NotReloaded> for Problem {
    fn from(error: NotReloaded) -> Self {
        let detail = error.to_string();
        match error {
            NotReloaded::Broken(_) => {
                let detail = format!("the running definitions stay, for the files have mistakes:\n{detail}");
                Self::bad("definitions_broken", detail)
            }
            NotReloaded::Busy => Self::new(Kind::Unavailable, detail),
        }
    }
}

/// Reads the definitions of this process again. Each process has its own files.
pub async fn reload(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let reloaded = async {
        let caller = caller(&api, &request).await?;
        if !caller.is_operator() {
            let detail = format!(
                "the client `{}` may not reload definitions: operators and admins may",
                caller.name
            );
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let entry = api.entry(&caller, Action::DefinitionsReload, "definitions", json!({}));
        let reloaded = api.audited_steps(entry, api.reloading.clone().reload(), told).await?;
        Ok(HttpResponse::Ok().json(told(&reloaded)))
    };
    reloaded
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn told(reloaded: &Reloaded) -> Value {
    json!({
        "jobs": reloaded.jobs,
        "entities": reloaded.entities,
        "added": reloaded.added,
        "changed": reloaded.changed,
        "removed": reloaded.removed,
    })
}
