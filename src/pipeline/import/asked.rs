//! What the package API asked of an import besides loading the package.

use crate::domain::message::Message;
use crate::pipeline::Context;
use crate::pipeline::package_import::ImportOptions;
use crate::pipeline::stop::Stop;

/// How far an import goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Whether staged records go on to the target (PKG-11b).
    pub(super) executes: bool,
    /// Whether nothing more is begun once an entity failed (PKG-11e).
    pub(super) fails_fast: bool,
}

impl Asked {
    /// Of a message: all that can be done, unless a client said otherwise.
    pub(super) async fn of(context: &Context, message: &Message) -> Result<Self, Stop> {
        let mut asked = Self {
            executes: true,
            fails_fast: false,
        };
        // What names its entity did not come by the package API.
        if message.entity.is_some() {
            return Ok(asked);
        }
        if let Some(request) = context.store.package_request_of(message.id).await? {
            let options = ImportOptions::read(&request).map_err(|error| {
                Stop::Retry(format!(
                    "what was asked of {} is unreadable: {error}",
                    request.execution
                ))
            })?;
            (asked.executes, asked.fails_fast) = (options.execute, options.fail_on_error);
        }
        Ok(asked)
    }
}
