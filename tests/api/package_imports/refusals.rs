//! What is no package, or does not fit, is the answer and no run (PKG-11g, FMT-1, FMT-6, FMT-8).

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::json;

use super::{
    CUSTOMERS, HEADER, Listed, ORDERS, PROJECT, act_as, app, import, manifest, one_customer, package, refused, summary,
    zip,
};
use crate::app::{Backend, TestApp};

crate::on_both_backends!(
    what_is_no_package_is_the_answer,
    what_a_job_does_not_load_is_the_answer,
    a_wrong_mapping_is_the_answer,
    a_package_of_many_entities_is_looked_at_in_time,
    a_viewer_imports_nothing,
);

async fn refusal(app: &TestApp, bytes: Vec<u8>) -> String {
    let text = refused(import(app, bytes, PROJECT, "refused").await, "ImportFromPackage");
    assert_eq!(app.messages().await, 0, "{text}");
    text
}

async fn what_is_no_package_is_the_answer(backend: Backend) {
    let app = app(backend).await;
    let listed = manifest(&[&CUSTOMERS]);
    let file = ("Customers.csv", "CustomerID,CompanyName\r\nAAAAA,One\r\n");
    let template = listed.replace("DataManagementPackageManifest", "DataManagementTemplatePackageManifest");
    let template_header = "<DataManagementPackageHeader><ManifestType>Microsoft.Dynamics.AX.Framework.Tools.DataManagement.Serialization.\
         DataManagementTemplatePackageManifest</ManifestType></DataManagementPackageHeader>";
    let utf16: String = template_header.chars().flat_map(|c| [c, '\u{0}']).collect();
    for (bytes, wants) in [
        (b"CustomerID\r\n".to_vec(), vec!["cannot be read as a zip"]),
        (Vec::new(), vec!["is empty", "DMF2053"]),
        (zip(&[("Manifest.xml", &listed), file]), vec!["PackageHeader.xml"]),
        (
            zip(&[
                ("My package/Manifest.xml", &listed),
                ("My package/PackageHeader.xml", HEADER.1),
            ]),
            vec!["PackageHeader.xml", "inside a folder", "`My package/PackageHeader.xml`"],
        ),
        (zip(&[HEADER, file]), vec!["no Manifest.xml"]),
        (
            zip(&[HEADER, ("Manifest.xml", &listed), ("data/customers.CSV", file.1)]),
            vec!["`Customers.csv`", "inside a folder", "`data/customers.CSV`"],
        ),
        (zip(&[HEADER, ("Manifest.xml", "<Manifest/>")]), vec!["its root is"]),
        (
            zip(&[HEADER, ("Manifest.xml", &template), file]),
            vec!["template", "ExportFromPackage"],
        ),
        (
            zip(&[("PackageHeader.xml", template_header), ("Manifest.xml", &listed), file]),
            vec!["template"],
        ),
        (
            zip(&[("PackageHeader.xml", &utf16), ("Manifest.xml", &listed), file]),
            vec!["template"],
        ),
    ] {
        let text = refusal(&app, bytes).await;
        assert!(wants.iter().all(|want| text.contains(want)), "{wants:?}: {text}");
    }
    // The id is free: nothing began.
    let bytes = package(&[&CUSTOMERS], &[file]);
    import(&app, bytes, PROJECT, "refused").await.expect(StatusCode::OK);
    assert_eq!(summary(&app, "refused").await, "NotRun");
}

async fn what_a_job_does_not_load_is_the_answer(backend: Backend) {
    let app = app(backend).await;
    let unknown = Listed("Currencies", "Currencies.csv", "CSV", "");
    let products = Listed("Products", "Products.csv", "CSV", "");
    let transformed = Listed(
        "Customers",
        "Customers.csv",
        "CSV",
        "<EntityTransformList><EntityTransform><XsltFileName>x.xslt</XsltFileName></EntityTransform></EntityTransformList>",
    );
    let off = Listed("Customers", "Customers.csv", "CSV", "<Disable>Yes</Disable>");
    for (entities, wants) in [
        (vec![&unknown], vec!["`Currencies`", "unknown"]),
        (vec![&CUSTOMERS, &products], vec!["`Products`", "does not load"]),
        (vec![&transformed], vec!["x.xslt"]),
        (vec![&off], vec!["lists no entity"]),
        (vec![&CUSTOMERS, &CUSTOMERS], vec!["two entities"]),
    ] {
        let text = refusal(&app, package(&entities, &[])).await;
        assert!(wants.iter().all(|want| text.contains(want)), "{wants:?}: {text}");
    }
    let answer = import(&app, one_customer("AAAAA"), "Nightly sales orders", "x").await;
    assert!(refused(answer, "ImportFromPackage").contains("does not import"));
    let answer = import(&app, one_customer("AAAAA"), "Relay documents", "x").await;
    assert!(refused(answer, "ImportFromPackage").contains("does not import"));
    // As the product says it: the package has less than the project, and is not to replace it (PKG-11c).
    let url = super::upload(&app, one_customer("AAAAA")).await;
    let mut sent = super::asked(&url, PROJECT, "x");
    sent["overwrite"] = json!(false);
    let text = refused(
        act_as(&app, &app.token, "ImportFromPackage", &sent).await,
        "ImportFromPackage",
    );
    assert!(
        text.contains("exists already") && text.contains("overwrite was not given"),
        "{text}"
    );
    let both = package(&[&ORDERS, &CUSTOMERS], &[]);
    sent["packageUrl"] = json!(super::upload(&app, both).await);
    act_as(&app, &app.token, "ImportFromPackage", &sent)
        .await
        .expect(StatusCode::OK);
}

