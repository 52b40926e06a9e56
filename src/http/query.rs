//! Query strings as clients write them.

use std::fmt::Write as _;

use actix_web::HttpRequest;

use super::problem::Problem;

/// A query string as clients write it: names in any case, `+` and `%20` for a space, `%uXXXX` for the rest (GEN-5).
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The request's query.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        Self::read(request.query_string())
    }

    /// A query string.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|p| !p.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name).to_lowercase(), decode(value))
        });
        Self(pairs.collect())
    }

    /// All of it: names in lower case, and their values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a name; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        self.0
            .iter()
            .find(|(n, v)| *n == wanted && !v.trim().is_empty())
            .map(|(_, v)| v.clone())
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.trim() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => {
                let detail = format!("{name} is `{text}`; write true or false");
                Err(Problem::bad("invalid_truth", detail))
            }
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.trim().parse().map(Some);
        number.map_err(|_| Problem::bad("invalid_number", format!("{name} is `{text}`; write a whole number")))
    }
}

/// A text as a segment of a path, or a value in a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A path as it is meant; a plus sign is one.
#[must_use]
pub fn path_decoded(text: &str) -> String {
    decode(&text.replace('+', "%2B"))
}

/// Undoes `+`, `%XX` and `%uXXXX` (of which two make a character beyond U+FFFF); what is not well formed stays as it is. What is no UTF-8 and
/// NUL, which PostgreSQL has no form for, become U+FFFD, which is found nowhere.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            out.push(if byte == b'+' { b' ' } else { byte });
            at += 1;
        } else if let Some((character, length)) = unicode(bytes, at) {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += length;
        } else if let Some(octet) = hex(bytes, at + 1, 2).and_then(|value| u8::try_from(value).ok()) {
            out.push(octet);
            at += 3;
        } else {
            out.push(b'%');
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).replace('\0', "\u{fffd}")
}

/// The character written as `%uXXXX` there, and how long that is.
fn unicode(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let is_marked = bytes.get(at..at + 2) == Some(b"%u");
        let unit = is_marked.then(|| hex(bytes, at + 2, 4)).flatten()?;
        u16::try_from(unit).ok()
    };
    let units = [unit(at)?, unit(at + 6).unwrap_or_default()];
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, character.len_utf16() * 6))
}

/// So many hexadecimal digits as a number.
fn hex(bytes: &[u8], at: usize, digits: usize) -> Option<u32> {
    let digits = bytes.get(at..at + digits)?;
    digits
        .iter()
        .try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn paths_are_decoded_but_for_plus_signs() {
        assert_eq!(
            super::path_decoded("/data/A(N=%27x%20y+z%27,B='%2F')"),
            "/data/A(N='x y+z',B='/')"
        );
    }

    #[test]
    fn query_values_are_decoded_in_every_form_clients_use() {
        assert_eq!(decode("Customer+groups"), "Customer groups");
        assert_eq!(decode("Customer%20groups"), "Customer groups");
        assert_eq!(decode("Bestell%u00f6rter"), "Bestellörter");
        assert_eq!(decode("%C3%B6"), "ö");
        assert_eq!(decode("Lager+%uD83D%uDE00"), "Lager \u{1f600}");
        assert_eq!(decode("%uD83D%u0041"), "%uD83DA");
        assert_eq!(decode("%+f%u+0f6"), "% f%u 0f6");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%u12"), "%zz%u12");
        assert_eq!(decode("%"), "%");
        assert_eq!(decode("a%00b%u0000%ff"), "a\u{fffd}b\u{fffd}\u{fffd}");
    }
}
