//! Which file system a folder lies on, by the kernel's own list. Elsewhere than on Linux nothing is known.

use std::path::{Path, PathBuf};

/// The kernel's list of this process's mounts (`proc(5)`).
const LIST: &str = "/proc/self/mountinfo";

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    point: PathBuf,
    /// `ext4`, `tmpfs`, …
    pub(super) kind: String,
    options: String,
}

impl Mount {
    /// The one this folder lies on.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let list = std::fs::read_to_string(LIST).ok()?;
        Self::among(&list, &folder.canonicalize().ok()?)
    }

    fn among(list: &str, folder: &Path) -> Option<Self> {
        list.lines()
            .filter_map(Self::parse)
            .filter(|mount| folder.starts_with(&mount.point))
            // Of equal ones the last: it was mounted over the others.
            .max_by_key(|mount| mount.point.components().count())
    }

    /// `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue`
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(4);
        let (point, options) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, super_options) = (after.next()?, after.nth(1).unwrap_or_default());
        Some(Self {
            point: unescaped(point).into(),
            kind: kind.to_owned(),
            options: format!("{options},{super_options}"),
        })
    }

    /// Whether it lives in memory and is gone with the power.
    pub(super) fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs")
    }

    /// Whether it is a container's own layer and is gone with the container.
    pub(super) fn is_container_layer(&self) -> bool {
        matches!(self.kind.as_str(), "overlay" | "aufs")
    }

    /// Whether it is on another machine, which SQLite's locks and log do not survive.
    pub(super) fn is_network(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "glusterfs" | "fuse.sshfs" | "fuse.glusterfs"
        )
    }

    /// The option by which it was told not to wait for the disk's own cache.
    pub(super) fn without_barriers(&self) -> Option<&str> {
        self.options
            .split(',')
            .find(|option| matches!(*option, "nobarrier" | "barrier=0" | "barrier=none"))
    }
}

/// The kernel writes a space in a name as `\040`, and so on.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            out.push(char::from(code));
            out.push_str(&part[3..]);
        } else {
            out.push('\\');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,nobarrier
30 22 0:26 / /dev/shm rw - tmpfs tmpfs rw,size=1g
31 22 8:2 / /srv/my\\040data rw - xfs /dev/sdb1 rw
32 22 0:40 / /srv/over rw - ext4 /dev/sdc1 rw
33 32 0:41 / /srv/over rw - tmpfs tmpfs rw
";

    fn kind(folder: &str) -> String {
        Mount::among(MOUNTS, Path::new(folder)).expect("a mount").kind
    }

    #[test]
    fn the_nearest_mount_above_a_folder_counts_and_of_equals_the_last() {
        assert_eq!(kind("/home"), "ext4");
        assert_eq!(kind("/dev/shm/a/b"), "tmpfs");
        assert_eq!(kind("/dev/shmx"), "ext4");
        assert_eq!(kind("/srv/my data/x"), "xfs");
        assert_eq!(kind("/srv/over/x"), "tmpfs");
    }

    #[test]
    fn a_file_system_told_not_to_wait_for_the_disk_is_seen() {
        let root = Mount::among(MOUNTS, Path::new("/home")).expect("a mount");
        assert_eq!(root.without_barriers(), Some("nobarrier"));
        assert!(!root.is_memory() && !root.is_network() && !root.is_container_layer());
    }
}
