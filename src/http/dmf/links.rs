//! Links to blobs: the one to upload by, the one to download by, and what a `packageUrl` leads to (PKG-1, PKG-8, PKG-9).

use std::time::Duration;

use actix_web::HttpRequest;
use serde_json::json;

use super::{ROOT, check_sas};
use crate::auth::sas::Permission;
use crate::domain::dmf::BlobPath;
use crate::http::Api;
use crate::http::auth::{Caller, base_url, link_base};
use crate::http::canonical::canonical_path;
use crate::http::problem::{Kind, Problem};
use crate::http::query::{Query, path_decoded};
use crate::pipeline::blob_host::{self, BlobHostError};
use crate::storage::dmf_blobs::{DmfBlob, DmfContent};

/// What a link to upload by allows.
const UPLOAD: [Permission; 4] = [
    Permission::Read,
    Permission::Create,
    Permission::Write,
    Permission::Delete,
];
/// A link is good from this much before it was made: the next process's clock may be behind.
const CLOCKS_APART_SECONDS: i64 = 300;

/// What `GetAzureWriteUrl` answers: JSON in a text, of which clients read `BlobUrl` (PKG-1). The name may come again (PKG-2).
///
/// # Errors
/// 403 for a client that only looks; [`Problem`] when a store failed.
pub async fn write_url(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    unique_name: &str,
) -> Result<String, Problem> {
    if !caller.may_upload() {
        let detail = format!("the client `{}` may look at everything and change nothing", caller.name);
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let (context, now) = (&api.context, api.context.clock.now());
    let life = context.limits.blobs.upload_link_seconds;
    let (id, url) = if context.limits.blobs.presigned {
        let (id, key) = blob_host::reserve_direct(context, &caller.name, unique_name, now).await?;
        let life = Duration::from_secs(life.into());
        (id, context.blobs.signed_url(&key, true, life).await?.to_string())
    } else {
        let (id, path) = blob_host::reserve(context, &caller.name, unique_name, now).await?;
        let (from, until) = (now.plus_seconds(-CLOCKS_APART_SECONDS), now.plus_seconds(life.into()));
        let signed = format!("{ROOT}{path}");
        let query = api.signers().links.sign_from(&signed, &UPLOAD, Some(from), until);
        (id, format!("{}{signed}?{query}", link_base(api, request)))
    };
    let id = format!("{{{}}}", id.to_string().to_uppercase());
    Ok(json!({ "BlobId": id, "BlobUrl": url }).to_string())
}

/// A link to download a blob by, good for `server.link_seconds`: ours, or with `blobs.presigned` the bucket's own. That of an
/// exported package is always ours: only so it is seen when it was fetched.
///
/// # Errors
/// [`Problem`] when the bucket's credentials cannot sign.
pub async fn download_url(
    api: &Api,
    request: &HttpRequest,
    path: &BlobPath,
    content: &DmfContent,
) -> Result<String, Problem> {
    let life = api.server.link_seconds;
    if api.context.limits.blobs.presigned && !path.is_export() {
        let (blobs, life) = (&api.context.blobs, Duration::from_secs(life.into()));
        return Ok(blobs.signed_url(&content.key, false, life).await?.to_string());
    }
    let signed = format!("{ROOT}{path}");
    let until = api.context.clock.now().plus_seconds(life.into());
    let query = api.signers().links.sign(&signed, &[Permission::Read], until);
    Ok(format!("{}{signed}?{query}", link_base(api, request)))
}

/// The blob that a client's `packageUrl` leads to, for work on it: read it with [`blob_host::read`], and do not keep its key. The
/// URL may be absolute or begin with `/dmf/`, and be escaped anew (PKG-8); its host must be ours, or the bucket's where we gave
/// such a link away (PKG-9). Nothing is ever fetched by it. A client opens what it asked the link for, what it has a good link to,
/// and everything if it sees everything.
///
/// # Errors
/// 400 `package_url` for a URL that leads elsewhere; 404 where nothing is, or nothing the client may open.
pub async fn open_package(
    api: &Api,
    request: &HttpRequest,
    caller: &Caller,
    package_url: &str,
) -> Result<(DmfBlob, DmfContent), Problem> {
    let missing = || {
        let detail = "the blob of packageUrl was not found: nothing was uploaded there, or it is no longer kept";
        Problem::new(Kind::NotFound, detail)
    };
    let target = Target::read(package_url)?;
    let is_ours = target.is_ours(api, request);
    let path = match target.blob_path().filter(|_| is_ours) {
        Some(path) => Some(path),
        None if api.context.blobs.can_sign() => blob_host::find_direct(&api.context, &target.path).await?,
        None => None,
    };
    let path = path.ok_or_else(|| if is_ours { missing() } else { target.foreign() })?;
    let (blob, content) = blob_host::open(&api.context, &path)
        .await
        .map_err(|error| match error {
            BlobHostError::Missing => missing(),
            error => error.into(),
        })?;
    let linked = || check_sas(api, &Query::read(&target.query), path.as_str(), Permission::Read).is_ok();
    if caller.name == blob.client || caller.sees_all() || linked() {
        Ok((blob, content))
    } else {
        Err(missing())
    }
}

/// The path a `packageUrl` leads to, the same in every form clients write it (PKG-8).
///
/// # Errors
/// 400 `package_url` for what is no URL.
pub fn package_path(package_url: &str) -> Result<String, Problem> {
    Ok(Target::read(package_url)?.path)
}

/// Where a `packageUrl` leads.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// None: to us.
    host: Option<String>,
    /// Unescaped.
    path: String,
    query: String,
}

