//! The words of the audit log: who did what, from where, to what.

use serde_json::{Map, Value};

use super::time::Timestamp;

/// What an action is done to: what `target` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The activity id of a job or data project.
    Job,
    /// A message's id.
    Message,
    /// The id of a delivery to a webhook.
    Webhook,
    /// The id of a delivery to a destination.
    Delivery,
    /// An execution's id.
    Execution,
    /// A client's name.
    Client,
    /// The definitions: the word `definitions`.
    Definitions,
    /// The service itself: what of it, in a word.
    Service,
}

macro_rules! actions {
    ($($(#[$doc:meta])+ $name:ident $word:literal $target:ident),+ $(,)?) => {
        /// What can be done that the audit log tells of. The one list there is; `docs/operating.md` repeats it, and a test holds the two together.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action { $($(#[$doc])+ $name),+ }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in columns and JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// What it is done to.
            #[must_use]
            pub fn target(self) -> Target {
                match self { $(Self::$name => Target::$target),+ }
            }
        }
    };
}

actions! {
    /// An export was asked for, or what waits for an import's schedule is offered now.
    JobRun "job.run" Job,
    /// A job was paused.
    JobPause "job.pause" Job,
    /// A job was resumed.
    JobResume "job.resume" Job,
    /// An incremental export was set back, also by `ResetVersionToken`.
    JobRewind "job.rewind" Job,
    /// Due times of the past were made up for.
    JobBackfill "job.backfill" Job,
    /// A message was put back into its queue.
    MessageRetry "message.retry" Message,
    /// A message was cancelled, or its worker asked to.
    MessageCancel "message.cancel" Message,
    /// Corrected records were sent back: the target is the message they correct.
    MessageResubmit "message.resubmit" Message,
    /// Many messages were put back or cancelled: the target is the job whose they are, `filter` for those of several jobs, or `ids`.
    MessagesBulk "messages.bulk" Message,
    /// A group goes on without its dead letter.
    GroupUnblock "group.unblock" Job,
    /// A delivery to a destination is sent once more.
    DeliveryReplay "delivery.replay" Delivery,
    /// A delivery to a webhook is sent once more.
    WebhookReplay "webhook.replay" Webhook,
    /// A ping was sent to a job's webhook.
    WebhookTest "webhook.test" Job,
    /// A data project was created.
    ProjectCreate "project.create" Job,
    /// A data project holds other entities, or holds them otherwise.
    ProjectChange "project.change" Job,
    /// A data project was deleted.
    ProjectDelete "project.delete" Job,
    /// What was kept of an execution was deleted (`DeleteExecutionHistoryJob`).
    ExecutionDelete "execution.delete" Execution,
    /// The files of jobs and entities were read again, because somebody asked for it.
    DefinitionsReload "definitions.reload" Definitions,
    /// A client was added.
    ClientAdd "client.add" Client,
    /// A client got a new secret.
    ClientRotate "client.rotate" Client,
    /// A client got another role.
    ClientRole "client.role" Client,
    /// A client was locked out.
    ClientRevoke "client.revoke" Client,
    /// Somebody signed in to the console.
    ConsoleSignIn "console.sign_in" Client,
    /// A link was made that signs in to the console.
    ConsoleLink "console.link" Client,
    /// Signing keys were rotated: the details name which, and of which the oldest ended.
    KeysRotate "keys.rotate" Service,
    /// A person's data was erased: the target is the entity, the details hold a salted hash of the key instead of it.
    Erase "erase" Service,
    /// The store was copied into a backup.
    StoreBackup "store.backup" Service,
    /// The store was made from a backup: the entry is in the store that was made.
    StoreRestore "store.restore" Service,
    /// Old entries of this log were removed: the target is the number of the last one.
    AuditPrune "audit.prune" Service,
}

impl Action {
    /// The action of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == word)
    }

    /// Whether it is about who may do what: only admins read of these.
    #[must_use]
    pub fn is_about_access(self) -> bool {
        matches!(self.target(), Target::Client | Target::Service)
    }
}

/// Where something was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Over HTTP, by whatever holds a client's token.
    Api,
    /// In the web console.
    Console,
    /// By a command that works on the store itself.
    CommandLine,
    /// The service did it by its settings.
    Service,
}

impl Surface {
    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Console => "console",
            Self::CommandLine => "command_line",
            Self::Service => "service",
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It happened: the entry is of the same transaction.
    Done,
    /// It was begun, in several transactions; a later entry says how it ended. Without one, the service was stopped in between.
    Asked,
    /// It broke off.
    Failed,
}

impl Outcome {
    /// The word in columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Asked => "asked",
            Self::Failed => "failed",
        }
    }
}

/// An entry about to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a client's name, `local operator`, an operating system's user.
    pub actor: String,
    /// From where.
    pub surface: Surface,
    /// What was done.
    pub action: Action,
    /// To what: see [`Target`].
    pub target: String,
    /// What belongs to it: notes, filters, counts. Never a secret, never a value of a record.
    pub detail: Map<String, Value>,
}

impl NewEntry {
    /// An entry without details.
    #[must_use]
    pub fn new(
        at: Timestamp,
        actor: &str,
        surface: Surface,
        action: Action,
        target: &(impl ToString + ?Sized),
    ) -> Self {
        Self {
            at,
            actor: actor.to_owned(),
            surface,
            action,
            target: target.to_string(),
            detail: Map::new(),
        }
    }

    /// An entry of what the service does by itself.
    #[must_use]
    pub fn of_service(at: Timestamp, action: Action, target: &(impl ToString + ?Sized)) -> Self {
        Self::new(at, "tranship", Surface::Service, action, target)
    }

    /// Adds to the details; nothing where there is no value.
    pub fn add(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() {
            self.detail.insert(name.to_owned(), value);
        }
    }

    /// The same with this detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.add(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::parse("job.dance"), None);
    }
}
