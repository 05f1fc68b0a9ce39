//! What a set of problems holds, and what two sets share.
//!
//! ```
//! use tercet_problems::{Cell, Contexts, Generator, Split, SplitRule, World, audit::Audit, gold::Mode};
//! let contexts = Contexts::builtin();
//! let cell = Cell { op: 7, context: "zoo".into(), mode: Mode::Forward };
//! let mut audit = Audit::default();
//! for split in [Split::Train, Split::Test] {
//!     let generator = Generator::new(&World::default(), &contexts, 1, Some((split, SplitRule::Structure)))?;
//!     let sequence = generator.sequence(&cell)?;
//!     (0..50).for_each(|i| audit.add(split.name(), &sequence.problem(i)));
//! }
//! let report = audit.report();
//! assert!(report.overlaps.iter().all(|o| o.structures == 0));
//! # Ok::<(), tercet_problems::SpecError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::identity::split::{Identity, SplitRule};
use crate::problem::Problem;
use crate::world::graph::{Act, Graph, Join, Node, Rule};
use crate::world::mode::Mode;

/// The first 16 bytes of a hash: enough to tell a trillion problems apart.
type Short = [u8; 16];

fn shorten(hash: [u8; 32]) -> Short {
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

/// The kinds of identity that are counted, from fine to coarse.
const IDENTITIES: usize = 4;

#[derive(Debug, Default)]
struct Set {
    problems: u64,
    /// Text, instance, structure and shape of every problem.
    seen: [BTreeSet<Short>; IDENTITIES],
    /// The identity that decides the split, by cell.
    deciding: BTreeMap<(u32, Mode, u8), BTreeSet<Short>>,
    ops: BTreeMap<u32, u64>,
    depths: BTreeMap<u32, u64>,
    contexts: BTreeMap<String, u64>,
    modes: BTreeMap<&'static str, u64>,
    distractors: BTreeMap<u32, u64>,
    substructures: BTreeMap<String, u64>,
}

/// Collects sets of problems. Memory grows with the number of different problems (about 100 bytes each).
#[derive(Debug, Default)]
pub struct Audit {
    sets: BTreeMap<String, Set>,
}

/// What a set holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SetReport {
    /// Its name.
    pub name: String,
    /// Problems in it.
    pub problems: u64,
    /// Problems whose text occurred before.
    pub repeated_texts: u64,
    /// Problems that differ from an earlier one in letters, sentence order and context at most.
    pub repeated_instances: u64,
    /// Problems whose structure occurred before.
    pub repeated_structures: u64,
    /// Problems that differ from an earlier one in words and numbers at most: near-duplicates.
    pub repeated_shapes: u64,
    /// Problems by op.
    pub ops: BTreeMap<u32, u64>,
    /// Problems by depth.
    pub depths: BTreeMap<u32, u64>,
    /// Problems by context.
    pub contexts: BTreeMap<String, u64>,
    /// Problems by mode.
    pub modes: BTreeMap<&'static str, u64>,
    /// Problems by number of distractor sentences.
    pub distractors: BTreeMap<u32, u64>,
    /// How often each step with what it is computed from occurs, e.g. `c * P of a total`.
    pub substructures: BTreeMap<String, u64>,
}

/// What two sets share: numbers of different identities that occur in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Overlap {
    /// The one set.
    pub a: String,
    /// The other.
    pub b: String,
    /// Texts in both.
    pub texts: u64,
    /// Instances in both (letters, sentence order and context abstracted).
    pub instances: u64,
    /// Structures in both (entities and distractors abstracted too).
    pub structures: u64,
    /// Shapes in both (literals and values abstracted too).
    pub shapes: u64,
}

/// Which identity separates the splits of a cell, and whether it does here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CellRule {
    /// The cell's op.
    pub op: u32,
    /// The cell's mode.
    pub mode: Mode,
    /// 2 or 3.
    pub d: u8,
    /// The identity that decides under the structural rule.
    pub identity: Identity,
    /// How many of them there are in each set.
    pub distinct: BTreeMap<String, u64>,
    /// How many occur in more than one set.
    pub shared: u64,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Every set.
    pub sets: Vec<SetReport>,
    /// Every pair of sets.
    pub overlaps: Vec<Overlap>,
    /// Every cell.
    pub rules: Vec<CellRule>,
}

