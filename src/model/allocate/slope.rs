//! The least damage for the bits.

use super::super::Goal;
use super::even;
use super::{Allocation, Held, OutOfReach, Scene, power};

/// The fewest bytes with which the whole has the goal's target, to the nearest
/// choice, and no scene is worse than `floor`, a score (one that is worse at its finest
/// is given that).
pub fn slope(scenes: &[Scene], goal: &Goal, floor: Option<f64>) -> Allocation {
    let frames: f64 = scenes.iter().map(|scene| scene.frames).sum();
    let damage = goal.distortion(goal.target);
    let wanted = frames * damage.powf(power(goal));
    let mut search = Search::new(scenes, goal, floor);
    search.down_to(wanted);
    search.no_worse_than(&even::chosen(scenes, damage), f64::INFINITY);
    search.finish(goal.target)
}

/// The least damage in at most this many bytes, with the floor as above. The goal's
/// target does not count.
pub fn slope_of_size(
    scenes: &[Scene],
    goal: &Goal,
    floor: Option<f64>,
    bytes: f64,
) -> Result<Allocation, OutOfReach> {
    let mut search = Search::new(scenes, goal, floor);
    let largest = scenes.iter().map(|scene| scene.choices[0].bytes.value).sum();
    OutOfReach::check(bytes, search.bytes(&search.chosen), largest)?;
    search.up_to(bytes);
    if let Ok(damage) = even::damage_of_size(scenes, bytes) {
        search.no_worse_than(&even::chosen(scenes, damage), bytes);
    }
    let target = goal.score((search.cost(&search.chosen) / search.frames()).powf(1.0 / power(goal)));
    Ok(search.finish(target))
}

/// From one choice of a scene's hull to the next finer one.
struct Step {
    scene: usize,
    from: usize,
    to: usize,
    /// Cost saved, bytes spent.
    saved: f64,
    spent: f64,
}

/// Where the search is, from the coarsest allowed choices on to finer ones.
struct Search<'a> {
    scenes: &'a [Scene],
    goal: &'a Goal,
    /// The coarsest choice that the floor allows, of each scene.
    limits: Vec<usize>,
    chosen: Vec<usize>,
    /// The most saving for each byte first. Within a scene this is from coarse to
    /// fine, because hulls are convex; so where the search stops, all steps taken are
    /// at least as steep as λ and all others at most.
    steps: Vec<Step>,
}

impl<'a> Search<'a> {
    fn new(scenes: &'a [Scene], goal: &'a Goal, floor: Option<f64>) -> Self {
        let most = floor.map_or(f64::INFINITY, |floor| goal.distortion(floor));
        let limit = |scene: &Scene| {
            scene.choices.partition_point(|choice| choice.damage.value <= most).saturating_sub(1)
        };
        let limits: Vec<usize> = scenes.iter().map(limit).collect();
        let (mut chosen, mut steps) = (Vec::new(), Vec::new());
        for (index, (scene, &limit)) in scenes.iter().zip(&limits).enumerate() {
            let hull = hull(scene, limit, goal);
            chosen.push(hull[0]);
            steps.extend(hull.windows(2).map(|pair| {
                let (from, to) = (pair[0], pair[1]);
                let bytes = |choice: usize| scene.choices[choice].bytes.value;
                let saved = scene.cost(from, goal) - scene.cost(to, goal);
                Step { scene: index, from, to, saved, spent: bytes(to) - bytes(from) }
            }));
        }
        // Stable: of equal steps the earlier scene's first.
        steps.sort_by(|a, b| (b.saved / b.spent).total_cmp(&(a.saved / a.spent)));
        Self { scenes, goal, limits, chosen, steps }
    }

    fn bytes(&self, chosen: &[usize]) -> f64 {
        self.scenes.iter().zip(chosen).map(|(scene, &choice)| scene.choices[choice].bytes.value).sum()
    }

    fn cost(&self, chosen: &[usize]) -> f64 {
        self.scenes.iter().zip(chosen).map(|(scene, &choice)| scene.cost(choice, self.goal)).sum()
    }

