//! What holds for every input.

use proptest::prelude::*;

use super::super::text::{Within, escape};
use super::*;

fn xml_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "<R>",
        "</R>",
        "<R/>",
        "<R>",
        "</R>",
        "<R x='",
        "<R ",
        "<n:R>",
        "<A>",
        "</A>",
        "<A/>",
        "</D>",
        "<D>",
        "<O>",
        "</O>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!",
        "<",
        ">",
        "/",
        "'",
        "\"",
        "&amp;",
        "&",
        ";",
        "x",
        " ",
        "\n",
        "\r\n",
        "\r",
        "é",
        "-",
        "]",
        "<R><A>1</A></R>",
        "<R a='2'/>\n",
    ]);
    prop::collection::vec(piece, 0..50).prop_map(|pieces| pieces.concat().into_bytes())
}

fn options() -> impl Strategy<Value = XmlOptions> {
    (any::<bool>(), any::<bool>()).prop_map(|(tight, attributes)| {
        let style = if attributes {
            XmlStyle::Attribute
        } else {
            XmlStyle::Element
        };
        let options = if tight { TIGHT } else { OPTIONS };
        XmlOptions { style, ..options }
    })
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in at.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..to]);
        from = to;
    }
    pieces
}

/// Places ascend without overlap, records count up by one, and lines are right.
fn tiles(seen: &[Seen], bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut byte = 0;
    for (at, step) in seen.iter().enumerate() {
        let place = place(step);
        prop_assert_eq!(place.record, at as u64 + 1);
        let end = bytes.len() as u64;
        // Only a file that ends exactly behind a record is cut off without a byte.
        let has_bytes = place.byte_end > place.byte_start || (at + 1 == seen.len() && place.byte_start == end);
        prop_assert!(
            place.byte_start >= byte && has_bytes && place.byte_end <= end,
            "{:?}",
            place
        );
        prop_assert_eq!(place.line, line_at(bytes, usize::try_from(place.byte_start).unwrap()));
        byte = place.byte_end;
    }
    Ok(())
}

fn line_at(bytes: &[u8], at: usize) -> u64 {
    let breaks = (0..at).filter(|&i| match bytes[i] {
        b'\n' => i == 0 || bytes[i - 1] != b'\r',
        byte => byte == b'\r',
    });
    1 + breaks.count() as u64
}

/// Every step with the position behind it.
fn steps(options: XmlOptions, bytes: &[u8]) -> Vec<(Seen, Position)> {
    let mut source = XmlSource::new(options);
    source.feed(bytes);
    source.finish();
    let mut all = Vec::new();
    while let Ok(step) = source.step() {
        let seen = match step {
            NamedStep::Record(record) => Seen::Record(record.place, record.members),
            NamedStep::Damaged(damage) => Seen::Damaged(damage),
            NamedStep::NeedInput | NamedStep::End => break,
        };
        all.push((seen, source.position()));
    }
    all
}

/// What is read after a skip from behind the first step.
fn resumed(options: XmlOptions, bytes: &[u8], piece: usize, position: Position) -> Vec<Seen> {
    let mut source = XmlSource::new(options);
    let mut skipped = false;
    let mut seen = Vec::new();
    for at in 0..=bytes.len().div_ceil(piece) {
        match bytes.chunks(piece).nth(at) {
            Some(piece) => source.feed(piece),
            None => source.finish(),
        }
        if !skipped {
            match source.step() {
                Ok(NamedStep::NeedInput) | Err(_) => continue,
                Ok(_) => {}
            }
            source.skip_to(position);
            assert_eq!(source.position(), position);
            skipped = true;
        }
        let _ = drain(&mut source, &mut seen);
    }
    assert_eq!(source.step(), Ok(NamedStep::End));
    seen
}

