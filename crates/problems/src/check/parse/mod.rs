//! From text back to the graph, and the finding that a text has no answer.
//!
//! ```
//! use tercet_problems::{Contexts, parse};
//! let contexts = Contexts::builtin();
//! let terse = contexts.get("terse").unwrap();
//! let parsed = parse::parse("crow zoo =3; owl zoo =2 * crow zoo;", "total zoo?", None, terse)?;
//! assert_eq!(parsed.graph.answer(), 9);
//! let nowhere = parse::parse("owl zoo =2 * crow zoo;", "total zoo?", None, terse).unwrap_err();
//! assert_eq!(nowhere.to_string(), "`crow zoo` is nowhere stated");
//! # Ok::<(), parse::ParseError>(())
//! ```

mod sentence;
pub(crate) mod solution;

use std::collections::{BTreeMap, BTreeSet};

use crate::tell::layout::{Layout, Sentence};
use crate::world::context::{Context, Style, Word};
use crate::world::graph::{Graph, Node, Operands, Quantity, Rule, SIDE_MAX};
use crate::world::linear::Linear;
use crate::world::spec::Variables;

use sentence::{Named, Reader, Said};
use solution::Step;

/// A text that is not a problem, or not one with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not a name of the context.
    #[error("`{0}` is not a name of this context")]
    Name(String),
    /// Not a sentence of the grammar.
    #[error("cannot read `{at}` in the sentence `{sentence}`")]
    Sentence {
        /// The sentence.
        sentence: String,
        /// The part that is not understood.
        at: String,
    },
    /// Not a question of the context.
    #[error("cannot read the question `{0}`")]
    Question(String),
    /// Not a solution, or one that defines other quantities than the question needs.
    #[error("cannot read the solution at `{0}`")]
    Solution(String),
    /// More places or kinds than a problem may have.
    #[error("more than {SIDE_MAX} places or kinds")]
    TooMany,
    /// The sentences can be read, but do not determine an answer.
    #[error(transparent)]
    IllPosed(#[from] IllPosed),
}

/// Why sentences do not determine an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IllPosed {
    /// A quantity that the answer needs has no sentence.
    #[error("`{0}` is nowhere stated")]
    Undefined(String),
    /// A total of a place of which nothing is stated.
    #[error("nothing is stated of what `{0}` adds up")]
    EmptyTotal(String),
    /// A quantity that depends on itself.
    #[error("`{0}` depends on itself")]
    Circular(String),
    /// A quantity with two different sentences.
    #[error("`{0}` is stated twice")]
    StatedTwice(String),
    /// The unknown occurs in a product with itself, or numbers grow beyond 64 bits.
    #[error("the values are not linear in the unknown")]
    NotLinear,
    /// An unknown without an equation for it.
    #[error("no equation determines the unknown")]
    NoEquation,
    /// The equation has no positive whole solution.
    #[error("the equation has no positive whole solution")]
    NoSolution,
}

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parsed {
    /// The graph. Its path is in the order of the solution if one was given, else in some order of dependency.
    pub graph: Graph,
    /// Words, sentence order and, if a solution was given, letters.
    pub layout: Layout,
    /// Sentences that repeat another one.
    pub repeated: usize,
    /// Sentences that the answer does not need and that have no value: circular ones, or with undefined quantities.
    pub left_out: usize,
}

/// Reads many problems of one context.
pub struct Parser<'c> {
    context: &'c Context,
    reader: Reader<'c>,
}

/// Reads one problem.
///
/// # Errors
/// Says which part cannot be read, or why the text does not determine an answer.
pub fn parse(
    problem: &str,
    question: &str,
    solution: Option<&str>,
    context: &Context,
) -> Result<Parsed, ParseError> {
    Parser::new(context).parse(problem, question, solution)
}

impl<'c> Parser<'c> {
    /// A parser for problems of that context, in either style.
    pub fn new(context: &'c Context) -> Self {
        Self { context, reader: Reader::new(context) }
    }

