//! How the bytes of `--memory` are shared out. What a run holds counts against one
//! of these, and together they are no more than all of it.

use std::sync::Arc;

use crate::support::machine::cpus;
use crate::support::permits::Permits;

/// Pictures for each encoder at work: one on its way, its bytes for the pipe, and
/// two that the source has ready.
const FED: u64 = 4;

/// Pictures that a decoder holds: AV1's eight references, one in work, one that is copied.
const DECODED: u64 = 10;

/// The budget of a run, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shares(pub u64);

impl Shares {
    fn sixteenths(self, count: u64) -> u64 {
        self.0 / 16 * count
    }

    /// What VapourSynth keeps, frames that were requested of it included.
    pub fn source(self) -> u64 {
        self.sixteenths(4)
    }

    /// Frames of scenes that wait to be measured.
    pub fn kept(self) -> u64 {
        self.sixteenths(4)
    }

    /// What the metric prepares and works with.
    pub fn metric(self) -> u64 {
        self.sixteenths(3)
    }

    /// Encoders at once, no more than `wanted`, for pictures of so many bytes.
    pub fn workers(self, wanted: usize, picture: usize) -> usize {
        at_most(wanted, self.sixteenths(2), FED * picture as u64)
    }

    /// Threads that decode and have measured. They wait while that is done in the pool.
    pub fn scorers(self, picture: usize) -> usize {
        at_most(cpus() / 2, self.sixteenths(2), DECODED * picture as u64)
    }

    /// Pictures that are decoded and wait or are measured, of all scorers together.
    pub fn decoded(self, picture: usize) -> Arc<Permits> {
        // More would only wait: decoding is faster than measuring.
        let wanted = cpus() + self.scorers(picture);
        Arc::new(Permits::new(at_most(wanted, self.sixteenths(1), picture as u64)))
    }
}

/// As many of `each` bytes as `share` holds, but one, and no more than `wanted`.
fn at_most(wanted: usize, share: u64, each: u64) -> usize {
    wanted.min((share / each.max(1)) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_is_no_more_than_there_is() {
        // 2160p in 10 bits, whatever this machine is.
        let picture = 3840 * 2160 * 3;
        for budget in [2_u64 << 30, 4 << 30, 64 << 30] {
            let shares = Shares(budget);
            let workers = shares.workers(1000, picture) as u64 * FED * picture as u64;
            let scorers = shares.scorers(picture) as u64 * DECODED * picture as u64;
            assert!(workers <= budget / 8 && scorers <= budget / 8, "{workers} {scorers}");
            let fixed = shares.source() + shares.kept() + shares.metric();
            assert!(fixed + workers + scorers + budget / 16 <= budget);
        }
        // However little there is, something gets done.
        assert_eq!((Shares(1).workers(8, picture), Shares(1).scorers(picture)), (1, 1));
    }
}
