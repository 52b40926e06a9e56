//! Definitions as people write them, right and wrong.

mod composites;
mod destinations;
mod exports;
mod filling;
mod landing;
mod schedules;

use super::*;
use crate::domain::entity::FieldType;
use crate::domain::job::{DataSource, Direction, ErrorThreshold, FileFormat};
use crate::domain::schedule::{Missed, Overlap};
use crate::domain::status::Status;
use crate::domain::webhook::SecretSource;

/// Loads a set of `(path, text)`; the errors come back as text with paths relative to the folder.
fn load(files: &[(&str, &str)]) -> Result<Definitions, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let root = format!("{}/", folder.path().display());
    Definitions::load(
        &folder.path().join("jobs"),
        &folder.path().join("entities"),
        &["main".to_owned()],
    )
    .map_err(|errors| {
        errors
            .iter()
            .map(|error| error.to_string().replace(&root, ""))
            .collect()
    })
}

const CUSTOMERS: &str = r#"
name = "Customers"
key = ["customer_account"]
[[fields]]
name = "customer_account"
max_length = 20
"#;

const ORDERS: &str = r#"
name = "SalesOrderHeaders"
label = "Sales order headers"
key = ["company", "order_number"]
company_field = "company"
create_table = true
[[fields]]
name = "company"
type = "string"
max_length = 4
[[fields]]
name = "order_number"
type = "string"
[[fields]]
name = "order_date"
type = "datetime"
formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d"]
[[fields]]
name = "customer_account"
references = { entity = "customers", field = "customer_account" }
[[fields]]
name = "ship_via"
type = "enum"
values = ["Air", "Sea"]
null_tokens = ["NA"]
[[fields]]
name = "freight"
type = "decimal"
precision = 18
scale = 2
min = 0
max = 1000.50
"#;

const INBOUND: &str = r#"
id = "6d31e09f-0249-459f-94f0-aad9c2c47b64"
name = "Inbound sales orders"
direction = "import"
clients = ["shop-middleware"]
company = "USMF"
[import]
format = "csv"
delimiter = ";"
process_in_order = true
max_errors = "5%"
atomicity = "record"
[[import.entities]]
entity = "sales order HEADERS"
map = { OrderID = "order_number" }
defaults = { company = "usmf", freight = 0 }
[import.entities.values.ship_via]
"1" = "Air"
"2" = "Sea"
"#;

const NIGHTLY: &str = r#"
id = "c03bb937-09ed-46de-86ee-4520d7d7e373"
name = "Nightly sales orders"
direction = "export"
sample = true
[schedule]
cron = "0 2 * * *"
time_zone = "Europe/Berlin"
[export]
format = "tsv"
[[export.entities]]
entity = "SalesOrderHeaders"
fields = ["order_number", "freight"]
filter = "freight > 0"
order_by = ["order_number"]
"#;

#[test]
fn a_whole_set_loads_with_its_defaults_and_names_resolved() {
    let set = load(&[
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("entities/.hidden.toml", "not read"),
        ("entities/README.md", "not read"),
        ("jobs/inbound.toml", INBOUND),
        ("jobs/nightly.toml", NIGHTLY),
    ])
    .expect("a good set");

    let customers = set.find_entity("customers").expect("by name in any case");
    assert_eq!(
        (customers.label.as_str(), customers.table.as_str()),
        ("Customers", "customers")
    );
    assert_eq!(
        (customers.collection.as_str(), customers.database.as_str()),
        ("Customers", "main")
    );
    assert!(customers.public && customers.data_management && !customers.create_table);
    assert_eq!(customers.fields[0].kind, FieldType::String);
    assert!(customers.fields[0].required, "key fields are required");

    let orders = set.entity("SalesOrderHeaders").expect("by technical name");
    assert_eq!(orders.table, "sales_order_headers");
    let parent = orders
        .field("customer_account")
        .and_then(|field| field.references.as_ref());
    assert_eq!(
        parent.map(|parent| parent.entity.as_str()),
        Some("Customers"),
        "resolved to the technical name"
    );
    let freight = orders.field("freight").expect("freight");
    assert_eq!(
        freight.kind,
        FieldType::Decimal {
            precision: 18,
            scale: Some(2)
        }
    );
    assert_eq!(
        (freight.min.as_deref(), freight.max.as_deref()),
        (Some("0"), Some("1000.50"))
    );

    let inbound = set.find_job("{6D31E09F-0249-459F-94F0-AAD9C2C47B64}").expect("by id");
    assert_eq!(
        (inbound.direction, inbound.data_source),
        (Direction::Import, DataSource::File)
    );
    assert_eq!(inbound.company.as_deref(), Some("usmf"), "companies are lower case");
    let import = inbound.import.as_ref().expect("its section");
    assert_eq!(
        (import.format.clone(), import.max_errors),
        (FileFormat::Csv { delimiter: b';' }, Some(ErrorThreshold::Rate(0.05)))
    );
    assert_eq!(import.entities[0].entity, "SalesOrderHeaders");
    assert_eq!(import.entities[0].defaults["freight"], "0");
    assert_eq!(import.entities[0].values["ship_via"]["2"], "Sea");

    let nightly = set.find_job("nightly SALES orders").expect("by name in any case");
    assert_eq!(nightly.data_source, DataSource::Package, "exports are packages");
    let schedule = nightly.schedule.as_ref().expect("its schedule");
    assert_eq!((schedule.missed, schedule.overlap), (Missed::Once, Overlap::Skip));
    let export = nightly.export.as_ref().expect("its section");
    assert_eq!(export.format, FileFormat::Csv { delimiter: b'\t' });
    assert!(!export.prevent_upload_when_zero_records);
}

