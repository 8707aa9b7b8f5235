//! A clip in several sessions, for readers at several places of it: a source plugin
//! reads on where it is, and has few places at which it can; at others it seeks, and
//! decodes again what lies between.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};

use crate::source::Clip;
use crate::support::events::Events;

/// Opens the clip once more.
pub type Open<'a> = Box<dyn Fn() -> Result<Clip> + Sync + 'a>;

/// Sessions at most: each is a Python and all filters of the script once more.
pub const MOST: usize = 16;

/// The sessions of a clip; more are opened as readers come.
pub struct Readers<'a> {
    sessions: Mutex<Sessions>,
    open: Open<'a>,
    /// Readers that a session has before another one is opened.
    each: usize,
    events: &'a Events,
}

struct Sessions {
    opened: Vec<(Clip, usize)>,
    /// There can be no more: the last one did not open.
    closed: bool,
}

/// A clip to read, until it is dropped.
pub struct Reader<'r, 'a> {
    pub clip: Clip,
    index: usize,
    readers: &'r Readers<'a>,
}

impl<'a> Readers<'a> {
    pub fn new(first: Clip, each: usize, open: Open<'a>, events: &'a Events) -> Self {
        let sessions = Sessions { opened: vec![(first, 0)], closed: false };
        Self { sessions: Mutex::new(sessions), open, each: each.max(1), events }
    }

    /// For readers that all share one session.
    pub fn one(clip: Clip, events: &'a Events) -> Self {
        let sessions = Sessions { opened: vec![(clip, 0)], closed: true };
        let open = || bail!("there is one session");
        Self { sessions: Mutex::new(sessions), open: Box::new(open), each: usize::MAX, events }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clip in the session with the fewest readers.
    pub fn take(&self) -> Reader<'_, 'a> {
        let mut sessions = self.lock();
        let fewest = sessions.opened.iter().map(|(_, readers)| *readers).min().unwrap_or(0);
        if fewest >= self.each && sessions.opened.len() < MOST && !sessions.closed {
            match (self.open)() {
                Ok(clip) => sessions.opened.push((clip, 0)),
                Err(error) => {
                    sessions.closed = true;
                    let count = sessions.opened.len();
                    self.events.note(format!("all readers share {count} sessions of the source: {error:#}"));
                }
            }
        }
        let by_readers = |index: &usize| sessions.opened[*index].1;
        let index = (0..sessions.opened.len()).min_by_key(by_readers).unwrap_or(0);
        sessions.opened[index].1 += 1;
        Reader { clip: sessions.opened[index].0.clone(), index, readers: self }
    }
}

impl Drop for Reader<'_, '_> {
    fn drop(&mut self) {
        self.readers.lock().opened[self.index].1 -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::source::{Arg, OpenOptions, Session};

    fn clip() -> Clip {
        let session = Session::empty(None, &OpenOptions::default()).unwrap();
        let node = session.invoke("std", "BlankClip", &[("length", Arg::Int(5))]).unwrap();
        Clip::new(session, node).unwrap()
    }

    #[test]
    fn sessions_are_opened_as_readers_come_and_used_again() {
        let (clip, opened, events) = (clip(), AtomicUsize::new(0), Events::silent());
        let open: Open<'_> = Box::new(|| {
            if opened.fetch_add(1, Ordering::SeqCst) == 1 {
                bail!("no more");
            }
            Ok(clip.clone())
        });
        let readers = Readers::new(clip.clone(), 2, open, &events);
        let mut taken: Vec<_> = (0..4).map(|_| readers.take()).collect();
        let at = |taken: &[Reader<'_, '_>]| taken.iter().map(|reader| reader.index).collect::<Vec<_>>();
        assert_eq!(at(&taken), [0, 0, 1, 1]);
        // The third session does not open, which nobody notices, and is tried once.
        taken.extend([readers.take(), readers.take(), readers.take()]);
        assert_eq!(at(&taken), [0, 0, 1, 1, 0, 1, 0]);
        taken.clear();
        assert_eq!(readers.take().index, 0);
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    }
}
