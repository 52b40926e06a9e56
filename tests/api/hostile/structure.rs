//! Files that are well-formed, more or less, and mean harm: columns without number, entities that expand or fetch, nesting
//! without end, names twice.

use std::fmt::Write as _;

use super::{app, refused, rejects, send};
use crate::app::Backend;
use crate::support::damage::laughing_doctype;
use crate::support::files::Data;

crate::on_both_backends!(
    a_million_columns_are_too_many,
    nothing_is_expanded_and_nothing_is_fetched,
    names_that_stand_twice_are_refused,
    nesting_without_end_costs_a_record,
    a_long_first_record_costs_itself_alone,
);

const MILLION: usize = 1_000_000;

async fn a_million_columns_are_too_many(backend: Backend) {
    let app = app(backend).await;
    let (mut csv, mut json, mut elements, mut attributes) =
        (String::new(), String::new(), String::new(), String::new());
    for number in 0..MILLION {
        write!(csv, "c{number},").unwrap();
        write!(json, ",\"c{number}\":1").unwrap();
        write!(elements, "<c{number}/>").unwrap();
        write!(attributes, " c{number}=\"\"").unwrap();
    }
    refused(&app, "csv", "columns", csv, "too_many_columns").await;
    // A million members are longer than a record may be, before they are too many.
    let good = "{\"CustomerID\":\"GOOD\",\"CompanyName\":\"Good\"}";
    let json = format!("[{good},{{\"CustomerID\":\"A\"{json}}}]");
    rejects(&app, "json", "members", json, 1, &["record_too_large"]).await;
    let elements =
        format!("<D><R><CustomerID>GOOD</CustomerID><CompanyName>Good</CompanyName></R><R>{elements}</R></D>");
    rejects(&app, "element", "elements", elements, 1, &["record_too_large"]).await;
    let attributes = format!("<D><R CustomerID=\"GOOD\" CompanyName=\"Good\"/>\n<R{attributes}/></D>");
    rejects(&app, "attribute", "attributes", attributes, 1, &["record_too_large"]).await;
    // And as many as fit into one.
    let members: Vec<String> = (0..3000).map(|number| format!("\"c{number}\":1")).collect();
    refused(
        &app,
        "json",
        "3000 members",
        format!("[{{{}}}]", members.join(",")),
        "too_many_columns",
    )
    .await;
}

async fn nothing_is_expanded_and_nothing_is_fetched(backend: Backend) {
    let app = app(backend).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let secret = app.folder.join("secret");
    std::fs::write(&secret, "TOP SECRET").unwrap();
    let quadratic = format!("<!ENTITY l9 \"{}\">", "x".repeat(100_000));
    let types = [
        laughing_doctype(),
        format!("<!DOCTYPE D [{quadratic}]>"),
        format!("<!DOCTYPE D [<!ENTITY l9 SYSTEM \"file://{}\">]>", secret.display()),
        format!("<!DOCTYPE D [<!ENTITY l9 SYSTEM \"http://{address}/\">]>"),
        format!("<!DOCTYPE D SYSTEM \"http://{address}/x.dtd\">"),
        format!("<!DOCTYPE D [<!ENTITY % p SYSTEM \"http://{address}/x.dtd\"> %p;]>"),
    ];
    let body = |format: &str| {
        if format == "attribute" {
            "<D><R CustomerID=\"A\" CompanyName=\"&l9;\"/></D>".to_owned()
        } else {
            format!(
                "<D><R><CustomerID>A</CustomerID><CompanyName>{}</CompanyName></R></D>",
                "&l9;".repeat(1000)
            )
        }
    };
    for format in ["element", "attribute"] {
        for kind in &types {
            let file = format!("<?xml version=\"1.0\"?>\n{kind}\n{}", body(format));
            refused(&app, format, kind, file, "doctype_refused").await;
        }
        rejects(&app, format, "no such entity", body(format), 0, &["invalid_xml"]).await;
    }
    let fetching = format!(
        "<?xml-stylesheet href=\"http://{address}/\"?><D xmlns:xi=\"http://www.w3.org/2001/XInclude\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"http://{address}/ x.xsd\">\
         <R><CustomerID>A</CustomerID><CompanyName>One</CompanyName></R>\
         <xi:include href=\"http://{address}/\"/></D>"
    );
    let message = send(&app, "element", fetching).await;
    assert_eq!(message["records"]["inserted"], 1, "{message:#}");
    listener.set_nonblocking(true).unwrap();
    let met = listener.accept();
    assert!(met.is_err(), "somebody called: {met:?}");
    let rows = app.rows("select company_name from customers").await;
    assert_eq!(rows, [[Some("One".to_owned())]]);
}

