//! Where else the message of a run goes.

use crate::domain::destination::{Destination, DestinationKind, safe};
use crate::domain::export::ExportSpec;
use crate::domain::file_name::FileNameFacts;
use crate::storage::destinations::NewExportDelivery;

/// A delivery to each destination. Paths are settled here: every attempt brings the file to the same place.
pub(super) fn deliveries(spec: &ExportSpec, facts: FileNameFacts<'_>, file_name: &str) -> Vec<NewExportDelivery> {
    let delivery = |destination: &Destination| NewExportDelivery {
        destination: destination.name.clone(),
        url: destination.url.clone(),
        path: match (&destination.path, &destination.kind) {
            (Some(path), _) => Some(path.render(facts, file_name)),
            (None, DestinationKind::Blob { .. }) => Some(safe(file_name)),
            (None, DestinationKind::Http(_)) => None,
        },
    };
    spec.destinations.iter().map(delivery).collect()
}