#[test]
fn folders_that_do_not_exist_are_empty() {
    assert_eq!(load(&[]).map(|set| (set.jobs.len(), set.entities.len())), Ok((0, 0)));
}

#[test]
fn every_mistake_of_every_file_is_reported_in_order() {
    let entity = r#"
name = "Orders"
lable = "Orders"
key = ["order_nmber", "price"]
change_tracking = "table"
database = "warehouse"
table = "orders_staging"
company_field = "price"
[[fields]]
name = "order_number"
type = "text"
precision = 3
[[fields]]
name = "price"
type = "decimal"
scale = 40
min = "1e5"
required = false
[[fields]]
name = "ORDER_NUMBER"
type = "date"
formats = ["%Q", "dd.mm.yyyy"]
max_length = 0
[[fields]]
name = "customer"
references = { entity = "Custmers", field = "customer_account", cascade = true }
[[fields]]
name = "state"
type = "enum"
"#;
    let job = r#"
id = "6d31e09f"
name = "a/b"
direction = "import"
data_source = "package"
client = ["x"]
durability = "relaxed"
[schedule]
cron = "0 25 * * *"
time_zone = "Berlin"
missed = "never"
[import]
format = "xls"
max_errors = "many"
atomicity = "all"
process_in_order = "yes"
[[import.entities]]
entity = "Orders"
"#;
    let errors = load(&[
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", entity),
        ("jobs/a.toml", job),
    ])
    .expect_err("a bad set");
    let expected = [
        "entities/orders.toml:3: unknown key `lable` in the entity; did you mean `label`?",
        "entities/orders.toml:4: key field `order_nmber` is not a field of `Orders`; did you mean `order_number`?",
        "entities/orders.toml:5: not supported in this version: change tracking; use `change_tracking = \"off\"` and full exports",
        "entities/orders.toml:6: database `warehouse` is not configured; `databases` has `main`",
        "entities/orders.toml:7: table `orders_staging` ends with `_staging`, which is kept for generated staging tables",
        "entities/orders.toml:8: company_field `price` must be of type `string`",
        "entities/orders.toml:11: `type` is `text`, allowed are `string`, `int`, `decimal`, `bool`, `date`, `datetime`, `time`, \
         `guid` or `enum`; write `string`",
        "entities/orders.toml:12: `precision` belongs to type `decimal`, not `string`",
        "entities/orders.toml:14: key field `price` is a decimal and needs a `scale`, so that 1.0 and 1.00 are equal",
        "entities/orders.toml:16: `scale` must be from 0 to 38",
        "entities/orders.toml:17: `min` must be a plain decimal number such as -0.5",
        "entities/orders.toml:18: `price` is part of the key, so `required = false` cannot be",
        "entities/orders.toml:20: field `ORDER_NUMBER` is there already, in entities/orders.toml:10",
        "entities/orders.toml:22: `%Q` is not a date format; write one such as \"%Y-%m-%d\"",
        "entities/orders.toml:22: `dd.mm.yyyy` is not a date format; write one such as \"%Y-%m-%d\"",
        "entities/orders.toml:23: `max_length` must be from 1 to 1000000",
        "entities/orders.toml:26: there is no entity `Custmers`; did you mean `Customers`?",
        "entities/orders.toml:26: unknown key `cascade` in `references`",
        "entities/orders.toml:27: a field of type `enum` lacks `values`, the texts it may hold",
        "jobs/a.toml:1: nobody may use this job: list its `clients`, or set `sample = true` to let the `dev` client try it",
        "jobs/a.toml:2: `id`: `6d31e09f` is not a GUID; it is the activity id clients put in the URL, `uuidgen` makes one",
        "jobs/a.toml:3: job name `a/b` holds one of / \\ : * ? \" < > |, which file names may not",
        "jobs/a.toml:6: unknown key `client` in the job; did you mean `clients`?",
        "jobs/a.toml:7: unknown key `durability` in the job",
        "jobs/a.toml:9: `cron`: `0 25 * * *` is not a schedule: `25` is no hour; it may be 0-23, with * , - /",
        "jobs/a.toml:10: `Berlin` is not a time zone; did you mean `Europe/Berlin`?",
        "jobs/a.toml:11: `missed` is `never`, allowed are `skip`, `once` or `all`",
        "jobs/a.toml:11: `missed` is for exports: an import's messages wait for the next due time, and what waited too long is \
         processed at once",
        "jobs/a.toml:13: `format` is `xls`, allowed are `csv`, `tsv`, `csv-unicode`, `xml-element`, `xml-attribute`, `json`, \
         `jsonl`, `xlsx`, `parquet` or `fixed`",
        "jobs/a.toml:14: `max_errors` is `many`; write a count such as 10, or a share from \"0%\" to \"100%\"",
        "jobs/a.toml:15: `atomicity` is `all`, allowed are `record`, `chunk`, `file` or `document`",
        "jobs/a.toml:16: `process_in_order` must be true or false, not a string",
    ];
    assert_eq!(errors, expected, "{errors:#?}");
}

