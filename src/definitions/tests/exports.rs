//! Export jobs as people write them.

use super::{CUSTOMERS, Definitions, load};
use crate::domain::export::Compression;
use crate::domain::job::{FileFormat, FixedColumn};
use crate::format::parquet::BUILT_IN;

const THINGS: &str = r#"
name = "Things"
key = ["code"]
company_field = "company"
[[fields]]
name = "code"
[[fields]]
name = "company"
max_length = 4
[[fields]]
name = "active"
type = "bool"
[[fields]]
name = "unit price"
type = "decimal"
scale = 2
"#;

const PARTS: &str = r#"
name = "Parts"
key = ["thing", "part"]
[[fields]]
name = "thing"
references = { entity = "Things", field = "code" }
[[fields]]
name = "part"
type = "int"
[[fields]]
name = "LOOSE"
"#;

const WHOLE: &str = r#"
name = "WholeThings"
[[composite]]
entity = "Things"
element = "THING"
[[composite]]
entity = "Parts"
element = "PART"
parent = "Things"
"#;

const HEAD: &str = r#"id = "6d31e09f-0249-459f-94f0-aad9c2c47b64"
name = "Out"
direction = "export"
clients = ["tester"]
"#;

/// A job whose file has this behind its first four lines.
fn with(rest: &str) -> Result<Definitions, Vec<String>> {
    load(&[
        ("entities/customers.toml", CUSTOMERS),
        ("entities/things.toml", THINGS),
        ("entities/parts.toml", PARTS),
        ("entities/whole.toml", WHOLE),
        ("jobs/out.toml", &format!("{HEAD}{rest}")),
    ])
}

#[track_caller]
fn refused(rest: &str, errors: &[&str]) {
    let found = with(rest).expect_err(rest);
    let expected: Vec<_> = errors.iter().map(|error| format!("jobs/out.toml:{error}")).collect();
    assert_eq!(found, expected, "{rest}");
}

#[test]
fn options_are_those_of_imports_and_its_own() {
    let set = with(
        "data_source = \"file\"\n[export]\nformat = \"csv-unicode\"\ndelimiter = \";\"\nheader = false\ncompression = \"zstd\"\n\
         file_name = \"{entity} {due:%d}.csv.zst\"\ncompanies = [\" USMF\", \"demf\"]\n[[export.entities]]\nentity = \"things\"\n\
         fields = [\"active\", \"code\"]\nmap = { code = \"Nr\" }\n[export.entities.values.active]\ntrue = \"J\"\n0 = \"N\"\n",
    )
    .expect("no mistakes");
    let export = set
        .find_job("Out")
        .and_then(|job| job.export.as_ref())
        .expect("its section");
    assert_eq!(export.format, FileFormat::Csv { delimiter: b';' });
    assert_eq!((export.encoding.as_deref(), export.header), (Some("UTF-16LE"), false));
    assert_eq!(
        (export.compression, export.companies.as_slice()),
        (
            Some(Compression::Zstd),
            ["usmf".to_owned(), "demf".to_owned()].as_slice()
        )
    );
    let entity = &export.entities[0];
    assert_eq!(
        (entity.entity.as_str(), entity.column("code"), entity.column("active")),
        ("Things", "Nr", "active")
    );
    let values: Vec<_> = entity.values["active"].iter().collect();
    let pair = |stored: &str, written: &str| (stored.to_owned(), written.to_owned());
    let expected = [pair("No", "N"), pair("Yes", "J")];
    assert_eq!(
        values,
        expected.each_ref().map(|(stored, written)| (stored, written)),
        "as it is read"
    );
}

