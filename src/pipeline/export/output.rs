//! Where an export's bytes go: into the payload as they are, packed, or through a package's zip.
//!
//! Packing takes as long as reading and writing the records together, so it is done beside them: a piece is packed on a thread for
//! such work while its successor is made. There is never more than one under way, and nothing overtakes.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::GzEncoder;
use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};
use zstd::stream::write::Encoder as ZstdEncoder;

use super::data_file::sheet;
use super::parts::Part;
use super::run::Run;
use crate::blob::PayloadHasher;
use crate::domain::export::{Compression, ExportSpec, SIDECAR_FILE};
use crate::domain::ids::JobId;
use crate::domain::job::DataSource;
use crate::domain::time::Timestamp;
use crate::format::package::{ManifestEntity, PackageWriter, safe_name};
use crate::pipeline::payload::{PayloadSink, StoredPayload};
use crate::pipeline::stop::Stop;

/// An export's bytes on their way.
pub(super) struct Output {
    sink: PayloadSink,
    /// The step of packing that is under way, or was the last.
    packing: JoinHandle<io::Result<Packed>>,
    /// What is told of the files, where it is told.
    files: Option<Files>,
}

/// A step of packing, done: what goes on with the next one, and the bytes that became ready.
type Packed = (Packing, Vec<u8>);

enum Packing {
    None(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Package(Box<PackageWriter>),
}

/// The files of a package so far.
#[derive(Default)]
struct Files {
    written: Vec<WrittenFile>,
    /// Of the one being written.
    hasher: PayloadHasher,
}

/// What the sidecar says of a package.
#[derive(Debug, Serialize)]
struct Sidecar<'a> {
    job: &'a str,
    activity_id: JobId,
    due_at: Timestamp,
    files: Vec<WrittenFile>,
}

#[derive(Debug, Serialize)]
struct WrittenFile {
    file: String,
    bytes: u64,
    digest: String,
    entities: Vec<WrittenEntity>,
}

#[derive(Debug, Serialize)]
struct WrittenEntity {
    entity: String,
    records: u64,
}

impl Output {
    /// Begins a payload of a run.
    pub fn begin(run: Run<'_>) -> Result<Self, Stop> {
        let Run { job, spec, parts, .. } = run;
        let is_package = job.data_source == DataSource::Package;
        let packing = match spec.packed() {
            _ if is_package => {
                let entities: Vec<_> = parts.iter().map(|part| listed(part, spec)).collect();
                Packing::Package(Box::new(PackageWriter::new(&job.name, &entities)?))
            }
            None => Packing::None(Vec::new()),
            Some(Compression::Gzip) => Packing::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Some(Compression::Zstd) => Packing::Zstd(ZstdEncoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?),
        };
        Ok(Self {
            sink: match run.requested {
                Some(_) => PayloadSink::of_blob_host(run.context),
                None => PayloadSink::new(run.context),
            },
            packing: spawn_blocking(|| Ok((packing, Vec::new()))),
            files: (is_package && spec.sidecar).then(Files::default),
        })
    }

    /// Begins the next file.
    pub async fn begin_file(&mut self, name: &str) -> Result<(), Stop> {
        let name = name.to_owned();
        self.then(move |packing| match packing {
            Packing::Package(package) => package.begin_file(&name),
            Packing::None(_) | Packing::Gzip(_) | Packing::Zstd(_) => Ok(()),
        })
        .await
    }

    /// Adds bytes to it.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        if let Some(files) = &mut self.files {
            files.hasher.update(&bytes);
        }
        self.then(move |packing| packing.write(bytes)).await
    }

    /// Ends it; it has so many records of each entity, by its label.
    pub fn end_file(&mut self, name: &str, counts: &[(String, u64)]) {
        let Some(files) = &mut self.files else { return };
        let hasher = std::mem::take(&mut files.hasher);
        let entity = |(entity, records): &(String, u64)| WrittenEntity {
            entity: entity.clone(),
            records: *records,
        };
        files.written.push(WrittenFile {
            file: safe_name(name),
            bytes: hasher.count(),
            digest: hasher.finish().content_digest(),
            entities: counts.iter().map(entity).collect(),
        });
    }

    /// Ends the payload.
    pub async fn finish(mut self, run: Run<'_>) -> Result<StoredPayload, Stop> {
        let (mut packing, ready) = self.packed().await?;
        self.send(ready).await?;
        if let (Packing::Package(package), Some(files)) = (&mut packing, self.files.take()) {
            let sidecar = Sidecar {
                job: &run.job.name,
                activity_id: run.job.id,
                due_at: run.due_at,
                files: files.written,
            };
            let content = serde_json::to_vec_pretty(&sidecar).map_err(io::Error::from)?;
            package.add_document(SIDECAR_FILE, &content)?;
        }
        self.send(packing.finish()?).await?;
        Ok(self.sink.finish().await?)
    }

    /// Begins the next step of packing when the one before is done, and sends on what became ready by that.
    async fn then(&mut self, step: impl FnOnce(&mut Packing) -> io::Result<()> + Send + 'static) -> Result<(), Stop> {
        let (mut packing, ready) = self.packed().await?;
        self.packing = spawn_blocking(move || {
            step(&mut packing)?;
            let ready = packing.take();
            Ok((packing, ready))
        });
        self.send(ready).await
    }

    /// Waits for the step that is under way.
    async fn packed(&mut self) -> Result<Packed, Stop> {
        let done = (&mut self.packing).await;
        Ok(done.map_err(|error| Stop::Retry(format!("packing an export broke off: {error}")))??)
    }

    async fn send(&mut self, ready: Vec<u8>) -> Result<(), Stop> {
        if ready.is_empty() {
            return Ok(());
        }
        Ok(self.sink.write(Bytes::from(ready)).await?)
    }
}

impl Packing {
    fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::None(ready) => *ready = bytes,
            Self::Gzip(gzip) => gzip.write_all(&bytes)?,
            Self::Zstd(zstd) => zstd.write_all(&bytes)?,
            Self::Package(package) => package.write(&bytes)?,
        }
        Ok(())
    }

    /// The bytes that became ready since the last call.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::None(ready) => std::mem::take(ready),
            Self::Gzip(gzip) => std::mem::take(gzip.get_mut()),
            Self::Zstd(zstd) => std::mem::take(zstd.get_mut()),
            Self::Package(package) => package.take(),
        }
    }

    /// The last bytes.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::None(ready) => Ok(ready),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Zstd(zstd) => zstd.finish(),
            Self::Package(package) => package.finish(),
        }
    }
}

/// A file as the manifest lists it.
fn listed(part: &Part<'_>, spec: &ExportSpec) -> ManifestEntity {
    let sheet = sheet(part, &spec.format);
    let fields = match (part.composite, part.sources.first()) {
        (None, Some(source)) => source.fields.iter().cloned().zip(source.columns()).collect(),
        _ => Vec::new(),
    };
    ManifestEntity {
        label: part.label.to_owned(),
        target: part.target.to_owned(),
        file: part.file.clone(),
        format: spec.format.source_format(spec.encoding.as_deref()),
        // As Excel's own drivers call a sheet (FMT-12).
        sheet: if sheet.is_empty() { sheet } else { format!("{sheet}$") },
        fields,
    }
}
