//! The query options of a read (OD-3, OD-6).

use actix_web::HttpRequest;

use super::filter::{Filter, no_property};
use super::table::{Kind, Table};
use crate::http::problem::Problem;
use crate::http::query::Query;

/// Most rows of one answer (OD-6).
pub(super) const PAGE_ROWS_MAX: usize = 10_000;

/// What a client wants of a set's rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options {
    pub filter: Option<Filter>,
    /// Columns; empty: all.
    pub select: Vec<usize>,
    /// Columns, each from its greatest value on or not.
    pub order: Vec<(usize, bool)>,
    pub top: Option<usize>,
    pub skip: usize,
    pub count: bool,
    pub expand: bool,
    /// Where an earlier answer ended.
    pub token: Option<String>,
    /// Most rows of this answer.
    pub page: usize,
}

/// A request that asks for what is not supported.
pub(super) fn unsupported(detail: impl Into<String>) -> Problem {
    Problem::bad("odata_option", detail)
}

impl Options {
    /// Reads a request's options. `functions`: whether its filter may have some.
    ///
    /// # Errors
    /// 400 `odata_option` that says which is not supported.
    pub(super) fn read(request: &HttpRequest, table: &Table, functions: bool) -> Result<Self, Problem> {
        let query = Query::of(request);
        let mut options = Self {
            page: page(request),
            ..Self::default()
        };
        for (name, value) in query.pairs() {
            let value = value.trim();
            match name {
                "$filter" => options.filter = Some(Filter::read(value, table, functions).map_err(unsupported)?),
                "$select" => options.select = columns(table, name, value)?,
                "$orderby" => options.order = order(table, value)?,
                "$top" => options.top = Some(number(name, value)?),
                "$skip" => options.skip = number(name, value)?,
                "$skiptoken" => options.token = Some(value.to_owned()),
                "$count" => options.count = truth(name, value)?,
                "$expand" if table.details.is_some() && value == "Details" => options.expand = true,
                "$expand" => {
                    let what = if table.details.is_some() {
                        "Details alone"
                    } else {
                        "nothing"
                    };
                    let detail = format!("$expand is `{value}`, but of {} {what} can be expanded", table.set);
                    return Err(unsupported(detail));
                }
                "$format" if value == "json" || value.starts_with("application/json") => {}
                "$format" => return Err(unsupported(format!("$format is `{value}`, but answers are JSON"))),
                other if other.starts_with('$') => {
                    let detail = format!("the query option {other} is not supported");
                    return Err(unsupported(detail));
                }
                // `cross-company` and what proxies add.
                _ => {}
            }
        }
        Ok(options)
    }
}

/// `Prefer: odata.maxpagesize=` lowers it.
fn page(request: &HttpRequest) -> usize {
    let prefers = request
        .headers()
        .get_all("prefer")
        .filter_map(|value| value.to_str().ok());
    let wanted = prefers
        .flat_map(|value| value.split([',', ';']))
        .find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            let is_it = ["odata.maxpagesize", "maxpagesize"].contains(&name.trim().to_lowercase().as_str());
            is_it
                .then(|| value.trim().trim_matches('"').parse::<usize>().ok())
                .flatten()
        });
    wanted
        .filter(|wanted| *wanted > 0)
        .map_or(PAGE_ROWS_MAX, |wanted| wanted.min(PAGE_ROWS_MAX))
}

fn number(name: &str, value: &str) -> Result<usize, Problem> {
    value
        .parse()
        .map_err(|_| unsupported(format!("{name} is `{value}`; write a whole number from 0")))
}

fn truth(name: &str, value: &str) -> Result<bool, Problem> {
    match value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unsupported(format!("{name} is `{value}`; write true or false"))),
    }
}

fn columns(table: &Table, option: &str, value: &str) -> Result<Vec<usize>, Problem> {
    let names = value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "*");
    let column = |name| {
        let column = table.column(name);
        column.ok_or_else(|| unsupported(format!("{option}: {}", no_property(table, name))))
    };
    names.map(column).collect()
}

fn order(table: &Table, value: &str) -> Result<Vec<(usize, bool)>, Problem> {
    let part = |part: &str| {
        let mut words = part.split_whitespace();
        let column = columns(table, "$orderby", words.next().unwrap_or_default())?;
        let descends = match (words.next(), words.next()) {
            (None | Some("asc"), None) => false,
            (Some("desc"), None) => true,
            _ => {
                return Err(unsupported(format!(
                    "$orderby is `{part}`; write a property, and asc or desc behind it"
                )));
            }
        };
        let column = column.first().copied();
        let sorted = column.filter(|column| table.columns[*column].kind != Kind::Json);
        let column =
            sorted.ok_or_else(|| unsupported(format!("$orderby is `{part}`, by which nothing can be ordered")))?;
        Ok((column, descends))
    };
    value.split(',').map(part).collect()
}