    /// Reads one problem.
    ///
    /// # Errors
    /// Says which part cannot be read, or why the text does not determine an answer.
    pub fn parse(&self, problem: &str, question: &str, solution: Option<&str>) -> Result<Parsed, ParseError> {
        let problem = problem.trim();
        let style = if problem.ends_with(';') { Style::Terse } else { Style::Prose };
        let (end, separator) = if style == Style::Terse { (';', "; ") } else { ('.', ". ") };
        let asked = self.reader.question(question)?;
        let mut facts = Facts { asked, ..Facts::default_for(asked) };
        for sentence in problem.strip_suffix(end).unwrap_or(problem).split(separator) {
            if facts.order.is_empty() && facts.modulus.is_none() {
                facts.modulus = sentence::modulus(sentence, style);
                if facts.modulus.is_some() {
                    continue;
                }
            }
            let (subject, said) = self.reader.sentence(sentence, style)?;
            facts.add(subject, said, &|named| self.name(named))?;
        }
        let steps = match solution {
            Some(text) => Some(
                solution::steps(text, style)
                    .ok_or_else(|| ParseError::Solution(text.chars().take(40).collect()))?,
            ),
            None => None,
        };
        let build = Build::new(&facts, self);
        build.finish(steps.as_deref(), (style != self.context.style).then_some(style))
    }

    fn name(&self, named: Named) -> String {
        let (places, kinds) = (vec![named.place()], named.kind().into_iter().collect::<Vec<_>>());
        let (places, kinds) = self.context.resolve(&places, &kinds);
        let kind = kinds.first().copied().unwrap_or(0);
        match named {
            Named::Count(..) => self.context.count(places[0], kind),
            Named::Average(..) => self.context.average(places[0], kind),
            Named::Total(_) => self.context.total(places[0]),
            Named::Grand(_) => self.context.grand(places[0]),
        }
        .to_owned()
    }
}

/// All sentences of a problem.
struct Facts {
    asked: Named,
    said: BTreeMap<Named, Said>,
    /// Subjects in the order of the text; `None` stands for the given value.
    order: Vec<Option<Named>>,
    given: Option<(Named, i64)>,
    modulus: Option<i64>,
    repeated: usize,
}

impl Facts {
    fn default_for(asked: Named) -> Self {
        Self { asked, said: BTreeMap::new(), order: Vec::new(), given: None, modulus: None, repeated: 0 }
    }

    fn add(&mut self, subject: Named, said: Said, name: &dyn Fn(Named) -> String) -> Result<(), ParseError> {
        let stated = subject.kind().is_some();
        let twice = || ParseError::from(IllPosed::StatedTwice(name(subject)));
        let number = if let Said::Number(n) = said { Some(n) } else { None };
        let mut give = |number: Option<i64>, order: &mut Vec<Option<Named>>| {
            let number = number.ok_or_else(twice)?;
            order.push(None);
            match self.given.replace((subject, number)) {
                None => Ok(()),
                Some(_) => Err(twice()),
            }
        };
        match self.said.get(&subject) {
            None if stated => {
                self.order.push(Some(subject));
                self.said.insert(subject, said);
                Ok(())
            }
            Some(before) if *before == said => {
                self.repeated += 1;
                Ok(())
            }
            Some(Said::Number(n)) => {
                // The value came before the definition.
                let n = *n;
                if let Some(slot) = self.order.iter_mut().find(|s| **s == Some(subject)) {
                    *slot = None;
                }
                if self.given.replace((subject, n)).is_some() || matches!(said, Said::Number(_)) {
                    return Err(twice());
                }
                self.order.push(Some(subject));
                self.said.insert(subject, said);
                Ok(())
            }
            // A total is never defined by a sentence: it can only be given.
            None | Some(_) => give(number, &mut self.order),
        }
    }
}

/// Numbers entities and puts quantities into an order of dependency.
struct Build<'a, 'c> {
    facts: &'a Facts,
    parser: &'a Parser<'c>,
    places: Vec<Word>,
    kinds: Vec<Word>,
    order: Vec<Named>,
    placed: BTreeMap<Named, u8>,
}

impl<'a, 'c> Build<'a, 'c> {
    fn new(facts: &'a Facts, parser: &'a Parser<'c>) -> Self {
        Self {
            facts,
            parser,
            places: Vec::new(),
            kinds: Vec::new(),
            order: Vec::new(),
            placed: BTreeMap::new(),
        }
    }

