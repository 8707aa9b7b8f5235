//! Medians and percentiles.

/// The median; of an even number of values the mean of the middle two. `None`
/// of no values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| percentile(&values, 50.0))
}

/// The `p`-th percentile, 0 to 100, of an ascending list that is not empty;
/// between two values it is interpolated linearly.
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * p / 100.0;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The `p`-th percentile of the absolute deviations from the `p`-th percentile
/// of an ascending list; at 50 it is the MAD, the median absolute deviation.
pub fn deviation_percentile(sorted: &[f64], p: f64) -> f64 {
    let centre = percentile(sorted, p);
    let mut deviations: Vec<f64> = sorted.iter().map(|s| (s - centre).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    percentile(&deviations, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_worked_by_hand() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let six = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
        assert!((percentile(&six, 15.0) - 17.5).abs() < 1e-12);
        assert!((percentile(&six, 100.0) - 60.0).abs() < 1e-12);
        // Deviations from 3: 2, 1, 0, 1, 2.
        assert!((deviation_percentile(&[1.0, 2.0, 3.0, 4.0, 5.0], 50.0) - 1.0).abs() < 1e-12);
    }
}
