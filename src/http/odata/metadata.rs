//! `/metadata`: the same as `$metadata` tells, as JSON to be searched (OD-21), as far as clients look for actions there (PKG-0a).

use serde_json::{Value, json};

use super::actions::{ACTIONS, Action};
use super::catalogue::{Listed, visible};
use super::edmx::type_of;
use super::enums::ENUMS;
use super::table::{Column, Kind, Row, Table, flag, json as any, text};
use super::{NAMESPACE, TABLES};
use crate::definitions::Definitions;
use crate::http::auth::Caller;

/// `DataEntities`
static DATA_ENTITIES: Table = Table {
    set: "DataEntities",
    entity: "DataEntity",
    columns: &[
        text("Name"),
        text("PublicEntityName"),
        text("PublicCollectionName"),
        text("LabelId"),
        text("LabelText"),
        flag("DataServiceEnabled"),
        flag("DataManagementEnabled"),
        text("EntityCategory"),
        flag("IsReadOnly"),
    ],
    keys: 1,
    details: None,
};

/// `PublicEntities`
static PUBLIC_ENTITIES: Table = Table {
    set: "PublicEntities",
    entity: "PublicEntity",
    columns: &[
        text("Name"),
        text("EntitySetName"),
        text("LabelId"),
        flag("IsReadOnly"),
        flag("ConfigurationEnabled"),
        any("Properties"),
        any("NavigationProperties"),
        any("PropertyGroups"),
        any("Actions"),
    ],
    keys: 1,
    details: None,
};

/// `PublicEnumerations`
static PUBLIC_ENUMERATIONS: Table = Table {
    set: "PublicEnumerations",
    entity: "PublicEnumeration",
    columns: &[text("Name"), text("LabelId"), any("Members")],
    keys: 1,
    details: None,
};

/// `Labels`, of which there are none: names stand for themselves.
static LABELS: Table = Table {
    set: "Labels",
    entity: "Label",
    columns: &[text("Id"), text("Language"), text("Value")],
    keys: 2,
    details: None,
};

/// All sets.
pub(super) static SETS: [&Table; 4] = [&DATA_ENTITIES, &PUBLIC_ENTITIES, &PUBLIC_ENUMERATIONS, &LABELS];

/// The rows of one of [`SETS`].
pub(super) fn rows(definitions: &Definitions, caller: &Caller, table: &Table) -> Vec<Row> {
    match table.set {
        "DataEntities" => {
            let served = TABLES.iter().map(|table| served_entity(table));
            let managed = visible(definitions, caller).into_iter().map(managed_entity);
            served.chain(managed).collect()
        }
        "PublicEntities" => TABLES.iter().map(|table| public_entity(table)).collect(),
        "PublicEnumerations" => ENUMS.iter().map(|(name, members)| enumeration(name, members)).collect(),
        _ => Vec::new(),
    }
}

fn served_entity(table: &Table) -> Row {
    vec![
        table.entity.into(),
        table.entity.into(),
        table.set.into(),
        "".into(),
        table.entity.into(),
        true.into(),
        false.into(),
        "".into(),
        true.into(),
    ]
}

/// An entity of files and packages; its records are not offered under `/data`.
fn managed_entity(listed: Listed<'_>) -> Row {
    let is_managed = match listed {
        Listed::Entity(entity) => entity.data_management,
        Listed::Composite(_) => true,
    };
    vec![
        listed.name().into(),
        "".into(),
        "".into(),
        "".into(),
        listed.label().into(),
        false.into(),
        is_managed.into(),
        "".into(),
        false.into(),
    ]
}

fn public_entity(table: &Table) -> Row {
    let properties = table.columns.iter().enumerate();
    let properties: Value = properties
        .map(|(at, column)| property(column, at < table.keys))
        .collect();
    let navigation = table.details.map(|details| {
        json!({
            "Name": "Details", "RelatedEntity": details.entity, "RelatedRelationName": null,
            "Cardinality": "ZeroMore", "Constraints": [],
        })
    });
    let actions = ACTIONS.iter().filter(|action| action.of == table.entity);
    vec![
        table.entity.into(),
        table.set.into(),
        "".into(),
        true.into(),
        true.into(),
        properties,
        navigation.into_iter().collect(),
        json!([]),
        actions.map(action).collect(),
    ]
}

fn property(column: &Column, is_key: bool) -> Value {
    json!({
        "Name": column.name,
        "TypeName": type_of(column.kind),
        "DataType": data_type(column.kind),
        "LabelId": "",
        "IsKey": is_key,
        "IsMandatory": is_key,
        "ConfigurationEnabled": true,
        "AllowEdit": false,
        "AllowEditOnCreate": false,
        "IsDimension": false,
        "DimensionRelation": null,
        "IsDynamicDimension": false,
        "DimensionLegalEntityProperty": null,
        "DimensionTypeProperty": null,
    })
}

fn data_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Json => "String",
        Kind::Int => "Int32",
        Kind::Flag => "Boolean",
        Kind::Time => "DateTime",
        Kind::Enum(_) => "Enum",
    }
}

fn action(action: &Action) -> Value {
    let parameter = |name: &str, of: &str, is_collection: bool| json!({ "Name": name, "Type": { "TypeName": of, "IsCollection": is_collection } });
    let of_set = parameter("bindingParameter", &format!("{NAMESPACE}{}", action.of), true);
    let others = action.parameters.iter().map(|(name, of)| parameter(name, of, false));
    let parameters: Value = std::iter::once(of_set).chain(others).collect();
    let value = action
        .value
        .map(|value| json!({ "TypeName": value.of, "IsCollection": value.is_collection }));
    json!({
        "Name": action.name,
        "BindingKind": "BoundToEntitySet",
        "Parameters": parameters,
        "ReturnType": value,
        "FieldLookup": null,
    })
}

fn enumeration(name: &str, members: &[&str]) -> Row {
    let member = |(value, name): (usize, &&str)| json!({ "Name": name, "Value": value, "LabelId": "", "ConfigurationEnabled": true });
    let members: Value = members.iter().enumerate().map(member).collect();
    vec![name.into(), "".into(), members]
}
