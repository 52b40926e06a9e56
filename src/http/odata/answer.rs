//! How rows are answered (OD-3, OD-6, OD-7).

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::options::Options;
use super::page::{Next, Page};
use super::table::{Row, Table};
use crate::http::Api;
use crate::http::auth::link_base;
use crate::http::query::Query;

/// Where a set is read: `/data` or `/metadata`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root(pub &'static str);

/// JSON as clients of this surface take it (GEN-11).
pub(super) fn json(body: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json; odata.metadata=minimal")
        .insert_header(("OData-Version", "4.0"))
        .json(body)
}

/// A page of a set. `details`: those of each row, where they are wanted.
pub(super) fn page(
    api: &Api,
    request: &HttpRequest,
    (root, table): (Root, &Table),
    options: &Options,
    page: Page,
    mut details: Vec<Vec<Row>>,
) -> HttpResponse {
    let mut body = Map::new();
    body.insert(
        "@odata.context".to_owned(),
        context(api, request, root, table.set).into(),
    );
    if let Some(count) = page.count {
        body.insert("@odata.count".to_owned(), json!(count));
    }
    details.resize_with(page.rows.len(), Vec::new);
    let rows = page.rows.into_iter().zip(details);
    let rows: Value = rows
        .map(|(row, details)| object(table, options, row, details))
        .collect();
    body.insert("value".to_owned(), rows);
    if let Some(next) = page.next {
        body.insert("@odata.nextLink".to_owned(), next_link(api, request, &next).into());
    }
    json(&Value::Object(body))
}

/// One row.
pub(super) fn single(
    api: &Api,
    request: &HttpRequest,
    (root, table): (Root, &Table),
    options: &Options,
    row: Row,
    details: Vec<Row>,
) -> HttpResponse {
    let of = format!("{}/$entity", table.set);
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context(api, request, root, &of).into());
    if let Value::Object(members) = object(table, options, row, details) {
        body.extend(members);
    }
    json(&Value::Object(body))
}

fn object(table: &Table, options: &Options, row: Row, details: Vec<Row>) -> Value {
    let mut object = table.object(row, &options.select);
    if let Some(of) = table.details.filter(|_| options.expand) {
        let details: Value = details
            .into_iter()
            .map(|row| Value::Object(of.object(row, &[])))
            .collect();
        object.insert("Details".to_owned(), details);
    }
    Value::Object(object)
}

/// What a body is of.
pub(super) fn context(api: &Api, request: &HttpRequest, Root(root): Root, of: &str) -> String {
    format!("{}{root}/$metadata#{of}", link_base(api, request))
}

/// The same request, from where this answer ended.
fn next_link(api: &Api, request: &HttpRequest, next: &Next) -> String {
    let query = Query::of(request);
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    let kept = query
        .pairs()
        .filter(|(name, _)| !["$top", "$skip", "$skiptoken"].contains(name));
    pairs.extend_pairs(kept);
    if let Some(top) = next.top {
        pairs.append_pair("$top", &top.to_string());
    }
    if next.skip > 0 {
        pairs.append_pair("$skip", &next.skip.to_string());
    }
    pairs.append_pair("$skiptoken", &next.token);
    format!("{}{}?{}", link_base(api, request), request.uri().path(), pairs.finish())
}
