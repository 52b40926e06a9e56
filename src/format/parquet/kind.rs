//! What a column's values are, by its physical, logical and converted type.

/// How values lie in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    /// Of so many bytes: numbers of every kind, and byte arrays of a fixed length.
    Fixed(usize),
    /// Any number of bytes, their length in front.
    ByteArray,
}

/// What values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    /// Without a sign, in so many bytes.
    Unsigned,
    Float16,
    Float32,
    Float64,
    /// A number of units, with so many digits behind the point. As a byte array the highest byte is first.
    Decimal {
        scale: u32,
        is_big_endian: bool,
    },
    Date,
    Time(Unit),
    Timestamp {
        unit: Unit,
        is_utc: bool,
    },
    /// A timestamp of 96 bits: nanoseconds of a Julian day.
    Int96,
    Uuid,
    Text,
}

/// What times are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// A logical or converted type, as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Annotation {
    Text,
    Int,
    Unsigned,
    Decimal {
        scale: i64,
    },
    Date,
    Time(Unit),
    Timestamp {
        unit: Unit,
        is_utc: bool,
    },
    Uuid,
    Float16,
    /// Always null.
    Unknown,
    /// None that one value of a record has.
    Nested,
    /// One that is not read: its name.
    Other(&'static str),
}

/// Longest number a decimal's digits may be behind the point.
const SCALE_MAX: u32 = 1000;

/// The meaning of a physical type, by its number in the format, with what is said beside it; otherwise why there is none.
pub(super) fn meaning(
    physical: i64,
    length: i64,
    annotation: Option<Annotation>,
) -> Result<(Physical, Kind), &'static str> {
    let (layout, plain) = match physical {
        0 => (Physical::Boolean, Kind::Bool),
        1 => (Physical::Fixed(4), Kind::Int),
        2 => (Physical::Fixed(8), Kind::Int),
        3 => (Physical::Fixed(12), Kind::Int96),
        4 => (Physical::Fixed(4), Kind::Float32),
        5 => (Physical::Fixed(8), Kind::Float64),
        6 => (Physical::ByteArray, Kind::Text),
        7 => match usize::try_from(length) {
            Ok(length) if length > 0 => (Physical::Fixed(length), Kind::Text),
            _ => return Err("a byte array of a fixed length without a length"),
        },
        _ => return Err("a type that is not known"),
    };
    let is_int = matches!(physical, 1 | 2);
    let is_bytes = matches!(physical, 6 | 7);
    let kind = match annotation {
        None | Some(Annotation::Unknown) => plain,
        Some(Annotation::Text) if is_bytes => Kind::Text,
        Some(Annotation::Int) if is_int => Kind::Int,
        Some(Annotation::Unsigned) if is_int => Kind::Unsigned,
        Some(Annotation::Decimal { scale }) if is_int || is_bytes => match u32::try_from(scale) {
            Ok(scale) if scale <= SCALE_MAX => Kind::Decimal {
                scale,
                is_big_endian: is_bytes,
            },
            _ => return Err("a decimal of no such scale"),
        },
        Some(Annotation::Date) if physical == 1 => Kind::Date,
        Some(Annotation::Time(unit)) if is_int => Kind::Time(unit),
        Some(Annotation::Timestamp { unit, is_utc }) if physical == 2 => Kind::Timestamp { unit, is_utc },
        Some(Annotation::Uuid) if layout == Physical::Fixed(16) && is_bytes => Kind::Uuid,
        Some(Annotation::Float16) if layout == Physical::Fixed(2) => Kind::Float16,
        Some(Annotation::Other(name)) => return Err(name),
        Some(_) => return Err("two types that do not fit"),
    };
    Ok((layout, kind))
}
