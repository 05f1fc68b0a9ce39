//! Walks through the steps of a solution and compares each with its gold node.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::judge::gold::{Gold, GoldNode};
use crate::judge::grammar::{Atom, Clause, Item, NONE, Solution, Span, Step, Symbol, TermId};
use crate::world::linear::Linear;
use crate::world::mode::Mode;
use crate::world::name::folded;

use super::chain::{self, Part};
use super::fault::FaultKind;
use super::scope::{Meaning, Parents, Scope};
use super::verdict::{EQUATION, NodeVerdict, OTHER, Policy, StepVerdict, WrongValue};

/// What the walk found.
pub(super) struct Found {
    pub(super) nodes: Vec<NodeVerdict>,
    pub(super) steps: Vec<StepVerdict>,
    pub(super) arithmetic_sound: bool,
    pub(super) equation_correct: bool,
    pub(super) extra: u32,
    pub(super) duplicate: u32,
    pub(super) redefined: u32,
    pub(super) used_before_defined: u32,
    pub(super) self_reference: u32,
    pub(super) first_fault: Option<(FaultKind, Range<usize>)>,
}

/// What has been found of one step.
pub(super) struct Judgement {
    pub(super) span: Span,
    pub(super) name: Span,
    pub(super) node: Option<u32>,
    /// Present, with the gold parents and the gold value.
    pub(super) correct: bool,
    /// All its chains hold, and it repeats nothing.
    pub(super) clean: bool,
    pub(super) fault: Option<(FaultKind, Span)>,
    /// The variable of an `UndefinedVariable` fault: it may be defined later.
    pub(super) unresolved: Option<Symbol>,
    pub(super) is_equation: bool,
    pub(super) wrong_value: Option<WrongValue>,
    pub(super) missing_parents: Vec<String>,
    pub(super) extra_parents: Vec<String>,
}

impl Judgement {
    /// A step of which nothing is known yet.
    pub(super) fn new(span: Span, name: Span, node: Option<u32>) -> Self {
        Self {
            span,
            name,
            node,
            correct: false,
            clean: true,
            fault: None,
            unresolved: None,
            is_equation: false,
            wrong_value: None,
            missing_parents: Vec::new(),
            extra_parents: Vec::new(),
        }
    }

    /// Keeps the fault that matters most: the earliest kind in this list wins over later ones.
    pub(super) fn blame(&mut self, kind: FaultKind, span: Span) {
        self.fault.get_or_insert((kind, span));
    }
}

impl Judgement {
    /// Names the parents that are missing and those that are too many.
    fn compare_parents(&mut self, gold: &Gold, node: &GoldNode, parents: &Parents) {
        let name = |i: usize| gold.nodes[i].name.clone();
        let is_parent = |i: usize| node.parents.contains(&(i as u32));
        let all = 0..gold.nodes.len();
        self.missing_parents =
            all.clone().filter(|&i| is_parent(i) && !parents.contains(i)).map(name).collect();
        self.extra_parents = all.filter(|&i| !is_parent(i) && parents.contains(i)).map(name).collect();
        if parents.contains(gold.nodes.len()) {
            self.extra_parents.push(OTHER.to_owned());
        }
    }
}

#[derive(Clone)]
struct Defined {
    parents: Parents,
    value: Option<Linear>,
}

pub(super) struct Walk<'a, 't> {
    policy: Policy,
    pub(super) gold: &'a Gold,
    pub(super) solution: &'a Solution<'t>,
    pub(super) scope: Scope,
    pub(super) nodes: Vec<NodeVerdict>,
    definitions: Vec<Option<Defined>>,
    extras: HashMap<Cow<'t, str>, Defined>,
    /// The gold names as names are compared, from the first time that one is looked for.
    folded: Option<Vec<Cow<'a, str>>>,
    /// The gold node to try first: solutions mostly follow the gold order.
    expected: usize,
    pub(super) judged: Vec<Judgement>,
    /// Variables that were used without a meaning.
    unresolved: Vec<Symbol>,
    pub(super) unknown: Option<Symbol>,
    pub(super) unknown_node: Option<u32>,
    pub(super) arithmetic_sound: bool,
    pub(super) equation_correct: bool,
    pub(super) solved: Option<i64>,
    extra: u32,
    duplicate: u32,
    redefined: u32,
    self_reference: u32,
    parts: [Vec<Part>; 2],
}

