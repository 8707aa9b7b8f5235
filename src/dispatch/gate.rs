//! Who is released and when: the queue, the reservations and the rule.
//!
//! Nothing here reads a clock or a sensor. The caller passes the moment, as time
//! since any fixed start, and a [`Reading`]; so tests replay readings exactly.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::sensors::Reading;
use super::settings::Settings;
use crate::support::units::show_bytes;

/// A client in the queue or out of it: any number that the caller uses for it.
pub type Client = usize;

/// First come, first served; a released worker's share is reserved for a while,
/// because its filters take time to load and show in no reading yet.
#[derive(Debug)]
pub struct Gate {
    worker_cpu: f64,
    max_cpu: f64,
    worker_vram: u64,
    reserve: Duration,
    queue: VecDeque<(Client, Duration)>,
    /// Ends of the reservations, soonest first: all of them last equally long.
    reserved_until: VecDeque<Duration>,
}

/// A client that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    pub client: Client,
    /// Time spent in the queue.
    pub waited: Duration,
}

/// Why the next client cannot go yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Obstacle {
    /// Percentages of the whole machine. `used` is unknown where it cannot be read.
    Cpu { used: Option<f64>, reserved: f64, max: f64 },
    /// Bytes.
    Vram { free: u64, reserved: u64, needed: u64 },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cpu { used, reserved, max } => {
                let used = used.map_or_else(|| "unknown use".to_owned(), |used| format!("{used:.0} % used"));
                write!(f, "CPU: {used} and {reserved:.0} % reserved, must be below {max:.0} %")
            }
            Self::Vram { free, reserved, needed } => write!(
                f,
                "VRAM: {} free of which {} reserved, a worker needs {}",
                show_bytes(free),
                show_bytes(reserved),
                show_bytes(needed)
            ),
        }
    }
}

impl Gate {
    pub fn new(settings: &Settings) -> Self {
        Self {
            worker_cpu: settings.worker_cpu,
            max_cpu: settings.max_cpu,
            worker_vram: settings.worker_vram,
            reserve: settings.reserve,
            queue: VecDeque::new(),
            reserved_until: VecDeque::new(),
        }
    }

    /// Puts `client` at the end of the queue and returns how many are before it.
    pub fn enter(&mut self, client: Client, now: Duration) -> usize {
        self.queue.push_back((client, now));
        self.queue.len() - 1
    }

    /// Takes `client` out of the queue. Those behind it move up; nobody else is touched.
    pub fn leave(&mut self, client: Client) {
        self.queue.retain(|(waiting, _)| *waiting != client);
    }

    /// The first in the queue, if there is room for it now; its share is
    /// reserved from now on. Call it until it returns `None`.
    pub fn release(&mut self, reading: &Reading, now: Duration) -> Option<Release> {
        if self.obstacle(reading, now).is_some() {
            return None;
        }
        let (client, since) = self.queue.pop_front()?;
        self.reserved_until.push_back(now + self.reserve);
        Some(Release { client, waited: now.saturating_sub(since) })
    }

    /// What keeps the next client from going, whether there is one or not.
    pub fn obstacle(&mut self, reading: &Reading, now: Duration) -> Option<Obstacle> {
        let reserved = self.reserved_cpu(now);
        // Unknown use counts as none: reservations still bound how fast workers go.
        if reading.cpu.unwrap_or(0.0) + reserved >= self.max_cpu {
            return Some(Obstacle::Cpu { used: reading.cpu, reserved, max: self.max_cpu });
        }
        let vram = reading.vram.filter(|_| self.worker_vram > 0)?;
        let reserved = self.reserved_vram(now);
        (vram.free < reserved.saturating_add(self.worker_vram)).then_some(Obstacle::Vram {
            free: vram.free,
            reserved,
            needed: self.worker_vram,
        })
    }

    /// Percent of the machine held for workers released a moment ago.
    pub fn reserved_cpu(&mut self, now: Duration) -> f64 {
        self.reservations(now) as f64 * self.worker_cpu
    }

    /// Bytes held for workers released a moment ago.
    pub fn reserved_vram(&mut self, now: Duration) -> u64 {
        self.worker_vram.saturating_mul(self.reservations(now) as u64)
    }

    /// Reservations that still hold; one made at `t` ends at `t + reserve`.
    fn reservations(&mut self, now: Duration) -> usize {
        while self.reserved_until.front().is_some_and(|end| *end <= now) {
            self.reserved_until.pop_front();
        }
        self.reserved_until.len()
    }

