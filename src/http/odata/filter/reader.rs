//! Filters as clients write them.

use chrono::DateTime;
use serde_json::{Number, Value};

use super::{Filter, Operator, Search, Term, no_property, seconds};
use crate::http::odata::table::{Kind, Table};

/// How deep conditions may stand in one another.
const DEPTH_MAX: usize = 32;
/// How many comparisons a filter has: each stands inside the one before, and is judged and forgotten from within it.
const COMPARISONS_MAX: usize = 250;
/// How many functions stand around one another.
const FUNCTIONS_MAX: usize = 8;

/// Reads a filter.
///
/// # Errors
/// What of it is not supported, in a sentence.
pub(super) fn read(text: &str, table: &Table, functions: bool) -> Result<Filter, String> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
        comparisons: 0,
        around: 0,
        table,
        functions,
    };
    let filter = reader.either(0)?;
    match reader.next() {
        None => Ok(filter),
        Some(token) => Err(unexpected(&token)),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, left) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            ',' => (Token::Comma, &rest[1..]),
            '\'' => text_token(rest)?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "(),'".contains(c));
                let (word, left) = rest.split_at(end.unwrap_or(rest.len()));
                // `Microsoft.Dynamics.DataEntities.NoYes'Yes'` is a member of an enumeration, `guid'…'` and the like are old forms.
                if left.starts_with('\'') {
                    text_token(left)?
                } else {
                    (Token::Word(word.to_owned()), left)
                }
            }
        };
        tokens.push(token);
        rest = left.trim_start();
    }
    Ok(tokens)
}

fn text_token(text: &str) -> Result<(Token, &str), String> {
    let (text, behind) = quoted(text)?;
    Ok((Token::Text(text), behind))
}

/// A text in single quotes, two of which stand for one, and what follows it.
pub(in crate::http::odata) fn quoted(text: &str) -> Result<(String, &str), String> {
    let (mut value, mut rest) = (String::new(), &text[1..]);
    loop {
        let (piece, behind) = rest
            .split_once('\'')
            .ok_or_else(|| "a text has no closing quote; write '' for a quote in it".to_owned())?;
        value.push_str(piece);
        match behind.strip_prefix('\'') {
            Some(behind) => {
                value.push('\'');
                rest = behind;
            }
            None => return Ok((value, behind)),
        }
    }
}

fn unexpected(token: &Token) -> String {
    let shown = match token {
        Token::Word(word) => word.clone(),
        Token::Text(text) => format!("'{text}'"),
        Token::Open => "(".to_owned(),
        Token::Close => ")".to_owned(),
        Token::Comma => ",".to_owned(),
    };
    format!(
        "$filter cannot be read at `{shown}`: it is made of comparisons (eq, ne, gt, ge, lt, le) of a property with a value, joined \
         by and, or and not"
    )
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    comparisons: usize,
    around: usize,
    table: &'a Table,
    functions: bool,
}

/// A side of a comparison.
enum Side {
    Column(usize),
    Value(Value),
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes a word, if it is next.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(self.tokens.get(self.at), Some(Token::Word(next)) if next == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        match self.next() {
            Some(found) if found == *token => Ok(()),
            Some(found) => Err(unexpected(&found)),
            None => Err(incomplete()),
        }
    }

    fn either(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.both(depth)?;
        while self.takes("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both(depth)?));
        }
        Ok(filter)
    }

    fn both(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.one(depth)?;
        while self.takes("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one(depth)?));
        }
        Ok(filter)
    }

