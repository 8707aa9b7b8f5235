//! Opening inputs through the real VapourSynth.

use std::path::Path;

use progression_boost::source::{self, OpenOptions};
use progression_boost::support::cancel::Cancel;

fn script(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("clip.vpy");
    std::fs::write(&path, format!("import vapoursynth as vs\ncore = vs.core\n{text}\n")).unwrap();
    path
}

fn error_of(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), text);
    format!("{:#}", source::open(&path, &OpenOptions::default()).unwrap_err())
}

#[test]
fn frames_come_in_order_with_their_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "c = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=40, color=[16,128,128])\n\
         c = core.std.FrameEval(c, lambda n: core.std.BlankClip(c, length=1, color=[16+n,128,128]))\n\
         c.set_output()",
    );
    let clip = source::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((clip.info().width, clip.info().height, clip.info().frames), (64, 48, 40));
    let working = clip.working(10).unwrap();
    let frames: Vec<_> =
        working.clip.frames(3..20, 5, &Cancel::new()).map(|f| f.unwrap().to_picture()).collect();
    assert_eq!(frames.len(), 17);
    for (offset, picture) in frames.iter().enumerate() {
        assert_eq!(picture.planes[0][0], 4 * (16 + 3 + offset as u16));
        assert_eq!(picture.planes[1].len(), 32 * 24);
    }
}

#[test]
fn a_python_error_shows_the_script_s_own_lines_only() {
    let error = error_of("def f():\n    raise ValueError('boo')\nf()");
    assert!(error.contains("ValueError: boo") && error.contains("line 5, in <module>"), "{error}");
    assert!(!error.contains("vapoursynth.pyx"), "{error}");
}

#[test]
fn outputs_that_cannot_be_boosted_are_refused_with_what_to_do() {
    for (text, wanted) in [
        ("", "sets no output"),
        ("core.std.BlankClip().set_output(3)", "no output 0, only 3"),
        ("core.std.BlankAudio().set_output()", "audio"),
        (
            "c = core.std.BlankClip(format=vs.RGB24); c.set_output(alpha=core.std.BlankClip(format=vs.GRAY8))",
            "alpha",
        ),
        (
            "a = core.std.BlankClip(width=320); b = core.std.BlankClip(width=640)\n\
             core.std.Splice([a, b], mismatch=True).set_output()",
            "variable format or size",
        ),
    ] {
        let error = error_of(text);
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn script_variables_and_other_outputs_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "core.std.BlankClip(length=7).set_output(0)\ncore.std.BlankClip(length=int(n), format=vs.YUV420P8).set_output(1)",
    );
    let options =
        OpenOptions { variables: vec![("n".into(), "9".into())], output_index: 1, ..OpenOptions::default() };
    assert_eq!(source::open(&path, &options).unwrap().info().frames, 9);
}

#[test]
fn every_format_becomes_even_sided_ten_bit_420_and_says_so() {
    for (format, says) in [
        ("YUV420P8", None),
        ("YUV422P8", Some("YUV422P8 is converted")),
        ("YUV444P16", Some("YUV444P16")),
        ("YUV444PS", Some("YUV444PS")),
        ("RGB24", Some("RGB24")),
        ("RGBS", Some("RGBS")),
        ("GRAY8", Some("Gray8")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (w, h) = if format.starts_with("YUV42") { (66, 48) } else { (67, 49) };
        let path = script(
            folder.path(),
            &format!("core.std.BlankClip(format=vs.{format}, width={w}, height={h}, length=3).set_output()"),
        );
        let clip = source::open(&path, &OpenOptions::default()).unwrap();
        let working = clip.working(10).unwrap();
        assert_eq!(working.clip.info().format, "YUV420P10", "{format}");
        assert_eq!((working.clip.info().width, working.clip.info().height), (66, 48), "{format}");
        match says {
            None => assert!(working.notes.is_empty(), "{format}: {:?}", working.notes),
            Some(text) => assert!(working.notes[0].contains(text), "{format}: {:?}", working.notes),
        }
        assert_eq!(working.notes.iter().any(|n| n.contains("odd sides")), w == 67, "{format}");
    }
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        format!("{:#}", source::open(&folder.path().join("no.vpy"), &OpenOptions::default()).unwrap_err());
    assert!(error.contains("no.vpy"), "{error}");
    let error = format!("{:#}", source::open(folder.path(), &OpenOptions::default()).unwrap_err());
    assert!(error.contains("is a folder"), "{error}");
}

#[test]
fn a_frame_error_carries_the_frame_number_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "c = core.std.BlankClip(format=vs.YUV420P8, length=10)\n\
         def e(n):\n    if n == 6: raise RuntimeError('broken frame')\n    return c\n\
         core.std.FrameEval(c, e).set_output()",
    );
    let clip = source::open(&path, &OpenOptions::default()).unwrap();
    let frames: Vec<_> = clip.frames(0..10, 4, &Cancel::new()).collect();
    assert_eq!(frames.len(), 7);
    let error = format!("{:#}", frames[6].as_ref().unwrap_err());
    assert!(error.contains("frame 6") && error.contains("broken frame"), "{error}");
}

#[test]
fn opening_renders_nothing_and_the_colour_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    // A script's own file of the frames that were rendered.
    let path = script(
        folder.path(),
        "c = core.std.BlankClip(format=vs.YUV420P8, length=10)\n\
         c = core.std.SetFrameProps(c, _Matrix=9, _SARNum=4, _SARDen=3)\n\
         def e(n):\n    open('rendered.txt', 'a').write(f'{n} ')\n    return c\n\
         core.std.FrameEval(c, e).set_output()"
            .replace("'rendered.txt'", &format!("{:?}", folder.path().join("rendered.txt")))
            .as_str(),
    );
    let rendered = || std::fs::read_to_string(folder.path().join("rendered.txt")).unwrap_or_default();
    let clip = source::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(clip.working(10).unwrap().clip.info().format, "YUV420P10");
    assert_eq!(rendered(), "");
    let clone = clip.clone();
    assert_eq!(clone.color().unwrap().matrix, 9);
    assert_eq!(clip.sample_aspect().unwrap(), Some((4, 3)));
    assert_eq!(clip.facts().unwrap().1, clone.color().unwrap());
    assert_eq!(rendered(), "0 ");
}

#[test]
fn a_first_frame_that_fails_is_an_error_of_what_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(
        folder.path(),
        "c = core.std.BlankClip(format=vs.YUV420P8, length=10)\n\
         def e(n):\n    if n == 0: raise RuntimeError('broken frame')\n    return c\n\
         core.std.FrameEval(c, e).set_output()",
    );
    let options = OpenOptions::default();
    let clip = source::open(&path, &options).unwrap();
    assert_eq!((clip.info().frames, clip.frame(1).is_ok()), (10, true));
    // The key of an input stands for its colour as well.
    for error in [clip.color().err(), source::fingerprint(&path, &options, &clip).err()] {
        let error = format!("{:#}", error.unwrap());
        assert!(error.contains("frame 0") && error.contains("broken frame"), "{error}");
    }
}
