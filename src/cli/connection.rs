//! How client commands find and sign in to the service.

use std::fmt;

use url::Url;

use super::api::Api;
use super::{Exit, Failure};
use crate::domain::schedule::moment::Moment;

/// Where the service is and who is asking.
#[derive(Debug, Clone, clap::Args)]
pub struct Connection {
    /// Address of the service
    #[arg(
        long,
        env = "TRANSHIP_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        value_parser = service_url,
        help_heading = "Connection"
    )]
    pub url: Url,
    /// Name of the client to sign in as
    #[arg(long, env = "TRANSHIP_CLIENT_ID", value_name = "NAME", help_heading = "Connection")]
    pub client_id: Option<String>,
    /// Its secret; better in the environment than here, where other users can see it
    #[arg(
        long,
        env = "TRANSHIP_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        help_heading = "Connection"
    )]
    pub client_secret: Option<Secret>,
    /// Print answers as JSON
    #[arg(long)]
    pub json: bool,
}

impl Connection {
    /// A client of the service with these settings.
    ///
    /// # Errors
    /// [`Exit::Usage`] when name or secret is missing.
    pub fn open(&self) -> Result<Api, Failure> {
        let filled = |text: &&str| !text.is_empty();
        let name = self.client_id.as_deref().filter(filled);
        let secret = self.client_secret.as_ref().map(Secret::reveal).filter(filled);
        match (name, secret) {
            (Some(name), Some(secret)) => Api::new(self.url.clone(), name, secret),
            (name, _) => {
                let missing = if name.is_some() {
                    "TRANSHIP_CLIENT_SECRET"
                } else {
                    "TRANSHIP_CLIENT_ID"
                };
                Err(Failure::new(
                    Exit::Usage,
                    format!("{missing} is not set: the service wants to know who is asking"),
                )
                .cure(
                    "Set TRANSHIP_CLIENT_ID and TRANSHIP_CLIENT_SECRET; \
                         `tranship client add NAME` makes a client and prints its secret.",
                ))
            }
        }
    }
}

/// A secret that does not show itself in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is not empty: an empty one would mean everything.
pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty; is a variable of your script not set?".to_owned());
    }
    Ok(text.to_owned())
}

/// A job's or message's name on the command line: anything that stays one segment of a path.
pub(super) fn name_or_id(text: &str) -> Result<String, String> {
    match not_empty(text)?.trim() {
        "." | ".." => Err("that is no name".to_owned()),
        name => Ok(name.to_owned()),
    }
}

/// A time on the command line, as the service reads it.
pub(super) fn moment(text: &str) -> Result<String, String> {
    match Moment::parse(text.trim()) {
        Some(_) => Ok(text.trim().to_owned()),
        None => {
            Err("write a date (2026-03-29), a time (2026-03-29T02:30) or an instant (2026-03-29T00:30:00Z)".to_owned())
        }
    }
}

pub(super) fn service_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it as http://host:port"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("write it as http://host:port or https://host".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_called_are_taken() {
        assert!(service_url("http://127.0.0.1:8080").is_ok());
        assert!(service_url("https://tranship.example.test/base/").is_ok());
        for bad in ["127.0.0.1:8080", "localhost", "file:///etc/passwd", "mailto:a@b", ""] {
            assert!(service_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_would_leave_its_path_is_refused() {
        assert_eq!(name_or_id(" Inbound orders ").as_deref(), Ok("Inbound orders"));
        for bad in ["", "  ", ".", ".."] {
            assert!(name_or_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let connection = Connection {
            url: service_url("http://127.0.0.1:1").expect("a URL"),
            client_id: Some("dev".to_owned()),
            client_secret: Some("hunter2".to_owned().into()),
            json: false,
        };
        assert!(!format!("{connection:?}").contains("hunter2"));
    }

    #[test]
    fn missing_credentials_are_a_mistake_of_usage_with_a_cure() {
        let connection = Connection {
            url: service_url("http://127.0.0.1:1").expect("a URL"),
            client_id: Some("dev".to_owned()),
            client_secret: Some(String::new().into()),
            json: false,
        };
        let failure = connection.open().expect_err("no secret, no client");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.contains("TRANSHIP_CLIENT_SECRET"));
        assert!(failure.cure.is_some());
    }
}