    fn frames(&self) -> f64 {
        self.scenes.iter().map(|scene| scene.frames).sum()
    }

    /// Takes steps while they fit; of the first that does not fit, as much as fits.
    fn up_to(&mut self, bytes: f64) {
        let mut room = bytes * (1.0 + OutOfReach::SLACK) - self.bytes(&self.chosen);
        for step in &self.steps {
            if step.spent > room {
                let scene = &self.scenes[step.scene];
                let base = scene.choices[step.from].bytes.value;
                // Finer choices are never worse, so the finest that fits is the best.
                let fits = |choice: &usize| scene.choices[*choice].bytes.value - base <= room;
                self.chosen[step.scene] = (step.to..=step.from).find(fits).unwrap_or(step.from);
                return;
            }
            room -= step.spent;
            self.chosen[step.scene] = step.to;
        }
    }

    /// Takes steps until the cost is down to `wanted`; of the last one, as much as
    /// comes nearest to it.
    fn down_to(&mut self, wanted: f64) {
        let mut excess = self.cost(&self.chosen) - wanted;
        for step in &self.steps {
            if excess <= 0.0 {
                return;
            }
            if step.saved >= excess {
                let scene = &self.scenes[step.scene];
                let aim = scene.cost(step.from, self.goal) - excess;
                let miss = |choice: usize| (scene.cost(choice, self.goal) - aim).abs();
                // The last of equals in this order is the finest, so coarse ones come last.
                self.chosen[step.scene] = (step.to..=step.from)
                    .rev()
                    .min_by(|&a, &b| miss(a).total_cmp(&miss(b)))
                    .unwrap_or(step.to);
                return;
            }
            excess -= step.saved;
            self.chosen[step.scene] = step.to;
        }
    }

    /// With few scenes and coarse steps, choices off the hull may use the bytes
    /// better, and `even`'s are at hand: they are taken when they do no more damage in
    /// no more bytes, of what was found or of `room` if that is less.
    fn no_worse_than(&mut self, even: &[usize], room: f64) {
        let allowed = even.iter().zip(&self.limits).all(|(choice, limit)| choice <= limit);
        let own = if room.is_finite() { room * (1.0 + OutOfReach::SLACK) } else { self.bytes(&self.chosen) };
        let better = self.bytes(even) <= own && self.cost(even) < self.cost(&self.chosen);
        if allowed && better {
            self.chosen = even.to_vec();
        }
    }

    fn finish(self, target: f64) -> Allocation {
        let held = |scene: usize, choice: usize| match choice {
            0 => Some(Held::Finest),
            coarsest if coarsest == self.scenes[scene].coarsest() => Some(Held::Coarsest),
            limit if limit == self.limits[scene] => Some(Held::Floor),
            _ => None,
        };
        Allocation::new(self.scenes, self.goal, target, &self.chosen, held)
    }
}

/// The choices on the lower convex hull of (bytes, cost), coarsest first, of those not
/// coarser than `limit`. Each next one is larger and costs less.
fn hull(scene: &Scene, limit: usize, goal: &Goal) -> Vec<usize> {
    let point = |choice: usize| (scene.choices[choice].bytes.value, scene.cost(choice, goal));
    // Cost saved for each byte from a to b.
    let gain = |a: usize, b: usize| {
        let ((ax, ay), (bx, by)) = (point(a), point(b));
        (ay - by) / (bx - ax)
    };
    let mut hull: Vec<usize> = Vec::new();
    for choice in (0..=limit).rev() {
        let (bytes, cost) = point(choice);
        if hull.last().is_some_and(|&last| point(last).1 <= cost) {
            continue;
        }
        while hull.pop_if(|last| point(*last).0 >= bytes).is_some() {}
        while let [.., before, last] = hull[..]
            && gain(before, last) <= gain(last, choice)
        {
            hull.pop();
        }
        hull.push(choice);
    }
    hull
}
