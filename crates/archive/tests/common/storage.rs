//! A storage in memory that crashes, fills up and fails at will.
//!
//! It keeps apart what a process sees and what would be there after a crash: a
//! file's writes reach the disk when it is synced, names when the directory is.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use twintap_archive::{Storage, StorageFile};

const SECTOR: usize = 512;

/// What goes wrong next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The process dies once so many more bytes were written, each operation
    /// counting as one more.
    pub crash_after: Option<u64>,
    /// The disk is full once so many more bytes were written.
    pub room: Option<u64>,
    /// So many syncs fail.
    pub syncs: u32,
    /// So many renames fail.
    pub renames: u32,
    /// So many syncs of the directory fail.
    pub directory_syncs: u32,
}

#[derive(Clone, Debug, Default)]
pub struct FaultyStorage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    crashed: bool,
    locked: bool,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes to names since the directory was synced.
    renamings: Vec<BTreeMap<String, usize>>,
    files: Vec<FileState>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, new) => {
                if bytes.len() < at + new.len() {
                    bytes.resize(at + new.len(), 0);
                }
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            Change::Length(length) => bytes.resize(*length, 0),
        }
    }
}

impl FaultyStorage {
    pub fn new() -> FaultyStorage {
        FaultyStorage::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no test panics while it holds the state")
    }

    pub fn set(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The bytes of a file as a process sees them.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].bytes.clone()
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let number = state.files.len();
        state.files.push(FileState {
            durable: bytes.clone(),
            bytes,
            pending: Vec::new(),
        });
        state.names.insert(name.to_owned(), number);
        state.durable_names = state.names.clone();
        state.renamings.clear();
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// A copy with other bytes in no common, for one more experiment.
    pub fn fork(&self) -> FaultyStorage {
        let state = self.state();
        FaultyStorage(Arc::new(Mutex::new(State {
            names: state.names.clone(),
            durable_names: state.names.clone(),
            files: state.files.clone(),
            ..State::default()
        })))
    }

    /// What a machine that lost power comes up with: what was synced, and of the rest
    /// what `choose(n)`, a number up to n, picks.
    pub fn after_power_loss(&self, mut choose: impl FnMut(usize) -> usize) -> FaultyStorage {
        let state = self.state();
        let kept = choose(state.renamings.len());
        let names = match kept {
            0 => state.durable_names.clone(),
            kept => state.renamings[kept - 1].clone(),
        };
        let files = state
            .files
            .iter()
            .map(|file| {
                let mut bytes = file.durable.clone();
                let kept = choose(file.pending.len());
                let lose_sectors = choose(2) == 0;
                for change in &file.pending[..kept] {
                    match change {
                        Change::Write(at, new) if lose_sectors => {
                            let mut hole = vec![0; new.len()];
                            let before = bytes.get(*at..).unwrap_or_default();
                            let common = before.len().min(hole.len());
                            hole[..common].copy_from_slice(&before[..common]);
                            for (index, sector) in hole.chunks_mut(SECTOR).enumerate() {
                                if choose(3) > 0 {
                                    let from = index * SECTOR;
                                    sector.copy_from_slice(&new[from..from + sector.len()]);
                                }
                            }
                            Change::Write(*at, hole).apply(&mut bytes);
                        }
                        change => change.apply(&mut bytes),
                    }
                }
                FileState {
                    durable: bytes.clone(),
                    bytes,
                    pending: Vec::new(),
                }
            })
            .collect();
        FaultyStorage(Arc::new(Mutex::new(State {
            durable_names: names.clone(),
            names,
            files,
            ..State::default()
        })))
    }

    /// What is there after the process alone was killed: all that it wrote.
    pub fn after_kill(&self) -> FaultyStorage {
        let storage = self.fork();
        {
            let mut new = storage.state();
            let old = self.state();
            new.durable_names.clone_from(&old.durable_names);
            new.renamings.clone_from(&old.renamings);
        }
        storage
    }
}

impl State {
    /// Counts an operation of `bytes` bytes; gives how many of them are done before
    /// the crash, or fails when there was one.
    fn step(&mut self, bytes: usize) -> io::Result<usize> {
        if self.crashed {
            return Err(crash());
        }
        let Some(left) = &mut self.faults.crash_after else {
            return Ok(bytes);
        };
        let cost = bytes as u64 + 1;
        if *left >= cost {
            *left -= cost;
            return Ok(bytes);
        }
        self.crashed = true;
        Ok(*left as usize)
    }

    fn step_whole(&mut self) -> io::Result<()> {
        self.step(0)?;
        if self.crashed { Err(crash()) } else { Ok(()) }
    }

    fn renamed(&mut self) {
        let names = self.names.clone();
        self.renamings.push(names);
    }
}

fn crash() -> io::Error {
    io::Error::other("the process died")
}

fn take_one(count: &mut u32) -> io::Result<()> {
    if *count == 0 {
        return Ok(());
    }
    *count -= 1;
    Err(io::Error::other("an injected fault"))
}

impl Storage for FaultyStorage {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut state = self.state();
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.state();
        state.step_whole()?;
        let file = state.files.len();
        state.files.push(FileState::default());
        state.names.insert(name.to_owned(), file);
        state.renamed();
        Ok(Box::new(OpenFile(self.clone(), file)))
    }

    fn open(&self, name: &str, _write: bool) -> io::Result<Box<dyn StorageFile>> {
        let state = self.state();
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(OpenFile(self.clone(), file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step_whole()?;
        take_one(&mut state.faults.renames)?;
        let file = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        state.renamed();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step_whole()?;
        state.names.remove(name).ok_or(ErrorKind::NotFound)?;
        state.renamed();
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step_whole()?;
        take_one(&mut state.faults.directory_syncs)?;
        state.durable_names = state.names.clone();
        state.renamings.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct Lock(FaultyStorage);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

#[derive(Debug)]
struct OpenFile(FaultyStorage, usize);

impl StorageFile for OpenFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.state().files[self.1].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.state();
        let bytes = &state.files[self.1].bytes;
        let bytes = bytes.get(offset as usize..).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.0.state();
        let mut count = state.step(bytes.len())?;
        let mut result = Ok(());
        if state.crashed {
            result = Err(crash());
        }
        if let Some(room) = &mut state.faults.room {
            if (*room as usize) < count {
                count = *room as usize;
                result = Err(ErrorKind::StorageFull.into());
            }
            *room -= count as u64;
        }
        let change = Change::Write(offset as usize, bytes[..count].to_vec());
        let file = &mut state.files[self.1];
        change.apply(&mut file.bytes);
        file.pending.push(change);
        result
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.state();
        state.step_whole()?;
        let change = Change::Length(length as usize);
        let file = &mut state.files[self.1];
        change.apply(&mut file.bytes);
        file.pending.push(change);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.state();
        state.step_whole()?;
        let failed = take_one(&mut state.faults.syncs);
        let file = &mut state.files[self.1];
        // After a sync that failed the pages count as clean, and never reach the disk
        // unless they are written again.
        let pending = std::mem::take(&mut file.pending);
        failed?;
        for change in pending {
            change.apply(&mut file.durable);
        }
        Ok(())
    }
}
