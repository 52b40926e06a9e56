//! UTF-8 to the encoding a file is to have, piece by piece.

use encoding_rs::{EncoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Turns one file's text into its encoding.
#[derive(Debug)]
pub struct Encoder {
    way: Way,
    name: &'static str,
    is_begun: bool,
}

enum Way {
    Utf8,
    Utf16(fn(u16) -> [u8; 2]),
    Other(encoding_rs::Encoder),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "Utf8",
            Self::Utf16(_) => "Utf16",
            Self::Other(_) => "Other",
        })
    }
}

/// A character that an encoding does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unencodable(pub char);

impl Encoder {
    /// By the encoding's label; without one, or with one that is not known, UTF-8.
    #[must_use]
    pub fn new(label: Option<&str>) -> Self {
        let encoding = label
            .and_then(|label| Encoding::for_label(label.as_bytes()))
            .unwrap_or(UTF_8);
        let way = if encoding == UTF_16LE {
            Way::Utf16(u16::to_le_bytes)
        } else if encoding == UTF_16BE {
            Way::Utf16(u16::to_be_bytes)
        } else if encoding == UTF_8 {
            Way::Utf8
        } else {
            Way::Other(encoding.new_encoder())
        };
        Self {
            way,
            name: encoding.name(),
            is_begun: false,
        }
    }

    /// The encoding's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether text stays as it is.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        matches!(self.way, Way::Utf8)
    }

    /// Appends text in the encoding. UTF-16 begins with a byte order mark (FMT-9), UTF-8 does not.
    ///
    /// # Errors
    /// A character the encoding does not have; `out` may then have a part of the text.
    pub fn encode(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        match &mut self.way {
            Way::Utf8 => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Way::Utf16(bytes) => {
                let mark = is_first.then_some(0xfeff);
                out.extend(mark.into_iter().chain(text.encode_utf16()).flat_map(*bytes));
                Ok(())
            }
            Way::Other(encoder) => encode(encoder, text, false, out),
        }
    }

    /// Appends what an encoding with states ends with.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Way::Other(encoder) = &mut self.way {
            // There is no character left that it might not have.
            let _ = encode(encoder, "", true, out);
        }
    }
}

fn encode(
    encoder: &mut encoding_rs::Encoder,
    mut text: &str,
    is_end: bool,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let mut piece = [0; 4096];
    loop {
        let (result, read, written) = encoder.encode_from_utf8_without_replacement(text, &mut piece, is_end);
        out.extend_from_slice(&piece[..written]);
        text = &text[read..];
        match result {
            EncoderResult::InputEmpty => return Ok(()),
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(c) => return Err(Unencodable(c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(label: Option<&str>, pieces: &[&str]) -> Result<Vec<u8>, Unencodable> {
        let (mut encoder, mut out) = (Encoder::new(label), Vec::new());
        for piece in pieces {
            encoder.encode(piece, &mut out)?;
        }
        encoder.finish(&mut out);
        Ok(out)
    }

    #[test]
    fn text_comes_out_in_its_encoding() {
        assert_eq!(encoded(None, &["é", "x"]).unwrap(), "éx".as_bytes());
        assert_eq!(
            encoded(Some("utf-16le"), &["é", "😀"]).unwrap(),
            b"\xff\xfe\xe9\0\x3d\xd8\0\xde"
        );
        assert_eq!(encoded(Some("utf-16be"), &["é"]).unwrap(), b"\xfe\xff\0\xe9");
        assert_eq!(encoded(Some("windows-1252"), &["é€"]).unwrap(), b"\xe9\x80");
        let long = "é".repeat(10_000);
        assert_eq!(encoded(Some("windows-1252"), &[&long]).unwrap(), vec![0xe9; 10_000]);
        let japanese = encoded(Some("iso-2022-jp"), &["日"]).unwrap();
        assert_eq!(japanese, b"\x1b$BF|\x1b(B", "it ends in ASCII");
    }

    #[test]
    fn a_character_the_encoding_does_not_have_is_named() {
        assert_eq!(encoded(Some("windows-1252"), &["a日"]), Err(Unencodable('日')));
    }
}
