//! What was sent to others, to webhooks and to destinations: what lists of such deliveries, and sending them once more, have in common.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::LastAnswer;
use super::api::Api;
use super::connection::Connection;
use super::screen::{Screen, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure};
use crate::domain::ids::DeliveryId;

/// A page of deliveries, as a table's rows.
pub(super) struct Page {
    pub(super) rows: Vec<Vec<String>>,
    /// The `before` of the next page.
    pub(super) next: Option<String>,
}

/// A list of deliveries that is asked for.
pub(super) struct List<'a> {
    /// Where the service has it.
    pub(super) path: &'a [&'a str],
    pub(super) filters: &'a [(&'a str, Option<&'a str>)],
    /// The command that prints it, without filters.
    pub(super) command: &'a str,
    pub(super) heading: [&'a str; 7],
}

impl List<'_> {
    /// Prints a page of it.
    ///
    /// # Errors
    /// Whatever the service answers but 2xx.
    pub(super) async fn print<T: DeserializeOwned>(
        &self,
        screen: &Screen,
        connection: &Connection,
        page: impl FnOnce(T) -> Page,
    ) -> Result<Exit, Failure> {
        let given = self.filters.iter();
        let query: Vec<(&str, &str)> = given.filter_map(|(key, value)| Some((*key, (*value)?))).collect();
        let answer = connection.open()?.get::<T>(self.path, &query).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
            return Ok(Exit::Ok);
        }
        let page = page(answer.body);
        if page.rows.is_empty() {
            screen.note("There are no such deliveries.");
            return Ok(Exit::Ok);
        }
        let mut rows = vec![self.heading.map(str::to_owned).to_vec()];
        rows.extend(page.rows);
        screen.table(&rows);
        if let Some(next) = page.next {
            screen.note(format!("More: {}", self.next_page(&next)));
        }
        Ok(Exit::Ok)
    }

    /// The command that lists on from there, with the same filters.
    fn next_page(&self, next: &str) -> String {
        let kept = self.filters.iter().filter(|(key, _)| matches!(*key, "job" | "state"));
        let kept = kept.filter_map(|(key, value)| value.map(|value| format!(" --{key} {}", quoted(value))));
        let kept: String = kept.collect();
        format!("{} {}{kept} --before {}", program(), self.command, plain(next))
    }
}

/// Has deliveries sent once more, one call for each; `to` names in the answer which delivery goes where.
///
/// # Errors
/// Whatever the service answers but 2xx.
pub(super) async fn replay<T: DeserializeOwned>(
    screen: &Screen,
    api: &Api,
    paths: impl Iterator<Item = Vec<&str>>,
    to: impl Fn(&T) -> [String; 2],
) -> Result<Exit, Failure> {
    let mut replayed: Vec<Value> = Vec::new();
    for path in paths {
        let answer = api.post::<T>(&path, None).await?;
        if !screen.is_json() {
            let [id, to] = to(&answer.body).map(|text| plain(&text));
            screen.line(format!("{id} goes to {to} once more"));
        }
        replayed.push(answer.raw);
    }
    if screen.is_json() {
        screen.json(&replayed);
    }
    Ok(Exit::Ok)
}

/// A delivery's id as the service writes it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn delivery_id(text: &str) -> Result<String, String> {
    let id = text.parse::<DeliveryId>().map_err(|error| error.to_string())?;
    Ok(id.to_string())
}

/// What the last attempt met, in a few words.
pub(super) fn last_words(last: Option<&LastAnswer>) -> String {
    let status = last.and_then(|last| last.status).map(|status| status.to_string());
    let detail = last.and_then(|last| last.detail.as_deref());
    let words: Vec<&str> = [status.as_deref(), detail].into_iter().flatten().collect();
    or_none(Some(&words.join(" ")))
}

/// A text, or a dash where there is none.
pub(super) fn or_none(text: Option<&str>) -> String {
    plain(text.filter(|text| !text.is_empty()).unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_of_the_same_list() {
        let filters = [("job", None), ("state", Some("failed")), ("limit", Some("20"))];
        let list = List {
            path: &["api"],
            filters: &filters,
            command: "deliveries list --job 'Nightly orders'",
            heading: [""; 7],
        };
        let next = list.next_page("d-1");
        assert!(
            next.ends_with("deliveries list --job 'Nightly orders' --state failed --before d-1"),
            "{next}"
        );
    }

    #[test]
    fn what_an_attempt_met_is_said_as_far_as_it_is_known() {
        let last = |status, detail: Option<&str>| LastAnswer {
            status,
            detail: detail.map(str::to_owned),
        };
        assert_eq!(last_words(Some(&last(Some(503), Some("busy")))), "503 busy");
        assert_eq!(last_words(Some(&last(None, Some("refused")))), "refused");
        assert_eq!(last_words(Some(&last(None, None))), "-");
        assert_eq!(last_words(None), "-");
    }
}
