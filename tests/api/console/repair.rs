//! Rejected records are corrected in the console and go back as a correction does that somebody sends as a file.

mod entities;

use reqwest::StatusCode;
use serde_json::Value;

use super::browser::{Browser, Seen};
use crate::app::{Backend, TestApp, sample};
use crate::formats::{CORRECTIONS, NAMES, cases, define, records, rows};
use crate::support::files::Data;

crate::on_both_backends!(
    every_format_is_corrected_in_place,
    what_is_not_edited_goes_back_byte_for_byte,
    the_cell_at_fault_is_marked_and_a_tick_sends_a_record_as_it_is,
    a_correction_that_was_not_enough_is_corrected_again,
    many_records_are_corrected_page_by_page,
    what_cannot_be_corrected_here_says_so,
    a_correction_is_not_for_everybody,
);

/// Fills in the fields of a page for which there is another text, and sends its form.
async fn send(browser: &Browser<'_>, page: &Seen, path: &str, change: impl Fn(&str, &str) -> Option<String>) -> Seen {
    let mut fields = page.fields();
    for (name, value) in &mut fields {
        if let Some(text) = change(name, value).filter(|_| name.starts_with('c')) {
            *value = text;
        }
    }
    let form: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    browser.send(path, &form, &[("sec-fetch-site", "same-origin")]).await
}

/// The child that an answer leads to, at its end.
async fn child(app: &TestApp, answer: &Seen) -> Value {
    let id = answer.location().strip_prefix("/console/messages/").unwrap();
    app.run_until_idle().await;
    app.message(id.split('?').next().unwrap()).await
}

fn repair(message: &Value) -> String {
    format!("/console/messages/{}/repair", message["id"].as_str().unwrap())
}

async fn payload(app: &TestApp, message: &Value) -> Vec<u8> {
    let path = format!("/api/v1/messages/{}/payload", message["id"].as_str().unwrap());
    app.get(&path).await.bytes().await.unwrap().into()
}

async fn every_format_is_corrected_in_place(backend: Backend) {
    let records = records();
    let data = Data {
        names: &NAMES,
        rows: &records,
    };
    let cases = cases(&data);
    let app = TestApp::with(backend, |setup| {
        for (number, case) in cases.iter().enumerate() {
            define(setup, number, case);
        }
    })
    .await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let corrected = |_: &str, value: &str| {
        let found = CORRECTIONS.iter().find(|(wrong, _)| *wrong == value);
        found.map(|(_, right)| right.trim().to_owned())
    };
    let mut first = None;
    for (name, _, file) in cases {
        let parent = app
            .import(&format!("Inbound {name}"), &format!("Things {name}"), file)
            .await;
        assert_eq!(parent["records"]["rejected"], 7, "{name}: {parent:#}");
        let path = repair(&parent);
        let page = browser.see(&path).await;
        let marked = page
            .elements()
            .iter()
            .filter(|one| one.get("aria-invalid").is_some())
            .count();
        assert!(marked >= 7, "{name}: {marked} cells are marked");
        let answer = send(&browser, &page, &path, corrected).await;
        let child = child(&app, &answer).await;
        assert_eq!(child["status"], "Processed", "{name}: {child:#}");
        assert_eq!(child["records"]["inserted"], 7, "{name}");
        let after = app.message(parent["id"].as_str().unwrap()).await;
        assert_eq!(after["records"]["repaired"], 7, "{name}");
        let landed = rows(&app, name).await;
        assert_eq!(&landed, first.get_or_insert_with(|| landed.clone()), "{name}");
        let shown = browser.see(answer.location()).await;
        shown.says("The corrected records are sent back");
        shown.says("What was corrected");
        shown.says("Amount a lot 12.00");
        shown.says("Parent ZZZZZ ANATR");
        shown.does_not_say("Day 2026-02-30 2026-02-30");
    }
    assert_eq!(first.unwrap().len(), 10);
}

