//! A composite of orders, their lines, and those lines' deliveries.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::domain::entity::Field;
use crate::domain::reject::RecordCode;
use crate::format::named::{NamedSource as _, NamedStep};
use crate::format::record::{FileError, Position, RecordReader as _};
use crate::format::xml::XmlStyle;

const HEADERS: usize = 0;
const LINES: usize = 1;
const DELIVERIES: usize = 2;

fn entity(name: &str, fields: &[&str]) -> Entity {
    let field = |name: &&str| Field {
        name: (*name).to_owned(),
        ..Field::default()
    };
    Entity {
        name: name.to_owned(),
        label: name.to_owned(),
        collection: name.to_owned(),
        public: true,
        data_management: true,
        database: "main".to_owned(),
        table: name.to_owned(),
        create_table: true,
        key: vec![fields[0].to_owned()],
        company_field: None,
        unknown_columns: Drift::Warn,
        missing_columns: Drift::Warn,
        rules: Vec::new(),
        fields: fields.iter().map(field).collect(),
    }
}

fn node(element: &str, parent: Option<usize>, fields: &[&str], inherit: &[(&str, &str)]) -> CompositeNode {
    CompositeNode {
        element: element.to_owned(),
        parent,
        entity: entity(element, fields),
        wanted: ImportEntity::default(),
        company: None,
        inherit: inherit
            .iter()
            .map(|(own, from)| ((*own).to_owned(), (*from).to_owned()))
            .collect(),
    }
}

fn options(style: XmlStyle) -> CompositeOptions {
    let mut headers = node("H", None, &["order", "customer"], &[]);
    headers.wanted.map = BTreeMap::from([("OrderID".to_owned(), "order".to_owned())]);
    CompositeOptions {
        xml: XmlOptions {
            style,
            max_record_bytes: 400,
            max_columns: 20,
        },
        nodes: Arc::new([
            headers,
            node("L", Some(HEADERS), &["order_no", "line"], &[("order_no", "order")]),
            node(
                "S",
                Some(LINES),
                &["order_ref", "line_ref", "day"],
                &[("order_ref", "order_no"), ("line_ref", "line")],
            ),
        ]),
        missing_elements: Drift::Warn,
    }
}

fn drain(source: &mut CompositeSource, seen: &mut Vec<NamedStep>) -> Result<bool, FileError> {
    loop {
        match source.step()? {
            NamedStep::NeedInput => return Ok(false),
            NamedStep::End => return Ok(true),
            step => seen.push(step),
        }
    }
}

fn read_in(options: &CompositeOptions, node: usize, text: &[u8], piece: usize) -> Result<Vec<NamedStep>, FileError> {
    let mut source = CompositeSource::new(options, node);
    let mut seen = Vec::new();
    for bytes in text.chunks(piece) {
        source.feed(bytes);
        assert!(!drain(&mut source, &mut seen)?, "not before the end");
    }
    source.finish();
    assert!(drain(&mut source, &mut seen)?);
    Ok(seen)
}

/// The same however the file is split.
fn read(options: &CompositeOptions, node: usize, text: &str) -> Vec<NamedStep> {
    let whole = read_in(options, node, text.as_bytes(), text.len().max(1)).expect("a composite file");
    for piece in [1, 7] {
        let pieces = read_in(options, node, text.as_bytes(), piece).expect("a composite file");
        assert_eq!(pieces, whole, "in pieces of {piece}");
    }
    whole
}

fn shown(step: &NamedStep) -> String {
    match step {
        NamedStep::Record(record) => {
            let members = record.members.iter();
            let member = |(name, text): &(String, Vec<u8>)| {
                format!(
                    "{}={}",
                    name.trim_end_matches(" (inherited)"),
                    String::from_utf8_lossy(text)
                )
            };
            members.map(member).collect::<Vec<_>>().join(" ")
        }
        NamedStep::Damaged(damage) => format!("!{}", damage.code),
        other => panic!("{other:?}"),
    }
}

fn all(text: &str) -> [Vec<String>; 3] {
    let options = options(XmlStyle::Element);
    [HEADERS, LINES, DELIVERIES].map(|node| read(&options, node, text).iter().map(shown).collect())
}

