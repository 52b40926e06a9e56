//! What is made of a table: fields, key, references; and what a file says beside it.

use super::*;
use crate::definitions::{DefinitionError, Definitions};
use crate::domain::entity::FieldType;

/// A column that nobody fills.
fn column(name: &str, kind: FieldType) -> Column {
    Column {
        name: name.to_owned(),
        declared: kind.name().to_owned(),
        filled: Filled::No,
        field: Ok(Field {
            name: name.to_owned(),
            kind,
            ..Field::default()
        }),
        converted: false,
    }
}

fn filled(name: &str, filled: Filled) -> Column {
    Column {
        filled,
        ..column(name, FieldType::Int)
    }
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `customers`: numbered, with an account of ten letters that tells them apart, and a blob.
fn customers() -> Table {
    let mut account = column("account", FieldType::String);
    if let Ok(field) = &mut account.field {
        (field.max_length, field.required) = (Some(10), true);
    }
    let mut photo = column("photo", FieldType::String);
    photo.field = Err("blob, bytes, which no field holds".to_owned());
    Table {
        name: "customers".to_owned(),
        columns: vec![
            filled("id", Filled::Numbered),
            account,
            column("born", FieldType::Date),
            filled("age", Filled::Always),
            photo,
        ],
        primary_key: texts(&["id"]),
        unique_keys: vec![texts(&["account"])],
        foreign_keys: Vec::new(),
    }
}

/// `orders`, of customers.
fn orders() -> Table {
    Table {
        name: "orders".to_owned(),
        columns: vec![column("number", FieldType::Int), column("customer", FieldType::String)],
        primary_key: texts(&["number"]),
        unique_keys: Vec::new(),
        foreign_keys: vec![ForeignKey {
            column: "customer".to_owned(),
            parent: "customers".to_owned(),
            parent_column: "account".to_owned(),
        }],
    }
}

/// A database with both.
struct Shop;

impl Catalogue for Shop {
    fn table(&self, database: &str, table: &str) -> Result<Table, String> {
        assert_eq!(database, "main", "others are not asked");
        let mut tables = [customers(), orders()].into_iter();
        tables
            .find(|known| known.name == table)
            .ok_or_else(|| "there is no such table".to_owned())
    }
}

fn load(files: &[(&str, &str)]) -> Result<Definitions, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let root = format!("{}/", folder.path().display());
    let (jobs, entities) = (folder.path().join("jobs"), folder.path().join("entities"));
    let shorten = |error: &DefinitionError| error.to_string().replace(&root, "");
    Definitions::load_with(&jobs, &entities, &texts(&["main"]), &Shop)
        .map_err(|errors| errors.iter().map(shorten).collect())
}

#[test]
fn an_entity_of_three_lines_has_the_fields_the_key_and_the_references_of_its_table() {
    let set = load(&[
        (
            "entities/c.toml",
            "name = \"Customers\"\nignore_columns = [\"photo\"]\n",
        ),
        ("entities/o.toml", "name = \"Orders\"\n"),
    ])
    .expect("a good set");
    let customers = set.entity("Customers").expect("it");
    assert_eq!(customers.key, ["account"], "the number is the database's own");
    let fields: Vec<_> = customers.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["account", "born"]);
    let account = customers.field("account").expect("it");
    assert!(account.required && account.max_length == Some(10));
    let orders = set.entity("Orders").expect("it");
    let reference = orders
        .field("customer")
        .expect("it")
        .references
        .clone()
        .expect("from the foreign key");
    assert_eq!(
        (reference.entity.as_str(), reference.field.as_str()),
        ("Customers", "account")
    );
}

