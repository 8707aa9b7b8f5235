//! How many encoders work at once where nobody says: the gate's policy, applied to our own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::sensors::{INTERVAL, Machine, Reading, Vram};
use super::settings::Settings;
use crate::support::events::Events;
use crate::support::machine;

/// Another encoder is let in only below this, in percent of the whole machine.
const MAX_CPU: f64 = 90.0;
/// From here on more encoders than usual only get into each other's way.
const FULL: f64 = 99.0;
/// How long an encoder that was added is not seen in readings, and the least time
/// between two that are taken away.
const SETTLES: Duration = Duration::from_secs(5);

/// What is known of one encoder before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Threads that it keeps busy.
    pub threads: usize,
    /// Bytes of RAM that it takes.
    pub memory: u64,
}

impl Share {
    /// Of an encoder for pictures of this size. SVT-AV1 takes 160 to 200 MiB at 854x480
    /// with one thread, and some more with each.
    pub fn of(threads: usize, (width, height): (usize, usize)) -> Self {
        let pixels = (width * height) as u64;
        Self { threads, memory: (64 << 20) + 300 * pixels * (1 + threads as u64) / 2 }
    }
}

/// Encoders that may work now. Watches the machine for as long as it lives.
#[derive(Debug)]
pub struct Crew {
    allowed: AtomicUsize,
    busy: AtomicUsize,
}

/// Encoders that there may be: as many as usual where the user chose that, else up to
/// one for each CPU, of whom those work that the machine has room for.
pub fn most(usual: usize, chosen: bool) -> usize {
    if chosen { usual } else { usual.max(machine::cpus()) }
}

impl Crew {
    /// Begins with `usual` encoders and has `most` at the highest.
    pub fn start(usual: usize, most: usize, share: Share, events: &Events) -> Arc<Self> {
        let crew = Arc::new(Self { allowed: AtomicUsize::new(usual), busy: AtomicUsize::new(0) });
        let settings = Settings { worker_vram: 0, ..Settings::default() };
        // Without a sensor it stays with the usual number.
        if let Ok(machine) = Machine::detect(&settings, events) {
            let policy = Policy::new(usual, most, share);
            let (watched, events) = (Arc::downgrade(&crew), events.clone());
            let work = move || watch(&watched, machine, policy, &events);
            let _ = std::thread::Builder::new().name("crew".to_owned()).spawn(work);
        }
        crew
    }

    pub fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Says how many are at work.
    pub fn tell(&self, busy: usize) {
        self.busy.store(busy, Ordering::Relaxed);
    }
}

fn watch(crew: &Weak<Crew>, mut machine: Machine, mut policy: Policy, events: &Events) {
    let started = Instant::now();
    while let Some(crew) = crew.upgrade() {
        if let Some(reading) = machine.read(events) {
            let reading = Reading { vram: Some(memory()), ..reading };
            let busy = crew.busy.load(Ordering::Relaxed);
            let before = policy.allowed;
            let now = policy.look(&reading, busy, started.elapsed());
            if now != before {
                let cpu = reading.cpu.map_or("unknown".to_owned(), |cpu| format!("{cpu:.0} %"));
                events.detail(format!("{now} encoders at once, {before} before; CPU use: {cpu}"));
                crew.allowed.store(now, Ordering::Relaxed);
            }
        }
        drop(crew);
        std::thread::sleep(INTERVAL);
    }
}

/// RAM, in the place of a GPU's memory.
fn memory() -> Vram {
    Vram { total: machine::ram(), free: machine::free_ram() }
}

/// The rule; reads neither clock nor sensor.
#[derive(Debug)]
struct Policy {
    gate: Gate,
    usual: usize,
    most: usize,
    allowed: usize,
    share: Share,
    changed: Duration,
}