/// Which member of a chain is read, and whether a value in its first one depends on the unknown.
struct Uses {
    symbolic: bool,
    has_unknown: bool,
}

/// What a step adds up to while its clauses are read.
struct Progress {
    index: u32,
    variable: Option<Symbol>,
    /// What the variable stood for before this step.
    shadowed: Meaning,
    parents: Parents,
    value: Option<Linear>,
    value_span: Option<Span>,
    assigned: bool,
    refers_to_itself: bool,
    judged: Judgement,
    late: Option<(FaultKind, Span)>,
}

impl<'a, 't> Walk<'a, 't> {
    pub(super) fn new(gold: &'a Gold, solution: &'a Solution<'t>, policy: Policy) -> Self {
        Self {
            policy,
            gold,
            solution,
            scope: Scope::new(solution.symbols.count(), gold.nodes.len()),
            nodes: vec![NodeVerdict::default(); gold.nodes.len()],
            definitions: vec![None; gold.nodes.len()],
            extras: HashMap::new(),
            folded: None,
            expected: 0,
            judged: Vec::with_capacity(solution.items.len()),
            unresolved: Vec::new(),
            unknown: None,
            unknown_node: None,
            arithmetic_sound: true,
            equation_correct: false,
            solved: None,
            extra: 0,
            duplicate: 0,
            redefined: 0,
            self_reference: 0,
            parts: [Vec::new(), Vec::new()],
        }
    }

    pub(super) fn run(&mut self) {
        let solution = self.solution;
        for (index, item) in solution.items.iter().enumerate() {
            match item {
                Item::Step(step) => self.step(index as u32, step),
                Item::Tail(tail) => self.tail(tail),
            }
        }
    }

    /// The gold node of this name, looked for from the expected place on.
    pub(super) fn node(&mut self, name: &str) -> Option<u32> {
        let gold = self.gold;
        let names = self.folded.get_or_insert_with(|| gold.nodes.iter().map(|n| folded(&n.name)).collect());
        let count = names.len();
        let found = (0..count).map(|i| (self.expected + i) % count).find(|&i| names[i] == name)?;
        self.expected = found + 1;
        Some(found as u32)
    }

    /// The gold node of a name as written.
    pub(super) fn node_at(&mut self, name: Span) -> Option<u32> {
        let solution = self.solution;
        let text = &solution.text[name.range()];
        // The next gold node, spelled as gold has it: nearly always.
        if self.gold.nodes.get(self.expected).is_some_and(|n| n.name == text) {
            self.expected += 1;
            return Some(self.expected as u32 - 1);
        }
        self.node(&folded(text))
    }

    /// The value that the last definition of a gold node gave.
    pub(super) fn defined_value(&self, node: u32) -> Option<Linear> {
        self.definitions[node as usize].as_ref().and_then(|d| d.value)
    }

    fn step(&mut self, index: u32, step: &Step) {
        let node = self.node_at(step.name);
        let judged = Judgement::new(step.span, step.name, node);
        let parents = self.scope.empty();
        let mut progress = Progress {
            index,
            variable: step.variable.map(|v| v.symbol),
            shadowed: step.variable.map_or(Meaning::Nothing, |v| self.scope.meaning(v.symbol)),
            parents,
            value: None,
            value_span: None,
            assigned: false,
            refers_to_itself: false,
            judged,
            late: None,
        };
        let Some(variable) = progress.variable else {
            progress.judged.blame(FaultKind::MalformedStep, step.span);
            progress.judged.clean = false;
            self.judged.push(progress.judged);
            return;
        };
        self.scope.bind(variable, Meaning::Own, None);
        let solution = self.solution;
        for clause in &solution.clauses[step.clauses.start as usize..step.clauses.end as usize] {
            self.clause(clause, &mut progress);
        }
        if step.unknown && !progress.assigned {
            // Only one quantity can be unknown.
            if self.unknown.is_none_or(|u| u == variable) {
                progress.value = Some(Linear::X);
                self.unknown = Some(variable);
                self.unknown_node = node;
            }
            progress.assigned = true;
        }
        self.scope.bind(variable, Meaning::Quantity(node), progress.value);
        self.self_reference += u32::from(progress.refers_to_itself);
        self.compare(node, progress);
    }

