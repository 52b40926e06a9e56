//! Composite files: records of two entities, one inside the other.

use std::path::Path;
use std::sync::Arc;

use tranship::definitions::Definitions;
use tranship::domain::entity::Drift;
use tranship::domain::job::ImportEntity;
use tranship::format::xml::composite::{CompositeNode, CompositeOptions, composite_reader};
use tranship::format::xml::{XmlOptions, XmlStyle};

use crate::{COLUMNS_MAX, Places, RECORD_BYTES_MAX, fuzz, read};

fn options() -> CompositeOptions {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = Definitions::load(&root.join("jobs"), &root.join("entities"), &["main".to_owned()]).unwrap();
    let customers = shipped.find_entity("Customers").unwrap();
    let node = |element: &str, parent: Option<usize>| CompositeNode {
        element: element.to_owned(),
        parent,
        entity: customers.clone(),
        wanted: ImportEntity::default(),
        company: None,
        inherit: parent
            .map(|_| ("customer_account".to_owned(), "customer_account".to_owned()))
            .into_iter()
            .collect(),
    };
    CompositeOptions {
        xml: XmlOptions {
            style: XmlStyle::Element,
            max_record_bytes: RECORD_BYTES_MAX,
            max_columns: COLUMNS_MAX,
        },
        nodes: Arc::new([node("HEADER", None), node("LINE", Some(0))]),
        missing_elements: Drift::Warn,
    }
}

#[test]
fn composite_files() {
    let line = |number: u32| format!("<LINE><city>C{number}</city><!-- x --><title><![CDATA[<&>]]></title></LINE>\n");
    let header = |number: u32| {
        let lines: String = (0..4).map(line).collect();
        format!(
            "<HEADER><customer_account>A{number}</customer_account>\n{lines}<company_name>N &amp; N</company_name></HEADER>\n"
        )
    };
    let orders: String = (0..5).map(header).collect();
    let seed = format!("<?xml version=\"1.0\"?><Document a='1'>{orders}</Document>");
    let options = options();
    fuzz("composite", &[seed.into_bytes()], |file, chance| {
        let node = chance.below(2);
        read(Box::new(composite_reader(&options, node)), file, Places::Bytes, chance);
    });
}
