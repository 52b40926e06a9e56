//! `[server]`.

use std::path::Path;

use url::Url;

use super::{Product, Server, TokenVersion};
use crate::definitions::read::{Placed, Table};
use crate::definitions::secret_file::read_secret;
use crate::domain::webhook::SecretSource;

pub(super) fn read(table: Table<'_>, base: &Path) -> Option<Server> {
    let url = table
        .required_text("url")
        .and_then(|text| read_url(&table, "url", &text));
    let authority = table.text("authority");
    let authority = authority.and_then(|text| read_url(&table, "authority", &text));
    let products = [("tranship", Product::Tranship), ("dynamics365", Product::Dynamics)];
    let product = table
        .choice("product", &products)
        .map_or(Product::Tranship, |product| product.value);
    let tenant = table.text("tenant");
    if tenant.is_none() && product == Product::Dynamics {
        table.require("tenant");
    }
    let version = table
        .number("token_version", 1..=2)
        .map_or(TokenVersion::V2, |version| match version.value {
            1 => TokenVersion::V1,
            _ => TokenVersion::V2,
        });
    let resource = table.text("resource").map(|resource| resource.value);
    let client_id = table.required_text("client_id");
    let username = table.text("username").map(|username| username.value);
    let secret = read_secret(&table, "[server]").map(|secret| match secret {
        SecretSource::File(path) => SecretSource::File(base.join(path)),
        variable @ SecretSource::Variable(_) => variable,
    });
    let ca_file = table.text("ca_file").map(|file| base.join(file.value));
    table.finish();
    let url = url?;
    let authority = authority.or_else(|| match product {
        Product::Tranship => Some(url.clone()),
        Product::Dynamics => Url::parse("https://login.microsoftonline.com").ok(),
    });
    let tenant = tenant.map_or_else(|| "default".to_owned(), |tenant| tenant.value);
    Some(Server {
        token_url: token_url(&authority?, &tenant, version),
        resource: resource.unwrap_or_else(|| url.as_str().trim_end_matches('/').to_owned()),
        url,
        product,
        token_version: version,
        client_id: client_id?.value,
        username,
        secret: secret?,
        ca_file,
    })
}

/// Where tokens are asked for (contract 2.1).
fn token_url(authority: &Url, tenant: &str, version: TokenVersion) -> Url {
    let mut url = authority.clone();
    // Only a URL without a host has no segments, and `read_url` takes none of those.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(tenant).push("oauth2");
        if version == TokenVersion::V2 {
            segments.push("v2.0");
        }
        segments.push("token");
    }
    url
}

fn read_url(table: &Table<'_>, key: &str, text: &Placed<String>) -> Option<Url> {
    let url = Url::parse(&text.value).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() {
        let message = format!(
            "`{key}` is `{}`; write it as https://host or http://host:port",
            text.value
        );
        table.findings().at(&text.span, message);
    }
    url
}
