//! `tranship completions`: what a shell needs to finish commands and options with the tabulator.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::screen::Screen;
use super::{Cli, Exit, Failure};

/// Print what a shell needs to complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Where it goes:
  bash   tranship completions bash > ~/.local/share/bash-completion/completions/tranship
  zsh    tranship completions zsh > ~/.zfunc/_tranship        (a folder of $fpath)
  fish   tranship completions fish > ~/.config/fish/completions/tranship.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit, Failure> {
        let script = script(self.shell)?;
        screen.line(script.trim_end());
        Ok(Exit::Ok)
    }
}

/// The script for a shell.
///
/// # Errors
/// When it is no text.
pub(super) fn script(shell: Shell) -> Result<String, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tranship", &mut script);
    String::from_utf8(script).map_err(|error| Failure::failed(format!("the script for {shell} is no text: {error}")))
}
