//! What each kind of damage costs, and that it costs no more.

use super::*;

/// The steps in short: a record as its members, damage as `!` and its text.
fn short(text: &str) -> Vec<String> {
    let seen = read(text);
    let byte = |at: u64| usize::try_from(at).unwrap();
    seen.iter()
        .map(|step| match step {
            Seen::Record(..) => members(step),
            Seen::Damaged(damage) => {
                assert_eq!(damage.code, RecordCode::InvalidXml);
                format!("!{}", &text[byte(damage.place.byte_start)..byte(damage.place.byte_end)])
            }
        })
        .collect()
}

/// The reason of the only damage.
fn reason(text: &str) -> String {
    let seen = read(text);
    let mut reasons = seen.iter().filter_map(|step| match step {
        Seen::Damaged(damage) => Some(damage.reason.clone()),
        Seen::Record(..) => None,
    });
    let reason = reasons.next().expect("damage");
    assert_eq!(reasons.next(), None, "{text}");
    reason
}

#[test]
fn a_record_that_does_not_parse_costs_itself() {
    let bad = [
        (
            "<R><A>1</B></R>",
            "the end tag of `A` was expected, but that of `B` was found (at byte 27 of",
        ),
        (
            "<R><A>1</R>",
            "the end tag of `A` was expected, but that of `R` was found (at byte 27 of",
        ),
        ("<R></A></R>", "the end tag of `R` was expected"),
        (
            "<R><A>a & b</A></R>",
            "write `&amp;` for the character itself (at byte 28 of",
        ),
        ("<R><A>&nbsp;</A></R>", "`nbsp` is no entity that XML itself has"),
        ("<R><A>&#xD800;</A></R>", "`#xD800` is no entity"),
        ("<R><A>&#+65;</A></R>", "`#+65` is no entity"),
        (
            "<R><A>1 < 2</A></R>",
            "write `&lt;` for the character itself (at byte 28 of",
        ),
        ("<R><1/></R>", "begins no tag"),
        ("<R>text<A/></R>", "text stands between the record's members"),
        (
            "<R><A/><![CDATA[text]]></R>",
            "text stands between the record's members",
        ),
        ("<R><A/>&#65;</R>", "text stands between the record's members"),
        ("<R><A>text<B/></A></R>", "`A` holds both text and elements"),
        ("<R><A><B><C/></B>text</A></R>", "`A` holds both text and elements"),
        ("<R><A x=1/></R>", "not in quotes (at byte 28 of"),
        ("<R x='1'y='2'/>", "is a quote missing? (at byte 28 of"),
        ("<R x/>", "an attribute has no value (at byte 23 of"),
        ("<R><A 'x'/></R>", "the name of an attribute was expected"),
        ("<R><!DOCTYPE x></R>", "document type declaration"),
        ("<R><!x></R>", "(at byte 23 of"),
    ];
    for (record, expected) in bad {
        let text = format!("<D><R><A>1</A></R>\n\n{record}\r\n<R><A>3</A></R></D>");
        assert_eq!(short(&text), ["A=1", &format!("!{record}"), "A=3"]);
        let reason = reason(&text);
        assert!(reason.contains(expected), "{record}: {reason}");
        let seen = read(&text);
        assert_eq!((place(&seen[1]).line, damage(&seen[1]).excerpt.as_str()), (3, record));
    }
}

#[test]
fn each_style_refuses_what_belongs_to_the_other() {
    let seen = read_bytes(
        ATTRIBUTES,
        b"<D><R A='1'><B>2</B></R><R>x</R><R A='&x;'/><R A='&'/><R A='3'/></D>",
    );
    assert!(
        damage(&seen[0])
            .reason
            .contains("the element `B`, but this job reads attributes; use xml-element")
    );
    assert!(damage(&seen[1]).reason.contains("text, but this job reads attributes"));
    assert!(damage(&seen[2]).reason.contains("`x` is no entity") && damage(&seen[2]).reason.contains("at byte 38"));
    assert!(damage(&seen[3]).reason.contains("&amp;"));
    assert_eq!(members(&seen[4]), "A=3");
}