#[test]
fn what_is_declared_wins_and_what_it_does_not_say_is_read() {
    let text = r#"
name = "Customers"
key = ["id"]
fields_from_table = true
ignore_columns = ["photo"]
[[fields]]
name = "born"
formats = ["%d.%m.%Y"]
required = true
[[fields]]
name = "nickname"
[[fields]]
name = "account"
max_length = 5
"#;
    let set = load(&[("entities/c.toml", text)]).expect("a good set");
    let entity = set.entity("Customers").expect("it");
    let fields: Vec<_> = entity
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.kind.name(), field.required))
        .collect();
    assert_eq!(
        fields,
        [
            ("id", "int", true),
            ("account", "string", true),
            ("born", "date", true),
            ("nickname", "string", false)
        ],
        "in the table's order; a numbered column is a field where it is the key"
    );
    assert_eq!(entity.field("born").expect("it").formats, ["%d.%m.%Y"]);
    assert_eq!(entity.field("account").expect("it").max_length, Some(5));
    // Without the wish, declared fields are all there are, and nobody is asked.
    let alone = "name = \"X\"\ntable = \"none\"\nkey = [\"n\"]\n[[fields]]\nname = \"n\"\n";
    assert_eq!(
        load(&[("entities/x.toml", alone)]).expect("a good set").entities[0]
            .fields
            .len(),
        1
    );
}

#[test]
fn jobs_are_checked_against_the_fields_that_were_read() {
    let job = |field: &str| {
        format!(
            "id = \"6d31e09f-0249-459f-94f0-aad9c2c47b64\"\nname = \"In\"\ndirection = \"import\"\nsample = true\n\
             [import]\nformat = \"csv\"\n[[import.entities]]\nentity = \"Orders\"\nmap = {{ Client = \"{field}\" }}\n\
             defaults = {{ number = 1 }}\n"
        )
    };
    let orders = ("entities/o.toml", "name = \"Orders\"\n");
    load(&[orders, ("jobs/j.toml", &job("customer"))]).expect("a good set");
    let errors = load(&[orders, ("jobs/j.toml", &job("custmer"))]).expect_err("a slip");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("did you mean `customer`?"), "{errors:?}");

    // Nothing is said of the fields of a table that could not be read, but the table itself.
    let unread = (
        "entities/o.toml",
        "name = \"Orders\"\ntable = \"none\"\nkey = [\"x\"]\ncompany_field = \"y\"\n",
    );
    let errors = load(&[unread, ("jobs/j.toml", &job("custmer"))]).expect_err("no table");
    assert_eq!(
        errors,
        ["entities/o.toml:2: the fields are to be read from table `none`: there is no such table"]
    );
}

#[test]
fn rules_and_missing_values_are_checked_against_the_fields_that_were_read() {
    let orders = |table: &str, more: &str| {
        let text =
            format!("name = \"Orders\"\ntable = \"{table}\"\nkey = [\"number\"]\nfields_from_table = true\n{more}");
        load(&[("entities/o.toml", &text)])
    };
    let rule =
        |field: &str| format!("[[rules]]\nname = \"r\"\ncheck = \"true\"\nmessage = \"m\"\nfield = \"{field}\"\n");
    let more = "[[fields]]\nname = \"customer\"\ncompute = \"C{number}\"\n[[fields]]\nname = \"extra\"\ndefault = 1\n";
    let set = orders("orders", &format!("{more}{}", rule("customer"))).expect("a good set");
    let entity = &set.entities[0];
    assert!(entity.field("customer").expect("it").default.is_some());
    assert_eq!(entity.rules.len(), 1);

    let slips = format!(
        "[[fields]]\nname = \"customer\"\ncompute = \"C{{nmber}}\"\n{}",
        rule("custmer")
    );
    assert_eq!(
        orders("orders", &slips).expect_err("two slips"),
        [
            "entities/o.toml:7: `compute`: `nmber` is not a field of `Orders`; did you mean `number`?",
            "entities/o.toml:12: a rule's field `custmer` is not a field of `Orders`; did you mean `customer`?"
        ]
    );
    let errors = orders("none", &slips).expect_err("no table");
    assert_eq!(errors.len(), 1, "they may be in the table: {errors:#?}");

    // What a column takes is what its default must be.
    let errors = orders("orders", "[[fields]]\nname = \"number\"\ndefault = \"many\"\n").expect_err("a text");
    assert!(
        errors[0].contains("`default`: `many` is not a whole number"),
        "{errors:?}"
    );

    // Above or below in the file is nothing to fields in the order of their columns.
    let backwards = "[[fields]]\nname = \"customer\"\ncompute = \"{number}\"\n\
                     [[fields]]\nname = \"number\"\ncompute = \"{customer}\"\n";
    assert_eq!(
        orders("orders", backwards).expect_err("each of the other"),
        [
            "entities/o.toml:10: `compute`: `customer` is filled after `number`; the table's columns come in that order, so write \
          out what it is computed from"
        ]
    );
}