    /// What a quantity is computed from. `None` for the unknown.
    fn operands(&self, named: Named) -> Result<Option<(Rule, Vec<Named>)>, IllPosed> {
        let stated = |wanted: fn(&Named) -> bool| {
            let of_place = move |n: &&Named| wanted(n) && n.place() == named.place();
            self.facts.order.iter().flatten().filter(of_place).copied().collect::<Vec<_>>()
        };
        let undefined = || IllPosed::Undefined(self.parser.name(named));
        match named {
            Named::Total(_) | Named::Grand(_) => {
                let counts = stated(|n| matches!(n, Named::Count(..)));
                if counts.is_empty() {
                    return Err(IllPosed::EmptyTotal(self.parser.name(named)));
                }
                if let Named::Grand(place) = named {
                    let average = |n: &Named| n.kind().map(|kind| Named::Average(kind, place));
                    let pairs = counts.iter().flat_map(|n| std::iter::once(*n).chain(average(n))).collect();
                    return Ok(Some((Rule::Grand, pairs)));
                }
                Ok(Some((Rule::Total, counts)))
            }
            _ => match self.facts.said.get(&named).ok_or_else(undefined)? {
                Said::Exists if named == self.facts.asked => Ok(None),
                Said::Exists => Err(undefined()),
                Said::Number(n) => Ok(Some((Rule::Literal(*n), Vec::new()))),
                Said::Joined(literal, join, names) => {
                    Ok(Some((Rule::Joined(*join, *literal), names.clone())))
                }
            },
        }
    }

    /// Places a quantity after all that it depends on.
    fn place(&mut self, named: Named, above: &mut Vec<Named>) -> Result<(), IllPosed> {
        if self.placed.contains_key(&named) {
            return Ok(());
        }
        if above.contains(&named) {
            return Err(IllPosed::Circular(self.parser.name(named)));
        }
        above.push(named);
        for operand in self.operands(named)?.map(|(_, names)| names).unwrap_or_default() {
            self.place(operand, above)?;
        }
        above.pop();
        self.placed.insert(named, self.order.len() as u8);
        self.order.push(named);
        Ok(())
    }

