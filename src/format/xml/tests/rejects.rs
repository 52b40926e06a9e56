//! What is put into a rejects file is read back as it stood, with the two members before it.

use proptest::prelude::*;

use super::*;

fn written(style: XmlStyle, source: &str, records: &[&[u8]]) -> String {
    let rejects = XmlRejects::new(style, source.as_bytes());
    let mut out = Vec::new();
    rejects.prefix(&mut out);
    for (at, raw) in records.iter().enumerate() {
        rejects.record(&mut out, raw, &format!("m.0.{at}"), "why: <&\">", false);
    }
    rejects.suffix(&mut out);
    String::from_utf8(out).expect("rejects files are UTF-8")
}

/// The only record of a rejects file.
fn one(style: XmlStyle, raw: &str) -> String {
    let source = "<Doc xmlns:xsi='u'><R/></Doc>";
    let text = written(style, source, &[raw.as_bytes()]);
    let body = text
        .strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Doc xmlns:xsi='u'>\r\n")
        .and_then(|text| text.strip_suffix("\r\n</Doc>\r\n"));
    body.expect("prefix and suffix").to_owned()
}

#[test]
fn elements_get_the_two_members_first_and_stand_as_they_stood() {
    let two = "<_reject_id>m.0.0</_reject_id><_error>why: &lt;&amp;\"&gt;</_error>";
    for (raw, before, after) in [
        (
            "<R>\r\n <A x='1'>a &amp; b</A><!-- c -->\r\n</R >",
            "<R>",
            "\r\n <A x='1'>a &amp; b</A><!-- c -->\r\n</R >",
        ),
        ("<R a = \"1\"/>", "<R a = \"1\">", "</R>"),
        ("<n:R />", "<n:R >", "</n:R>"),
        (
            "<R><_ERROR>old</_ERROR>\n<A/><_reject_id/><B><_error/></B></R>",
            "<R>",
            "\n<A/><B><_error/></B></R>",
        ),
        ("<R><_error><_error>x</_error></_error></R>", "<R>", "</R>"),
    ] {
        assert_eq!(one(XmlStyle::Element, raw), format!("{before}{two}{after}"));
    }
}

#[test]
fn attributes_get_the_two_members_first_and_stand_as_they_stood() {
    let two = " _reject_id=\"m.0.0\" _error=\"why: &lt;&amp;&quot;&gt;\"";
    for (raw, after) in [
        ("<R\n A='1' B = \"2>\"/>", "\n A='1' B = \"2>\"/>"),
        ("<R></R>", "></R>"),
        ("<R/>", "/>"),
        ("<R A='1'  _Error='old' B='2' _reject_id=\"x\"/>", " A='1' B='2'/>"),
        ("<R><A>wrong style</A></R>", "><A>wrong style</A></R>"),
    ] {
        assert_eq!(one(XmlStyle::Attribute, raw), format!("<R{two}{after}"));
    }
}

#[test]
fn what_would_spoil_the_file_stands_escaped() {
    for raw in [
        "<R><A>1</R>",
        "<R>\n<A>1</A>\n",
        "<R><A>&nbsp;</A></R>",
        "<R><A>&#1;</A></R>",
        "<R><A>a & b</A></R>",
        "<R a='1' a='2'/>",
        "<R a='<'/>",
        "<R a='&'/>",
        "<R a=1/>",
        "<R><A>]]></A></R>",
        "<R><!-- a -- b --></R>",
        "<R><?xml version='1.0'?></R>",
        "<R><!DOCTYPE x></R>",
        "<R><A\"/></R>",
        "<O><A>another name</A></O>",
        "<R/><R/>",
        "<R/> text",
        "text",
        "",
    ] {
        let body = one(XmlStyle::Element, raw);
        let inner = body
            .strip_prefix("<R><_reject_id>m.0.0</_reject_id><_error>")
            .expect(raw);
        assert!(inner.contains("<_raw>") && inner.ends_with("</_raw></R>"), "{body}");
        for style in [XmlStyle::Element, XmlStyle::Attribute] {
            let text = written(style, "<D><R/></D>", &[raw.as_bytes()]);
            let seen = read_bytes(XmlOptions { style, ..OPTIONS }, text.as_bytes());
            let error = "why: <&\">";
            assert_eq!(members(&seen[0]), format!("_reject_id=m.0.0 _error={error} _raw={raw}"));
        }
    }
}

