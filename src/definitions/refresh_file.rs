//! Which records an export writes: `refresh` and what belongs to it in `[[export.entities]]`.

use super::read::{Placed, Table};
use crate::domain::export::Refresh;

/// The most that `lag` may be: a year of seconds.
const LAG_MAX: u32 = 366 * 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Tracked,
    Column,
    Query,
}

const METHODS: [(&str, Method); 3] = [
    ("tracked", Method::Tracked),
    ("column", Method::Column),
    ("query", Method::Query),
];

/// Reads them. With the place of what they say beside `full`.
pub(super) fn read(table: &Table<'_>) -> Placed<Refresh> {
    let choice = table.choice("refresh", &[("full", false), ("incremental", true)]);
    let method = table.choice("method", &METHODS);
    let deletes = table.choice("deletes", &[("column", true), ("leave_out", false)]);
    let (column, lag) = (table.text("column"), table.number("lag", 0..=LAG_MAX));
    let query = table.text("query");
    let span = choice
        .as_ref()
        .map_or_else(|| table.span().clone(), |choice| choice.span.clone());
    let full = Placed {
        value: Refresh::Full,
        span: span.clone(),
    };
    if !choice.is_some_and(|choice| choice.value) {
        let needless = [
            ("method", method.as_ref().map(|given| &given.span)),
            ("deletes", deletes.as_ref().map(|given| &given.span)),
            ("column", column.as_ref().map(|given| &given.span)),
            ("lag", lag.as_ref().map(|given| &given.span)),
            ("query", query.as_ref().map(|given| &given.span)),
        ];
        for (key, span) in needless.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("`{key}` means nothing without `refresh = \"incremental\"`");
            table.findings().at(span, message);
        }
        return full;
    }
    let method = method.map_or(Method::Tracked, |method| method.value);
    let foreign = [
        (
            "deletes",
            Method::Tracked,
            "tracked",
            deletes.as_ref().map(|given| &given.span),
        ),
        (
            "column",
            Method::Column,
            "column",
            column.as_ref().map(|given| &given.span),
        ),
        ("lag", Method::Column, "column", lag.as_ref().map(|given| &given.span)),
        ("query", Method::Query, "query", query.as_ref().map(|given| &given.span)),
    ];
    for (key, of, word, span) in foreign {
        if let Some(span) = span.filter(|_| of != method) {
            table
                .findings()
                .at(span, format!("`{key}` means nothing without `method = \"{word}\"`"));
        }
    }
    let value = match (method, column, query) {
        (Method::Tracked, ..) => Refresh::Tracked {
            tells_deleted: deletes.is_none_or(|deletes| deletes.value),
        },
        (Method::Column, Some(column), _) => Refresh::Column {
            field: column.value,
            lag: lag.map_or(0, |lag| lag.value),
        },
        (Method::Query, _, Some(query)) => read_query(table, &query),
        (Method::Column, None, _) => {
            let message = "`method = \"column\"` needs a `column`: the field that grows with every change";
            table.findings().at(&span, message);
            Refresh::Full
        }
        (Method::Query, _, None) => {
            let message =
                "`method = \"query\"` needs a `query`: a select that finds what changed from `:since` up to `:until`";
            table.findings().at(&span, message);
            Refresh::Full
        }
    };
    Placed { value, span }
}

fn read_query(table: &Table<'_>, query: &Placed<String>) -> Refresh {
    let flaw = if query.value.contains(['\0', ';']) {
        Some("is one select; it may not hold `;`")
    } else if !query.value.contains(":since") {
        Some("does not name `:since`, so each run would export everything it finds")
    } else {
        None
    };
    if let Some(flaw) = flaw {
        table.findings().at(&query.span, format!("`query` {flaw}"));
    }
    Refresh::Query {
        sql: query.value.clone(),
    }
}