#[test]
fn definitions_that_contradict_each_other_are_refused() {
    let twin = r#"
name = "CUSTOMERS"
label = "Clients"
table = "Customers"
key = ["n"]
[[fields]]
name = "n"
type = "int"
[[fields]]
name = "parent"
references = { entity = "Clients", field = "n" }
"#;
    let inbound = INBOUND
        .replace("sales order HEADERS", "Clients")
        .replace("map = { OrderID", "map = { ID = \"n\", Nr = \"n\", OrderID")
        .replace(
            "6d31e09f-0249-459f-94f0-aad9c2c47b64",
            "c03bb937-09ed-46de-86ee-4520d7d7e373",
        );
    let nightly = NIGHTLY
        .replace("Nightly sales orders", "inbound SALES orders")
        .replace("sample = true", "sample = true\ndata_source = \"file\"")
        + "[[export.entities]]\nentity = \"Customers\"\norder_by = [\"customer_acount\"]\nmethod = \"tracked\"\n";
    let errors = load(&[
        ("entities/customers.toml", CUSTOMERS),
        ("entities/orders.toml", ORDERS),
        ("entities/twin.toml", twin),
        ("jobs/inbound.toml", &inbound),
        ("jobs/nightly.toml", &nightly),
    ])
    .expect_err("contradictions");
    let expected = [
        "entities/twin.toml:2: entity name `CUSTOMERS` is taken already, in entities/customers.toml:2",
        "entities/twin.toml:4: table `Customers` belongs to entity `Customers` already, in entities/customers.toml:2",
        "entities/twin.toml:11: field `parent` is of type `string`, but `n` of `CUSTOMERS` is of type `int`",
        "jobs/inbound.toml:15: columns `ID` and `Nr` are both mapped to field `n`",
        "jobs/inbound.toml:15: map target of column `OrderID`, `order_number` is not a field of `CUSTOMERS`; it has `n`, `parent`",
        "jobs/inbound.toml:16: default for `company` is not a field of `CUSTOMERS`; it has `n`, `parent`",
        "jobs/inbound.toml:16: default for `freight` is not a field of `CUSTOMERS`; it has `n`, `parent`",
        "jobs/inbound.toml:17: values for `ship_via` is not a field of `CUSTOMERS`; it has `n`, `parent`",
        "jobs/nightly.toml:2: id c03bb937-09ed-46de-86ee-4520d7d7e373 is used already, in jobs/inbound.toml:2",
        "jobs/nightly.toml:3: job name `inbound SALES orders` is taken already (case does not count), in jobs/inbound.toml:3",
        "jobs/nightly.toml:18: `data_source = \"file\"` holds one entity; use `data_source = \"package\"` for several",
        "jobs/nightly.toml:19: order_by: `customer_acount` is not a field of `Customers`; did you mean `customer_account`?",
        "jobs/nightly.toml:20: `method` means nothing without `refresh = \"incremental\"`",
    ];
    assert_eq!(errors, expected, "{errors:#?}");
}