#[test]
fn raw_text_is_made_legible() {
    let rejects = XmlRejects::new(XmlStyle::Element, b"<D><n:R/></D>");
    let mut out = Vec::new();
    rejects.record(&mut out, b"<n:R>\0\x1b\xFF\r\n\xEF\xBF\xBF", "i", "e", false);
    let body = "&lt;n:R&gt;\u{fffd}\u{fffd}\u{fffd}&#13;\n\u{fffd}";
    let expected = format!("<n:R><_reject_id>i</_reject_id><_error>e</_error><_raw>{body}</_raw></n:R>\r\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    rejects.record(&mut out, b"<n:R/>", "i", "e", true);
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains("<_raw>&lt;n:R/&gt;\u{2026}</_raw>"),
        "whole by chance, but cut"
    );
}

#[test]
fn root_and_record_name_come_from_the_source() {
    let start = |source: &str| {
        let text = written(XmlStyle::Element, source, &[b""]);
        let lines: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| line.split(['>']).next().unwrap().to_owned() + ">")
            .collect();
        lines.join("")
    };
    assert_eq!(
        start("\u{feff}<?xml?><!-- x --><n:Doc a='/>'\n><x:R>"),
        "<n:Doc a='/><x:R></n:Doc>".replace("'/><", "'/>\n><").replace('\n', "")
    );
    assert_eq!(start("<Doc/>garbage"), "<Doc><RECORD></Doc>");
    assert_eq!(start("<Doc>stray<R"), "<Doc><RECORD></Doc>");
    assert_eq!(start("<Doc>stray<R "), "<Doc><R></Doc>");
    assert_eq!(
        start("<Doc a='1' a='2'><R/>"),
        "<Document><R></Document>",
        "no parser would take it"
    );
    assert_eq!(start("a,b"), "<Document><RECORD></Document>");
    let far = format!("<Doc><!--{}--><R/>", "x".repeat(70_000));
    assert_eq!(start(&far), "<Doc><RECORD></Doc>");
}

#[test]
fn a_rejects_file_that_comes_back_is_written_the_same() {
    for style in [XmlStyle::Element, XmlStyle::Attribute] {
        let source = "<D><R A='1'/></D>";
        let raws: [&[u8]; 3] = [b"<R A='1'/>", b"<R><A>x</A></R>", b"<R"];
        let once = written(style, source, &raws);
        let seen = read_bytes(XmlOptions { style, ..OPTIONS }, once.as_bytes());
        let again: Vec<&[u8]> = seen
            .iter()
            .map(|step| {
                let place = place(step);
                let range = usize::try_from(place.byte_start).unwrap()..usize::try_from(place.byte_end).unwrap();
                &once.as_bytes()[range]
            })
            .collect();
        assert_eq!(written(style, &once, &again), once);
    }
}

proptest! {
    #[test]
    fn any_bytes_make_a_file_of_one_record_each(
        raws in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[<>/RA'\" x=&;!?\\[\\]-]{0,30}".prop_map(String::into_bytes),
            "<R( A='[a<&;]{0,3}'){0,2}>(<A>[a&;]{0,3}</A>|<!-- -{0,2}|<_error/>|x){0,3}</R>".prop_map(String::into_bytes),
        ], 1..5),
        attributes in any::<bool>(),
    ) {
        let style = if attributes { XmlStyle::Attribute } else { XmlStyle::Element };
        let raws: Vec<_> = raws.iter().map(Vec::as_slice).collect();
        let text = written(style, "<D><R/></D>", &raws);
        let seen = read_bytes(XmlOptions { style, ..OPTIONS }, text.as_bytes());
        prop_assert_eq!(seen.len(), raws.len(), "{}", text);
        for (at, (step, raw)) in seen.iter().zip(&raws).enumerate() {
            let start = usize::try_from(place(step).byte_start).unwrap();
            prop_assert!(text[start..].starts_with("<R"));
            let Seen::Record(_, members) = step else {
                // Well-formed, but not what this style reads.
                let source = [b"<D>".as_slice(), raw, b"</D>"].concat();
                let before = read_bytes(XmlOptions { style, ..OPTIONS }, &source);
                prop_assert!(matches!(&before[0], Seen::Damaged(_)), "{}", text);
                continue;
            };
            prop_assert_eq!(&members[0], &("_reject_id".to_owned(), format!("m.0.{at}").into_bytes()));
            prop_assert_eq!(&members[1].0, "_error");
            prop_assert!(!members[2..].iter().any(|(name, _)| name == "_error"));
        }
    }
}
