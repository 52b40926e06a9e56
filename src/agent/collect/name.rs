//! What a collected file is called.

use reqwest::header::{CONTENT_DISPOSITION, HeaderMap};

use crate::domain::time::Timestamp;

/// Longest name, in bytes, with room for a number behind it.
const NAME_BYTES_MAX: usize = 200;

/// Fills a template. What comes from outside cannot lead out of the folder.
pub(super) fn fill(template: &str, original: &str, message: &str, at: Timestamp, job: &str) -> String {
    let time = at.to_utc().format("%Y%m%dT%H%M%SZ").to_string();
    let (mut name, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        name.push_str(before);
        let (word, behind) = after.split_once('}').unwrap_or((after, ""));
        name.push_str(match word {
            "original_name" => original,
            "message_id" => message,
            "time" => &time,
            "job" => job,
            _ => "",
        });
        rest = behind;
    }
    name.push_str(rest);
    plain(&name)
}

/// A name of one segment that every file system takes and nobody overlooks.
fn plain(name: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() || "/\\:*?\"<>|".contains(c) {
            '_'
        } else {
            c
        }
    };
    let mut name: String = name.trim().trim_start_matches('.').chars().map(harmless).collect();
    let extension = name.rsplit_once('.').map(|(_, extension)| format!(".{extension}"));
    let extension = extension.filter(|extension| extension.len() <= 10).unwrap_or_default();
    if name.len() > NAME_BYTES_MAX {
        let mut cut = NAME_BYTES_MAX - extension.len();
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        name.truncate(cut);
        name.push_str(&extension);
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

/// The name the server gives the file, which only Tranship does (RI-16).
pub(super) fn stated(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    if let Some((_, encoded)) = header.split_once("filename*=UTF-8''") {
        let encoded = encoded.split(';').next()?.replace('+', "%2B");
        let encoded = format!("n={encoded}");
        let (_, name) = url::form_urlencoded::parse(encoded.as_bytes()).next()?;
        return Some(name.into_owned()).filter(|name| !name.is_empty());
    }
    let (_, rest) = header.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_nothing_leaves_the_folder() {
        let at = Timestamp(0).plus_seconds(86_399);
        let fill = |template: &str, original: &str| fill(template, original, "0f7d", at, "nightly");
        assert_eq!(fill("{original_name}", "orders 1.csv"), "orders 1.csv");
        assert_eq!(
            fill("{job}-{time}-{message_id}.zip", ""),
            "nightly-19700101T235959Z-0f7d.zip"
        );
        assert_eq!(fill("{original_name}", "../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(fill("{original_name}", "a\0b\nc:d"), "a_b_c_d");
        assert_eq!(fill("{original_name}", ".."), "file");
        let long = fill("{original_name}", &format!("{}.csv", "ü".repeat(300)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ü.csv"), "{long}");
    }

    #[test]
    fn the_servers_name_is_read_in_both_forms() {
        let of = |value: &str| {
            let value = reqwest::header::HeaderValue::from_str(value).expect("a value");
            stated(&HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]))
        };
        assert_eq!(of("attachment; filename=\"a b.csv\"").as_deref(), Some("a b.csv"));
        assert_eq!(
            of("attachment; filename=\"x\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe+1.csv").as_deref(),
            Some("Größe+1.csv")
        );
        assert_eq!(of("attachment"), None);
    }
}