impl Audit {
    /// Adds a problem to a set.
    pub fn add(&mut self, set: &str, problem: &Problem) {
        if !self.sets.contains_key(set) {
            self.sets.insert(set.to_owned(), Set::default());
        }
        let Some(set) = self.sets.get_mut(set) else { return };
        let hashes =
            [problem.text_hash(), problem.instance_hash(), problem.structure_hash(), problem.shape_hash()];
        let hashes = hashes.map(shorten);
        for (seen, hash) in set.seen.iter_mut().zip(hashes) {
            seen.insert(hash);
        }
        let cell = (problem.cell.op, problem.cell.mode, problem.d);
        let deciding = match Identity::of(SplitRule::Structure, cell.0) {
            Identity::Text => hashes[0],
            Identity::Instance => hashes[1],
            Identity::Structure => hashes[2],
        };
        set.deciding.entry(cell).or_default().insert(deciding);
        let stats = problem.stats();
        set.problems += 1;
        *set.ops.entry(stats.op).or_default() += 1;
        *set.depths.entry(stats.depth).or_default() += 1;
        *set.contexts.entry(problem.cell.context.clone()).or_default() += 1;
        *set.modes.entry(problem.cell.mode.name()).or_default() += 1;
        *set.distractors.entry(stats.distractors).or_default() += 1;
        for node in problem.graph.path_nodes() {
            *set.substructures.entry(substructure(&problem.graph, node)).or_default() += 1;
        }
    }

    /// What has been collected.
    pub fn report(&self) -> AuditReport {
        let sets = self.sets.iter().map(|(name, set)| set.report(name)).collect();
        let mut overlaps = Vec::new();
        for (i, (a, left)) in self.sets.iter().enumerate() {
            for (b, right) in self.sets.iter().skip(i + 1) {
                let common = |k: usize| left.seen[k].intersection(&right.seen[k]).count() as u64;
                overlaps.push(Overlap {
                    a: a.clone(),
                    b: b.clone(),
                    texts: common(0),
                    instances: common(1),
                    structures: common(2),
                    shapes: common(3),
                });
            }
        }
        AuditReport { sets, overlaps, rules: self.rules() }
    }

    fn rules(&self) -> Vec<CellRule> {
        let cells: BTreeSet<(u32, Mode, u8)> =
            self.sets.values().flat_map(|s| s.deciding.keys().copied()).collect();
        let rule = |cell: (u32, Mode, u8)| {
            let (op, mode, d) = cell;
            let mut seen: BTreeMap<Short, u64> = BTreeMap::new();
            let mut distinct = BTreeMap::new();
            for (name, set) in &self.sets {
                let Some(identities) = set.deciding.get(&cell) else { continue };
                distinct.insert(name.clone(), identities.len() as u64);
                for identity in identities {
                    *seen.entry(*identity).or_default() += 1;
                }
            }
            let shared = seen.values().filter(|&&n| n > 1).count() as u64;
            CellRule { op, mode, d, identity: Identity::of(SplitRule::Structure, op), distinct, shared }
        };
        cells.into_iter().map(rule).collect()
    }
}

impl Set {
    fn report(&self, name: &str) -> SetReport {
        let repeated = |k: usize| self.problems - self.seen[k].len() as u64;
        SetReport {
            name: name.to_owned(),
            problems: self.problems,
            repeated_texts: repeated(0),
            repeated_instances: repeated(1),
            repeated_structures: repeated(2),
            repeated_shapes: repeated(3),
            ops: self.ops.clone(),
            depths: self.depths.clone(),
            contexts: self.contexts.clone(),
            modes: self.modes.clone(),
            distractors: self.distractors.clone(),
            substructures: self.substructures.clone(),
        }
    }
}

