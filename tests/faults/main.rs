//! Every fault against every command: the right message and exit code, nothing
//! lost, and the run that follows gives what an undisturbed one gives.
//!
//! `cargo test --test faults -- --nocapture` prints the table.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod place;
mod table;

use std::fmt::Write;
use std::sync::OnceLock;

use place::{Happened, Place};
use table::{Cell, FAULTS, Fault, Trouble};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Boost,
    Encode,
    Verify,
}

/// What the undisturbed run of a command gives, made once.
fn undisturbed(command: Command) -> &'static [u8] {
    static RESULTS: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    RESULTS[command as usize].get_or_init(|| {
        let place = Place::new(command);
        let ended = place.run(command, false, &[]);
        assert_eq!(ended.code, Some(0), "{command:?}: {}{}", ended.stdout, ended.stderr);
        place.result(command)
    })
}

/// Runs one cell; what is wrong with it, or what it showed.
fn judge(command: Command, fault: &Fault, cell: &Cell) -> Result<String, String> {
    let Cell::Run { trouble, code, says } = cell else {
        let Cell::Senseless(why) = cell else { unreachable!() };
        return Ok(format!("– ({why})"));
    };
    let place = Place::new(command);
    let Happened { ended, message } = place.disturb(command, trouble);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    let name = fault.name;
    if ended.code != *code {
        return Err(format!("{name}: exit code {:?} instead of {code:?}\n{all}", ended.code));
    }
    if let Some(missing) = says.iter().find(|text| !all.contains(**text)) {
        return Err(format!("{name}: it does not say `{missing}`\n{all}"));
    }
    if all.contains("panicked") && !matches!(trouble, Trouble::Metric) {
        return Err(format!("{name}: it panicked\n{all}"));
    }
    let failed = *code != Some(0);
    if failed && place.has_result(command) {
        return Err(format!("{name}: there is a result all the same"));
    }
    let kept = place.journal(command);
    place.heal();
    let again = place.run(command, true, &[]);
    if again.code != Some(0) {
        return Err(format!("{name}: the run after it fails\n{}{}", again.stdout, again.stderr));
    }
    if !place.journal(command).starts_with(&kept) {
        return Err(format!("{name}: finished work was lost"));
    }
    if place.result(command) != undisturbed(command) {
        return Err(format!("{name}: another result than undisturbed"));
    }
    let left = place.left_over();
    if !left.is_empty() {
        return Err(format!("{name}: {left:?} stay behind"));
    }
    let code = code.map_or("killed".to_owned(), |code| code.to_string());
    let kept = String::from_utf8_lossy(&kept).lines().count();
    let resumed = match command {
        Command::Verify => "same report from the start".to_owned(),
        _ => format!("same result, {kept} finished steps kept"),
    };
    Ok(format!("code {code}; {message}; {resumed}"))
}

fn every_cell_of(command: Command) {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for fault in FAULTS {
        let cell = match command {
            Command::Boost => &fault.boost,
            Command::Encode => &fault.encode,
            Command::Verify => &fault.verify,
        };
        match judge(command, fault, cell) {
            Ok(shown) => writeln!(table, "| {} | {command:?} | {shown} |", fault.name).unwrap(),
            Err(why) => wrong.push(why),
        }
    }
    println!("\n{table}");
    assert!(wrong.is_empty(), "{command:?}, {} cells are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn boosting_meets_every_fault() {
    every_cell_of(Command::Boost);
}

#[test]
fn encoding_meets_every_fault() {
    every_cell_of(Command::Encode);
}

#[test]
fn verifying_meets_every_fault() {
    every_cell_of(Command::Verify);
}
