//! Keys in paths.

use super::filter::quoted;

/// The values of a key: `'X'`, or `Name='X',OperationType=…'Export'`, with the names where they are told.
///
/// # Errors
/// What cannot be read, in a sentence.
pub(super) fn key(text: &str) -> Result<Vec<(Option<String>, String)>, String> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    let wrong = || format!("the key ({text}) cannot be read: write ('X'), or (Name='X',…)");
    while !rest.is_empty() {
        let named = rest.split_once('=').filter(|(name, _)| !name.contains('\''));
        let (name, value) = named.map_or((None, rest), |(name, value)| {
            (Some(name.trim().to_owned()), value.trim_start())
        });
        let from = value.find('\'').ok_or_else(wrong)?;
        if value[..from].contains([',', '(', ')']) {
            return Err(wrong());
        }
        let (text, behind) = quoted(&value[from..])?;
        parts.push((name, text));
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if behind.is_empty() => behind,
            None => return Err(wrong()),
        };
    }
    if parts.is_empty() { Err(wrong()) } else { Ok(parts) }
}