async fn a_wrong_mapping_is_the_answer(backend: Backend) {
    let app = app(backend).await;
    for (file, want) in [
        // No line end: the first line is all there is.
        ("CustomerID;CompanyName;AAAAA;One", "does not fit"),
        ("Account,CompanyName\r\nAAAAA,One\r\n", "customer_account"),
        ("CustomerID,customer_account,CompanyName\r\nA,A,One\r\n", "does not fit"),
    ] {
        let text = refusal(&app, package(&[&CUSTOMERS], &[("Customers.csv", file)])).await;
        assert!(
            text.contains("the mapping of `Customers` is wrong") && text.contains(want),
            "{text}"
        );
    }
    // In UTF-16, and with line feeds alone, it fits.
    let unicode = Listed("Customers", "Customers.csv", "CSV-Unicode", "");
    let text: Vec<u8> = "\u{feff}CustomerID,CompanyName\nAAAAA,One\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let manifest = manifest(&[&unicode]);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("Manifest.xml", manifest.as_bytes()),
        (HEADER.0, HEADER.1.as_bytes()),
        ("Customers.csv", &text),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    import(&app, zip.finish().unwrap().into_inner(), PROJECT, "fits")
        .await
        .expect(StatusCode::OK);
    app.run_until_idle().await;
    assert_eq!(summary(&app, "fits").await, "Succeeded");
}

/// Two hundred files of a megabyte each, of which only the beginnings are read; others are answered meanwhile.
async fn a_package_of_many_entities_is_looked_at_in_time(backend: Backend) {
    let app = TestApp::with(backend, |setup| {
        let mut job = super::JOB.to_owned();
        for number in 0..200 {
            let entity = format!(
                "name = \"Thing{number}\"\nlabel = \"Thing {number}\"\ntable = \"thing_{number}\"\ncreate_table = true\nkey = [\"code\"]\n\
                 [[fields]]\nname = \"code\"\ntype = \"string\"\nmax_length = 10\n"
            );
            setup.file(&format!("entities/thing-{number}.toml"), &entity);
            let _ = write!(job, "[[import.entities]]\nentity = \"Thing {number}\"\n");
        }
        setup.file("jobs/orders-and-customers.toml", &job);
    })
    .await;
    let labels: Vec<(String, String)> = (0..200)
        .map(|n| (format!("Thing {n}"), format!("Thing {n}.csv")))
        .collect();
    let listed: Vec<Listed<'_>> = labels
        .iter()
        .map(|(label, file)| Listed(label, file, "CSV", ""))
        .collect();
    let file = format!("CODE\r\n{}", "A\r\n".repeat(350_000));
    let files: Vec<(&str, &str)> = labels.iter().map(|(_, name)| (name.as_str(), file.as_str())).collect();
    let bytes = package(&listed.iter().collect::<Vec<_>>(), &files);
    let url = super::upload(&app, bytes).await;
    let begun = std::time::Instant::now();
    let asked = super::asked(&url, PROJECT, "many");
    let submit = act_as(&app, &app.token, "ImportFromPackage", &asked);
    let mut submit = std::pin::pin!(submit);
    let mut polled = 0;
    let answer = loop {
        tokio::select! {
            answer = &mut submit => break answer,
            health = app.get("/health/live") => {
                assert_eq!(health.status(), StatusCode::OK);
                polled += 1;
            }
        }
    };
    answer.expect(StatusCode::OK);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(
        polled > 3,
        "others were answered {polled} times in {:?}",
        begun.elapsed()
    );
}

async fn a_viewer_imports_nothing(backend: Backend) {
    let app = app(backend).await;
    let secret = app.add_client("looker", "viewer").await;
    let token = app.token_of("looker", &secret).await;
    let url = super::upload(&app, one_customer("AAAAA")).await;
    let answer = act_as(&app, &token, "ImportFromPackage", &super::asked(&url, PROJECT, "x")).await;
    assert!(refused(answer, "ImportFromPackage").contains("change nothing"));
}
