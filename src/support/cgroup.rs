//! The memory that a container leaves to its processes.

use std::path::Path;

/// Bytes that this process's control groups allow it, the strictest of them; `None`
/// where there is no limit, and on systems without control groups.
pub fn memory_limit() -> Option<u64> {
    limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
}

/// A file with a group's limit, in the second version of the interface and in the first.
const LIMITS: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];

/// The first version says "no limit" with a number near the largest of 64 bits.
const NO_LIMIT: u64 = 1 << 60;

/// What the groups that `membership` names say below `root`, each with all above it:
/// a limit holds for all groups within.
fn limit(membership: &Path, root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(membership).ok()?;
    let groups = text.lines().filter_map(|line| {
        let (hierarchy, group) = line.split_once(':')?.1.split_once(':')?;
        // The second version has one hierarchy, without a name; the first one of its own.
        let folder = match hierarchy {
            "" => root.to_path_buf(),
            _ if hierarchy.split(',').any(|name| name == "memory") => root.join("memory"),
            _ => return None,
        };
        Some((folder, group.trim_start_matches('/').to_owned()))
    });
    let limits = groups.flat_map(|(root, group)| {
        let folder = root.join(group);
        // Inside a container the group may be named as it is outside, where nothing is.
        let folders: Vec<_> =
            folder.ancestors().take_while(|path| path.starts_with(&root)).map(Path::to_path_buf).collect();
        folders.into_iter().flat_map(|folder| LIMITS.map(|name| folder.join(name)))
    });
    let bytes = limits.filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    bytes.filter(|bytes| *bytes < NO_LIMIT).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_group_counts_in_both_versions_of_the_interface() {
        let folder = tempfile::tempdir().unwrap();
        let (membership, root) = (folder.path().join("cgroup"), folder.path().join("fs"));
        let group = |path: &str, name: &str, text: &str| {
            std::fs::create_dir_all(root.join(path)).unwrap();
            std::fs::write(root.join(path).join(name), text).unwrap();
        };
        std::fs::write(&membership, "0::/user/encode.scope\n").unwrap();
        assert_eq!(limit(&membership, &root), None);
        group("user/encode.scope", "memory.max", "max\n");
        assert_eq!(limit(&membership, &root), None);
        group("user", "memory.max", "4294967296\n");
        group("", "memory.max", "8589934592\n");
        assert_eq!(limit(&membership, &root), Some(4 << 30));

        std::fs::write(&membership, "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n").unwrap();
        group("memory", "memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit(&membership, &root), None);
        // The group's name is that of the outside, its files lie at the root.
        group("memory", "memory.limit_in_bytes", "1073741824\n");
        assert_eq!(limit(&membership, &root), Some(1 << 30));
        assert_eq!(limit(Path::new("no such file"), &root), None);
    }
}
