//! Which problems are meant: a world, cells, a seed and a split, from flags or from a recipe.

use std::path::PathBuf;

use anyhow::Context as _;
use problems::gold::Mode;
use problems::stream::Stream;
use problems::verify::Policy;
use problems::{Cell, Context, Contexts, Generator, Problem, Sequence, Split, SplitRule, World};
use runs::OpList;
use serde::{Deserialize as _, Serialize};
use train::recipe::{Recipe, assignment};

use super::choice;
use crate::failure::Usage;

/// Flattened into every command that makes problems.
#[derive(Debug, clap::Args)]
pub(crate) struct WorldArgs {
    /// Numbers of operations: 4, 2-8 or 2-6,9
    #[arg(long, value_name = "OPS", default_value = "2-8")]
    op: OpList,
    /// Contexts, as `tercet contexts` lists them; by default those of --context-file, or zoo
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    context: Vec<String>,
    /// What the question asks for: the last quantity, or an unknown one
    #[arg(long, value_delimiter = ',', default_value = "forward", value_parser = choice::mode())]
    mode: Vec<Mode>,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only problems of this split; all by default
    #[arg(long, value_parser = choice::split())]
    split: Option<Split>,
    /// Split by text instead of structure (the paper's weaker rule)
    #[arg(long, requires = "split")]
    by_text: bool,
    /// Take the world and its contexts from this recipe
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Use another size of the recipe: its [scale.NAME]
    #[arg(long, value_name = "NAME", requires = "recipe")]
    scale: Option<String>,
    /// Change a bound of the world, as in a recipe's `[world]` (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Add the context of this TOML file (repeatable)
    #[arg(long, value_name = "FILE")]
    context_file: Vec<PathBuf>,
}

/// Contexts that problems can be told in.
struct Told {
    contexts: Contexts,
    /// The files of those that are not built in.
    texts: Vec<String>,
    /// The names of those that the command line adds.
    added: Vec<String>,
    /// The policy of the recipe's first suite.
    policy: Policy,
}

/// What a command asks for, checked.
pub(crate) struct Asked {
    /// Makes the problems.
    pub(crate) generator: Generator,
    /// The problems of each cell, in the order of the options.
    pub(crate) sequences: Vec<Sequence>,
    /// The files of contexts that are not built in.
    pub(crate) context_texts: Vec<String>,
    /// The policy of the recipe's first suite; `paper` without a recipe.
    pub(crate) policy: Policy,
}

impl WorldArgs {
    /// The generator and the problems of each cell.
    pub(crate) fn open(&self) -> anyhow::Result<Asked> {
        let (asked, added) = self.open_world()?;
        let chosen = match &self.context[..] {
            [] if added.is_empty() => vec!["zoo".to_owned()],
            [] => added,
            named => named.to_vec(),
        };
        distinct("--context", chosen.iter().map(String::as_str))?;
        distinct("--mode", self.mode.iter().map(|mode| mode.name()))?;
        let mut sequences = Vec::new();
        for context in &chosen {
            for &mode in &self.mode {
                for &op in &self.op.0 {
                    let cell = Cell { op, context: context.clone(), mode };
                    sequences.push(asked.generator.sequence(&cell).map_err(Usage::error)?);
                }
            }
        }
        Ok(Asked { sequences, ..asked })
    }

    /// The generator without cells, and the names of the contexts that the command line adds.
    pub(crate) fn open_world(&self) -> anyhow::Result<(Asked, Vec<String>)> {
        let (base, Told { contexts, texts: context_texts, added, policy }) = self.base()?;
        let world = self.changed(&base)?;
        let generator = Generator::new(&world, &contexts, self.seed, self.split()).map_err(Usage::error)?;
        Ok((Asked { generator, sequences: Vec::new(), context_texts, policy }, added))
    }

    /// The recipe, if one is named.
    pub(crate) fn recipe(&self) -> anyhow::Result<Option<Recipe>> {
        let overrides: Vec<String> = self.scale.iter().map(|name| format!("scale={name}")).collect();
        self.recipe.as_deref().map(|path| Ok(Recipe::open(path, &overrides)?)).transpose()
    }