#[test]
fn columns_of_fixed_width_are_fields_and_their_order() {
    let columns = "[export]\nformat = \"fixed\"\ncolumns = [{ name = \"UnitPrice\", width = 9 }, { name = \"Nr\", width = 5 }]\n\
                   [[export.entities]]\nentity = \"Things\"\n";
    let set = with(&format!("{columns}map = {{ code = \"Nr\" }}\n")).expect("no mistakes");
    let export = set
        .find_job("Out")
        .and_then(|job| job.export.as_ref())
        .expect("its section");
    let column = |name: &str, width| FixedColumn {
        name: name.to_owned(),
        width,
    };
    assert_eq!(
        export.format,
        FileFormat::Fixed(vec![column("UnitPrice", 9), column("Nr", 5)])
    );
    assert_eq!(export.entities[0].fields, ["unit price", "code"]);
    refused(
        &format!("{columns}fields = [\"code\"]\n[[export.entities]]\nentity = \"Customers\"\n"),
        &[
            "9: `columns` has `Nr`, which `map` does not name; and `Nr` is not a field of `Things`; it has `code`, `company`, `active`, `unit price`",
            "9: `columns` says which fields a file of fixed width has, and in which order; leave `fields` out",
            "12: `columns` are those of one entity; use a job for each",
            "12: `columns` has `Nr`, which `map` does not name; and `Nr` is not a field of `Customers`; it has `customer_account`",
            "12: `columns` has `UnitPrice`, which `map` does not name; and `UnitPrice` is not a field of `Customers`; it has `customer_account`",
        ],
    );
}

#[test]
fn columns_are_told_apart_and_fit_their_format() {
    refused(
        "[export]\nformat = \"xml-element\"\n[[export.entities]]\nentity = \"Things\"\n\
         map = { code = \"Active\", company = \"THINGSENTITY\", colour = \"c\" }\n\
         [[export.entities]]\nentity = \"Customers\"\nmap = { customer_account = \"_Error\" }\n",
        &[
            "8: fields `code` and `active` both have the column `active`; `map` one to another",
            "8: the column `unit price` of field `unit price` cannot be a name in XML; `map` the field to another",
            "9: map: `colour` is not a field of `Things`; it has `code`, `company`, `active`, `unit price`",
            "9: the column `THINGSENTITY` of field `company` is called as the records are; `map` the field to another",
            "12: the column `_Error` of field `customer_account` is one of those that rejects files have for themselves; `map` the field to another",
        ],
    );
    with("[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Things\"\n").expect("a blank is none in CSV");
    refused(
        "[export]\nformat = \"csv\"\n[[export.entities]]\nentity = \"Things\"\nfields = [\"code\"]\nmap = { active = \"A\" }\n\
         [export.entities.values]\nactive.perhaps = \"P\"\ncolour.red = \"r\"\n",
        &[
            "10: `map` has `active`, which is not among the `fields` that are exported",
            "12: `values` of `active`: `perhaps` is not a truth value: write true or false, yes or no, 1 or 0",
            "13: values for `colour` is not a field of `Things`; it has `code`, `company`, `active`, `unit price`",
        ],
    );
}

#[test]
fn options_that_ask_for_the_impossible_are_all_told() {
    refused(
        "company = \"usmf\"\n[export]\nformat = \"xlsx\"\nsheet = \"a:b\"\nheader = false\ncompression = \"gzip\"\n\
         file_name = \"{entity}.{ext}\"\ncompanies = [\"demf\", \"DEMF\"]\n[[export.entities]]\nentity = \"Things\"\n",
        &[
            "6: `sheet` is `a:b`; a sheet's name has at most 31 characters, none of them [ ] : * ? / \\",
            "9: `header` is for delimited text: `csv`, `tsv` and `csv-unicode`",
            "10: a package is packed already; `compression` is for `data_source = \"file\"`",
            "11: `file_name` has the placeholder {ext}; there are {job}, {entity}, {company}, {due} and {due:%Y-%m-%d}",
            "12: company `demf` is listed twice",
            "12: the job has a `company`, which is the only one it exports; leave one of the two out",
        ],
    );
    refused(
        "data_source = \"file\"\n[export]\nformat = \"json\"\nsidecar = false\nfile_name = \"{entity} {company}.json\"\n\
         companies = [\"demf\"]\n[[export.entities]]\nentity = \"Customers\"\n[[export.entities]]\nentity = \"Parts\"\n",
        &[
            "8: `sidecar` is for `data_source = \"package\"`",
            "9: `file_name` has {entity}, but the job exports several",
            "10: none of the entities has a `company_field`, so `companies` chooses nothing",
            "14: `data_source = \"file\"` holds one entity; use `data_source = \"package\"` for several",
        ],
    );
    let several =
        "[export]\nformat = \"json\"\nfile_name = \"{company}.zip\"\n[[export.entities]]\nentity = \"Things\"\n";
    refused(
        several,
        &["7: `file_name` has {company}, but the job does not export exactly one"],
    );
    with(&format!("company = \"usmf\"\n{several}")).expect("one company");
}

