//! Who types a command that works on the store itself, for the audit log.

use crate::clock::Clock;
use crate::domain::audit::{Action, NewEntry, Surface};

/// The entry of what this command does now.
pub(super) fn entry(action: Action, target: &str) -> NewEntry {
    NewEntry::new(Clock::system().now(), &user(), Surface::CommandLine, action, target)
}

/// The operating system's user, by the number the kernel knows; variables of the environment say what anybody likes.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).map_or_else(|| format!("os user {uid}"), |name| format!("os user {name}"))
}

fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next().filter(|name| !name.is_empty())?;
        (columns.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn a_user_is_known_by_its_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# broken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000), Some("ada"));
        assert_eq!(name_in(passwd, 0), Some("root"));
        assert_eq!(name_in(passwd, 100), None);
    }
}