#[test]
fn sections_must_suit_the_direction() {
    let relay = "id = \"a2f9f6d6-5f4e-4d7e-9d61-6b7a2fb8f001\"\nname = \"R\"\ndirection = \"relay\"\nsample = true\n";
    assert!(load(&[("jobs/r.toml", relay)]).is_ok());
    let errors = load(&[(
        "jobs/r.toml",
        &format!("{relay}[import]\nformat = \"csv\"\n[schedule]\ncron = \"@daily\"\n"),
    )]);
    assert_eq!(
        errors.expect_err("a relay takes neither"),
        [
            "jobs/r.toml:3: direction is `relay`, which takes no [import] section",
            "jobs/r.toml:5: [import] lacks `entities`",
            "jobs/r.toml:7: direction is `relay`, which takes no [schedule] section",
        ]
    );
    let errors = load(&[("jobs/r.toml", &relay.replace("relay", "export"))]);
    assert_eq!(
        errors.expect_err("an export needs its section"),
        ["jobs/r.toml:3: direction is `export` but there is no [export] section"]
    );
}

#[test]
fn only_what_is_enqueued_to_has_a_bound_on_its_messages() {
    let job = |direction: &str, rest: &str| {
        let head = "id = \"00000000-0000-4000-8000-000000000001\"\nname = \"Quay\"\nclients = [\"shop\"]\n";
        format!("{head}direction = \"{direction}\"\n[queue]\nmax_messages = 5\n{rest}")
    };
    let relay = load(&[("jobs/quay.toml", &job("relay", ""))]).expect("a relay job");
    assert_eq!(relay.jobs[0].queue.max_messages, Some(5));
    let export = job(
        "export",
        "[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Customers\"\n",
    );
    let errors = load(&[("jobs/quay.toml", &export), ("entities/customers.toml", CUSTOMERS)]);
    let errors = errors.expect_err("its schedule fills it");
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("jobs/quay.toml:5: `max_messages` is for jobs")),
        "{errors:#?}"
    );
}

#[test]
fn a_file_that_is_no_toml_hides_no_entity() {
    let errors = load(&[
        ("entities/customers.toml", "name = \"Customers\nkey ="),
        ("entities/orders.toml", ORDERS),
        ("entities/latin1.toml", "name = \"x\"\n[[fields]]\nname = \"n\"\n"),
        ("jobs/inbound.toml", INBOUND),
    ])
    .expect_err("broken TOML");
    assert!(
        errors.iter().all(|error| !error.contains("there is no entity")),
        "{errors:#?}"
    );
    assert!(errors[0].starts_with("entities/customers.toml:1: "), "{errors:#?}");
    assert!(
        errors.contains(&"entities/latin1.toml:1: the entity lacks `key`".to_owned()),
        "{errors:#?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.toml"), b"name = \"x\"\nlabel = \"\xe9\"\n").expect("a file");
    let errors = Definitions::load(Path::new("nowhere"), folder.path(), &[]).expect_err("not UTF-8");
    assert_eq!(
        (errors[0].line, errors[0].message.as_str()),
        (Some(2), "is not UTF-8 text from here on")
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let text = format!("\u{feff}{}", CUSTOMERS.replace('\n', "\r\n"));
    assert!(load(&[("entities/customers.toml", &text)]).is_ok());
}

#[test]
fn the_shipped_definitions_load_and_name_the_sample_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = Definitions::load(&root.join("jobs"), &root.join("entities"), &["main".to_owned()])
        .unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((set.entities.len(), set.jobs.len()), (5, 7));
    for (job, file) in [
        ("Inbound customers", "customers"),
        ("Inbound suppliers", "suppliers"),
        ("Inbound products", "products"),
        ("Inbound sales orders", "orders"),
        ("Inbound sales order lines", "order_lines"),
    ] {
        let import = set.find_job(job).and_then(|job| job.import.as_ref()).expect(job);
        let entity = set.entity(&import.entities[0].entity).expect("its entity");
        let csv = std::fs::read_to_string(root.join(format!("samples/northwind/{file}.csv"))).expect("a sample file");
        let header = csv.lines().next().expect("a header").split(',').map(|column| {
            let plain = |name: &str| name.replace('_', "").to_lowercase();
            let mapped = import.entities[0].map.get(column).map_or(column, String::as_str);
            entity
                .fields
                .iter()
                .position(|field| plain(&field.name) == plain(mapped))
        });
        let mut header = header
            .collect::<Option<Vec<_>>>()
            .unwrap_or_else(|| panic!("{file}: a column without a field"));
        header.sort_unstable();
        assert_eq!(
            header,
            (0..entity.fields.len()).collect::<Vec<_>>(),
            "{file}: every field has one column"
        );
    }
}

