//! A recorded header, and others written down bit by bit from the specification
//! (sections 5.5.1 to 5.5.5).

use super::*;

/// First temporal unit of aomenc 3.6.0, 320x180 10 bit, nothing specified
/// (`12 00` delimiter, `0a 0b` sequence header of 11 bytes).
const UNSPECIFIED: [u8; 15] = [0x12, 0, 0x0a, 0x0b, 0, 0, 0, 4, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0x40, 0x40];

#[test]
fn a_recorded_header_is_understood() {
    let sequence = Sequence::of_unit(&UNSPECIFIED).unwrap();
    assert_eq!((sequence.width, sequence.height, sequence.bits), (320, 180, 10));
    assert_eq!((sequence.primaries, sequence.transfer, sequence.matrix), (2, 2, 2));
    assert!(!sequence.full_range && !sequence.film_grain);
}

#[test]
fn what_is_no_av1_is_told_from_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ivf");
    let frame = [0x12, 0, 0x32, 1, 0];
    let first = [&UNSPECIFIED[..], &frame[2..]].concat();
    let verdict = |units: &[&[u8]]| {
        let header = ivf::Header { width: 320, height: 180, time_base: (1, 24), frames: 2 };
        let mut bytes = header.to_bytes().to_vec();
        for unit in units {
            ivf::write_packet(&mut bytes, 0, unit).unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
        verify(&path).map_err(|error| format!("{error:#}"))
    };
    assert_eq!(verdict(&[&first, &frame]), Ok(()));
    for (units, why) in [
        ([&frame[..], &frame], "frame 0 of"),
        ([&first[..], &frame[..2]], "it has no picture"),
        ([&first[..], &frame[..4]], "frame 1 of"),
        ([&first[..], b"garbage that is no AV1"], "frame 1 of"),
    ] {
        assert!(verdict(&units).unwrap_err().contains(why), "{why}");
    }
}

#[test]
fn every_cut_is_an_error_not_a_panic() {
    for end in 0..UNSPECIFIED.len() {
        assert!(Sequence::of_unit(&UNSPECIFIED[..end]).is_err(), "cut at {end}");
    }
    assert!(Sequence::of_unit(&[0x12, 0, 0x32, 1, 0]).is_err());
}

/// The sequence header of these bits, blanks left out. What follows them are `fill`s.
fn header(bits: &str, fill: char) -> Result<Sequence> {
    let mut bits: String = bits.chars().filter(|bit| !bit.is_whitespace()).collect();
    bits.extend(std::iter::repeat_n(fill, 16 - bits.len() % 8));
    let value = |byte: &[u8]| byte.iter().fold(0, |value, bit| value << 1 | (bit - b'0'));
    let payload: Vec<u8> = bits.as_bytes().chunks(8).map(value).collect();
    Sequence::of_unit(&[&[0x0a, payload.len() as u8][..], &payload].concat())
}

/// `value` in so many bits.
fn f(value: u64, bits: usize) -> String {
    format!("{value:0bits$b}")
}

/// From the profile to the size, 1920x1080, and no frame IDs: one operating point.
fn beginning(profile: u64) -> String {
    // Not still, not reduced, no timing, no delays, one point, all of it at level 8 in the main tier.
    let points = ["0 0", "0", "0", &f(0, 5), &f(0, 12), &f(8, 5), "0"].concat();
    [f(profile, 3), points, f(10, 4), f(10, 4), f(1919, 11), f(1079, 11), "0".to_owned()].concat()
}

/// From the superblock size to loop restoration, with nothing in use.
const NO_TOOLS: &str = "000 0000 0 00 000";

#[test]
fn everything_that_may_come_before_the_size_is_stepped_over() {
    let timing = ["1", &f(1001, 32), &f(24000, 32), "1", "00101"].concat();
    let decoder_model = ["1", &f(9, 5), &f(90000, 32), &f(15, 5), &f(15, 5)].concat();
    // Two points: of level 3.3 with all that a point may have, and of level 4.0 in the high tier with nothing.
    let first = [&f(0x101, 12), &f(7, 5), "1", &f(700, 10), &f(300, 10), "1", "1", &f(9, 4)].concat();
    let second = [&f(0x301, 12), &f(8, 5), "1", "0", "0"].concat();
    let points = ["1", &f(1, 5), &first, &second].concat();
    let size = [f(8, 4), f(7, 4), f(319, 9), f(179, 8)].concat();
    let ids = "1 1010 101";
    // Order hints; screen content and integer motion vectors forced; five bits of order hint.
    let tools = "111 1111 1 11 01 01 100 111";
    let color = ["1 0 1", &f(9, 8), &f(16, 8), &f(9, 8), "0 01 0"].concat();
    let whole = |grain: &str| {
        let start = ["000 0 0", &timing, &decoder_model, &points, &size, ids, tools].concat();
        [&*start, &*color, grain].concat()
    };
    for (grain, fill, film_grain) in [("1", '0', true), ("0", '1', false)] {
        let found = header(&whole(grain), fill).unwrap();
        let wanted = Sequence {
            width: 320,
            height: 180,
            bits: 10,
            primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: false,
            film_grain,
        };
        assert_eq!(found, wanted);
    }
}

