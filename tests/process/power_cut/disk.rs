//! A disk that forgets: it keeps what was synced, and of the rest what it likes.
//!
//! A file's bytes last once the file is synced, its name once the folder is, as POSIX has it. What was not synced when the power goes may be
//! there or not, sector by sector and in any order; of names not synced each folder has as many of the first as it likes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::journal::Op;
use crate::support::chance::Chance;

/// What is written at once or not at all.
const SECTOR: u64 = 512;

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it is there: a process that was killed.
    Nothing,
    /// None of it is.
    Everything,
    /// Some sectors and some names are.
    Some(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    File(usize),
    Folder(usize),
}

#[derive(Debug, Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Arc<[u8]>),
    SetLength(u64),
}

/// Names that change together: what each stands for from then on.
type Names = Vec<(String, Option<Node>)>;

#[derive(Debug, Default)]
struct Folder {
    synced: BTreeMap<String, Node>,
    pending: Vec<Names>,
}

impl Folder {
    fn now(&self) -> BTreeMap<String, Node> {
        self.after(self.pending.len())
    }

    fn after(&self, kept: usize) -> BTreeMap<String, Node> {
        let mut names = self.synced.clone();
        for (name, node) in self.pending[..kept].iter().flatten().cloned() {
            match node {
                Some(node) => _ = names.insert(name, node),
                None => _ = names.remove(&name),
            }
        }
        names
    }
}

/// Files and folders below one folder.
#[derive(Debug)]
pub struct Disk {
    files: Vec<File>,
    /// The first is the whole.
    folders: Vec<Folder>,
    /// Numbers of the journal.
    known: HashMap<u64, Node>,
}

impl Disk {
    /// What is there now, all of it synced.
    pub fn of(folder: &Path) -> Self {
        let mut disk = Self {
            files: Vec::new(),
            folders: Vec::new(),
            known: HashMap::new(),
        };
        disk.load(folder);
        disk
    }

