//! The parameters of an action, read by their types as leniently as clients write them (GEN-7, PKG-0).

use serde_json::{Number, Value};

use super::super::json_body::member;
use super::super::problem::Problem;
use crate::domain::ids::ExecutionId;

/// Longest execution id, in characters (PKG-11a).
const EXECUTION_ID_CHARS_MAX: usize = 100;

/// What an action was called with: names in any case, missing ones are empty, false or none (PKG-0).
pub(super) struct Parameters(Value);

impl Parameters {
    /// Of a JSON object.
    pub(super) fn new(object: Value) -> Self {
        Self(object)
    }

    /// Text, without the white space around it; numbers and booleans as they are written.
    ///
    /// # Errors
    /// 400 for a list or an object, and for control characters, which no id or name has and no database takes.
    pub(super) fn text(&self, name: &str) -> Result<String, Problem> {
        let text = match self.member(name) {
            Value::Null => String::new(),
            Value::String(text) => text.trim().to_owned(),
            value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(not_a(name, "text")),
        };
        if text.chars().any(char::is_control) {
            return Err(Problem::bad(
                "action_failed",
                format!("the parameter {name} holds a control character; send it without"),
            ));
        }
        Ok(text)
    }

    /// Text that names nothing here and is never refused for what it holds (PKG-2): control characters count as spaces.
    ///
    /// # Errors
    /// 400 for a list or an object.
    pub(super) fn free_text(&self, name: &str) -> Result<String, Problem> {
        match self.member(name) {
            Value::String(text) => Ok(text.replace(char::is_control, " ").trim().to_owned()),
            _ => self.text(name),
        }
    }

    /// The execution id a client wants, verbatim; none: one is made (PKG-11a).
    ///
    /// # Errors
    /// Those of [`Self::text`], and 400 for one that is too long.
    pub(super) fn execution_id(&self) -> Result<Option<ExecutionId>, Problem> {
        let id = self.text("executionId")?;
        if id.chars().count() > EXECUTION_ID_CHARS_MAX {
            let detail = format!("the executionId is longer than {EXECUTION_ID_CHARS_MAX} characters");
            return Err(Problem::bad("action_failed", detail));
        }
        Ok((!id.is_empty()).then_some(ExecutionId(id)))
    }

    /// A flag: `true`, `false`, the words for them (also `Yes` and `No`) in any case, 1 or 0; false where it is missing or empty.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let word = match self.member(name) {
            Value::Null => return Ok(false),
            Value::Bool(flag) => return Ok(*flag),
            Value::String(word) => word.trim().to_lowercase(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(not_a(name, "true or false")),
        };
        match word.as_str() {
            "true" | "yes" | "1" => Ok(true),
            "" | "false" | "no" | "0" => Ok(false),
            _ => Err(not_a(name, "true or false")),
        }
    }

    /// A whole number from 0, also as text; none where it is missing or empty.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let number = match self.member(name) {
            Value::Null => return Ok(None),
            Value::Number(number) => whole(number),
            Value::String(text) if text.trim().is_empty() => return Ok(None),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map_or_else(|| Err(not_a(name, "a whole number from 0")), |number| Ok(Some(number)))
    }

    fn member(&self, name: &str) -> &Value {
        member(&self.0, name).unwrap_or(&Value::Null)
    }
}

/// Some serializers write whole numbers with a decimal point.
fn whole(number: &Number) -> Option<u64> {
    number
        .as_u64()
        .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok())
}

fn not_a(name: &str, kind: &str) -> Problem {
    Problem::bad("action_failed", format!("the parameter {name} must be {kind}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Parameters;

    fn sent(value: &serde_json::Value) -> Parameters {
        Parameters::new(json!({ "Name": value }))
    }

    #[test]
    fn text_is_what_was_written() {
        for (value, want) in [
            (json!(" x y "), "x y"),
            (json!(null), ""),
            (json!(5), "5"),
            (json!(true), "true"),
        ] {
            assert_eq!(sent(&value).text("name").unwrap(), want);
        }
        assert_eq!(sent(&json!("x")).text("other").unwrap(), "");
        for value in [json!(["x"]), json!({}), json!("a\u{0}b"), json!("a\nb")] {
            assert!(sent(&value).text("name").is_err(), "{value}");
        }
    }

    #[test]
    fn free_text_may_hold_anything() {
        assert_eq!(sent(&json!(" a\u{0}b\n")).free_text("name").unwrap(), "a b");
        assert_eq!(sent(&json!(7)).free_text("name").unwrap(), "7");
        assert!(sent(&json!([])).free_text("name").is_err());
    }

    #[test]
    fn flags_come_as_words_and_numbers() {
        for value in [json!(true), json!("True"), json!("yes"), json!(1), json!("1")] {
            assert!(sent(&value).flag("NAME").unwrap(), "{value}");
        }
        for value in [
            json!(false),
            json!("FALSE"),
            json!("no"),
            json!(0),
            json!(""),
            json!(null),
        ] {
            assert!(!sent(&value).flag("NAME").unwrap(), "{value}");
        }
        for value in [json!("perhaps"), json!(2), json!([])] {
            assert!(sent(&value).flag("NAME").is_err(), "{value}");
        }
    }

    #[test]
    fn numbers_come_as_text_too() {
        for (value, want) in [
            (json!(5), Some(5)),
            (json!("7"), Some(7)),
            (json!(3.0), Some(3)),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(sent(&value).number("name").unwrap(), want, "{value}");
        }
        for value in [json!(-1), json!(1.5), json!("many"), json!(true), json!([])] {
            assert!(sent(&value).number("name").is_err(), "{value}");
        }
    }
}
