use super::sink::CHUNK_BYTES;
use super::window::PIECE_BYTES_MAX;
use super::*;
use crate::blob::{BlobReader, PayloadHasher};
use crate::domain::reject::{RecordCode, RecordError, RecordPlace};
use crate::format::csv_read::CsvOptions;
use crate::storage::executions::StoredError;

const OPTIONS: CsvOptions = CsvOptions {
    delimiter: b',',
    max_field_bytes: 1 << 20,
    max_record_bytes: 1 << 22,
    max_columns: 100,
};

fn payload(text: &[u8]) -> Window {
    let options = TextOptions {
        format: &FileFormat::Csv { delimiter: b',' },
        encoding: None,
        max_unpacked_bytes: 1 << 30,
    };
    let payload = BlobReader::from_bytes(Bytes::copy_from_slice(text), PayloadHasher::digest(text), "test");
    Window::new(DataFile::new(payload, options))
}

fn damaged(start: usize, end: usize) -> StoredError {
    StoredError {
        reject: "00000000-0000-4000-8000-000000000001.0.1".parse().unwrap(),
        ordinal: 0,
        origin: None,
        by_target: false,
        error: RecordError {
            place: RecordPlace {
                record: 1,
                line: 2,
                byte_start: start as u64,
                byte_end: end as u64,
            },
            column: Some(1),
            field: None,
            code: RecordCode::BrokenQuote,
            value: None,
            reason: String::new(),
        },
    }
}

/// The chunks of the file that holds one reject, `from` that offset to the end.
async fn file_of(text: &[u8], from: usize) -> Vec<Bytes> {
    let (out, mut chunks) = mpsc::channel(1);
    let writes = async move {
        let mut file = RejectsFile {
            payload: payload(text),
            sink: Sink::new(&out, b','),
            delimiter: b',',
        };
        let own = file.header(OPTIONS).await?;
        file.reject((&damaged(from, text.len()), "why"), &own, &[]).await?;
        file.sink.flush().await
    };
    let reads = async {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            all.push(chunk.unwrap());
        }
        all
    };
    let (written, chunks) = tokio::join!(writes, reads);
    written.unwrap();
    chunks
}

#[tokio::test]
async fn a_record_as_long_as_the_payload_passes_in_bounded_chunks() {
    let header = b"A,B\r\n";
    let mut text = header.to_vec();
    // Line breaks everywhere: one of them lies where a chunk ends, whatever its size.
    text.extend_from_slice(&b"\"\r\n".repeat(1 << 20));
    let chunks = file_of(&text, header.len()).await;
    let mut expected = b"_reject_id,_error,A,B\r\n00000000-0000-4000-8000-000000000001.0.1,why,".to_vec();
    expected.extend_from_slice(&text[header.len()..]);
    assert!(chunks.concat() == expected, "byte for byte");
    assert!(chunks.len() > 10, "{}", chunks.len());
    let longest = chunks.iter().map(Bytes::len).max().unwrap();
    assert!(longest <= CHUNK_BYTES + PIECE_BYTES_MAX, "{longest}");
}

#[tokio::test]
async fn the_last_record_may_lack_a_row_end_or_have_any() {
    for (record, text) in [
        ("\"1", "\"1"),
        ("\"1\n", "\"1"),
        ("\"1\r", "\"1"),
        ("\"1\n\r\n", "\"1\n"),
    ] {
        let chunks = file_of(format!("\u{feff}\r\n\nA\r{record}").as_bytes(), 8).await;
        let expected = format!("_reject_id,_error,A\r\n00000000-0000-4000-8000-000000000001.0.1,why,{text}\r\n");
        assert_eq!(String::from_utf8(chunks.concat()).unwrap(), expected);
    }
}

#[tokio::test]
async fn nothing_is_read_for_a_receiver_that_is_gone() {
    let (out, chunks) = mpsc::channel(1);
    drop(chunks);
    let sink = Sink::new(&out, b',');
    let mut window = payload(b"A,B\r\n1,2\r\n");
    assert!(matches!(window.header(OPTIONS, &sink).await, Err(Halt::Gone)));
    assert!(matches!(window.piece(5, 10, &sink).await, Err(Halt::Gone)));
}

#[tokio::test]
async fn a_payload_that_ends_too_early_is_an_error() {
    let (out, _chunks) = mpsc::channel(1);
    let sink = Sink::new(&out, b',');
    let mut window = payload(b"A,B\r\n1,2\r\n");
    assert!(window.piece(5, 11, &sink).await.unwrap().is_some());
    let end = window.piece(5, 11, &sink).await;
    assert!(matches!(end, Err(Halt::Source(SourceError::Unreadable(_)))), "{end:?}");
}
