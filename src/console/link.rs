//! Links that sign in once: printed where the service is started, or by `tranship console`.

use crate::auth::secrets::new_secret;
use crate::auth::sessions::{LINK_SECONDS, digest};
use crate::domain::time::Timestamp;
use crate::storage::sessions::Visitor;
use crate::storage::{Store, StoreError};

/// A new link below `base`, good once and for [`LINK_SECONDS`].
///
/// # Errors
/// [`StoreError`] when it cannot be kept.
pub async fn new_link(store: &Store, base: &str, visitor: &Visitor, now: Timestamp) -> Result<String, StoreError> {
    let secret = new_secret();
    let until = now.plus_seconds(LINK_SECONDS);
    store.add_sign_in_link(digest(&secret), visitor, until, now).await?;
    Ok(format!("{}/console/sign-in/{secret}", base.trim_end_matches('/')))
}
