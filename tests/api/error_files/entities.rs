//! The error files of messages with several entities, and of files in every format.

use reqwest::Method;

use super::{app, follow, offered, text, told};
use crate::app::Backend;
use crate::client::send;
use crate::packing::{HEADER, Listed, manifest, members, package};

crate::on_both_backends!(
    each_entity_of_a_package_has_its_own_files,
    an_entity_that_a_package_lists_twice_has_the_rejects_of_both,
    a_composite_has_the_keys_of_all_its_entities,
    keys_are_read_from_every_format,
);

async fn each_entity_of_a_package_has_its_own_files(backend: Backend) {
    let app = app(backend).await;
    let map = "<EntityMapList><EntityMap><EntityField>NUMBER</EntityField><XMLField>Nr</XMLField></EntityMap></EntityMapList>";
    let listed = |label, file, format, sequence, flags| Listed {
        label,
        file,
        format,
        place: (1, 1, sequence),
        flags,
    };
    let pallets = listed("Pallets", "pallets.csv", "CSV", 1, "");
    let parcels = listed("Parcels", "parcels.xml", "XML-Element", 2, map);
    let parcel = |number: &str, weight: &str| format!("<PARCEL><Nr>{number}</Nr><Weight>{weight}</Weight></PARCEL>");
    let parcels_file = format!(
        "<Document>{}{}{}</Document>",
        parcel("a", "5"),
        parcel("b &amp; c", "500"),
        parcel("d", "x")
    );
    let payload = package(&[
        ("Manifest.xml", &manifest(&[&pallets, &parcels])),
        HEADER,
        (pallets.file, "code,place,weight\r\nP,1,5\r\nP,2,600\r\nP,three,5\r\n"),
        (parcels.file, &parcels_file),
    ]);
    let path = "/api/v1/jobs/Packages/messages?company=usmf";
    let id = send(app.request(Method::POST, path).body(payload), &app.token)
        .await
        .text("id");
    app.run_until_idle().await;
    let (are_keys, keys, staging) = offered(&app, &id, "Pallets").await;
    assert!(are_keys);
    assert_eq!(
        told(&text(&app, &keys).await),
        ["code,place,_error", "P,2,target_rejected"]
    );
    let staged = text(&app, &staging).await;
    assert!(
        staged.starts_with("_reject_id,_error,code,place,weight\r\n"),
        "a file, no package: {staged}"
    );
    assert!(staged.ends_with(",P,three,5\r\n"), "{staged}");
    let (are_keys, keys, staging) = offered(&app, &id, "Parcels").await;
    assert!(are_keys);
    assert_eq!(
        told(&text(&app, &keys).await),
        ["company,number,_error", "usmf,b & c,target_rejected"]
    );
    let answer = follow(&app, &staging).await;
    assert_eq!(answer.headers()["content-type"], "application/xml");
    let staged = answer.text().await.unwrap();
    assert!(staged.contains("<Nr>d</Nr>") && !staged.contains("<Nr>b"), "{staged}");
    // The package's rejects stay a package, which can be sent back.
    let rejects = app
        .get(&format!("/api/v1/messages/{id}/rejects?entity=Pallets&phase=target"))
        .await;
    let members = members(&rejects.bytes().await.unwrap());
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Manifest.xml", "PackageHeader.xml", pallets.file]);
    assert!(
        members[2].1.ends_with(",P,2,600\r\n") && members[2].1.lines().count() == 2,
        "{members:?}"
    );
    // All keys in one file say whose they are.
    let keys = app
        .get(&format!("/api/v1/messages/{id}/error-keys"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(
        told(&keys),
        [
            "_entity,code,place,company,number,_error",
            "Pallets,P,2,,,target_rejected",
            "Parcels,,,usmf,b & c,target_rejected"
        ]
    );
}

async fn an_entity_that_a_package_lists_twice_has_the_rejects_of_both(backend: Backend) {
    let app = app(backend).await;
    let listed = |file, sequence| Listed {
        label: "Pallets",
        file,
        format: "CSV",
        place: (1, 1, sequence),
        flags: "",
    };
    let (first, second) = (listed("one.csv", 1), listed("two.csv", 2));
    let payload = package(&[
        ("Manifest.xml", &manifest(&[&first, &second])),
        HEADER,
        (first.file, "code,place,weight\r\nP,1,500\r\nP,one,5\r\n"),
        (second.file, "weight,code,place\r\n500,P,2\r\n5,P,two\r\n"),
    ]);
    let id = send(
        app.request(Method::POST, "/api/v1/jobs/Packages/messages")
            .body(payload),
        &app.token,
    );
    let id = id.await.text("id");
    app.run_until_idle().await;
    let (_, keys, staging) = offered(&app, &id, "Pallets").await;
    assert_eq!(
        told(&text(&app, &keys).await),
        ["code,place,_error", "P,1,target_rejected", "P,2,target_rejected"]
    );
    // Two files with columns of their own are no one file.
    let answer = follow(&app, &staging).await;
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let members = members(&answer.bytes().await.unwrap());
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[2..], [first.file, second.file]);
    assert!(
        members[2].1.ends_with(",P,one,5\r\n") && members[3].1.ends_with(",5,P,two\r\n"),
        "{members:?}"
    );
}

async fn a_composite_has_the_keys_of_all_its_entities(backend: Backend) {
    let app = app(backend).await;
    let pallet = |code: &str, weight: u32, parcels: &str| {
        format!("<PALLET><code>{code}</code><place>1</place><weight>{weight}</weight>{parcels}</PALLET>")
    };
    let parcel =
        |number: &str, weight: &str| format!("<PARCEL><number>{number}</number><weight>{weight}</weight></PARCEL>");
    let file = format!(
        "<Document>{}{}</Document>",
        pallet("P", 5, &(parcel("a", "5") + &parcel("b", "500") + &parcel("c", "x"))),
        pallet("Q", 600, &parcel("d", "6"))
    );
    let id = app.put("Shipments", "entity=Shipments&company=usmf", &file).await;
    app.run_until_idle().await;
    let (are_keys, keys, staging) = offered(&app, &id, "Shipments").await;
    assert!(are_keys);
    assert_eq!(
        told(&text(&app, &keys).await),
        [
            "_entity,code,place,company,number,_error",
            "Pallets,Q,1,,,target_rejected",
            "Parcels,,,usmf,b,target_rejected"
        ]
    );
    let staged = text(&app, &staging).await;
    assert!(
        staged.contains("<number>c</number>") && !staged.contains("<number>b</number>"),
        "{staged}"
    );
    // One of its entities, by its own name.
    let (_, keys, staging) = offered(&app, &id, "Parcels").await;
    assert_eq!(
        told(&text(&app, &keys).await),
        ["company,number,_error", "usmf,b,target_rejected"]
    );
    assert!(text(&app, &staging).await.contains("<number>c</number>"));
    let (_, keys, staging) = offered(&app, &id, "Pallets").await;
    assert_eq!(
        told(&text(&app, &keys).await),
        ["code,place,_error", "Q,1,target_rejected"]
    );
    assert_eq!(staging, "");
}

async fn keys_are_read_from_every_format(backend: Backend) {
    let app = app(backend).await;
    let xml = "<Document><PARCEL><No>1</No><Weight>5</Weight></PARCEL><PARCEL><No>seven</No><Weight>500</Weight></PARCEL></Document>";
    for (format, file) in [
        ("csv", "No,Weight\r\n\r\n1,5\r\n\r\nseven,500\r\n"),
        (
            "json",
            "{\"value\": [{\"No\": \"1\", \"Weight\": 5},\n {\"Weight\": 500, \"No\": \"seven\"}]}",
        ),
        (
            "jsonl",
            "{\"No\": \"1\", \"Weight\": 5}\n\n{\"Weight\": 500, \"No\": \"seven\"}\n",
        ),
        ("xml-element", xml),
        // A job that reads workbooks takes their rejects, which are CSV.
        ("xlsx", "No,Weight\r\n1,5\r\nseven,500\r\n"),
    ] {
        let job = format!("Parcels {format}");
        let id = app.put(&job, "entity=Parcels&company=usmf", file).await;
        app.run_until_idle().await;
        let (are_keys, keys, _) = offered(&app, &id, "Parcels").await;
        assert!(are_keys, "{format}: {:#}", app.message(&id).await);
        assert_eq!(
            told(&text(&app, &keys).await),
            ["company,number,_error", "usmf,seven,target_rejected"],
            "{format}"
        );
    }
}
