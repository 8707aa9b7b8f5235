//! The table: what goes wrong, and what each command must make of it.

/// A row.
pub struct Fault {
    pub name: &'static str,
    pub boost: Cell,
    pub encode: Cell,
    pub verify: Cell,
}

pub enum Cell {
    /// The exit code, `None` for a killed run, and what it says on the way.
    Run { trouble: Trouble, code: Option<i32>, says: &'static [&'static str] },
    /// There is nothing to try, and why.
    Senseless(&'static str),
}

/// How a run is disturbed.
pub enum Trouble {
    /// What the encoder does, as a shell script, instead of encoding the middle scene.
    Encoder(&'static str),
    EncoderHangs,
    /// A filter of the clip raises an error in the middle, after it has rendered
    /// that frame so many times.
    Filter(usize),
    /// The source of the clip has no frames from the middle on.
    Source,
    /// The metric panics at the pictures of the middle scene.
    Metric,
    /// No file can be larger than so many half kibibytes.
    LargestFile(usize),
    /// What is done to the encode to be verified.
    Damage(fn(Vec<u8>) -> Vec<u8>),
    KilledAfter(&'static str),
    KilledWhileMuxing,
    /// An option that names a file in a read-only folder.
    ReadOnly(&'static str, &'static str),
    /// The encoder fails as with `Encoder`; before the next run the files are a century older.
    ClockJumpsAfter(&'static str),
    /// All files are from decades ahead.
    FilesOfTheFuture,
}

impl Trouble {
    /// The line to show in the table has the first of these that is found.
    pub fn marks(&self) -> &'static [&'static str] {
        match self {
            Self::Encoder(_) | Self::ClockJumpsAfter(_) => &["no AV1", "ended without", "was killed by"],
            Self::EncoderHangs => &["no progress"],
            Self::Filter(_) => &["gave up"],
            Self::Source => &["source ends"],
            Self::Metric => &["should be reported"],
            Self::LargestFile(_) | Self::ReadOnly(..) | Self::Damage(_) => &["error:"],
            Self::KilledAfter(_) | Self::KilledWhileMuxing | Self::FilesOfTheFuture => &[],
        }
    }
}

const CRASH: &str = "kill -9 $$\n";
const SHORT: &str = "\"$real\" \"$@\" -n 5; exit 0\n";
const GARBAGE: &str = "\"$real\" \"$@\"\n\
    printf 'this is no AV1 at all' | dd of=\"$out\" bs=1 seek=44 conv=notrunc 2>/dev/null\nexit 0\n";
const LIE: &str = "cat >/dev/null\nexit 0\n";

const NO_ENCODER: Cell = Cell::Senseless("it runs no encoder");

const fn run(trouble: Trouble, code: i32, says: &'static [&'static str]) -> Cell {
    Cell::Run { trouble, code: Some(code), says }
}

const fn killed(event: &'static str) -> Cell {
    Cell::Run { trouble: Trouble::KilledAfter(event), code: None, says: &[] }
}

fn cut_in_half(mut film: Vec<u8>) -> Vec<u8> {
    film.truncate(film.len() / 2);
    film
}

/// The last third is overwritten, which is in the middle of frames.
fn overwritten(mut film: Vec<u8>) -> Vec<u8> {
    let at = film.len() * 2 / 3;
    film[at..].fill(0x55);
    film
}

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "encoder crash",
        boost: run(
            Trouble::Encoder(CRASH),
            1,
            &["was killed by signal 9", "1 (frames 14 to 28)", "--resume"],
        ),
        encode: run(
            Trouble::Encoder(CRASH),
            1,
            &["was killed by signal 9", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: NO_ENCODER,
    },
    Fault {
        name: "encoder hangs",
        boost: run(
            Trouble::EncoderHangs,
            1,
            &["made no progress for 3 s", "1 (frames 14 to 28)", "--resume"],
        ),
        encode: run(
            Trouble::EncoderHangs,
            1,
            &["made no progress for 3 s", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: NO_ENCODER,
    },
    Fault {
        name: "short file",
        boost: run(Trouble::Encoder(SHORT), 1, &["the file has 5 of", "1 (frames 14 to 28)", "--resume"]),
        encode: run(
            Trouble::Encoder(SHORT),
            1,
            &["the file has 5 of", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: run(Trouble::Damage(cut_in_half), 1, &["out.mkv", "cut off"]),
    },
    Fault {
        name: "garbage stream",
        boost: run(Trouble::Encoder(GARBAGE), 1, &["is no AV1", "1 (frames 14 to 28)", "--resume"]),
        encode: run(Trouble::Encoder(GARBAGE), 1, &["is no AV1", "chunk 1, frames 14 to 28", "--resume"]),
        verify: run(Trouble::Damage(overwritten), 1, &["out.mkv"]),
    },
    Fault {
        name: "exit code 0, no file",
        boost: run(
            Trouble::Encoder(LIE),
            1,
            &["ended without an error, but its file is not whole", "1 (frames 14 to 28)", "--resume"],
        ),
        encode: run(
            Trouble::Encoder(LIE),
            1,
            &["ended without an error, but its file is not whole", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: NO_ENCODER,
    },
    Fault {
        name: "disk full",
        boost: run(Trouble::LargestFile(2), 1, &["File too large"]),
        encode: run(Trouble::LargestFile(2), 1, &["nothing more can be written", "make room", "--resume"]),
        verify: run(Trouble::LargestFile(2), 1, &["cannot write report.json", "File too large"]),
    },
    Fault {
        name: "plugin error mid-run",
        boost: run(
            Trouble::Filter(1),
            1,
            &["frame 20", "the filter gave up", "1 (frames 14 to 28)", "--resume"],
        ),
        encode: run(
            Trouble::Filter(0),
            1,
            &["frame 20", "the filter gave up", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: run(Trouble::Filter(0), 1, &["frame 20", "the filter gave up"]),
    },
    Fault {
        name: "source frame error mid-run",
        boost: run(Trouble::Source, 1, &["frame 20", "the source ends before frame"]),
        encode: run(
            Trouble::Source,
            1,
            &["the source ends before frame", "chunk 1, frames 14 to 28", "--resume"],
        ),
        verify: run(Trouble::Source, 1, &["frame 20", "the source ends before frame"]),
    },
    Fault {
        name: "panic in a metric",
        boost: run(
            Trouble::Metric,
            1,
            &["too bright for this metric", "should be reported", "1 (frames 14 to 28)", "--resume"],
        ),
        encode: Cell::Senseless("it measures nothing; with --boost it does as boosting"),
        verify: run(
            Trouble::Metric,
            1,
            &["too bright for this metric", "should be reported", "scene 1, frame "],
        ),
    },
    Fault {
        name: "kill -9 after the first stage",
        boost: killed("\"stage\":\"Analysis\",\"seconds\""),
        encode: killed("\"chunk_started\""),
        verify: killed("\"stage\":\"Measuring\""),
    },
    Fault {
        name: "kill -9 in the middle",
        boost: killed("\"event\":\"probe\""),
        encode: killed("\"chunk_finished\""),
        verify: Cell::Senseless("it has one stage, and keeps nothing of it"),
    },
    Fault {
        name: "kill -9 late",
        boost: killed("\"event\":\"score\""),
        encode: Cell::Run { trouble: Trouble::KilledWhileMuxing, code: None, says: &[] },
        verify: Cell::Senseless("it has one stage, and keeps nothing of it"),
    },
    Fault {
        name: "read-only work folder",
        boost: run(Trouble::ReadOnly("--temp", "work"), 1, &["cannot create the work folder", "/work"]),
        encode: run(Trouble::ReadOnly("--temp", "work"), 1, &["cannot create the work folder", "/work"]),
        verify: Cell::Senseless("it has no work folder"),
    },
    Fault {
        name: "read-only folder of the result",
        boost: run(Trouble::ReadOnly("-o", "s.json"), 1, &["cannot write", "/s.json"]),
        encode: run(Trouble::ReadOnly("-o", "o.mkv"), 1, &["cannot write", "/o.mkv"]),
        verify: run(Trouble::ReadOnly("--html", "r.html"), 1, &["cannot write", "/r.html"]),
    },
    Fault {
        name: "clock jumps a century ahead",
        boost: run(Trouble::ClockJumpsAfter(CRASH), 1, &["was killed by signal 9"]),
        encode: run(Trouble::ClockJumpsAfter(CRASH), 1, &["was killed by signal 9"]),
        verify: run(Trouble::FilesOfTheFuture, 0, &[]),
    },
];
