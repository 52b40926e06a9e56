//! What the URLs in the settings must look like, and how they are shown without their secrets.

use std::path::{Path, PathBuf};

use url::Url;

/// A URL fit for messages and logs: passwords, keys and tokens in it are `***`.
#[must_use]
pub fn redacted(url: &str) -> String {
    if url.starts_with("sqlite:") || url.starts_with("file:") {
        return url.to_owned();
    }
    let Some(mut parsed) = Url::parse(url).ok().filter(Url::has_host) else {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        return if scheme.is_empty() {
            "***".to_owned()
        } else {
            format!("{scheme}://***")
        };
    };
    if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
        return format!("{}://***", parsed.scheme());
    }
    if parsed.query().is_some() {
        let pairs = parsed.query_pairs().into_owned().collect::<Vec<_>>();
        let mut query = parsed.query_pairs_mut();
        query.clear();
        for (key, value) in &pairs {
            let lower = key.to_lowercase();
            let secret = ["pass", "secret", "key", "token", "sig"]
                .iter()
                .any(|word| lower.contains(word));
            query.append_pair(key, if secret { "***" } else { value });
        }
    }
    String::from(parsed)
}

/// What is wrong with a database's URL.
pub(super) fn database_flaw(url: &str) -> Option<String> {
    let shown = redacted(url);
    if let Some(path) = url.strip_prefix("sqlite:") {
        if path.contains(":memory:") || path.contains("mode=memory") {
            return Some("an in-memory database loses everything on exit; write sqlite://FILE".to_owned());
        }
        let path = path.strip_prefix("//").unwrap_or(path);
        let no_file = path.is_empty() || path.starts_with('?') || path.ends_with('/');
        return no_file.then(|| format!("`{shown}` names no file; write sqlite://FILE"));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Url::parse(url)
            .err()
            .map(|error| format!("`{shown}` is not a usable URL: {error}"));
    }
    Some(format!(
        "`{shown}` is not a database URL; write sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE"
    ))
}

/// What is wrong with the blob store's URL.
pub(super) fn blobs_flaw(url: &str) -> Option<String> {
    if let Some(path) = url.strip_prefix("file://") {
        return path.is_empty().then(|| "`file://` names no folder".to_owned());
    }
    let schemes = ["s3://", "az://", "gs://"];
    let shown = redacted(url);
    let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return Some(format!(
            "`{shown}` is not a blob store; write file://FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or \
             gs://BUCKET/PREFIX"
        ));
    };
    let bucket = rest.split(['/', '?']).next().unwrap_or_default();
    if bucket.contains('@') {
        return Some("holds credentials; they belong in the environment variables of the cloud store".to_owned());
    }
    bucket.is_empty().then(|| format!("`{shown}` names no bucket"))
}

/// What is wrong with the public URL.
pub(super) fn public_flaw(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Some("must begin with http:// or https:// and a host");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Some("may not hold a query, a fragment or credentials");
    }
    None
}

/// The file of a `sqlite:` URL, with links followed as far as the path exists, so that two spellings of one file are equal.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    let absolute = std::path::absolute(path).ok()?;
    // Url undoes percent signs and `..`, as the driver does.
    let plain = Url::parse(&format!("file://{}", absolute.display()))
        .ok()?
        .to_file_path()
        .ok()?;
    Some(real(&plain))
}

fn real(path: &Path) -> PathBuf {
    let existing = path
        .ancestors()
        .find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    existing
        .and_then(|(ancestor, real)| {
            let rest = path.strip_prefix(ancestor).ok()?;
            // Joining nothing would add a slash.
            Some(if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            })
        })
        .unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        for url in [
            "postgres://user:hunter2@host/db",
            "postgres://user:hunter2@host:99999/db",
            "postgres://host/db?user=x&password=hunter2&sslmode=require",
            "s3://bucket/prefix?secret_access_key=hunter2",
            "user:hunter2@host",
        ] {
            let shown = redacted(url);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(
            redacted("postgres://user:hunter2@host/db"),
            "postgres://user:***@host/db"
        );
        assert_eq!(redacted("sqlite:///var/lib/a.db"), "sqlite:///var/lib/a.db");
    }

    #[test]
    fn one_file_spelled_twice_is_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display();
        let file = sqlite_file(&format!("sqlite://{root}/a.db"));
        assert!(file.is_some());
        assert_eq!(file, sqlite_file(&format!("sqlite:{root}/./x/../a.db?mode=rwc")));
        assert_eq!(file, sqlite_file(&format!("sqlite://{root}/%61.db")));
        #[cfg(unix)]
        {
            std::fs::write(folder.path().join("a.db"), "").expect("a file");
            std::os::unix::fs::symlink(folder.path().join("a.db"), folder.path().join("b.db")).expect("a link");
            assert_eq!(file, sqlite_file(&format!("sqlite://{root}/b.db")));
        }
        assert_ne!(file, sqlite_file(&format!("sqlite://{root}/c.db")));
        assert_eq!(sqlite_file("postgres://host/db"), None);
    }
}
