//! What the reader promises: exact places, one reject per damaged record, the same steps however the bytes arrive.

mod damage;
mod properties;
mod rejects;

use super::*;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::named::{NamedSource, NamedStep};
use crate::format::record::{Damage, FileError, Position, RecordReader, Step};

/// A [`NamedStep`] with something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(RecordPlace, Vec<(String, Vec<u8>)>),
    Damaged(Damage),
}

const OPTIONS: XmlOptions = XmlOptions {
    style: XmlStyle::Element,
    max_record_bytes: 4000,
    max_columns: 50,
};

/// Small limits, so that short inputs reach them.
const TIGHT: XmlOptions = XmlOptions {
    style: XmlStyle::Element,
    max_record_bytes: 40,
    max_columns: 3,
};

const ATTRIBUTES: XmlOptions = XmlOptions {
    style: XmlStyle::Attribute,
    ..OPTIONS
};

fn drain(source: &mut XmlSource, seen: &mut Vec<Seen>) -> Result<(), FileError> {
    loop {
        match source.step()? {
            NamedStep::NeedInput | NamedStep::End => return Ok(()),
            NamedStep::Damaged(damage) => seen.push(Seen::Damaged(damage)),
            NamedStep::Record(record) => seen.push(Seen::Record(record.place, record.members)),
        }
    }
}

fn read_pieces(options: XmlOptions, pieces: &[&[u8]]) -> (Result<(), FileError>, Vec<Seen>, XmlSource) {
    let mut source = XmlSource::new(options);
    let mut seen = Vec::new();
    let mut result = Ok(());
    for at in 0..=pieces.len() {
        match pieces.get(at) {
            Some(piece) => source.feed(piece),
            None => source.finish(),
        }
        if result.is_ok() {
            result = drain(&mut source, &mut seen);
        }
    }
    (result, seen, source)
}

fn read_bytes(options: XmlOptions, bytes: &[u8]) -> Vec<Seen> {
    let (result, seen, mut source) = read_pieces(options, &[bytes]);
    result.expect("a file that can be read");
    assert_eq!(source.step(), Ok(NamedStep::End));
    seen
}

fn read(text: &str) -> Vec<Seen> {
    read_bytes(OPTIONS, text.as_bytes())
}

fn file_error(bytes: &[u8]) -> FileError {
    let (whole, _, _) = read_pieces(OPTIONS, &[bytes]);
    let (bytewise, _, _) = read_pieces(OPTIONS, &bytes.chunks(1).collect::<Vec<_>>());
    assert_eq!(whole, bytewise);
    whole.expect_err("no file to read")
}

/// Members as `NAME=text`, joined by blanks.
fn members(seen: &Seen) -> String {
    match seen {
        Seen::Record(_, members) => members
            .iter()
            .map(|(name, text)| format!("{name}={}", std::str::from_utf8(text).expect("text")))
            .collect::<Vec<_>>()
            .join(" "),
        Seen::Damaged(damage) => panic!("damaged: {damage:?}"),
    }
}

fn damage(seen: &Seen) -> &Damage {
    match seen {
        Seen::Damaged(damage) => damage,
        Seen::Record(..) => panic!("not damaged: {seen:?}"),
    }
}

fn place(seen: &Seen) -> RecordPlace {
    match seen {
        Seen::Record(place, _) => *place,
        Seen::Damaged(damage) => damage.place,
    }
}

fn at(record: u64, line: u64, byte_start: u64, byte_end: u64) -> RecordPlace {
    RecordPlace {
        record,
        line,
        byte_start,
        byte_end,
    }
}

/// One record, read in Element style.
fn only(record: &str) -> String {
    let seen = read(&format!("<D>{record}</D>"));
    assert_eq!(seen.len(), 1, "{seen:?}");
    members(&seen[0])
}

#[test]
fn elements_are_members_and_their_places_are_exact() {
    let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<!-- <A> -->\n<Document>\r\n  \
                <CURRENCYENTITY><CURRENCYCODE>EUR</CURRENCYCODE><NAME/></CURRENCYENTITY>\r\
                <CURRENCYENTITY x=\"1\">\n<CURRENCYCODE>USD</CURRENCYCODE>\n<NAME>US &amp; A</NAME>\n</CURRENCYENTITY >\
                <?pi <CURRENCYENTITY> ?><!-- <CURRENCYENTITY> --><CURRENCYENTITY/>\n</Document >\n<!-- end --><?pi?>\n";
    let seen = read(text);
    let record = |n: usize| {
        let place = place(&seen[n]);
        let start = usize::try_from(place.byte_start).unwrap();
        let end = usize::try_from(place.byte_end).unwrap();
        (place.record, place.line, &text[start..end])
    };
    assert_eq!(members(&seen[0]), "CURRENCYCODE=EUR NAME=");
    let first = "<CURRENCYENTITY><CURRENCYCODE>EUR</CURRENCYCODE><NAME/></CURRENCYENTITY>";
    assert_eq!(record(0), (1, 4, first));
    assert_eq!(members(&seen[1]), "CURRENCYCODE=USD NAME=US & A");
    assert_eq!((record(1).0, record(1).1), (2, 5));
    assert!(record(1).2.ends_with("</CURRENCYENTITY >"));
    assert_eq!(members(&seen[2]), "");
    assert_eq!(record(2), (3, 8, "<CURRENCYENTITY/>"));
    assert_eq!(seen.len(), 3);
}

