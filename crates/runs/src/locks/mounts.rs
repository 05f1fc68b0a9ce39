//! File systems whose locks do not reach other machines, though they are granted.

use std::{fs, path::Path};

/// Whether the locks of the file system that holds a folder reach all who see it, as far as the system tells. Where it
/// tells nothing, they are taken to.
pub(super) fn has_locks(folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return true };
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return true };
    let mut best: Option<(usize, bool)> = None;
    for mount in mounts.lines().filter_map(Mount::of) {
        let length = mount.point.len();
        if folder.starts_with(&mount.point) && best.is_none_or(|(longest, _)| length >= longest) {
            best = Some((length, mount.has_locks()));
        }
    }
    best.is_none_or(|(_, has_locks)| has_locks)
}

/// A line of `/proc/self/mountinfo`.
struct Mount<'a> {
    point: String,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `36 35 98:0 /root /point options … - kind source options`
    fn of(line: &'a str) -> Option<Self> {
        let (place, what) = line.split_once(" - ")?;
        let mut what = what.split(' ');
        let point = place.split(' ').nth(4)?.replace("\\040", " ");
        Some(Self { point, kind: what.next()?, options: what.nth(1)? })
    }

    fn has_locks(&self) -> bool {
        let has = |option: &str| self.options.split(',').any(|known| known == option);
        match self.kind {
            "nfs" | "nfs4" => !has("nolock") && !has("local_lock=all") && !has("local_lock=flock"),
            "lustre" => has("flock"),
            "fuse.sshfs" | "fuse.s3fs" | "fuse.gcsfuse" | "fuse.rclone" | "9p" | "virtiofs" => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_stay_on_one_machine_are_told_from_others() {
        let check = |kind: &str, options: &str, expected: bool| {
            let line = format!("36 35 98:0 / /a\\040b rw,noatime shared:1 - {kind} server:/x {options}");
            let mount = Mount::of(&line).expect("a mount");
            assert_eq!((mount.point.as_str(), mount.has_locks()), ("/a b", expected), "{line}");
        };
        check("ext4", "rw", true);
        check("nfs4", "rw,vers=4.2,local_lock=none,addr=10.0.0.1", true);
        check("nfs", "rw,vers=3,nolock,local_lock=all", false);
        check("lustre", "rw,flock", true);
        check("lustre", "rw,localflock", false);
        check("fuse.sshfs", "rw", false);
        assert!(Mount::of("no mount").is_none());
    }
}
