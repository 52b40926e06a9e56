//! A command line that makes no sense: said for people as clap says it, and as JSON where that was asked for.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Cli, Exit};

/// Says what is wrong, or prints the help or version that was asked for.
pub(super) fn say(error: &clap::Error, wants_json: bool) -> ExitCode {
    let is_mistake = error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if wants_json && is_mistake {
        eprintln!("{}", json(error));
    } else {
        let _ = error.print();
    }
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => Exit::Usage.into(),
    }
}

/// As every other failure, see `docs/cli.md`.
fn json(error: &clap::Error) -> serde_json::Value {
    let text = error.render().to_string();
    // What is missing stands in lines of its own.
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let what = lines.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    serde_json::json!({"error": what, "cure": cure(error), "exit": Exit::Usage.code()})
}

/// What was probably meant, or else where it stands.
fn cure(error: &clap::Error) -> String {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let nearest = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        // The nearest comes last.
        ContextValue::Strings(words) => words.last().cloned(),
        _ => None,
    });
    match nearest {
        Some(word) => format!("Did you mean `{word}`?"),
        None => "See --help.".to_owned(),
    }
}

impl Cli {
    /// Reads the command line; what makes no sense ends the process's work with exit code 2.
    ///
    /// # Errors
    /// The exit code, once everything is said.
    pub fn read() -> Result<Self, ExitCode> {
        let line: Vec<_> = std::env::args_os().collect();
        let wants_json = line.iter().any(|word| word == "--json");
        <Self as clap::Parser>::try_parse_from(line).map_err(|error| say(&error, wants_json))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_nearest_word_is_named_in_json_too() {
        for (line, word) in [
            (&["mesages", "list", "--json"][..], "messages"),
            (&["messages", "lst", "--json"], "list"),
            (&["keys", "rotat", "--json"], "rotate"),
            (&["keys", "rotate", "--purpos", "token", "--json"], "--purpose"),
            (&["keys", "rotate", "--purpose", "tokn", "--json"], "token"),
        ] {
            let line = std::iter::once("tranship").chain(line.iter().copied());
            let said = json(&Cli::try_parse_from(line).expect_err("a mistake"));
            assert_eq!(said["cure"], format!("Did you mean `{word}`?"), "{said}");
            assert_eq!(said["exit"], 2);
            assert!(!said["error"].as_str().expect("text").starts_with("error"), "{said}");
        }
    }
}
