//! `[webhook]` of a job file.

use super::read::{Placed, Table};
use super::secret_file::read_secret;
use crate::domain::status::Status;
use crate::domain::webhook::WebhookSpec;
use crate::hints::{did_you_mean, one_of};

/// Reads `[webhook]`. `None` after a mistake, which is among the findings.
pub(super) fn read(section: Table<'_>) -> Option<WebhookSpec> {
    let per_message = section.truth("per_message").is_some_and(|truth| truth.value);
    if !per_message {
        section.require("url");
    }
    let wants_url = section.has("url");
    let text = section.text("url");
    let url_place = text.as_ref().map(|text| section.findings().place(&text.span));
    let url = text.and_then(|text| read_url(&section, &text));
    let secret = read_secret(&section, "[webhook]");
    let on = read_on(&section);
    section.finish();
    if wants_url && url.is_none() {
        return None;
    }
    Some(WebhookSpec {
        url,
        url_place,
        secret: secret?,
        on,
        per_message,
    })
}

fn read_url(section: &Table<'_>, text: &Placed<String>) -> Option<url::Url> {
    let flaw = match url::Url::parse(text.value.trim()) {
        Err(error) => format!("is not a URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "https" | "http") => "begins with neither https:// nor http://".to_owned(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "holds a user name or password; receivers know Tranship by its signature".to_owned()
        }
        Ok(url) => return Some(url),
    };
    section.findings().at(&text.span, format!("`url` {flaw}"));
    None
}

/// Every final status unless the file says which.
fn read_on(section: &Table<'_>) -> Vec<Status> {
    let ends = || Status::ALL.into_iter().filter(|status| status.is_final());
    let Some(written) = section.texts("on") else {
        return ends().collect();
    };
    if written.value.is_empty() {
        section.findings().at(
            &written.span,
            "`on` is empty: nobody would ever be told anything; leave it out for every end",
        );
    }
    let mut on = Vec::new();
    for word in &written.value {
        match ends().find(|status| status.as_str() == word.value) {
            Some(status) if on.contains(&status) => {
                section
                    .findings()
                    .at(&word.span, format!("`{status}` is listed twice in `on`"));
            }
            Some(status) => on.push(status),
            None => {
                let hint = did_you_mean(&word.value, ends().map(Status::as_str));
                let allowed = one_of(ends().map(Status::as_str));
                let message = format!(
                    "`{}` in `on` is not a final status{hint}; allowed are {allowed}",
                    word.value
                );
                section.findings().at(&word.span, message);
            }
        }
    }
    on
}
