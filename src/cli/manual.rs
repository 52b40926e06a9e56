//! `tranship manual`: the manual pages, made from the same words as `--help`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::screen::{Screen, counted};
use super::{Cli, Exit, Failure};

/// Write the manual pages, one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tranship manual --out ~/.local/share/man/man1 && man tranship-push
  tranship manual | man -l -")]
pub struct Manual {
    /// Folder for the pages, made when it is missing; without it the first page is printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Manual {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let pages = pages()?;
        let Some(out) = self.out else {
            let (_, first) = &pages[0];
            screen.line(first.trim_end());
            return Ok(Exit::Ok);
        };
        let unwritable = |path: &Path, error| Failure::failed(format!("{} cannot be written: {error}", path.display()));
        tokio::fs::create_dir_all(&out)
            .await
            .map_err(|error| unwritable(&out, error))?;
        for (name, page) in &pages {
            let path = out.join(format!("{name}.1"));
            tokio::fs::write(&path, page)
                .await
                .map_err(|error| unwritable(&path, error))?;
        }
        screen.line(format!(
            "{} in {}",
            counted(pages.len() as u64, "manual page"),
            out.display()
        ));
        Ok(Exit::Ok)
    }
}

/// Name and text of every page, that of `tranship` itself first.
///
/// # Errors
/// When a page cannot be made.
pub(super) fn pages() -> Result<Vec<(String, String)>, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    add(&command, "tranship", &mut pages)?;
    Ok(pages)
}

/// The page of a command under its full name, and those of its own commands.
fn add(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let broken = |error: String| Failure::failed(format!("the page of {name} cannot be made: {error}"));
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name)
        .render(&mut page)
        .map_err(|error| broken(error.to_string()))?;
    let page = String::from_utf8(page).map_err(|error| broken(error.to_string()))?;
    pages.push((name.to_owned(), page));
    let own = command
        .get_subcommands()
        .filter(|own| !own.is_hide_set() && own.get_name() != "help");
    for own in own {
        add(own, &format!("{name}-{}", own.get_name()), pages)?;
    }
    Ok(())
}