#[test]
fn every_entity_has_its_records_and_takes_over_what_it_lacks() {
    let text = "<?xml version='1.0'?>\n<Document>\n <H>\n  <OrderID>1</OrderID>\n  <customer>A</customer>\n  <L><line>1</line>\
                <S><day>Mon</day></S><S><day>Tue</day><line_ref>9</line_ref></S></L>\n  <!-- --><L><order_no>7</order_no><line>2</line></L>\n\
                <note>x</note></H>\n <H><OrderID>2</OrderID><lines><L><order_no/><line>1</line></L></lines></H></Document>";
    let [headers, lines, deliveries] = all(text);
    assert_eq!(headers, ["OrderID=1 customer=A note=x", "OrderID=2 lines="]);
    assert_eq!(lines, ["line=1 order_no=1", "order_no=7 line=2", "order_no=2 line=1"]);
    assert_eq!(
        deliveries,
        ["day=Mon order_ref=1 line_ref=1", "day=Tue line_ref=9 order_ref=1"]
    );
    let places = read(&options(XmlStyle::Element), LINES, text);
    let place = |step: &NamedStep| match step {
        NamedStep::Record(record) => record.place,
        other => panic!("{other:?}"),
    };
    let second = place(&places[1]);
    assert_eq!((second.record, second.line), (2, 7));
    let bytes = usize::try_from(second.byte_start).unwrap()..usize::try_from(second.byte_end).unwrap();
    assert_eq!(&text[bytes], "<L><order_no>7</order_no><line>2</line></L>");
}

#[test]
fn attributes_are_members_too() {
    let text = "<n:D xmlns:n='u'><n:H OrderID=\"1\" customer='A>'><n:L line=\"1\"><S day='Mon'/></n:L><L line='2' order_no='5'/></n:H>\
                <H OrderID='2'/></n:D>";
    let options = options(XmlStyle::Attribute);
    let of = |node| read(&options, node, text).iter().map(shown).collect::<Vec<_>>();
    assert_eq!(of(HEADERS), ["OrderID=1 customer=A>", "OrderID=2"]);
    assert_eq!(of(LINES), ["line=1 order_no=1", "line=2 order_no=5"]);
    assert_eq!(of(DELIVERIES), ["day=Mon order_ref=1 line_ref=1"]);
}

#[test]
fn what_is_wrong_costs_the_record_it_is_in() {
    let good = "<H><OrderID>9</OrderID><L><line>9</line></L></H>";
    let cases = [
        // (what stands before a good order, headers, lines)
        (
            "<H><OrderID>1</OrderID><L><line>a & b</line></L><L><line>2</line></L></H>",
            "OrderID=1",
            "!invalid_xml|line=2 order_no=1",
        ),
        (
            "<H><OrderID>1</OrderID><L><line>1<L><line>2</line></L></H>",
            "OrderID=1",
            "!invalid_xml|line=2 order_no=1",
        ),
        (
            "<H><OrderID>1</OrderID><L a='1><line>1</line></L><L><line>2</line></L></H>",
            "OrderID=1",
            "!invalid_xml|line=2 order_no=1",
        ),
        (
            "<H><OrderID>1</OrderID><L><line>1</line></H>",
            "OrderID=1",
            "!invalid_xml",
        ),
        (
            "<H><OrderID>1</OrderID><L><line>1</line></L>",
            "!invalid_xml",
            "line=1 order_no=1",
        ),
        (
            "<H><OrderID>&x;</OrderID><L><line>1</line></L></H>",
            "!invalid_xml",
            "!inherited_missing",
        ),
        (
            "<H><L><line>1</line></L><OrderID>1</OrderID></H>",
            "OrderID=1",
            "!inherited_missing",
        ),
        (
            "<H><L><line>1</line><order_no>3</order_no></L></H>",
            "",
            "line=1 order_no=3",
        ),
        ("<L><line>1</line><order_no>3</order_no></L>", "", "!invalid_xml"),
        (
            "<H><OrderID>1</OrderID><L><line>1</line><!-- <L> </L></L><!-- --></H>",
            "!invalid_xml",
            "!invalid_xml|order_no=1",
        ),
        (
            "<H><OrderID>1</OrderID><!-- <L> --><L><line><![CDATA[</L>]]></line></L></H>",
            "OrderID=1",
            "line=</L> order_no=1",
        ),
        ("<H><OrderID>1</OrderID><D>x</D></H>", "OrderID=1 D=x", ""),
        ("stray", "!invalid_xml", ""),
        ("</L>", "!invalid_xml", ""),
    ];
    for (before, headers, lines) in cases {
        let text = format!("<D>{good}{before}{good}</D>");
        let [found_headers, found_lines, _] = all(&text);
        let expected = |middle: &str, good: &str| {
            let middle = middle.split('|').filter(|shown| !shown.is_empty() || middle.is_empty());
            let mut all = vec![good.to_owned()];
            all.extend(middle.filter(|shown| !shown.is_empty()).map(str::to_owned));
            all.push(good.to_owned());
            all
        };
        let without_empty: Vec<_> = found_headers.into_iter().filter(|shown| !shown.is_empty()).collect();
        assert_eq!(without_empty, expected(headers, "OrderID=9"), "{before}");
        assert_eq!(found_lines, expected(lines, "line=9 order_no=9"), "{before}");
    }
}

