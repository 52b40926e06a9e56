//! Parquet, written in several ways by the crate whose reader is not ours.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tranship::format::parquet::{ParquetOptions, ParquetReader};

use super::{COLUMNS_MAX, FIELD_BYTES_MAX, Places, RECORD_BYTES_MAX, fuzz, read, with_data};

const ROWS: usize = 40;
const SCHEMA: &str = "message schema { OPTIONAL binary text (UTF8); OPTIONAL int64 number; OPTIONAL int32 day (DATE); \
    OPTIONAL boolean truth; OPTIONAL fixed_len_byte_array(9) amount (DECIMAL(20,4)); OPTIONAL double rate; }";

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, value: impl Fn(i32) -> T::T) {
    let levels: Vec<i16> = (0..ROWS).map(|at| i16::from(at % 5 != 4)).collect();
    let values: Vec<T::T> = (0..32).map(|at| value(at * 7919 % 100)).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
}

fn seed(version: WriterVersion, packing: Compression, encodings: &[(&str, Encoding)]) -> Vec<u8> {
    let mut properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(packing)
        .set_data_page_row_count_limit(16)
        .set_write_batch_size(8)
        .set_dictionary_enabled(encodings.is_empty());
    for (column, encoding) in encodings {
        properties = properties.set_column_encoding((*column).into(), *encoding);
    }
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        column::<ByteArrayType>(&mut group, |at| ByteArray::from(format!("Größe {at}").as_str()));
        column::<Int64Type>(&mut group, i64::from);
        column::<Int32Type>(&mut group, |at| at);
        column::<BoolType>(&mut group, |at| at > 50);
        column::<FixedLenByteArrayType>(&mut group, |at| {
            FixedLenByteArray::from(ByteArray::from([&[0; 5][..], &at.to_be_bytes()].concat()))
        });
        column::<DoubleType>(&mut group, |at| f64::from(at) / 8.0);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough"
)]
fn parquet() {
    let (first, second) = (WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0);
    let deltas = [
        ("text", Encoding::DELTA_BYTE_ARRAY),
        ("number", Encoding::DELTA_BINARY_PACKED),
        ("day", Encoding::DELTA_BINARY_PACKED),
        ("truth", Encoding::RLE),
        ("amount", Encoding::DELTA_BYTE_ARRAY),
        ("rate", Encoding::BYTE_STREAM_SPLIT),
    ];
    let lengths = [
        ("text", Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ("amount", Encoding::BYTE_STREAM_SPLIT),
    ];
    let seeds = [
        with_data(|data| data.parquet()),
        seed(first, Compression::UNCOMPRESSED, &[]),
        seed(first, Compression::SNAPPY, &[]),
        seed(second, Compression::ZSTD(parquet::basic::ZstdLevel::default()), &[]),
        seed(second, Compression::UNCOMPRESSED, &deltas),
        seed(first, Compression::UNCOMPRESSED, &lengths),
    ];
    fuzz("parquet", &seeds, |file, chance| {
        let options = ParquetOptions {
            max_columns: COLUMNS_MAX,
            max_field_bytes: FIELD_BYTES_MAX,
            max_record_bytes: RECORD_BYTES_MAX,
            // A run of nulls is many records in few bytes: no more than are taken for reading for ever.
            max_unpacked_bytes: 10_000,
            spill_dir: std::env::temp_dir(),
        };
        read(Box::new(ParquetReader::new(options)), file, Places::Rows, chance);
    });
}