#[test]
fn names_that_are_not_utf8_are_damage_of_their_own_code() {
    let seen = read_bytes(OPTIONS, b"<D><R><\xFC>1</\xFC></R><R/></D>");
    assert_eq!(damage(&seen[0]).code, RecordCode::InvalidUtf8);
    assert_eq!(seen.len(), 2);
}

#[test]
fn nesting_and_names_have_limits() {
    let nested = |depth: usize| format!("<D><R>{}x{}</R><R/></D>", "<A>".repeat(depth), "</A>".repeat(depth));
    assert_eq!(read(&nested(DEPTH_MAX - 1)).len(), 2);
    assert!(members(&read(&nested(DEPTH_MAX - 1))[0]).ends_with(".A.A=x"));
    assert!(reason(&nested(DEPTH_MAX)).contains("more than 64 deep"));
    let named = |length: usize| format!("<D><R><O><{0}>x</{0}></O></R><R/></D>", "n".repeat(length));
    assert_eq!(
        members(&read(&named(MEMBER_NAME_BYTES_MAX - 2))[0]).len(),
        MEMBER_NAME_BYTES_MAX + 2
    );
    assert!(reason(&named(MEMBER_NAME_BYTES_MAX - 1)).contains("longer than 256 bytes"));
}

#[test]
fn a_record_that_is_not_closed_ends_where_the_next_begins() {
    assert_eq!(short("<D><R><A>1</A>\n<R><A>2</A></R></D>"), ["!<R><A>1</A>\n", "A=2"]);
    assert_eq!(short("<D><R><A>1<R/></D>"), ["!<R><A>1", ""]);
    assert_eq!(short("<D><R><A>1</A></R\n<R/></D>"), ["!<R><A>1</A></R\n", ""]);
    assert_eq!(short("<D><R/><R><A>1</A></D>"), ["", "!<R><A>1</A>"], "the root's end");
    assert_eq!(short("<D><R/><R><D/></D>"), ["", "!<R><D/>"]);
    assert_eq!(short("<D><R/><R x='1'</D>"), ["", "!<R x='1'"]);
    assert!(reason("<D><R/><R><A>1</A></D>").contains("`R` is not closed"));
}

#[test]
fn a_quote_that_is_not_closed_costs_its_record() {
    assert_eq!(
        short("<D><R x=\"1/>\n<R x=\"2\"/><R x='3/></D>"),
        ["!<R x=\"1/>\n", "", "!<R x='3/>"]
    );
    assert_eq!(
        short("<D><R><A x=\"1>2</A></R><R/></D>"),
        ["!<R><A x=\"1>2</A></R>", ""]
    );
}

#[test]
fn an_element_of_another_name_is_one_damaged_record() {
    let file = "<D><R/><x:O><O a='>'><R><A>not loaded</A></R></O><O/></x:O><R/></D>";
    let other = &file[7..file.len() - 8];
    assert_eq!(short(file), ["", &format!("!{other}"), ""]);
    assert!(reason(file).contains("the element `R` was expected, found `x:O`"));
    assert_eq!(short("<D><R/><O/><R/></D>"), ["", "!<O/>", ""]);
    assert_eq!(short("<D><R/><r></r><R/></D>"), ["", "!<r></r>", ""], "XML minds case");
}

#[test]
fn an_element_of_another_name_that_is_not_closed_does_not_swallow_records() {
    assert_eq!(
        short("<D><R/><RX><A>1</A></R>\n<R><A>2</A></R><R/></D>"),
        ["", "!<RX><A>1</A></R>\n", "A=2", ""]
    );
    assert!(reason("<D><R/><O><R/></D>").contains("the element `O` stands where"));
    assert_eq!(
        short("<D><R/><O><R/>\n<R/></"),
        ["", "!<O>", "", "", "!</"],
        "nor in a file that is cut off"
    );
    let many = format!("<D><R/><O>{}</O></D>", "<R/>".repeat(PASSED_STARTS_MAX + 1));
    let steps = short(&many);
    assert_eq!(steps.len(), 1 + 1 + PASSED_STARTS_MAX + 1 + 1);
    assert_eq!((steps[1].as_str(), steps.last().unwrap().as_str()), ("!<O>", "!</O>"));
    let fewer = format!("<D><R/><O>{}</O></D>", "<R/>".repeat(PASSED_STARTS_MAX));
    assert_eq!(short(&fewer).len(), 2);
}

