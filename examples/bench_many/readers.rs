//! What readers at several places of a video cost its source plugin: seeks are
//! frames decoded for nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use progression_boost::source::{Arg, OpenOptions, Session};

/// Of the process that reads: video, plugin, readers and sessions.
const TASK: &str = "BENCH_MANY_READ";

/// Namespace, function, and what keeps it to a thread.
const PLUGINS: [(&str, &str, &str); 3] =
    [("bs", "VideoSource", "threads"), ("lsmas", "LWLibavSource", "threads"), ("ffms2", "Source", "threads")];

pub fn table(video: &Path, only: &[&str]) -> Result<()> {
    let video = std::path::absolute(video)?;
    let run = |plugin: &str, readers: usize, sessions: usize| -> Result<f64> {
        let task = format!("{plugin} {readers} {sessions} {}", video.display());
        let output =
            Command::new(std::env::current_exe()?).env(super::PART, "readers").env(TASK, task).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    println!(
        "| source plugin | readers | of one instance | an instance for four | for two | for each |\n|---|---|---|---|---|---|"
    );
    for (plugin, ..) in PLUGINS {
        if !only.is_empty() && !only.contains(&plugin) {
            continue;
        }
        // Also writes the index.
        if run(plugin, 1, 1).is_err() {
            println!("| {plugin} | | not installed | | | |");
            continue;
        }
        let one = run(plugin, 1, 1)?;
        println!("| {plugin} | 1 | {one:.1} s = 1.00 | | | |");
        for readers in [4, 8, 16] {
            let ratio = |each: usize| -> Result<String> {
                Ok(format!("{:.2}", run(plugin, readers, readers.div_ceil(each))? / one))
            };
            let (all, four, two, single) = (ratio(readers)?, ratio(4)?, ratio(2)?, ratio(1)?);
            println!("| {plugin} | {readers} | {all} | {four} | {two} | {single} |");
        }
    }
    Ok(())
}

/// Reads the whole video once, in scenes of 96 frames that the readers share out,
/// and prints CPU seconds, the opening aside.
pub fn as_part() -> Result<()> {
    let task = std::env::var(TASK)?;
    let mut words = task.splitn(4, ' ');
    let mut word = || words.next().context("no task");
    let (plugin, readers, sessions, video) =
        (word()?, word()?.parse::<usize>()?, word()?.parse::<usize>()?, word()?);
    let (_, function, threads) =
        PLUGINS.into_iter().find(|known| known.0 == plugin).context("no such plugin")?;
    let open = || -> Result<_> {
        let session = Session::empty(None, &OpenOptions::default())?;
        let mut args = vec![("source", Arg::Text(video)), (threads, Arg::Int(1))];
        if plugin == "bs" {
            // As the program bounds it.
            args.push(("cachesize", Arg::Int(64)));
        }
        Ok((session.invoke(plugin, function, &args)?, session))
    };
    let opened = (0..sessions).map(|_| open()).collect::<Result<Vec<_>>>()?;
    let frames = opened[0].0.info().num_frames;
    for (node, _) in &opened {
        node.get_frame(0).map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let before = super::cpu_seconds();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for reader in 0..readers {
            let (node, next) = (&opened[reader % sessions].0, &next);
            scope.spawn(move || {
                loop {
                    let start = 96 * next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if start >= frames {
                        return;
                    }
                    for frame in start..(start + 96).min(frames) {
                        node.get_frame(frame).expect("the frame is there");
                        // What an encoder takes; others get their turn.
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                }
            });
        }
    });
    println!("{}", super::cpu_seconds() - before);
    // Freeing cores at exit is what crashes.
    std::mem::forget(opened);
    Ok(())
}
