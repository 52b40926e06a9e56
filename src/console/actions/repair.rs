//! Send rejected records back, corrected in place: what `POST /api/v1/messages/{id}/resubmit` does with a corrected rejects file.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest as _, Sha256};

use super::Body;
use crate::console::form::Form;
use crate::console::pages::repair::{At, field, files, is_editable, table};
use crate::console::visit::{Visit, act};
use crate::domain::message::Digest;
use crate::http::Api;
use crate::http::messages::{correctable, resubmit_corrected};
use crate::http::problem::Problem;
use crate::http::rejects::made;
use crate::pipeline::enqueue::Envelope;
use crate::pipeline::rejects::{Correction, Corrections, RejectTable, RejectedRecord};

/// `POST /console/messages/{id}/repair`: on to the child.
pub(in crate::console) async fn send_back(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, form| repair(visit, &id, form).await).await
}

async fn repair(visit: &Visit<'_>, id: &str, form: &Form) -> Result<String, Problem> {
    let (parent, job) = correctable(visit.api, &visit.definitions, &visit.caller, id).await?;
    let files = files(visit, &parent).await?;
    let at = At {
        entity_no: whole_number(form, "entity")?,
        after: whole_number(form, "after")?,
    };
    let table = table(visit, &parent, files.clone(), at).await?;
    let corrections = corrections(&table, form)?;
    if corrections.is_empty() {
        let detail =
            "nothing was changed and no record is ticked; go back, correct a record or tick one, and send again";
        return Err(Problem::bad("nothing_to_send", detail));
    }
    let key = form.get("key").unwrap_or_default();
    let said = Digest(Sha256::digest(format!("{corrections:?}")).into()).hex();
    let envelope = Envelope {
        forced: form.get("force") == Some("true"),
        idempotency_key: Some(format!("console-{key}-{said}")).filter(|_| !key.is_empty()),
        ..Envelope::default()
    };
    let file = files.correcting(corrections).rejects().await?;
    let body = Box::pin(made(visit.api, file, format!("correction-of-{}", parent.id)));
    let taken = resubmit_corrected(visit.api, &visit.caller, (&parent, job), envelope, body).await?;
    Ok(format!("/console/messages/{}?done=corrected", taken.message.id))
}

fn whole_number<T: std::str::FromStr>(form: &Form, name: &str) -> Result<T, Problem> {
    let number = form.get(name).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Problem::bad("invalid_number", format!("the form has no whole number `{name}`")))
}

/// The records that are ticked or changed, with what is changed in them.
fn corrections(table: &RejectTable, form: &Form) -> Result<Corrections, Problem> {
    let fields: HashMap<&str, &str> = form.pairs().collect();
    let ticked = form.pairs().filter(|(name, _)| *name == "send");
    let ticked: BTreeSet<u64> = ticked.filter_map(|(_, record)| record.parse().ok()).collect();
    let mut corrections = Corrections::default();
    for record in &table.records {
        let changed = changed(table, record, &fields)?;
        let is_sent = ticked.contains(&record.reject.record) && record.cells.is_some();
        if is_sent || !changed.is_empty() {
            corrections.send(record.reject, changed);
        }
    }
    Ok(corrections)
}

fn changed(
    table: &RejectTable,
    record: &RejectedRecord,
    fields: &HashMap<&str, &str>,
) -> Result<Vec<Correction>, Problem> {
    let mut changed = Vec::new();
    let cells = record.cells.iter().flatten();
    for ((column, name), cell) in table.columns.iter().zip(cells) {
        let sent = fields.get(field(record.reject.record, *column).as_str());
        let Some(sent) = sent.filter(|sent| is_editable(cell) && with_line_feeds(sent) != with_line_feeds(&cell.text))
        else {
            continue;
        };
        let text = as_it_was(sent, &cell.text);
        if let Some(why) = table.refused(*column, &text) {
            let detail = format!(
                "record {}, {name}: {why}. Nothing was sent; go back and change it",
                record.reject.record
            );
            return Err(Problem::bad("invalid_correction", detail));
        }
        changed.push(Correction {
            column: *column,
            name: name.clone(),
            text,
        });
    }
    Ok(changed)
}

/// Browsers send every line break as CRLF.
fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text with the line breaks that stood there before.
fn as_it_was(sent: &str, before: &str) -> String {
    let text = with_line_feeds(sent);
    if before.contains("\r\n") {
        text.replace('\n', "\r\n")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{as_it_was, with_line_feeds};

    #[test]
    fn line_breaks_stay_what_they_were() {
        assert_eq!(with_line_feeds("a\r\nb\rc\nd"), "a\nb\nc\nd");
        assert_eq!(as_it_was("a\r\nb", "x\ny"), "a\nb");
        assert_eq!(as_it_was("a\r\nb", "x\r\ny"), "a\r\nb");
        assert_eq!(as_it_was("a\r\nb", "x"), "a\nb");
    }
}
