//! The frame pump: frames in the order wanted, several rendered at once.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Result, anyhow};
use vapoursynth::node::Node;

use super::frame::Frame;
use crate::support::cancel::Cancel;

type Rendered = (usize, std::result::Result<Frame, String>);

/// An iterator over frames in order. At most `prefetch` frames are requested
/// or wait to be taken, so memory stays bounded whatever the consumer's pace.
#[derive(Debug)]
pub struct Frames {
    node: Node<'static>,
    cancel: Cancel,
    sender: Sender<Rendered>,
    receiver: Receiver<Rendered>,
    waiting: BTreeMap<usize, std::result::Result<Frame, String>>,
    /// Frame numbers in the order wanted; the fields below are places in it.
    wanted: Vec<usize>,
    /// Next to hand out.
    next: usize,
    /// Next to request.
    ahead: usize,
    end: usize,
    in_flight: usize,
    prefetch: usize,
}

impl Frames {
    pub(super) fn new(node: Node<'static>, wanted: Vec<usize>, prefetch: usize, cancel: Cancel) -> Self {
        let (sender, receiver) = channel();
        Self {
            node,
            cancel,
            sender,
            receiver,
            waiting: BTreeMap::new(),
            next: 0,
            ahead: 0,
            end: wanted.len(),
            wanted,
            in_flight: 0,
            prefetch: prefetch.max(1),
        }
    }

    fn request_ahead(&mut self) {
        while self.ahead < self.end && self.ahead < self.next + self.prefetch {
            let sender = self.sender.clone();
            let place = self.ahead;
            self.node.get_frame_async(self.wanted[place], move |result, _, _| {
                // A panic here would abort the process, so nothing may: the
                // send fails harmlessly when the consumer is gone.
                let _ = sender.send((place, result.map(Frame::new).map_err(|e| e.to_string())));
            });
            self.ahead += 1;
            self.in_flight += 1;
        }
    }

    /// Waits for the next frame in order; looks at the stop flag meanwhile.
    fn wait(&mut self) -> Result<Frame> {
        loop {
            self.cancel.check()?;
            if let Some(result) = self.waiting.remove(&self.next) {
                let frame = self.wanted[self.next];
                return result.map_err(|e| anyhow!("frame {frame} could not be rendered: {e}"));
            }
            match self.receiver.recv_timeout(Duration::from_millis(100)) {
                Ok((place, result)) => {
                    self.in_flight -= 1;
                    self.waiting.insert(place, result);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the frame pump lost its source")),
            }
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    /// The next frame; after an error the iteration ends.
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        self.request_ahead();
        let frame = self.wait();
        if frame.is_ok() {
            self.next += 1;
        } else {
            self.end = self.next;
        }
        Some(frame)
    }
}

impl Drop for Frames {
    /// Waits for what is being rendered: a script must not outlive its consumer
    /// with requests in flight, and their memory counts against the budget.
    fn drop(&mut self) {
        while self.in_flight > 0 && self.receiver.recv().is_ok() {
            self.in_flight -= 1;
        }
    }
}
