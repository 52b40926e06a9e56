//! The XML of block lists: the one a client commits, and the one it asks for.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use super::problem::BlobProblem;
use crate::pipeline::blob_host::{BLOCKS_MAX, Blocks, Listed, Pick};

/// Largest list: the most blocks with the longest ids, and room for line breaks.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest reason for which a list is refused, in characters.
const WHY_CHARS_MAX: usize = 200;
/// Longest id of a block, in bytes before Base64.
const ID_BYTES_MAX: usize = 64;

/// Reads a block's id, as it stands in a query or a list: the same id is always the same text.
pub(super) fn id(text: &str) -> Option<String> {
    // A plus sign that some client wrote bare was read as a space.
    let bytes = STANDARD.decode(text.trim().replace(' ', "+")).ok()?;
    (1..=ID_BYTES_MAX)
        .contains(&bytes.len())
        .then(|| STANDARD.encode(bytes))
}

/// Reads the list of a commit.
///
/// # Errors
/// 400: `InvalidXmlDocument` for what is no such list, `InvalidBlockId`, `BlockListTooLong`.
pub(super) fn read(body: &[u8]) -> Result<Vec<Listed>, BlobProblem> {
    // What the reader says of an end that does not fit quotes it, however long it is.
    let wrong = |why: &str| {
        let why: String = why.chars().take(WHY_CHARS_MAX).collect();
        BlobProblem::bad("InvalidXmlDocument", format!("The block list cannot be read: {why}."))
    };
    let text = std::str::from_utf8(body).map_err(|_| wrong("it is not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut list, mut depth, mut open) = (Vec::new(), 0, None::<(Pick, String)>);
    let mut began = false;
    loop {
        match reader.read_event().map_err(|error| wrong(&error.to_string()))? {
            Event::Start(tag) => {
                depth += 1;
                match (depth, tag.local_name().as_ref()) {
                    (1, b"BlockList") if !began => began = true,
                    (2, name) => {
                        let pick = pick(name).ok_or_else(|| wrong("it has another element"))?;
                        open = Some((pick, String::new()));
                    }
                    _ => return Err(wrong("it is no BlockList, or has elements in one another")),
                }
            }
            Event::End(_) => {
                depth -= 1;
                if let Some((pick, text)) = open.take() {
                    list.push(listed(pick, &text)?);
                }
                if list.len() > BLOCKS_MAX {
                    let message = format!("The block list names more than {BLOCKS_MAX} blocks.");
                    return Err(BlobProblem::bad("BlockListTooLong", message));
                }
            }
            Event::Text(piece) => {
                let piece = piece.decode().map_err(|error| wrong(&error.to_string()))?;
                match &mut open {
                    Some((_, text)) => text.push_str(&piece),
                    None if piece.trim().is_empty() => {}
                    None => return Err(wrong("it has text between its elements")),
                }
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Empty(tag) if depth == 0 && tag.local_name().as_ref() == b"BlockList" => return Ok(list),
            Event::Eof if began && depth == 0 => return Ok(list),
            // A DOCTYPE, an entity, an end that does not come.
            _ => return Err(wrong("it has something no block list has")),
        }
    }
}

fn pick(name: &[u8]) -> Option<Pick> {
    match name {
        b"Committed" => Some(Pick::Committed),
        b"Uncommitted" => Some(Pick::Uncommitted),
        b"Latest" => Some(Pick::Latest),
        _ => None,
    }
}

fn listed(pick: Pick, text: &str) -> Result<Listed, BlobProblem> {
    let id = id(text).ok_or_else(|| invalid_id(text))?;
    Ok(Listed { pick, id })
}

/// The refusal of what is no id.
pub(super) fn invalid_id(text: &str) -> BlobProblem {
    let shown: String = text.chars().take(100).collect();
    let message = format!("The block id `{shown}` is not Base64 of 1 to {ID_BYTES_MAX} bytes.");
    BlobProblem::bad("InvalidBlockId", message)
}

/// Writes what a client asks for: the committed blocks, the others, or both.
pub(super) fn write(blocks: &Blocks, committed: bool, uncommitted: bool) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for (name, blocks, wanted) in [
        ("CommittedBlocks", &blocks.committed, committed),
        ("UncommittedBlocks", &blocks.uncommitted, uncommitted),
    ] {
        if !wanted {
            continue;
        }
        let _ = write!(xml, "<{name}>");
        for (id, bytes) in blocks {
            let _ = write!(xml, "<Block><Name>{}</Name><Size>{bytes}</Size></Block>", escape(id));
        }
        let _ = write!(xml, "</{name}>");
    }
    xml.push_str("</BlockList>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_its_order_with_where_each_block_is() {
        let xml = "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n <Latest>YQ==</Latest><Uncommitted> Yg== </Uncommitted>\
                   <!-- a word --><Committed>YQ==</Committed></BlockList>\n";
        let list = read(xml.as_bytes()).expect("a list");
        let shown: Vec<(Pick, &str)> = list.iter().map(|listed| (listed.pick, listed.id.as_str())).collect();
        assert_eq!(
            shown,
            [
                (Pick::Latest, "YQ=="),
                (Pick::Uncommitted, "Yg=="),
                (Pick::Committed, "YQ==")
            ]
        );
        for empty in ["<BlockList/>", "<BlockList></BlockList>"] {
            assert!(read(empty.as_bytes()).expect("a list").is_empty());
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for xml in [
            "",
            "<BlockList>",
            "<BlockList><Latest>YQ==</BlockList>",
            "<List><Latest>YQ==</Latest></List>",
            "<BlockList><Newest>YQ==</Newest></BlockList>",
            "<BlockList><Latest><Latest>YQ==</Latest></Latest></BlockList>",
            "<BlockList>YQ==</BlockList>",
            "<BlockList><Latest>no base64</Latest></BlockList>",
            "<BlockList><Latest></Latest></BlockList>",
            "<!DOCTYPE x [<!ENTITY a 'YQ=='>]><BlockList><Latest>&a;</Latest></BlockList>",
            "<BlockList><Latest>&#89;Q==</Latest></BlockList>",
            "{\"Latest\":[]}",
        ] {
            assert!(read(xml.as_bytes()).is_err(), "{xml}");
        }
        assert!(read(b"<BlockList><Latest>\xff</Latest></BlockList>").is_err());
    }

    #[test]
    fn a_refusal_is_short_however_long_the_list() {
        let list = format!("<BlockList><Latest>YQ==</Latest{}></BlockList>", "<x".repeat(100_000));
        let refused = read(list.as_bytes()).expect_err("no end fits").to_string();
        assert!(refused.len() < 1000, "{} bytes", refused.len());
    }

    #[test]
    fn a_list_has_an_end() {
        let entry = "<Latest>YQ==</Latest>";
        let list = |count: usize| format!("<BlockList>{}</BlockList>", entry.repeat(count));
        assert_eq!(read(list(BLOCKS_MAX).as_bytes()).expect("a list").len(), BLOCKS_MAX);
        assert!(read(list(BLOCKS_MAX + 1).as_bytes()).is_err());
    }
}
