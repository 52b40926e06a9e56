//! Query options: what they do, and what is refused by name.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{DETAILS, GROUPS, all, app, get, refusal};
use crate::app::Backend;

crate::on_both_backends!(
    rows_are_filtered_ordered_cut_and_counted,
    pages_lead_on_to_each_other,
    options_that_are_not_supported_are_named,
);

async fn rows_are_filtered_ordered_cut_and_counted(backend: Backend) {
    let app = app(backend).await;
    let ours = "$filter=Name ge 'It''s' and Name lt 'Iu'";
    let listed = get(
        &app,
        &format!("{GROUPS}?{ours}&$orderby=Name desc&$count=true&cross-company=true"),
    )
    .await;
    assert_eq!(listed["@odata.count"], 3);
    assert_eq!(
        all(&listed, "Name"),
        ["It's export 3", "It's export 2", "It's export 1"]
    );
    let some = get(
        &app,
        &format!("{GROUPS}?{ours}&$orderby=Name&$top=1&$skip=1&$select=Name,OperationType"),
    )
    .await;
    assert_eq!(all(&some, "Name"), ["It's export 2"]);
    assert_eq!(some["value"][0].as_object().unwrap().len(), 2);
    assert!(some.get("@odata.nextLink").is_none());
    let count = app.get(&format!("{GROUPS}/$count?{ours}")).await;
    assert_eq!(count.headers()["content-type"], "text/plain");
    assert_eq!(count.text().await.unwrap(), "3");
    // `+` and `%20` are a space, names come in any case.
    let spelled = get(&app, &format!("{GROUPS}?$FILTER=name+eq+%27It%27%27s+export+1%27")).await;
    assert_eq!(all(&spelled, "Name"), ["It's export 1"]);
}

/// OD-6.
async fn pages_lead_on_to_each_other(backend: Backend) {
    let app = app(backend).await;
    let whole = get(&app, &format!("{DETAILS}?$orderby=DefinitionGroupId,EntityName desc")).await;
    let whole: Vec<_> = all(&whole, "EntityName").into_iter().map(str::to_owned).collect();
    let mut path = format!("{DETAILS}?$orderby=DefinitionGroupId,EntityName+desc&$top=5&$skip=1");
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let request = app.request(Method::GET, &path).header("Prefer", "odata.maxpagesize=2");
        let page: Value = request
            .bearer_auth(&app.token)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        names.extend(all(&page, "EntityName").into_iter().map(str::to_owned));
        pages += 1;
        let Some(next) = page["@odata.nextLink"].as_str() else {
            break;
        };
        assert!(next.starts_with(&format!("{}/data/", app.url)), "{next}");
        next.clone_into(&mut path);
    }
    assert_eq!((names.as_slice(), pages), (&whole[1..6], 3));
}

async fn options_that_are_not_supported_are_named(backend: Backend) {
    let app = app(backend).await;
    for (option, says) in [
        ("$search=x", "$search is not supported"),
        ("$apply=x", "$apply is not supported"),
        ("$filter=startswith(Name,'x')", "`startswith` is not supported"),
        ("$filter=Name has 'x'", "`has` is not supported"),
        ("$filter=Nam eq 'x'", "no property `Nam`"),
        ("$select=Nam", "no property `Nam`"),
        ("$orderby=Name sideways", "`Name sideways`"),
        ("$top=-1", "$top is `-1`"),
        ("$skip=x", "$skip is `x`"),
        ("$count=perhaps", "$count is `perhaps`"),
        ("$expand=Details($select=EntityName)", "Details alone can be expanded"),
        ("$format=atom", "answers are JSON"),
        ("$filter=Name eq 'x'%00", "property"),
    ] {
        let told = refusal(&app, &format!("{GROUPS}?{option}"), StatusCode::BAD_REQUEST).await;
        assert!(told.contains(says), "{option}: {told}");
    }
    for (path, says) in [
        ("('x'", "not closed"),
        ("()", "cannot be read"),
        (
            "(Description='x')",
            "the key of DataManagementDefinitionGroups is made of Name",
        ),
    ] {
        let told = refusal(&app, &format!("{GROUPS}{path}"), StatusCode::BAD_REQUEST).await;
        assert!(told.contains(says), "{path}: {told}");
    }
}