#[test]
fn attributes_are_members_in_the_other_style() {
    let text = "<Document xmlns:xsi='x'><C CODE=\"EUR\" xmlns:a = 'u' a:NAME='Eu&quot;r&#111; > <'\n SIGN='\u{20ac}\r\nx\ty&#10;' \
                xsi:nil=\"true\" xml:space='preserve' EMPTY=''/><C ></C><C A='2'> <!-- --> </C></Document>";
    let seen = read_bytes(ATTRIBUTES, text.as_bytes());
    assert_eq!(members(&seen[0]), "CODE=EUR NAME=Eu\"ro > < SIGN=\u{20ac} x y\n EMPTY=");
    assert_eq!(members(&seen[1]), "");
    assert_eq!(members(&seen[2]), "A=2");
}

#[test]
fn text_says_what_xml_says() {
    assert_eq!(
        only("<R><A> x <![CDATA[<R> & ]] > ]]>&lt;<!-- y -->z&#x20AC;<?p ?></A></R>"),
        "A= x <R> & ]] > <z\u{20ac}"
    );
    assert_eq!(only("<R><A>1\r\n2\r3&#13;</A></R>"), "A=1\n2\n3\r", "line ends are LF");
    assert_eq!(only("<R><A>it's \"so\" > </A></R>"), "A=it's \"so\" > ");
    assert_eq!(only("<R><A>&apos;&quot;&gt;&amp;amp;</A></R>"), "A='\">&amp;");
    assert_eq!(only("<R><A>&#1;&#0;</A></R>"), "A=\u{1}\0", "typing refuses it");
}

#[test]
fn bytes_that_are_not_utf8_pass_into_the_cell() {
    let seen = read_bytes(OPTIONS, b"<D><R><A>M\xFCnster</A></R></D>");
    assert_eq!(
        seen,
        [Seen::Record(
            at(1, 1, 3, 24),
            vec![("A".to_owned(), b"M\xFCnster".to_vec())]
        )]
    );
}

#[test]
fn nothing_and_nil_are_empty() {
    let record = "<R><A></A><B/><C xsi:nil=\"true\"/><D i:nil='1'>x</D><E xsi:nil='false'>x</E><F nil='true'>y</F></R>";
    assert_eq!(only(record), "A= B= C= D= E=x F=y");
}

#[test]
fn nested_elements_have_dotted_names() {
    let record = "<n:R xmlns:n='u'><n:ADDRESS kind='x'>\n<CITY>Bonn</CITY> <n:GEO><LAT>1</LAT></n:GEO>\n</n:ADDRESS><A>2</A></n:R>";
    assert_eq!(only(record), "ADDRESS.CITY=Bonn ADDRESS.GEO.LAT=1 A=2");
}

#[test]
fn namespace_prefixes_do_not_tell_records_apart() {
    let seen = read("<x:D><a:R><A>1</A></a:R><R><A>2</A></R><b:R/></x:D>");
    assert_eq!(seen.iter().map(members).collect::<Vec<_>>(), ["A=1", "A=2", ""]);
}

#[test]
fn what_looks_like_markup_in_quotes_comments_and_cdata_fools_nobody() {
    let seen = read(
        "<D><R a=\"</x>\" b='/> \"'><A c='>'><![CDATA[</R></D><R>]]></A><!-- </R> </D> <R> --><?x </R> ?><B>2</B></R><R/></D>",
    );
    assert_eq!(members(&seen[0]), "A=</R></D><R> B=2");
    assert_eq!(seen.len(), 2);
    let named_like_the_root = read("<D><R><D>1</D><E><D/></E></R><R/></D>");
    assert_eq!(members(&named_like_the_root[0]), "D=1 E.D=");
    assert_eq!(named_like_the_root.len(), 2);
    assert_eq!(members(&read("<R><R><A>1</A></R></R>")[0]), "A=1");
}

#[test]
fn a_root_without_records_is_a_file_without_records() {
    for text in ["<D/>", "<D a='>' />", "<D></D>", "\n<D>\n<!-- none --> <?x?></D>\r\n"] {
        assert_eq!(read(text), [], "{text}");
    }
}