#[test]
fn text_between_records_costs_no_record() {
    assert_eq!(
        short("<D>a & b\n<R/>]]>\n<R/><![CDATA[<R/>]]><R/></R><R/><!x><5 <R/></D>"),
        [
            "!a & b\n",
            "",
            "!]]>\n",
            "",
            "!<![CDATA[<R/>]]>",
            "",
            "!</R>",
            "",
            "!<!x>",
            "!<5 ",
            ""
        ]
    );
    let seen = read("<D>\n text\n<R/></D>");
    assert_eq!(place(&seen[0]), at(1, 2, 5, 10));
    assert_eq!(damage(&seen[0]).excerpt, "text");
    assert!(reason("<D><R/></O></D>").contains("end tag without a start tag"));
}

#[test]
fn what_is_not_closed_ends_at_the_next_whole_record() {
    for open in ["<!-- ", "<![CDATA[ ", "<?x "] {
        let text = format!("<D><R><A>1{open}</A></R>\n<R><A>2</R \n<R><A>3</A></R>\n<R/></D>");
        let steps = short(&text);
        let given_up = format!("!<R><A>1{open}</A></R>\n");
        assert_eq!(
            steps,
            [&given_up, "!<R><A>2</R \n", "A=3", ""],
            "the next one scans, though it does not parse"
        );
        let between = format!("<D><R/>{open}<R x='<R><A>3</A></R>\n<R/></D>");
        assert_eq!(short(&between), ["", &format!("!{open}<R x='"), "A=3", ""]);
        let last = format!("<D><R/><R><A>1{open}</A></R></D>\n");
        assert_eq!(short(&last), ["", &format!("!{}", &last[7..])], "with the file");
        assert!(reason(&last).contains("is not closed before the end of the file"));
    }
    assert_eq!(
        short("<D><!-- <O><A>1</A></O></D>"),
        ["!<!-- ", "A=1"],
        "before the first record, any element will do"
    );
}

#[test]
fn a_comment_in_a_comment_shows_that_the_first_is_not_closed() {
    assert_eq!(
        short("<D><R><A>1<!-- </A></R><R><A>2</A></R><!-- x --><R/></D>"),
        ["!<R><A>1<!-- </A></R>", "A=2", ""]
    );
    assert_eq!(
        short("<D><R/><!-- <R><A>2</A></R><R/><!-- x --></D>"),
        ["", "!<!-- ", "A=2", ""]
    );
    assert_eq!(short("<D><R/><!-- ---- rule ---- --><R/></D>"), ["", ""]);
}

#[test]
fn a_comment_between_records_may_hold_any_number_of_them() {
    let text = format!("<D><R/><!--{}--><R/></D>", "<R/>".repeat(500));
    assert_eq!(short(&text), ["", ""]);
    let within = format!("<D><R><!--{}--></R><R><A/></R></D>", "<R/>".repeat(65));
    assert_eq!(read(&within).len(), 1 + 65 + 1 + 1 + 1);
    assert!(
        damage(&read(&within)[0])
            .reason
            .contains("more than 64 records seem to begin inside the record")
    );
}

#[test]
fn a_file_that_is_cut_off_says_so_once() {
    let whole = "<D>\n<R><A>1</A></R>\n<R><A x='2'><!-- c --><![CDATA[d]]></A></R>\n</D>";
    let first_end = "<D>\n<R><A>1</A></R>".len();
    let second_start = first_end + 1;
    for length in "<D>".len()..whole.len() {
        let seen = read(&whole[..length]);
        let cut = damage(seen.last().unwrap());
        assert_eq!(cut.code, RecordCode::InvalidXml);
        assert_eq!(cut.place.byte_end, length as u64, "{}", &whole[..length]);
        let said = cut.reason.contains("cut off") || cut.reason.contains("not closed before the end of the file");
        assert!(said, "{}: {}", &whole[..length], cut.reason);
        let landed = usize::from(length >= first_end) + usize::from(length >= whole.len() - "\n</D>".len());
        assert_eq!(seen.len(), landed + 1, "{}", &whole[..length]);
        if length == second_start + 8 {
            assert_eq!(cut.place, at(2, 3, second_start as u64, length as u64));
        }
    }
    assert_eq!(
        place(&read("<D>")[0]),
        at(1, 1, 0, 3),
        "with the root's start tag when there is no record"
    );
    assert_eq!(place(&read("<D><R/>\n<!-- x -->\n")[1]), at(2, 1, 7, 19));
    assert_eq!(
        place(&read("<D><R/>")[1]),
        at(2, 1, 7, 7),
        "nothing follows the last record"
    );
    assert_eq!(place(&read("<D>\n<R/>\n</D ")[1]), at(2, 2, 8, 13));
}