#[test]
fn a_file_that_was_cut_off_costs_what_is_open_and_says_so() {
    let text = "<D><H><OrderID>1</OrderID><L><line>1</line></L><L><line>2</line></L></H></D>";
    for length in text.find("<L>").unwrap()..text.len() {
        let [headers, lines, _] = all(&text[..length]);
        let damaged = |shown: &[String]| shown.iter().filter(|shown| shown.starts_with('!')).count();
        assert!(damaged(&headers) == 1, "{}: {headers:?}", &text[..length]);
        assert!(damaged(&lines) <= 1, "{}: {lines:?}", &text[..length]);
    }
    let [headers, ..] = all(&format!("{text}<H/>"));
    assert_eq!(headers, ["OrderID=1", "!invalid_xml"], "behind the root");
}

#[test]
fn an_element_that_is_context_is_no_record() {
    let text = "<D><H _context=\"true\"><OrderID>1</OrderID><L><line>1</line></L></H><H _context='false'><OrderID>2</OrderID></H></D>";
    let [headers, lines, _] = all(text);
    assert_eq!(
        (headers, lines),
        (vec!["OrderID=2".to_owned()], vec!["line=1 order_no=1".to_owned()])
    );
}

#[test]
fn what_belongs_into_a_record_and_is_missing_is_told_or_refused() {
    let text = "<D>\n<H><OrderID>1</OrderID></H>\n<H><OrderID>2</OrderID><L><line>1</line><S/></L></H></D>";
    let mut options = options(XmlStyle::Element);
    let mut source = CompositeSource::new(&options, HEADERS);
    source.feed(text.as_bytes());
    source.finish();
    drain(&mut source, &mut Vec::new()).unwrap();
    assert_eq!(
        source.remarks(),
        ["1 records hold no element `L` (MAP011), the first in line 2"]
    );
    options.missing_elements = Drift::Reject;
    let seen: Vec<_> = read(&options, HEADERS, text).iter().map(shown).collect();
    assert_eq!(seen, ["!element_missing", "OrderID=2"]);
}

#[test]
fn company_and_defaults_are_known_to_what_takes_them_over() {
    let mut options = options(XmlStyle::Element);
    let mut nodes = options.nodes.to_vec();
    nodes[HEADERS].wanted.defaults = BTreeMap::from([("order".to_owned(), "D".to_owned())]);
    nodes[HEADERS].wanted.values =
        BTreeMap::from([("order".to_owned(), BTreeMap::from([("one".to_owned(), "1".to_owned())]))]);
    options.nodes = nodes.into();
    let text = "<D><H><L><line>1</line></L></H><H><OrderID>one</OrderID><L><line>1</line></L></H></D>";
    let seen: Vec<_> = read(&options, LINES, text).iter().map(shown).collect();
    assert_eq!(seen, ["line=1 order_no=D", "line=1 order_no=1"]);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let options = options(XmlStyle::Element);
    let cases = [
        ("<H><OrderID>1</OrderID></H>", "composite_element_unknown"),
        ("<D><X/></D>", "composite_element_unknown"),
        ("a,b", "xml_expected"),
        ("", "file_empty"),
        ("<!DOCTYPE d><D/>", "doctype_refused"),
    ];
    for (text, code) in cases {
        let error = read_in(&options, LINES, text.as_bytes(), 1000).expect_err(text);
        assert_eq!(error.code, code, "{text}");
    }
    assert!(read(&options, LINES, "<D/>").is_empty());
}

#[test]
fn reading_goes_on_behind_any_record() {
    let text = "<D><H><OrderID>1</OrderID><L><line>1</line></L><L><line>&</line></L><L><line>3</line></L></H>\
                <H><OrderID>2</OrderID><L><line>1</line></L></H>";
    let options = options(XmlStyle::Element);
    for node in [HEADERS, LINES] {
        let mut source = CompositeSource::new(&options, node);
        source.feed(text.as_bytes());
        source.finish();
        let mut positions = vec![Position::START];
        while !matches!(source.step(), Ok(NamedStep::End)) {
            assert!(source.position().byte > positions.last().unwrap().byte, "{positions:?}");
            positions.push(source.position());
        }
        let whole = read(&options, node, text);
        for (done, position) in positions.iter().enumerate() {
            let mut source = CompositeSource::new(&options, node);
            source.skip_to(*position);
            assert_eq!(source.position(), *position);
            source.feed(text.as_bytes());
            source.finish();
            let mut rest = Vec::new();
            drain(&mut source, &mut rest).unwrap();
            assert_eq!(rest, whole[done..], "behind {position:?}");
        }
    }
}