#[test]
fn every_example_in_the_readmes_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["entities", "jobs"] {
        let text = std::fs::read_to_string(root.join(folder).join("README.md")).expect("a README");
        let blocks = text
            .split("```toml\n")
            .skip(1)
            .map(|block| block.split("```").next().expect("its end").to_owned())
            // Entities that leave their fields to a table are tried by the repository's tests.
            .filter(|block| folder == "jobs" || ["[[fields]]", "[[composite]]"].iter().any(|own| block.contains(own)));
        files.extend(
            blocks
                .enumerate()
                .map(|(at, block)| (format!("{folder}/{at}.toml"), block)),
        );
    }
    let files = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect::<Vec<_>>();
    let set = load(&files).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!((set.entities.len(), set.composites.len(), set.jobs.len()), (4, 1, 3));
}

/// The relay job with this `[webhook]` section, which begins at line 6.
fn load_webhook(section: &str) -> Result<crate::domain::webhook::WebhookSpec, Vec<String>> {
    let job = format!(
        "id = \"00000000-0000-4000-8000-0000000000aa\"\nname = \"Told\"\ndirection = \"relay\"\nsample = true\n\n[webhook]\n{section}"
    );
    let mut set = load(&[("jobs/told.toml", &job)])?;
    Ok(set.jobs.remove(0).webhook.expect("it is written"))
}

#[test]
fn a_webhook_tells_every_end_unless_it_says_which() {
    let webhook = load_webhook("url = \"https://example.org/x\"\nsecret_env = \"HOOK\"\n").expect("a good job");
    assert_eq!(webhook.url.expect("a URL").as_str(), "https://example.org/x");
    assert_eq!(webhook.secret, SecretSource::Variable("HOOK".to_owned()));
    let ends: Vec<Status> = Status::ALL.into_iter().filter(|status| status.is_final()).collect();
    assert_eq!((webhook.on, webhook.per_message), (ends, false));
    let webhook = load_webhook("per_message = true\nsecret_file = \"secrets/hook\"\non = [\"Acked\", \"Expired\"]\n");
    let webhook = webhook.expect("a job whose messages name theirs");
    assert_eq!((webhook.url, webhook.per_message), (None, true));
    assert_eq!(webhook.secret, SecretSource::File("secrets/hook".into()));
    assert_eq!(webhook.on, [Status::Acked, Status::Expired]);
}

#[test]
fn mistakes_in_a_webhook_are_named_with_their_cure() {
    let secret = "secret_file = \"s\"\n";
    let url = "url = \"https://example.org\"\n";
    for (section, expected) in [
        (secret.to_owned(), "jobs/told.toml:6: [webhook] lacks `url`"),
        (
            url.to_owned(),
            "jobs/told.toml:6: [webhook] lacks `secret_file` or `secret_env`",
        ),
        (
            format!("{url}{secret}secret_env = \"S\"\n"),
            "jobs/told.toml:9: both `secret_file` and `secret_env`",
        ),
        (
            format!("{url}secret = \"whsec_x\"\n"),
            "jobs/told.toml:8: a secret does not belong into this file",
        ),
        (
            format!("{secret}url = \"ftp://example.org\"\n"),
            "jobs/told.toml:8: `url` begins with neither",
        ),
        (
            format!("{secret}url = \"https://a:b@example.org\"\n"),
            "jobs/told.toml:8: `url` holds a user name or password",
        ),
        (
            format!("{secret}url = \"hooks\"\n"),
            "jobs/told.toml:8: `url` is not a URL",
        ),
        (format!("{url}{secret}on = []\n"), "jobs/told.toml:9: `on` is empty"),
        (
            format!("{url}{secret}on = [\"Acked\", \"Acked\"]\n"),
            "`Acked` is listed twice",
        ),
        (
            format!("{url}{secret}on = [\"Proccessed\"]\n"),
            "is not a final status; did you mean `Processed`?",
        ),
        (
            format!("{url}{secret}on = [\"Enqueued\"]\n"),
            "`Enqueued` in `on` is not a final status",
        ),
        (
            format!("{url}{secret}retries = 3\n"),
            "unknown key `retries` in [webhook]",
        ),
    ] {
        let mistakes = load_webhook(&section).expect_err(expected);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{mistakes:#?}");
    }
}