#[test]
fn what_is_no_xml_file_is_refused_with_a_cure() {
    let long_tag = [b"<D a='".as_slice(), &vec![b'x'; ROOT_TAG_BYTES_MAX]].concat();
    let cases: [(&[u8], &str, &str); 20] = [
        (b"", "file_empty", "DMF2053"),
        (b"\xEF\xBB\xBF \r\n \t ", "file_empty", "DMF2053"),
        (b"a,b\n1,2\n", "xml_expected", "`a,b`"),
        (b"{\"a\": \x01}", "xml_expected", "DMF1830"),
        (b"\xFF\xFE<\0D\0", "xml_expected", "format"),
        (b"<?xml version='1.0'?> text <D/>", "xml_expected", "`text <D/>`"),
        (b"< D>", "xml_expected", "DMF1830"),
        (b"</D>", "xml_expected", "DMF1830"),
        (b"<![CDATA[x]]>", "xml_expected", "DMF1830"),
        (b"<D$/>", "xml_expected", "DMF1830"),
        (b"<!DOCTYPE d [<!ENTITY x 'y'>]><d/>", "doctype_refused", "remove it"),
        (b"<!-- --><!doctype html><html/>", "doctype_refused", "remove it"),
        (b"<!-- never closed <D/>", "xml_damaged", "comment"),
        (b"<?xml version='1.0' <D/>", "xml_damaged", "processing instruction"),
        (b"<?xml version='1.0'?>\n", "xml_damaged", "no root"),
        (b"<D", "xml_damaged", "ends inside"),
        (b"<D a='1>", "xml_damaged", "ends inside"),
        (b"<D <R/></D>", "xml_damaged", "not closed"),
        (b"<D a=1 ><R/></D>", "xml_damaged", "at byte 5"),
        (b"<D a='\xFC'/>", "encoding_unsupported", "UTF-8"),
    ];
    for (bytes, code, cure) in cases {
        let error = file_error(bytes);
        assert_eq!(error.code, code, "{}", String::from_utf8_lossy(bytes));
        assert!(error.reason.contains(cure), "{error}");
        assert!(!error.reason.contains(char::is_control), "{error}");
    }
    let (long, _, _) = read_pieces(OPTIONS, &[&long_tag]);
    assert!(long.is_err_and(|e| e.code == "xml_damaged" && e.reason.contains("65536 bytes")));
}

#[test]
fn a_first_record_with_too_many_members_refuses_the_file_and_a_later_one_is_damaged() {
    let many = "<A/>".repeat(51);
    assert_eq!(
        file_error(format!("<D><R>{many}</R></D>").as_bytes()).code,
        "too_many_columns"
    );
    let seen = read(&format!("<D><R/><R>{many}</R><R><A/></R></D>"));
    assert_eq!(damage(&seen[1]).code, RecordCode::InvalidXml);
    assert!(damage(&seen[1]).reason.contains("more than 50 members"));
    assert_eq!(members(&seen[2]), "A=");
    let attributes: Vec<_> = (0..51).map(|n| format!(" a{n}=''")).collect();
    let (result, _, _) = read_pieces(ATTRIBUTES, &[format!("<D><R{}/></D>", attributes.concat()).as_bytes()]);
    assert!(result.is_err_and(|error| error.code == "too_many_columns"));
}

#[test]
fn the_reader_of_a_whole_file_has_a_header() {
    let mut reader = xml_reader(OPTIONS);
    reader.feed(b"<D><R><A>1</A></R><R><B>2</B><a>3</a></R><R><A>4</A><A>5</A></R></D>");
    assert_eq!(reader.header(), Ok(None), "another record may have another member");
    reader.finish();
    assert_eq!(reader.header(), Ok(Some(vec!["A".to_owned(), "B".to_owned()])));
    let mut cells = Vec::new();
    let code = loop {
        match reader.step() {
            Step::Record(record) => cells.push(record.cells.concat()),
            Step::Damaged(damage) => break damage.code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cells, [b"1".to_vec(), b"32".to_vec()]);
    assert_eq!(code, RecordCode::MemberTwice);
    assert!(matches!(reader.step(), Step::End));
}

#[test]
fn a_position_that_no_reader_gave_does_no_harm() {
    for bytes in ["<D><R/>\n\n\n<R/></D>", "<D><R/>stray", "<D><R/></D>\n\n"] {
        for byte in 0..30 {
            let mut source = XmlSource::new(OPTIONS);
            source.feed(bytes.as_bytes());
            assert!(matches!(source.step(), Ok(NamedStep::Record(_))));
            while matches!(source.step(), Ok(NamedStep::Record(_))) {}
            source.skip_to(Position {
                records: 1,
                line: 1,
                byte,
            });
            source.finish();
            while !matches!(source.step(), Ok(NamedStep::End)) {}
        }
    }
}