/// A step's operation, e.g. `c * (P - Q)`.
fn operation(node: &Node) -> &'static str {
    let few = node.operands.len().min(3);
    match (node.rule, few) {
        (Rule::Literal(_), _) => "number",
        (Rule::Total, 1) => "total of one",
        (Rule::Total, _) => "total",
        (Rule::Grand, _) => "grand total",
        (Rule::Joined(_, None), 1) => "P",
        (Rule::Joined(_, Some((Act::Plus, _))), 1) => "c + P",
        (Rule::Joined(_, Some((Act::Times, _))), 1) => "c * P",
        (Rule::Joined(Join::Difference, None), _) => "P - Q",
        (Rule::Joined(Join::Difference, Some((Act::Plus, _))), _) => "c + (P - Q)",
        (Rule::Joined(Join::Difference, Some((Act::Times, _))), _) => "c * (P - Q)",
        (Rule::Joined(Join::Sum, None), 2) => "P + Q",
        (Rule::Joined(Join::Sum, Some((Act::Plus, _))), 2) => "c + (P + Q)",
        (Rule::Joined(Join::Sum, Some((Act::Times, _))), 2) => "c * (P + Q)",
        (Rule::Joined(Join::Sum, None), _) => "P + Q + …",
        (Rule::Joined(Join::Sum, Some((Act::Plus, _))), _) => "c + (P + Q + …)",
        (Rule::Joined(Join::Sum, Some((Act::Times, _))), _) => "c * (P + Q + …)",
    }
}

/// An operation with the operations of its operands, e.g. `c * P of a total`.
pub fn substructure(graph: &Graph, node: &Node) -> String {
    let class = |i: usize| match graph.nodes[i].rule {
        _ if graph.unknown == Some(i as u8) => "x",
        Rule::Literal(_) => "number",
        Rule::Total | Rule::Grand => "total",
        Rule::Joined(..) => "formula",
    };
    let mut classes: BTreeMap<&str, u32> = BTreeMap::new();
    for operand in node.operands.iter() {
        *classes.entry(class(operand)).or_default() += 1;
    }
    if classes.is_empty() {
        return operation(node).to_owned();
    }
    let parts: Vec<String> = classes.iter().map(|(class, n)| format!("{n} {class}")).collect();
    format!("{} of {}", operation(node), parts.join(", "))
}

/// A table for people.
impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "set          problems   repeated: texts  instances  structures  shapes (near-duplicates)"
        )?;
        for set in &self.sets {
            let SetReport { name, problems, repeated_texts, repeated_instances, .. } = set;
            let (structures, shapes) = (set.repeated_structures, set.repeated_shapes);
            writeln!(
                f,
                "{name:<12}{problems:>9}{repeated_texts:>18}{repeated_instances:>11}{structures:>12}{shapes:>8}"
            )?;
        }
        if !self.overlaps.is_empty() {
            writeln!(f, "\nin both sets                  texts  instances  structures  shapes")?;
        }
        for o in &self.overlaps {
            let pair = format!("{} / {}", o.a, o.b);
            writeln!(f, "{pair:<26}{:>9}{:>11}{:>12}{:>8}", o.texts, o.instances, o.structures, o.shapes)?;
        }
        writeln!(f, "\ncell                split by    in more than one set   distinct in each set")?;
        for rule in &self.rules {
            let cell = format!("op {} {} d={}", rule.op, rule.mode.name(), rule.d);
            let identity: &str = rule.identity.into();
            let distinct: Vec<String> = rule.distinct.iter().map(|(name, n)| format!("{name} {n}")).collect();
            writeln!(f, "{cell:<20}{identity:<12}{:>20}   {}", rule.shared, distinct.join(", "))?;
        }
        for set in &self.sets {
            writeln!(f, "\nexposure in {}", set.name)?;
            let line = |f: &mut fmt::Formatter<'_>, what: &str, counts: &mut dyn Iterator<Item = String>| {
                writeln!(f, "  {what}: {}", counts.collect::<Vec<_>>().join(", "))
            };
            line(f, "op", &mut set.ops.iter().map(|(k, n)| format!("{k}: {n}")))?;
            line(f, "depth", &mut set.depths.iter().map(|(k, n)| format!("{k}: {n}")))?;
            line(f, "context", &mut set.contexts.iter().map(|(k, n)| format!("{k}: {n}")))?;
            line(f, "mode", &mut set.modes.iter().map(|(k, n)| format!("{k}: {n}")))?;
            line(f, "distractors", &mut set.distractors.iter().map(|(k, n)| format!("{k}: {n}")))?;
            writeln!(f, "  steps (the rarest are what a model may never have seen)")?;
            let mut steps: Vec<(&String, &u64)> = set.substructures.iter().collect();
            steps.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            for (step, n) in steps {
                writeln!(f, "  {n:>10}  {step}")?;
            }
        }
        Ok(())
    }
}
