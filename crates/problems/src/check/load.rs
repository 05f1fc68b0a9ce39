//! Loading a context of one's own: the judge has to verify correct solutions with each of its names.

use crate::judge::gold::Gold;
use crate::judge::verify::{FaultKind, Policy, Verdict, verify};
use crate::problem::gold_of;
use crate::tell::layout::Layout;
use crate::tell::parts::Texts;
use crate::tell::render;
use crate::world::context::{Context, ContextError, Style, Word};
use crate::world::graph::{Act, Graph, Join, Node, Quantity, Rule, SIDE_MAX};
use crate::world::linear::Linear;
use crate::world::mode::Mode;
use crate::world::spec::Variables;

impl Context {
    /// Reads and checks a context.
    ///
    /// Solutions with each of its names are told in both modes and styles, with letters and with names for variables.
    /// The judge has to verify all of them.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub fn from_toml(text: &str) -> Result<Self, ContextError> {
        let context = Self::read(text)?;
        let kinds: Vec<Word> = context.kind_words().map(|(_, word)| word).collect();
        for (_, place) in context.place_words() {
            for kinds in kinds.chunks(SIDE_MAX) {
                for mode in [Mode::Forward, Mode::Reverse] {
                    context.check_solutions(&sampler(kinds.len() as u8, mode), place, kinds)?;
                }
            }
        }
        Ok(context)
    }

    /// Tells a graph in every way and lets the judge read its solution.
    fn check_solutions(&self, graph: &Graph, place: Word, kinds: &[Word]) -> Result<(), ContextError> {
        for style in [Style::Prose, Style::Terse] {
            for variables in [Variables::Random, Variables::Names] {
                let layout = Layout {
                    places: vec![place],
                    kinds: kinds.to_vec(),
                    order: Vec::new(),
                    letters: ('a'..='z').chain('A'..='Z').filter(|l| !matches!(l, 'x' | 'X')).collect(),
                    variables,
                    style: Some(style),
                };
                let texts = render::texts(graph, &layout, self)
                    .expect("the graph is linear in its unknown, and there are letters for all steps");
                let names = render::names(graph, &layout, self);
                let gold = gold_of(graph, names.iter().map(String::as_str));
                let verdict = verify(&gold, &texts.solution, Policy::Strict);
                if !verdict.verified || verdict.first_fault.is_some() {
                    return Err(self.unreadable(&gold, &verdict, &texts));
                }
            }
        }
        Ok(())
    }

    fn unreadable(&self, gold: &Gold, verdict: &Verdict, texts: &Texts) -> ContextError {
        let (kind, place) = verdict.first_fault.clone().unwrap_or((FaultKind::MissingStep, 0..0));
        // The first quantity that is not read as it should be, else the text at the fault.
        let nodes = gold.nodes.iter().zip(&verdict.nodes);
        let node = nodes.filter(|(_, found)| !found.correct()).map(|(node, _)| node.name.clone()).next();
        let name = node.unwrap_or_else(|| texts.solution.get(place).unwrap_or_default().to_owned());
        ContextError::Unreadable { context: self.name.clone(), name, fault: kind.meaning() }
    }
}

/// A graph with every kind of quantity of one place: counts, their total, averages and their grand total.
fn sampler(kinds: u8, mode: Mode) -> Graph {
    let mut nodes: Vec<Node> = Vec::new();
    let mut push = |quantity: Quantity, rule: Rule, operands: &[u8]| {
        nodes.push(Node { quantity, rule, operands: operands.iter().copied().collect(), value: 0 });
    };
    let place = 0;
    for kind in 0..kinds {
        let quantity = Quantity::Count { place, kind };
        match kind {
            0 => push(quantity, Rule::Literal(2), &[]),
            1 => push(quantity, Rule::Joined(Join::Sum, Some((Act::Times, 3))), &[0]),
            _ => push(quantity, Rule::Joined(Join::Sum, None), &[kind - 2, kind - 1]),
        }
    }
    let counts: Vec<u8> = (0..kinds).collect();
    push(Quantity::Total { place }, Rule::Total, &counts);
    for kind in 0..kinds {
        push(Quantity::Average { place, kind }, Rule::Literal(i64::from(kind) + 1), &[]);
    }
    let pairs: Vec<u8> = counts.iter().flat_map(|&kind| [kind, kinds + 1 + kind]).collect();
    push(Quantity::Grand { place }, Rule::Grand, &pairs);
    let mut values: Vec<Linear> = Vec::with_capacity(nodes.len());
    for node in &mut nodes {
        let value = node.apply(&values, None).unwrap_or(Linear::number(0));
        node.value = value.b;
        values.push(value);
    }
    let unknown = (mode == Mode::Reverse).then_some(0);
    Graph { path: nodes.len() as u8, nodes, unknown, modulus: None }
}
