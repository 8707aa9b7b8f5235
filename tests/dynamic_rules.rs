//! Dynamic rules: the examples of the specification, what rules can see, and
//! what happens to bad ones.

// Values are copied from presets, not computed.
#![allow(clippy::float_cmp)]

use std::time::{Duration, Instant};

use progression_boost::settings::dynamic::{Named, Rules, SceneFacts};
use progression_boost::settings::{DynamicRules, Request, Typed, resolve};

/// Scene 7: frames 100 to 104 with luma statistics easy to reckon with.
fn facts() -> SceneFacts {
    SceneFacts::new::<f64, u16>(
        7,
        100..104,
        &[0.1, 0.2, 0.3, 0.4],
        &[64, 68, 70, 62],
        &[900, 940, 920, 940],
        &[0.04, 0.01, 0.03, 0.02],
    )
}

fn crf_rule(text: &str) -> Rules {
    Rules::compile(&DynamicRules { crf: Some(text.to_owned()), ..DynamicRules::default() }).unwrap()
}

fn crf(text: &str, crf: f64) -> f64 {
    crf_rule(text).crf(&facts(), crf).unwrap()
}

fn crf_error(text: &str) -> String {
    crf_rule(text).crf(&facts(), 20.0).unwrap_err().to_string()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

const EXAMPLE: &str = "if crf < 26 { (crf/26)**0.6*26 } else { crf }";

#[test]
fn the_example_of_the_specification() {
    // (13/26)^0.6 · 26 = 2^-0.6 · 26, 2^-0.6 = 0.659753955386447
    close(crf(EXAMPLE, 13.0), 0.659_753_955_386_447 * 26.0);
    close(crf(EXAMPLE, 26.0), 26.0);
    close(crf(EXAMPLE, 30.25), 30.25);
}

#[test]
fn whole_numbers_and_fractions_mix() {
    close(crf("crf / 2", 25.0), 12.5);
    close(crf("20", 25.0), 20.0);
    close(crf("crf ** 2 / 10", 12.0), 14.4);
    close(crf("min(crf, 20)", 25.0), 20.0);
    close(crf("max(18, crf)", 12.5), 18.0);
    close(crf("max(min(crf, 22.5), 10)", 25.0), 22.5);
    close(crf("let low = 10; if luma_average < 0.3 { low } else { crf }", 25.0), 10.0);
}

#[test]
fn without_a_rule_nothing_changes() {
    let rules = Rules::compile(&DynamicRules::default()).unwrap();
    let list = ["--tune".to_owned(), "3".to_owned()];
    assert_eq!(rules.crf(&facts(), 21.25).unwrap(), 21.25);
    assert_eq!(rules.final_preset(&facts(), 21.25, 2).unwrap(), 2);
    assert_eq!(rules.final_params(&facts(), 21.25, &list).unwrap(), list);
    assert_eq!(rules.probing_params(&facts(), 21.25, &list).unwrap(), list);
    assert_eq!(rules.photon_noise(&facts(), 21.25, Some(4)).unwrap(), Some(4));
    assert_eq!(rules.encoder(&facts(), 21.25).unwrap(), None);
}

#[test]
fn rules_see_the_scene() {
    close(crf("start_frame", 0.0), 70.0);
    close(crf("(end_frame - start_frame) * 10", 0.0), 40.0);
    // Means by hand: 0.25, 66, 925, 0.025.
    close(crf("luma_average * 100", 0.0), 25.0);
    close(crf("luma_min", 0.0), 66.0);
    close(crf("luma_max / 100", 0.0), 9.25);
    close(crf("luma_diff * 1000", 0.0), 25.0);
    // Percentiles of sorted values, linear between neighbours.
    close(crf("percentile(luma_diffs, 0) * 1000", 0.0), 10.0);
    close(crf("percentile(luma_diffs, 25) * 1000", 0.0), 17.5);
    close(crf("luma_diffs.percentile(50.0) * 1000", 0.0), 25.0);
    close(crf("percentile(luma_averages, 100) * 100", 0.0), 40.0);
    close(crf("percentile(luma_mins, 50)", 0.0), 66.0);
    close(crf("percentile(luma_maxs, 50) / 100", 0.0), 9.3);
}

#[test]
fn a_crf_out_of_range_is_moved_into_it() {
    close(crf("crf - 30", 20.0), 0.0);
    close(crf("crf * 10", 20.0), 70.0);
}

#[test]
fn each_rule_returns_its_kind() {
    let rules = Rules::compile(&DynamicRules {
        crf: None,
        final_preset: Some("if crf > 35 { 4 } else { 2.0 }".to_owned()),
        final_params: Some("params + if crf < 20 { ` --sharpness '1'` } else { `` }".to_owned()),
        probing_params: Some("`--tune 2`".to_owned()),
        photon_noise: Some("if luma_average < 0.5 { 8 }".to_owned()),
        encoder: Some("if end_frame < 200 { `x265` }".to_owned()),
        probing_encoder: Some("if end_frame < 200 { `/opt/svt` }".to_owned()),
    })
    .unwrap();
    let list = ["--tune".to_owned(), "a b".to_owned()];
    assert_eq!(rules.final_preset(&facts(), 36.0, 0).unwrap(), 4);
    assert_eq!(rules.final_preset(&facts(), 35.0, 0).unwrap(), 2);
    assert_eq!(rules.final_params(&facts(), 19.0, &list).unwrap(), ["--tune", "a b", "--sharpness", "1"]);
    assert_eq!(rules.final_params(&facts(), 20.0, &list).unwrap(), list);
    assert_eq!(rules.probing_params(&facts(), 24.0, &list).unwrap(), ["--tune", "2"]);
    assert_eq!(rules.photon_noise(&facts(), 24.0, None).unwrap(), Some(8));
    assert_eq!(rules.encoder(&facts(), 24.0).unwrap(), Some(Named::Av1an("x265")));
    assert_eq!(rules.probing_encoder(&facts()).unwrap(), Some(Named::Svt("/opt/svt".to_owned())));
    let later = SceneFacts::new::<f64, f64>(8, 300..301, &[0.9], &[1.0], &[2.0], &[0.0]);
    assert_eq!(rules.photon_noise(&later, 24.0, Some(4)).unwrap(), None);
    assert_eq!(rules.encoder(&later, 24.0).unwrap(), None);
    assert_eq!(rules.probing_encoder(&later).unwrap(), None);
}

#[test]
fn an_encoder_is_an_entry_a_path_or_one_of_av1an() {
    let request = Request {
        typed: vec![
            Typed::set("encoders.hdr.program=/opt/hdr"),
            Typed::set(
                "dynamic.encoder=if crf < 20.0 { `hdr` } else if crf < 30.0 { `svt-av1` } else { `hdrr` }",
            ),
            Typed::set("dynamic.probing_encoder=`x265`"),
        ],
        ..Request::default()
    };
    let rules = Rules::of(&resolve(&request).unwrap().base).unwrap();
    assert_eq!(rules.encoder(&facts(), 10.0).unwrap(), Some(Named::Svt("hdr".to_owned())));
    // The zone's own.
    assert_eq!(rules.encoder(&facts(), 25.0).unwrap(), None);
    let error = rules.encoder(&facts(), 40.0).unwrap_err().to_string();
    assert!(error.contains("must be one of hdr, aom, ") && error.contains("the path of"), "{error}");
    // Others than SVT-AV1 make no probes.
    let error = rules.probing_encoder(&facts()).unwrap_err().to_string();
    assert!(error.contains("must be one of hdr, svt-av1, the path of"), "{error}");
}

#[test]
fn wrong_results_name_scene_key_and_expression() {
    assert_eq!(
        crf_error("\"x\""),
        "scene 7 (frames 100 to 104), dynamic.crf = `\"x\"`: returned \"x\": must be a number"
    );
    assert!(crf_error("0.0 / 0.0").ends_with("must be a number"));
    assert!(crf_error("if crf > 50 { 1.0 }").ends_with("must be a number"));
    let rules = Rules::compile(&DynamicRules {
        crf: None,
        final_preset: Some("2.5".to_owned()),
        final_params: Some("`--crf 20`".to_owned()),
        probing_params: Some("`--film-grain 8`".to_owned()),
        photon_noise: Some("400".to_owned()),
        encoder: Some("`libaom`".to_owned()),
        probing_encoder: None,
    })
    .unwrap();
    let text = |result: anyhow::Result<()>| result.unwrap_err().to_string();
    let facts = facts();
    for (error, key, allowed) in [
        (text(rules.final_preset(&facts, 9.0, 2).map(drop)), "final_preset", "must be an integer, -3 to 13"),
        (text(rules.final_params(&facts, 9.0, &[]).map(drop)), "final_params", "--crf cannot be given here"),
        (
            text(rules.probing_params(&facts, 9.0, &[]).map(drop)),
            "probing_params",
            "cannot be used in probes",
        ),
        (
            text(rules.photon_noise(&facts, 9.0, None).map(drop)),
            "photon_noise",
            "must be an integer, 0 to 64, or nothing",
        ),
        (
            text(rules.encoder(&facts, 9.0).map(drop)),
            "encoder",
            "must be one of aom, rav1e, vpx, svt-av1, x264, x265",
        ),
    ] {
        assert!(error.starts_with(&format!("scene 7 (frames 100 to 104), dynamic.{key} = `")), "{error}");
        assert!(error.contains(allowed), "{error}");
    }
}

#[test]
fn what_fails_at_run_time_names_scene_key_and_expression() {
    let text = crf_error("crf + undefined(3)");
    assert!(text.starts_with("scene 7 (frames 100 to 104), dynamic.crf = `crf + undefined(3)`: "), "{text}");
    assert!(text.contains("undefined"), "{text}");
    assert!(crf_error("throw \"no\"").contains("no"));
}

#[test]
fn what_does_not_parse_names_key_expression_and_position() {
    let text = |rules: DynamicRules| Rules::compile(&rules).unwrap_err().to_string();
    let error = text(DynamicRules { crf: Some("if crf < 26 { crf".to_owned()), ..DynamicRules::default() });
    assert!(error.starts_with("dynamic.crf = `if crf < 26 { crf` does not parse: "), "{error}");
    assert!(error.contains("line 1, position 18"), "{error}");
    let error = text(DynamicRules { encoder: Some("luma_avg".to_owned()), ..DynamicRules::default() });
    assert!(error.starts_with("dynamic.encoder = `luma_avg` does not parse: "), "{error}");
    assert!(error.contains("luma_avg") && error.contains("position 1"), "{error}");
}

#[test]
fn no_rule_can_hang_or_fill_the_memory() {
    for text in [
        "loop { }",
        "let n = 0; while true { n += 1 } n",
        "fn f(n) { f(n + 1) } f(0)",
        "let s = \"x\"; loop { s += s } 1",
        "let a = []; loop { a.push(a) } 1",
        "let a = []; a.pad(1000000000, 0); 1",
        "let a = []; a.pad(1000, 1); loop { a.sort(); a.reverse() } 1",
        "let s = \"\"; s.pad(16000, 'x'); loop { s.replace(\"x\", \"y\"); s.replace(\"y\", \"x\") } 1",
        "let s = 0; for n in 0..1000000000000 { s += n } 1",
    ] {
        let started = Instant::now();
        let result = crf_rule(text).crf(&facts(), 20.0);
        let error = result.expect_err(text).to_string();
        assert!(started.elapsed() < Duration::from_secs(5), "{text}: {:?}", started.elapsed());
        assert!(error.contains("dynamic.crf"), "{error}");
    }
}

#[test]
fn rules_reach_nothing_outside() {
    for text in ["eval(\"1\")", "import \"os\" as os; 1", "import \"/etc/passwd\" as p; 1"] {
        let rules = Rules::compile(&DynamicRules { crf: Some(text.to_owned()), ..DynamicRules::default() });
        assert!(rules.is_err() || rules.unwrap().crf(&facts(), 1.0).is_err(), "{text}");
    }
    close(crf("print(\"x\"); debug(\"x\"); 3", 1.0), 3.0);
}

#[test]
fn rules_run_on_many_threads_at_once() {
    let rules = crf_rule(EXAMPLE);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| close(rules.crf(&facts(), 30.0).unwrap(), 30.0)));
        }
    });
}
