//! Records that land as they are read (`skip_staging`).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::app::{Backend, TestApp};
use crate::interrupted::work_with_interruptions;

crate::on_both_backends!(
    each_batch_lands_by_itself_and_leaves_nothing_behind,
    a_key_that_comes_again_is_a_later_write,
    an_interrupted_import_goes_on_after_the_batches_that_landed,
    a_record_refers_to_those_before_it,
    corrections_land_like_their_parent,
);

const SHOPS: &str = r#"
name = "Shops"
table = "shops"
create_table = true
key = ["shop"]
[[fields]]
name = "shop"
max_length = 10
[[fields]]
name = "parent"
references = { entity = "Shops", field = "shop" }
"#;

const SALES: &str = r#"
name = "Sales"
table = "sales"
create_table = true
key = ["sale"]
[[fields]]
name = "sale"
type = "int"
[[fields]]
name = "shop"
required = true
references = { entity = "Shops", field = "shop" }
[[fields]]
name = "amount"
type = "decimal"
precision = 8
scale = 2
[[rules]]
name = "no_gifts"
check = "amount <> 0"
message = "a sale has a price"
"#;

async fn app(backend: Backend) -> TestApp {
    let job = |name: &str, id: u8| {
        format!(
            "id = \"00000000-0000-4000-8000-00000000a9{id:02}\"\nname = \"{name} in\"\ndirection = \"import\"\n\
             clients = [\"tester\"]\n[import]\nformat = \"csv\"\nskip_staging = true\n[[import.entities]]\nentity = \"{name}\"\n"
        )
    };
    TestApp::with(backend, |setup| {
        setup.set("import.batch_records", "7");
        setup.file("entities/shops.toml", SHOPS);
        setup.file("entities/sales.toml", SALES);
        setup.file("jobs/shops.toml", &job("Shops", 1));
        setup.file("jobs/sales.toml", &job("Sales", 2));
    })
    .await
}

async fn open_shops(app: &TestApp, shops: &str) -> Value {
    app.import("Shops in", "Shops", shops.to_owned()).await
}

/// Status and (read, inserted, updated, rejected, skipped).
fn end(message: &Value) -> Value {
    let records = &message["records"];
    let of = |name: &str| records[name].clone();
    json!([
        message["status"],
        [of("read"), of("inserted"), of("updated"), of("rejected"), of("skipped")]
    ])
}

