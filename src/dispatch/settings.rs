//! What `dispatch serve` was told, from flags, environment and file.
//!
//! Each source yields [`Entry`]s; [`resolve`] applies them from the weakest
//! source to the strongest through one table of keys.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::support::units::{parse_bytes, parse_duration};

/// Port the server and its clients agree on when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 18861;
/// Prefix of the environment variables; the key follows in capitals.
pub const ENV_PREFIX: &str = "PROGRESSION_BOOST_DISPATCH_";
/// Environment variable that names the TOML file.
pub const ENV_CONFIG: &str = "PROGRESSION_BOOST_DISPATCH_CONFIG";

/// Validated settings of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Port on 127.0.0.1; 0 lets the system choose (tests).
    pub port: u16,
    /// Percent of the whole machine that one worker takes.
    pub worker_cpu: f64,
    /// A worker is released only below this percentage.
    pub max_cpu: f64,
    /// Bytes of VRAM that one worker takes; 0 leaves VRAM out of account.
    pub worker_vram: u64,
    /// How long a released worker's CPU and VRAM are held for it.
    pub reserve: Duration,
    /// Index among the GPUs found: NVIDIA's first, then Linux's cards.
    pub gpu: usize,
    /// Port for Prometheus on 127.0.0.1, `None` = off.
    pub metrics: Option<u16>,
    /// Connections held at once; more are told `busy`.
    pub max_clients: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            worker_cpu: 20.0,
            max_cpu: 80.0,
            worker_vram: 3 << 30,
            reserve: Duration::from_secs(10),
            gpu: 0,
            metrics: None,
            max_clients: 4096,
        }
    }
}

/// One value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A name of [`KEYS`], for instance `worker-cpu`.
    pub key: String,
    pub value: String,
    /// Who said so, for messages: a flag, a variable, a file.
    pub origin: String,
}

/// Values that depend on each other are settled when all are known.
#[derive(Default)]
struct Draft {
    settings: Settings,
    max_cpu: Option<f64>,
    metrics: MetricsPort,
}

#[derive(Default)]
enum MetricsPort {
    #[default]
    Off,
    AfterPort,
    At(u16),
}

type Setter = fn(&mut Draft, &str) -> Result<()>;

/// Every key with what it does to the settings.
const KEYS: [(&str, Setter); 8] = [
    ("port", |draft, text| number(text, 1, 65_535, "port").map(|n| draft.settings.port = n)),
    ("worker-cpu", |draft, text| percent(text, 99.0).map(|n| draft.settings.worker_cpu = n)),
    ("max-cpu", |draft, text| percent(text, 100.0).map(|n| draft.max_cpu = Some(n))),
    ("worker-vram", |draft, text| parse_bytes(text).map(|n| draft.settings.worker_vram = n)),
    ("reserve", |draft, text| reserve(text).map(|time| draft.settings.reserve = time)),
    ("gpu", |draft, text| number(text, 0, 63, "GPU index").map(|n: u16| draft.settings.gpu = n.into())),
    ("metrics", |draft, text| metrics(text).map(|port| draft.metrics = port)),
    ("max-clients", |draft, text| {
        number(text, 1, 60_000, "number of connections").map(|n: u16| draft.settings.max_clients = n.into())
    }),
];

fn number<T: TryFrom<u32>>(text: &str, least: u32, most: u32, what: &str) -> Result<T> {
    let value = text.trim().parse::<u32>().ok().filter(|n| (least..=most).contains(n));
    value.and_then(|n| T::try_from(n).ok()).ok_or_else(|| anyhow!("must be a {what} from {least} to {most}"))
}

fn percent(text: &str, most: f64) -> Result<f64> {
    let digits = text.trim().trim_end_matches('%').trim_end();
    match digits.parse::<f64>() {
        Ok(value) if (0.1..=most).contains(&value) => Ok(value),
        _ => bail!("must be 0.1 to {most} percent of the whole machine"),
    }
}

/// CPU readings are means over the last second: a shorter reservation would end
/// before its worker shows in them.
fn reserve(text: &str) -> Result<Duration> {
    let time = parse_duration(text)?;
    if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&time) {
        bail!("must be 1s to 1h");
    }
    Ok(time)
}

fn metrics(text: &str) -> Result<MetricsPort> {
    match text.trim() {
        "true" => Ok(MetricsPort::AfterPort),
        "false" => Ok(MetricsPort::Off),
        port => number(port, 1, 65_535, "port")
            .map(MetricsPort::At)
            .map_err(|error| anyhow!("{error}, or true or false")),
    }
}

/// Applies the entries in their order, so that the last one of a key holds.
/// Every entry must be valid, an overridden one too.
pub fn resolve(entries: &[Entry]) -> Result<Settings> {
    let mut draft = Draft::default();
    for Entry { key, value, origin } in entries {
        let Some((_, set)) = KEYS.iter().find(|(name, _)| name == key) else {
            bail!("{key} (from {origin}): unknown setting{}; {}", did_you_mean(key), known());
        };
        set(&mut draft, value).map_err(|error| anyhow!("{key} {value} (from {origin}): {error}"))?;
    }
    let mut settings = draft.settings;
    settings.max_cpu = draft.max_cpu.unwrap_or(100.0 - settings.worker_cpu);
    settings.metrics = match draft.metrics {
        MetricsPort::Off => None,
        MetricsPort::At(port) if port == settings.port => {
            bail!("metrics {port}: must differ from port {port}")
        }
        MetricsPort::At(port) => Some(port),
        MetricsPort::AfterPort => Some(settings.port.checked_add(1).context(
            "metrics true: uses the port after 65535, which does not exist; give a port for metrics",
        )?),
    };
    Ok(settings)
}

