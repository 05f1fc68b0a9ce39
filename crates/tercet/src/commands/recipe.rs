//! Which recipe is meant, and with which changes.

use std::path::{Path, PathBuf};

use train::recipe::Recipe;

/// Flattened into every command that reads a recipe.
#[derive(Debug, clap::Args)]
pub(crate) struct RecipeArgs {
    /// Recipe to read, a TOML file
    recipe: PathBuf,
    #[command(flatten)]
    changes: Changes,
}

/// Changes to a recipe.
#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    /// Change a value, e.g. stage.rl.steps=50 or world.max_value=30 (repeatable; later ones win)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Use another size of the recipe: its [scale.NAME]
    #[arg(long, value_name = "NAME")]
    scale: Option<String>,
}

impl Changes {
    /// As the recipe's overrides.
    pub(crate) fn overrides(&self) -> Vec<String> {
        let scale = self.scale.iter().map(|name| format!("scale={name}"));
        scale.chain(self.set.iter().cloned()).collect()
    }
}

impl RecipeArgs {
    /// The recipe's file, and the changes as options.
    pub(crate) fn parts(&self) -> (&Path, Vec<String>) {
        let scale = self.changes.scale.iter().flat_map(|scale| ["--scale".to_owned(), scale.clone()]);
        let set = self.changes.set.iter().flat_map(|change| ["--set".to_owned(), change.clone()]);
        (&self.recipe, scale.chain(set).collect())
    }

    /// Reads and checks the recipe.
    pub(crate) fn open(&self) -> anyhow::Result<Recipe> {
        Ok(Recipe::open(&self.recipe, &self.changes.overrides())?)
    }
}