#[test]
fn a_record_holds_any_number_of_others_but_is_bounded_itself() {
    let mut text = "<D><H><OrderID>1</OrderID>".to_owned();
    for line in 0..2_000 {
        write!(text, "\n  <!-- line --><L><line>{line}</line></L>").unwrap();
    }
    text.push_str("<customer>A</customer></H>");
    let long = "x".repeat(401);
    write!(
        text,
        "<H><OrderID>{long}</OrderID><L><line>1</line></L></H><H><OrderID>3</OrderID></H></D>"
    )
    .unwrap();
    let [headers, lines, _] = all(&text);
    assert_eq!(headers, ["OrderID=1 customer=A", "!record_too_large", "OrderID=3"]);
    assert_eq!((lines.len(), lines[1999].as_str()), (2001, "line=1999 order_no=1"));
    assert_eq!(lines[2000], "!inherited_missing");
}

/// Whatever is not closed, a byte is looked at a bounded number of times.
#[test]
fn time_is_linear_in_the_file() {
    let mut options = options(XmlStyle::Element);
    options.xml.max_record_bytes = 20_000;
    for part in [
        "<![CDATA[",
        "<?",
        "<!--",
        "<a '",
        "<L ",
        "<L x='",
        "<a \"<L>'",
        "</",
        "<H><L>",
        "x",
    ] {
        let text = format!("<D><H>{}", part.repeat(200_000 / part.len()));
        let mut source = CompositeSource::new(&options, LINES);
        for bytes in text.as_bytes().chunks(1000) {
            source.feed(bytes);
            drain(&mut source, &mut Vec::new()).unwrap();
        }
        source.finish();
        drain(&mut source, &mut Vec::new()).unwrap();
        let times = source.bytes_examined() / text.len() as u64;
        assert!(times <= 4, "{part}: {times}");
    }
}

#[test]
fn the_reader_has_a_header() {
    let mut reader = composite_reader(&options(XmlStyle::Element), LINES);
    reader.feed(b"<D><H><OrderID>1</OrderID><L><line>1</line></L><L><order_no>2</order_no></L></H></D>");
    reader.finish();
    assert_eq!(
        reader.header(),
        Ok(Some(vec!["line".to_owned(), inherited_column("order_no")]))
    );
}

