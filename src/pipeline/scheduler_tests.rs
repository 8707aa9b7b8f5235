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
    fn proceed(&self, scene: usize) -> Result<Step> {
        if self.starts_at_score.contains(&scene) {
            return Ok(Step::Score { take: 1, crf: 40.0 });
        }
        Ok(Step::Encode { take: 0, crf: 24.0 })
    }

    fn encode(&self, scene: usize, take: usize, _: f64) -> Result<()> {
        let now = self.encoding.fetch_add(1, SeqCst) + 1;
        self.most_encoding.fetch_max(now, SeqCst);
        if take == 0 {
            let kept = self.in_flight.fetch_add(1, SeqCst) + 1;
            self.most_in_flight.fetch_max(kept, SeqCst);
        }
        self.log.lock().unwrap().push((Kind::Encode, scene, take));
        thread::sleep(Duration::from_millis(2));
        self.encoding.fetch_sub(1, SeqCst);
        if self.fails.contains(&scene) {
            bail!("encoder crashed");
        }
        Ok(())
    }

    fn score(&self, scene: usize, take: usize, _: f64) -> Result<Step> {
        self.log.lock().unwrap().push((Kind::Score, scene, take));
        thread::sleep(self.scoring);
        Ok(if take == 0 { Step::Encode { take: 1, crf: 40.0 } } else { Step::Done })
    }

    fn release(&self, scene: usize) {
        if !self.starts_at_score.contains(&scene) {
            self.in_flight.fetch_sub(1, SeqCst);
        }
    }

    fn give_up(&self, _: usize) {}
}

fn chains(weights: &[u64]) -> Vec<Chain> {
    weights.iter().map(|&weight| Chain { weight, bytes: 10, urgent: false }).collect()
}

fn limits(workers: usize, memory: u64) -> Limits {
    Limits { workers, crew: None, scorers: 2, memory, staged: false }
}

#[test]
fn every_scene_is_probed_twice_and_the_last_ones_the_longest_first() {
    let work = Script::default();
    let failed = run(&chains(&[5, 50, 20, 40]), &limits(1, u64::MAX), &work, &Cancel::new()).unwrap();
    assert!(failed.is_empty());
    let log = work.log.into_inner().unwrap();
    assert_eq!(log.len(), 16);
    assert_eq!(log[0], (Kind::Encode, 0, 0));
    let firsts: Vec<usize> = log.iter().filter(|l| l.0 == Kind::Encode && l.2 == 0).map(|l| l.1).collect();
    assert_eq!(firsts, [0, 1, 3, 2]);
}

