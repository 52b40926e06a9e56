//! One bad record costs one record (promise 5): each is reported with its place, code and reason, the others land.

use serde_json::Value;

use crate::app::{Backend, TestApp, sample};

crate::on_both_backends!(
    each_bad_record_is_rejected_with_its_place_and_the_rest_lands,
    a_file_that_cannot_be_mapped_is_a_preprocessing_error,
    past_the_error_threshold_nothing_is_applied,
    columns_that_do_not_fit_are_told_or_refused,
    an_unknown_company_form_or_entity_is_refused_before_anything_is_stored,
);

const HEADER: &str = "OrderID,CustomerID,EmployeeID,OrderDate,RequiredDate,ShippedDate,ShipVia,Freight,ShipName,ShipAddress,ShipCity,ShipRegion,ShipPostalCode,ShipCountry";

/// Fourteen cells of a good order, some of them replaced.
fn order(id: u32, replace: &[(usize, &str)]) -> String {
    let id = id.to_string();
    let mut cells = [
        id.as_str(),
        "VINET",
        "5",
        "1996-07-04 00:00:00.000",
        "1996-08-01 00:00:00.000",
        "",
        "3",
        "32.38",
        "Vins",
        "Rue",
        "Reims",
        "",
        "51100",
        "France",
    ];
    for (at, value) in replace {
        cells[*at] = value;
    }
    cells.join(",")
}

