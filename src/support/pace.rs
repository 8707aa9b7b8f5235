//! How long stages still take, from what was heard of them.

use std::time::Instant;

use super::events::Event;

/// The stages that run.
#[derive(Debug, Default)]
pub struct Pace(Vec<Stage>);

#[derive(Debug)]
struct Stage {
    name: &'static str,
    total: u64,
    done: u64,
    /// What a unit takes, where stages run side by side and share the machine.
    work: Option<f64>,
    began: Instant,
}

impl Pace {
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::StageStarted { stage: name, total, .. } => {
                self.0.push(Stage { name, total: *total, done: 0, work: None, began: Instant::now() });
            }
            Event::StageWork { stage, work } => self.change(stage, |known| known.work = Some(*work)),
            Event::StageProgress { stage, done } => self.change(stage, |known| known.done = *done),
            Event::StageFinished { stage, .. } => self.0.retain(|known| known.name != *stage),
            _ => {}
        }
    }

    fn change(&mut self, stage: &str, change: impl FnOnce(&mut Stage)) {
        if let Some(known) = self.0.iter_mut().find(|known| known.name == stage) {
            change(known);
        }
    }

    /// Seconds until `stage` is over when all goes on as it did; `None` where nothing
    /// tells. Stages with work are over together: none gets the machine for itself.
    pub fn left(&self, stage: &str) -> Option<f64> {
        self.left_at(stage, Instant::now())
    }

    fn left_at(&self, stage: &str, now: Instant) -> Option<f64> {
        let asked = self.0.iter().find(|known| known.name == stage)?;
        let beside = |known: &&Stage| known.name == stage || (asked.work.is_some() && known.work.is_some());
        let (mut done, mut open, mut began) = (0.0, 0.0, asked.began);
        for known in self.0.iter().filter(beside) {
            let work = known.work.unwrap_or(1.0);
            done += known.done as f64 * work;
            open += known.total.saturating_sub(known.done) as f64 * work;
            began = began.min(known.began);
        }
        let seconds = now.saturating_duration_since(began).as_secs_f64();
        (done > 0.0 && asked.total > 0).then(|| open * seconds / done)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stages_that_share_the_machine_are_over_together() {
        let mut pace = Pace::default();
        let started = |stage, total| Event::StageStarted { stage, total, unit: "frames" };
        for event in [
            started("Analysis", 50),
            started("Probing", 100),
            started("Encoding", 100),
            Event::StageWork { stage: "Probing", work: 1.0 },
            Event::StageWork { stage: "Encoding", work: 3.0 },
            Event::StageProgress { stage: "Probing", done: 70 },
            Event::StageProgress { stage: "Encoding", done: 10 },
        ] {
            pace.hear(&event);
        }
        let began = pace.0[1].began;
        pace.0.iter_mut().for_each(|stage| stage.began = began);
        let left = |pace: &Pace, stage| pace.left_at(stage, began + Duration::from_secs(10));
        // 70 + 30 of 400 in 10 s; the other 300 take 30.
        for stage in ["Probing", "Encoding"] {
            assert!((left(&pace, stage).unwrap() - 30.0).abs() < 1e-6);
        }
        // One without work is by itself.
        assert_eq!(left(&pace, "Analysis"), None);
        pace.hear(&Event::StageProgress { stage: "Analysis", done: 10 });
        assert!((left(&pace, "Analysis").unwrap() - 40.0).abs() < 1e-6);
        pace.hear(&Event::StageFinished { stage: "Probing", seconds: 10.0 });
        assert!((left(&pace, "Encoding").unwrap() - 90.0).abs() < 1e-6);
        assert_eq!(left(&pace, "Probing"), None);
    }
}
