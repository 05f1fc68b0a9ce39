//! `docs/tutorial.md` does what it says: its commands run, in order, and print the lines shown under them.

use std::path::Path;
use std::process::Command;

use crate::temporary;

/// Copies the recipes into a folder, as they lie in a checkout.
fn with_recipes(dir: &Path) {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    std::fs::create_dir(dir.join("recipes")).expect("writable");
    for entry in std::fs::read_dir(recipes).expect("recipes exist") {
        let path = entry.expect("readable").path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, dir.join("recipes").join(name)).expect("copied");
        }
    }
}

#[cfg(unix)]
#[test]
fn every_command_of_the_tutorial_runs() {
    let text = include_str!("../../../../docs/tutorial.md");
    let dir = temporary();
    with_recipes(dir.path());
    let program = Path::new(env!("CARGO_BIN_EXE_tercet")).parent().expect("in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut printed = String::new();
    let mut commands = 0;
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    for line in blocks.flat_map(str::lines) {
        let Some(command) = line.strip_prefix("$ ") else {
            assert!(printed.contains(line), "`{line}` is not in\n{printed}");
            continue;
        };
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(dir.path())
            .env("PATH", &path)
            .output()
            .expect("sh starts");
        printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}\n{printed}");
        commands += 1;
    }
    assert!(commands > 8);
}