async fn errors(app: &TestApp, message: &Value) -> Vec<(u64, String)> {
    let id = message["id"].as_str().unwrap();
    let errors: Value = app
        .get(&format!("/api/v1/messages/{id}/errors"))
        .await
        .json()
        .await
        .unwrap();
    let listed = errors["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{errors:#}"))
        .iter();
    listed
        .map(|error| {
            (
                error["record"].as_u64().unwrap(),
                error["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

async fn number(app: &TestApp, sql: &str) -> String {
    app.rows(&format!("select cast(({sql}) as text)")).await[0][0]
        .clone()
        .unwrap()
}

async fn left_in_staging(app: &TestApp) -> Vec<String> {
    let tables = app.rows("select name from tranship_stagings order by name").await;
    let mut counts = Vec::new();
    for table in tables {
        counts.push(
            number(
                app,
                &format!("select count(*) from \"{}\"", table[0].as_deref().unwrap()),
            )
            .await,
        );
    }
    counts
}

async fn each_batch_lands_by_itself_and_leaves_nothing_behind(backend: Backend) {
    let app = app(backend).await;
    open_shops(&app, "shop,parent\r\nnorth,\r\n").await;
    let mut file = "sale,shop,amount\r\n".to_owned();
    for sale in 1..=40 {
        let (shop, amount) = match sale {
            5 => ("south", "1.00"),
            12 => ("north", "a lot"),
            20 => ("north", "0"),
            33 => ("north", "12345678"),
            _ => ("north", "2.50"),
        };
        writeln!(file, "{sale},{shop},{amount}\r").unwrap();
    }
    let message = app.import("Sales in", "Sales", file).await;
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", [40, 36, 0, 4, 0]]),
        "{message:#}"
    );
    let codes = [
        (5, "reference_missing"),
        (12, "invalid_decimal"),
        (20, "rule_failed"),
        (33, "decimal_overflow"),
    ];
    let found = errors(&app, &message).await;
    let found: Vec<_> = found.iter().map(|(record, code)| (*record, code.as_str())).collect();
    assert_eq!(found, codes);
    assert_eq!(number(&app, "select count(*) from sales").await, "36");
    assert_eq!(
        number(
            &app,
            "select count(*) from tranship_chunks where last_record - first_record = 6"
        )
        .await,
        "5"
    );
    assert!(left_in_staging(&app).await.iter().all(|rows| rows == "0"));
}

async fn a_key_that_comes_again_is_a_later_write(backend: Backend) {
    let app = app(backend).await;
    open_shops(&app, "shop,parent\r\nnorth,\r\n").await;
    let file = "sale,shop,amount\r\n1,north,1\r\n2,north,1\r\n1,north,2\r\n1,north,3\r\n3,north,1\r\n2,north,1\r\n";
    let message = app.import("Sales in", "Sales", file).await;
    assert_eq!(end(&message), json!(["Processed", [6, 3, 2, 0, 0]]), "{message:#}");
    assert_eq!(message["records"]["unchanged"], 1);
    let landed = app
        .rows("select cast(sale as text), cast(amount as text) from sales order by sale")
        .await;
    let landed: Vec<_> = landed
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>())
        .collect();
    assert_eq!(landed, [["1", "3.00"], ["2", "1.00"], ["3", "1.00"]]);
}

async fn an_interrupted_import_goes_on_after_the_batches_that_landed(backend: Backend) {
    let app = app(backend).await;
    open_shops(&app, "shop,parent\r\nnorth,\r\n").await;
    let mut file = "sale,shop,amount\r\n".to_owned();
    for sale in 1..=200 {
        let shop = if sale % 50 == 0 { "south" } else { "north" };
        writeln!(file, "{sale},{shop},1\r").unwrap();
    }
    let id = app.enqueue("Sales in", "Sales", file).await;
    work_with_interruptions(&app, "Sales in", 25).await;
    let message = app.message(&id).await;
    // Inserted, all of them: what landed in one attempt was not written again in the next.
    assert_eq!(
        end(&message),
        json!(["ProcessedWithErrors", [200, 196, 0, 4, 0]]),
        "{message:#}"
    );
    assert_eq!(message["records"]["unchanged"], 0);
    assert_eq!(number(&app, "select count(*) from sales").await, "196");
}

async fn a_record_refers_to_those_before_it(backend: Backend) {
    let app = app(backend).await;
    // Of the second batch the first record waits for one that comes later; what refers to it falls with it.
    let file = "shop,parent\r\n1,\r\n2,1\r\n3,2\r\n4,\r\n5,\r\n6,\r\n7,6\r\n8,15\r\n9,8\r\n10,9\r\n11,7\r\n12,13\r\n13,\r\n14,\r\n15,\r\n";
    let message = open_shops(&app, file).await;
    let missing = |record| (record, "reference_missing".to_owned());
    assert_eq!(errors(&app, &message).await, [8, 9, 10].map(missing), "{message:#}");
    assert_eq!(end(&message), json!(["ProcessedWithErrors", [15, 12, 0, 3, 0]]));
}

async fn corrections_land_like_their_parent(backend: Backend) {
    let app = app(backend).await;
    open_shops(&app, "shop,parent\r\nnorth,\r\n").await;
    let file = "sale,shop,amount\r\n1,north,1\r\n2,north,none\r\n3,north,none\r\n";
    let message = app.import("Sales in", "Sales", file).await;
    let id = message["id"].as_str().unwrap();
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects"))
        .await
        .text()
        .await
        .unwrap();
    let corrected = rejects.replacen("north,none", "north,7", 1);
    let answer = app.post(&format!("/api/v1/messages/{id}/resubmit"), corrected).await;
    assert_eq!(answer.status(), 201);
    app.run_until_idle().await;
    let parent = app.message(id).await;
    assert_eq!(parent["records"]["repaired"], 1, "{parent:#}");
    assert_eq!(number(&app, "select count(*) from sales").await, "2");
}
