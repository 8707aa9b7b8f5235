//! Which system this is, as far as it decides what to type.

use std::path::Path;

use serde::Serialize;

/// What installs programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Packages {
    Apt,
    Dnf,
    Pacman,
    Brew,
    Winget,
    /// None that we know.
    Unknown,
}

/// The system in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct System {
    /// Such as `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
    pub packages: Packages,
    /// `sudo` is there; a minimal system of root's has none.
    pub sudo: bool,
    pub cpus: usize,
    /// Bytes.
    pub memory: u64,
}

impl System {
    pub fn detect() -> Self {
        let memory = sysinfo::System::new().map_or(0, |mut system| {
            system.refresh_memory();
            system.total_memory()
        });
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let name = field(&release, "PRETTY_NAME")
            .unwrap_or_else(|| format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH));
        let (packages, sudo) = (packages(&release), which::which("sudo").is_ok());
        Self { name, packages, sudo, cpus: crate::support::machine::cpus(), memory }
    }
}

/// The value of a line `NAME="value"` of os-release.
fn field(release: &str, name: &str) -> Option<String> {
    let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches(['"', '\'']).to_owned())
}

fn packages(release: &str) -> Packages {
    if cfg!(windows) {
        return Packages::Winget;
    }
    if cfg!(target_os = "macos") {
        return Packages::Brew;
    }
    by_release(release).unwrap_or_else(|| {
        let there = |program: &str| Path::new(program).is_file();
        match () {
            () if there("/usr/bin/apt-get") => Packages::Apt,
            () if there("/usr/bin/pacman") => Packages::Pacman,
            () if there("/usr/bin/dnf") => Packages::Dnf,
            () => Packages::Unknown,
        }
    })
}

/// By the distribution's own name or those that it is like.
fn by_release(release: &str) -> Option<Packages> {
    let names = [field(release, "ID"), field(release, "ID_LIKE")].into_iter().flatten().collect::<Vec<_>>();
    names.join(" ").split_whitespace().find_map(|name| match name {
        "debian" | "ubuntu" => Some(Packages::Apt),
        "arch" => Some(Packages::Pacman),
        "fedora" | "rhel" => Some(Packages::Dnf),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files' own lines, from Debian 13, Manjaro and CachyOS, and Nobara.
    #[test]
    fn distributions_are_known_by_name_and_by_what_they_are_like() {
        for (release, wanted) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n", Some(Packages::Apt)),
            ("NAME=\"Manjaro Linux\"\nID=manjaro\nID_LIKE=arch\n", Some(Packages::Pacman)),
            ("ID=cachyos\nID_LIKE=\"arch\"\n", Some(Packages::Pacman)),
            ("ID=nobara\nID_LIKE=\"rhel centos fedora\"\n", Some(Packages::Dnf)),
            ("ID=nixos\n", None),
            ("", None),
        ] {
            assert_eq!(by_release(release), wanted, "{release}");
        }
        assert_eq!(field("ID=debian\nPRETTY_NAME='A b'\n", "PRETTY_NAME").unwrap(), "A b");
    }
}