#[test]
fn entities_of_tables_go_into_composites_and_documents() {
    let customers = (
        "entities/c.toml",
        "name = \"Customers\"\nignore_columns = [\"photo\"]\n",
    );
    let both = "name = \"Both\"\n[[composite]]\nentity = \"Customers\"\nelement = \"CUSTOMER\"\n\
                [[composite]]\nentity = \"Orders\"\nelement = \"ORDER\"\nparent = \"Customers\"\n";
    let orders = ("entities/o.toml", "name = \"Orders\"\n");
    let set = load(&[customers, orders, ("entities/b.toml", both)]).expect("a good set");
    assert_eq!(
        set.composites[0].parts[1].inherit,
        [("customer".to_owned(), "account".to_owned())],
        "the foreign key says what is taken over"
    );

    // What may be in a table that could not be read is not missing.
    let unread = (
        "entities/o.toml",
        "name = \"Orders\"\ntable = \"none\"\nkey = [\"number\"]\n",
    );
    let inherit = format!("{both}inherit = {{ client = \"account\" }}\n");
    let job = "id = \"6d31e09f-0249-459f-94f0-aad9c2c47b64\"\nname = \"In\"\ndirection = \"import\"\nsample = true\n\
               [import]\nformat = \"csv\"\natomicity = \"document\"\n[[import.entities]]\nentity = \"Orders\"\n\
               document_key = [\"number\"]\n";
    let errors = load(&[customers, unread, ("entities/b.toml", &inherit), ("jobs/j.toml", job)]).expect_err("no table");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let errors = load(&[customers, orders, ("entities/b.toml", &inherit)]).expect_err("no client");
    assert!(
        errors[0].contains("inherit: `client` is not a field of `Orders`"),
        "{errors:#?}"
    );
}

#[test]
fn mistakes_are_told_with_their_cure() {
    let mistakes = |text: &str| load(&[("entities/x.toml", text)]).expect_err("a mistake");
    for (text, expected) in [
        (
            "name = \"Customers\"\n",
            "entities/x.toml:1: column `photo` is blob, bytes, which no field holds; declare a field for it, or name it in \
             `ignore_columns`",
        ),
        (
            "name = \"Orders\"\nignore_columns = [\"custmer\"]\n",
            "entities/x.toml:2: `custmer` is no column of table `orders`; did you mean `customer`?",
        ),
        (
            "name = \"Orders\"\nignore_columns = [\"number\"]\n",
            "entities/x.toml:1: table `orders`: its primary key (number) is nothing that files can be expected to bring, and it \
             has no other: name the fields that tell records apart in `key`, the primary key too if files bring it after all",
        ),
        (
            "name = \"Orders\"\ncreate_table = true\n",
            "entities/x.toml:1: `create_table` makes a table of the fields declared here, so they cannot be read from it: declare \
             them all, without `fields_from_table`, or leave `create_table` out",
        ),
        (
            "name = \"Orders\"\nfields_from_table = false\nkey = [\"a\"]\n",
            "entities/x.toml:1: the entity has neither `fields` nor `fields_from_table = true`",
        ),
        (
            "name = \"Orders\"\nfields_from_table = true\nignore_columns = [\"customer\"]\n[[fields]]\nname = \"customer\"\n",
            "entities/x.toml:5: field `customer` is named in `ignore_columns` too",
        ),
        (
            "name = \"Orders\"\nkey = [\"n\"]\nignore_columns = []\n[[fields]]\nname = \"n\"\n",
            "entities/x.toml:3: `ignore_columns` belongs to `fields_from_table = true`: what is not declared is no field anyway",
        ),
        (
            "name = \"Orders\"\ndatabase = \"other\"\n",
            "entities/x.toml:2: database `other` is not configured; `databases` has `main`",
        ),
    ] {
        let found = mistakes(text);
        assert!(found.contains(&expected.to_owned()), "{text}\n{found:#?}");
    }
    assert_eq!(
        mistakes("name = \"Orders\"\ndatabase = \"other\"\n").len(),
        1,
        "and nothing else"
    );
}

