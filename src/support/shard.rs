//! Parts of work that several machines share, without talking to each other: the same
//! list of expected work comes to the same parts everywhere.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// One of several parts of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: usize,
    of: usize,
}

impl Shard {
    /// Number `number` of `of`, both from 1.
    pub fn new(number: usize, of: usize) -> Result<Self> {
        if number < 1 || of < number {
            bail!("shard {number}/{of}: write I/N with I from 1 to N");
        }
        Ok(Self { number, of })
    }

    /// From 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// How the journals of this part's processes begin.
    pub fn journal(self) -> String {
        format!("{}-of-{}", self.number, self.of)
    }

    /// How many parts there were where a journal's name tells.
    pub fn of_journal(name: &str) -> Option<usize> {
        let (parts, _) = name.split_once('.')?;
        let (_, of) = parts.split_once("-of-")?;
        of.parse().ok()
    }

    /// Which items of `work` are in this part.
    pub fn share(self, work: &[f64]) -> Vec<bool> {
        share_out(work, self.of).into_iter().map(|part| part == Some(self.number)).collect()
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((number, of)) => Self::new(number, of),
            None => bail!("shard {text}: write I/N, such as 2/8"),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// The part of each item, from 1: the heaviest first, each to the part with the least
/// work so far. Items without work are in none. All machines must come to the same.
pub fn share_out(work: &[f64], parts: usize) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..work.len()).filter(|&item| work[item] > 0.0).collect();
    order.sort_by(|&a, &b| work[b].total_cmp(&work[a]).then(a.cmp(&b)));
    let mut queue: std::collections::BinaryHeap<Reverse<(Total, usize)>> =
        (1..=parts).map(|part| Reverse((Total(0.0), part))).collect();
    let mut shares = vec![None; work.len()];
    for item in order {
        let Some(Reverse((Total(total), part))) = queue.pop() else { break };
        shares[item] = Some(part);
        queue.push(Reverse((Total(total + work[item]), part)));
    }
    shares
}

#[derive(PartialEq)]
struct Total(f64);

impl Eq for Total {}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_equal_work_and_not_of_equal_count() {
        // 100 | 60 + 30 + 20 | 50 + 40, and nothing of what needs nothing.
        let work = [20.0, 60.0, 0.0, 100.0, 30.0, 50.0, 40.0];
        let one = |n| Shard::new(n, 3).unwrap().share(&work);
        assert_eq!(one(1), [false, false, false, true, false, false, false]);
        // 40 goes to the 50, then 30 to the 60; of the two at 90 the first gets the 20.
        assert_eq!(one(2), [true, true, false, false, true, false, false]);
        assert_eq!(one(3), [false, false, false, false, false, true, true]);
        let shares = share_out(&work, 3);
        assert_eq!(shares[0], Some(2));
        assert_eq!(shares[2], None);
    }

    #[test]
    fn every_item_is_in_exactly_one_part_however_many_there_are() {
        let work: Vec<f64> = (1..100).map(|n| f64::from(n % 17)).collect();
        for of in [1, 2, 7, 200] {
            let mut times = vec![0; work.len()];
            for number in 1..=of {
                let share = Shard::new(number, of).unwrap().share(&work);
                times.iter_mut().zip(share).for_each(|(times, mine)| *times += usize::from(mine));
            }
            assert!(times.iter().zip(&work).all(|(times, work)| *times == usize::from(*work > 0.0)));
        }
    }

    #[test]
    fn parts_are_written_as_people_count() {
        assert_eq!("2/8".parse::<Shard>().unwrap(), Shard::new(2, 8).unwrap());
        for wrong in ["0/8", "9/8", "1", "/8", "1/0", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        let shard = Shard::new(2, 8).unwrap();
        assert_eq!(Shard::of_journal(&format!("{}.x1y2.ndjson", shard.journal())), Some(8));
        assert_eq!(Shard::of_journal("plan.x1y2.ndjson"), None);
    }
}