fn did_you_mean(key: &str) -> String {
    let near = KEYS
        .iter()
        .map(|(name, _)| *name)
        .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    match near {
        Some(name) if strsim::jaro_winkler(key, name) > 0.8 => format!(", did you mean {name}?"),
        _ => String::new(),
    }
}

fn known() -> String {
    format!("known are {}", KEYS.map(|(name, _)| name).join(", "))
}

/// The entries of `variables` that start with [`ENV_PREFIX`]; [`ENV_CONFIG`] is not one of them.
pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Entry> {
    let mut entries: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| name != ENV_CONFIG)
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace('_', "-");
            Some(Entry { key, value, origin: name })
        })
        .collect();
    entries.sort_by(|a, b| a.origin.cmp(&b.origin));
    entries
}

/// The entries of a TOML file: the keys at top level, strings, numbers or booleans.
pub fn from_file(path: &Path) -> Result<Vec<Entry>> {
    let text = crate::support::text::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let entry = |(key, value): (String, toml::Value)| {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => value.to_string(),
            other => bail!(
                "{key} (from {}): is a {}, must be a string, a number or a boolean; {}",
                path.display(),
                other.type_str(),
                known()
            ),
        };
        Ok(Entry { key, value, origin: path.display().to_string() })
    };
    table.into_iter().map(entry).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // the figures are exact
mod tests {
    use super::*;

    fn entry(key: &str, value: &str, origin: &str) -> Entry {
        Entry { key: key.into(), value: value.into(), origin: origin.into() }
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let settings = resolve(&[]).unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!((settings.port, settings.worker_cpu, settings.max_cpu), (18861, 20.0, 80.0));
        assert_eq!((settings.worker_vram, settings.reserve), (3_221_225_472, Duration::from_secs(10)));
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dispatch.toml");
        std::fs::write(&path, "worker-cpu = 10\nworker-vram = \"1GiB\"\nreserve = \"3s\"\nmetrics = true\n")
            .unwrap();
        let mut entries = from_file(&path).unwrap();
        entries.extend(from_environment([
            ("PROGRESSION_BOOST_DISPATCH_WORKER_VRAM".into(), "2GiB".into()),
            ("PROGRESSION_BOOST_DISPATCH_RESERVE".into(), "4s".into()),
            ("PROGRESSION_BOOST_DISPATCH_CONFIG".into(), "elsewhere.toml".into()),
            ("PATH".into(), "/bin".into()),
        ]));
        entries.push(entry("reserve", "5s", "--reserve"));
        let settings = resolve(&entries).unwrap();
        assert_eq!((settings.worker_cpu, settings.max_cpu), (10.0, 90.0));
        assert_eq!((settings.worker_vram, settings.reserve), (2 << 30, Duration::from_secs(5)));
        assert_eq!(settings.metrics, Some(18862));
    }

    #[test]
    fn a_wrong_value_is_shown_with_its_source_and_what_is_allowed() {
        for (key, value, allowed) in [
            ("port", "0", "port from 1 to 65535"),
            ("port", "65536", "port from 1 to 65535"),
            ("worker-cpu", "0", "0.1 to 99 percent"),
            ("worker-cpu", "100", "0.1 to 99 percent"),
            ("worker-cpu", "nan", "0.1 to 99 percent"),
            ("max-cpu", "101", "0.1 to 100 percent"),
            ("worker-vram", "3", "size such as 3GiB"),
            ("reserve", "0s", "1s to 1h"),
            ("reserve", "soon", "duration such as 10s"),
            ("gpu", "-1", "GPU index from 0 to 63"),
            ("metrics", "yes", "port from 1 to 65535, or true or false"),
            ("max-clients", "0", "connections from 1 to 60000"),
        ] {
            let error = resolve(&[entry(key, value, "--flag")]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key} {value} (from --flag): must be ")), "{error}");
            assert!(error.contains(allowed), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_one() {
        let typo = from_environment([("PROGRESSION_BOOST_DISPATCH_WORKERCPU".into(), "10".into())]);
        let error = resolve(&typo).unwrap_err().to_string();
        assert!(error.contains("PROGRESSION_BOOST_DISPATCH_WORKERCPU"), "{error}");
        assert!(error.contains("did you mean worker-cpu?"), "{error}");
        assert!(resolve(&[entry("xyz", "1", "f")]).unwrap_err().to_string().contains("known are port,"));
    }

    #[test]
    fn a_file_that_is_no_toml_or_holds_tables_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dispatch.toml");
        for (text, message) in [("port = ", "is not TOML"), ("[port]\na = 1", "is a table")] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", from_file(&path).unwrap_err());
            assert!(error.contains(message) && error.contains("dispatch.toml"), "{error}");
        }
        let error = format!("{:#}", from_file(&folder.path().join("none.toml")).unwrap_err());
        assert!(error.contains("cannot read"), "{error}");
    }

    #[test]
    fn the_port_for_metrics_follows_the_port() {
        let settings = resolve(&[entry("metrics", "true", "m"), entry("port", "4000", "p")]).unwrap();
        assert_eq!(settings.metrics, Some(4001));
        assert!(resolve(&[entry("metrics", "true", "m"), entry("port", "65535", "p")]).is_err());
        assert!(resolve(&[entry("metrics", "4000", "m"), entry("port", "4000", "p")]).is_err());
    }
}