impl Policy {
    fn new(usual: usize, most: usize, share: Share) -> Self {
        let settings = Settings {
            worker_cpu: 100.0 * share.threads as f64 / machine::cpus() as f64,
            max_cpu: MAX_CPU,
            worker_vram: share.memory,
            reserve: SETTLES,
            ..Settings::default()
        };
        let (gate, most) = (Gate::new(&settings), most.max(usual));
        Self { gate, usual, most, allowed: usual, share, changed: Duration::ZERO }
    }

    /// Encoders that may work when `busy` do.
    fn look(&mut self, reading: &Reading, busy: usize, now: Duration) -> usize {
        let short = reading.vram.is_some_and(|ram| ram.free < self.share.memory / 2);
        let crowded = reading.cpu.is_some_and(|cpu| cpu >= FULL) && self.allowed > self.usual;
        if short || crowded {
            if self.allowed > 1 && now >= self.changed + SETTLES {
                self.allowed = self.allowed.min(busy.max(2)) - 1;
                self.changed = now;
            }
        } else if busy >= self.allowed && self.allowed < self.most {
            self.gate.enter(0, now);
            if self.gate.release(reading, now).is_some() {
                self.allowed += 1;
                self.changed = now;
            }
            self.gate.leave(0);
        }
        self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn reading(cpu: f64, free: u64) -> Reading {
        Reading { cpu: Some(cpu), vram: Some(Vram { total: 64 * GIB, free }) }
    }

    /// Four encoders at first, eight at most, each a tenth of the machine and 1 GiB.
    fn policy() -> Policy {
        let mut policy = Policy::new(4, 8, Share { threads: 1, memory: GIB });
        let settings = Settings {
            worker_cpu: 10.0,
            max_cpu: MAX_CPU,
            worker_vram: GIB,
            reserve: SETTLES,
            ..Settings::default()
        };
        policy.gate = Gate::new(&settings);
        policy
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn encoders_are_added_while_the_machine_has_room_and_those_there_are_busy() {
        let mut policy = policy();
        // One waits for work: another would, too.
        assert_eq!(policy.look(&reading(40.0, 32 * GIB), 3, at(0)), 4);
        assert_eq!(policy.look(&reading(40.0, 32 * GIB), 4, at(1)), 5);
        // 85 and the 10 that are reserved are above 90; later they are not reserved any more.
        assert_eq!(policy.look(&reading(85.0, 32 * GIB), 5, at(2)), 5);
        assert_eq!(policy.look(&reading(85.0, 32 * GIB), 5, at(6)), 6);
        // Never without the memory for it, nor beyond the most.
        assert_eq!(policy.look(&reading(10.0, GIB - 1), 6, at(20)), 6);
        assert_eq!(policy.look(&reading(10.0, 32 * GIB), 6, at(21)), 7);
        assert_eq!(policy.look(&reading(10.0, 32 * GIB), 7, at(27)), 8);
        assert_eq!(policy.look(&reading(10.0, 32 * GIB), 8, at(40)), 8);
    }

    #[test]
    fn encoders_go_one_by_one_where_memory_runs_short_and_one_stays() {
        let mut policy = policy();
        let short = reading(50.0, GIB / 4);
        assert_eq!(policy.look(&short, 4, at(4)), 4);
        assert_eq!(policy.look(&short, 4, at(5)), 3);
        assert_eq!(policy.look(&short, 4, at(6)), 3);
        assert_eq!(policy.look(&short, 3, at(10)), 2);
        assert_eq!(policy.look(&short, 2, at(15)), 1);
        assert_eq!(policy.look(&short, 1, at(30)), 1);
    }

    #[test]
    fn a_machine_that_is_full_keeps_the_usual_number() {
        let mut policy = policy();
        assert_eq!(policy.look(&reading(100.0, 32 * GIB), 4, at(30)), 4);
        assert_eq!(policy.look(&reading(10.0, 32 * GIB), 4, at(31)), 5);
        assert_eq!(policy.look(&reading(100.0, 32 * GIB), 5, at(32)), 5);
        assert_eq!(policy.look(&reading(100.0, 32 * GIB), 5, at(36)), 4);
    }
}