    fn finish(mut self, steps: Option<&[Step<'_>]>, style: Option<Style>) -> Result<Parsed, ParseError> {
        let facts = self.facts;
        let reverse = facts.said.get(&facts.asked) == Some(&Said::Exists);
        let end = match (reverse, facts.given) {
            (true, Some((given, _))) => given,
            (false, None) => facts.asked,
            (true, None) => return Err(IllPosed::NoEquation.into()),
            (false, Some((given, _))) => return Err(IllPosed::StatedTwice(self.parser.name(given)).into()),
        };
        self.place(end, &mut Vec::new())?;
        if reverse && !self.placed.contains_key(&facts.asked) {
            return Err(IllPosed::NoEquation.into());
        }
        if let Some(steps) = steps {
            self.follow(steps)?;
        }
        let path = self.order.len();
        let left_out = self.place_distractors();
        let mut layout = self.layout(steps, style)?;
        let graph = self.graph(path, reverse, steps)?;
        let sentences = facts.order.iter().filter_map(|named| match named {
            None => Some(Sentence::Known),
            Some(named) => self.placed.get(named).map(|&i| Sentence::Defines(i)),
        });
        layout.order = sentences.collect();
        Ok(Parsed { graph, layout, repeated: facts.repeated, left_out })
    }

    /// Puts the path into the order of a solution.
    fn follow(&mut self, steps: &[Step<'_>]) -> Result<(), ParseError> {
        let mut order = Vec::with_capacity(steps.len());
        for step in steps {
            order.push(
                self.parser.reader.name(step.name).map_err(|_| ParseError::Solution(step.name.to_owned()))?,
            );
        }
        let same = order.iter().collect::<BTreeSet<_>>() == self.order.iter().collect::<BTreeSet<_>>();
        if !same || order.len() != self.order.len() {
            return Err(ParseError::Solution(
                "its steps, which are not the quantities that the question needs".into(),
            ));
        }
        self.placed = order.iter().enumerate().map(|(i, named)| (*named, i as u8)).collect();
        self.order = order;
        for (i, named) in self.order.iter().enumerate() {
            let operands = self.operands(*named)?.map(|(_, names)| names).unwrap_or_default();
            if operands.iter().any(|operand| usize::from(self.placed[operand]) >= i) {
                return Err(ParseError::Solution(steps[i].name.to_owned()));
            }
        }
        Ok(())
    }

    /// Places what the path does not need; returns how many sentences have no place.
    fn place_distractors(&mut self) -> usize {
        let mut left_out = 0;
        for named in self.facts.order.iter().flatten() {
            let (order, placed) = (self.order.len(), self.placed.clone());
            if self.place(*named, &mut Vec::new()).is_err() {
                self.order.truncate(order);
                self.placed = placed;
                left_out += 1;
            }
        }
        left_out
    }

    fn layout(&mut self, steps: Option<&[Step<'_>]>, style: Option<Style>) -> Result<Layout, ParseError> {
        for named in &self.order {
            if !self.places.contains(&named.place()) {
                self.places.push(named.place());
            }
            if let Some(kind) = named.kind()
                && !self.kinds.contains(&kind)
            {
                self.kinds.push(kind);
            }
        }
        if self.places.len() > SIDE_MAX || self.kinds.len() > SIDE_MAX {
            return Err(ParseError::TooMany);
        }
        let steps = steps.unwrap_or_default();
        let named = |step: &Step<'_>| step.variable == step.name;
        let variables = if steps.iter().any(named) { Variables::Names } else { Variables::Random };
        let mut letters = String::new();
        for (step, quantity) in steps.iter().zip(&self.order) {
            if !named(step) && self.facts.said.get(quantity) != Some(&Said::Exists) {
                letters.push_str(step.variable);
            }
            letters.extend(step.intermediates.iter().copied());
        }
        Ok(Layout {
            places: self.places.clone(),
            kinds: self.kinds.clone(),
            order: Vec::new(),
            letters,
            variables,
            style,
        })
    }

    fn quantity(&self, named: Named) -> Quantity {
        let find = |words: &[Word], word: Word| words.iter().position(|w| *w == word).unwrap_or(0) as u8;
        let place = find(&self.places, named.place());
        let kind = named.kind().map_or(0, |kind| find(&self.kinds, kind));
        match named {
            Named::Count(..) => Quantity::Count { place, kind },
            Named::Average(..) => Quantity::Average { place, kind },
            Named::Total(_) => Quantity::Total { place },
            Named::Grand(_) => Quantity::Grand { place },
        }
    }

    fn graph(&self, path: usize, reverse: bool, steps: Option<&[Step<'_>]>) -> Result<Graph, ParseError> {
        let mut nodes: Vec<Node> = Vec::with_capacity(self.order.len());
        let mut values: Vec<Linear> = Vec::with_capacity(self.order.len());
        let mut unknown = None;
        for (i, named) in self.order.iter().enumerate() {
            let (rule, mut operands) = if let Some(known) = self.operands(*named)? {
                known
            } else {
                unknown = Some(i as u8);
                (Rule::Literal(0), Vec::new())
            };
            if let (Some(steps), Rule::Total | Rule::Grand) = (steps, rule)
                && i < path
            {
                self.reorder(&mut operands, &steps[i], steps, rule);
            }
            let operands: Operands = operands.iter().map(|n| self.placed[n]).collect();
            let node = Node { quantity: self.quantity(*named), rule, operands, value: 0 };
            let value = if unknown == Some(i as u8) {
                Some(Linear::X)
            } else {
                node.apply(&values, self.facts.modulus)
            };
            values.push(value.ok_or(IllPosed::NotLinear)?);
            nodes.push(node);
        }
        let x = match (reverse, self.facts.given) {
            (true, Some((_, given))) => {
                let Linear { a, b } = values[path - 1];
                let right = given.checked_sub(b).ok_or(IllPosed::NotLinear)?;
                if a == 0 {
                    return Err(IllPosed::NoEquation.into());
                }
                if right % a != 0 || right / a <= 0 {
                    return Err(IllPosed::NoSolution.into());
                }
                right / a
            }
            _ => 0,
        };
        for (node, value) in nodes.iter_mut().zip(&values) {
            node.value = value.at(x).ok_or(IllPosed::NotLinear)?;
        }
        if let Some(unknown) = unknown {
            nodes[usize::from(unknown)].rule = Rule::Literal(x);
        }
        Ok(Graph { nodes, path: path as u8, unknown, modulus: self.facts.modulus })
    }

    /// Puts a total's operands into the order in which its step adds them up.
    fn reorder(&self, operands: &mut [Named], step: &Step<'_>, steps: &[Step<'_>], rule: Rule) {
        let position = |named: &Named| {
            let variable =
                self.placed.get(named).and_then(|&i| steps.get(usize::from(i))).map(|s| s.variable);
            variable.and_then(|v| step.symbols.iter().position(|s| s == v)).unwrap_or(usize::MAX)
        };
        if rule == Rule::Grand {
            let mut pairs: Vec<[Named; 2]> = operands.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
            pairs.sort_by_key(|pair| position(&pair[0]));
            for (slot, pair) in operands.chunks_exact_mut(2).zip(pairs) {
                slot.copy_from_slice(&pair);
            }
        } else {
            operands.sort_by_key(position);
        }
    }
}