    fn load(&mut self, folder: &Path) -> usize {
        let (mut names, at) = (BTreeMap::new(), self.folders.len());
        self.folders.push(Folder::default());
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            // What is not recorded: SQLite's shared memory, and what a test writes beside the service.
            if name.ends_with("-shm") || entry.path().extension().is_some_and(|extension| extension == "log") {
                continue;
            }
            let node = if entry.path().is_dir() {
                Node::Folder(self.load(&entry.path()))
            } else {
                self.files.push(File {
                    synced: std::fs::read(entry.path()).expect("it reads"),
                    pending: Vec::new(),
                });
                Node::File(self.files.len() - 1)
            };
            names.insert(name, node);
        }
        self.folders[at].synced = names;
        at
    }

    /// The next entry of the journal.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { id, path } => {
                self.files.push(File::default());
                let node = Node::File(self.files.len() - 1);
                self.known.insert(*id, node);
                if !path.is_empty() {
                    self.name(path, Some(node));
                }
            }
            Op::Known { id, path } => match self.find(path) {
                Some(file @ Node::File(_)) => _ = self.known.insert(*id, file),
                other => panic!("{path} is opened, and is {other:?}"),
            },
            Op::Write { id, at, bytes } => self.file(*id).pending.push(Change::Write(*at, Arc::clone(bytes))),
            Op::SetLength { id, length } => self.file(*id).pending.push(Change::SetLength(*length)),
            Op::Sync { id } => {
                let file = self.file(*id);
                for change in std::mem::take(&mut file.pending) {
                    change.apply(&mut file.synced);
                }
            }
            Op::MakeFolder { id, path } => {
                self.folders.push(Folder::default());
                let node = Node::Folder(self.folders.len() - 1);
                self.known.insert(*id, node);
                self.name(path, Some(node));
            }
            Op::RemoveFolder(path) | Op::Unlink(path) => self.name(path, None),
            Op::SyncFolder { path, names } => {
                if let Some(at) = self.folder_at(path) {
                    let folder = &mut self.folders[at];
                    folder.synced = folder.now();
                    folder.pending.clear();
                    settle(&mut folder.synced, names, &self.known);
                }
            }
            Op::Rename { from, to } => self.rename(from, to),
            Op::Link { from, to } => {
                let node = self.find(from);
                assert!(node.is_some(), "{from} is linked");
                self.name(to, node);
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let node = self.find(from).unwrap_or_else(|| panic!("{from} is renamed"));
        assert_eq!(parted(from).0, parted(to).0, "{from} moves to another folder");
        let names = vec![(parted(to).1.to_owned(), Some(node)), (parted(from).1.to_owned(), None)];
        self.folder_of(to).pending.push(names);
    }

    fn name(&mut self, path: &str, node: Option<Node>) {
        let name = parted(path).1.to_owned();
        self.folder_of(path).pending.push(vec![(name, node)]);
    }

    fn find(&self, path: &str) -> Option<Node> {
        let (folder, name) = parted(path);
        self.folders[self.folder_at(folder)?].now().remove(name)
    }

    fn folder_at(&self, path: &str) -> Option<usize> {
        let mut at = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match self.folders[at].now().remove(name)? {
                Node::Folder(folder) => at = folder,
                Node::File(_) => return None,
            }
        }
        Some(at)
    }

    fn folder_of(&mut self, path: &str) -> &mut Folder {
        let at = self.folder_at(parted(path).0);
        &mut self.folders[at.unwrap_or_else(|| panic!("{path} is in a folder nobody made"))]
    }

    fn file(&mut self, id: u64) -> &mut File {
        match self.known[&id] {
            Node::File(at) => &mut self.files[at],
            Node::Folder(_) => panic!("{id} is a folder"),
        }
    }

    /// What is on the disk when the power goes now, by path.
    pub fn after_cut(&self, loss: Loss) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut chance = Chance::of(match loss {
            Loss::Some(seed) => seed,
            _ => 0,
        });
        let mut found = BTreeMap::new();
        self.gather((0, ""), loss, &mut chance, &mut found);
        found
    }

    fn gather(
        &self,
        (at, path): (usize, &str),
        loss: Loss,
        chance: &mut Chance,
        found: &mut BTreeMap<String, Option<Vec<u8>>>,
    ) {
        let folder = &self.folders[at];
        let kept = match loss {
            Loss::Nothing => folder.pending.len(),
            Loss::Everything => 0,
            Loss::Some(_) => chance.below(folder.pending.len() + 1),
        };
        for (name, node) in folder.after(kept) {
            let path = inside(path, &name);
            match node {
                Node::Folder(folder) => {
                    found.insert(path.clone(), None);
                    self.gather((folder, &path), loss, chance, found);
                }
                Node::File(file) => _ = found.insert(path, Some(self.files[file].after_cut(loss, chance))),
            }
        }
    }
}

