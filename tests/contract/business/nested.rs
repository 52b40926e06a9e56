//! Records of several entities, each behind the one it stands in, out of one snapshot.

use tranship::business::BusinessError;
use tranship::business::snapshot::{NestedSelection, Selection};
use tranship::domain::cell::Cell;
use tranship::domain::entity::{Entity, FieldType};

use super::fixture::*;
use crate::on_both_databases;
use crate::support::databases::TestDatabase;

on_both_databases!(
    records_stand_behind_the_one_they_belong_to,
    filters_and_companies_choose_on_every_level,
    a_filter_of_any_part_is_checked,
    so_many_records_come_with_what_stands_in_them,
);

/// Its name, the field that says what it stands in, and that of its own.
fn inner(name: &str, around: &str, own: &str) -> Entity {
    let fields = vec![
        field("company", FieldType::String),
        field(around, FieldType::Int),
        field(own, FieldType::Int),
    ];
    let mut entity = entity(name, &name.to_lowercase(), &["company", around, own], fields);
    entity.company_field = Some("company".to_owned());
    entity
}

/// An order's lines and charges, and the lots of a line.
struct Orders {
    entities: [Entity; 4],
    inherit: [Vec<(String, String)>; 4],
    fields: [Vec<String>; 4],
}

const PARENTS: [Option<usize>; 4] = [None, Some(0), Some(1), Some(0)];

impl Orders {
    fn new() -> Self {
        let pair = |own: &str, other: &str| (own.to_owned(), other.to_owned());
        let company = || pair("company", "company");
        let entities = [
            inner("Orders", "rank", "number"),
            inner("Lines", "of_order", "line"),
            inner("Lots", "of_line", "lot"),
            inner("Charges", "of_order", "charge"),
        ];
        let fields = entities
            .each_ref()
            .map(|entity| names(&[entity.fields[1].name.as_str(), entity.fields[2].name.as_str()]));
        Self {
            entities,
            inherit: [
                Vec::new(),
                vec![company(), pair("of_order", "number")],
                vec![company(), pair("of_line", "line")],
                vec![company(), pair("of_order", "number")],
            ],
            fields,
        }
    }

    fn parts<'a>(
        &'a self,
        filters: [Option<&'a str>; 4],
        order_by: &'a [String],
        companies: &'a [String],
    ) -> Vec<NestedSelection<'a>> {
        let part = |at: usize| NestedSelection {
            selection: Selection {
                entity: &self.entities[at],
                fields: &self.fields[at],
                filter: filters[at],
                order_by: if at == 0 { order_by } else { &[] },
                companies,
                limit: None,
            },
            parent: PARENTS[at],
            inherit: &self.inherit[at],
        };
        (0..4).map(part).collect()
    }

    async fn load(&self, database: &tranship::business::Database) {
        let rows: [&[(&str, i64, i64)]; 4] = [
            &[("b", 8, 1), ("a", 9, 1), ("a", 7, 2), ("a", 7, 3)],
            // The last one's order is not there.
            &[("a", 1, 11), ("a", 1, 12), ("a", 3, 31), ("b", 1, 11), ("a", 4, 41)],
            &[("a", 11, 2), ("a", 11, 1), ("a", 31, 5), ("b", 11, 3), ("a", 41, 9)],
            &[("a", 1, 100), ("a", 2, 200)],
        ];
        for (entity, rows) in self.entities.iter().zip(rows) {
            let rows = rows
                .iter()
                .map(|(company, outer, own)| vec![text(company), Cell::Int(*outer), Cell::Int(*own)]);
            load_rows(database, entity, rows.collect()).await;
        }
    }
}

