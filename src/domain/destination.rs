//! Destinations of exports besides the queue: where else each message of an export job goes.

use std::collections::BTreeMap;

use super::file_name::{FileName, FileNameFacts};
use super::ids::MessageId;
use super::webhook::SecretSource;

/// One `[[export.destinations]]` of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its name, unique in its job: the deliveries are told apart by it.
    pub name: String,
    /// A place for blobs, or the URL of a web service.
    pub url: String,
    /// Where that stands, `jobs/out.toml:12`; for messages.
    pub url_place: String,
    /// Where below `url`; none: under the file's own name in a place for blobs, at `url` itself of a web service.
    pub path: Option<PathTemplate>,
    /// How it is brought there.
    pub kind: DestinationKind,
}

/// How a payload is brought to a destination.
#[derive(Debug, Clone, PartialEq)]
pub enum DestinationKind {
    /// As an object of a bucket or a file of a folder.
    Blob {
        /// What to do about one that is there.
        exists: Exists,
    },
    /// By an HTTP request.
    Http(HttpTarget),
}

impl DestinationKind {
    /// The word in definitions and JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Blob { .. } => "blob",
            Self::Http(_) => "http",
        }
    }
}

/// What to do where an object is that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exists {
    /// The delivery fails, unless the object has the very bytes: then it is there already.
    Fail,
    /// It is written over.
    Replace,
}

impl Exists {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 2] = [("fail", Self::Fail), ("replace", Self::Replace)];
}

/// How a web service is called.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpTarget {
    /// Which request.
    pub method: HttpMethod,
    /// Headers of every request, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Who we are to it.
    pub auth: Auth,
}

/// Which request brings a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl HttpMethod {
    /// The words in definitions.
    pub const WORDS: [(&'static str, Self); 2] = [("POST", Self::Post), ("PUT", Self::Put)];
}

/// Who we are to a web service. The secrets themselves are in no definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    /// A user with a password (RFC 7617).
    Basic {
        /// The user.
        username: String,
        /// Where the password is.
        secret: SecretSource,
    },
    /// Whoever knows the value of a header.
    Header {
        /// Its name.
        name: String,
        /// Where the value is.
        secret: SecretSource,
    },
    /// A client with a token of its own, asked for with client credentials (RFC 6749, 4.4).
    OAuth2 {
        /// Where tokens are asked for.
        token_url: String,
        /// Where that stands, `jobs/out.toml:12`; for messages.
        token_place: String,
        /// The client.
        client_id: String,
        /// Where its secret is.
        secret: SecretSource,
        /// What the token is to be good for.
        scope: Option<String>,
    },
}

/// A template of a path: file-name templates joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<FileName>,
    /// Whether it names a folder, in which the file keeps its own name.
    is_folder: bool,
}

impl PathTemplate {
    /// Reads a template. One that ends with `/` names a folder.
    ///
    /// # Errors
    /// What is wrong with it, as a clause behind its name.
    pub fn parse(template: &str) -> Result<Self, String> {
        let (path, is_folder) = match template.strip_suffix('/') {
            Some(folder) => (folder, true),
            None => (template, false),
        };
        if path.is_empty() || path.split('/').any(str::is_empty) {
            return Err("has a part without a name; write such as orders/{due:%Y}/{due:%m}/".to_owned());
        }
        let segments = path.split('/').map(FileName::parse).collect::<Result<_, _>>()?;
        Ok(Self { segments, is_folder })
    }

    /// Whether it names the entity.
    #[must_use]
    pub fn has_entity(&self) -> bool {
        self.segments.iter().any(FileName::has_entity)
    }

    /// Whether it names the company.
    #[must_use]
    pub fn has_company(&self) -> bool {
        self.segments.iter().any(FileName::has_company)
    }

    /// The path of a file of this name. What would not fit a name in a path becomes `_`.
    #[must_use]
    pub fn render(&self, facts: FileNameFacts<'_>, file_name: &str) -> String {
        let segments = self.segments.iter().map(|segment| safe(&segment.render(facts)));
        let file = self.is_folder.then(|| safe(file_name));
        segments.chain(file).collect::<Vec<_>>().join("/")
    }
}

/// A name that is one part of a path wherever it ends up: values may have filled a template with dots only.
#[must_use]
pub fn safe(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '/' | '\\') {
                '_'
            } else {
                c
            }
        })
        .collect();
    if name.trim_matches('.').is_empty() {
        "_".to_owned()
    } else {
        name
    }
}

/// What the header `Idempotency-Key` says with every attempt of a delivery: the same, so that the receiver can tell that it has
/// the file already.
#[must_use]
pub fn idempotency_key(message: MessageId, destination: &str) -> String {
    format!("{message}.{destination}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn render(template: &str, job: &str) -> String {
        let facts = FileNameFacts {
            job,
            entity: "Orders",
            company: "usmf",
            due: Timestamp(1_767_661_200_000_000),
            time_zone: chrono_tz::Tz::UTC,
        };
        let template = PathTemplate::parse(template).expect("a template");
        template.render(facts, "own name.csv")
    }

    #[test]
    fn a_path_is_filled_part_by_part() {
        assert_eq!(
            render("out/{due:%Y}/{due:%m}/{company}.csv", "J"),
            "out/2026/01/usmf.csv"
        );
        assert_eq!(render("{entity}/", "J"), "Orders/own name.csv");
        assert_eq!(render("{job}/x", "../../etc"), ".._.._etc/x");
        assert_eq!(render("{job}/x", ".."), "_/x");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (template, words) in [
            ("", "without a name"),
            ("/etc/passwd", "without a name"),
            ("a//b", "without a name"),
            ("../x", "begins or ends"),
            ("a/{due:%Y/%m}", "brace"),
            ("a/{jbo}", "placeholder {jbo}"),
        ] {
            let flaw = PathTemplate::parse(template).expect_err(template);
            assert!(flaw.contains(words), "{template}: {flaw}");
        }
    }
}