    fn compare(&mut self, node: Option<u32>, mut progress: Progress) {
        let (name, span) = (progress.judged.name, progress.judged.span);
        let defined = Defined { parents: progress.parents, value: progress.value };
        let earlier = if let Some(node) = node {
            self.definitions[node as usize].replace(defined.clone())
        } else {
            let solution = self.solution;
            self.extras.insert(folded(&solution.text[name.range()]), defined.clone())
        };
        let judged = &mut progress.judged;
        if let Some(earlier) = earlier {
            let same = earlier.parents == defined.parents && earlier.value == defined.value;
            *(if same { &mut self.duplicate } else { &mut self.redefined }) += 1;
            judged.blame(if same { FaultKind::DuplicateStep } else { FaultKind::RedefinedStep }, span);
            judged.clean = false;
        } else if node.is_none() {
            self.extra += 1;
        }
        let Some(node) = node else {
            if let Some((kind, span)) = progress.late {
                judged.blame(kind, span);
            }
            judged.blame(FaultKind::ExtraStep, name);
            self.judged.push(progress.judged);
            return;
        };
        let gold = &self.gold.nodes[node as usize];
        let verdict = NodeVerdict {
            present: true,
            parents_correct: defined.parents.is(&gold.parents),
            value_correct: defined.value == Some(gold.value),
        };
        if !verdict.parents_correct {
            judged.blame(FaultKind::WrongParents, progress.value_span.unwrap_or(span));
            judged.compare_parents(self.gold, gold, &defined.parents);
        }
        if !progress.assigned {
            judged.blame(FaultKind::MissingValue, span);
        }
        if let Some((kind, span)) = progress.late {
            judged.blame(kind, span);
        }
        if !verdict.value_correct {
            let wrong = |n: usize| self.nodes[n].present && !self.nodes[n].value_correct;
            let carried = verdict.parents_correct && defined.parents.any(self.nodes.len(), wrong);
            let kind = if carried { FaultKind::CarriedValue } else { FaultKind::WrongValue };
            judged.blame(kind, progress.value_span.unwrap_or(span));
            let says = defined.value.map(|value| value.to_string());
            judged.wrong_value = Some(WrongValue { says, is: gold.value.to_string() });
        }
        judged.correct = verdict.correct();
        self.nodes[node as usize] = verdict;
        self.judged.push(progress.judged);
    }

    /// One chain of a step: its parents, its values, its target.
    fn clause(&mut self, clause: &Clause, progress: &mut Progress) {
        let solution = self.solution;
        let members = &solution.members[clause.members.start as usize..clause.members.end as usize];
        let Some((first, target)) = members.first().zip(clause.target) else { return };
        let target = target.symbol;
        let mut parents = self.scope.empty();
        let mut uses = Uses { symbolic: true, has_unknown: false };
        if let Some(expression) = first.expression {
            self.collect(expression, &mut parents, &mut uses, progress);
        }
        uses.symbolic = false;
        for expression in members[1..].iter().filter(|m| m.has_names).filter_map(|m| m.expression) {
            self.collect(expression, &mut parents, &mut uses, progress);
        }
        let value = self.chain(clause, progress);
        let last = members.last().map_or(clause.span, |m| m.span);
        if Some(target) == progress.variable {
            if progress.assigned && !self.same(progress.value, value) {
                // The last value counts, and a reader is left with two.
                self.redefined += 1;
                progress.judged.blame(FaultKind::RedefinedStep, last);
                progress.judged.clean = false;
            }
            progress.parents.extend(&parents);
            progress.value = value;
            progress.value_span = Some(last);
            progress.assigned = true;
            self.scope.bind(target, Meaning::Own, value);
        } else {
            self.scope.bind_intermediate(target, progress.index, value, &parents);
        }
    }