/// Writes the rejects of these records, given by node and number.
fn rejects(options: &CompositeOptions, text: &str, wanted: &[(usize, u64)]) -> String {
    let mut rejects = CompositeRejects::new(options);
    rejects.feed(text.as_bytes());
    rejects.finish();
    let mut inside = vec![Vec::new(); 4];
    loop {
        let element = match rejects.step().unwrap() {
            Written::Element(element) => element,
            Written::End => break,
            Written::NeedInput => panic!("all was fed"),
        };
        let children = std::mem::take(&mut inside[element.depth + 1]);
        let id = element
            .record
            .filter(|record| wanted.contains(&(element.node, *record)))
            .map(|record| format!("m.{}.{record}", element.node));
        if id.is_some() || !children.is_empty() {
            let (head, tail) = rejects.written(&element, id.as_deref().map(|id| (id, "why")), !children.is_empty());
            inside[element.depth].extend([head, children, tail].concat());
        }
    }
    let mut out = Vec::new();
    rejects.prefix(&mut out);
    out.extend(&inside[0]);
    rejects.suffix(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn rejects_stand_inside_what_they_stood_in() {
    let text = "<D a='1'><H><OrderID>1</OrderID><L><line>1</line></L><L><line>2</line><S><day>x</day></S></L></H>\
                <H><OrderID>2</OrderID><L><line>1</line></L></H><H><OrderID>3&</OrderID><L><line>1</line></L></H></D>";
    let options = options(XmlStyle::Element);
    let written = rejects(
        &options,
        text,
        &[(LINES, 2), (HEADERS, 2), (LINES, 3), (HEADERS, 3), (LINES, 4)],
    );
    let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<D a='1'>\r\n\
        <H _context=\"true\"><OrderID>1</OrderID><L><_reject_id>m.1.2</_reject_id><_error>why</_error><line>2</line></L></H>\
        <H><_reject_id>m.0.2</_reject_id><_error>why</_error><OrderID>2</OrderID>\
        <L><_reject_id>m.1.3</_reject_id><_error>why</_error><line>1</line></L></H>\
        <H><_reject_id>m.0.3</_reject_id><_error>why</_error><_raw>&lt;H&gt;&lt;OrderID&gt;3&amp;&lt;/OrderID&gt;&lt;/H&gt;</_raw>\
        <L><_reject_id>m.1.4</_reject_id><_error>why</_error><line>1</line></L></H></D>\r\n";
    assert_eq!(written, expected);
    // And again, when what came back is not right yet: ids of before are gone.
    let [headers, lines, _] = all(&written);
    assert_eq!((headers.len(), lines.len()), (2, 3));
    let again = rejects(&options, &written, &[(LINES, 1), (LINES, 2)]);
    assert!(again.contains(
        "<H _context=\"true\"><OrderID>1</OrderID><L><_reject_id>m.1.1</_reject_id><_error>why</_error><line>2"
    ));
    assert!(again.contains(
        "<H _context=\"true\"><OrderID>2</OrderID><L><_reject_id>m.1.2</_reject_id><_error>why</_error><line>1"
    ));
    assert_eq!(again.matches("_reject_id>").count(), 4);
}

#[test]
fn rejects_by_attributes_stand_inside_too() {
    let text = "<D><H OrderID='1'><L line='1'/><L line='2'><S day='x'/></L></H><H OrderID='2&'><L line='1'/></H></D>";
    let options = options(XmlStyle::Attribute);
    let written = rejects(&options, text, &[(DELIVERIES, 1), (HEADERS, 2), (LINES, 3)]);
    let body = written.split_once("\r\n<D>\r\n").unwrap().1;
    assert_eq!(
        body,
        "<H _context=\"true\" OrderID='1'><L _context=\"true\" line='2'><S _reject_id=\"m.2.1\" _error=\"why\" day='x'/></L></H>\
         <H _reject_id=\"m.0.2\" _error=\"why\" _raw=\"&lt;H OrderID='2&amp;'&gt;&lt;/H&gt;\">\
         <L _reject_id=\"m.1.3\" _error=\"why\" line='1'/></H></D>\r\n"
    );
    let again = read(&options, DELIVERIES, &written);
    assert_eq!(
        shown(&again[0]),
        "_reject_id=m.2.1 _error=why day=x order_ref=1 line_ref=2"
    );
    assert_eq!(read(&options, HEADERS, &written).len(), 1);
}

/// The file without what comments and CDATA sections hide; nothing where one of them does not end.
fn markup(text: &str) -> Option<String> {
    let mut seen = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<!") {
        let ending = if rest[at..].starts_with("<!--") { "-->" } else { "]]>" };
        seen.push_str(&rest[..at]);
        rest = &rest[at + 4..];
        rest = &rest[rest.find(ending)? + 3..];
    }
    Some(seen + rest)
}

proptest::proptest! {
    /// Whatever stands in the file, however it is split, every reader comes to the end with the same.
    #[test]
    fn any_mixture_is_read_to_its_end(parts in proptest::collection::vec(0..16_usize, 0..40), piece in 1..9_usize) {
        const PARTS: [&str; 16] = [
            "<H>", "</H>", "<L>", "</L>", "<S>", "</S>", "<L/>", "<OrderID>1</OrderID>", "<line>2</line>", "</D>", "<D>", "<!--", "-->",
            "<![CDATA[", "x ", "<L a='",
        ];
        let text = format!("<D><H/>{}", parts.iter().map(|part| PARTS[*part]).collect::<String>());
        let options = options(XmlStyle::Element);
        let mut last_damage = 0;
        for node in [HEADERS, LINES, DELIVERIES] {
            let whole = read_in(&options, node, text.as_bytes(), text.len()).unwrap();
            proptest::prop_assert_eq!(&read_in(&options, node, text.as_bytes(), piece).unwrap(), &whole);
            last_damage += whole.iter().filter(|step| matches!(step, NamedStep::Damaged(damage) if damage.code == RecordCode::InvalidXml)).count();
        }
        // What is not in order does not pass unseen.
        let in_order = markup(&text).is_some_and(|markup| markup.find("</D>") == Some(markup.len() - 4));
        proptest::prop_assert!(in_order || last_damage > 0, "{}", text);
        rejects(&options, &text, &[(HEADERS, 1), (LINES, 1)]);
    }
}
