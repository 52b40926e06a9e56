//! What the blob host under `/dmf/` names and promises: where a blob lies, which version of it is meant, and on what conditions
//! a request is carried out (PKG-6).

use super::ids::{BlobKey, CorrelationId};
use super::time::Timestamp;

/// The container uploads go to.
pub const PACKAGES: &str = "packages";

/// What the container of an exported package begins with.
const EXPORT: &str = "export-";
const ZIP: &str = ".zip";

/// Longest part of a blob's name that a client chose, in characters.
const CHOSEN_CHARS_MAX: usize = 100;
/// Longest path of a blob.
const PATH_BYTES_MAX: usize = 200;

/// Where a blob lies below `/dmf/`: `container/name`. Two segments, because clients of Azure storage take the one before them for
/// the account; neither holds a character that clients would escape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobPath(String);

impl BlobPath {
    /// A path nobody has used, and the id in it. What the client calls the blob follows the id, as far as a path can hold it: the
    /// same name may come again and again (PKG-2).
    #[must_use]
    pub fn generate(chosen: &str) -> (CorrelationId, Self) {
        let id = CorrelationId::generate();
        let kept = plain(chosen);
        let separator = if kept.is_empty() { "" } else { "-" };
        (id, Self(format!("{PACKAGES}/{id}{separator}{kept}")))
    }

    /// A path for an exported package, which nobody has used: the package is called as it was asked for, as far as a path can hold
    /// it, in a container of its own.
    #[must_use]
    pub fn of_export(base_name: &str) -> Self {
        let kept = plain(base_name);
        let name = if kept.is_empty() { "package" } else { &kept };
        Self(format!("{EXPORT}{}/{name}{ZIP}", CorrelationId::generate()))
    }

    /// Whether it is of an exported package.
    #[must_use]
    pub fn is_export(&self) -> bool {
        self.0.starts_with(EXPORT)
    }

    /// Reads `container/name`; nothing that no blob can be called.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (container, name) = text.split_once('/')?;
        let fits = |part: &str| !part.is_empty() && part.chars().all(is_plain) && part.chars().any(|c| c != '.');
        (text.len() <= PATH_BYTES_MAX && fits(container) && fits(name)).then(|| Self(text.to_owned()))
    }

    /// `container/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BlobPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// As much of a name that somebody chose as a path can hold.
fn plain(chosen: &str) -> String {
    let kept = chosen.chars().take(CHOSEN_CHARS_MAX);
    let kept: String = kept.map(|c| if is_plain(c) { c } else { '-' }).collect();
    kept.trim_matches(|c| c == '-' || c == '.').to_owned()
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Which content of a blob: it has another tag whenever it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As `ETag` has it, quotes included.
    pub tag: String,
    /// When it was written.
    pub written_at: Timestamp,
}

impl Version {
    /// The version that lies under this key: no key is used twice.
    #[must_use]
    pub fn of(key: &BlobKey, written_at: Timestamp) -> Self {
        let id = key.0.rsplit('/').next().unwrap_or_default();
        let short: String = id.chars().take(16).collect();
        Self {
            tag: format!("\"0x{}\"", short.to_uppercase()),
            written_at,
        }
    }
}

/// The tags of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`
    Any,
    /// Any of these.
    These(Vec<String>),
}

impl Tags {
    /// Reads a header's value. Quotes may be missing, and a weak tag counts as the strong one: there are no others here.
    #[must_use]
    pub fn read(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        Self::These(text.split(',').map(bare).collect())
    }

    fn name(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag == version.tag.trim_matches('"')),
        }
    }
}