/// A record with these members, in some style.
fn record(style: XmlStyle, members: &[String]) -> String {
    let mut out = b"<REC".to_vec();
    for (at, text) in members.iter().enumerate() {
        match style {
            XmlStyle::Attribute => {
                out.extend_from_slice(format!(" M{at}=\"").as_bytes());
                escape(&mut out, text, Within::Attribute);
                out.push(b'"');
            }
            XmlStyle::Element => {
                out.extend_from_slice(if at == 0 { b">" } else { b"" });
                out.extend_from_slice(format!("<M{at}>").as_bytes());
                escape(&mut out, text, Within::Element);
                out.extend_from_slice(format!("</M{at}>").as_bytes());
            }
        }
    }
    out.extend_from_slice(match style {
        XmlStyle::Attribute => b"/>",
        XmlStyle::Element => b"</REC>",
    });
    String::from_utf8(out).unwrap()
}

fn texts() -> impl Strategy<Value = Vec<Vec<String>>> {
    let text = prop_oneof![
        "[<>&\"';\r\n\t x#\\]!-]{0,8}",
        any::<String>().prop_map(|text| text.chars().filter(|c| super::super::text::is_xml_char(*c)).collect()),
    ];
    prop::collection::vec(prop::collection::vec(text, 1..4), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), rooted in any::<bool>(), options in options()) {
        let bytes = [if rooted { b"<D>".as_slice() } else { b"" }, &bytes].concat();
        let (_, seen, _) = read_pieces(options, &[&bytes]);
        tiles(&seen, &bytes)?;
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_input_was_split(
        body in xml_like(),
        rooted in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        options in options(),
    ) {
        let bytes = [if rooted { b"<D><R/>".as_slice() } else { b"" }, &body].concat();
        let whole = read_pieces(options, &[&bytes]);
        let pieces = read_pieces(options, &split(&bytes, &cuts));
        let bytewise = read_pieces(options, &bytes.chunks(1).collect::<Vec<_>>());
        prop_assert_eq!(&whole.0, &pieces.0);
        prop_assert_eq!(&whole.1, &pieces.1);
        prop_assert_eq!(&whole.0, &bytewise.0);
        prop_assert_eq!(&whole.1, &bytewise.1);
        prop_assert_eq!(whole.2.position(), bytewise.2.position());
        tiles(&whole.1, &bytes)?;
    }

    #[test]
    fn reading_resumes_at_any_position(
        body in xml_like(),
        start in prop::sample::select(vec!["<D>", "<D><R/>", "<D>stray", "<D><R><A>1</A></R>\n", "<D/>"]),
        piece in prop::sample::select(vec![1, 5, 1000]),
        options in options(),
    ) {
        let bytes = [start.as_bytes(), &body].concat();
        let all = steps(options, &bytes);
        for (done, (_, position)) in all.iter().enumerate() {
            let left: Vec<_> = all[done + 1..].iter().map(|(seen, _)| seen.clone()).collect();
            prop_assert_eq!(resumed(options, &bytes, piece, *position), left, "from {:?}", position);
        }
    }

    #[test]
    fn what_was_written_is_read_back(records in texts(), attributes in any::<bool>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let style = if attributes { XmlStyle::Attribute } else { XmlStyle::Element };
        let body: String = records.iter().map(|members| record(style, members) + "\r\n").collect();
        let file = format!("<?xml version=\"1.0\"?>\n<D>{body}</D>");
        let (result, seen, _) = read_pieces(XmlOptions { style, ..OPTIONS }, &split(file.as_bytes(), &cuts));
        prop_assert_eq!(result, Ok(()));
        let read: Vec<Vec<String>> = seen.iter().map(|step| match step {
            Seen::Record(_, members) => members.iter().map(|(_, text)| String::from_utf8(text.clone()).unwrap()).collect(),
            Seen::Damaged(damage) => vec![format!("{damage:?}")],
        }).collect();
        prop_assert_eq!(read, records);
    }

    /// The promise: one bad record costs one record. The first one is spared, because it says what records are called.
    #[test]
    fn one_bad_byte_costs_one_record(
        attributes in any::<bool>(),
        bad in 1..9_usize,
        at in any::<prop::sample::Index>(),
        instead in prop::sample::select(vec!["", "<", ">", "\"", "&", "/", "x", " ", "<!--", "<![CDATA[", "<?", "</", "</REC>"]),
        insert in any::<bool>(),
    ) {
        let style = if attributes { XmlStyle::Attribute } else { XmlStyle::Element };
        let mut records: Vec<_> = (0..10).map(|n| record(style, &[n.to_string(), "a b".to_owned()])).collect();
        let at = at.index(records[bad].len());
        records[bad].replace_range(at..at + usize::from(!insert), instead);
        let file = format!("<Doc>{}</Doc>", records.join("\n"));
        let seen = read_bytes(XmlOptions { style, ..OPTIONS }, file.as_bytes());
        let landed: Vec<_> = seen.iter().filter_map(|step| match step {
            Seen::Record(_, members) => members.first().map(|(_, text)| String::from_utf8_lossy(text).into_owned()),
            Seen::Damaged(_) => None,
        }).collect();
        for n in (0..10).filter(|n| *n != bad) {
            prop_assert!(landed.contains(&n.to_string()), "{} is lost in {}: {:?}", n, file, seen);
        }
    }
}

