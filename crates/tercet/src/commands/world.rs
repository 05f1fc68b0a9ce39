//! Which problems are meant: a world, cells, a seed and a split, from flags or from a recipe.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use problems::gold::Mode;
use problems::stream::Stream;
use problems::{Cell, Context, Contexts, Generator, Problem, Sequence, Split, SplitRule, World};
use serde::Deserialize as _;
use train::recipe::Recipe;

use crate::failure::Usage;

/// Ops such as `4`, `2-8` or `2-6,9`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ops(pub Vec<u32>);

impl FromStr for Ops {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut ops = Vec::new();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("`{part}` is no op"));
            let (from, to) = (number(from)?, number(to)?);
            if from > to || to > problems::spec::OP_MAX {
                return Err(format!("`{part}` is no range of ops from 1 to {}", problems::spec::OP_MAX));
            }
            ops.extend(from..=to);
        }
        ops.sort_unstable();
        ops.dedup();
        Ok(Self(ops))
    }
}

/// Reads the name of a mode; the help lists them.
fn mode() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|name| name.parse())
}

/// Reads the name of a split; the help lists them.
fn split() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new(Split::ALL.map(Split::name)).try_map(|name| name.parse())
}

/// Flattened into every command that makes problems.
#[derive(Debug, clap::Args)]
pub(crate) struct WorldArgs {
    /// Numbers of operations: 4, 2-8 or 2-6,9
    #[arg(long, value_name = "OPS", default_value = "2-8")]
    op: Ops,
    /// Stories: zoo, school, festival, terse, or one of a --context-file
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "zoo")]
    context: Vec<String>,
    /// What is asked for: the last quantity, or an unknown one
    #[arg(long, value_parser = mode(), value_delimiter = ',', default_value = "forward")]
    mode: Vec<Mode>,
    /// Names all random draws
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only problems of this split; without it, of all
    #[arg(long, value_parser = split())]
    split: Option<Split>,
    /// Split by text instead of structure (the paper's weaker rule)
    #[arg(long, requires = "split")]
    by_text: bool,
    /// Take the world and its contexts from a recipe
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Bounds of the world, as in a recipe's ``[world]``; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A context of one's own, as a TOML file; repeatable
    #[arg(long, value_name = "FILE")]
    context_file: Vec<PathBuf>,
}

impl WorldArgs {
    /// The generator and the problems of each cell.
    pub(crate) fn open(&self) -> anyhow::Result<(Generator, Vec<Sequence>)> {
        let (world, contexts) = self.world()?;
        let rule = if self.by_text { SplitRule::Text } else { SplitRule::Structure };
        let split = self.split.map(|split| (split, rule));
        let generator = Generator::new(&world, &contexts, self.seed, split).map_err(Usage::error)?;
        let mut sequences = Vec::new();
        for context in &self.context {
            for &mode in &self.mode {
                for &op in &self.op.0 {
                    let cell = Cell { op, context: context.clone(), mode };
                    sequences.push(generator.sequence(&cell).map_err(Usage::error)?);
                }
            }
        }
        Ok((generator, sequences))
    }

    /// The seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The world and the contexts it can be told in.
    pub(crate) fn world(&self) -> anyhow::Result<(World, Contexts)> {
        let (base, contexts) = self.base()?;
        Ok((self.changed(&base)?, contexts))
    }

    fn changed(&self, base: &World) -> anyhow::Result<World> {
        // Each line alone first, so that a bare word is taken for a string.
        let line = |given: &String| {
            let Some((key, value)) = given.split_once('=') else {
                return Err(Usage::error(format!("`--set {given}` has no `=`: write --set max_value=20")));
            };
            let (key, value) = (key.trim(), value.trim());
            let bare = format!("{key} = {value}");
            if toml::from_str::<toml::Table>(&bare).is_ok() {
                return Ok(bare);
            }
            Ok(format!("{key} = \"{}\"", value.escape_default()))
        };
        let lines = self.set.iter().map(line).collect::<anyhow::Result<Vec<_>>>()?;
        let wrong = |e: toml::de::Error| Usage::error(format!("--set: {}", e.message()));
        let changes: toml::Table = toml::from_str(&lines.join("\n")).map_err(wrong)?;
        let mut world = toml::Table::try_from(base)?;
        merge(&mut world, changes);
        World::deserialize(world).map_err(wrong)
    }

    /// World and contexts to start from.
    fn base(&self) -> anyhow::Result<(World, Contexts)> {
        let (world, mut contexts) = match &self.recipe {
            Some(path) => {
                let recipe = Recipe::open(path, &[])?;
                (recipe.document.world, recipe.contexts)
            }
            None => (World::default(), Contexts::builtin()),
        };
        for path in &self.context_file {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let added = Context::from_toml(&text).and_then(|context| contexts.add(context));
            added.map_err(|e| Usage::error(format!("{}: {e}", path.display())))?;
        }
        Ok((world, contexts))
    }
}

/// Flattened into commands that show or write problems: the same graphs, told differently.
#[derive(Debug, clap::Args)]
pub(crate) struct Retelling {
    /// Tell each problem in this context: same graph, same order of sentences, same letters
    #[arg(long = "in", value_name = "CONTEXT")]
    told_in: Option<String>,
    /// Keep each problem's graph and words, but draw its numbers anew with this seed
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

/// Puts values in place; a table is merged key by key.
fn merge(base: &mut toml::Table, changes: toml::Table) {
    for (key, value) in changes {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(change)) => merge(inner, change),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ops;

    #[test]
    fn ops_are_lists_of_ranges() {
        let check = |text: &str| text.parse::<Ops>().map(|ops| ops.0);
        assert_eq!(check("4"), Ok(vec![4]));
        assert_eq!(check("2-4,9,3"), Ok(vec![2, 3, 4, 9]));
        assert_eq!(check("5-2"), Err("`5-2` is no range of ops from 1 to 50".to_owned()));
        assert_eq!(check("x"), Err("`x` is no op".to_owned()));
    }
}
