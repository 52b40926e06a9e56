//! The CHECK constraints of a table, as expressions over its columns.

use super::catalogue::catalogue_name;
use super::dialect::Dialect;
use super::session::{Fault, Session, Value};

/// All of a table's.
pub(super) async fn of(session: &mut Session, table: &str) -> Result<Vec<String>, Fault> {
    let dialect = session.dialect;
    let sql = match dialect {
        Dialect::Postgres => {
            "select pg_get_expr(conbin, conrelid) from pg_constraint \
             where conrelid = to_regclass($1) and contype = 'c' order by oid"
        }
        // SQLite keeps no list of them, only the words the table was made with.
        Dialect::Sqlite => "select sql from sqlite_schema where type = 'table' and name = $1 collate nocase",
    };
    let rows = session
        .rows(sql, vec![Value::Text(catalogue_name(dialect, table))])
        .await?;
    let mut texts = Vec::with_capacity(rows.len());
    for row in &rows {
        texts.push(row.text(0)?);
    }
    Ok(match dialect {
        Dialect::Postgres => texts,
        Dialect::Sqlite => texts.iter().flat_map(|sql| in_definition(sql)).collect(),
    })
}

/// The expressions of `check (…)` in a table's definition: what stands between the word's own brackets.
fn in_definition(sql: &str) -> Vec<String> {
    let mut checks = Vec::new();
    let mut rest = sql;
    while let Some((token, after)) = token(rest) {
        rest = after;
        if token.eq_ignore_ascii_case("check")
            && let Some((inside, after)) = bracketed(rest)
        {
            checks.push(inside.to_owned());
            rest = after;
        }
    }
    checks
}

/// What stands between the bracket that comes next and the one that closes it, and what follows.
fn bracketed(sql: &str) -> Option<(&str, &str)> {
    let (mut rest, mut depth, mut begin) = (sql, 0_usize, 0);
    while let Some((token, after)) = token(rest) {
        let at = sql.len() - after.len();
        match token {
            "(" if depth == 0 => (depth, begin) = (1, at),
            "(" => depth += 1,
            ")" if depth == 1 => return Some((&sql[begin..at - 1], after)),
            ")" => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
        rest = after;
    }
    None
}

/// The next word, quoted text or sign, and what follows it; blanks and comments are passed over.
fn token(sql: &str) -> Option<(&str, &str)> {
    let sql = after_comments(sql);
    let first = sql.chars().next()?;
    let length = match first {
        '\'' | '"' | '`' => quoted(sql, first),
        '[' => sql.find(']').map_or(sql.len(), |end| end + 1),
        _ if is_word(first) => sql.find(|c| !is_word(c)).unwrap_or(sql.len()),
        _ => first.len_utf8(),
    };
    Some(sql.split_at(length))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

fn after_comments(sql: &str) -> &str {
    let mut sql = sql.trim_start();
    loop {
        let comment = if sql.starts_with("--") {
            sql.split_once('\n')
        } else if sql.starts_with("/*") {
            sql.split_once("*/")
        } else {
            return sql;
        };
        sql = comment.map_or("", |(_, after)| after).trim_start();
    }
}

/// How long a quoted text is, its quotes included; a doubled one inside stands for itself.
fn quoted(sql: &str, quote: char) -> usize {
    let mut signs = sql.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign == quote && signs.next_if(|(_, next)| *next == quote).is_none() {
            return at + quote.len_utf8();
        }
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::in_definition;

    #[test]
    fn the_checks_of_a_definition_are_found_among_everything_else() {
        let sql = "create table \"check (\" (\n\
            a integer check (a > 0), -- check (never)\n\
            [check] text default 'check (x)' CHECK(length([check]) <= (3 + 1)) not null,\n\
            b text /* check (nor this) */ constraint named check ( b <> ')' and b <> 'it''s (' ),\n\
            \"checks\" int, `check` int default (abs(-1)),\n\
            check (a < b\n))";
        assert_eq!(
            in_definition(sql),
            [
                "a > 0",
                "length([check]) <= (3 + 1)",
                " b <> ')' and b <> 'it''s (' ",
                "a < b\n"
            ]
        );
    }

    #[test]
    fn a_definition_that_breaks_off_has_no_more_checks() {
        for sql in [
            "",
            "check",
            "check (",
            "check (a",
            "check 'a",
            "create /*",
            "check ((a)",
            "check b (c)",
        ] {
            assert_eq!(in_definition(sql), Vec::<String>::new(), "{sql}");
        }
    }
}
