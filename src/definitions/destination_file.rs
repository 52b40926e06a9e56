//! `[[export.destinations]]` of a job file.

use std::collections::BTreeMap;

use super::read::{Placed, Table};
use super::secret_file::read_secret;
use crate::domain::destination::{Auth, Destination, DestinationKind, Exists, HttpMethod, HttpTarget, PathTemplate};

/// Longest name.
const NAME_CHARS_MAX: usize = 64;
/// Headers that a delivery sets itself, or that say how its bytes travel.
const OWN_HEADERS: [&str; 8] = [
    "authorization",
    "connection",
    "content-digest",
    "content-length",
    "host",
    "idempotency-key",
    "proxy-authorization",
    "transfer-encoding",
];

/// A destination with the places later checks need.
pub(super) struct DestinationPlaces {
    pub destination: Destination,
    pub path: Option<Placed<PathTemplate>>,
}

/// Reads all `[[export.destinations]]` of an `[export]` section. What has mistakes is left out; they are among the findings.
pub(super) fn read_all(section: &Table<'_>) -> Vec<DestinationPlaces> {
    let mut names: Vec<String> = Vec::new();
    let mut destinations = Vec::new();
    for table in section.tables("destinations", "[[export.destinations]]") {
        let name = read_name(&table);
        if let Some(name) = &name {
            if names.contains(&name.value) {
                let message = format!(
                    "two destinations are called `{}`; deliveries are told apart by it",
                    name.value
                );
                table.findings().at(&name.span, message);
            }
            names.push(name.value.clone());
        }
        destinations.extend(read(table, name));
    }
    destinations
}

fn read(table: Table<'_>, name: Option<Placed<String>>) -> Option<DestinationPlaces> {
    table.require("kind");
    let kind = table.choice("kind", &[("blob", false), ("http", true)]);
    let url = table.required_text("url");
    let path = read_path(&table);
    let kind = kind.and_then(|kind| {
        if kind.value {
            read_http(&table).map(DestinationKind::Http)
        } else {
            let exists = table.choice("exists", &Exists::WORDS);
            Some(DestinationKind::Blob {
                exists: exists.map_or(Exists::Fail, |exists| exists.value),
            })
        }
    });
    let has_kind = kind.is_some() || table.has("kind");
    let url = url.and_then(|url| check_url(&table, url, kind.as_ref()));
    let findings = table.findings();
    let place = |span: &std::ops::Range<usize>| findings.place(span);
    // Which keys there are depends on the kind: without one, none is unknown.
    if has_kind {
        table.finish();
    }
    Some(DestinationPlaces {
        destination: Destination {
            name: name?.value,
            url_place: url.as_ref().map(|url| place(&url.span))?,
            url: url?.value,
            path: path.as_ref().map(|path| path.value.clone()),
            kind: kind?,
        },
        path,
    })
}

/// The name goes into a header and into URLs of the API.
fn read_name(table: &Table<'_>) -> Option<Placed<String>> {
    let name = table.required_text("name")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.value.len() > NAME_CHARS_MAX || !name.value.chars().all(fits) {
        let message = format!(
            "a destination's `name` has at most {NAME_CHARS_MAX} letters of ASCII, digits, `-` and `_`, not `{}`",
            name.value
        );
        table.findings().at(&name.span, message);
        return None;
    }
    Some(name)
}

fn read_path(table: &Table<'_>) -> Option<Placed<PathTemplate>> {
    let template = table.text("path")?;
    match PathTemplate::parse(&template.value) {
        Ok(path) => Some(template.with(path)),
        Err(flaw) => {
            table.findings().at(&template.span, format!("`path` {flaw}"));
            None
        }
    }
}

fn check_url(table: &Table<'_>, url: Placed<String>, kind: Option<&DestinationKind>) -> Option<Placed<String>> {
    let flaw = match kind? {
        DestinationKind::Blob { .. } => blob_flaw(&url.value),
        DestinationKind::Http(_) => http_flaw(&url.value),
    };
    match flaw {
        None => Some(url),
        Some(flaw) => {
            table.findings().at(&url.span, format!("`url` {flaw}"));
            None
        }
    }
}