    fn one(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEPTH_MAX {
            return Err(format!(
                "$filter has more than {DEPTH_MAX} conditions inside one another"
            ));
        }
        if self.takes("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            let filter = self.either(depth + 1)?;
            self.expect(&Token::Close)?;
            return Ok(filter);
        }
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(format!("$filter has more than {COMPARISONS_MAX} comparisons"));
        }
        if let Some(search) = self.search()? {
            return Ok(search);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter, String> {
        let left = self.side()?;
        let word = match self.next() {
            Some(Token::Word(word)) => word,
            Some(token) => return Err(unexpected(&token)),
            None => return Err(incomplete()),
        };
        let operator = Operator::WORDS.iter().find(|(name, _)| *name == word);
        let operator = operator
            .ok_or_else(|| format!("$filter: `{word}` is not supported; write eq, ne, gt, ge, lt or le"))?
            .1;
        let (column, operator, value) = match (left, self.side()?) {
            (Side::Column(column), Side::Value(value)) => (column, operator, value),
            (Side::Value(value), Side::Column(column)) => (column, operator.turned(), value),
            _ => return Err("$filter compares a property with a value, not two of one sort".to_owned()),
        };
        Ok(Filter::Compare(Term(column), operator, self.fit(column, value)?))
    }

    /// `contains(tolower(Name),'text')` and its like.
    fn search(&mut self) -> Result<Option<Filter>, String> {
        let Some(Token::Word(word)) = self.tokens.get(self.at).cloned() else {
            return Ok(None);
        };
        let search = match word.as_str() {
            "contains" => Search::Contains,
            "startswith" => Search::StartsWith,
            "endswith" => Search::EndsWith,
            _ => return Ok(None),
        };
        if !self.functions {
            return Err(format!("$filter: the function `{word}` is not supported"));
        }
        self.at += 1;
        self.expect(&Token::Open)?;
        let Side::Column(column) = self.side()? else {
            return Err(format!("$filter: `{word}` searches a property"));
        };
        self.expect(&Token::Comma)?;
        let Some(Token::Text(text)) = self.next() else {
            return Err(format!("$filter: `{word}` searches for a text in quotes"));
        };
        self.expect(&Token::Close)?;
        // `contains(…) eq true`, as some write it.
        if self.takes("eq") && !self.takes("true") {
            return Err(format!("$filter: `{word}` is true or false; write it alone"));
        }
        Ok(Some(Filter::Search(search, Term(column), text.to_lowercase())))
    }

    fn side(&mut self) -> Result<Side, String> {
        let word = match self.next() {
            Some(Token::Text(text)) => return Ok(Side::Value(Value::String(text))),
            Some(Token::Word(word)) => word,
            Some(token) => return Err(unexpected(&token)),
            None => return Err(incomplete()),
        };
        if self.tokens.get(self.at) == Some(&Token::Open) {
            // Texts are compared without regard to case anyway.
            if self.functions && ["tolower", "toupper"].contains(&word.as_str()) {
                self.at += 1;
                self.around += 1;
                if self.around > FUNCTIONS_MAX {
                    return Err(format!(
                        "$filter has more than {FUNCTIONS_MAX} functions around one another"
                    ));
                }
                let inner = self.side()?;
                self.around -= 1;
                self.expect(&Token::Close)?;
                return Ok(inner);
            }
            return Err(format!("$filter: the function `{word}` is not supported"));
        }
        Ok(match word.as_str() {
            "true" => Side::Value(true.into()),
            "false" => Side::Value(false.into()),
            "null" => Side::Value(Value::Null),
            _ => match (self.table.column(&word), word.parse::<Number>()) {
                (Some(column), _) => Side::Column(column),
                (None, Ok(number)) => Side::Value(number.into()),
                (None, Err(_)) if word.starts_with(|c: char| c.is_ascii_digit()) => Side::Value(word.into()),
                (None, Err(_)) => return Err(no_property(self.table, &word)),
            },
        })
    }

    /// A value as rows of this column have it.
    fn fit(&self, column: usize, value: Value) -> Result<Value, String> {
        let column = &self.table.columns[column];
        let unfit = |what: &str| {
            Err(format!(
                "$filter: `{}` is compared with {what}, not {value}",
                column.name
            ))
        };
        Ok(match (column.kind, &value) {
            (_, Value::Null)
            | (Kind::Text | Kind::Enum(_), Value::String(_))
            | (Kind::Flag, Value::Bool(_))
            | (Kind::Int, Value::Number(_)) => value,
            (Kind::Time, Value::String(text)) => match moment(text) {
                Some(moment) => Value::String(moment),
                None => return unfit("a time such as 2026-01-31T00:00:00Z"),
            },
            (Kind::Text, _) => return unfit("a text in quotes"),
            (Kind::Enum(name), _) => return unfit(&format!("a member, Microsoft.Dynamics.DataEntities.{name}'…'")),
            (Kind::Flag, _) => return unfit("true or false"),
            (Kind::Int, _) => return unfit("a number"),
            (Kind::Time, _) => return unfit("a time"),
            (Kind::Json, _) => return Err(format!("$filter: `{}` cannot be compared", column.name)),
        })
    }
}

fn incomplete() -> String {
    "$filter ends in the middle".to_owned()
}

/// A time as rows have it.
fn moment(text: &str) -> Option<String> {
    let date = || format!("{text}T00:00:00Z");
    let moment = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&date()));
    Some(seconds(moment.ok()?.to_utc()))
}
