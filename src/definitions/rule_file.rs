//! `[[rules]]` of an entity file.

use super::read::{Placed, Table};
use crate::domain::rule::{Rule, Severity};

/// Longest rule name, in characters: it stands in reasons and warnings.
const NAME_CHARS_MAX: usize = 80;

/// Reads the rules, and the fields they name, for a later check.
pub(super) fn read(table: &Table<'_>) -> (Vec<Rule>, Vec<Placed<String>>) {
    let (mut rules, mut fields): (Vec<Rule>, Vec<Placed<String>>) = (Vec::new(), Vec::new());
    for rule in table.tables("rules", "[[rules]]") {
        let name = rule.required_text("name");
        let check = rule.required_text("check");
        let message = rule.required_text("message");
        let field = rule.text("field");
        let severity = rule.choice("severity", &Severity::WORDS);
        let findings = rule.findings();
        if let Some(check) = check.as_ref().filter(|check| check.value.contains(['\0', ';'])) {
            let message = "`check` is one SQL condition on the record's own fields; it may not hold `;`";
            findings.at(&check.span, message);
        }
        if let Some(message) = message.as_ref().filter(|message| message.value.contains('\0')) {
            findings.at(&message.span, "`message` holds a NUL character");
        }
        if let Some(name) = &name {
            let same = |earlier: &Rule| earlier.name.to_lowercase() == name.value.to_lowercase();
            if rules.iter().any(same) {
                findings.at(&name.span, format!("there is a rule `{}` already", name.value));
            } else if name.value.chars().count() > NAME_CHARS_MAX || name.value.chars().any(char::is_control) {
                let message =
                    format!("a rule's name has at most {NAME_CHARS_MAX} characters, none of them a control character");
                findings.at(&name.span, message);
            }
        }
        rule.finish();
        if let (Some(name), Some(check), Some(message)) = (name, check, message) {
            rules.push(Rule {
                name: name.value,
                check: check.value,
                message: message.value,
                field: field.as_ref().map(|field| field.value.clone()),
                severity: severity.map_or(Severity::Reject, |severity| severity.value),
            });
        }
        fields.extend(field);
    }
    (rules, fields)
}