#[test]
fn what_follows_the_root_is_one_damaged_record() {
    assert_eq!(
        short("<D><R/></D>\n<!-- x --><R/> more\n<R/>\n"),
        ["", "!<R/> more\n<R/>\n"]
    );
    assert_eq!(short("<D/>x"), ["!x"]);
    assert_eq!(short("<D></D><!-- x"), ["!<!-- x"]);
    assert!(reason("<D></D><?x").contains("processing instruction behind the end tag of the root is not closed"));
    assert!(reason("<D></D></D>").contains("behind the end tag of the root"));
    assert_eq!(read("<D></D<!-- x -->"), []);
}

#[test]
fn a_record_past_its_limit_ends_at_the_next_whole_one() {
    let long = "x".repeat(5000);
    let text = format!("<D><R><A>{long}</A></R>\n<R><A>2</A></R><R><!-- {long} --></R>\n<R/></D>");
    let seen = read(&text);
    let large = damage(&seen[0]);
    assert_eq!(large.code, RecordCode::RecordTooLarge);
    assert_eq!(large.place, at(1, 1, 3, 3 + 6 + 5000 + 9));
    assert!(
        large
            .reason
            .contains("the record is longer than 4000 bytes (csv.max_record_bytes)")
    );
    assert_eq!(large.excerpt.len(), 200);
    assert_eq!(members(&seen[1]), "A=2");
    assert!(damage(&seen[2]).reason.contains("reached inside a comment"));
    assert_eq!(members(&seen[3]), "");
    assert_eq!(seen.len(), 4);
    let fits = format!("<D><R>{}</R></D>", " ".repeat(4000 - 7));
    assert_eq!(members(&read(&fits)[0]), "");
    let one_more = format!("<D><R>{}</R></D>", " ".repeat(4000 - 6));
    assert_eq!(damage(&read(&one_more)[0]).code, RecordCode::RecordTooLarge);
}

/// What may stand in a file without end, and how it begins and ends.
const ENDLESS: [(&str, &str); 13] = [
    ("<D><R><A>", "</A></R><R/></D>"),
    ("<D><R><A><![CDATA[", "]]></A></R><R/></D>"),
    ("<D><R x='", "'/><R/></D>"),
    ("<D><R><!--", "--></R><R/></D>"),
    ("<D><R/><!--", "--><R/></D>"),
    ("<D><R/><?", "?><R/></D>"),
    ("<D><R/><O>", "</O><R/></D>"),
    ("<D><R/>", "<R/></D>"),
    ("<D><R/></", "><R/></D>"),
    ("<D><R/></D ", "><!-- -->"),
    ("<D/><!--", "-->"),
    ("<D/>", "<"),
    ("<!--", "--><D/>"),
];

#[test]
fn nothing_without_end_is_held_in_memory() {
    let piece = vec![b'x'; 50_000];
    for (at, (before, after)) in ENDLESS.into_iter().enumerate() {
        let mut source = XmlSource::new(OPTIONS);
        let mut seen = Vec::new();
        source.feed(before.as_bytes());
        // 100 MB, then 10 MB each.
        for _ in 0..if at == 0 { 2000 } else { 200 } {
            drain(&mut source, &mut seen).expect("a file");
            source.feed(&piece);
            assert!(source.buffer_capacity() < 4 * (4000 + piece.len()), "{before}");
        }
        source.feed(after.as_bytes());
        source.finish();
        drain(&mut source, &mut seen).expect("a file");
        assert!(seen.len() <= 4, "{before}: {seen:?}");
        assert!(source.bytes_examined() <= 2 * 100_000_100, "{before}");
    }
}
