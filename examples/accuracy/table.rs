//! The tables, as Markdown.

use std::fmt::Write as _;

use super::allocations::Allocation;
use super::bench::Row;

/// One line for each clip and variant.
pub fn accuracy(rows: &[Row]) -> String {
    let mut text = String::from(
        "| clip | variant | scenes | probes a scene | boost CPU s | bare probes CPU s | boost / bare | total CPU s \
         | total wall s | MAE | bias | sd | within ±1 (5 %) | ±1.2 (6 %) | ±2 (10 %) | clamped | bytes |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let judged = &row.judged;
        let percent = judged.within.map(|share| format!("{:.0} %", share * 100.0));
        let probes = row.probes.map_or("?".into(), |probes| match row.calibrations {
            0.0 => format!("{probes:.2}"),
            more => format!("{probes:.2} + {more:.2}"),
        });
        let (boost, ratio) = row.boost.map_or(("–".into(), "–".into()), |boost| {
            (format!("{:.1}", boost.cpu), format!("{:.2}", boost.cpu / row.bare.cpu))
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {probes} | {boost} | {:.1} | {ratio} | {:.1} | {:.1} | {:.2} | {:+.2} | {:.2} | {} | {} \
             | {} | {} | {} |",
            row.clip,
            row.variant,
            judged.scenes.len(),
            row.bare.cpu,
            row.total.cpu,
            row.total.wall,
            judged.mae,
            judged.bias,
            judged.sd,
            percent[0],
            percent[1],
            percent[2],
            judged.clamped,
            row.bytes,
        );
    }
    text
}

/// Two lines for each clip and variant: one CRF for all, and boosted.
pub fn allocations(allocations: &[Allocation]) -> String {
    let mut text = String::from(
        "| clip | allocation | bytes | mean of frames | sd | worst 5 % begin at | worst scene |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Allocation { clip, name, bytes, mean, sd, p5, worst_scene } in allocations {
        let _ = writeln!(
            text,
            "| {clip} | {name} | {bytes} | {mean:.2} | {sd:.2} | {p5:.2} | {worst_scene:.2} |"
        );
    }
    text
}
