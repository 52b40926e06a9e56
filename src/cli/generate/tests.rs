use super::*;
use crate::definitions::Definitions;
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::record::{RecordReader as _, Step};

fn orders(rows: u64, bad: &str, refused: &str) -> (Made, String) {
    let orders = Orders {
        seed: 7,
        rows,
        bad: share(bad).expect("a share"),
        refused: share(refused).expect("a share"),
        customers: 50,
    };
    let mut out = Vec::new();
    let made = orders.write(&mut out).expect("memory");
    (made, String::from_utf8(out).expect("text"))
}

#[test]
fn a_share_is_a_percentage_or_a_fraction() {
    assert_eq!(share("1%"), Ok(Share(10_000)));
    assert_eq!(share("0.1 %"), Ok(Share(1_000)));
    assert_eq!(share("0.05"), Ok(Share(50_000)));
    assert_eq!(share("100%"), Ok(Share(1_000_000)));
    for wrong in ["", "x", "-1%", "101%", "1.5", "NaN"] {
        assert!(share(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_same_seed_makes_the_same_orders_and_flaws_come_in_turn() {
    let (made, text) = orders(10_000, "4%", "1%");
    assert_eq!(orders(10_000, "4%", "1%").1, text);
    assert_eq!(made.rows, 10_000);
    assert_eq!(text.lines().count(), 10_001);
    assert!((300..500).contains(&made.bad()), "{made:?}");
    assert!((60..140).contains(&made.refused), "{made:?}");
    let each = [made.types, made.lengths, made.references, made.duplicates];
    assert!(
        each.iter().max().expect("four") - each.iter().min().expect("four") <= 1,
        "{made:?}"
    );
    let good = Orders {
        seed: 7,
        rows: 10_000,
        bad: Share(0),
        refused: Share(0),
        customers: 50,
    };
    assert_eq!(good.write(&mut Vec::new()).expect("memory").bad(), 0);
}

#[test]
fn every_record_has_the_columns_of_its_entity() {
    let (_, text) = orders(2_000, "0%", "0%");
    let mut reader = CsvReader::new(CsvOptions {
        delimiter: b',',
        max_field_bytes: 1_000,
        max_record_bytes: 10_000,
        max_columns: 100,
    });
    reader.feed(text.as_bytes());
    reader.finish();
    let header = reader.header().expect("a header").expect("whole");
    let entity = include_str!("orders-entity.toml")
        .split("[[fields]]\nname = \"")
        .skip(1);
    let fields: Vec<_> = entity.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(header, fields);
    let mut records = 0;
    loop {
        match reader.step() {
            Step::Record(record) => {
                assert_eq!(record.cells.len(), 20);
                records += 1;
            }
            Step::End => break,
            Step::NeedInput | Step::Damaged(_) => panic!("a whole and good file"),
        }
    }
    assert_eq!(records, 2_000);
}

#[tokio::test]
async fn the_set_up_is_good_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(write_set_up(folder.path()).await.expect("written").len(), 4);
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    let definitions = Definitions::load(&jobs, &entities, &["main".to_owned()]).expect("good definitions");
    let names: Vec<_> = definitions.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, [CUSTOMERS_JOB, ORDERS_JOB]);
    assert!(write_set_up(folder.path()).await.is_err(), "nothing is written over");
}
