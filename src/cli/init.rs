//! `tranship init`: a working set of definitions from a sample file. Never writes over anything.

use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::screen::{Screen, counted};
use super::shell::{program, quoted};
use super::{Exit, Failure};
use crate::config::DEFAULTS;
use crate::definitions::init::{Inferred, Sample, guess_delimiter, infer};
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::format::record::{RecordReader as _, Step};

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
        parsed.refuse_rejects(&self.sample)?;
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
            "From {} of {}; key {}. Written:",
            counted(parsed.rows.len() as u64, "record"),
            counted(parsed.header.len() as u64, "column"),
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
        let mut reader = CsvReader::new(limits(delimiter));
        reader.feed(bytes);
        if whole {
            reader.finish();
        }
        let header = reader.header().map_err(|error| without_settings(&error.to_string()))?;
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

    /// A rejects file is no sample: its records are the broken ones, and imports keep its first columns to themselves.
    fn refuse_rejects(&self, path: &Path) -> Result<(), Failure> {
        let own = [REJECT_ID_COLUMN, ERROR_COLUMN];
        let found = own
            .into_iter()
            .find(|own| self.header.iter().any(|name| name.trim().eq_ignore_ascii_case(own)));
        found.map_or(Ok(()), |own| {
            Err(Failure::usage(format!(
                "{} has a column `{own}`, which belongs to files of rejected records",
                path.display()
            ))
            .cure("Take the file they were rejected from as the sample, or rename the column."))
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

/// The limits a new set-up has. A sample is read before there are settings to raise them in.
fn limits(delimiter: u8) -> CsvOptions {
    let defaults: toml::Table = DEFAULTS.parse().expect("a test reads the embedded defaults");
    let number = |key: &str| {
        let value = defaults.get("file").and_then(|file| file.get(key)?.as_integer());
        value
            .and_then(|value| usize::try_from(value).ok())
            .expect("a test reads every limit of the embedded defaults")
    };
    CsvOptions {
        delimiter,
        max_field_bytes: number("max_field_bytes"),
        max_record_bytes: number("max_record_bytes"),
        max_columns: number("max_columns"),
    }
}

/// A reader's sentence without the setting it names: here that setting would change nothing.
fn without_settings(reason: &str) -> String {
    match reason.split_once(" (file.") {
        Some((before, rest)) => format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after)),
        None => reason.to_owned(),
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
        for text in ["", "a,a\n1,2\n", "_reject_id,_error,a\nx,y,1\n"] {
            assert_eq!(
                sample(folder.path(), text).await.map_err(|failure| failure.exit),
                Err(Exit::Usage),
                "{text:?}"
            );
        }
        assert!(!folder.path().join("set").exists());
    }
    #[test]
    fn a_sample_may_be_as_wide_as_an_import_and_no_setting_is_named_that_is_not_obeyed() {
        let wide = |columns: usize| -> Vec<u8> {
            let names: Vec<_> = (0..columns).map(|number| format!("c{number}")).collect();
            format!("{}\n", names.join(",")).into_bytes()
        };
        assert_eq!(
            Parsed::parse(&wide(2000), true).map(|parsed| parsed.header.len()),
            Ok(2000)
        );
        let refused = Parsed::parse(&wide(2001), true).expect_err("too wide");
        assert!(
            refused.contains("2000 columns") && !refused.contains("csv."),
            "{refused}"
        );
    }
}
