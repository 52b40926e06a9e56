//! What is made of a sample loads, whatever the sample holds.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::{Config, Overrides};
use crate::definitions::Definitions;
use crate::domain::job::FileFormat;

/// Header and records of a text without quotes.
fn parse(text: &str, delimiter: char) -> (Vec<String>, Vec<Vec<String>>) {
    let mut lines = text
        .lines()
        .map(|line| line.split(delimiter).map(str::to_owned).collect::<Vec<_>>());
    (lines.next().unwrap_or_default(), lines.collect())
}

fn infer_text(file_name: &str, text: &str) -> Result<Inferred, InferError> {
    let delimiter = guess_delimiter(text.lines().next().unwrap_or_default().as_bytes());
    let (header, rows) = parse(text, delimiter.into());
    infer(&Sample {
        file_name,
        delimiter,
        header: &header,
        rows: &rows,
    })
}

/// Writes the texts where `tranship init` would and loads them.
fn load(inferred: &Inferred) -> Definitions {
    let folder = tempfile::tempdir().expect("a folder");
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    for (folder, name, text) in [
        (&jobs, &inferred.job_file, &inferred.job_toml),
        (&entities, &inferred.entity_file, &inferred.entity_toml),
    ] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join(name), text).expect("a file");
    }
    Definitions::load(&jobs, &entities, &["main".to_owned()]).unwrap_or_else(|errors| {
        panic!("{errors:#?}\n{}\n{}", inferred.entity_toml, inferred.job_toml);
    })
}

#[test]
fn the_northwind_order_lines_give_what_a_person_would_write() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/northwind/order_lines.csv");
    let inferred = infer_text(
        "in/order_lines.csv",
        &std::fs::read_to_string(path).expect("the sample"),
    )
    .expect("a key");
    assert_eq!(
        (inferred.entity.as_str(), inferred.job.as_str()),
        ("OrderLines", "Inbound order lines")
    );
    assert_eq!(
        (inferred.entity_file.as_str(), inferred.job_file.as_str()),
        ("order-lines.toml", "inbound-order-lines.toml")
    );
    assert_eq!(inferred.key, ["order_id", "line_number"]);
    let set = load(&inferred);
    let entity = set.entity("OrderLines").expect("it");
    let fields = entity
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.kind.name()))
        .collect::<Vec<_>>();
    assert_eq!(
        fields,
        [
            ("line_number", "int"),
            ("order_id", "int"),
            ("product_id", "int"),
            ("unit_price", "decimal"),
            ("quantity", "int"),
            ("discount", "decimal"),
        ]
    );
    assert!(entity.create_table);
    let job = set.job(inferred.job_id).expect("by its fresh id");
    assert!(
        job.sample && job.import.as_ref().expect("its section").entities[0].map.is_empty(),
        "names match by themselves"
    );
}

#[test]
fn the_config_text_is_complete_as_it_is() {
    let inferred = infer_text("a.csv", "id\n1\n").expect("a key");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tranship.toml");
    for text in [inferred.config_toml.clone(), inferred.config_toml.replace("\n# ", "\n")] {
        std::fs::write(&file, text).expect("a file");
        let overrides = Overrides {
            file: Some(file.clone()),
            values: Vec::new(),
        };
        assert!(
            Config::load(&overrides, &[]).is_ok(),
            "as written, and with every comment taken out"
        );
    }
}

