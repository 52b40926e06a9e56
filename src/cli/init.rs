//! `tranship init`: a working set of definitions from a sample file. Never writes over anything.

use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::quoted;
use super::screen::{Screen, counted};
use super::serve::program;
use super::{Exit, Failure};
use crate::definitions::init::{Inferred, Sample, guess_delimiter, infer};
use crate::format::csv_read::{CsvOptions, CsvReader, Step};

/// Read of a sample, at most; types show long before.
const SAMPLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Write a working set-up from a sample file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes entities/<name>.toml, jobs/<name>.toml and, where there is none, tranship.toml. Never writes over anything.

Examples:
  tranship init orders.csv
  tranship init orders.csv --dir integration")]
pub struct Init {
    /// A delimited text file in UTF-8 whose first line names the columns
    #[arg(value_name = "SAMPLE")]
    sample: PathBuf,
    /// Folder to write to; made when it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Init {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let parsed = Parsed::read(&self.sample).await?;
        let inferred = parsed.infer(&self.sample)?;
        let written = write_all(&self.dir, &inferred).await?;
        if screen.is_json() {
            screen.json(&serde_json::json!({
                "entity": inferred.entity, "key": inferred.key, "job": inferred.job, "job_id": inferred.job_id,
                "files": written,
            }));
            return Ok(Exit::Ok);
        }
        screen.line(format!(
            "From {} of {} columns; key {}. Written:",
            counted(parsed.rows.len() as u64, "record"),
            parsed.header.len(),
            inferred.key.join(", ")
        ));
        for path in &written {
            screen.line(format!("  {}", path.display()));
        }
        for line in self.next_commands(&inferred.job) {
            screen.note(line);
        }
        Ok(Exit::Ok)
    }

    fn next_commands(&self, job: &str) -> Vec<String> {
        let program = program();
        let mut lines = vec!["Types and key are guesses: look at them. Then:".to_owned()];
        if self.dir != Path::new(".") {
            lines.push(format!("  cd {}", quoted(&self.dir.to_string_lossy())));
        }
        let sample = if self.dir == Path::new(".") {
            self.sample.clone()
        } else {
            // After the `cd` a relative name would miss.
            std::path::absolute(&self.sample).unwrap_or_else(|_| self.sample.clone())
        };
        let sample = quoted(&sample.to_string_lossy());
        lines.push(format!("  {program} check"));
        lines.push(format!("  {program} serve"));
        lines.push(format!("  {program} push {sample} --job {} --wait", quoted(job)));
        lines
    }
}

/// A sample's header and records.
#[derive(Debug)]
struct Parsed {
    delimiter: u8,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Parsed {
    async fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| Failure::file("read", path, &error);
        let file = fs::File::open(path).await.map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(SAMPLE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .await
            .map_err(unreadable)?;
        let whole = (bytes.len() as u64) < SAMPLE_BYTES_MAX;
        Self::parse(&bytes, whole).map_err(|what| Failure::usage(format!("{}: {what}", path.display())))
    }

    /// Reads records until the bytes end. Damaged records are left out: they say nothing about types.
    fn parse(bytes: &[u8], whole: bool) -> Result<Self, String> {
        let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = guess_delimiter(first_line);
        let mut reader = CsvReader::new(CsvOptions {
            delimiter,
            max_field_bytes: 1 << 20,
            max_record_bytes: 1 << 22,
            max_columns: 1000,
        });
        reader.feed(bytes);
        if whole {
            reader.finish();
        }
        let header = reader.header().map_err(|error| error.to_string())?;
        let header = header.ok_or("its header does not end within the first 16 MiB")?;
        let mut rows = Vec::new();
        loop {
            match reader.step() {
                Step::Record(record) => {
                    let line = record.place.line;
                    let cells = record
                        .cells
                        .into_iter()
                        .map(|cell| String::from_utf8(cell.into_owned()));
                    let cells: Result<Vec<_>, _> = cells.collect();
                    rows.push(cells.map_err(|_| format!("line {line} is not UTF-8; save the file as UTF-8"))?);
                }
                Step::Damaged(_) => {}
                Step::NeedInput | Step::End => break,
            }
        }
        Ok(Self {
            delimiter,
            header,
            rows,
        })
    }

    fn infer(&self, path: &Path) -> Result<Inferred, Failure> {
        let file_name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let sample = Sample {
            file_name: &file_name,
            delimiter: self.delimiter,
            header: &self.header,
            rows: &self.rows,
        };
        infer(&sample).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }
}

/// Writes the three files, or nothing when a definition is there already. Settings that are there stay.
async fn write_all(dir: &Path, inferred: &Inferred) -> Result<Vec<PathBuf>, Failure> {
    let entity = dir.join("entities").join(&inferred.entity_file);
    let job = dir.join("jobs").join(&inferred.job_file);
    let settings = dir.join("tranship.toml");
    for path in [&entity, &job] {
        if path.symlink_metadata().is_ok() {
            return Err(
                Failure::usage(format!("{} exists already; nothing was written", path.display()))
                    .cure("Change it by hand, move it away, or rename the sample: the definitions are named after it."),
            );
        }
    }
    let mut files = vec![(entity, &inferred.entity_toml), (job, &inferred.job_toml)];
    if settings.symlink_metadata().is_err() {
        files.push((settings, &inferred.config_toml));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let unwritable = |error: std::io::Error| Failure::file("write", &path, &error);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).await.map_err(unwritable)?;
        }
        let mut file = fs::File::create_new(&path).await.map_err(unwritable)?;
        file.write_all(text.as_bytes()).await.map_err(unwritable)?;
        file.flush().await.map_err(unwritable)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;

    async fn sample(folder: &Path, text: &str) -> Result<Exit, Failure> {
        let sample = folder.join("Order lines.csv");
        fs::write(&sample, text).await.expect("a sample");
        let init = Init {
            sample,
            dir: folder.join("set"),
            json: true,
        };
        init.run(&Screen::detect(true)).await
    }

    #[tokio::test]
    async fn the_set_loads_and_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "Order;Line;Price;Shipped\n1;1;9.50;2026-01-31\n1;2;10;\n2;1;0.10;2026-02-01\n";
        assert_eq!(sample(folder.path(), text).await, Ok(Exit::Ok));
        let set = folder.path().join("set");
        let loaded = Definitions::load(&set.join("jobs"), &set.join("entities"), &["main".to_owned()]);
        let loaded = loaded.expect("what init writes loads");
        assert_eq!(loaded.entities[0].key, ["order", "line"]);
        assert_eq!(loaded.jobs.len(), 1);

        let again = sample(folder.path(), text).await.expect_err("it is there already");
        assert_eq!(again.exit, Exit::Usage);
        assert!(again.what.contains("exists already"), "{}", again.what);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_mistake_and_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "a,a\n1,2\n"] {
            assert_eq!(
                sample(folder.path(), text).await.map_err(|failure| failure.exit),
                Err(Exit::Usage),
                "{text:?}"
            );
        }
        assert!(!folder.path().join("set").exists());
    }
}
