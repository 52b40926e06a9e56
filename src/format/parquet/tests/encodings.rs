//! Files of other writers' making: every encoding, both versions of pages, every packing.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::told;

/// Values of a column.
const VALUES: u16 = 2000;

/// A file of one optional column; every third record is null, and every page has few values.
fn column<T: DataType>(column: &str, properties: WriterPropertiesBuilder, values: &[T::T]) -> Vec<u8> {
    let schema = parse_message_type(&format!("message schema {{ OPTIONAL {column}; }}")).expect("a schema");
    let properties = properties
        .set_data_page_row_count_limit(700)
        .set_write_batch_size(64)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).expect("a writer");
    let levels: Vec<i16> = (0..)
        .map(|at| i16::from(at % 3 != 2))
        .take(values.len() / 2 * 3)
        .collect();
    let mut group = writer.next_row_group().expect("a group");
    let mut into = group.next_column().expect("a column").expect("a column");
    into.typed::<T>()
        .write_batch(values, Some(&levels), None)
        .expect("written");
    into.close().expect("closed");
    group.close().expect("closed");
    writer.into_inner().expect("ended")
}

fn check<T: DataType>(schema: &str, encodings: &[Encoding], value: impl Fn(u16) -> T::T, text: impl Fn(u16) -> String) {
    let values: Vec<T::T> = (0..VALUES).map(value).collect();
    let expected: Vec<Vec<String>> = (0..VALUES / 2 * 3)
        .map(|at| {
            vec![if at % 3 == 2 {
                String::new()
            } else {
                text(at / 3 * 2 + at % 3)
            }]
        })
        .collect();
    let packings = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for packing in packings {
            let of = || {
                WriterProperties::builder()
                    .set_writer_version(version)
                    .set_compression(packing)
            };
            let mut files = vec![("a dictionary".to_owned(), column::<T>(schema, of(), &values))];
            for encoding in encodings {
                let properties = of().set_dictionary_enabled(false).set_encoding(*encoding);
                files.push((encoding.to_string(), column::<T>(schema, properties, &values)));
            }
            for (name, file) in files {
                let told =
                    told(&file).unwrap_or_else(|error| panic!("{schema}, {name}, {version:?}, {packing}: {error}"));
                assert!(
                    told.damaged.is_empty(),
                    "{schema}, {name}, {version:?}, {packing}: {:?}",
                    told.damaged
                );
                assert_eq!(told.records, expected, "{schema}, {name}, {version:?}, {packing}");
            }
        }
    }
}

#[test]
fn whole_numbers() {
    let spread = |at: u16| (i64::from(at) * 7919 % 1000 - 500) * if at.is_multiple_of(50) { i64::MAX / 600 } else { 1 };
    let encodings = [
        Encoding::PLAIN,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    check::<Int64Type>("int64 a", &encodings, spread, |at| spread(at).to_string());
    let narrow = |at: u16| i32::try_from(spread(at).clamp(i32::MIN.into(), i32::MAX.into())).expect("clamped");
    check::<Int32Type>("int32 a", &encodings, narrow, |at| narrow(at).to_string());
    check::<Int32Type>("int32 a (UINT_32)", &encodings, narrow, |at| {
        narrow(at).cast_unsigned().to_string()
    });
}

#[test]
fn truth_values() {
    let is = |at: u16| at.is_multiple_of(5) || at > 1500;
    check::<BoolType>("boolean a", &[Encoding::PLAIN, Encoding::RLE], is, |at| {
        is(at).to_string()
    });
}

#[test]
fn floating_point_numbers() {
    let number = |at: u16| f64::from(at) / 8.0;
    let encodings = [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT];
    check::<DoubleType>("double a", &encodings, number, |at| number(at).to_string());
    check::<FloatType>(
        "float a",
        &encodings,
        |at| f32::from(at) / 8.0,
        |at| number(at).to_string(),
    );
}

#[test]
fn texts() {
    let text = |at: u16| format!("customer {:04} of {}", at % 977, "é".repeat(usize::from(at % 7)));
    let encodings = [
        Encoding::PLAIN,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
    ];
    let value = |at: u16| ByteArray::from(text(at).as_str());
    for schema in ["binary a (UTF8)", "binary a", "binary a (JSON)", "binary a (ENUM)"] {
        check::<ByteArrayType>(schema, &encodings, value, text);
    }
}

#[test]
fn bytes_of_a_fixed_length() {
    let encodings = [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT, Encoding::DELTA_BYTE_ARRAY];
    let value = |at: u16| FixedLenByteArray::from(ByteArray::from((i64::from(at) - 1000).to_be_bytes().to_vec()));
    let cents = |at: u16| {
        let cents = i64::from(at) - 1000;
        format!(
            "{}{}.{:02}",
            if cents < 0 { "-" } else { "" },
            cents.abs() / 100,
            cents.abs() % 100
        )
    };
    check::<FixedLenByteArrayType>("fixed_len_byte_array(8) a (DECIMAL(18,2))", &encodings, value, cents);
}

#[test]
fn timestamps_of_96_bits() {
    let value = |at: u16| {
        let mut int96 = Int96::new();
        let nanos = (u64::from(at) % 60) * 1_000_000_000;
        let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).expect("32 bits");
        int96.set_data(half(nanos), half(nanos >> 32), 2_440_588);
        int96
    };
    check::<Int96Type>("int96 a", &[Encoding::PLAIN], value, |at| {
        format!("1970-01-01 00:00:{:02}Z", at % 60)
    });
}
