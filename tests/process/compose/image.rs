//! What the last stage of the `Dockerfile` makes of the binary: its environment, its commands, its health check.

/// The instructions of an image that matter when it runs.
#[derive(Debug, Default)]
pub struct Image {
    pub environment: Vec<(String, String)>,
    pub entry_point: Vec<String>,
    pub command: Vec<String>,
    pub health_check: Vec<String>,
}

impl Image {
    /// Reads the last stage.
    pub fn read(dockerfile: &str) -> Self {
        let (_, stage) = dockerfile.rsplit_once("\nFROM ").expect("a stage");
        let mut image = Self::default();
        for line in stage.lines() {
            let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
            match instruction {
                "ENV" => {
                    let (name, value) = rest.split_once('=').expect("a name and a value");
                    image.environment.push((name.to_owned(), value.to_owned()));
                }
                "ENTRYPOINT" => image.entry_point = exec_form(rest),
                "CMD" => image.command = exec_form(rest),
                "HEALTHCHECK" => {
                    let (_, command) = rest.split_once("CMD ").expect("a command");
                    image.health_check = exec_form(command);
                }
                _ => {}
            }
        }
        image
    }
}

/// `["program", "argument"]`: a list, because there is no shell around it.
fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