#[test]
fn parquet_is_for_builds_that_have_it() {
    let lines = "[export]\nformat = \"parquet\"\ncompression = \"zstd\"\n[[export.entities]]\nentity = \"Things\"\n";
    if !BUILT_IN {
        refused(
            lines,
            &["6: this build has no Parquet: build tranship with `--features parquet`, or choose another format"],
        );
        return;
    }
    // Its pages are packed, in a package too.
    with(lines).expect("a package");
    with(&format!("data_source = \"file\"\n{lines}")).expect("a file");
    refused(
        "[export]\nformat = \"parquet\"\nencoding = \"utf-8\"\nsheet = \"A\"\nheader = false\ndelimiter = \";\"\n[[export.entities]]\n\
         entity = \"Things\"\n",
        &[
            "7: a Parquet file has no `encoding`; leave it out",
            "8: `sheet` is for `format = \"xlsx\"`",
            "9: `header` is for delimited text: `csv`, `tsv` and `csv-unicode`",
            "10: `delimiter` is for delimited text: `csv`, `tsv` and `csv-unicode`",
        ],
    );
}

#[test]
fn a_composite_is_exported_as_xml_with_what_is_said_of_its_entities() {
    let composite = "data_source = \"file\"\n[export]\nformat = \"xml-attribute\"\n[[export.entities]]\nentity = \"WholeThings\"\n\
                     [[export.entities]]\nentity = \"Things\"\nmap = { \"unit price\" = \"UnitPrice\" }\n";
    let set = with(composite).expect("one file: what is said of an entity in it is none of its own");
    let export = set
        .find_job("Out")
        .and_then(|job| job.export.as_ref())
        .expect("its section");
    assert_eq!(export.entities[0].entity, "WholeThings");
    refused(
        &composite
            .replace("xml-attribute", "csv")
            .replace("[[export.entities]]\nentity = \"Things\"\n", "filter = \"1 = 1\"\n"),
        &[
            "9: `WholeThings` is a composite entity, which has no fields: give `fields`, `map`, `values`, `filter` and `order_by` to \
             its entities, in an [[export.entities]] of their own",
            "9: `WholeThings` is a composite entity, which is written as XML only (DMF1963): use `format = \"xml-element\"` or \
             `\"xml-attribute\"`",
        ],
    );
    refused(
        &composite.replace("UnitPrice", "PART"),
        &["12: the column `PART` of field `unit price` is called as the records are; `map` the field to another"],
    );
    let loose = load(&[
        ("entities/things.toml", THINGS),
        ("entities/parts.toml", PARTS),
        (
            "entities/whole.toml",
            &format!("{WHOLE}inherit = {{ LOOSE = \"company\" }}\n"),
        ),
        ("jobs/out.toml", &format!("{HEAD}{composite}")),
    ]);
    assert_eq!(
        loose.expect_err("which thing a part is of is not known"),
        [
            "jobs/out.toml:9: nothing in `Parts` says which `Things` its records stand in: `inherit` of the composite lacks `code`"
        ]
    );
}
