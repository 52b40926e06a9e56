//! Any encoding to UTF-8, fed piece by piece.

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// First bytes looked at where no mark decides: as long as an XML declaration gets.
const START_BYTES: usize = 256;
/// Stands for what is no character in the file's encoding. No UTF-8 text has it.
const DAMAGE: u8 = 0xff;

/// Turns one file into UTF-8.
#[derive(Debug)]
pub(super) struct Text {
    declared: Option<&'static Encoding>,
    is_xml: bool,
    state: State,
}

enum State {
    /// The first bytes, until they say how the file is written.
    Start(Vec<u8>),
    Utf8,
    Other(encoding_rs::Decoder),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start(_) => "Start",
            Self::Utf8 => "Utf8",
            Self::Other(decoder) => decoder.encoding().name(),
        })
    }
}

impl Text {
    pub(super) fn new(declared: Option<&'static Encoding>, is_xml: bool) -> Self {
        Self {
            declared,
            is_xml,
            state: State::Start(Vec::new()),
        }
    }

    pub(super) fn is_utf8(&self) -> bool {
        !matches!(self.state, State::Other(_))
    }

    /// Appends what the bytes say.
    pub(super) fn decode(&mut self, bytes: &[u8], is_end: bool, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Utf8 => out.extend_from_slice(bytes),
            State::Other(decoder) => decode(decoder, bytes, is_end, out),
            State::Start(start) => {
                start.extend_from_slice(bytes);
                if start.len() < START_BYTES && !is_end {
                    return;
                }
                let start = std::mem::take(start);
                self.state = self.decide(&start);
                self.decode(&start, is_end, out);
            }
        }
    }

    fn decide(&self, start: &[u8]) -> State {
        let marked = Encoding::for_bom(start).map(|(encoding, _)| encoding);
        let named = || self.is_xml.then(|| named_in_xml(start)).flatten();
        let encoding = marked
            .or(self.declared)
            .or_else(named)
            .or_else(|| looks_like_utf16(start))
            .unwrap_or(UTF_8);
        if encoding == UTF_8 {
            return State::Utf8;
        }
        State::Other(encoding.new_decoder_with_bom_removal())
    }
}

fn decode(decoder: &mut encoding_rs::Decoder, mut bytes: &[u8], is_end: bool, out: &mut Vec<u8>) {
    let mut piece = [0; 4096];
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut piece, is_end);
        out.extend_from_slice(&piece[..written]);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(DAMAGE),
        }
    }
}

/// The encoding an XML declaration names; it is ASCII, or nobody could read it. UTF-16 without a mark is found by its zeros.
fn named_in_xml(start: &[u8]) -> Option<&'static Encoding> {
    let declaration = start.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..declaration.iter().position(|byte| *byte == b'>')?];
    let text = std::str::from_utf8(declaration).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, _) = rest[1..].split_once(quote)?;
    // A declaration that could be read as bytes says nothing true by naming UTF-16.
    Encoding::for_label(name.trim().as_bytes()).filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE)
}

/// Text that is mostly ASCII has a zero in every other byte, first or second.
fn looks_like_utf16(start: &[u8]) -> Option<&'static Encoding> {
    let pairs = start.chunks_exact(2);
    if pairs.len() == 0 {
        return None;
    }
    let (mut first, mut second) = (0, 0);
    for pair in pairs.clone() {
        first += usize::from(pair[0] == 0 && pair[1] != 0);
        second += usize::from(pair[1] == 0 && pair[0] != 0);
    }
    let enough = pairs.len().div_ceil(2);
    if second > enough && first == 0 || second == pairs.len() {
        Some(UTF_16LE)
    } else if first > enough && second == 0 || first == pairs.len() {
        Some(UTF_16BE)
    } else {
        None
    }
}
