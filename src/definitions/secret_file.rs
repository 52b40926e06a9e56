//! `secret_file` and `secret_env`, wherever a job's file says where a secret is.

use super::read::Table;
use crate::domain::webhook::SecretSource;

/// The secret stands elsewhere: definitions are shown, copied and kept under version control.
pub(crate) fn read_secret(section: &Table<'_>, name: &str) -> Option<SecretSource> {
    if let Some(secret) = section.text("secret") {
        let message = "a secret does not belong into this file: write it into a file of its own and name that with \
            `secret_file`, or into an environment variable and name that with `secret_env`";
        section.findings().at(&secret.span, message);
    }
    match (section.text("secret_file"), section.text("secret_env")) {
        (Some(file), None) => Some(SecretSource::File(file.value.into())),
        (None, Some(variable)) => Some(SecretSource::Variable(variable.value)),
        (Some(_), Some(variable)) => {
            let message = "both `secret_file` and `secret_env` are given; keep one of them";
            section.findings().at(&variable.span, message);
            None
        }
        (None, None) => {
            if !section.has("secret") && !section.has("secret_file") && !section.has("secret_env") {
                let message = format!("{name} lacks `secret_file` or `secret_env`: where the secret is");
                section.findings().at(section.span(), message);
            }
            None
        }
    }
}