/// Part and own number of each row.
async fn read_nested(database: &tranship::business::Database, parts: &[NestedSelection<'_>]) -> String {
    let mut snapshot = database.snapshot().await.expect("a snapshot");
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    let sent = snapshot.read_nested(parts, sender).await.expect("rows");
    let mut rows: Vec<Cells> = Vec::new();
    while let Some(batch) = receiver.recv().await {
        rows.extend(batch.iter().map(cells));
    }
    assert_eq!(sent, rows.len() as u64);
    let name = |row: &Cells| {
        let part: usize = row[0].as_deref().expect("a part").parse().expect("its position");
        format!("{}{}", ["O", "L", "T", "C"][part], row[2].as_deref().expect("a number"))
    };
    rows.iter().map(name).collect::<Vec<_>>().join(" ")
}

async fn records_stand_behind_the_one_they_belong_to(database: TestDatabase) {
    let (database, orders) = (open(&database), Orders::new());
    orders.load(&database).await;
    let parts = orders.parts([None; 4], &[], &[]);
    assert_eq!(
        read_nested(&database, &parts).await,
        // In the order of the key, which begins with company and rank.
        "O2 C200 O3 L31 T5 O1 L11 T1 T2 L12 C100 O1 L11 T3",
        "every record behind its own, those of one part together, none without what it stands in"
    );
    let by_number = names(&["number"]);
    let parts = orders.parts([None; 4], &by_number, &[]);
    let read = read_nested(&database, &parts).await;
    assert_eq!(
        read, "O1 L11 T1 T2 L12 C100 O1 L11 T3 O2 C200 O3 L31 T5",
        "ties by the key"
    );
}

async fn filters_and_companies_choose_on_every_level(database: TestDatabase) {
    let (database, orders) = (open(&database), Orders::new());
    orders.load(&database).await;
    let (only_b, both) = (names(&["b"]), names(&["a", "b"]));
    assert_eq!(
        read_nested(&database, &orders.parts([None; 4], &[], &only_b)).await,
        "O1 L11 T3"
    );
    let filters = [
        Some("number <> 3 -- not that one"),
        Some("line = 11 or line = 31"),
        Some("lot > 1"),
        Some("1 = 0"),
    ];
    let read = read_nested(&database, &orders.parts(filters, &[], &both)).await;
    assert_eq!(read, "O2 O1 L11 T2 O1 L11 T3");
    let nothing = [Some("1 = 0"), None, None, None];
    assert_eq!(read_nested(&database, &orders.parts(nothing, &[], &[])).await, "");
}

async fn so_many_records_come_with_what_stands_in_them(database: TestDatabase) {
    let (database, orders) = (open(&database), Orders::new());
    orders.load(&database).await;
    let by_number = names(&["number"]);
    let not_three = [Some("number <> 3 -- not that one"), None, None, None];
    for (filters, order_by, limit, wanted) in [
        ([None; 4], [].as_slice(), 2, "O2 C200 O3 L31 T5"),
        ([None; 4], &by_number, 2, "O1 L11 T1 T2 L12 C100 O1 L11 T3"),
        (not_three, &[], 2, "O2 C200 O1 L11 T1 T2 L12 C100"),
        (not_three, &[], u64::MAX, "O2 C200 O1 L11 T1 T2 L12 C100 O1 L11 T3"),
        (not_three, &[], 0, ""),
    ] {
        let mut parts = orders.parts(filters, order_by, &[]);
        parts[0].selection.limit = Some(limit);
        assert_eq!(read_nested(&database, &parts).await, wanted);
    }
}

async fn a_filter_of_any_part_is_checked(database: TestDatabase) {
    let (database, orders) = (open(&database), Orders::new());
    orders.load(&database).await;
    let good = [None, None, Some("lot > 1"), None];
    database
        .check_nested(&orders.parts(good, &[], &[]))
        .await
        .expect("good filters");
    // A column of the entity around is none of its own.
    for filter in ["no_such_column = 1", "number = 1"] {
        let parts = [None, Some(filter), None, None];
        let refused = database.check_nested(&orders.parts(parts, &[], &[])).await;
        assert!(
            matches!(&refused, Err(BusinessError::Definition(_))),
            "{filter}: {refused:?}"
        );
    }
}