    /// When the next reservation ends, so that the caller looks again then.
    pub fn next_end(&self) -> Option<Duration> {
        self.reserved_until.front().copied()
    }

    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How long the first in the queue has waited.
    pub fn longest_wait(&self, now: Duration) -> Option<Duration> {
        self.queue.front().map(|(_, since)| now.saturating_sub(*since))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // the figures are exact
mod tests {
    use super::*;
    use crate::dispatch::sensors::Vram;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn gate(settings: &Settings, clients: usize) -> Gate {
        let mut gate = Gate::new(settings);
        for client in 0..clients {
            assert_eq!(gate.enter(client, Duration::ZERO), client);
        }
        gate
    }

    fn cpu(cpu: f64) -> Reading {
        Reading { cpu: Some(cpu), vram: None }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Clients released at this moment.
    fn released(gate: &mut Gate, reading: Reading, millis: u64) -> Vec<Client> {
        std::iter::from_fn(|| gate.release(&reading, at(millis)).map(|release| release.client)).collect()
    }

    #[test]
    fn an_idle_machine_takes_as_many_workers_as_fit_below_the_maximum() {
        // 0, 20, 40 and 60 are below 80; 80 is not.
        assert_eq!(released(&mut gate(&Settings::default(), 9), cpu(0.0), 0), [0, 1, 2, 3]);
        // 59.9 and 79.9 are below 80.
        assert_eq!(released(&mut gate(&Settings::default(), 9), cpu(59.9), 0), [0, 1]);
        assert_eq!(released(&mut gate(&Settings::default(), 9), cpu(80.0), 0), [0; 0]);
    }

    #[test]
    fn a_reservation_holds_for_exactly_its_time() {
        let mut gate = gate(&Settings::default(), 9);
        assert_eq!(released(&mut gate, cpu(50.0), 1_000), [0, 1]);
        // The workers show in the readings now, and are still reserved: 70 + 40.
        assert_eq!(released(&mut gate, cpu(70.0), 10_999), [0; 0]);
        assert_eq!(gate.next_end(), Some(at(11_000)));
        // The reservations are over: 70 < 80, then 70 + 20.
        assert_eq!(released(&mut gate, cpu(70.0), 11_000), [2]);
        assert_eq!(released(&mut gate, cpu(59.0), 20_999), [3]);
        assert_eq!(gate.reserved_cpu(at(20_999)), 40.0);
        assert_eq!(gate.reserved_cpu(at(21_000)), 20.0);
        assert_eq!(gate.reserved_cpu(at(30_999)), 0.0);
        assert_eq!(gate.next_end(), None);
    }

    #[test]
    fn vram_is_kept_for_workers_that_have_not_loaded_yet() {
        let settings = Settings { worker_cpu: 1.0, max_cpu: 100.0, ..Settings::default() };
        let mut gate = gate(&settings, 9);
        let free = |free| Reading { cpu: Some(0.0), vram: Some(Vram { total: 16 * GIB, free }) };
        // 8 − 0 ≥ 3 and 8 − 3 ≥ 3, but 8 − 6 < 3.
        assert_eq!(released(&mut gate, free(8 * GIB), 0), [0, 1]);
        // Both have loaded and are still reserved.
        assert_eq!(released(&mut gate, free(2 * GIB), 9_999), [0; 0]);
        assert_eq!(
            gate.obstacle(&free(2 * GIB), at(9_999)),
            Some(Obstacle::Vram { free: 2 * GIB, reserved: 6 * GIB, needed: 3 * GIB })
        );
        // One let go of its filters.
        assert_eq!(released(&mut gate, free(5 * GIB), 10_000), [2]);
        // Exactly enough is enough: 6 − 3 ≥ 3.
        assert_eq!(released(&mut gate, free(6 * GIB), 10_001), [3]);
    }

    #[test]
    fn with_unknown_cpu_use_reservations_alone_hold_workers_back() {
        let unknown = Reading { cpu: None, vram: None };
        let mut gate = gate(&Settings::default(), 9);
        assert_eq!(released(&mut gate, unknown, 0), [0, 1, 2, 3]);
        let obstacle = gate.obstacle(&unknown, Duration::ZERO).unwrap().to_string();
        assert_eq!(obstacle, "CPU: unknown use and 80 % reserved, must be below 80 %");
    }

    #[test]
    fn without_a_vram_reading_or_need_only_cpu_counts() {
        let full = Reading { cpu: Some(0.0), vram: Some(Vram { total: GIB, free: 0 }) };
        let cpu_only = Settings { worker_vram: 0, ..Settings::default() };
        assert_eq!(released(&mut gate(&cpu_only, 1), full, 0), [0]);
        assert_eq!(released(&mut gate(&Settings::default(), 1), full, 0), [0; 0]);
        assert_eq!(released(&mut gate(&Settings::default(), 1), cpu(0.0), 0), [0]);
    }

    #[test]
    fn who_leaves_takes_nobody_elses_place() {
        let mut gate = gate(&Settings::default(), 5);
        gate.leave(0);
        gate.leave(3);
        gate.leave(77);
        assert_eq!(gate.enter(9, at(5)), 3);
        assert_eq!(gate.waiting(), 4);
        assert_eq!(released(&mut gate, cpu(0.0), 10), [1, 2, 4, 9]);
        // An empty queue releases nobody and reserves nothing.
        assert_eq!(released(&mut gate, cpu(0.0), 20_000), [0; 0]);
        assert_eq!(gate.reserved_cpu(at(20_000)), 0.0);
        assert_eq!(gate.longest_wait(at(20_000)), None);
    }

    #[test]
    fn waiting_times_count_from_entering() {
        let mut gate = Gate::new(&Settings::default());
        gate.enter(4, at(1_500));
        assert_eq!(gate.longest_wait(at(2_000)), Some(at(500)));
        assert_eq!(gate.release(&cpu(0.0), at(4_000)), Some(Release { client: 4, waited: at(2_500) }));
    }

    proptest! {
        /// Whatever the readings, releases come in order of arrival, and never
        /// more hold a reservation at once than the maximum allows.
        #[test]
        fn order_and_limit_hold_under_any_readings(
            readings in proptest::collection::vec((0.0..120.0f64, 1u64..4_000), 1..200),
            worker_cpu in 1.0..60.0f64,
        ) {
            let settings = Settings { worker_cpu, max_cpu: 100.0 - worker_cpu, ..Settings::default() };
            let mut gate = gate(&settings, 300);
            let (mut now, mut next, mut recent) = (0, 0, Vec::<u64>::new());
            for (used, step) in readings {
                now += step;
                recent.retain(|released| released + 10_000 > now);
                for client in released(&mut gate, cpu(used), now) {
                    prop_assert_eq!(client, next);
                    next += 1;
                    prop_assert!(used + recent.len() as f64 * worker_cpu < settings.max_cpu);
                    recent.push(now);
                }
            }
        }
    }
}