async fn what_is_not_edited_goes_back_byte_for_byte(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let record = ",\"Say \"\"hi\"\", you\", \" K\u{f6}ln\u{a0}\" ,\"two\nlines\r\nand, more\",=1+1,\"\",,\u{1f600} <b>&amp;</b>,'x'\r\n";
    let file = format!("CustomerID,CompanyName,City,Address,PostalCode,Phone,Fax,Region,Country\r\n{record}");
    let parent = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(parent["records"]["rejected"], 1, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let page = browser.see(&path).await;
    let answer = send(&browser, &page, &path, |name, _| {
        (name == "c1.0").then(|| "NEWID".to_owned())
    })
    .await;
    let child = child(&app, &answer).await;
    let sent = String::from_utf8(payload(&app, &child).await).unwrap();
    assert!(sent.starts_with("_reject_id,_error,CustomerID,"), "{sent}");
    assert!(sent.ends_with(&format!(",NEWID{record}")), "{sent}");
    // A text of several lines keeps the line breaks it had.
    let path = repair(&parent);
    let page = browser.see(&path).await;
    let answer = send(&browser, &page, &path, |name, value| match name {
        "c1.0" => Some("OTHER".to_owned()),
        "c1.3" => Some(value.replace("more", "less")),
        "c1.7" => Some(String::new()),
        _ => None,
    })
    .await;
    let child = app.message(answer.location().split(['/', '?']).nth(3).unwrap()).await;
    let sent = String::from_utf8(payload(&app, &child).await).unwrap();
    assert!(
        sent.contains(
            ",OTHER,\"Say \"\"hi\"\", you\", \" K\u{f6}ln\u{a0}\" ,\"two\r\nlines\r\nand, less\",=1+1,\"\",,,'x'\r\n"
        ),
        "{sent}"
    );
    app.run_until_idle().await;
}

async fn the_cell_at_fault_is_marked_and_a_tick_sends_a_record_as_it_is(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let orders = "OrderID,CustomerID,OrderDate,Freight\r\n1,LATER,2026-01-05,1\r\n2,LATER,2026-01-05,heavy\r\n";
    let parent = app.import("Inbound sales orders", "Sales order headers", orders).await;
    assert_eq!(parent["records"]["rejected"], 2, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let page = browser.see(&path).await;
    let fields = page.elements();
    let freight = fields.iter().find(|field| field.get("name") == Some("c2.3")).unwrap();
    assert_eq!(
        (freight.get("value"), freight.get("aria-invalid")),
        (Some("heavy"), Some("true"))
    );
    let described = freight.get("aria-describedby").unwrap();
    assert!(fields.iter().any(|one| one.get("id") == Some(described)), "{described}");
    let good = fields.iter().find(|field| field.get("name") == Some("c1.3")).unwrap();
    assert_eq!((good.get("aria-invalid"), good.get("aria-describedby")), (None, None));

    let nothing = send(&browser, &page, &path, |_, _| None).await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST);
    nothing.says("no record is ticked");
    let app_customers = "CustomerID,CompanyName\r\nLATER,Late\r\n";
    app.import("Inbound customers", "Customers", app_customers).await;
    let mut fields = page.fields();
    fields.push(("send".to_owned(), "1".to_owned()));
    let form: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = browser.send(&path, &form, &[]).await;
    let child = child(&app, &answer).await;
    assert_eq!(child["records"]["read"], 1, "only the one that was ticked: {child:#}");
    assert_eq!(child["records"]["inserted"], 1);
    browser
        .see(answer.location())
        .await
        .says("1 record sent back as they were.");
    let page = browser.see(&path).await;
    page.says("1 ✓ repaired");
    page.does_not_say("2 ✓ repaired");
    // The same page sent again is the same correction.
    let again = browser.send(&path, &form, &[]).await;
    assert_eq!(again.location(), answer.location());
}

async fn a_correction_that_was_not_enough_is_corrected_again(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app
        .import(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\n,\"No key, yet\"\r\n",
        )
        .await;
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let page = browser.see(&path).await;
    let answer = send(&browser, &page, &path, |name, _| {
        (name == "c1.0").then(|| "FAR TOO LONG TO BE A KEY".to_owned())
    })
    .await;
    let first = child(&app, &answer).await;
    assert_eq!(first["records"]["rejected"], 1, "{first:#}");
    let path = repair(&first);
    let page = browser.see(&path).await;
    page.does_not_say("_reject_id ");
    // Its own columns stand before those of the source.
    let answer = send(&browser, &page, &path, |name, _| {
        (name == "c1.2").then(|| "KEY".to_owned())
    })
    .await;
    let second = child(&app, &answer).await;
    assert_eq!(second["status"], "Processed", "{second:#}");
    let sent = String::from_utf8(payload(&app, &second).await).unwrap();
    assert!(
        sent.starts_with("_reject_id,_error,CustomerID,CompanyName\r\n"),
        "{sent}"
    );
    assert!(sent.ends_with(",KEY,\"No key, yet\"\r\n"), "{sent}");
    assert_eq!(
        app.message(parent["id"].as_str().unwrap()).await["records"]["repaired"],
        1
    );
}

async fn many_records_are_corrected_page_by_page(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let rows = ",No key\r\n".repeat(120);
    let file = format!("CustomerID,CompanyName\r\nAAAAA,Fine\r\n{rows}");
    let parent = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(parent["records"]["rejected"], 120, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let path = repair(&parent);
    let mut at = path.clone();
    for (more, expected) in [(true, 50), (true, 50), (false, 20)] {
        let page = browser.see(&at).await;
        let answer = send(&browser, &page, &path, |name, value| {
            let record = name.strip_prefix('c')?.strip_suffix(".0")?;
            value.is_empty().then(|| format!("K{record:0>4}"))
        })
        .await;
        let child = child(&app, &answer).await;
        assert_eq!(child["records"]["inserted"], expected, "{child:#}");
        let elements = page.elements();
        let next = elements.iter().find(|link| link.get("rel") == Some("next"));
        assert_eq!(next.is_some(), more);
        next.and_then(|next| next.get("href"))
            .unwrap_or_default()
            .clone_into(&mut at);
    }
    let parent = app.message(parent["id"].as_str().unwrap()).await;
    assert_eq!(parent["records"]["repaired"], 120);
}

async fn what_cannot_be_corrected_here_says_so(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/fixed.toml",
            "id = \"00000000-0000-4000-8000-0000000f00f1\"\nname = \"Fixed\"\ndirection = \"import\"\nclients = [\"tester\"]\n\
             [import]\nformat = \"fixed\"\ncolumns = [{ name = \"CustomerID\", width = 5 }, { name = \"CompanyName\", width = 10 }]\n\
             [[import.entities]]\nentity = \"Customers\"\nmap = { CustomerID = \"customer_account\", CompanyName = \"company_name\" }\n",
        );
    })
    .await;
    let file = "CustomerID,CompanyName\r\nAAAAA,\"never \" closed\r\nBBBBB,Fine\r\n,No key\r\n";
    let parent = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(parent["records"]["rejected"], 2, "{parent:#}");
    let browser = Browser::of(&app, "op", "operator").await;
    let page = browser.see(&repair(&parent)).await;
    page.says("It cannot be read as cells.");
    let boxes = page.elements();
    assert_eq!(boxes.iter().filter(|one| one.get("name") == Some("send")).count(), 1);

    let fixed = app.import("Fixed", "Customers", "     No key    \r\n").await;
    assert_eq!(fixed["records"]["rejected"], 1, "{fixed:#}");
    let path = repair(&fixed);
    let page = browser.see(&path).await;
    let wide = send(&browser, &page, &path, |name, _| {
        (name == "c1.0").then(|| "TOOLONG".to_owned())
    })
    .await;
    assert_eq!(wide.status, StatusCode::BAD_REQUEST);
    wide.says("Record 1, CustomerID: it takes at most 5 characters");

    let clean = app
        .import(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\nCCCCC,One\r\n",
        )
        .await;
    let seen = browser.get(&repair(&clean)).await;
    assert_eq!(seen.status, StatusCode::CONFLICT);
    browser
        .see(&format!("/console/messages/{}", clean["id"].as_str().unwrap()))
        .await
        .does_not_say("Correct and send back");
}

async fn a_correction_is_not_for_everybody(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app
        .import(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\n,No key\r\n",
        )
        .await;
    let viewer = Browser::of(&app, "viewer", "viewer").await;
    let path = repair(&parent);
    assert_eq!(viewer.get(&path).await.status, StatusCode::FORBIDDEN);
    let token = viewer.see("/console").await.form_token();
    let form = [
        ("form_token", token.as_str()),
        ("entity", "0"),
        ("after", "0"),
        ("c1.0", "AAAAA"),
    ];
    assert_eq!(viewer.send(&path, &form, &[]).await.status, StatusCode::FORBIDDEN);
    let operator = Browser::of(&app, "op", "operator").await;
    let foreign = operator.send(&path, &form, &[]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "another session's token");
    app.run_until_idle().await;
    let listed = app.message(parent["id"].as_str().unwrap()).await;
    assert_eq!(listed["links"]["children"], serde_json::json!([]));
}
