//! What is packed is what is unpacked, and a manifest can only say what a manifest says.

use std::io::{Cursor, Read};

use super::*;

fn entities() -> Vec<ManifestEntity> {
    let entity = |label: &str, target: &str, fields: &[&str]| ManifestEntity {
        label: label.to_owned(),
        target: target.to_owned(),
        file: data_file_name(label, "csv"),
        format: "CSV".to_owned(),
        sheet: String::new(),
        fields: fields.iter().map(|&f| (f.to_owned(), f.to_owned())).collect(),
    };
    vec![
        entity("Sales order headers", "SalesOrderHeaders", &["company", "order_number"]),
        entity("R&D <costs>/2026", "RndCosts", &["größe"]),
    ]
}

/// The whole package, and the most bytes that were ready at once.
fn package(rows: usize) -> (Vec<u8>, usize) {
    let entities = entities();
    let mut writer = PackageWriter::new("Nightly & co", &entities).expect("in memory");
    let mut out = writer.take();
    let mut most = out.len();
    for entity in &entities {
        writer.begin_file(&entity.file).expect("a new name");
        for row in 0..rows {
            writer.write(line(row).as_bytes()).expect("in memory");
            let ready = writer.take();
            most = most.max(ready.len());
            out.extend(ready);
        }
    }
    out.extend(writer.finish().expect("in memory"));
    (out, most)
}

