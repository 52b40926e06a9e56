//! Physical lines: they end with CRLF, LF or CR.

/// Length of the line break that `bytes` begins with; `None` when a CR is the last byte known and LF may follow.
/// Zero when there is no line break.
pub(super) fn line_break(bytes: &[u8], last: bool) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r'] if !last => None,
        [b'\r' | b'\n', ..] => Some(1),
        _ => Some(0),
    }
}

/// Line breaks in `bytes`. With `after_cr`, an LF at their start is the second half of one counted before.
pub(super) fn line_breaks(bytes: &[u8], after_cr: bool) -> u64 {
    let begins = |at: &usize| {
        let behind_cr = at.checked_sub(1).map_or(after_cr, |before| bytes[before] == b'\r');
        bytes[*at] == b'\r' || !behind_cr
    };
    memchr::memchr2_iter(b'\r', b'\n', bytes).filter(begins).count() as u64
}
