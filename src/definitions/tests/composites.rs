//! Composite entities as people write them.

use super::{CUSTOMERS, ORDERS, load};
use crate::domain::composite::CompositePart;
use crate::domain::entity::Drift;

const LINES: &str = r#"
name = "SalesOrderLines"
label = "Sales order lines"
key = ["company", "order_no", "line"]
[[fields]]
name = "company"
[[fields]]
name = "order_no"
references = { entity = "Sales order headers", field = "order_number" }
[[fields]]
name = "line"
type = "int"
"#;

const COMPOSITE: &str = r#"
name = "SalesOrders"
label = "Sales orders"
[[composite]]
entity = "sales order HEADERS"
element = "HEADER"
[[composite]]
entity = "Sales order lines"
element = "LINE"
parent = "SalesOrderHeaders"
"#;

const JOB: &str = r#"
id = "6d31e09f-0249-459f-94f0-aad9c2c47b64"
name = "Inbound"
direction = "import"
clients = ["tester"]
[import]
format = "xml-element"
[[import.entities]]
entity = "sales orders"
mode = "insert"
"#;

fn with(composite: &str, job: &str) -> Result<super::Definitions, Vec<String>> {
    load(&[
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("entities/lines.toml", LINES),
        ("entities/sales-orders.toml", composite),
        ("jobs/inbound.toml", job),
    ])
}

#[test]
fn a_composite_knows_its_entities_and_what_lines_take_over() {
    let set = with(COMPOSITE, JOB).expect("no mistakes");
    let composite = set.composite("SalesOrders").expect("it");
    assert_eq!(
        (composite.label.as_str(), composite.missing_elements),
        ("Sales orders", Drift::Warn)
    );
    let pair = |own: &str, from: &str| (own.to_owned(), from.to_owned());
    assert_eq!(
        composite.parts,
        [
            CompositePart {
                entity: "SalesOrderHeaders".to_owned(),
                element: "HEADER".to_owned(),
                parent: None,
                inherit: vec![]
            },
            CompositePart {
                entity: "SalesOrderLines".to_owned(),
                element: "LINE".to_owned(),
                parent: Some(0),
                // By its name, and by what the field refers to.
                inherit: vec![pair("company", "company"), pair("order_no", "order_number")]
            },
        ]
    );
    assert_eq!((composite.depth(0), composite.depth(1)), (0, 1));
    assert_eq!(set.jobs[0].import.as_ref().unwrap().entities[0].entity, "SalesOrders");
    assert_eq!(set.label("SalesOrders"), Some("Sales orders"));
    let own = COMPOSITE.replace(
        "parent = \"SalesOrderHeaders\"",
        "parent = \"SalesOrderHeaders\"\ninherit = { order_no = \"order_number\" }",
    );
    let set = with(&own, JOB).expect("no mistakes");
    assert_eq!(set.composites[0].parts[1].inherit, [pair("order_no", "order_number")]);
}

#[test]
fn every_mistake_in_a_composite_is_told_with_its_line() {
    let composite = r#"
name = "SalesOrderLines"
missing_elements = "perhaps"
[[composite]]
entity = "Sales order headers"
element = "n:HEADER"
parent = "Customers"
[[composite]]
entity = "Sales order lines"
element = "LINE"
parent = "Sales order headers"
inherit = { lin = "order_number", line = "order_number", company = "compny" }
[[composite]]
entity = "Customer"
element = "LINE"
[[composite]]
entity = "Sales order lines"
element = "AGAIN"
"#;
    let errors = with(composite, JOB).unwrap_err();
    let expected = [
        "entities/sales-orders.toml:2: entity name `SalesOrderLines` is taken already, in entities/lines.toml:2",
        "entities/sales-orders.toml:3: `missing_elements` is `perhaps`, allowed are `ignore`, `warn` or `reject`",
        "entities/sales-orders.toml:6: `n:HEADER` is no name of an XML element; write it as in the file, without a prefix",
        "entities/sales-orders.toml:7: `parent` is `Customers`, which is no entity listed before this one",
        "entities/sales-orders.toml:12: field `line` is of type `int`, but `order_number` of `SalesOrderHeaders` is of type `string`",
        "entities/sales-orders.toml:12: inherit from `compny` is not a field of `SalesOrderHeaders`; did you mean `company`?",
        "entities/sales-orders.toml:12: inherit: `lin` is not a field of `SalesOrderLines`; did you mean `line`?",
        "entities/sales-orders.toml:14: there is no entity `Customer`; did you mean `Customers`?",
        "entities/sales-orders.toml:15: two entities have the element `LINE`; it is what tells them apart",
        "entities/sales-orders.toml:16: `Sales order lines` needs a `parent`: all entities but the first stand inside another one",
        "entities/sales-orders.toml:17: entity `Sales order lines` is listed twice",
    ];
    for expected in expected {
        assert!(errors.iter().any(|error| error == expected), "{expected}\n{errors:#?}");
    }
    let empty = with("name = \"Nothing\"\ncomposite = []\n", JOB).unwrap_err();
    assert!(
        empty.iter().any(|error| error.contains("`composite` has no entity")),
        "{empty:?}"
    );
}

#[test]
fn a_job_loads_one_composite_and_from_xml_alone() {
    let second = COMPOSITE
        .replace("SalesOrders\"", "OtherOrders\"")
        .replace("Sales orders", "Other orders");
    let files = |job: &str| {
        load(&[
            ("entities/customers.toml", CUSTOMERS),
            ("entities/orders.toml", ORDERS),
            ("entities/lines.toml", LINES),
            ("entities/sales-orders.toml", COMPOSITE),
            ("entities/other-orders.toml", &second),
            ("jobs/inbound.toml", job),
        ])
    };
    let two = format!("{JOB}[[import.entities]]\nentity = \"Other orders\"\n");
    assert_eq!(
        files(&two).unwrap_err(),
        ["jobs/inbound.toml:12: `Other orders` is the second composite entity; a job loads at most one (FMT-11)"]
    );
    let csv = files(&JOB.replace("xml-element", "csv")).unwrap_err();
    assert!(csv[0].contains("DMF1963") && csv[0].contains(":9:"), "{csv:?}");
    let package = JOB
        .replace("xml-element", "csv")
        .replace("direction", "data_source = \"package\"\ndirection");
    files(&package).expect("the manifest says how a package's files are written");
    let mapped = files(&format!("{JOB}map = {{ A = \"line\" }}\n")).unwrap_err();
    assert!(mapped[0].contains("has no fields"), "{mapped:?}");
}