#[test]
fn hostile_headers_come_out_as_valid_definitions() {
    let header = [
        "Robert\"); DROP TABLE x;--",
        "tranship_x",
        "_error",
        "日本語の列",
        "日本語の列!",
        "a.b",
        "A B",
        "a_b",
        "x\u{0}\ny\\",
        "'",
        "_",
        "select",
        "Order ID",
    ]
    .map(str::to_owned);
    let long = std::iter::repeat_n("ü", 200).collect::<String>();
    let header = [&header[..], &[long]].concat();
    let rows = vec![vec!["1".to_owned(); header.len()]];
    for file_name in [
        "../../etc/passwd",
        "tranship_jobs.csv",
        "x_staging.csv",
        "!.csv",
        "",
        "a\"\n[x]\n.csv",
        "ÜÜ ß.csv",
    ] {
        let inferred = infer(&Sample {
            file_name,
            delimiter: b';',
            header: &header,
            rows: &rows,
        })
        .expect("a key");
        let set = load(&inferred);
        assert_eq!(
            set.entities[0].fields.len(),
            header.len() - 1,
            "all but `_error`, which imports keep to themselves"
        );
        let import = set.jobs[0].import.as_ref().expect("its section");
        assert_eq!(import.format, FileFormat::Csv { delimiter: b';' });
        assert_eq!(
            import.entities[0].map["x\u{0}\ny\\"], "x_y",
            "the file's name survives quoting"
        );
        for name in ["A B", "a_b"] {
            assert!(
                import.entities[0].map.contains_key(name),
                "{name} would match both columns by name"
            );
        }
        for file in [&inferred.entity_file, &inferred.job_file] {
            assert!(!file.contains(['/', '\\', '\n', '"']), "{file:?}");
        }
    }
}

#[test]
fn samples_nothing_can_be_made_of_say_why() {
    assert_eq!(infer_text("a.csv", ""), Err(InferError::NoColumns));
    assert_eq!(
        infer_text("a.csv", "a,b,a\n1,2,3"),
        Err(InferError::ColumnTwice("a".to_owned()))
    );
    assert_eq!(infer_text("a.csv", "a,b\n1,2\n1,2"), Err(InferError::NoKey(2)));
    let (header, rows) = parse("a:b\n", ':');
    let odd = infer(&Sample {
        file_name: "a",
        delimiter: b':',
        header: &header,
        rows: &rows,
    });
    assert_eq!(odd, Err(InferError::Delimiter(':')));
}

#[test]
fn keys_are_chosen_by_name_before_chance() {
    let key = |text: &str| infer_text("a.csv", text).expect("a key").key;
    assert_eq!(key("name,price,customer_id\nA,1,7\nB,2,8"), ["customer_id"]);
    assert_eq!(
        key("qty,order_id,line_no\n5,1,1\n6,1,2\n7,2,1"),
        ["order_id", "line_no"]
    );
    assert_eq!(key("name,city\nA,X\nB,X"), ["name"]);
    assert_eq!(key("name,city\nA,X\nA,Y\nB,Y"), ["name", "city"]);
    assert_eq!(key("name,code\n"), ["code"], "a header alone");
    assert_eq!(
        key("id,code,,\n,1,,\n2,2,,"),
        ["code"],
        "an id that is sometimes empty is none; unnamed empty columns go"
    );
}

#[test]
fn delimiters_are_counted_outside_quotes() {
    assert_eq!(guess_delimiter(b"a;b;c"), b';');
    assert_eq!(guess_delimiter(b"\"a,b,c,d\";e"), b';');
    assert_eq!(guess_delimiter(b"a\tb"), b'\t');
    assert_eq!(guess_delimiter(b"a|b"), b'|');
    assert_eq!(guess_delimiter(b"alone"), b',');
    assert_eq!(guess_delimiter(b"a,b;c"), b',');
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_inferred_loads(
        file_name in any::<String>(),
        header in prop::collection::vec(any::<String>(), 1..6),
        cells in prop::collection::vec(prop::collection::vec(any::<String>(), 6), 0..4),
    ) {
        let rows = cells.iter().map(|row| row[..header.len()].to_vec()).collect::<Vec<_>>();
        if let Ok(inferred) = infer(&Sample { file_name: &file_name, delimiter: b',', header: &header, rows: &rows }) {
            let set = load(&inferred);
            prop_assert_eq!(set.entities.len(), 1);
        }
    }
}