impl Target {
    fn read(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let wrong = |why: &str| {
            let shown: String = text.chars().take(200).collect();
            let detail = format!(
                "packageUrl is `{shown}`, {why}: write the BlobUrl that GetAzureWriteUrl answered, or the URL of an exported package"
            );
            Problem::bad("package_url", detail)
        };
        let (host, path, query) = if let Ok(url) = url::Url::parse(text) {
            let host = url.host_str().filter(|_| ["http", "https"].contains(&url.scheme()));
            let host = host.ok_or_else(|| wrong("which is no URL of the web"))?.to_owned();
            let query = url.query().unwrap_or_default().to_owned();
            (Some(host), url.path().to_owned(), query)
        } else {
            let (path, query) = text.split_once('?').unwrap_or((text, ""));
            let path = format!("/{}", path.trim_start_matches('/'));
            if !path.to_lowercase().starts_with(ROOT) {
                return Err(wrong("which is no URL"));
            }
            (None, path, query.to_owned())
        };
        let path = canonical_path(&path).unwrap_or(path);
        let path = path_decoded(&path);
        Ok(Self { host, path, query })
    }

    /// Ports and schemes are left aside: clients and proxies change them.
    fn is_ours(&self, api: &Api, request: &HttpRequest) -> bool {
        let Some(host) = &self.host else { return true };
        let used = url::Url::parse(&base_url(api, request)).ok();
        let ours = [used.as_ref(), api.server.public_url.as_ref()];
        ours.into_iter()
            .flatten()
            .any(|url| url.host_str().is_some_and(|ours| ours.eq_ignore_ascii_case(host)))
    }

    fn blob_path(&self) -> Option<BlobPath> {
        BlobPath::read(self.path.strip_prefix(ROOT)?)
    }

    fn foreign(&self) -> Problem {
        let host = self.host.as_deref().unwrap_or_default();
        let detail = format!(
            "packageUrl leads to {host}, which is not this service: upload the package to the BlobUrl that GetAzureWriteUrl answers"
        );
        Problem::bad("package_url", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_is_read_in_every_form_clients_send() {
        let of = |text: &str| {
            let target = Target::read(text).expect("a URL");
            (
                target.host.clone(),
                target.blob_path().map(|path| path.to_string()),
                target.query,
            )
        };
        let (host, path) = (Some("h.example".to_owned()), Some("packages/a-b.zip".to_owned()));
        for form in [
            "https://h.example/dmf/packages/a-b.zip?sp=r&sig=x%2By",
            "  HTTPS://H.Example:8443//DMF/packages/%61-b.zip?sp=r&sig=x%2By",
            "http://h.example/namespaces/AXSF/dmf/packages/a-b%2Ezip?sp=r&sig=x%2By",
        ] {
            assert_eq!(
                of(form),
                (host.clone(), path.clone(), "sp=r&sig=x%2By".to_owned()),
                "{form}"
            );
        }
        for form in [
            "/dmf/packages/a-b.zip",
            "dmf/packages/a-b.zip",
            "//DMF/packages/a-b.zip",
        ] {
            assert_eq!(of(form), (None, path.clone(), String::new()), "{form}");
        }
        for elsewhere in [
            "https://h.example/dmf/packages/a%2Fb",
            "https://h.example/dmf/packages/..%2f..%2fx",
            "https://h.example/other/a",
            "/dmf/",
        ] {
            assert_eq!(of(elsewhere).1, None, "{elsewhere}");
        }
        for bad in [
            "",
            "a-b.zip",
            "file:///dmf/packages/a",
            "ftp://h/dmf/packages/a",
            "javascript:x",
            "packages/a",
        ] {
            assert!(Target::read(bad).is_err(), "{bad}");
        }
    }
}
