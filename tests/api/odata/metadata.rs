//! What `/data` says it is made of: the service document, EDMX, and the JSON that is searched (PKG-0a).

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::Event;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{all, app, get, refusal};
use crate::app::Backend;

crate::on_both_backends!(
    the_service_document_and_metadata_name_the_same_sets,
    metadata_is_searched_as_json,
);

/// The start tags of a document, each with its attributes; every end must be that of the last start.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut found = Vec::new();
    let mut depth = 0_u32;
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error} in {xml}"));
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let name = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    (name, String::from_utf8(attribute.value.to_vec()).unwrap())
                });
                let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                found.push((name, attributes.collect()));
                depth += u32::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0, "every element is closed");
    found
}

async fn the_service_document_and_metadata_name_the_same_sets(backend: Backend) {
    let app = app(backend).await;
    let document = get(&app, "/data").await;
    assert_eq!(document["value"][0]["kind"], "EntitySet");
    let sets: BTreeSet<_> = all(&document, "url").into_iter().map(str::to_owned).collect();
    assert!(
        sets.contains("DataManagementDefinitionGroups") && sets.len() == 6,
        "{sets:?}"
    );

    let answer = app.get("/data/$metadata").await;
    assert_eq!(answer.headers()["content-type"], "application/xml");
    let xml = answer.text().await.unwrap();
    let elements = elements(&xml);
    assert_eq!(elements[0].0, "edmx:Edmx");
    let named = |wanted: &str| -> BTreeSet<String> {
        let named = elements.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, attributes)| attributes["Name"].clone()).collect()
    };
    assert_eq!(named("EntitySet"), sets);
    // Every type that is named is declared.
    let declared: BTreeSet<String> = named("EntityType").into_iter().chain(named("EnumType")).collect();
    for (_, attributes) in &elements {
        for of in ["Type", "EntityType"].iter().filter_map(|name| attributes.get(*name)) {
            let bare = of.trim_start_matches("Collection(").trim_end_matches(')');
            let ours = bare.strip_prefix("Microsoft.Dynamics.DataEntities.");
            assert!(
                ours.map_or(bare.starts_with("Edm."), |name| declared.contains(name)),
                "{of}"
            );
        }
    }
    let actions = named("Action");
    assert_eq!(actions.len(), 29, "25 of projects, and four that tell versions");
    // Every one that is declared is an action there: none is answered 404.
    for action in actions
        .iter()
        .filter(|action| !action.starts_with("GetApplication") && !action.starts_with("GetPlatform"))
    {
        let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{action}");
        let status = app.post(&path, "{}").await.status();
        let elsewhere = [
            "GetInstalledModules",
            "ImportFromPackage",
            "ImportFromPackageAsync",
            "ImportFromDMTPackage",
            "ExportFromPackage",
        ];
        assert!(
            status != StatusCode::NOT_FOUND || elsewhere.contains(&action.as_str()),
            "{action}: {status}"
        );
    }
    let lower = app.get("/Data/$METADATA").await;
    assert_eq!(lower.status(), StatusCode::OK);
}

async fn metadata_is_searched_as_json(backend: Backend) {
    let app = app(backend).await;
    let found = get(
        &app,
        "/metadata/PublicEntities?$filter=contains(tolower(Name),'definitiongroup')&$select=Name",
    )
    .await;
    assert_eq!(
        all(&found, "Name"),
        ["DataManagementDefinitionGroup", "DataManagementDefinitionGroupDetail"]
    );
    let group = get(&app, "/metadata/PublicEntities('DataManagementDefinitionGroup')").await;
    assert_eq!(group["EntitySetName"], "DataManagementDefinitionGroups");
    let actions = group["Actions"].as_array().unwrap();
    assert_eq!(actions.len(), 25);
    let export = actions
        .iter()
        .find(|action| action["Name"] == "ExportToPackageAsync")
        .unwrap();
    assert_eq!(
        (&export["BindingKind"], &export["ReturnType"]["TypeName"]),
        (&json!("BoundToEntitySet"), &json!("Edm.String"))
    );
    assert_eq!(export["Parameters"].as_array().unwrap().len(), 7);
    let key: Vec<&Value> = group["Properties"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["IsKey"] == true)
        .collect();
    assert_eq!(key.len(), 2);
    let entities = get(&app, "/metadata/DataEntities?$filter=tolower(Name) eq 'customers'").await;
    assert_eq!(
        (
            &entities["value"][0]["DataManagementEnabled"],
            &entities["value"][0]["DataServiceEnabled"]
        ),
        (&json!(true), &json!(false))
    );
    let enums = get(&app, "/metadata/PublicEnumerations('NoYes')").await;
    assert_eq!(enums["Members"][1]["Name"], "Yes");
    refusal(&app, "/metadata/PublicEntities('None')", StatusCode::NOT_FOUND).await;
    refusal(
        &app,
        "/metadata/Labels(Id='@X',Language='en-US')",
        StatusCode::NOT_FOUND,
    )
    .await;
    assert_eq!(app.get("/metadata/Other").await.status(), StatusCode::NOT_FOUND);
}
