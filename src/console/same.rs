//! What every page says in its foot: the call and the command that show or do the same.

use maud::{Markup, html};

pub(super) use crate::http::query::encoded;

/// The call and the commands.
pub(super) struct Same {
    method: &'static str,
    path: String,
    body: Option<String>,
    /// A file whose bytes are the body.
    file: Option<&'static str>,
    /// Further paths that it shows the answers of.
    also: Vec<String>,
    commands: Vec<String>,
    /// What of the page they do not say.
    but: Option<&'static str>,
}

impl Same {
    /// A page that shows what this `GET` answers.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            body: None,
            file: None,
            also: Vec::new(),
            commands: Vec::new(),
            but: None,
        }
    }

    /// A page that does what this `POST` does.
    pub fn post(path: impl Into<String>, body: Option<serde_json::Value>) -> Self {
        Self {
            method: "POST",
            body: body.map(|body| body.to_string()),
            ..Self::get(path)
        }
    }

    /// A page that does what this `POST` does with the bytes of a file as its body.
    pub fn post_file(path: impl Into<String>, file: &'static str) -> Self {
        Self {
            file: Some(file),
            ..Self::post(path, None)
        }
    }

    /// What it shows beside, by another `GET`.
    #[must_use]
    pub fn and_get(mut self, path: impl Into<String>) -> Self {
        self.also.push(path.into());
        self
    }

    /// A command of the command line, without the program's name.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        self.commands.push(format!("tranship {}", words.join(" ")));
        self
    }

    /// Says what of the page the call does not know.
    #[must_use]
    pub fn but(mut self, but: Option<&'static str>) -> Self {
        self.but = but;
        self
    }

    fn curl(&self, base: &str) -> String {
        let method = if self.method == "GET" { "" } else { "-X POST " };
        let body = self.body.as_ref().map_or_else(String::new, |body| {
            format!(" -H 'Content-Type: application/json' -d {}", quoted(body))
        });
        let file = self
            .file
            .map_or_else(String::new, |file| format!(" --data-binary @{file}"));
        let url = quoted(&format!("{base}{}", self.path));
        format!("curl -s {method}-H \"Authorization: Bearer $TOKEN\"{body}{file} {url}")
    }

    /// The foot.
    pub fn shown(&self, base: &str) -> Markup {
        let token = format!(
            "TOKEN=$(curl -s {base}/tranship/oauth2/v2.0/token -d grant_type=client_credentials -d client_id=NAME \
             --data-urlencode client_secret=SECRET -d scope={base}/.default | jq -r .access_token)"
        );
        html! {
            section.same aria-labelledby="same" {
                h2 #same { "The same from a script" }
                dl {
                    dt { "API" }
                    dd { code { (self.method) " " (self.path) } (copied(&self.curl(base))) }
                    @for path in &self.also {
                        dt { "API" }
                        dd { code { "GET " (path) } (copied(&Self::get(path.as_str()).curl(base))) }
                    }
                    @for command in &self.commands {
                        dt { "Command" }
                        dd { (copied(command)) }
                    }
                }
                @if let Some(but) = self.but { p { (but) } }
                details {
                    summary { "Where TOKEN comes from" }
                    (copied(&token))
                }
            }
        }
    }
}

/// A line to be pasted into a shell.
fn copied(line: &str) -> Markup {
    html! {
        div.copied { pre tabindex="0" { code { (line) } } button type="button" data-copy hidden { "Copy" } }
    }
}

/// A text as a POSIX shell takes it as one word.
fn quoted(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_pasted() {
        let same = Same::post("/api/v1/jobs/it's/run", Some(serde_json::json!({ "note": "it's" })));
        assert_eq!(
            same.curl("http://127.0.0.1:8080"),
            "curl -s -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d \
             '{\"note\":\"it'\\''s\"}' 'http://127.0.0.1:8080/api/v1/jobs/it'\\''s/run'"
        );
        assert_eq!(encoded("Lager Süd/1"), "Lager%20S%C3%BCd%2F1");
        assert_eq!(
            Same::get("/").command(&["jobs", "show", "Lager Süd"]).commands,
            ["tranship jobs show 'Lager Süd'"]
        );
    }
}