fn blob_flaw(url: &str) -> Option<String> {
    const WANTED: &str = "write file://FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX";
    let schemes = ["file://", "s3://", "az://", "gs://"];
    let Some(place) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return Some(format!("is not a place for blobs; {WANTED}"));
    };
    if url.starts_with("file://") {
        return place.is_empty().then(|| format!("names no folder; {WANTED}"));
    }
    let bucket = place.split('/').next().unwrap_or_default();
    if bucket.contains('@') {
        return Some("holds credentials; they belong in the environment variables of the cloud store".to_owned());
    }
    bucket.is_empty().then(|| format!("names no bucket; {WANTED}"))
}

fn http_flaw(text: &str) -> Option<String> {
    match url::Url::parse(text.trim()) {
        Err(error) => Some(format!("is not a URL: {error}")),
        Ok(url) if !matches!(url.scheme(), "https" | "http") => {
            Some("begins with neither https:// nor http://".to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Some(
            "holds a user name or password; say who you are in an `auth` table, and where the secret is".to_owned(),
        ),
        Ok(_) => None,
    }
}

fn read_http(table: &Table<'_>) -> Option<HttpTarget> {
    let method = table.choice("method", &HttpMethod::WORDS);
    let headers = read_headers(table);
    let auth = match table.table("auth", "[export.destinations.auth]") {
        Some(auth) => read_auth(auth),
        None => (!table.has("auth")).then_some(Auth::None),
    };
    Some(HttpTarget {
        method: method.map_or(HttpMethod::Post, |method| method.value),
        headers: headers?,
        auth: auth?,
    })
}

fn read_headers(table: &Table<'_>) -> Option<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    let mut is_right = true;
    for (name, value) in table.free_texts("headers") {
        let lower = name.to_ascii_lowercase();
        let flaw = if OWN_HEADERS.contains(&lower.as_str()) {
            Some("is set by every delivery itself; who you are is said in an `auth` table")
        } else if !is_header_name(&name) {
            Some("is no name of a header")
        } else if value.value.chars().any(|c| c.is_control() || !c.is_ascii()) {
            Some("has a value that is not plain ASCII")
        } else {
            None
        };
        if let Some(flaw) = flaw {
            table
                .findings()
                .at(&value.span, format!("`{name}` in `headers` {flaw}"));
            is_right = false;
        }
        headers.insert(lower, value.value);
    }
    is_right.then_some(headers)
}

/// A token of RFC 9110.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[derive(Clone, Copy)]
enum AuthKind {
    None,
    Basic,
    Header,
    OAuth2,
}

fn read_auth(table: Table<'_>) -> Option<Auth> {
    const NAME: &str = "[export.destinations.auth]";
    table.require("kind");
    let kinds = [
        ("none", AuthKind::None),
        ("basic", AuthKind::Basic),
        ("header", AuthKind::Header),
        ("oauth2", AuthKind::OAuth2),
    ];
    let auth = match table.choice("kind", &kinds)?.value {
        AuthKind::None => Some(Auth::None),
        AuthKind::Basic => {
            let (username, secret) = (table.required_text("username"), read_secret(&table, NAME));
            username.zip(secret).map(|(username, secret)| Auth::Basic {
                username: username.value,
                secret,
            })
        }
        AuthKind::Header => {
            let (name, secret) = (read_header_name(&table), read_secret(&table, NAME));
            name.zip(secret).map(|(name, secret)| Auth::Header { name, secret })
        }
        AuthKind::OAuth2 => read_oauth2(&table, NAME),
    };
    table.finish();
    auth
}

fn read_header_name(table: &Table<'_>) -> Option<String> {
    let name = table.required_text("header")?;
    if is_header_name(&name.value) {
        return Some(name.value);
    }
    let message = format!("`header` is `{}`, which is no name of a header", name.value);
    table.findings().at(&name.span, message);
    None
}

fn read_oauth2(table: &Table<'_>, name: &str) -> Option<Auth> {
    let token_url = table
        .required_text("token_url")
        .and_then(|url| match http_flaw(&url.value) {
            None => Some(url),
            Some(flaw) => {
                table.findings().at(&url.span, format!("`token_url` {flaw}"));
                None
            }
        });
    let client_id = table.required_text("client_id");
    let (secret, scope) = (read_secret(table, name), table.text("scope"));
    let token_url = token_url?;
    Some(Auth::OAuth2 {
        token_place: table.findings().place(&token_url.span),
        token_url: token_url.value,
        client_id: client_id?.value,
        secret: secret?,
        scope: scope.map(|scope| scope.value),
    })
}