#[test]
fn without_an_equal_interval_and_a_decoder_model_less_is_there() {
    let timing = ["1", &f(1, 32), &f(25, 32), "0", "0"].concat();
    let points = ["0", &f(0, 5), &f(0, 12), &f(0, 5)].concat();
    let size = [f(5, 4), f(5, 4), f(63, 6), f(47, 6), "0".to_owned()].concat();
    let found = header(&["000 0 0", &timing, &points, &size, NO_TOOLS, "0 0 0 1 00 0 1"].concat(), '0');
    let found = found.unwrap();
    assert_eq!((found.width, found.height, found.bits), (64, 48, 8));
    assert!(found.full_range && found.film_grain);
}

#[test]
fn a_reduced_header_has_neither_points_nor_tools_between_frames() {
    let size = [f(6, 4), f(5, 4), f(99, 7), f(49, 6)].concat();
    // 8 bits, monochrome, no description, full range, grain.
    let found = header(&["000 1 1", &f(31, 5), &size, "111 111", "0 1 0 1 1"].concat(), '0').unwrap();
    assert_eq!((found.width, found.height, found.bits, found.transfer), (100, 50, 8, 2));
    assert!(found.full_range && found.film_grain);
}

#[test]
fn tools_between_frames_depend_on_each_other() {
    for tools in [
        // No order hint; screen content by frame, integer vectors by frame.
        "000 0000 0 1 1 000",
        // The same, integer vectors not.
        "000 0000 0 1 0 1 000",
        // Screen content forced, then as above.
        "000 0000 0 01 1 000",
        "000 0000 0 01 0 1 000",
        // Screen content forbidden: nothing on vectors.
        "000 0000 0 00 000",
        // An order hint: two more tools, three bits of size.
        "000 0000 1 00 00 111 000",
        "000 0000 1 11 1 1 010 000",
    ] {
        for (tail, fill, wanted) in [("0 0 0 0 10 0 1", '0', true), ("0 0 0 0 10 1 0", '1', false)] {
            let found = header(&[&*beginning(0), tools, tail].concat(), fill).unwrap();
            assert_eq!((found.width, found.height, found.bits), (1920, 1080, 8), "{tools}");
            assert_eq!((found.full_range, found.film_grain), (false, wanted), "{tools}");
        }
    }
}

#[test]
fn colour_is_read_in_every_profile() {
    let rgb = [f(1, 8), f(13, 8), f(0, 8)].concat();
    let almost = [f(1, 8), f(13, 8), f(1, 8)].concat();
    // Up to the grain, which is there: profile, colour, bits, full range.
    for (profile, color, bits, full_range) in [
        // 4:2:0 tells where its chroma lies, …
        (0, "0 0 0 0 11 0", 8, false),
        (0, "1 0 0 1 00 0", 10, true),
        // … monochrome has none, …
        (0, "1 1 0 0", 10, false),
        // … 4:4:4 says nothing, and RGB is of full range without a word.
        (1, "1 0 0 0", 10, false),
        (1, &["0 1", &rgb, "0"].concat(), 8, true),
        (1, &["0 1", &almost, "0 0"].concat(), 8, false),
        (0, &["0 0 1", &almost, "1 10 0"].concat(), 8, true),
        // 4:2:2 in 10 bits.
        (2, "1 0 0 0 1 0", 10, true),
        // 12 bits: 4:4:4, 4:2:2, 4:2:0.
        (2, "1 1 0 0 0 0 0", 12, false),
        (2, "1 1 0 0 1 1 0 0", 12, true),
        (2, "1 1 0 0 0 1 1 10 0", 12, false),
        // 8 bits say nothing of 12.
        (2, "0 0 0 1 0", 8, true),
    ] {
        for (grain, fill, wanted) in [("1", '0', true), ("0", '1', false)] {
            let found = header(&[&*beginning(profile), NO_TOOLS, color, grain].concat(), fill).unwrap();
            assert_eq!((found.bits, found.full_range), (bits, full_range), "profile {profile}, {color}");
            assert_eq!(found.film_grain, wanted, "profile {profile}, {color}");
        }
    }
}

#[test]
fn parts_of_a_unit_come_with_their_kind_and_end() {
    // A delimiter, a padding OBU with an extension and a size of two bytes, a frame that has none.
    let unit = [0x12, 0, 0x7e, 0xaa, 0x82, 0x00, 1, 2, 0x30, 9, 8, 7];
    let found: Vec<_> =
        obus(&unit).map(|obu| obu.unwrap()).map(|o| (o.kind, o.sized, o.payload, o.end)).collect();
    assert_eq!(found, [(2, true, &[][..], 2), (15, true, &[1, 2][..], 8), (6, false, &[9, 8, 7][..], 12)]);
    // A size of 2^28 is too much for the unit, nine bytes are too many for a size.
    for bad in [
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 1, 0][..],
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    ] {
        assert!(obus(bad).next().unwrap().is_err());
        assert_eq!(obus(bad).count(), 1);
    }
}
