//! Writing rows of projects that the store keeps, and of their entities (PKG-24). Jobs from files are read only.
//!
//! What a row says that we do not keep must be what it is; of texts nobody acts by (`Description`, `ProjectCategory`) anything will do.

mod details;
mod groups;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Root};
use super::path::Path;
use super::table::Table;
use super::{NAMESPACE, TABLES, projects, respond, versions};
use crate::domain::job::{Job, Origin};
use crate::http::Api;
use crate::http::auth::{Caller, caller, link_base};
use crate::http::json_body::json_object;
use crate::http::problem::{Kind, Problem, no_such_method, no_such_route};
use crate::http::query::path_decoded;

/// Longest row.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// What may be anything, because nothing is done by it.
const NOT_KEPT: [&str; 3] = ["Description", "ProjectCategory", "AutoGenerateMapping"];

/// A row that is to be written.
struct Write<'a> {
    api: &'a Api,
    request: &'a HttpRequest,
    caller: Caller,
    /// The keys in its path, by column.
    key: Vec<String>,
    /// What the client says of it.
    body: Value,
}

/// What is done to rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Change,
    Remove,
}

/// `POST /data/{set}`, and actions of sets beside the projects.
pub(super) async fn create(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let path = path_decoded(request.uri().path());
    match path.get("/data/".len()..).and_then(|path| Path::read(path).ok()) {
        Some(path) if path.rest.starts_with(NAMESPACE) => versions::action(api, request, &path).await,
        _ => write(&api, request, body, Step::Create).await,
    }
}

/// `PATCH` and `PUT` of a row: what is not said stays.
pub(super) async fn change(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    write(&api, request, body, Step::Change).await
}

/// `DELETE` of a row.
pub(super) async fn remove(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    write(&api, request, body, Step::Remove).await
}

async fn write(api: &Api, request: HttpRequest, body: web::Payload, step: Step) -> HttpResponse {
    let path = path_decoded(request.uri().path());
    let path = match Path::read(path.get("/data/".len()..).unwrap_or_default()) {
        Ok(path) => path,
        Err(why) => return respond(Err(refused(why))),
    };
    let Some(table) = TABLES
        .into_iter()
        .find(|table| table.set.eq_ignore_ascii_case(&path.set))
    else {
        return no_such_route(request).await;
    };
    let (is_group, is_detail) = (table.set == projects::GROUPS.set, table.set == projects::DETAILS.set);
    let is_row = path.key.is_some() != (step == Step::Create);
    if !(is_group || is_detail) || !is_row || !path.rest.is_empty() {
        return no_such_method(request).await;
    }
    let written = async {
        let caller = caller(api, &request).await?;
        let key = path.key.unwrap_or_default();
        let write = Write {
            api,
            request: &request,
            caller,
            key: key_values(table, &key)?,
            body: json_object(body, BODY_BYTES_MAX).await?,
        };
        write.known(table)?;
        write.allowed()?;
        match (is_group, step) {
            (true, Step::Create) => write.create_group().await,
            (true, Step::Change) => write.change_group().await,
            (true, Step::Remove) => write.remove_group().await,
            (false, Step::Create) => write.create_detail().await,
            (false, Step::Change) => write.change_detail().await,
            (false, Step::Remove) => write.remove_detail().await,
        }
    };
    respond(written.await)
}

/// A row that cannot be written.
fn refused(detail: impl Into<String>) -> Problem {
    Problem::bad("odata_row", detail)
}

/// The key's values in the order of the columns; of projects the name alone will do.
fn key_values(table: &Table, key: &[(Option<String>, String)]) -> Result<Vec<String>, Problem> {
    let mut values = vec![String::new(); table.keys];
    for (name, value) in key {
        let column = name.as_ref().map_or(Some(0), |name| table.column(name));
        let column = column.filter(|column| *column < table.keys);
        let column = column.ok_or_else(|| refused(format!("the key names what is none of {}", table.set)))?;
        values[column].clone_from(value);
    }
    Ok(values)
}

