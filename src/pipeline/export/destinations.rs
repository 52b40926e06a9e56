//! Where else the message of a run goes.

use crate::domain::destination::{Destination, DestinationKind, safe};
use crate::domain::export::ExportSpec;
use crate::domain::file_name::FileNameFacts;
use crate::storage::destinations::NewExportDelivery;

/// A delivery to each destination. Paths are settled here: every attempt brings the file to the same place.
pub(super) fn deliveries(
    spec: &ExportSpec,
    facts: FileNameFacts<'_>,
    file_name: &str,
    (at, of): (usize, usize),
) -> Vec<NewExportDelivery> {
    let delivery = |destination: &Destination| NewExportDelivery {
        destination: destination.name.clone(),
        url: destination.url.clone(),
        path: match (&destination.path, &destination.kind) {
            (Some(path), _) => {
                let path = path.render(facts, file_name);
                // A path that does not end with the file's name is the same for all files of a run.
                let is_same = !path.ends_with(&safe(file_name));
                Some(if is_same { numbered(&path, at, of) } else { path })
            }
            (None, DestinationKind::Blob { .. }) => Some(safe(file_name)),
            (None, DestinationKind::Http(_)) => None,
        },
    };
    spec.destinations.iter().map(delivery).collect()
}

/// `orders.csv` as the second of three: `orders-2of3.csv`.
pub(super) fn numbered(path: &str, at: usize, of: usize) -> String {
    if of == 1 {
        return path.to_owned();
    }
    let (folder, name) = path.rfind('/').map_or(("", path), |slash| path.split_at(slash + 1));
    match name.split_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{folder}{stem}-{at}of{of}.{extension}"),
        None => format!("{folder}{name}-{at}of{of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn one_of_several_files_says_which() {
        assert_eq!(numbered("orders.csv.gz", 1, 1), "orders.csv.gz");
        assert_eq!(numbered("orders.csv.gz", 2, 3), "orders-2of3.csv.gz");
        assert_eq!(numbered("orders", 2, 3), "orders-2of3");
        assert_eq!(numbered(".orders", 2, 3), ".orders-2of3");
        assert_eq!(numbered("v1.2/orders.csv", 2, 3), "v1.2/orders-2of3.csv");
    }
}
