//! What a collected file is called.

use reqwest::header::HeaderMap;

use crate::domain::ids::CorrelationId;

/// Longest part of a file's name that comes from the job's name.
const JOB_NAME_CHARS_MAX: usize = 60;
/// How a zip begins.
pub(super) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Longest extension taken over from what the service calls a file.
const EXTENSION_CHARS_MAX: usize = 8;

/// A file's name. The job's name is reduced to letters, digits and dashes and the correlation id is a parsed GUID, so
/// nothing the service sends can name another folder. It is the same for every delivery of a message, so a repeat
/// replaces its own file instead of making a second one.
pub(super) fn file_name(job: &str, correlation: CorrelationId, extension: &str) -> String {
    let mut slug = String::new();
    for character in job.chars().take(JOB_NAME_CHARS_MAX) {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "message" } else { slug };
    format!("{slug}-{correlation}.{extension}")
}

/// What the content says it is; a relay's bytes are nobody's business.
pub(super) fn extension(direction: &str, head: &[u8]) -> &'static str {
    match direction {
        _ if head == ZIP_MAGIC => "zip",
        "export" => "csv",
        _ => "dat",
    }
}

/// What the name in `Content-Disposition` ends with: letters and digits, behind a packed file's the one before it, too.
pub(super) fn stated_extension(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("content-disposition")?.to_str().ok()?;
    let (_, rest) = header.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    let is_extension = |piece: &&str| {
        (1..=EXTENSION_CHARS_MAX).contains(&piece.len()) && piece.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let (stem, last) = name.rsplit_once('.').filter(|(_, last)| is_extension(last))?;
    let inner = stem.rsplit_once('.').map(|(_, inner)| inner).filter(is_extension);
    let inner = inner.filter(|_| matches!(last, "gz" | "zst"));
    Some(inner.map_or_else(|| last.to_owned(), |inner| format!("{inner}.{last}")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ID: &str = "0f7d5f53-51e8-4a0c-9b0b-2a4ad0a4a1b2";

    fn id() -> CorrelationId {
        ID.parse().expect("a GUID")
    }

    #[test]
    fn no_job_name_can_make_a_file_leave_its_folder() {
        for job in [
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "C:\\x",
            "a\0b",
            "nul\n",
            "~root",
            "%2e%2e/",
            "日本",
        ] {
            let name = file_name(job, id(), "zip");
            let path = Path::new("inbox").join(&name);
            assert_eq!(path.parent(), Some(Path::new("inbox")), "{name}");
            assert_eq!(path.components().count(), 2, "{name}");
            assert!(!name.starts_with('.'), "{name}");
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_says_job_and_message_and_is_the_same_on_every_delivery() {
        assert_eq!(
            file_name("Nightly sales orders", id(), "zip"),
            format!("nightly-sales-orders-{ID}.zip")
        );
        assert_eq!(file_name("  ** ", id(), "dat"), format!("message-{ID}.dat"));
        assert!(file_name(&"x".repeat(500), id(), "zip").len() < 120);
    }

    #[test]
    fn the_extension_follows_the_content() {
        assert_eq!(extension("export", ZIP_MAGIC), "zip");
        assert_eq!(extension("export", b"a,b\r"), "csv");
        assert_eq!(extension("relay", b"a,b\r"), "dat");
        assert_eq!(extension("relay", b""), "dat");
    }

    #[test]
    fn the_extension_is_that_of_the_stated_name() {
        let of = |value: &'static str| {
            let value = reqwest::header::HeaderValue::from_static(value);
            stated_extension(&HeaderMap::from_iter([(reqwest::header::CONTENT_DISPOSITION, value)]))
        };
        for (value, extension) in [
            (
                "attachment; filename=\"orders 1.5.xlsx\"; filename*=UTF-8''x",
                Some("xlsx"),
            ),
            ("attachment; filename=\"orders.csv.gz\"", Some("csv.gz")),
            ("attachment; filename=\"orders.gz\"", Some("gz")),
            ("attachment; filename=\"orders\"", None),
            ("attachment; filename=\"a./../b\"", None),
            ("attachment", None),
        ] {
            assert_eq!(of(value).as_deref(), extension, "{value}");
        }
    }
}
