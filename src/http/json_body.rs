//! JSON bodies of the wire contract, which clients do not all write the same way.

use actix_web::web;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::problem::{Kind, Problem};

/// Reads a JSON object as clients send it (GEN-7): whatever the content type says; an empty body is an object without members;
/// quotes may be single ones.
///
/// # Errors
/// 413 past `max_bytes`; 400 when the body breaks off, is not JSON or no object.
pub(super) async fn json_object(mut body: web::Payload, max_bytes: usize) -> Result<Value, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| Problem::bad("transfer_interrupted", format!("the body broke off: {e}")))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max_bytes {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("the body is larger than {max_bytes} bytes"),
            ));
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(json!({}));
    }
    let value: Value = serde_json::from_str(text)
        .or_else(|error| serde_json::from_str(&double_quoted(text)).map_err(|_| error))
        .map_err(|error| Problem::bad("invalid_json", format!("the body is not JSON: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        let detail = "the body is JSON but no object; send { } around what it holds, or no body at all";
        Err(Problem::bad("invalid_json", detail))
    }
}

/// The member with this name, in any case.
pub(super) fn member<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    let members = body.as_object()?;
    members
        .iter()
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
}

/// Turns single-quoted JSON into JSON: outside double quotes, `'` delimits and `"` inside it is escaped.
fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut open: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (Some(_), '\\') => {
                let escaped = characters.next();
                if escaped != Some('\'') {
                    out.push('\\');
                }
                out.extend(escaped);
            }
            (None, '\'' | '"') => {
                open = Some(character);
                out.push('"');
            }
            (Some(quote), c) if c == quote => {
                open = None;
                out.push('"');
            }
            (Some('\''), '"') => out.push_str("\\\""),
            (_, c) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::double_quoted;

    #[test]
    fn single_quoted_json_becomes_json() {
        for (sent, want) in [
            ("{'messageId':'x'}", r#"{"messageId":"x"}"#),
            (r#"{'a':'say "hi"'}"#, r#"{"a":"say \"hi\""}"#),
            (r#"{"a":"it's"}"#, r#"{"a":"it's"}"#),
            (r"{'a':'it\'s'}", r#"{"a":"it's"}"#),
        ] {
            assert_eq!(double_quoted(sent), want);
            assert!(serde_json::from_str::<serde_json::Value>(want).is_ok());
        }
    }
}
