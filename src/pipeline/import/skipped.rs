//! What the job or the manifest asked to leave out (DMF-8): told, never silent.

use super::drift::listed;
use super::part::Part;
use crate::domain::job::ImportMode;

/// What was left out of this load, for its warnings.
pub(super) fn told(part: &Part<'_>) -> Vec<String> {
    let mut told = Vec::new();
    if !part.wanted.runs_logic() {
        let filled = part.entity.fields.iter();
        let filled = filled.filter(|field| field.default.is_some() || field.auto_number.is_some());
        let names: Vec<String> = filled.map(|field| field.name.clone()).collect();
        if !names.is_empty() {
            let names = listed(&names);
            told.push(format!(
                "`run_business_logic` is off: the entity's defaults and numbers were not used for {names}"
            ));
        }
    }
    if !part.wanted.runs_validation() && part.wanted.mode != ImportMode::Delete {
        let names: Vec<String> = part.entity.rules.iter().map(|rule| rule.name.clone()).collect();
        if !names.is_empty() {
            let names = listed(&names);
            told.push(format!(
                "`run_business_validation` is off: these rules were not checked: {names}"
            ));
        }
    }
    told
}
