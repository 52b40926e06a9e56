//! The catalogue of data entities (PKG-28).

use super::catalogue::{Listed, visible};
use super::table::{Row, Table, of, text, yes};
use crate::definitions::Definitions;
use crate::http::auth::Caller;

/// `DataManagementEntities`
pub(super) static ENTITIES: Table = Table {
    set: "DataManagementEntities",
    entity: "DataManagementEntity",
    columns: &[
        text("EntityName"),
        text("TargetEntity"),
        text("EntityXMLName"),
        of("NoYes", "IsComposite"),
        of("NoYes", "DataManagementEnabled"),
        of("NoYes", "DataServiceEnabled"),
    ],
    keys: 1,
    details: None,
};

/// `SystemNotifications`, which only has an action.
pub(super) static NOTIFICATIONS: Table = Table {
    set: "SystemNotifications",
    entity: "SystemNotification",
    columns: &[text("RuleId"), text("Message")],
    keys: 1,
    details: None,
};

/// The entities that a client sees.
pub(super) fn rows(definitions: &Definitions, caller: &Caller) -> Vec<Row> {
    let row = |listed: Listed<'_>| {
        let (element, is_managed) = match listed {
            Listed::Entity(entity) => (entity.xml_element(), entity.data_management),
            Listed::Composite(composite) => (composite.name.to_uppercase(), true),
        };
        vec![
            listed.label().into(),
            listed.name().into(),
            element.into(),
            yes(matches!(listed, Listed::Composite(_))),
            yes(is_managed),
            // Their records are not offered under `/data`.
            yes(false),
        ]
    };
    visible(definitions, caller).into_iter().map(row).collect()
}
