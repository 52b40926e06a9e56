"""Parquet as programs that are not ours write and read it.

    parquet_witness.py write FOLDER      files of one table, by pyarrow and DuckDB, in as many ways as they have
    parquet_witness.py read FILE         what pyarrow and DuckDB find in a file, as JSON; they must agree
"""

import datetime
import decimal
import json
import sys
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

BERLIN_WINTER = datetime.timezone(datetime.timedelta(hours=1))
MOMENT = datetime.datetime(2026, 1, 31, 13, 5, 7, 250000)


def table():
    """Four rows, the third without values, many times over, so that pages and dictionaries fill."""
    rows = 4000

    def column(kind, first, second, fourth):
        return pa.array([first, second, None, fourth] * (rows // 4), kind)

    codes = pa.array([f"C{number:05}" for number in range(rows)])
    return pa.table(
        {
            "code": codes,
            "title": column(pa.string(), "Größe <M>\r\n\"L\", 'x'; |", "", "日本語 😀"),
            "amount": column(pa.decimal128(18, 2), decimal.Decimal("12.50"), decimal.Decimal("-0.05"), decimal.Decimal("9999999999999999.99")),
            "rate": column(pa.float64(), 0.1, -7.0, 1e-7),
            "price": column(pa.decimal128(38, 2), decimal.Decimal("1234.50"), decimal.Decimal("-0.50"), decimal.Decimal("0")),
            "count": column(pa.int64(), 2**63 - 1, -(2**63), 0),
            "active": column(pa.bool_(), True, False, True),
            "day": column(pa.date32(), datetime.date(2026, 1, 31), datetime.date(1850, 2, 28), datetime.date(9999, 12, 31)),
            "german_day": column(pa.timestamp("ms"), datetime.datetime(2024, 2, 29), datetime.datetime(1900, 1, 1), datetime.datetime(1970, 1, 1)),
            "moment": column(pa.timestamp("us"), MOMENT, datetime.datetime(1850, 2, 28, 23, 59, 59), datetime.datetime(1970, 1, 1)),
            "local": column(pa.timestamp("us", tz="UTC"), MOMENT.replace(tzinfo=BERLIN_WINTER), MOMENT.replace(tzinfo=datetime.timezone.utc), datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)),
            "clock": column(pa.time64("us"), datetime.time(13, 5, 7), datetime.time(0, 0), datetime.time(23, 59, 59, 500000)),
            "uid": column(pa.string(), "6d31e09f-0249-459f-94f0-aad9c2c47b64", "00000000-0000-0000-0000-000000000000", "6D31E09F-0249-459F-94F0-AAD9C2C47B64"),
            "kind": column(pa.dictionary(pa.int8(), pa.string()), "Open", "Shut", "Open"),
            "note": column(pa.large_string(), "=1+2", "NA", "x"),
        }
    )


def write(folder):
    written = table()
    ways = {
        "plain": {"use_dictionary": False, "compression": "none"},
        "snappy": {"compression": "snappy"},
        "gzip": {"compression": "gzip", "data_page_version": "2.0"},
        "zstd": {"compression": "zstd", "version": "1.0"},
        "groups": {"row_group_size": 300, "data_page_size": 512, "write_page_checksum": True, "write_page_index": True},
        "int96": {"use_deprecated_int96_timestamps": True},
        "delta": {
            "use_dictionary": False,
            "data_page_version": "2.0",
            "column_encoding": {
                "code": "DELTA_BYTE_ARRAY",
                "title": "DELTA_LENGTH_BYTE_ARRAY",
                "count": "DELTA_BINARY_PACKED",
                "rate": "BYTE_STREAM_SPLIT",
                "moment": "DELTA_BINARY_PACKED",
                "active": "RLE",
            },
        },
    }
    for name, way in ways.items():
        pq.write_table(written, f"{folder}/{name}.parquet", **way)
    connection = duckdb.connect()
    connection.register("written", written)
    # Types that DuckDB has and pyarrow has not.
    select = "select * replace (cast(uid as uuid) as uid, cast(rate as float) as rate) from written"
    for name, how in {"duckdb1": "", "duckdb2": ", parquet_version v2, compression zstd"}.items():
        connection.execute(f"copy ({select}) to '{folder}/{name}.parquet' (format parquet{how})")


def shown(value):
    if isinstance(value, datetime.datetime) and value.tzinfo:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    if isinstance(value, (decimal.Decimal, datetime.date, datetime.time, uuid.UUID)):
        return str(value)
    return value


def read(file):
    by_pyarrow = pq.read_table(file)
    rows = [[shown(value) for value in row.values()] for row in by_pyarrow.to_pylist()]
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    by_duckdb = connection.execute(f"select * from read_parquet('{file}')").fetchall()
    assert [[shown(value) for value in row] for row in by_duckdb] == rows, (by_duckdb, rows)
    print(json.dumps({"types": {field.name: str(field.type) for field in by_pyarrow.schema}, "rows": rows}))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