    /// Does the chain hold? Its value is that of its last member.
    fn chain(&mut self, clause: &Clause, progress: &mut Progress) -> Option<Linear> {
        let solution = self.solution;
        let members = &solution.members[clause.members.start as usize..clause.members.end as usize];
        let mut previous = None;
        let mut value = None;
        for (i, member) in members.iter().enumerate() {
            let Some(expression) = member.expression else {
                progress.fail(FaultKind::MalformedExpression, member.span, &mut self.arithmetic_sound);
                previous = None;
                value = None;
                continue;
            };
            value = chain::evaluate(solution, &self.scope, expression);
            if value.is_none() || (i > 0 && !self.same(previous, value)) {
                progress.fail(FaultKind::WrongArithmetic, member.span, &mut self.arithmetic_sound);
            }
            previous = value;
        }
        if let [first, second, rest @ ..] = members
            && let (Some(symbolic), Some(numeric)) = (first.expression, second.expression)
            && !(rest.is_empty() && self.is_atom(numeric))
            && !self.quotes(symbolic, numeric, rest.is_empty())
        {
            progress.fail(FaultKind::Misquoted, second.span, &mut self.arithmetic_sound);
        }
        value
    }

    /// Equal, modulo the problem's modulus if it has one.
    fn same(&self, a: Option<Linear>, b: Option<Linear>) -> bool {
        let rest = |v: Option<Linear>| v.map(|v| v.modulo(self.gold.modulus));
        a == b || rest(a) == rest(b)
    }

    /// One number or one variable, without parentheses: as simple as a last member can be.
    fn is_atom(&self, expression: TermId) -> bool {
        let term = self.solution.terms[expression as usize];
        let factor = self.solution.factors[term.first as usize];
        term.next == NONE && factor.next == NONE && !matches!(factor.atom, Atom::Group(_))
    }

    /// Does the second member repeat the first with values for variables? The last member may be simplified.
    fn quotes(&mut self, symbolic: TermId, numeric: TermId, last: bool) -> bool {
        let solution = self.solution;
        let [left, right] = &mut self.parts;
        let both = chain::shape(solution, &self.scope, symbolic, left).is_some()
            && chain::shape(solution, &self.scope, numeric, right).is_some();
        // What cannot be computed is reported as such.
        if !both || left == right {
            return true;
        }
        left.sort_unstable();
        right.sort_unstable();
        left == right || (last && chain::is_simple(right))
    }

    /// The quantities that an expression uses. After the first member of a chain these should be none.
    fn collect(
        &mut self,
        expression: TermId,
        parents: &mut Parents,
        uses: &mut Uses,
        progress: &mut Progress,
    ) {
        let solution = self.solution;
        let mut term_id = expression;
        while term_id != NONE {
            let term = solution.terms[term_id as usize];
            let mut factor_id = term.first;
            while factor_id != NONE {
                let factor = solution.factors[factor_id as usize];
                match factor.atom {
                    Atom::Number(_) => {}
                    Atom::Group(inner) => self.collect(inner, parents, uses, progress),
                    Atom::Name(symbol) if self.stands_in_a_value(symbol, uses) => {}
                    Atom::Name(symbol) => self.collect_name(symbol, factor.span, parents, progress),
                }
                factor_id = factor.next;
            }
            term_id = term.next;
        }
    }

    /// Is this the unknown as part of a value (`x + b = x + 2*x`) instead of a quantity that is used?
    fn stands_in_a_value(&self, symbol: Symbol, uses: &mut Uses) -> bool {
        if uses.symbolic {
            uses.has_unknown |= chain::Values::value(&self.scope, symbol).is_some_and(|v| v.a != 0);
            return false;
        }
        uses.has_unknown && self.unknown == Some(symbol)
    }

