//! A number as decimal text.

use std::borrow::Cow;

/// The number that a cell's text stands for, written out without an exponent. A workbook keeps a number as binary and writes it
/// with up to 17 digits, so `1.1` may stand there as `1.1000000000000001`: the shortest text that means the same number is what
/// was entered. Whole numbers are digits and stay exact, however long. What is no number stays as it is.
pub(super) fn decimal(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return whole(trimmed, digits);
    }
    match binary(trimmed) {
        Some(0.0) => Cow::Borrowed("0"),
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(text),
    }
}

/// The number, if the text is one.
pub(super) fn binary(text: &str) -> Option<f64> {
    let text = text.trim();
    // Words such as `inf` are no numbers in a workbook.
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let number: f64 = text.bytes().all(plain).then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

fn whole<'a>(text: &'a str, digits: &'a str) -> Cow<'a, str> {
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        Cow::Borrowed("0")
    } else if significant.len() == digits.len() {
        Cow::Borrowed(text)
    } else if digits.len() < text.len() {
        Cow::Owned(format!("-{significant}"))
    } else {
        Cow::Borrowed(significant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_out_and_whole_ones_stay_exact() {
        let cases = [
            ("12", "12"),
            ("12.0", "12"),
            (" -12.50 ", "-12.5"),
            ("1E+3", "1000"),
            ("1.5e-3", "0.0015"),
            ("1.1000000000000001", "1.1"),
            ("0.10000000000000001", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1234567.891", "1234567.891"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("-007", "-7"),
            ("007", "7"),
            ("000", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            (".5", "0.5"),
            ("+5", "5"),
            ("9.99E+22", "99900000000000000000000"),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text), expected, "{text}");
        }
        for text in ["", "-", "abc", "inf", "NaN", "1e999", "1,5", "0x10", " x "] {
            assert_eq!(decimal(text), text, "no number, so it stays");
        }
    }
}
