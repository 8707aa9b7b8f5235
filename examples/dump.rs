use progression_boost::{
    analysis::*,
    source::*,
    support::{cancel::Cancel, events::Events},
};
fn main() {
    let p = std::env::args().nth(1).unwrap();
    let dir = std::env::temp_dir();
    let clip =
        open(std::path::Path::new(&p), &OpenOptions { index_folder: Some(dir), ..OpenOptions::default() })
            .unwrap();
    let t = std::time::Instant::now();
    let a = analyse(
        &clip,
        &[Detector::Builtin, Detector::Av1anFast, Detector::Av1an].into(),
        AnalysisOptions::default(),
        &Events::silent(),
        &Cancel::new(),
    )
    .unwrap();
    eprintln!("{:.1} fps", clip.info().frames as f64 / t.elapsed().as_secs_f64());
    let b = a.builtin.unwrap();
    for n in 0..b.cuts.len() {
        println!(
            "{n},{:.4},{},{:.4},{},{}",
            b.contrast[n],
            b.cuts[n] as u8,
            a.luma.diff[n],
            a.av1an.as_ref().unwrap()[n].cut as u8,
            a.av1an_fast.as_ref().unwrap()[n].cut as u8
        );
    }
}