async fn names_that_stand_twice_are_refused(backend: Backend) {
    let app = app(backend).await;
    let rows = [vec!["A".to_owned(), "One".to_owned(), "Two".to_owned()]];
    let data = Data {
        names: &["CustomerID", "CompanyName", "company name"],
        rows: &rows,
    };
    let detail = refused(&app, "csv", "columns", data.delimited(','), "column_twice").await;
    assert!(
        detail.contains("CompanyName") && detail.contains("company name"),
        "{detail}"
    );
    refused(&app, "xlsx", "columns", data.workbook(), "column_twice").await;
    refused(&app, "json", "columns", data.json(), "column_twice").await;
    let twice = "[{\"CustomerID\":\"A\",\"CompanyName\":\"One\",\"companyname\":\"Two\"}]";
    rejects(&app, "json", "members", twice, 0, &["member_twice"]).await;
    let twice = "<D><R><CustomerID>A</CustomerID><CompanyName>1</CompanyName><COMPANYNAME>2</COMPANYNAME></R></D>";
    rejects(&app, "element", "elements", twice, 0, &["member_twice"]).await;
    let twice = "<D><R CustomerID=\"A\" CompanyName=\"1\" CompanyName=\"2\"/></D>";
    rejects(&app, "attribute", "attributes", twice, 0, &["member_twice"]).await;
    // A header that comes again is a record like any other: nobody can tell that it is none.
    let header = "CustomerID,CompanyName\r\n";
    let message = send(&app, "csv", format!("{header}A,One\r\n{header}B,Two\r\n")).await;
    assert_eq!(
        (&message["records"]["read"], &message["records"]["inserted"]),
        (&3.into(), &3.into())
    );
}

async fn nesting_without_end_costs_a_record(backend: Backend) {
    let app = app(backend).await;
    let good = "{\"CustomerID\":\"GOOD\",\"CompanyName\":\"Good\"}";
    for open in ["[", "{\"a\":"] {
        let deep = format!(
            "{good}\n{{\"CustomerID\":\"A\",\"CompanyName\":{}\n{good}\n",
            open.repeat(MILLION / 10)
        );
        rejects(&app, "jsonl", open, deep, 1, &["invalid_json", "duplicate_key"]).await;
    }
    let deep = format!(
        "<D><R><CustomerID>GOOD</CustomerID><CompanyName>Good</CompanyName></R><R>{}</D>",
        "<x>".repeat(MILLION / 10)
    );
    rejects(&app, "element", "<x>", deep, 1, &["invalid_xml"]).await;
}

/// What a file brings is read off its first records: one that is too long to be read must not take their place.
async fn a_long_first_record_costs_itself_alone(backend: Backend) {
    let app = app(backend).await;
    let long = "x".repeat(9 << 20);
    let json = |id: &str, name: &str| format!("{{\"CustomerID\":\"{id}\",\"CompanyName\":\"{name}\"}}");
    let element =
        |id: &str, name: &str| format!("<R><CustomerID>{id}</CustomerID><CompanyName>{name}</CompanyName></R>\n");
    let attribute = |id: &str, name: &str| format!("<R CustomerID=\"{id}\" CompanyName=\"{name}\"/>\n");
    let two = |record: &dyn Fn(&str, &str) -> String| [record("A", &long), record("GOOD", "Good")];
    for (format, file) in [
        ("csv", format!("CustomerID,CompanyName\nA,{long}\nGOOD,Good\n")),
        ("json", format!("[{}]", two(&json).join(",\n"))),
        ("jsonl", two(&json).join("\n")),
        ("element", format!("<D>{}</D>", two(&element).concat())),
        ("attribute", format!("<D>{}</D>", two(&attribute).concat())),
    ] {
        rejects(&app, format, "a long record", file, 1, &["record_too_large"]).await;
    }
}
