//! Rejects are downloaded in the source's format, corrected and sent back as a child; the parent's numbers stay (promise 5).

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::client::Answered;

crate::on_both_backends!(
    corrected_rejects_repair_their_parent,
    a_second_correction_repairs_parent_and_grandparent,
    a_reject_id_that_is_none_of_the_parents_rejects_its_record,
    only_what_has_rejects_can_be_corrected,
    the_header_comes_back_as_it_was_written,
    a_correction_saved_by_another_tool_keeps_one_id_column,
    a_long_damaged_tail_comes_back_byte_for_byte,
);

/// How a tool saves a rejects file, and the header and record the next rejects file shows for it.
type Case<'a> = (&'a dyn Fn(&str) -> String, &'a str, &'a str);

const FILE: &str = "CustomerID,CompanyName,City\r\nAAAAA,\"Quotes \"\"and\"\" commas, too\",Köln\r\n,No key,Paris\r\nCCCCC,Fine,\r\n,No key either,\"Two\r\nlines\"\r\n";

async fn rejects(app: &TestApp, id: &Value) -> String {
    let answer = app
        .get(&format!("/api/v1/messages/{}/rejects", id.as_str().unwrap()))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

async fn resubmit(app: &TestApp, id: &Value, body: String) -> Value {
    let answer = app
        .post(&format!("/api/v1/messages/{}/resubmit", id.as_str().unwrap()), body)
        .await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let child: Value = answer.json().await.unwrap();
    app.run_until_idle().await;
    app.message(child["id"].as_str().unwrap()).await
}

/// By which message each rejected record was repaired, page by page of one error.
async fn repaired_by(app: &TestApp, id: &Value) -> Vec<Value> {
    let path = format!("/api/v1/messages/{}/errors?limit=1", id.as_str().unwrap());
    let (mut repaired, mut after) = (Vec::new(), String::new());
    loop {
        let page = Answered::read(app.get(&format!("{path}{after}")).await).await;
        let page = page.expect(StatusCode::OK);
        let errors = page["errors"].as_array().unwrap();
        repaired.extend(errors.iter().map(|error| error["repaired_by"].clone()));
        let Some(next) = page["next"].as_str() else {
            return repaired;
        };
        after = format!("&after={next}");
    }
}

async fn corrected_rejects_repair_their_parent(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app.import("Inbound customers", "Customers", FILE).await;
    assert_eq!(parent["status"], "ProcessedWithErrors", "{parent:#}");
    assert_eq!(parent["records"]["rejected"], 2);
    let file = rejects(&app, &parent["id"]).await;
    assert!(
        file.starts_with("_reject_id,_error,CustomerID,CompanyName,City\r\n"),
        "{file}"
    );
    assert!(file.contains("\"Two\r\nlines\""), "the record's own text: {file}");
    assert!(file.contains("required_missing: "), "{file}");
    assert_eq!(repaired_by(&app, &parent["id"]).await, vec![Value::Null; 2]);
    let corrected = fix_keys(&file);
    let child = resubmit(&app, &parent["id"], corrected.clone()).await;
    assert_eq!(child["status"], "Processed", "{child:#}");
    assert_eq!(child["records"]["inserted"], 2);
    assert_eq!(child["links"]["parent"], parent["links"]["self"]);
    let after = app.message(parent["id"].as_str().unwrap()).await;
    assert_eq!(after["records"]["repaired"], 2);
    assert_eq!(after["records"]["rejected"], 2, "the parent's own numbers never change");
    assert_eq!(after["status"], "ProcessedWithErrors");
    assert_eq!(after["links"]["children"][0], child["links"]["self"]);
    assert_eq!(repaired_by(&app, &parent["id"]).await, vec![child["id"].clone(); 2]);
    // The same correction again repairs nothing more.
    let again = resubmit(&app, &parent["id"], corrected).await;
    assert_eq!(again["records"]["unchanged"], 2);
    assert_eq!(
        app.message(parent["id"].as_str().unwrap()).await["records"]["repaired"],
        2
    );
}

/// Fills the empty key of each record of a rejects file.
fn fix_keys(file: &str) -> String {
    let mut fixed = String::new();
    for (number, line) in file.split_inclusive("\r\n").enumerate() {
        let line = line.to_owned();
        let starts_record = line.contains("required_missing");
        let line = if starts_record {
            line.replacen(",,No key", &format!(",K{number:04},No key"), 1)
        } else {
            line
        };
        fixed.push_str(&line);
    }
    fixed
}

async fn a_second_correction_repairs_parent_and_grandparent(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app.import("Inbound customers", "Customers", FILE).await;
    let file = rejects(&app, &parent["id"]).await;
    // Sent back unchanged: rejected again.
    let child = resubmit(&app, &parent["id"], file).await;
    assert_eq!(child["records"]["rejected"], 2, "{child:#}");
    assert_eq!(
        app.message(parent["id"].as_str().unwrap()).await["records"]["repaired"],
        0
    );
    let file = rejects(&app, &child["id"]).await;
    assert_eq!(file.matches("_reject_id").count(), 1, "one id column: {file}");
    let grandchild = resubmit(&app, &child["id"], fix_keys(&file)).await;
    assert_eq!(grandchild["status"], "Processed", "{grandchild:#}");
    for id in [&parent["id"], &child["id"]] {
        let message = app.message(id.as_str().unwrap()).await;
        assert_eq!(message["records"]["repaired"], 2, "{message:#}");
        assert_eq!(message["records"]["rejected"], 2);
    }
}

async fn a_reject_id_that_is_none_of_the_parents_rejects_its_record(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let parent = app.import("Inbound customers", "Customers", FILE).await;
    let other = app.import("Inbound customers", "Customers", FILE).await;
    let (parent_id, other_id) = (parent["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    let ids = [
        format!("{parent_id}.0.1"),  // landed
        format!("{parent_id}.0.99"), // never was
        format!("{parent_id}.7.2"),  // another entity
        format!("{other_id}.0.2"),   // another message's
        format!("{parent_id}.0.2"),  // right
        String::new(),               // a record of its own
    ];
    let mut file = "_reject_id,_error,CustomerID,CompanyName,City\r\n".to_owned();
    for (number, id) in ids.iter().enumerate() {
        write!(file, "{id},,N{number:04},Name,City\r\n").unwrap();
    }
    let child = resubmit(&app, &parent["id"], file.clone()).await;
    assert_eq!(child["records"]["rejected"], 4, "{child:#}");
    assert_eq!(child["records"]["inserted"], 2);
    assert_eq!(child["errors"][0]["code"], "reference_missing");
    assert_eq!(child["errors"][0]["sample"]["column"], 1);
    assert_eq!(app.message(parent_id).await["records"]["repaired"], 1);
    // Pushed like any other file, the ids mean nothing and repair nothing.
    let pushed = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(pushed["records"]["applied"], 6, "{pushed:#}");
    assert_eq!(app.message(parent_id).await["records"]["repaired"], 1);
}

async fn only_what_has_rejects_can_be_corrected(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let clean = app
        .import(
            "Inbound customers",
            "Customers",
            "CustomerID,CompanyName\r\nAAAAA,One\r\n",
        )
        .await;
    let path = format!("/api/v1/messages/{}/resubmit", clean["id"].as_str().unwrap());
    assert_eq!(
        app.post(&path, "CustomerID,CompanyName\r\nB,Two\r\n").await.status(),
        StatusCode::CONFLICT
    );
    let waiting = app.enqueue("Inbound customers", "Customers", FILE).await;
    let path = format!("/api/v1/messages/{waiting}/resubmit");
    assert_eq!(
        app.post(&path, FILE).await.status(),
        StatusCode::CONFLICT,
        "not before it has ended"
    );
    app.run_until_idle().await;
}

async fn the_header_comes_back_as_it_was_written(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (before, header) in [
        ("", "\"CustomerID\",\"CompanyName\",City"),
        ("\r\n\n\r\n", "CustomerID,CompanyName,City"),
        ("\u{feff}\r\n", "CustomerID,CompanyName,City"),
        ("", "CustomerID,CompanyName,\"City\r\nof residence\""),
        ("\u{feff}\n", "\"CustomerID\n\",CompanyName,\"Home, \"\"City\"\"\""),
    ] {
        let file = format!("{before}{header}\r\nAAAAA,Fine,Köln\r\n,No key,\"Two\r\nlines\"\r\n");
        let parent = app.import("Inbound customers", "Customers", file).await;
        assert_eq!(parent["records"]["rejected"], 1, "{parent:#}");
        let file = rejects(&app, &parent["id"]).await;
        assert!(
            file.starts_with(&format!("_reject_id,_error,{header}\r\n")),
            "{before:?} {header:?}: {file}"
        );
        assert!(file.ends_with(",,No key,\"Two\r\nlines\"\r\n"), "{file}");
        let child = resubmit(&app, &parent["id"], fix_keys(&file)).await;
        assert_eq!(child["status"], "Processed", "{child:#}");
    }
}

async fn a_correction_saved_by_another_tool_keeps_one_id_column(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let quoted = |id: &str| {
        format!(
            "\"_Reject_ID\",\"_ERROR\",\"CustomerID\",\"CompanyName\",\"City\"\r\n\
             \"{id}\",\"required_missing: a, b\",\"\",\"No \"\"key\"\"\",\"Two\r\nlines\"\r\n"
        )
    };
    let moved = |id: &str| {
        format!(
            "CustomerID,\"_REJECT_ID\",CompanyName, _error ,City\r\n,{id},\"No \"\"key\"\"\",\"a\r\nb\",\"Two\r\nlines\"\r\n"
        )
    };
    let cases: [Case<'_>; 2] = [
        (
            &quoted,
            "\"CustomerID\",\"CompanyName\",\"City\"",
            "\"\",\"No \"\"key\"\"\",\"Two\r\nlines\"\r\n",
        ),
        (
            &moved,
            "CustomerID,CompanyName,City",
            ",\"No \"\"key\"\"\",\"Two\r\nlines\"\r\n",
        ),
    ];
    for (saved, header, record) in cases {
        let parent = app.import("Inbound customers", "Customers", FILE).await;
        let correction = saved(&format!("{}.0.2", parent["id"].as_str().unwrap()));
        let child = resubmit(&app, &parent["id"], correction).await;
        assert_eq!(child["records"]["rejected"], 1, "{child:#}");
        let file = rejects(&app, &child["id"]).await;
        assert!(file.starts_with(&format!("_reject_id,_error,{header}\r\n")), "{file}");
        assert!(file.ends_with(record), "{file}");
        let (_, rest) = record.split_once(',').unwrap();
        let fixed = file.replace(&format!(",{record}"), &format!(",K{},{rest}", header.len()));
        let grandchild = resubmit(&app, &child["id"], fixed).await;
        assert_eq!(grandchild["status"], "Processed", "{grandchild:#}");
        for id in [&parent["id"], &child["id"]] {
            assert_eq!(app.message(id.as_str().unwrap()).await["records"]["repaired"], 1);
        }
    }
}

async fn a_long_damaged_tail_comes_back_byte_for_byte(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let mut tail = "BBBBB,\"never closed".to_owned();
    for line in 0.. {
        if tail.len() >= 3 << 20 {
            break;
        }
        write!(tail, "\r\nline {line} of the text").unwrap();
    }
    let file = format!("CustomerID,CompanyName,City\r\nAAAAA,Fine,Paris\r\n{tail}\n");
    let parent = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(parent["records"]["rejected"], 1, "{}", parent["records"]);
    let file = rejects(&app, &parent["id"]).await;
    let start = "_reject_id,_error,CustomerID,CompanyName,City\r\n";
    assert!(file.starts_with(start));
    assert_eq!(file.matches("_reject_id").count(), 1);
    let id = format!("{}.0.2,", parent["id"].as_str().unwrap());
    assert!(file[start.len()..].starts_with(&id));
    assert!(file.ends_with(&format!(",{tail}\r\n")), "every byte, in order");
}