    /// The seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The split and the rule that decides it.
    pub(crate) fn split(&self) -> Option<(Split, SplitRule)> {
        let rule = if self.by_text { SplitRule::Text } else { SplitRule::Structure };
        self.split.map(|split| (split, rule))
    }

    /// The world and the contexts it can be told in.
    pub(crate) fn world(&self) -> anyhow::Result<(World, Contexts)> {
        let (base, told) = self.base()?;
        Ok((self.changed(&base)?, told.contexts))
    }

    fn changed(&self, base: &World) -> anyhow::Result<World> {
        let lines: Result<Vec<String>, _> = self.set.iter().map(|given| assignment(given)).collect();
        let wrong = |e: toml::de::Error| Usage::error(format!("--set: {}", e.message()));
        let changes: toml::Table = toml::from_str(&lines?.join("\n")).map_err(wrong)?;
        let mut world = toml::Table::try_from(base)?;
        merge(&mut world, changes);
        World::deserialize(world).map_err(wrong)
    }

    /// World and contexts to start from.
    fn base(&self) -> anyhow::Result<(World, Told)> {
        let (world, mut told) = if let Some(recipe) = self.recipe()? {
            let first = recipe.document.evaluation.suites.first();
            let policy = first.map_or(Policy::Paper, |suite| suite.policy);
            let (contexts, texts) = (recipe.contexts, recipe.context_texts);
            (recipe.document.world, Told { contexts, texts, added: Vec::new(), policy })
        } else {
            let (texts, added) = (Vec::new(), Vec::new());
            let told = Told { contexts: Contexts::builtin(), texts, added, policy: Policy::Paper };
            (World::default(), told)
        };
        for path in &self.context_file {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            // Some editors write a byte order mark.
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            let wrong = |e| Usage::error(format!("{}: {e}", path.display()));
            let context = Context::from_toml(&text).map_err(wrong)?;
            told.added.push(context.name.clone());
            told.contexts.add(context).map_err(wrong)?;
            told.texts.push(text);
        }
        Ok((world, told))
    }
}

/// Flattened into commands that show or write problems: the same graphs, told differently.
#[derive(Debug, Serialize, clap::Args)]
pub(crate) struct Retelling {
    /// Tell each problem in this context: same graph, same order of sentences, same letters
    #[arg(long = "in", value_name = "CONTEXT")]
    told_in: Option<String>,
    /// Keep each problem's graph and words, and draw new numbers with this seed
    #[arg(long, value_name = "SEED")]
    renumber: Option<u64>,
}

impl Retelling {
    /// Whether there is such a context.
    pub(crate) fn check(&self, contexts: &Contexts) -> anyhow::Result<()> {
        self.told_in.as_deref().map_or(Ok(()), |name| context(contexts, name).map(drop))
    }

    /// The problem as it should be told.
    pub(crate) fn apply(
        &self,
        mut problem: Problem,
        world: &World,
        contexts: &Contexts,
    ) -> anyhow::Result<Problem> {
        if let Some(seed) = self.renumber {
            let stream = Stream::root(seed).fork("renumber").fork(&problem.id);
            let own = context(contexts, &problem.cell.context)?;
            problem = problem.renumber(world, own, &stream).with_context(|| {
                format!(
                    "problem {} ({}) has no other numbers within the world's bounds",
                    problem.index, problem.cell
                )
            })?;
        }
        if let Some(name) = &self.told_in {
            problem = problem.render_in(context(contexts, name)?);
        }
        Ok(problem)
    }
}

fn context<'c>(contexts: &'c Contexts, name: &str) -> anyhow::Result<&'c Context> {
    contexts.get(name).ok_or_else(|| {
        let known = contexts.names().collect::<Vec<_>>().join(", ");
        Usage::error(format!("there is no context `{name}`; known are {known}"))
    })
}

/// Refuses what is named twice: every problem would be there twice.
fn distinct<'a>(option: &str, names: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Usage::error(format!("{option} names `{name}` twice")));
        }
    }
    Ok(())
}

/// Puts values in place; a table is merged key by key.
fn merge(base: &mut toml::Table, changes: toml::Table) {
    for (key, value) in changes {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(change)) => merge(inner, change),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
