//! Reading sets, their rows by key, what these lead to, and how many there are.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{self, Root};
use super::options::{Options, unsupported};
use super::page::{Page, of_rows};
use super::path::Path;
use super::table::{Row, Table};
use super::{NAMESPACE, TABLES, entities, executions, metadata as search, projects, respond};
use crate::http::Api;
use crate::http::auth::{Caller, caller};
use crate::http::problem::{Kind as Failure, Problem, no_such_method, no_such_route};
use crate::http::query::path_decoded;

const DATA: Root = Root("/data");
const METADATA: Root = Root("/metadata");
/// Executions in an answer that brings their details along: those are asked for one by one.
const EXPANDED_EXECUTIONS_MAX: usize = 100;

/// A read of a set.
struct Read<'a> {
    api: &'a Api,
    request: &'a HttpRequest,
    caller: Caller,
    table: &'static Table,
}

/// `GET /data/…`
pub(in crate::http) async fn data(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let path = path_decoded(request.uri().path());
    let Some(path) = path.get("/data/".len()..).map(Path::read) else {
        return no_such_route(request).await;
    };
    let addressed = match path.map_err(unsupported) {
        Ok(path) => (TABLES
            .into_iter()
            .find(|table| table.set.eq_ignore_ascii_case(&path.set)))
        .map(|table| (table, path)),
        Err(problem) => return respond(Err(problem)),
    };
    match addressed {
        Some((_, path)) if path.rest.starts_with(NAMESPACE) => no_such_method(request).await,
        Some((table, path)) if is_there(table, &path) => {
            let read = async {
                let caller = caller(&api, &request).await?;
                let read = Read {
                    api: &api,
                    request: &request,
                    caller,
                    table,
                };
                read.answer(path).await
            };
            respond(read.await)
        }
        _ => no_such_route(request).await,
    }
}

/// Whether anything can be read there.
fn is_there(table: &Table, path: &Path) -> bool {
    match path.rest.as_str() {
        "" => true,
        "$count" => path.key.is_none(),
        "Details" => path.key.is_some() && table.details.is_some(),
        _ => false,
    }
}

impl Read<'_> {
    async fn answer(self, path: Path) -> Result<HttpResponse, Problem> {
        let mut options = Options::read(self.request, self.table, false)?;
        let Some(key) = path.key else {
            if options.expand && self.table.set == executions::JOBS.set {
                options.page = options.page.min(EXPANDED_EXECUTIONS_MAX);
            }
            if path.rest == "$count" {
                options.count = true;
            }
            let page = self.page(&options).await?;
            if let (Some(count), "$count") = (page.count, path.rest.as_str()) {
                return Ok(HttpResponse::Ok().content_type("text/plain").body(count.to_string()));
            }
            let details = if options.expand {
                self.details(&page.rows).await?
            } else {
                Vec::new()
            };
            return Ok(answer::page(
                self.api,
                self.request,
                (DATA, self.table),
                &options,
                page,
                details,
            ));
        };
        let row = self.row(&key).await?;
        if let Some(details) = self.table.details.filter(|_| path.rest == "Details") {
            let rows = self
                .details(std::slice::from_ref(&row))
                .await?
                .pop()
                .unwrap_or_default();
            let options = Options::read(self.request, details, false)?;
            let page = of_rows(rows, &options);
            return Ok(answer::page(
                self.api,
                self.request,
                (DATA, details),
                &options,
                page,
                Vec::new(),
            ));
        }
        let details = if options.expand {
            self.details(std::slice::from_ref(&row)).await?.pop()
        } else {
            None
        };
        let of = (DATA, self.table);
        Ok(answer::single(
            self.api,
            self.request,
            of,
            &options,
            row,
            details.unwrap_or_default(),
        ))
    }

    async fn page(&self, options: &Options) -> Result<Page, Problem> {
        let definitions = self.api.definitions();
        let rows = match self.table.set {
            set if set == projects::GROUPS.set => projects::groups(&definitions, &self.caller),
            set if set == projects::DETAILS.set => {
                let kept = self.api.context.store.projects().await?;
                projects::details(&definitions, &self.caller, &kept)
            }
            set if set == entities::ENTITIES.set => entities::rows(&definitions, &self.caller),
            set if set == entities::NOTIFICATIONS.set => Vec::new(),
            _ => return executions::page(self.api, &self.caller, self.table, options).await,
        };
        Ok(of_rows(rows, options))
    }

    /// The row of a key. A part of a key that names no project, execution or entity will do, where it is told by name.
    async fn row(&self, key: &[(Option<String>, String)]) -> Result<Row, Problem> {
        let key = columns(self.table, key)?;
        let options = Options {
            filter: super::filter::of_key(&key),
            top: Some(1),
            page: 1,
            ..Options::default()
        };
        let page = self.page(&options).await?;
        page.rows.into_iter().next().ok_or_else(|| missing(self.table, &key))
    }

    /// The details of each row.
    async fn details(&self, rows: &[Row]) -> Result<Vec<Vec<Row>>, Problem> {
        let id = |row: &Row| row.first().and_then(|id| id.as_str()).unwrap_or_default().to_owned();
        if self.table.set == executions::JOBS.set {
            let mut details = Vec::with_capacity(rows.len());
            for row in rows {
                details.push(executions::details_of(self.api, &id(row)).await?);
            }
            return Ok(details);
        }
        let mut by_project: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        let kept = self.api.context.store.projects().await?;
        for detail in projects::details(&self.api.definitions(), &self.caller, &kept) {
            by_project.entry(id(&detail)).or_default().push(detail);
        }
        Ok(rows
            .iter()
            .map(|row| by_project.remove(&id(row)).unwrap_or_default())
            .collect())
    }
}

