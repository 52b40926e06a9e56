use std::io::Write as _;

use encoding_rs::{UTF_16LE, WINDOWS_1252};
use proptest::prelude::*;

use super::*;

const OPTIONS: DecodeOptions = DecodeOptions {
    encoding: None,
    is_xml: false,
    is_text: true,
    max_unpacked_bytes: 1 << 30,
};

/// All that comes out of a file fed in pieces of this size.
fn read(options: DecodeOptions, file: &[u8], piece: usize) -> Result<Vec<u8>, FileError> {
    let (mut decoder, mut out) = (Decoder::new(options), Vec::new());
    let mut take = |decoder: &mut Decoder| -> Result<(), FileError> {
        while let Some(text) = decoder.piece()? {
            assert!(text.len() <= PIECE_BYTES_MAX, "{}", text.len());
            out.extend_from_slice(text);
        }
        Ok(())
    };
    for chunk in file.chunks(piece) {
        decoder.feed(Bytes::copy_from_slice(chunk));
        take(&mut decoder)?;
    }
    decoder.finish();
    take(&mut decoder)?;
    Ok(out)
}

/// The same whole and byte by byte.
fn both(options: DecodeOptions, file: &[u8]) -> Vec<u8> {
    let whole = read(options, file, usize::MAX).unwrap();
    assert_eq!(whole, read(options, file, 1).unwrap());
    whole
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(text, 1).unwrap()
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let text = if mark {
        format!("\u{feff}{text}")
    } else {
        text.to_owned()
    };
    let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn plain_text_passes_as_it_is() {
    for text in ["", "a", "A,B\r\n1,ü\r\n", "\u{feff}A\n1"] {
        assert_eq!(both(OPTIONS, text.as_bytes()), text.as_bytes());
    }
    assert_eq!(
        both(OPTIONS, b"A\n\xff\xfe1"),
        b"A\n\xff\xfe1",
        "damage stays for the reader to report"
    );
}

#[test]
fn gzip_and_zstd_are_known_by_their_first_bytes() {
    let text = "A,B\r\n1,2\r\n".repeat(50_000).into_bytes();
    for packed in [gzip(&text), zstd(&text)] {
        assert!(packed.len() < text.len());
        assert_eq!(read(OPTIONS, &packed, usize::MAX).unwrap(), text);
        assert_eq!(read(OPTIONS, &packed, 7).unwrap(), text);
    }
    let members = [gzip(b"A\n"), gzip(b"1\n")].concat();
    assert_eq!(
        both(OPTIONS, &members),
        b"A\n1\n",
        "members of a gzip file follow each other"
    );
    let packed = gzip(&utf16("Ä\r\n1\r\n", false, true));
    assert_eq!(
        both(OPTIONS, &packed),
        "Ä\r\n1\r\n".as_bytes(),
        "unpacked first, decoded then"
    );
}

#[test]
fn a_packed_file_that_is_cut_or_broken_says_so() {
    let text = "A,B\r\n1,2\r\n".repeat(5_000).into_bytes();
    for packed in [gzip(&text), zstd(&text)] {
        let cut = read(OPTIONS, &packed[..packed.len() - 9], 100).unwrap_err();
        assert_eq!(cut.code, "packing_damaged", "{cut}");
        let mut broken = packed.clone();
        let middle = broken.len() / 2;
        broken[middle..middle + 8].fill(0xa5);
        assert_eq!(read(OPTIONS, &broken, 100).unwrap_err().code, "packing_damaged");
    }
}

#[test]
fn what_unpacks_to_too_much_is_given_up_in_time() {
    let bomb = zstd(&vec![0; 64 << 20]);
    assert!(bomb.len() < 64 << 10);
    let options = DecodeOptions {
        max_unpacked_bytes: 1 << 20,
        is_text: false,
        ..OPTIONS
    };
    let error = read(options, &bomb, usize::MAX).unwrap_err();
    assert_eq!(error.code, "unpacked_too_large");
    // What is not packed unpacks to nothing.
    assert_eq!(read(options, &vec![b'x'; 2 << 20], 64 << 10).unwrap().len(), 2 << 20);
}

#[test]
fn a_small_file_cannot_become_a_large_one() {
    let options = DecodeOptions {
        max_unpacked_bytes: u64::MAX,
        is_text: false,
        ..OPTIONS
    };
    let few = 64 << 20;
    let unpacked = |bytes: usize| read(options, &zstd(&vec![0; bytes]), usize::MAX);
    assert_eq!(unpacked(few).unwrap().len(), few);
    let error = unpacked(few + 1).unwrap_err();
    assert_eq!(error.code, "unpacked_too_large");
    assert!(error.reason.contains("1,000 bytes for each packed one"), "{error}");
}

#[test]
fn a_window_that_would_fill_the_memory_is_refused() {
    let packed = |window_log| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        // Nobody says beforehand how long it gets, so the frame has to name its window.
        encoder.write_all(b"a,b\r\n").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(OPTIONS, &packed(23), usize::MAX).unwrap(), b"a,b\r\n");
    let error = read(OPTIONS, &packed(24), usize::MAX).unwrap_err();
    assert_eq!(error.code, "packing_damaged");
    assert!(error.reason.contains("--long"), "{error}");
}

