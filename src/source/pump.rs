//! The frame pump: several frames rendered at once, handed out in the order
//! wanted ([`Frames`]) or as they are ready ([`InFlight`]).

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use vapoursynth::frame::FrameRef;
use vapoursynth::node::Node;

use super::frame::Frame;
use super::room::{Room, Share};
use crate::support::cancel::Cancel;

/// A frame, or why it could not be rendered.
type Rendered = std::result::Result<FrameRef<'static>, String>;

/// Frames of a node that were requested and are not taken yet. Dropping it
/// waits for them: a filter must not be freed while it renders, and a script
/// must not outlive its consumer with requests in flight, whose memory counts
/// against the budget.
#[derive(Debug)]
pub(crate) struct InFlight {
    node: Node<'static>,
    sender: Sender<(usize, Rendered)>,
    receiver: Receiver<(usize, Rendered)>,
    count: usize,
}

impl InFlight {
    pub fn new(node: Node<'static>) -> Self {
        let (sender, receiver) = channel();
        Self { node, sender, receiver, count: 0 }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Requests frame `n`, which will be told from others by `tag`.
    pub fn request(&mut self, n: usize, tag: usize) {
        let sender = self.sender.clone();
        self.count += 1;
        self.node.get_frame_async(n, move |result, _, _| {
            // A panic here would abort the process, so nothing may: the send
            // fails harmlessly when the consumer is gone.
            let _ = sender.send((tag, result.map_err(|error| error.to_string())));
        });
    }

    /// Waits for the next one that is ready, and looks at the stop flag meanwhile.
    pub fn wait(&mut self, cancel: &Cancel) -> Result<(usize, Rendered)> {
        loop {
            cancel.check()?;
            match self.receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(rendered) => {
                    self.count -= 1;
                    return Ok(rendered);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the frame pump lost its source"),
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        while self.count > 0 && self.receiver.recv().is_ok() {
            self.count -= 1;
        }
    }
}

/// An iterator over frames in order. At most `prefetch` frames are requested
/// or wait to be taken, so memory stays bounded whatever the consumer's pace.
#[derive(Debug)]
pub struct Frames {
    in_flight: InFlight,
    room: &'static Room,
    /// Of the requests that the session's readers have together, where it takes part in that.
    share: Option<Share>,
    cancel: Cancel,
    /// Rendered before their turn.
    waiting: BTreeMap<usize, Rendered>,
    /// Frame numbers in the order wanted; the fields below are places in it.
    wanted: Vec<usize>,
    /// Next to hand out.
    next: usize,
    /// Next to request.
    ahead: usize,
    end: usize,
    prefetch: usize,
}

impl Frames {
    pub(super) fn new(
        node: Node<'static>,
        room: &'static Room,
        wanted: Vec<usize>,
        prefetch: usize,
        cancel: Cancel,
    ) -> Self {
        Self {
            in_flight: InFlight::new(node),
            room,
            share: None,
            cancel,
            waiting: BTreeMap::new(),
            next: 0,
            ahead: 0,
            end: wanted.len(),
            wanted,
            prefetch: prefetch.max(1),
        }
    }

    /// Requests no more than what the session's other readers leave.
    pub(super) fn sharing(self) -> Self {
        Self { share: Some(self.room.share()), ..self }
    }

    fn request_ahead(&mut self) {
        while self.ahead < self.end && self.ahead < self.next + self.prefetch {
            let requested = self.ahead - self.next;
            if self.share.as_mut().is_some_and(|share| !share.allows(requested)) {
                break;
            }
            self.in_flight.request(self.wanted[self.ahead], self.ahead);
            self.ahead += 1;
        }
    }

    /// Waits for the next frame in order.
    fn wait(&mut self) -> Result<Frame> {
        loop {
            self.cancel.check()?;
            if let Some(result) = self.waiting.remove(&self.next) {
                let frame = self.wanted[self.next];
                return result
                    .map(Frame::new)
                    .map_err(|e| anyhow!("frame {frame} could not be rendered: {e}"));
            }
            let (place, result) = self.in_flight.wait(&self.cancel)?;
            self.waiting.insert(place, result);
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
            if let Some(share) = &mut self.share {
                share.returned(self.ahead - self.next);
            }
            self.room.relieve();
        } else {
            self.end = self.next;
        }
        Some(frame)
    }
}