fn line(row: usize) -> String {
    format!("usmf,{:x}\r\n", row.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[test]
fn a_package_unzips_to_what_was_written() {
    let (bytes, _) = package(1000);
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    let names: Vec<String> = zip.file_names().map(|name| name.expect("UTF-8").into_owned()).collect();
    assert_eq!(
        names,
        [
            "Manifest.xml",
            "PackageHeader.xml",
            "Sales order headers.csv",
            "R&D _costs__2026.csv"
        ]
    );
    let want: String = (0..1000).map(line).collect();
    for name in &names[2..] {
        let mut text = String::new();
        zip.by_name(name)
            .expect("member")
            .read_to_string(&mut text)
            .expect("text");
        assert_eq!(text, want);
    }
    let mut manifest = Vec::new();
    zip.by_name(MANIFEST_FILE)
        .expect("manifest")
        .read_to_end(&mut manifest)
        .expect("bytes");
    let manifest = read_manifest(&manifest).expect("our own manifest");
    assert_eq!(manifest.definition_group, "Nightly & co");
    let files: Vec<_> = manifest.entities.iter().map(|e| e.file.as_str()).collect();
    assert_eq!(files, &names[2..], "the manifest names the members as they are");
}

#[test]
fn the_same_content_gives_the_same_bytes_and_they_come_as_a_stream() {
    let (bytes, most) = package(50_000);
    assert_eq!(bytes, package(50_000).0);
    assert!(
        bytes.len() > 500_000 && most < 100_000,
        "{most} of {} bytes at once",
        bytes.len()
    );
}

#[test]
fn two_files_cannot_have_one_name() {
    let mut writer = PackageWriter::new("p", &[]).expect("in memory");
    writer.begin_file("a.csv").expect("a new name");
    assert!(writer.begin_file("a.csv").is_err());
}

#[test]
fn member_names_stay_flat_and_plain() {
    for (name, safe) in [
        ("Sales order headers.csv", "Sales order headers.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\x\0y.csv", "C__x_y.csv"),
        ("manifest.XML", "_manifest.XML"),
        (" .. ", "_"),
        ("", "_"),
        ("Größe 1.csv", "Größe 1.csv"),
    ] {
        assert_eq!(safe_name(name), safe, "{name}");
    }
    let long = data_file_name(&"x".repeat(500), "csv");
    assert!(long.len() == 200 && long.ends_with("x.csv"), "{long}");
}

#[test]
fn the_xml_has_the_shape_of_the_contract() {
    let header = manifest_write::package_header("Tranship demo");
    assert_eq!(
        header,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <DataManagementPackageHeader xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">\n\
         \x20 <Description>Tranship demo</Description>\n\
         \x20 <ManifestType>Microsoft.Dynamics.AX.Framework.Tools.DataManagement.Serialization.DataManagementPackageManifest</ManifestType>\n\
         \x20 <PackageType>DefinitionGroup</PackageType>\n\
         \x20 <PackageVersion>2</PackageVersion>\n\
         </DataManagementPackageHeader>\n"
    );
    let manifest = manifest_write::manifest("Nightly & co", &entities());
    let members = |parent: &str| -> Vec<String> {
        let indent = manifest
            .lines()
            .find(|l| l.trim() == format!("<{parent}>"))
            .expect(parent)
            .find('<')
            .expect("tag")
            + 2;
        manifest
            .lines()
            .skip_while(|l| l.trim() != format!("<{parent}>"))
            .skip(1)
            .take_while(|l| l.trim() != format!("</{parent}>"))
            .filter(|l| l.find('<') == Some(indent) && !l.trim().starts_with("</"))
            .map(|l| l.trim()[1..].chars().take_while(char::is_ascii_alphabetic).collect())
            .collect()
    };
    for (parent, count) in [("DataManagementPackageEntityData", 19), ("EntityMap", 8)] {
        let names = members(parent);
        assert_eq!(names.len(), count, "{names:?}");
        assert!(names.is_sorted(), "members are alphabetical (FMT-4): {names:?}");
    }
    for line in [
        "<EntityField>ORDER_NUMBER</EntityField>",
        "<XMLField>order_number</XMLField>",
        "<EntityName>R&amp;D &lt;costs&gt;/2026</EntityName>",
        "<EntityField>GRÖSSE</EntityField>",
        "<EntityFieldConversionList i:nil=\"true\"/>",
        "<SequenceInLevel>2</SequenceInLevel>",
        "<ExcelSheetName/>",
    ] {
        assert!(manifest.contains(line), "{line}");
    }
}

#[test]
fn a_manifest_reads_the_same_in_every_encoding() {
    let written = manifest_write::manifest("Nightly & co", &entities());
    let want = read_manifest(written.as_bytes()).expect("UTF-8");
    assert_eq!(want.entities[1].name, "R&D <costs>/2026");
    assert_eq!(want.entities[1].sequence, 2);
    assert_eq!(want.entities[0].source_format, "CSV");
    assert_eq!(
        want.entities[0].fields[1],
        FieldMap {
            field: "ORDER_NUMBER".to_owned(),
            column: "order_number".to_owned(),
            ..FieldMap::default()
        }
    );
    // Real exports are UTF-16 little-endian with a byte order mark and without a declaration.
    let bare = written.split_once('\n').expect("declaration").1;
    let with = |bom: &[u8], bytes: Vec<u8>| [bom, bytes.as_slice()].concat();
    let le: Vec<u8> = bare.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let be: Vec<u8> = bare.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [
        with(b"\xFF\xFE", le.clone()),
        with(b"\xFE\xFF", be.clone()),
        le,
        be,
        with(b"\xEF\xBB\xBF", bare.as_bytes().to_vec()),
    ] {
        assert_eq!(read_manifest(&bytes), Ok(want.clone()));
    }
}

#[test]
fn members_may_stand_in_any_order_prefixed_unknown_or_absent() {
    let text = "<d:DataManagementPackageManifest xmlns:d='x'><d:PackageEntityList><!-- c --><d:DataManagementPackageEntityData>\
        <d:Whatever><d:EntityName>not this</d:EntityName></d:Whatever><d:InputFilePath><![CDATA[a&b.csv]]></d:InputFilePath>\
        <d:EntityName> A&#x26;B &quot;x&quot; </d:EntityName><d:Disable>TRUE</d:Disable><d:ExecutionUnit>3</d:ExecutionUnit>\
        <d:LevelInExecutionUnit/></d:DataManagementPackageEntityData></d:PackageEntityList></d:DataManagementPackageManifest>";
    let manifest = read_manifest(text.as_bytes()).expect("readable");
    assert_eq!(
        manifest.entities,
        [PackageEntity {
            name: "A&B \"x\"".to_owned(),
            file: "a&b.csv".to_owned(),
            disabled: true,
            execution_unit: 3,
            ..PackageEntity::default()
        }]
    );
}

/// FMT-6, FMT-7.
#[test]
fn a_template_and_the_flags_of_an_entity_are_told() {
    let entity = |flags: &str| format!("<DataManagementPackageEntityData>{flags}</DataManagementPackageEntityData>");
    let read = |flags: &str| {
        let text = format!(
            "<DataManagementPackageManifest><PackageEntityList>{}</PackageEntityList></DataManagementPackageManifest>",
            entity(flags)
        );
        let manifest = read_manifest(text.as_bytes()).expect("readable");
        assert!(!manifest.is_template);
        let entity = &manifest.entities[0];
        (entity.skip_staging, entity.incremental)
    };
    assert_eq!(read(""), (false, false));
    assert_eq!(
        read("<SkipStaging>No</SkipStaging><DefaultRefreshType>FullPush</DefaultRefreshType>"),
        (false, false)
    );
    assert_eq!(
        read("<SkipStaging>1</SkipStaging><DefaultRefreshType>IncrementalPush</DefaultRefreshType>"),
        (true, true)
    );
    for member in [
        "DataManagementPackageEntityData",
        "DataManagementTemplatePackageEntityData",
    ] {
        let text = format!(
            "<DataManagementTemplatePackageManifest><DefinitionGroupName>T</DefinitionGroupName><PackageEntityList><{member}>\
             <EntityName>Customers</EntityName></{member}></PackageEntityList></DataManagementTemplatePackageManifest>"
        );
        let template = read_manifest(text.as_bytes()).expect("readable");
        assert!(template.is_template);
        assert_eq!(
            (template.definition_group.as_str(), template.entities[0].name.as_str()),
            ("T", "Customers")
        );
    }
    let header = "<DataManagementPackageHeader><ManifestType>a.b.DataManagementTemplatePackageManifest</ManifestType>\
                  </DataManagementPackageHeader>";
    let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(is_template_header(header.as_bytes()) && is_template_header(&utf16));
    assert!(!is_template_header(manifest_write::package_header("p").as_bytes()));
}

#[test]
fn what_is_no_manifest_is_refused() {
    let root = |inner: &str| format!("<DataManagementPackageManifest>{inner}</DataManagementPackageManifest>");
    let entity = |inner: &str| {
        root(&format!(
            "<PackageEntityList><DataManagementPackageEntityData>{inner}</DataManagementPackageEntityData></PackageEntityList>"
        ))
    };
    let deep = root(&("<a>".repeat(100) + &"</a>".repeat(100)));
    let cases: [(Vec<u8>, &str); 12] = [
        (b"".to_vec(), "manifest_damaged"),
        (b"<Document/>".to_vec(), "manifest_unexpected"),
        (b"<DataManagementPackageManifest>".to_vec(), "manifest_damaged"),
        (b"<DataManagementPackageManifest></x>".to_vec(), "manifest_damaged"),
        (b"\xFF\xFE<\0a".to_vec(), "manifest_encoding"),
        (b"\xFF\xFE<\0\x00\xD8>\0".to_vec(), "manifest_encoding"),
        (b"<a>\xFF</a>".to_vec(), "manifest_encoding"),
        (
            b"<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b SYSTEM \"file:///etc/passwd\">]><x>&b;</x>".to_vec(),
            "manifest_unexpected",
        ),
        (
            root("<Description>&a;</Description>").into_bytes(),
            "manifest_unexpected",
        ),
        (
            entity("<ExecutionUnit>first</ExecutionUnit>").into_bytes(),
            "manifest_unexpected",
        ),
        (entity("<Disable>perhaps</Disable>").into_bytes(), "manifest_unexpected"),
        (deep.into_bytes(), "manifest_unexpected"),
    ];
    for (bytes, code) in cases {
        let error = read_manifest(&bytes).expect_err("no manifest");
        assert_eq!(error.code, code, "{error} in {}", String::from_utf8_lossy(&bytes));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic_the_manifest_reader(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), text in "[<>&;/a-z\"=! ]{0,80}") {
        let _ = read_manifest(&bytes);
        let _ = read_manifest(text.as_bytes());
        let _ = read_manifest(format!("<DataManagementPackageManifest>{text}").as_bytes());
    }
}

#[test]
fn conversions_defaults_and_transforms_are_read() {
    let manifest = "<DataManagementPackageManifest><PackageEntityList><DataManagementPackageEntityData><EntityName>A</EntityName>\
        <EntityMapList><EntityMap><EntityField>KIND</EntityField><XMLField>Kind</XMLField><IsAutoDefault>Yes</IsAutoDefault>\
        <EntityFieldConversionList><EntityFieldConversion><IsDefault>No</IsDefault><SourceStrValue>1</SourceStrValue>\
        <StagingStrValue>Open</StagingStrValue><SourceIntValue/></EntityFieldConversion><EntityFieldConversion>\
        <IsDefault>Yes</IsDefault><StagingStrValue>Shut</StagingStrValue></EntityFieldConversion></EntityFieldConversionList>\
        </EntityMap></EntityMapList><EntityTransformList><EntityTransform><SequenceNumber>1</SequenceNumber>\
        <XsltFileName>a.xslt</XsltFileName></EntityTransform></EntityTransformList></DataManagementPackageEntityData>\
        </PackageEntityList></DataManagementPackageManifest>";
    let read = read_manifest(manifest.as_bytes()).expect("a manifest");
    let entity = &read.entities[0];
    assert_eq!(entity.transforms, ["a.xslt"]);
    let line = &entity.fields[0];
    assert!(line.auto_default && !line.auto_generated);
    let pairs: Vec<_> = line
        .conversions
        .iter()
        .map(|conversion| {
            (
                conversion.is_default,
                conversion.source.as_str(),
                conversion.staging.as_str(),
            )
        })
        .collect();
    assert_eq!(pairs, [(false, "1", "Open"), (true, "", "Shut")]);
}