#[test]
fn a_byte_order_mark_decides_before_anything_else() {
    let text = "Größe,B\r\n1,\u{1f600}\r\n";
    for big in [false, true] {
        let options = DecodeOptions {
            encoding: Some(WINDOWS_1252),
            ..OPTIONS
        };
        assert_eq!(both(options, &utf16(text, big, true)), text.as_bytes());
    }
}

#[test]
fn without_a_mark_the_declared_encoding_counts_then_zeros() {
    let text = "Größe,B\r\n1,2\r\n";
    let latin = WINDOWS_1252.encode(text).0.into_owned();
    let declared = |encoding| DecodeOptions {
        encoding: Some(encoding),
        ..OPTIONS
    };
    assert_eq!(both(declared(WINDOWS_1252), &latin), text.as_bytes());
    assert_eq!(both(declared(UTF_16LE), &utf16(text, false, false)), text.as_bytes());
    for big in [false, true] {
        assert_eq!(
            both(OPTIONS, &utf16(text, big, false)),
            text.as_bytes(),
            "found by its zeros"
        );
    }
    assert_eq!(
        both(OPTIONS, b"A\0,B\n1,\0\n"),
        b"A\0,B\n1,\0\n",
        "a few zeros are no UTF-16"
    );
}

#[test]
fn an_xml_declaration_names_the_encoding() {
    let xml = DecodeOptions {
        is_xml: true,
        ..OPTIONS
    };
    let text = "<?xml version='1.0' encoding = 'ISO-8859-1' ?><D><R A=\"Größe\"/></D>";
    let latin = WINDOWS_1252.encode(text).0.into_owned();
    assert_eq!(both(xml, &latin), text.as_bytes());
    assert_eq!(both(OPTIONS, &latin), latin, "elsewhere it is a text like any other");
    let wrong = text.replace("ISO-8859-1", "utf-16");
    assert_eq!(
        both(xml, wrong.as_bytes()),
        wrong.as_bytes(),
        "what can be read as bytes is no UTF-16"
    );
    let wide = utf16(&wrong, false, false);
    assert_eq!(both(xml, &wide), wrong.as_bytes());
}

#[test]
fn damage_in_another_encoding_is_no_utf8_either() {
    let mut file = utf16("A\r\nx", false, true);
    file.extend_from_slice(&[0x00, 0xdc]);
    file.extend_from_slice(&utf16("y\r\n", false, false));
    assert_eq!(both(OPTIONS, &file), b"A\r\nx\xffy\r\n");
    file.push(b'z');
    assert_eq!(both(OPTIONS, &file), b"A\r\nx\xffy\r\n\xff", "half a unit at the end");
}

proptest! {
    #[test]
    fn no_bytes_panic_and_pieces_do_not_matter(file in prop::collection::vec(any::<u8>(), 0..600), piece in 1_usize..40) {
        for start in [&b""[..], &[0x1f, 0x8b, 8], &[0x28, 0xb5, 0x2f, 0xfd], &[0xff, 0xfe]] {
            let file = [start, &file].concat();
            let whole = read(OPTIONS, &file, usize::MAX).map_err(|error| error.code);
            let pieces = read(OPTIONS, &file, piece).map_err(|error| error.code);
            prop_assert_eq!(whole, pieces);
        }
    }
}
