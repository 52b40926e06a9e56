//! Members of an XML record written anew, every other byte of it as it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::XmlStyle;
use super::attributes::Attributes;
use super::markup::Name;
use super::text::{Within, escape};
use super::writer::{end_tag, push_attribute, push_element};

/// The record with other texts in some members, called as a reader calls them: nested ones by dotted names. A member that it has
/// not is added. `None` when the record is not well-formed.
#[must_use]
pub fn with_members(style: XmlStyle, record: &[u8], edits: &[(&str, &str)]) -> Option<Vec<u8>> {
    let mut edit = Edit {
        wanted: edits.iter().map(|(name, text)| (key(name), *text)).collect(),
        ..Edit::default()
    };
    let mut reader = Reader::from_reader(record);
    loop {
        let from = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let to = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(tag) => edit.begin(style, &tag, from..to, false)?,
            Event::Empty(tag) => {
                edit.begin(style, &tag, from..to, true)?;
                edit.end(to..to);
            }
            Event::End(_) => edit.end(from..to),
            Event::Eof => break,
            _ => {}
        }
    }
    let is_left = |(name, _): &(&str, &str)| edit.wanted.contains_key(&key(name));
    let added: Vec<_> = edits.iter().copied().filter(is_left).collect();
    edit.add(style, added.into_iter());
    edit.pieces.sort_by_key(|(place, _)| place.start);
    let mut out = Vec::with_capacity(record.len());
    let mut at = 0;
    for (place, text) in &edit.pieces {
        out.extend_from_slice(record.get(at..place.start)?);
        out.extend_from_slice(text);
        at = place.end;
    }
    out.extend_from_slice(record.get(at..)?);
    Some(out)
}

/// A record while it is gone through.
#[derive(Default)]
struct Edit<'e> {
    wanted: BTreeMap<String, &'e str>,
    /// What is written where.
    pieces: Vec<(Range<usize>, Vec<u8>)>,
    open: Vec<Open>,
    /// The record's own name, brackets not included.
    name: Vec<u8>,
    /// Behind the record's name in its start tag.
    name_end: usize,
    /// The record's end tag; of an empty element, its `/>`.
    tail: Range<usize>,
    is_empty: bool,
}

/// An element that is open.
struct Open {
    /// As members are named.
    path: String,
    tag: Vec<u8>,
    from: usize,
    holds_elements: bool,
}

impl<'e> Edit<'e> {
    fn begin(&mut self, style: XmlStyle, tag: &BytesStart<'_>, at: Range<usize>, is_empty: bool) -> Option<()> {
        let name = Name(tag.name().into_inner());
        let local = std::str::from_utf8(name.local()).ok()?;
        let path = match self.open.last_mut() {
            None => {
                self.name = name.0.to_vec();
                // 1 for the `<`.
                self.name_end = at.start + 1 + name.0.len();
                self.is_empty = is_empty;
                self.tail = at.end - b"/>".len()..at.end;
                if style == XmlStyle::Attribute {
                    self.attributes(tag, at.start + 1)?;
                }
                String::new()
            }
            Some(outer) => {
                outer.holds_elements = true;
                match outer.path.as_str() {
                    "" => local.to_owned(),
                    around => format!("{around}.{local}"),
                }
            }
        };
        self.open.push(Open {
            path,
            tag: name.0.to_vec(),
            from: at.start,
            holds_elements: false,
        });
        Some(())
    }

    fn attributes(&mut self, tag: &BytesStart<'_>, start: usize) -> Option<()> {
        for attribute in Attributes::new(tag, tag.name().into_inner().len()) {
            let attribute = attribute.ok()?;
            let name = std::str::from_utf8(Name(&tag[attribute.name.clone()]).local()).ok()?;
            if let Some(text) = self.wanted.remove(&key(name)) {
                let mut written = vec![b'"'];
                escape(&mut written, text, Within::Attribute);
                written.push(b'"');
                // Its quotes too, which may be single ones.
                let place = start + attribute.value.start - 1..start + attribute.value.end + 1;
                self.pieces.push((place, written));
            }
        }
        Some(())
    }

    fn end(&mut self, at: Range<usize>) {
        let Some(ended) = self.open.pop() else { return };
        if self.open.is_empty() {
            if !self.is_empty {
                self.tail = at;
            }
        } else if !ended.holds_elements
            && let Some(text) = self.wanted.remove(&key(&ended.path))
        {
            let mut written = Vec::new();
            push_element(&mut written, &String::from_utf8_lossy(&ended.tag), text);
            self.pieces.push((ended.from..at.end, written));
        }
    }

    /// Puts in what the record did not have.
    fn add(&mut self, style: XmlStyle, added: impl Iterator<Item = (&'e str, &'e str)>) {
        let mut written = Vec::new();
        for (name, text) in added {
            match style {
                XmlStyle::Element => push_element(&mut written, name, text),
                XmlStyle::Attribute => push_attribute(&mut written, name, text),
            }
        }
        if written.is_empty() {
            return;
        }
        let place = match style {
            XmlStyle::Attribute => self.name_end..self.name_end,
            XmlStyle::Element if self.is_empty => {
                written.insert(0, b'>');
                end_tag(&mut written, &self.name);
                self.tail.clone()
            }
            XmlStyle::Element => self.tail.start..self.tail.start,
        };
        self.pieces.push((place, written));
    }
}

/// Names are the same in any case, as a reader takes them.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(style: XmlStyle, record: &str, edits: &[(&str, &str)]) -> String {
        String::from_utf8(with_members(style, record.as_bytes(), edits).expect("an element")).unwrap()
    }

    #[test]
    fn only_the_elements_that_change_are_written() {
        let record =
            "<n:ROW a='1'>\r\n <n:A>x &amp; y</n:A><!-- <A> -->\n <b/> <at><City><![CDATA[K<ln]]></City></at> </n:ROW>";
        let element = |edits| edit(XmlStyle::Element, record, edits);
        assert_eq!(element(&[]), record);
        assert_eq!(
            element(&[("a", "<1> & 2"), ("B", "two\r\nlines"), ("at.city", "Bonn")]),
            record
                .replace("x &amp; y", "&lt;1&gt; &amp; 2")
                .replace("<b/>", "<b>two&#13;\nlines</b>")
                .replace("<![CDATA[K<ln]]>", "Bonn")
        );
        assert_eq!(element(&[("a", "")]), record.replace("x &amp; y", ""));
        assert_eq!(
            element(&[("new", "1")]),
            record.replace("</n:ROW>", "<new>1</new></n:ROW>")
        );
        assert_eq!(edit(XmlStyle::Element, "<R/>", &[("new", "1")]), "<R><new>1</new></R>");
        assert_eq!(with_members(XmlStyle::Element, b"<R><a></R>", &[("a", "1")]), None);
    }

    #[test]
    fn only_the_attributes_that_change_are_written() {
        let record = "<ROW  A = 'it\"s' b=\"&lt;\" />";
        let attribute = |edits| edit(XmlStyle::Attribute, record, edits);
        assert_eq!(attribute(&[]), record);
        assert_eq!(
            attribute(&[("a", "say \"hi\"\n"), ("new", "1")]),
            "<ROW new=\"1\"  A = \"say &quot;hi&quot;&#10;\" b=\"&lt;\" />"
        );
    }
}
