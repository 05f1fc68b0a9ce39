//! Any text as a recipe with `--set`: an error with a place or a recipe that can be planned, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tercet_train::recipe::Recipe;

fuzz_target!(|text: &str| {
    // Lines that begin with `--set ` are overrides.
    let (overrides, recipe): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("--set "));
    let overrides: Vec<String> = overrides.iter().map(|line| line["--set ".len()..].to_owned()).collect();
    match Recipe::parse(&recipe.join("\n"), "recipe.toml", &overrides) {
        Err(error) => {
            let told = error.to_string();
            // Several errors are told at once, each with a bounded part of its line.
            assert!(told.len() < 40_000, "{} bytes", told.len());
        }
        Ok(recipe) => {
            let again = Recipe::parse(&recipe.resolved(), "resolved.toml", &[]);
            assert_eq!(again.expect("a resolved recipe is a recipe").hash(), recipe.hash());
        }
    }
});