#[test]
fn a_key_is_taken_only_where_there_is_no_choice() {
    let mut table = orders();
    assert_eq!(key(&table, &[]), Ok(texts(&["number"])));
    table.primary_key.clear();
    assert!(key(&table, &[]).is_err_and(|why| why.contains("no primary or unique key")));
    table.unique_keys = vec![texts(&["customer"])];
    assert_eq!(key(&table, &[]), Ok(texts(&["customer"])));
    table.unique_keys.push(texts(&["number", "customer"]));
    assert!(key(&table, &[]).is_err_and(|why| why.contains("(customer) and (number, customer)")));
    table.columns[0].converted = true;
    assert_eq!(
        key(&table, &[]),
        Ok(texts(&["customer"])),
        "a converted column tells nothing apart"
    );
}

#[test]
fn a_proposal_is_written_as_the_entity_it_is() {
    let mut described = customers();
    described
        .columns
        .push(column("mood\"y", FieldType::Enum(texts(&["a \"b\"", "c\n"]))));
    described
        .columns
        .push(column("tone", FieldType::Enum(texts(&["low", "high \"C\""]))));
    let mut decimal = column(
        "limit",
        FieldType::Decimal {
            precision: 18,
            scale: Some(2),
        },
    );
    if let Ok(field) = &mut decimal.field {
        field.required = true;
    }
    described.columns.push(decimal);
    let mut small = column("small", FieldType::Int);
    if let Ok(field) = &mut small.field {
        (field.min, field.max) = (Some("-32768".to_owned()), Some("32767".to_owned()));
    }
    described.columns.push(small);
    described.columns[4].field = Err("odd\ntype\u{7}, which no field holds".to_owned());
    let made = Proposal::of(&described, "main", None, None).expect("an entity");
    let left_out: Vec<_> = made.left_out.iter().map(|(column, _)| column.as_str()).collect();
    assert_eq!(left_out, ["id", "age", "photo", "mood\"y"]);
    assert_eq!(
        (made.entity.name.as_str(), made.file_name().as_str()),
        ("Customers", "customers.toml")
    );
    let set =
        load(&[("entities/c.toml", &made.text())]).unwrap_or_else(|errors| panic!("{errors:#?}\n{}", made.text()));
    let mut expected = made.entity.clone();
    expected.fields[0].required = true;
    assert_eq!(set.entities, [expected], "{}", made.text());

    let mut child = Proposal::of(&orders(), "main", Some("Sales"), Some("Sales orders")).expect("an entity");
    assert_eq!(
        (child.entity.label.as_str(), child.file_name().as_str()),
        ("Sales orders", "sales.toml")
    );
    child.link(&[made.entity]);
    assert!(
        child
            .text()
            .contains("references = { entity = \"Customers\", field = \"account\" }"),
        "{}",
        child.text()
    );
}

#[test]
fn tables_that_cannot_have_an_entity_say_why() {
    let named = |name: &str| Table {
        name: name.to_owned(),
        ..orders()
    };
    for (table, why) in [
        ("a.b", "a quote or a dot"),
        ("x_staging", "_staging"),
        ("!!", "is empty"),
    ] {
        let refused = Proposal::of(&named(table), "main", None, None).expect_err(table);
        assert!(refused.contains(why), "{refused}");
    }
    Proposal::of(&named("!!"), "main", Some("Bang"), None).expect("with a name it can");
}
