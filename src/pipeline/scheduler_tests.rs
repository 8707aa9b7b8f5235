use super::*;
use anyhow::bail;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Two probes a scene; keeps a log and the highest counts seen.
#[derive(Default)]
struct Script {
    log: Mutex<Vec<(Kind, usize, usize)>>,
    encoding: AtomicUsize,
    most_encoding: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    fails: Vec<usize>,
    starts_at_score: Vec<usize>,
    scoring: Duration,
}

impl Work for Script {
    fn first(&self, scene: usize) -> Result<Step> {
        if self.starts_at_score.contains(&scene) {
            return Ok(Step::Score { probe: 1, crf: 40.0 });
        }
        Ok(Step::Encode { probe: 0, crf: 24.0 })
    }

    fn encode(&self, scene: usize, probe: usize, _: f64) -> Result<()> {
        let now = self.encoding.fetch_add(1, SeqCst) + 1;
        self.most_encoding.fetch_max(now, SeqCst);
        if probe == 0 {
            let kept = self.in_flight.fetch_add(1, SeqCst) + 1;
            self.most_in_flight.fetch_max(kept, SeqCst);
        }
        self.log.lock().unwrap().push((Kind::Encode, scene, probe));
        thread::sleep(Duration::from_millis(2));
        self.encoding.fetch_sub(1, SeqCst);
        if self.fails.contains(&scene) {
            bail!("encoder crashed");
        }
        Ok(())
    }

    fn score(&self, scene: usize, probe: usize, _: f64) -> Result<Step> {
        self.log.lock().unwrap().push((Kind::Score, scene, probe));
        thread::sleep(self.scoring);
        Ok(if probe == 0 { Step::Encode { probe: 1, crf: 40.0 } } else { Step::Done })
    }

    fn release(&self, scene: usize) {
        if !self.starts_at_score.contains(&scene) {
            self.in_flight.fetch_sub(1, SeqCst);
        }
    }
}

fn chains(weights: &[u64]) -> Vec<Chain> {
    weights.iter().map(|&weight| Chain { weight, bytes: 10 }).collect()
}

fn limits(workers: usize, memory: u64) -> Limits {
    Limits { workers, scorers: 2, memory, staged: false }
}

#[test]
fn every_scene_is_probed_twice_and_the_longest_starts_first() {
    let work = Script::default();
    let failed = run(&chains(&[5, 50, 20, 40]), &limits(1, u64::MAX), &work, &Cancel::new()).unwrap();
    assert!(failed.is_empty());
    let log = work.log.into_inner().unwrap();
    assert_eq!(log.len(), 16);
    assert_eq!(log[0], (Kind::Encode, 1, 0));
    let firsts: Vec<usize> = log.iter().filter(|l| l.0 == Kind::Encode && l.2 == 0).map(|l| l.1).collect();
    assert_eq!(firsts, [1, 3, 2, 0]);
}

#[test]
fn workers_and_memory_are_never_exceeded() {
    let work = Script::default();
    run(&chains(&[7; 20]), &limits(3, 45), &work, &Cancel::new()).unwrap();
    assert!(work.most_encoding.load(SeqCst) <= 3);
    assert!(work.most_in_flight.load(SeqCst) <= 4);
    // A scene larger than the whole budget still runs, alone.
    let work = Script::default();
    run(&chains(&[7; 4]), &limits(3, 1), &work, &Cancel::new()).unwrap();
    assert_eq!(work.most_in_flight.load(SeqCst), 1);
}

#[test]
fn staged_runs_finish_a_phase_before_the_next() {
    let work = Script::default();
    let staged = Limits { staged: true, ..limits(2, 10) };
    run(&chains(&[1, 2, 3, 4, 5]), &staged, &work, &Cancel::new()).unwrap();
    let phases: Vec<(usize, Kind)> = work.log.into_inner().unwrap().iter().map(|l| (l.2, l.0)).collect();
    assert!(phases.is_sorted(), "{phases:?}");
}

#[test]
fn a_failed_scene_leaves_the_others_alone() {
    let work = Script { fails: vec![2], ..Script::default() };
    let failed = run(&chains(&[1; 6]), &limits(2, 100), &work, &Cancel::new()).unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0, 2);
    assert_eq!(work.log.into_inner().unwrap().iter().filter(|l| l.0 == Kind::Score).count(), 10);
}

#[test]
fn when_the_first_scenes_all_fail_the_run_stops() {
    let work = Script { fails: (0..50).collect(), ..Script::default() };
    let error = run(&chains(&[1; 50]), &limits(1, 100), &work, &Cancel::new()).unwrap_err();
    assert!(format!("{error:#}").contains("all failed"), "{error:#}");
    assert!(format!("{error:#}").contains("encoder crashed"), "{error:#}");
    assert!(work.log.into_inner().unwrap().len() < 10);
}

#[test]
fn a_resumed_scene_starts_where_it_was() {
    let work = Script { starts_at_score: vec![0], ..Script::default() };
    run(&chains(&[1, 1]), &limits(1, 100), &work, &Cancel::new()).unwrap();
    let log = work.log.into_inner().unwrap();
    assert_eq!(log.iter().filter(|l| l.1 == 0).count(), 1);
    assert_eq!(log.iter().filter(|l| l.1 == 1).count(), 4);
}

/// Two resumed scenes of the greatest weight, and room for one scene.
#[test]
fn resumed_scenes_beyond_the_memory_do_not_block_those_in_flight() {
    let work = Script { starts_at_score: vec![0, 1], ..Script::default() };
    let failed = run(&chains(&[9, 9, 1, 1, 1]), &limits(2, 10), &work, &Cancel::new()).unwrap();
    assert!(failed.is_empty());
    assert_eq!(work.log.into_inner().unwrap().len(), 2 + 3 * 4);
}

#[test]
fn encoders_that_are_faster_than_the_scoring_wait_for_it() {
    let work = Script { scoring: Duration::from_millis(20), ..Script::default() };
    run(&chains(&[7; 12]), &limits(2, u64::MAX), &work, &Cancel::new()).unwrap();
    assert!(work.most_in_flight.load(SeqCst) <= 5);
}

#[test]
fn cancelling_ends_it_as_interrupted() {
    let cancel = Cancel::new();
    cancel.cancel();
    let error = run(&chains(&[1; 9]), &limits(2, 100), &Script::default(), &cancel).unwrap_err();
    assert!(error.is::<Interrupted>());
}
