//! The journal `recorder.c` writes: what a process did to its files, in order.

use std::path::Path;
use std::sync::Arc;

/// One change, or a promise that changes last. Files are numbered; paths are relative to the recorded folder.
#[derive(Debug, Clone)]
pub enum Op {
    Create {
        id: u64,
        path: String,
    },
    /// A file that was there before, opened for the first time.
    Known {
        id: u64,
        path: String,
    },
    Write {
        id: u64,
        at: u64,
        bytes: Arc<[u8]>,
    },
    SetLength {
        id: u64,
        length: u64,
    },
    Sync {
        id: u64,
    },
    MakeFolder {
        id: u64,
        path: String,
    },
    RemoveFolder(String),
    /// Of a folder, with the names it has by then and what they stand for, as far as that has a number.
    SyncFolder {
        path: String,
        names: Vec<(String, u64)>,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink(String),
}

/// An entry, and where in the journal it ends.
pub struct Entry {
    pub end: u64,
    pub op: Op,
}

/// All whole entries.
pub fn read(path: &Path) -> Vec<Entry> {
    let journal = std::fs::read(path).expect("a journal");
    let (mut entries, mut at) = (Vec::new(), 0);
    while let Some(entry) = entry(&journal, at) {
        at = usize::try_from(entry.end).expect("it fits in memory");
        entries.push(entry);
    }
    entries
}

/// Bytes of an entry before its text: kind, id, number, length of the text, length of the bytes.
const HEAD: usize = 33;

fn entry(journal: &[u8], at: usize) -> Option<Entry> {
    let head = journal.get(at..at + HEAD)?;
    let word = |index: usize| {
        let bytes = head[1 + 8 * index..9 + 8 * index].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    };
    let length = |index: usize| usize::try_from(word(index)).expect("it fits in memory");
    let (id, number) = (word(0), word(1));
    let text_end = at + HEAD + length(2);
    let end = text_end + length(3);
    let text = String::from_utf8(journal.get(at + HEAD..text_end)?.to_vec()).expect("UTF-8");
    let bytes = journal.get(text_end..end)?;
    let two = || {
        let (from, to) = text.split_once('\n').expect("two paths");
        (from.to_owned(), to.to_owned())
    };
    let op = match head[0] {
        1 => Op::Create { id, path: text },
        2 => Op::MakeFolder { id, path: text },
        3 => Op::RemoveFolder(text),
        4 => Op::Write {
            id,
            at: number,
            bytes: bytes.into(),
        },
        5 => Op::SetLength { id, length: number },
        6 => Op::Sync { id },
        7 => Op::SyncFolder {
            path: text,
            names: names(bytes),
        },
        8 => {
            let (from, to) = two();
            Op::Rename { from, to }
        }
        9 => {
            let (from, to) = two();
            Op::Link { from, to }
        }
        10 => Op::Unlink(text),
        11 => Op::Known { id, path: text },
        other => panic!("kind {other} at {at} of the journal"),
    };
    Some(Entry { end: end as u64, op })
}

fn names(bytes: &[u8]) -> Vec<(String, u64)> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let name = |line: &str| {
        let (id, name) = line.split_once(' ').expect("a number and a name");
        (name.to_owned(), id.parse().expect("a number"))
    };
    text.lines().map(name).collect()
}