impl Write<'_> {
    /// Every member must be a property of the set (OD-15).
    fn known(&self, table: &Table) -> Result<(), Problem> {
        let members = self.body.as_object().into_iter().flatten().map(|(name, _)| name);
        let unknown = members
            .filter(|name| !name.starts_with('@'))
            .find(|name| table.column(name).is_none());
        unknown.map_or(Ok(()), |name| Err(refused(super::filter::no_property(table, name))))
    }

    fn allowed(&self) -> Result<(), Problem> {
        if self.caller.may_create_projects() {
            return Ok(());
        }
        let detail = format!(
            "the client `{}` may write no data projects: let an operator give it the role that may (`tranship client add NAME --role \
             integrator`)",
            self.caller.name
        );
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// What the client says of a property; none where it says nothing.
    fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let member = self.body.as_object().into_iter().flatten();
        let member = member.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        let text = match member.map(|(_, value)| value) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(_) => return Err(refused(format!("`{name}` must be a text"))),
        };
        if text.chars().any(char::is_control) {
            return Err(refused(format!("`{name}` holds a control character")));
        }
        Ok(Some(text))
    }

    /// One of two words.
    fn either(&self, name: &str, [no, yes]: [&str; 2]) -> Result<Option<bool>, Problem> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case(no) => Ok(Some(false)),
            Some(text) if text.eq_ignore_ascii_case(yes) => Ok(Some(true)),
            Some(text) => Err(refused(format!("`{name}` is `{text}`; write {no} or {yes}"))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u32>, Problem> {
        let number = self.text(name)?.map(|text| text.parse().map_err(|_| text));
        let wrong = |text| refused(format!("`{name}` is `{text}`; write a whole number from 0"));
        number.transpose().map_err(wrong)
    }

    /// What is said and not kept must be what the row has.
    fn must_agree(&self, table: &Table, row: &[Value], kept: &[&str]) -> Result<(), Problem> {
        for (column, value) in table.columns.iter().zip(row) {
            if kept.contains(&column.name) || NOT_KEPT.contains(&column.name) {
                continue;
            }
            let has = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(said) = self.text(column.name)?.filter(|said| !said.eq_ignore_ascii_case(&has)) {
                let detail = format!("`{}` is `{has}` and cannot be `{said}` here", column.name);
                return Err(refused(detail));
            }
        }
        Ok(())
    }

    /// The project of this name that the store keeps and the caller uses.
    async fn kept(&self, name: &str) -> Result<Job, Problem> {
        let definitions = self.api.projects.refresh().await?;
        let job = definitions.find_job(name).filter(|job| self.caller.may_use(job));
        match job {
            Some(job) if job.origin == Origin::Project => Ok(job.clone()),
            Some(job) => Err(refused(format!(
                "the data project `{}` is a job from a file, which only its file changes",
                job.name
            ))),
            None => Err(Problem::new(
                Kind::NotFound,
                format!(
                    "there is no data project `{name}` that the client `{}` may use",
                    self.caller.name
                ),
            )),
        }
    }

    /// 201 with the row (OD-12).
    fn created(&self, table: &Table, row: Vec<Value>, key: &str) -> HttpResponse {
        let base = format!("{}/data", link_base(self.api, self.request));
        let mut body = table.object(row, &[]);
        let context = answer::context(self.api, self.request, Root("/data"), &format!("{}/$entity", table.set));
        body.insert("@odata.context".to_owned(), context.into());
        let location = format!("{base}/{}({key})", table.set);
        HttpResponse::Created()
            .content_type("application/json; odata.metadata=minimal")
            .insert_header(("OData-Version", "4.0"))
            .insert_header(("Location", location.clone()))
            .insert_header(("OData-EntityId", location))
            .json(json!(body))
    }
}

fn done() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(("OData-Version", "4.0"))
        .finish()
}

fn missing(key: &[String]) -> Problem {
    Problem::new(
        Kind::NotFound,
        format!("there is no row with the key {}", key.join(", ")),
    )
}

/// A key as paths have it.
fn key_of(parts: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        let quoted = value.replace('\'', "''");
        let escaped: String = url::form_urlencoded::byte_serialize(quoted.as_bytes()).collect();
        let escaped = escaped.replace('+', "%20");
        if name.is_empty() {
            format!("'{escaped}'")
        } else {
            format!("{name}='{escaped}'")
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}
