//! Query strings as clients write them.

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

/// Undoes `+`, `%XX` and `%uXXXX`; what is not well formed stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u32::from_str_radix(d, 16).ok())
    };
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let unicode = || {
            (bytes.get(at + 1) == Some(&b'u'))
                .then(|| hex(at + 2..at + 6).and_then(char::from_u32))
                .flatten()
        };
        let octet = || hex(at + 1..at + 3).and_then(|v| u8::try_from(v).ok());
        match byte {
            b'%' => {
                if let Some(character) = unicode() {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    at += 6;
                    continue;
                }
                if let Some(octet) = octet() {
                    out.push(octet);
                    at += 3;
                    continue;
                }
                out.push(b'%');
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn query_values_are_decoded_in_every_form_clients_use() {
        assert_eq!(decode("Customer+groups"), "Customer groups");
        assert_eq!(decode("Customer%20groups"), "Customer groups");
        assert_eq!(decode("Bestell%u00f6rter"), "Bestellörter");
        assert_eq!(decode("%C3%B6"), "ö");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%u12"), "%zz%u12");
        assert_eq!(decode("%"), "%");
    }
}
