//! A file whose columns are not those of its entity: ignored, told or refused, as the entity says; never silently.

use super::part::Part;
use crate::domain::entity::Drift;
use crate::format::mapping::Mapping;
use crate::pipeline::stop::Stop;

/// Names listed before it is said how many more there are.
const LISTED_MAX: usize = 20;

/// What is to be told about the file's columns.
///
/// # Errors
/// [`Stop::Fail`] `column_unknown` or `column_missing` where the entity refuses them.
pub(super) fn judge(part: &Part<'_>, mapping: &Mapping) -> Result<Vec<String>, Stop> {
    let unknown = judged(
        part.entity.unknown_columns,
        mapping.ignored(),
        ("column_unknown", "no field takes these columns of the file"),
    )?;
    let missing = judged(
        part.entity.missing_columns,
        mapping.missing(),
        ("column_missing", "the file has no column for these fields"),
    )?;
    Ok(unknown.into_iter().chain(missing).collect())
}

fn judged(drift: Drift, names: &[String], (code, what): (&'static str, &str)) -> Result<Option<String>, Stop> {
    if names.is_empty() || drift == Drift::Ignore {
        return Ok(None);
    }
    let sentence = format!("{what}: {}", listed(names));
    if drift == Drift::Reject {
        return Err(Stop::fail(code, format!("{sentence}; the entity refuses such files")));
    }
    Ok(Some(sentence))
}

/// Names for a sentence, a bounded number of them.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(LISTED_MAX)
        .map(|name| crate::format::excerpt::quoted(name))
        .collect();
    let more = names.len() - shown.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}