async fn each_bad_record_is_rejected_with_its_place_and_the_rest_lands(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    app.import("Inbound customers", "Customers", sample("customers.csv"))
        .await;
    let long = "x".repeat(500);
    let lines = [
        HEADER.to_owned(),
        order(1, &[]),                                 // record 1, line 2
        order(2, &[(7, "a lot")]),                     // 2: wrong type
        order(3, &[(1, "ZZZZZ")]),                     // 3: missing parent
        order(4, &[(0, "")]),                          // 4: missing required (key)
        order(5, &[]),                                 // 5
        order(5, &[(8, "Other")]),                     // 6: duplicate key
        order(7, &[(8, &long)]),                       // 7: too long
        order(8, &[(8, "\"Vins\" et\"")]),             // 8: broken quote
        order(9, &[(3, "1996-02-30 00:00:00.000")]),   // 9: bad date
        order(10, &[(8, "\"two\nlines, one cell\"")]), // 10, two lines
        order(11, &[(7, "x"), (3, "y")]),              // 11: two errors, one record
        order(12, &[]),                                // 12
    ];
    let file = lines.join("\r\n") + "\r\n";
    let message = app
        .import("Inbound sales orders", "Sales order headers", file.clone())
        .await;
    assert_eq!(message["status"], "ProcessedWithErrors", "{message:#}");
    let counts = &message["records"];
    assert_eq!(
        (
            &counts["read"],
            &counts["applied"],
            &counts["rejected"],
            &counts["skipped"]
        ),
        (&12.into(), &4.into(), &8.into(), &0.into())
    );
    let errors: Value = app
        .get(&format!("/api/v1/messages/{}/errors", message["id"].as_str().unwrap()))
        .await
        .json()
        .await
        .unwrap();
    let errors = errors["errors"].as_array().unwrap();
    let expected: [(u64, u64, u64, &str); 9] = [
        (2, 3, 8, "invalid_decimal"),
        (3, 4, 2, "reference_missing"),
        (4, 5, 1, "required_missing"),
        (6, 7, 1, "duplicate_key"),
        (7, 8, 9, "too_long"),
        (8, 9, 9, "broken_quote"),
        (9, 10, 4, "invalid_datetime"),
        (11, 13, 4, "invalid_datetime"),
        (11, 13, 8, "invalid_decimal"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, (record, line, column, code)) in errors.iter().zip(expected) {
        assert_eq!(error["code"], code, "{error:#}");
        assert_eq!(error["record"], record, "{error:#}");
        assert_eq!(error["line"], line, "{error:#}");
        assert_eq!(error["column"], column, "{error:#}");
        let start = usize::try_from(error["byte_start"].as_u64().unwrap()).unwrap();
        let end = usize::try_from(error["byte_end"].as_u64().unwrap()).unwrap();
        let of_line = lines[usize::try_from(record).unwrap()].as_str();
        assert_eq!(file[start..end].trim_end(), of_line, "{error:#}");
        assert!(error["reason"].as_str().unwrap().len() > 20, "{error:#}");
        assert!(error["reject"].as_str().unwrap().ends_with(&format!(".{record}")));
    }
    assert!(
        errors[3]["reason"].as_str().unwrap().contains("record 5"),
        "the duplicate names the first: {}",
        errors[3]["reason"]
    );
    let entity = app.definitions.find_entity("Sales order headers").unwrap();
    let landed = app
        .rows(&format!(
            "select cast(\"{}\" as text) from \"{}\" order by 1",
            entity.key[0], entity.table
        ))
        .await;
    let mut landed: Vec<u32> = landed
        .into_iter()
        .map(|r| r[0].as_ref().unwrap().parse().unwrap())
        .collect();
    landed.sort_unstable();
    assert_eq!(landed, [1, 5, 10, 12]);
    let groups = message["errors"].as_array().unwrap();
    let count: u64 = groups.iter().map(|g| g["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 9, "grouped errors add up");
}

async fn a_file_that_cannot_be_mapped_is_a_preprocessing_error(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    for (body, code) in [("\r\n\r\n", "header_missing"), ("A,B\r\n1,2\r\n", "no_column_matches")] {
        let message = app.import("Inbound customers", "Customers", body).await;
        assert_eq!(message["status"], "PreProcessingError", "{message:#}");
        assert_eq!(message["failure"]["code"], code, "{message:#}");
        assert_eq!(message["records"]["read"], 0);
        assert_eq!(message["final"], true);
    }
}

async fn past_the_error_threshold_nothing_is_applied(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        setup.file(
            "jobs/strict.toml",
            r#"
id = "00000000-0000-4000-8000-0000000000aa"
name = "Strict customers"
direction = "import"
data_source = "file"
clients = ["tester"]
[import]
format = "csv"
max_errors = 1
[[import.entities]]
entity = "Customers"
"#,
        );
    })
    .await;
    let file = "Customer Account,company_name\r\nAAAAA,One\r\n,Two\r\n,Three\r\nBBBBB,Four\r\n";
    let message = app.import("Strict customers", "Customers", file).await;
    assert_eq!(message["status"], "PostProcessingFailed", "{message:#}");
    assert_eq!(message["failure"]["code"], "too_many_errors");
    let counts = &message["records"];
    assert_eq!(
        (
            &counts["read"],
            &counts["applied"],
            &counts["rejected"],
            &counts["skipped"]
        ),
        (&4.into(), &0.into(), &2.into(), &2.into())
    );
    let table = &app.definitions.find_entity("Customers").unwrap().table;
    assert!(
        app.rows(&format!("select cast(1 as text) from \"{table}\""))
            .await
            .is_empty()
    );
}

async fn an_unknown_company_form_or_entity_is_refused_before_anything_is_stored(backend: Backend) {
    let app = TestApp::spawn(backend).await;
    let job = app.job("Inbound customers");
    for query in ["entity=Customers&company=toolong", "entity=Nothing", "company=usmf"] {
        let answer = app.post(&format!("/api/connector/enqueue/{job}?{query}"), "x").await;
        assert_eq!(answer.status(), 400, "{query}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["Message"].as_str().unwrap().len() > 20, "{body}");
    }
    assert_eq!(app.messages().await, 0);
}

async fn columns_that_do_not_fit_are_told_or_refused(backend: Backend) {
    let entity = include_str!("../../entities/customers.toml");
    let app = TestApp::with(backend, |setup| {
        let strict = entity
            .replace(
                "name = \"Customers\"",
                "name = \"Strict\"\nunknown_columns = \"reject\"",
            )
            .replace("label = \"Customers\"", "label = \"Strict\"")
            .replace("table = \"customers\"", "table = \"strict\"");
        setup.file("entities/strict.toml", &strict);
        let job = include_str!("../../jobs/inbound-customers.toml")
            .replace("Inbound customers", "Strict customers")
            .replace("40c81c4c", "40c81c4e")
            .replace("entity = \"Customers\"", "entity = \"Strict\"")
            .replace("clients = []", "clients = [\"tester\"]")
            .replace("sample = true", "sample = false");
        setup.file("jobs/strict.toml", &job);
    })
    .await;
    let file = "CustomerID,CompanyName,Shoe size,Hat\r\nAAAAA,One,42,56\r\n";
    let message = app.import("Inbound customers", "Customers", file).await;
    assert_eq!(message["status"], "Processed", "{message:#}");
    let warnings = &message["executions"][0]["entities"][0]["warnings"];
    let told = warnings.as_array().unwrap();
    assert_eq!(told[0], "no field takes these columns of the file: `Shoe size`, `Hat`");
    let missing = told[1].as_str().unwrap();
    assert!(
        missing.starts_with("the file has no column for these fields: `contact_name`, "),
        "{missing}"
    );
    let message = app.import("Strict customers", "Strict", file).await;
    assert_eq!(
        (&message["status"], &message["failure"]["code"]),
        (&"PreProcessingError".into(), &"column_unknown".into())
    );
    let empty = app
        .import("Inbound customers", "Customers", "CustomerID,CompanyName\r\n")
        .await;
    assert_eq!(empty["status"], "Processed");
    let told = empty["executions"][0]["entities"][0]["warnings"].as_array().unwrap();
    assert_eq!(told.last().unwrap(), "the file has no records");
}
