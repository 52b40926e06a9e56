//! Small request bodies: bounded JSON, numbers within limits.

use actix_web::web;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::problem::{Kind, Problem};

/// Reads a JSON body; `None` when it is empty.
///
/// # Errors
/// 413 past `bytes_max`, 400 with line and column for what is not the JSON wanted.
pub async fn read_json<T: DeserializeOwned>(body: web::Payload, bytes_max: usize) -> Result<Option<T>, Problem> {
    parse(&read(body, bytes_max).await?)
}

/// Reads a body.
///
/// # Errors
/// 413 past `bytes_max`, 400 when it breaks off.
pub async fn read(mut body: web::Payload, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| Problem::bad("transfer_interrupted", format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The refusal of a body over its limit.
#[must_use]
pub fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {bytes_max} bytes"))
}

/// Understands a JSON body; `None` when it is empty.
///
/// # Errors
/// 400 with line and column for what is not the JSON wanted.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(bytes)
        .map(Some)
        .map_err(|error| Problem::bad("invalid_json", format!("the body is not the JSON this takes: {error}")))
}

/// A number within limits, or its default.
///
/// # Errors
/// 400 naming the member and its limits.
pub fn within(name: &str, given: Option<u32>, default: u32, least: u32, most: u32) -> Result<u32, Problem> {
    let value = given.unwrap_or(default);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        let detail = format!("{name} is {value}; it is a number from {least} to {most}");
        Err(Problem::bad("invalid_number", detail))
    }
}
