//! GPU memory, room, rights, RAM.

use std::path::Path;

use sysinfo::{Disks, System};

use super::{Check, State};
use crate::dispatch::sensors;
use crate::settings;
use crate::support::events::Events;
use crate::support::machine::{cpus, memory};
use crate::support::units::show_bytes;

/// Bytes of an SvtAv1EncApp at 1920x1080, 10 bits, preset 8, `--lp 2`, rounded up:
/// 1.4.1 took 1.03 GiB, 4.2.0 0.57 GiB.
const ENCODER: u64 = 1100 << 20;
/// What probes and chunks of an episode may take; below it is worth a thought.
const ROOM: u64 = 10 << 30;

pub fn checks(wants: &dyn Fn(&str) -> bool) -> Vec<Check> {
    let here = std::env::current_dir().unwrap_or_default();
    let all: [(&str, &dyn Fn() -> Option<Check>); 5] = [
        ("gpu", &|| Some(gpu())),
        ("write.here", &|| Some(writable("write.here", &here))),
        ("write.cache", &cache),
        ("disk", &|| room(&here)),
        ("memory", &ram),
    ];
    all.iter().filter(|(item, _)| wants(item)).filter_map(|(_, check)| check()).collect()
}

fn gpu() -> Check {
    let gpus = sensors::gpus(&Events::silent());
    if gpus.is_empty() {
        return Check::of("gpu", State::Notice, "none whose memory can be read");
    }
    let told = gpus.into_iter().map(|mut gpu| {
        let name = gpu.name().to_owned();
        match gpu.sample() {
            Ok(vram) => format!("{name}, {} of {} free", show_bytes(vram.free), show_bytes(vram.total)),
            Err(error) => format!("{name} ({error:#})"),
        }
    });
    Check::of("gpu", State::Works, told.collect::<Vec<_>>().join("; "))
}

fn writable(item: &str, folder: &Path) -> Check {
    match tempfile::tempfile_in(folder) {
        Ok(_) => Check::of(item, State::Works, "").path(folder),
        Err(error) => Check::of(item, State::Broken, error.to_string()).path(folder),
    }
}

/// `None` on a system without such a folder.
fn cache() -> Option<Check> {
    let folders = directories::ProjectDirs::from("", "", "progression-boost")?;
    let folder = folders.cache_dir();
    Some(match std::fs::create_dir_all(folder) {
        Ok(()) => writable("write.cache", folder),
        Err(error) => Check::of("write.cache", State::Broken, error.to_string()).path(folder),
    })
}

/// The disk that holds `folder`, by the longest mount point above it.
fn room(folder: &Path) -> Option<Check> {
    let folder = folder.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let above = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = above.max_by_key(|disk| disk.mount_point().components().count())?;
    let free = disk.available_space();
    let state = if free < ROOM { State::Notice } else { State::Works };
    let detail = format!("{} free; an episode's probes and chunks take some gigabytes", show_bytes(free));
    Some(Check::of("disk", state, detail).path(disk.mount_point()))
}

/// What the encoders of the usual plan take at 1080p, beside the waiting frames.
fn ram() -> Option<Check> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    let encoder = settings::resolve(&settings::Request::default()).ok()?.base.encoder;
    let workers = encoder.workers.unwrap_or((cpus() / encoder.lp.max(1)).max(1));
    let plan = workers as u64 * ENCODER + memory(None);
    let state = if plan > free { State::Notice } else { State::Works };
    let advice = if plan > free { "; fewer --workers or a smaller --memory need less" } else { "" };
    let detail = format!(
        "{} free of {}; at 1080p {workers} encoders at once and the frames that wait may take {}{advice}",
        show_bytes(free),
        show_bytes(total),
        show_bytes(plan)
    );
    Some(Check::of("memory", state, detail))
}