#[test]
fn scenes_follow_the_clip_and_the_last_quarter_goes_the_longest_first() {
    let weights = [5, 9, 1, 8, 2, 7, 3, 6, 4, 3];
    let order = |workers| {
        let ranks = ranks(&chains(&weights), workers);
        let mut scenes: Vec<usize> = (0..weights.len()).collect();
        scenes.sort_by_key(|&scene| std::cmp::Reverse(ranks[scene]));
        scenes
    };
    // 12 of 48 are in the last three: 6, 4 and 3.
    assert_eq!(order(1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Two workers have six scenes at the end.
    assert_eq!(order(2), [0, 1, 2, 3, 5, 7, 8, 6, 9, 4]);
    assert_eq!(order(9), [1, 3, 5, 7, 0, 8, 6, 9, 4, 2]);
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

/// The first `pilots` scenes are probed twice; the others, and the pilots for
/// their third probe, wait until all pilots have two scores or failed.
#[derive(Default)]
struct School {
    pilots: usize,
    fails: Vec<usize>,
    /// Probes scored before the run began, by scene.
    before: Vec<usize>,
    scores: Mutex<Vec<usize>>,
    given_up: Mutex<Vec<usize>>,
    log: Mutex<Vec<(Kind, usize, usize)>>,
    /// Scenes between their first encode and their release.
    holding: Mutex<Vec<usize>>,
    most_holding: AtomicUsize,
}

impl School {
    fn new(pilots: usize, scenes: usize) -> Self {
        Self { pilots, scores: Mutex::new(vec![0; scenes]), ..Self::default() }
    }

    /// Runs it, and returns how often each scene was scored.
    fn run(&self, limits: &Limits) -> (Vec<usize>, Vec<usize>) {
        let scenes = self.scores.lock().unwrap().len();
        let chain = |scene| Chain { weight: scene as u64, bytes: 10, urgent: scene < self.pilots };
        let chains: Vec<Chain> = (0..scenes).map(chain).collect();
        let failed = run(&chains, limits, self, &Cancel::new()).unwrap();
        (self.scores.lock().unwrap().clone(), failed.into_iter().map(|(scene, _)| scene).collect())
    }
}

impl Work for School {
    fn proceed(&self, scene: usize) -> Result<Step> {
        let mut scores = self.scores.lock().unwrap();
        if let Some(&before) = self.before.get(scene) {
            scores[scene] = scores[scene].max(before);
        }
        let given_up = self.given_up.lock().unwrap();
        let open = (0..self.pilots).any(|pilot| scores[pilot] < 2 && !given_up.contains(&pilot));
        let take = scores[scene];
        Ok(match take {
            3 => Step::Done,
            2 if scene >= self.pilots => Step::Done,
            1 if scene >= self.pilots && open => Step::Wait,
            2 if open => Step::Wait,
            _ => Step::Encode { take, crf: 24.0 },
        })
    }

    fn encode(&self, scene: usize, take: usize, _: f64) -> Result<()> {
        self.log.lock().unwrap().push((Kind::Encode, scene, take));
        if take == 0 {
            let mut holding = self.holding.lock().unwrap();
            holding.push(scene);
            self.most_holding.fetch_max(holding.len(), SeqCst);
        }
        thread::sleep(Duration::from_millis(1));
        if self.fails.contains(&scene) {
            bail!("encoder crashed");
        }
        Ok(())
    }

    fn score(&self, scene: usize, take: usize, _: f64) -> Result<Step> {
        self.log.lock().unwrap().push((Kind::Score, scene, take));
        self.scores.lock().unwrap()[scene] += 1;
        self.proceed(scene)
    }

    fn release(&self, scene: usize) {
        self.holding.lock().unwrap().retain(|held| *held != scene);
    }

    fn give_up(&self, scene: usize) {
        self.given_up.lock().unwrap().push(scene);
    }
}

const EXPECTED: [usize; 9] = [3, 3, 3, 2, 2, 2, 2, 2, 2];

#[test]
fn scenes_that_wait_for_pilots_go_on_whatever_the_limits() {
    for workers in [1, 2, 5] {
        for memory in [1, 10, 25, u64::MAX] {
            for staged in [false, true] {
                let school = School::new(3, 9);
                let limits = Limits { staged, ..limits(workers, memory) };
                let (scores, failed) = school.run(&limits);
                assert_eq!((&scores[..], &failed[..]), (&EXPECTED[..], &[][..]), "{workers} {memory}");
                let log = school.log.lock().unwrap();
                let at = |wanted| log.iter().position(|entry| *entry == wanted).unwrap();
                let taught = (0..3).map(|pilot| at((Kind::Score, pilot, 1))).max().unwrap();
                for scene in 3..9 {
                    assert!(at((Kind::Encode, scene, 1)) > taught, "scene {scene} did not wait");
                }
            }
        }
    }
}

#[test]
fn pilots_come_first_and_those_that_wait_hold_no_memory() {
    let school = School::new(3, 9);
    school.run(&limits(1, 10));
    let log = school.log.lock().unwrap();
    let firsts: Vec<usize> = log.iter().filter(|l| l.0 == Kind::Encode && l.2 == 0).map(|l| l.1).collect();
    // Pilots in order, then the others, the last three the longest first.
    assert_eq!(firsts, [0, 1, 2, 3, 4, 5, 8, 7, 6]);
    // Memory for one scene: the next starts only when the one before let go of it.
    assert_eq!(school.most_holding.load(SeqCst), 1);
}

#[test]
fn first_probes_of_others_go_on_while_pilots_are_slow() {
    let school = School::new(1, 6);
    school.run(&limits(3, u64::MAX));
    let log = school.log.lock().unwrap();
    let taught = log.iter().position(|l| *l == (Kind::Score, 0, 1)).unwrap();
    assert!(log[..taught].iter().any(|l| l.0 == Kind::Encode && l.1 > 0), "{log:?}");
}

#[test]
fn pilots_that_fail_keep_nobody_waiting() {
    for fails in [vec![1], vec![0, 2]] {
        let school = School { fails: fails.clone(), ..School::new(3, 9) };
        let (scores, failed) = school.run(&limits(2, 20));
        assert_eq!(failed, fails);
        for scene in (0..9).filter(|scene| !fails.contains(scene)) {
            assert_eq!(scores[scene], EXPECTED[scene], "scene {scene}");
        }
    }
}

#[test]
fn scored_scenes_that_wait_count_as_proof_that_the_encoder_works() {
    let school = School { fails: vec![3, 4, 5, 6], ..School::new(3, 9) };
    let (_, failed) = school.run(&limits(1, u64::MAX));
    assert_eq!(failed, [3, 4, 5, 6]);
}

/// Three pilots that all fail; the others wait before their first probe.
struct Broken;

impl Work for Broken {
    fn proceed(&self, scene: usize) -> Result<Step> {
        Ok(if scene < 3 { Step::Encode { take: 0, crf: 24.0 } } else { Step::Wait })
    }

    fn encode(&self, _: usize, _: usize, _: f64) -> Result<()> {
        bail!("encoder crashed")
    }

    fn score(&self, scene: usize, _: usize, _: f64) -> Result<Step> {
        self.proceed(scene)
    }

    fn release(&self, _: usize) {}

    fn give_up(&self, _: usize) {}
}

#[test]
fn scenes_that_wait_before_anything_was_done_are_no_proof() {
    let error = run(&chains(&[1; 9]), &limits(1, 100), &Broken, &Cancel::new()).unwrap_err();
    assert!(format!("{error:#}").contains("all failed"), "{error:#}");
}

#[test]
fn a_resumed_run_in_which_all_wait_goes_on() {
    for before in
        [vec![2, 2, 2, 1, 1, 1, 1, 0, 2], vec![1, 2, 0, 1, 1, 1, 1, 1, 1], vec![3, 3, 3, 2, 2, 2, 2, 2, 2]]
    {
        let school = School { before, ..School::new(3, 9) };
        assert_eq!(school.run(&limits(2, 10)).0, EXPECTED);
    }
}

/// Waits for nothing that ever comes.
struct Stuck;

impl Work for Stuck {
    fn proceed(&self, _: usize) -> Result<Step> {
        Ok(Step::Wait)
    }

    fn encode(&self, _: usize, _: usize, _: f64) -> Result<()> {
        Ok(())
    }

    fn score(&self, _: usize, _: usize, _: f64) -> Result<Step> {
        Ok(Step::Wait)
    }

    fn release(&self, _: usize) {}

    fn give_up(&self, _: usize) {}
}

#[test]
fn scenes_that_wait_for_ever_are_an_error() {
    let error = run(&chains(&[1, 2]), &limits(1, 10), &Stuck, &Cancel::new()).unwrap_err();
    assert!(format!("{error:#}").contains("scenes 0, 1 wait"), "{error:#}");
}

/// Panics where it is told to and finishes all else.
struct Faulty {
    encode: usize,
    score: usize,
    wakes: usize,
}

impl Work for Faulty {
    fn proceed(&self, scene: usize) -> Result<Step> {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        if scene == self.wakes {
            assert!(ASKED.fetch_add(1, SeqCst) == 0, "fault on waking {scene}");
            return Ok(Step::Wait);
        }
        Ok(Step::Encode { take: 0, crf: 24.0 })
    }

    fn encode(&self, scene: usize, _: usize, _: f64) -> Result<()> {
        assert!(scene != self.encode, "fault in encoding {scene}");
        Ok(())
    }

    fn score(&self, scene: usize, _: usize, _: f64) -> Result<Step> {
        assert!(scene != self.score, "fault in scoring {scene}");
        Ok(Step::Done)
    }

    fn release(&self, _: usize) {}

    fn give_up(&self, _: usize) {}
}

#[test]
fn a_panic_costs_its_scene_and_ends_no_thread() {
    let limits = Limits { workers: 1, crew: None, scorers: 1, memory: 1000, staged: false };
    let work = Faulty { encode: 1, score: 3, wakes: 5 };
    let failed = run(&chains(&[9, 8, 7, 6, 5, 4, 3]), &limits, &work, &Cancel::new()).unwrap();
    let told: Vec<(usize, String)> =
        failed.iter().map(|(scene, error)| (*scene, error.to_string())).collect();
    assert_eq!(told.iter().map(|(scene, _)| *scene).collect::<Vec<_>>(), [1, 3, 5]);
    for ((_, error), fault) in told.iter().zip(["encoding 1", "scoring 3", "waking 5"]) {
        assert!(
            error.contains(&format!("fault in {fault}")) || error.contains(&format!("fault on {fault}")),
            "{error}"
        );
    }
}