    fn collect_name(&mut self, symbol: Symbol, span: Span, parents: &mut Parents, progress: &mut Progress) {
        match self.scope.meaning(symbol) {
            Meaning::Quantity(node) => self.scope.add(node, parents),
            Meaning::Intermediate(step) if step == progress.index => {
                self.scope.add_intermediate(symbol, parents);
            }
            // What the step's own quantity was computed from is among its parents already.
            Meaning::Own if progress.assigned => parents.extend(&progress.parents),
            // The published code gives a letter its new meaning only after the step, and ignores unknown ones.
            Meaning::Own if self.policy == Policy::Reference => {
                if let Meaning::Quantity(node) = progress.shadowed {
                    self.scope.add(node, parents);
                }
            }
            Meaning::Own => {
                progress.refers_to_itself = true;
                self.scope.add(None, parents);
                progress.judged.blame(FaultKind::SelfReference, span);
                progress.judged.clean = false;
            }
            Meaning::Nothing | Meaning::Intermediate(_) => {
                if self.policy != Policy::Reference {
                    self.scope.add(None, parents);
                }
                self.unresolved.push(symbol);
                if progress.judged.fault.is_none() {
                    progress.judged.unresolved = Some(symbol);
                }
                progress.judged.blame(FaultKind::UndefinedVariable, span);
                progress.judged.clean = false;
            }
        }
    }

    /// Collects what was found.
    pub(super) fn finish(mut self) -> Found {
        if let Some(node) = self.unknown_node {
            // In reverse mode the unknown's value is what the equation gives.
            let verdict = &mut self.nodes[node as usize];
            verdict.value_correct &= self.solved == Some(self.gold.answer);
        }
        let defined_later = |symbol: &Symbol| matches!(self.scope.meaning(*symbol), Meaning::Quantity(_));
        let used_before_defined = self.unresolved.iter().filter(|s| defined_later(s)).count() as u32;
        for judged in &mut self.judged {
            if let (Some((kind, _)), Some(symbol)) = (&mut judged.fault, judged.unresolved)
                && defined_later(&symbol)
            {
                *kind = FaultKind::UsedBeforeDefined;
            }
        }
        let text = self.solution.text;
        let has_equation = self.judged.iter().any(|judged| judged.is_equation);
        let steps: Vec<StepVerdict> = self
            .judged
            .into_iter()
            .map(|judged| StepVerdict {
                range: judged.span.range(),
                name: match judged.node {
                    _ if judged.is_equation => EQUATION.to_owned(),
                    Some(node) => self.gold.nodes[node as usize].name.clone(),
                    None => folded(&text[judged.name.range()]).into_owned(),
                },
                correct: judged.correct && (judged.clean || self.policy != Policy::Strict),
                fault: judged.fault.as_ref().map(|f| f.0),
                fault_range: judged.fault.map(|f| f.1.range()),
                wrong_value: judged.wrong_value,
                missing_parents: judged.missing_parents,
                extra_parents: judged.extra_parents,
            })
            .collect();
        let mut first_fault = steps.iter().find_map(|s| s.fault.zip(s.fault_range.clone()));
        let end = self.solution.tags.body_end as usize;
        if self.nodes.iter().any(|n| !n.present) {
            first_fault.get_or_insert((FaultKind::MissingStep, end..end));
        }
        if self.gold.mode == Mode::Reverse && !has_equation {
            first_fault.get_or_insert((FaultKind::MissingEquation, end..end));
        }
        Found {
            nodes: self.nodes,
            steps,
            arithmetic_sound: self.arithmetic_sound,
            equation_correct: self.equation_correct,
            extra: self.extra,
            duplicate: self.duplicate,
            redefined: self.redefined,
            used_before_defined,
            self_reference: self.self_reference,
            first_fault,
        }
    }
}

impl Progress {
    /// A chain does not hold.
    fn fail(&mut self, kind: FaultKind, span: Span, sound: &mut bool) {
        *sound = false;
        self.judged.clean = false;
        self.late.get_or_insert((kind, span));
    }
}
