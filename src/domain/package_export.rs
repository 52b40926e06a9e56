//! What a client asks of an export by the package API (PKG-19, PKG-22): kept with the execution, and read by whoever runs it.

use serde::{Deserialize, Serialize};

/// An export as it was asked for. Its text is the same for the same wishes: a repeated submit is told by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageExport {
    /// What the package is called, without its extension; empty: like the project.
    pub package_name: String,
    /// Only this company's rows, in lower case; none: as the project has it.
    pub company: Option<String>,
    /// Labels or names of the entities wanted; empty: all of the project.
    pub entities: Vec<String>,
    /// At most so many records of each entity; none: all, and positions move.
    pub preview: Option<u64>,
    /// Whether the entities named must be exported by their changes.
    pub delta: bool,
    /// `reExecute`, which changes nothing: every run is made afresh.
    pub re_execute: bool,
    /// The package that brought the project along (PKG-23).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// A package that says what a project holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Where it is: the path of its URL (PKG-8).
    pub package: String,
    /// Whether the project's entities become those of the package.
    pub overwrite: bool,
}

impl PackageExport {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Reads a text; nothing that is not one of ours.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What the package of a project is called, without its extension.
    #[must_use]
    pub fn base_name<'a>(&'a self, project: &'a str) -> &'a str {
        let name = self.package_name.as_str();
        let cut = name.len().saturating_sub(4);
        let bare = match name.get(cut..) {
            Some(end) if end.eq_ignore_ascii_case(".zip") => &name[..cut],
            _ => name,
        };
        if bare.is_empty() { project } else { bare }
    }
}

/// The names in a list separated by commas.
#[must_use]
pub fn names(list: &str) -> Vec<String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_called_as_asked_or_like_its_project() {
        for (asked, want) in [
            ("Orders", "Orders"),
            ("Orders.zip", "Orders"),
            ("Orders.ZIP", "Orders"),
            ("", "Project"),
            (".zip", "Project"),
            ("zip", "zip"),
            ("Größe", "Größe"),
        ] {
            let asked = PackageExport {
                package_name: asked.to_owned(),
                ..PackageExport::default()
            };
            assert_eq!(asked.base_name("Project"), want);
        }
    }

    #[test]
    fn the_same_wishes_are_the_same_text() {
        let asked = PackageExport {
            entities: names(" Customers, Sales orders ,,"),
            preview: Some(5),
            ..PackageExport::default()
        };
        assert_eq!(asked.entities, ["Customers", "Sales orders"]);
        assert_eq!(asked.text(), asked.clone().text());
        assert_eq!(PackageExport::read(&asked.text()), Some(asked));
        assert_eq!(PackageExport::read("{}"), None);
    }
}