/// On what conditions a request is carried out. Without any it always is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`
    pub if_match: Option<Tags>,
    /// `If-None-Match`
    pub if_none_match: Option<Tags>,
    /// `If-Modified-Since`
    pub modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`
    pub unmodified_since: Option<Timestamp>,
    /// The link allows to create the blob, not to write it anew.
    pub create_only: bool,
}

/// Why a request is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// A condition does not hold.
    Condition,
    /// `If-None-Match: *`, and there is one.
    Exists,
    /// What the client has is what there is.
    NotModified,
    /// The link does not allow to write over it.
    Overwrite,
}

impl Conditions {
    /// Whether the blob may be read.
    ///
    /// # Errors
    /// [`Unmet`].
    pub fn check_read(&self, current: &Version) -> Result<(), Unmet> {
        self.check_holds(Some(current))?;
        let known = self.if_none_match.as_ref().is_some_and(|tags| tags.name(current));
        // A tag says it better than a time (RFC 9110, 13.2.2).
        let older = self.if_none_match.is_none() && self.modified_since.is_some_and(|since| !is_after(current, since));
        if known || older {
            return Err(Unmet::NotModified);
        }
        Ok(())
    }

    /// Whether the blob may be written or deleted; `None`: there is none yet.
    ///
    /// # Errors
    /// [`Unmet`].
    pub fn check_write(&self, current: Option<&Version>) -> Result<(), Unmet> {
        self.check_holds(current)?;
        let Some(current) = current else { return Ok(()) };
        match &self.if_none_match {
            Some(Tags::Any) => return Err(Unmet::Exists),
            Some(tags) if tags.name(current) => return Err(Unmet::Condition),
            _ => {}
        }
        if self.modified_since.is_some_and(|since| !is_after(current, since)) {
            return Err(Unmet::Condition);
        }
        if self.create_only {
            return Err(Unmet::Overwrite);
        }
        Ok(())
    }

    /// `If-Match` and `If-Unmodified-Since`, which mean the same for every method.
    fn check_holds(&self, current: Option<&Version>) -> Result<(), Unmet> {
        if let Some(tags) = &self.if_match
            && !current.is_some_and(|version| tags.name(version))
        {
            return Err(Unmet::Condition);
        }
        let changed = |since| current.is_some_and(|version| is_after(version, since));
        if self.if_match.is_none() && self.unmodified_since.is_some_and(changed) {
            return Err(Unmet::Condition);
        }
        Ok(())
    }
}

/// HTTP's times are whole seconds.
fn is_after(version: &Version, since: Timestamp) -> bool {
    version.written_at.micros().div_euclid(1_000_000) > since.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_client_calls_its_blob_the_path_has_two_plain_segments_and_is_new() {
        for chosen in [
            "",
            "package.zip",
            "00000000-0000-0000-0000-000000000000",
            "../../etc/passwd",
            "..",
            "a/b\\c?d#e%2f",
            "Größe\u{0}\u{202e}.zip",
            &"x".repeat(10_000),
        ] {
            let (id, path) = BlobPath::generate(chosen);
            assert_eq!(BlobPath::read(path.as_str()), Some(path.clone()), "{chosen}");
            assert!(path.as_str().starts_with(&format!("packages/{id}")), "{path}");
            assert_ne!(BlobPath::generate(chosen).1, path);
        }
        let (id, path) = BlobPath::generate("../Daten Mai.zip");
        assert_eq!(path.as_str(), format!("packages/{id}-Daten-Mai.zip"));
    }

    #[test]
    fn an_exported_package_is_called_as_asked_in_a_container_of_its_own() {
        for (asked, name) in [
            ("Orders", "Orders.zip"),
            ("Größe May/../x", "Gr--e-May-..-x.zip"),
            ("..", "package.zip"),
            (&"x".repeat(500), &format!("{}.zip", "x".repeat(CHOSEN_CHARS_MAX))),
        ] {
            let path = BlobPath::of_export(asked);
            assert_eq!(BlobPath::read(path.as_str()), Some(path.clone()), "{asked}");
            assert!(
                path.is_export() && path.as_str().ends_with(&format!("/{name}")),
                "{path}"
            );
            assert_ne!(BlobPath::of_export(asked), path);
        }
        assert!(!BlobPath::generate("export-x").1.is_export());
    }

    #[test]
    fn what_no_blob_is_called_is_no_path() {
        let long = format!("packages/{}", "x".repeat(PATH_BYTES_MAX));
        for text in [
            "",
            "x",
            "/x",
            "x/",
            "a/b/c",
            "../x",
            "x/..",
            "a/b c",
            "a/ü",
            "a/\0",
            long.as_str(),
        ] {
            assert_eq!(BlobPath::read(text), None, "{text}");
        }
    }

    fn version(seconds: i64) -> Version {
        Version::of(
            &BlobKey("payloads/ab/abcdef0123456789ffff".into()),
            Timestamp(seconds * 1_000_000 + 5),
        )
    }

    #[test]
    fn a_tag_has_quotes_and_is_known_without_them() {
        let version = version(0);
        assert_eq!(version.tag, "\"0xABCDEF0123456789\"");
        for sent in [
            "\"0xABCDEF0123456789\"",
            "0xABCDEF0123456789",
            "W/\"0xABCDEF0123456789\"",
            "\"a\", \"0xABCDEF0123456789\"",
            "*",
        ] {
            assert!(Tags::read(sent).name(&version), "{sent}");
        }
        assert!(!Tags::read("\"0xabcdef0123456789\"").name(&version));
    }

    #[test]
    fn conditions_are_judged_as_azure_does() {
        let (at, now) = (Timestamp(100_000_000), version(100));
        let of = |change: fn(&mut Conditions)| {
            let mut conditions = Conditions::default();
            change(&mut conditions);
            conditions
        };
        let any_match = of(|c| c.if_match = Some(Tags::Any));
        assert_eq!(any_match.check_write(None), Err(Unmet::Condition));
        assert_eq!(any_match.check_write(Some(&now)), Ok(()));
        let new_only = of(|c| c.if_none_match = Some(Tags::Any));
        assert_eq!(new_only.check_write(None), Ok(()));
        assert_eq!(new_only.check_write(Some(&now)), Err(Unmet::Exists));
        assert_eq!(new_only.check_read(&now), Err(Unmet::NotModified));
        let another = of(|c| c.if_none_match = Some(Tags::read("0xABCDEF0123456789")));
        assert_eq!(another.check_write(Some(&now)), Err(Unmet::Condition));
        let create = of(|c| c.create_only = true);
        assert_eq!(create.check_write(None), Ok(()));
        assert_eq!(create.check_write(Some(&now)), Err(Unmet::Overwrite));
        let since = Conditions {
            modified_since: Some(at),
            ..Conditions::default()
        };
        assert_eq!(since.check_read(&now), Err(Unmet::NotModified));
        assert_eq!(since.check_write(Some(&now)), Err(Unmet::Condition));
        assert_eq!(since.check_read(&version(101)), Ok(()));
        let until = Conditions {
            unmodified_since: Some(at),
            ..Conditions::default()
        };
        assert_eq!(until.check_read(&now), Ok(()));
        assert_eq!(until.check_write(Some(&version(101))), Err(Unmet::Condition));
    }
}
