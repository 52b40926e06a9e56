//! The rejects file of a format whose records name their members, or stand at fixed places: each record as it was sent, with
//! the two of ours put in.

use super::Halt;
use super::corrections::corrected;
use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use crate::domain::job::FileFormat;
use crate::domain::reject::RecordPlace;
use crate::format::fixed::FixedRejects;
use crate::format::json::JsonShape;
use crate::format::xml::{XmlRejects, XmlStyle};

/// Of a record that is longer than any that can be read, so much is shown.
const SHOWN_BYTES: u64 = 64 << 10;
/// How far the file is looked into for how it begins.
const HEAD_BYTES: usize = 64 << 10;

/// How records of a format are put in.
enum Splicer {
    Json(JsonShape),
    Xml(XmlRejects),
    Fixed(FixedRejects),
}

/// Writes the file.
pub(super) async fn write(
    format: &FileFormat,
    record_bytes_max: usize,
    payload: &mut Window,
    sink: &mut Sink<'_>,
    pages: &mut Pages<'_>,
) -> Result<(), Halt> {
    let splicer = Splicer::new(format, &payload.head(HEAD_BYTES, sink).await?);
    if !payload.is_utf8() {
        sink.mark_utf8();
    }
    sink.append(|out| splicer.prefix(out));
    let mut is_first = true;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for (first, reasons) in page {
            let (raw, is_cut) = record(payload, sink, first.error.place, record_bytes_max).await?;
            let raw = corrected(format, raw, pages.corrections(&first))?;
            let id = first.reject.to_string();
            sink.append(|out| splicer.record(out, &raw, (&id, &reasons), is_first, is_cut));
            is_first = false;
            sink.flush_when_full().await?;
        }
    }
    sink.append(|out| splicer.suffix(out));
    sink.flush().await
}

/// The record's own text, and whether it is only its beginning.
async fn record(
    payload: &mut Window,
    sink: &Sink<'_>,
    place: RecordPlace,
    record_bytes_max: usize,
) -> Result<(Vec<u8>, bool), Halt> {
    let is_cut = place.byte_end - place.byte_start > record_bytes_max as u64;
    let end = if is_cut {
        place.byte_start + SHOWN_BYTES
    } else {
        place.byte_end
    };
    let mut raw = Vec::new();
    while let Some(piece) = payload.piece(place.byte_start, end, sink).await? {
        raw.extend_from_slice(&piece);
    }
    Ok((raw, is_cut))
}

impl Splicer {
    fn new(format: &FileFormat, head: &[u8]) -> Self {
        match format {
            FileFormat::XmlElement => Self::Xml(XmlRejects::new(XmlStyle::Element, head)),
            FileFormat::XmlAttribute => Self::Xml(XmlRejects::new(XmlStyle::Attribute, head)),
            FileFormat::Fixed(columns) => Self::Fixed(FixedRejects::new(columns)),
            FileFormat::JsonLines => Self::Json(JsonShape::Lines),
            FileFormat::Json | FileFormat::Csv { .. } | FileFormat::Xlsx { .. } | FileFormat::Parquet => {
                Self::Json(JsonShape::Document)
            }
        }
    }

    fn prefix(&self, out: &mut Vec<u8>) {
        match self {
            Self::Json(json) => json.prefix(out),
            Self::Xml(xml) => xml.prefix(out),
            Self::Fixed(_) => {}
        }
    }

    fn record(&self, out: &mut Vec<u8>, raw: &[u8], (id, error): (&str, &str), is_first: bool, is_cut: bool) {
        match self {
            Self::Json(json) => json.reject(out, raw, id, error, is_first, is_cut),
            Self::Xml(xml) => xml.record(out, raw, id, error, is_cut),
            Self::Fixed(fixed) => fixed.record(out, raw, id, error, is_first, is_cut),
        }
    }

    fn suffix(&self, out: &mut Vec<u8>) {
        match self {
            Self::Json(json) => json.suffix(out),
            Self::Xml(xml) => xml.suffix(out),
            Self::Fixed(_) => {}
        }
    }
}