/// Files made to be scanned again and again.
fn hostile() -> Vec<String> {
    let many = |text: &str| text.repeat(60_000 / text.len());
    let long = "x".repeat(30_000);
    let starts = "<R/>".repeat(PASSED_STARTS_MAX);
    let mut all: Vec<String> = [
        "<R>",
        "<R/>",
        "</R>",
        "<",
        "<!",
        "<!--",
        "<![CDATA[",
        "<?",
        "<O>",
        "<O><R/>",
        "<O><R>",
        "<R x='",
        "<R x='\"",
        "<R><!--",
        "<R><![CDATA[",
        "<R><?",
        "<R><!--<R/>",
        "<R><![CDATA[<R/>",
        "<R><?<R/>",
        "<R><![CDATA[<R><![CDATA[]]>",
        "<!--<R>",
        "<O><![CDATA[",
        "<D>",
        "</D",
        "<R></D",
        "<R><D>",
        "&",
        "<n:",
        "<R><A>",
        "<R><A><![CDATA[<R/>]]>",
        "<R><!--<R/>--><O>",
        "\r",
        "<R>-->",
    ]
    .iter()
    .map(|text| many(text))
    .collect();
    all.extend([
        many("<R><![CDATA[<R/>") + "]]>" + &long + "<!--",
        many("<R><![CDATA[<R>") + "]]>" + &long + "<!--",
        many("<R><![CDATA[<R/><R><!--<R/>") + "]]>" + &long + "-->" + &long,
        many(&format!("<R><![CDATA[{starts}")) + &long,
        many(&format!("<O>{starts}<R>")) + &long,
        many(&format!("<R><?{starts}?><![CDATA[")) + &long,
        many(&("<".to_owned() + &"n".repeat(255))),
        many(&("<R><".to_owned() + &"n".repeat(255) + ">")),
    ]);
    all
}

#[test]
fn hostile_files_cost_a_bounded_number_of_looks_at_each_byte() {
    let options = XmlOptions {
        max_record_bytes: 20_000,
        ..OPTIONS
    };
    for body in hostile() {
        let text = format!("<D><R/>{body}");
        for piece in [512, 1 << 20] {
            let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
            let (_, seen, source) = read_pieces(options, &pieces);
            let looks = source.bytes_examined() / text.len() as u64;
            let name = &text[..60.min(text.len())];
            assert!(
                looks <= 2 * PASSED_STARTS_MAX as u64 + 4,
                "{looks} looks at each byte of {name:?}"
            );
            assert!(seen.len() > 1, "{name:?}");
            let held = source.buffer_capacity();
            assert!(
                held <= 3 * (options.max_record_bytes + piece),
                "{held} bytes held of {name:?}"
            );
        }
    }
}

#[test]
fn a_clean_file_is_looked_at_once() {
    let text = format!(
        "<D>{}</D>",
        "<R><A>1</A><B x='2'>&lt;</B><!-- c --></R>\n".repeat(10_000)
    );
    let pieces: Vec<_> = text.as_bytes().chunks(64).collect();
    let (_, seen, source) = read_pieces(OPTIONS, &pieces);
    assert_eq!(seen.len(), 10_000);
    assert!(source.bytes_examined() <= text.len() as u64);
}