/// The columns of a key with their values.
fn columns(table: &Table, key: &[(Option<String>, String)]) -> Result<Vec<(usize, String)>, Problem> {
    let column = |(name, value): &(Option<String>, String)| {
        let column = match name {
            None => Some(0),
            Some(name) => table.column(name).filter(|column| *column < table.keys),
        };
        let names = || {
            table.columns[..table.keys]
                .iter()
                .map(|column| column.name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let column = column.ok_or_else(|| unsupported(format!("the key of {} is made of {}", table.set, names())))?;
        Ok((column, value.clone()))
    };
    key.iter().map(column).collect()
}

fn missing(table: &Table, key: &[(usize, String)]) -> Problem {
    let parts = key
        .iter()
        .map(|(column, value)| format!("{} `{value}`", table.columns[*column].name));
    let detail = format!("{} has no row with {}", table.set, parts.collect::<Vec<_>>().join(", "));
    Problem::new(Failure::NotFound, detail)
}

/// `GET /metadata/…`
pub(super) async fn metadata(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let path = path_decoded(request.uri().path());
    let path = Path::read(path.get("/metadata/".len()..).unwrap_or_default());
    let path = match path.map_err(unsupported) {
        Ok(path) => path,
        Err(problem) => return respond(Err(problem)),
    };
    let table = search::SETS
        .into_iter()
        .find(|table| table.set.eq_ignore_ascii_case(&path.set));
    let Some(table) = table.filter(|_| path.rest.is_empty()) else {
        return no_such_route(request).await;
    };
    respond(searched(&api, &request, table, path.key.as_deref()).await)
}

async fn searched(
    api: &Api,
    request: &HttpRequest,
    table: &'static Table,
    key: Option<&[(Option<String>, String)]>,
) -> Result<HttpResponse, Problem> {
    let caller = caller(api, request).await?;
    let mut options = Options::read(request, table, true)?;
    let rows = search::rows(&api.definitions(), &caller, table);
    let of = (METADATA, table);
    let Some(key) = key else {
        return Ok(answer::page(
            api,
            request,
            of,
            &options,
            of_rows(rows, &options),
            Vec::new(),
        ));
    };
    let key = columns(table, key)?;
    options.filter = super::filter::of_key(&key);
    let row = of_rows(rows, &options).rows.into_iter().next();
    let row = row.ok_or_else(|| missing(table, &key))?;
    Ok(answer::single(api, request, of, &options, row, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_columns_of_the_key_only() {
        let table = &projects::GROUPS;
        let key = |name: Option<&str>| vec![(name.map(str::to_owned), "X".to_owned())];
        assert_eq!(columns(table, &key(None)).expect("a key"), [(0, "X".to_owned())]);
        assert_eq!(
            columns(table, &key(Some("operationtype"))).expect("a key"),
            [(1, "X".to_owned())]
        );
        assert!(columns(table, &key(Some("Description"))).is_err());
    }
}