impl File {
    fn after_cut(&self, loss: Loss, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        // Of some files nearly everything is there, of some nearly nothing.
        let lost_in_eight = chance.below(9);
        for change in &self.pending {
            match loss {
                Loss::Everything => {}
                Loss::Nothing => change.apply(&mut bytes),
                Loss::Some(_) => change.tear(&mut bytes, || chance.below(8) < lost_in_eight),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write(at, bytes) => put(to, *at, bytes),
            Self::SetLength(length) => to.resize(usize::try_from(*length).expect("it fits"), 0),
        }
    }

    /// Applies what of it is not lost.
    fn tear(&self, to: &mut Vec<u8>, mut is_lost: impl FnMut() -> bool) {
        let Self::Write(at, bytes) = self else {
            if !is_lost() {
                self.apply(to);
            }
            return;
        };
        let (mut at, mut rest) = (*at, &bytes[..]);
        while !rest.is_empty() {
            let length = usize::try_from(SECTOR - at % SECTOR).expect("small").min(rest.len());
            if !is_lost() {
                put(to, at, &rest[..length]);
            }
            at += length as u64;
            rest = &rest[length..];
        }
    }
}

fn put(to: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).expect("it fits");
    if to.len() < at + bytes.len() {
        to.resize(at + bytes.len(), 0);
    }
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Writes what is on a disk into a folder; whatever is there is replaced, what is not on the disk stays.
pub fn write(found: &BTreeMap<String, Option<Vec<u8>>>, folder: &Path) {
    for (path, bytes) in found {
        let path = folder.join(path);
        match bytes {
            None => std::fs::create_dir_all(path).expect("a folder"),
            Some(bytes) => std::fs::write(path, bytes).expect("it is written"),
        }
    }
}

/// Takes over what was renamed unseen: names that are gone, and those that stand for something else.
fn settle(synced: &mut BTreeMap<String, Node>, names: &[(String, u64)], known: &HashMap<u64, Node>) {
    synced.retain(|name, _| names.iter().any(|(there, _)| there == name));
    for (name, id) in names {
        if let Some(node) = known.get(id) {
            synced.insert(name.clone(), *node);
        }
    }
}

fn parted(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn inside(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(ops: &[Op]) -> Disk {
        let empty = tempfile::tempdir().expect("a folder");
        let mut disk = Disk::of(empty.path());
        for op in ops {
            disk.apply(op);
        }
        disk
    }

    fn synced(names: &[&str]) -> Op {
        Op::SyncFolder {
            path: String::new(),
            names: names.iter().map(|name| ((*name).to_owned(), 0)).collect(),
        }
    }

    fn written(id: u64, path: &str, bytes: &[u8]) -> Vec<Op> {
        let path = path.to_owned();
        let bytes = bytes.into();
        vec![Op::Create { id, path }, Op::Write { id, at: 0, bytes }]
    }

    #[test]
    fn bytes_last_by_the_sync_of_the_file_and_names_by_that_of_the_folder() {
        let mut ops = written(1, "a", b"new");
        assert!(disk(&ops).after_cut(Loss::Everything).is_empty());
        assert_eq!(disk(&ops).after_cut(Loss::Nothing)["a"], Some(b"new".to_vec()));
        ops.push(Op::Sync { id: 1 });
        assert!(disk(&ops).after_cut(Loss::Everything).is_empty(), "its name is lost");
        ops.remove(2);
        ops.push(synced(&["a"]));
        assert_eq!(
            disk(&ops).after_cut(Loss::Everything)["a"],
            Some(Vec::new()),
            "its bytes are lost"
        );
        ops.push(Op::Sync { id: 1 });
        assert_eq!(disk(&ops).after_cut(Loss::Everything)["a"], Some(b"new".to_vec()));
    }

    #[test]
    fn a_name_that_is_not_synced_still_stands_for_the_old_file() {
        let mut ops = written(1, "a", b"old");
        ops.extend([Op::Sync { id: 1 }, synced(&["a"])]);
        ops.extend(written(2, "b", b"new"));
        ops.push(Op::Rename {
            from: "b".into(),
            to: "a".into(),
        });
        let seen: std::collections::BTreeSet<_> = (0..200)
            .map(|seed| disk(&ops).after_cut(Loss::Some(seed)).into_keys().collect::<Vec<_>>())
            .collect();
        let names = [vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(seen, names.into());
        assert_eq!(disk(&ops).after_cut(Loss::Everything)["a"], Some(b"old".to_vec()));
        assert_eq!(disk(&ops).after_cut(Loss::Nothing)["a"], Some(b"new".to_vec()));
    }

    #[test]
    fn a_write_that_is_not_synced_is_torn_at_sectors() {
        let mut ops = written(1, "a", &[0; 2048]);
        ops.extend([Op::Sync { id: 1 }, synced(&["a"])]);
        ops.push(Op::Write {
            id: 1,
            at: 100,
            bytes: [1; 1500].into(),
        });
        let mut states = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let bytes = disk(&ops)
                .after_cut(Loss::Some(seed))
                .remove("a")
                .expect("there")
                .expect("a file");
            let sectors = [100..512, 512..1024, 1024..1536, 1536..1600];
            states.insert(sectors.map(|sector| {
                assert!(bytes[sector.clone()].iter().all(|byte| *byte == bytes[sector.start]));
                bytes[sector.start]
            }));
        }
        assert_eq!(states.len(), 16, "each sector by itself");
    }
}
