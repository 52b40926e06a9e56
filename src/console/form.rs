//! Forms as browsers send them.

use actix_web::web;
use url::form_urlencoded;

use crate::http::problem::{Kind, Problem};

/// The member of every form that says it is a page of the session that sends it.
pub(super) const TOKEN: &str = "form_token";

/// A form that was sent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads it.
    ///
    /// # Errors
    /// 413 for one that is too long.
    pub fn read(body: Result<web::Bytes, actix_web::Error>) -> Result<Self, Problem> {
        let body = body.map_err(|error| Problem::new(Kind::TooLarge, format!("the form cannot be read: {error}")))?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// The value of a member; an empty one counts as left out.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All members as they were sent, empty ones too.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same, to be kept.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}
