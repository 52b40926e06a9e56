//! A place to run Tranship in: a folder with definitions, databases of its own, and an environment that says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::service::Service;
use crate::support::databases::TestDatabase;

/// What was just built.
const BINARY: &str = env!("CARGO_BIN_EXE_tranship");

/// Name and secret of a client.
#[derive(Clone)]
pub struct Credentials {
    pub id: String,
    pub secret: String,
}

/// Definitions, databases and settings that any number of processes share.
pub struct Site {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    business_url: String,
    /// Held because a SQLite file goes with its value.
    databases: Vec<TestDatabase>,
}

impl Site {
    /// Service store in `store`, business database beside it in the same kind of database.
    pub async fn on(store: TestDatabase) -> Self {
        let business = if store.url.starts_with("postgres") {
            TestDatabase::postgres()
                .await
                .expect("the cluster that gave one database")
        } else {
            TestDatabase::sqlite()
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut site = Self {
            business_url: business.url.clone(),
            environment: Vec::new(),
            folder,
            databases: Vec::new(),
        };
        site.set("TRANSHIP_STORE__URL", &store.url);
        site.set("TRANSHIP_DATABASES__MAIN__URL", &business.url);
        site.set(
            "TRANSHIP_BLOBS__URL",
            &format!("file://{}/blobs", site.path("").display()),
        );
        site.databases = vec![store, business];
        site
    }

    /// Nothing but an empty folder: every setting has its default.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            business_url: format!("sqlite://{}/data/business.db", folder.path().display()),
            environment: Vec::new(),
            folder,
            databases: Vec::new(),
        }
    }

    /// A path inside the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.folder.path().to_owned()
        } else {
            self.folder.path().join(name)
        }
    }

    /// Where the store is, without what may come between.
    pub fn store_url(&self) -> String {
        self.databases[0].url.clone()
    }

    /// Where the business tables are.
    pub fn business_url(&self) -> &str {
        &self.business_url
    }

    /// A setting for every process from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file into the folder, `jobs/…` and `entities/…` for instance.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is made");
        std::fs::write(path, text).expect("the file is written");
    }

    /// Copies the repository's jobs, entities and samples into the folder. Its jobs name no client, because the reader of the
    /// README is `dev`, whom only a terminal makes; here they name `client`.
    pub fn copy_definitions(&self, client: &str) {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["jobs", "entities", "samples"] {
            let mut copy = Command::new("cp");
            copy.arg("-R").arg(repository.join(folder)).arg(self.folder.path());
            assert!(copy.status().expect("cp runs").success(), "{copy:?}");
        }
        for entry in std::fs::read_dir(self.path("jobs")).expect("jobs/") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).expect("it reads");
                let opened = text.replace("clients = []", &format!("clients = [\"{client}\"]"));
                assert_ne!(text, opened, "{}: a sample job names no client", path.display());
                std::fs::write(&path, opened).expect("it is written");
            }
        }
    }

    /// `tranship ARGUMENTS`, to be run in the folder with the site's settings and nobody else's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(BINARY), arguments)
    }

    /// The same of another program than the one that was just built.
    fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments);
        self.furnish(&mut command);
        command
    }

    /// Gives a command the site's folder and settings.
    pub fn furnish(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRANSHIP_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Runs `tranship ARGUMENTS` to its end, which must be a good one.
    pub fn run(&self, arguments: &[&str]) -> Output {
        ended_well(self.command(arguments))
    }

    /// Adds a client. On SQLite, before the service starts: the store has one owner.
    pub fn add_client(&self, name: &str, role: &str) -> Credentials {
        self.add_client_by(Path::new(BINARY), name, role)
    }

    /// The same by another program.
    pub fn add_client_by(&self, program: &Path, name: &str, role: &str) -> Credentials {
        let add = ["client", "add", name, "--role", role, "--json"];
        let output = ended_well(self.command_of(program, &add));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("client add --json prints JSON");
        let text = |member: &str| {
            answer[member]
                .as_str()
                .unwrap_or_else(|| panic!("{member} in {answer}"))
                .to_owned()
        };
        Credentials {
            id: text("client_id"),
            secret: text("client_secret"),
        }
    }

    /// The data folder of the process called `name`; every process has its own.
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    /// `tranship serve` on a free port, as the process called `name`.
    pub fn serve_command(&self, name: &str) -> Command {
        self.serve_command_of(Path::new(BINARY), name)
    }

    /// The same by another program, of an earlier version for instance.
    pub fn serve_command_of(&self, program: &Path, name: &str) -> Command {
        let data_dir = self.data_dir(name);
        std::fs::create_dir_all(&data_dir).expect("the data folder is made");
        let mut command = self.command_of(program, &["serve", "--listen", "127.0.0.1:0"]);
        command.env("TRANSHIP_DATA_DIR", &data_dir);
        command
    }

    /// Starts a process and waits until it is ready.
    pub async fn start(&self, name: &str) -> Service {
        Service::start(self.serve_command(name), &self.data_dir(name)).await
    }
}

/// Runs a command to its end, which must be a good one.
fn ended_well(mut command: Command) -> Output {
    let output = command.output().expect("the binary runs");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Whether `path` is an empty folder.
pub fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).expect("a folder").next().is_none()
}
