//! `/data/$metadata`: what there is under `/data`, as EDMX 4.0 (OD-1). All names in it are ours, and none needs escaping.

use std::fmt::Write as _;

use super::actions::{ACTIONS, Action, Returned};
use super::enums::ENUMS;
use super::table::{Kind, Table};
use super::{NAMESPACE, TABLES};

/// The document.
pub(super) fn document() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices>\
         <Schema Namespace=\"Microsoft.Dynamics.DataEntities\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">\n",
    );
    for (name, members) in ENUMS {
        _ = write!(xml, "<EnumType Name=\"{name}\">");
        for (value, member) in members.iter().enumerate() {
            _ = write!(xml, "<Member Name=\"{member}\" Value=\"{value}\"/>");
        }
        xml += "</EnumType>\n";
    }
    for table in TABLES {
        entity_type(&mut xml, table);
    }
    for declared in &ACTIONS {
        action(&mut xml, declared);
    }
    xml += "<EntityContainer Name=\"Resources\">\n";
    for table in TABLES {
        _ = write!(
            xml,
            "<EntitySet Name=\"{}\" EntityType=\"{NAMESPACE}{}\">",
            table.set, table.entity
        );
        if let Some(details) = table.details {
            _ = write!(
                xml,
                "<NavigationPropertyBinding Path=\"Details\" Target=\"{}\"/>",
                details.set
            );
        }
        xml += "</EntitySet>\n";
    }
    xml + "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>\n"
}

fn entity_type(xml: &mut String, table: &Table) {
    _ = write!(xml, "<EntityType Name=\"{}\"><Key>", table.entity);
    for key in &table.columns[..table.keys] {
        _ = write!(xml, "<PropertyRef Name=\"{}\"/>", key.name);
    }
    *xml += "</Key>";
    for (at, column) in table.columns.iter().enumerate() {
        let required = if at < table.keys { " Nullable=\"false\"" } else { "" };
        _ = write!(
            xml,
            "<Property Name=\"{}\" Type=\"{}\"{required}/>",
            column.name,
            type_of(column.kind)
        );
    }
    if let Some(details) = table.details {
        _ = write!(
            xml,
            "<NavigationProperty Name=\"Details\" Type=\"Collection({NAMESPACE}{})\"/>",
            details.entity
        );
    }
    *xml += "</EntityType>\n";
}

fn action(xml: &mut String, action: &Action) {
    _ = write!(
        xml,
        "<Action Name=\"{}\" IsBound=\"true\"><Parameter Name=\"bindingParameter\" Type=\"Collection({NAMESPACE}{})\"/>",
        action.name, action.of
    );
    for (name, of) in action.parameters {
        _ = write!(xml, "<Parameter Name=\"{name}\" Type=\"{of}\"/>");
    }
    match action.value {
        Some(Returned {
            of,
            is_collection: true,
        }) => _ = write!(xml, "<ReturnType Type=\"Collection({of})\"/>"),
        Some(Returned { of, .. }) => _ = write!(xml, "<ReturnType Type=\"{of}\"/>"),
        None => {}
    }
    *xml += "</Action>\n";
}

/// The type of a property.
pub(super) fn type_of(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Json => "Edm.String".to_owned(),
        Kind::Int => "Edm.Int32".to_owned(),
        Kind::Flag => "Edm.Boolean".to_owned(),
        Kind::Time => "Edm.DateTimeOffset".to_owned(),
        Kind::Enum(name) => format!("{NAMESPACE}{name}"),
    }
}
