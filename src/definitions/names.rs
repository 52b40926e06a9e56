//! Which names may be used: bounded for every database, free of what would break files, XML and SQL quoting.

/// Longest table, field and technical name, in bytes: `PostgreSQL` cuts identifiers at 63, and generated names add to them.
pub(super) const IDENTIFIER_MAX_BYTES: usize = 50;

/// Longest label and job name, in characters.
pub(super) const TITLE_MAX_CHARS: usize = 80;

/// What is wrong with a table, field or technical name.
pub(super) fn identifier_flaw(name: &str) -> Option<String> {
    let flaw = if name.len() > IDENTIFIER_MAX_BYTES {
        return Some(format!(
            "is longer than {IDENTIFIER_MAX_BYTES} characters (those outside ASCII count as more)"
        ));
    } else if name.trim().is_empty() {
        "is empty"
    } else if name != name.trim() {
        "begins or ends with a space"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else if name.contains(['"', '.']) {
        "holds a quote or a dot, which table and column names may not"
    } else if name.to_lowercase().starts_with("tranship_") {
        "begins with `tranship_`, which is kept for the service's own tables and columns"
    } else {
        return None;
    };
    Some(flaw.to_owned())
}

/// What is wrong with a table name, beyond [`identifier_flaw`].
pub(super) fn table_flaw(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    if lower.ends_with("_staging") {
        return Some("ends with `_staging`, which is kept for generated staging tables".to_owned());
    }
    if lower.ends_with("_last_write") {
        return Some("ends with `_last_write`, which is kept for tables that say who last wrote a key".to_owned());
    }
    if lower.starts_with("sqlite_") {
        return Some("begins with `sqlite_`, which SQLite keeps for itself".to_owned());
    }
    identifier_flaw(name)
}

/// What is wrong with a field name, beyond [`identifier_flaw`].
pub(super) fn field_flaw(name: &str) -> Option<String> {
    if name.starts_with('_') {
        return Some("begins with `_`, which is kept for columns of rejects files and staging tables".to_owned());
    }
    identifier_flaw(name)
}

/// What is wrong with a label or job name: it becomes a file name in packages and a text in XML.
pub(super) fn title_flaw(name: &str) -> Option<String> {
    if name.chars().count() > TITLE_MAX_CHARS {
        return Some(format!("is longer than {TITLE_MAX_CHARS} characters"));
    }
    let flaw = if name.trim() != name || name.ends_with('.') || name.starts_with('.') {
        "begins or ends with a space or a dot"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else if name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) {
        "holds one of / \\ : * ? \" < > |, which file names may not"
    } else {
        return None;
    };
    Some(flaw.to_owned())
}

/// `SalesOrderHeaders`, `Sales order headers` and `OrderID` as `sales_order_headers`, `sales_order_headers` and `order_id`.
#[must_use]
pub fn snake_case(name: &str) -> String {
    let chars = name.chars().collect::<Vec<_>>();
    let mut snake = String::new();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            snake.push('_');
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1).copied();
        let word_begins = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_some_and(char::is_lowercase)
            });
        if word_begins {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
        .split('_')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// At most so many bytes, never within a letter.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].trim_end_matches('_').to_owned()
}

/// `order_lines` as `Order lines`.
pub(super) fn label(table: &str) -> String {
    let words = table.replace('_', " ");
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `Order lines` as `OrderLines`.
pub(super) fn technical_name(label: &str) -> String {
    let name = label.split(' ').map(self::label).collect::<String>();
    // Capitals may take more bytes than the letters they come from.
    cut(&name, IDENTIFIER_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_follows_how_people_write_names() {
        for (name, snake) in [
            ("SalesOrderHeaders", "sales_order_headers"),
            ("Sales order headers", "sales_order_headers"),
            ("OrderID", "order_id"),
            ("XMLFile2Name", "xml_file2_name"),
            ("CUSTOMERACCOUNT", "customeraccount"),
            ("ship-via ", "ship_via"),
            ("__a__B", "a_b"),
            ("Größe (cm)", "größe_cm"),
            ("!?", ""),
        ] {
            assert_eq!(snake_case(name), snake, "{name}");
        }
    }

    #[test]
    fn names_that_would_break_something_are_refused() {
        let long = "ä".repeat(26);
        for bad in ["", " x", "a\0b", "a\"b", "sales.orders", "Tranship_x", long.as_str()] {
            assert!(identifier_flaw(bad).is_some(), "{bad:?}");
        }
        assert!(table_flaw("orders_Staging").is_some());
        assert!(table_flaw("orders_LAST_write").is_some());
        assert!(table_flaw("sqlite_master").is_some());
        assert!(field_flaw("_error").is_some());
        assert!(title_flaw("../etc").is_some());
        assert_eq!(identifier_flaw("Order Details"), None);
        assert_eq!(title_flaw("Sales order headers (V2)"), None);
    }
}
