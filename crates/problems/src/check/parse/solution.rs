//! The steps of a solution: names, variables and what each is computed from. For reading our own solutions and the
//! reference's; judging a model's is the verifier's work.

use crate::world::context::Style;

/// `Define NAME as V; U = P + Q = …; so V = …`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step<'t> {
    pub(crate) name: &'t str,
    pub(crate) variable: &'t str,
    /// Targets other than the variable, in order.
    pub(crate) intermediates: Vec<&'t str>,
    /// What the symbolic sides refer to, in order of appearance.
    pub(crate) symbols: Vec<String>,
    /// The signs between them.
    pub(crate) signs: String,
    /// What the last clause ends with.
    pub(crate) value: &'t str,
}

/// The steps of a solution; `None` if it is not one.
pub(crate) fn steps(solution: &str, style: Style) -> Option<Vec<Step<'_>>> {
    let solution = solution.rsplit_once("Answer:").map_or(solution, |(steps, _)| steps).trim_end();
    let solution = solution.strip_suffix('.').unwrap_or(solution);
    let mut steps = Vec::new();
    for sentence in solution.split(". ") {
        let (name, clauses) = match style {
            Style::Prose => {
                if sentence.starts_with("The question is difficult") {
                    continue;
                }
                if sentence.starts_with("We know ") {
                    break;
                }
                let (name, rest) = sentence.strip_prefix("Define ")?.split_once(" as ")?;
                (name, rest)
            }
            Style::Terse => {
                let (name, rest) = sentence.split_once(": ")?;
                if name.contains(" =") {
                    break;
                }
                (name, rest)
            }
        };
        steps.push(step(name, clauses, style)?);
    }
    Some(steps)
}

fn step<'t>(name: &'t str, clauses: &'t str, style: Style) -> Option<Step<'t>> {
    let mut parts: Vec<&str> = clauses.split("; ").collect();
    let mut variable = None;
    if style == Style::Prose {
        variable = Some(parts.remove(0));
    }
    let mut step = Step {
        name,
        variable: "",
        intermediates: Vec::new(),
        symbols: Vec::new(),
        signs: String::new(),
        value: "",
    };
    let mut targets = Vec::new();
    for clause in parts {
        let clause = clause.strip_prefix("so ").unwrap_or(clause);
        if clause.starts_with("we don't know") {
            continue;
        }
        let sides: Vec<&str> = clause.split(" =").map(str::trim).collect();
        let (target, rest) = sides.split_first()?;
        targets.push(*target);
        if rest.len() > 1 {
            push_symbols(rest.first()?, &mut step);
        }
        step.value = rest.last()?;
    }
    let last = if style == Style::Terse || !targets.is_empty() { targets.pop() } else { None };
    step.variable = variable.or(last)?;
    step.intermediates = targets;
    Some(step)
}

fn push_symbols(side: &str, step: &mut Step<'_>) {
    let mut name = String::new();
    for word in side.split(' ') {
        if matches!(word, "+" | "-" | "*") {
            step.signs.push_str(word);
            step.symbols.push(std::mem::take(&mut name));
        } else {
            if !name.is_empty() {
                name.push(' ');
            }
            name.push_str(word);
        }
    }
    step.symbols.push(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_both_styles_say_the_same() {
        let prose = "Define adult owl in South Zoo as m; U = j = 3; so m = 2 * U = 2 * 3 = 6. Answer: 6.";
        let terse = "owl zoo: m =2 * j =2 *3 =6. Answer: 6.";
        let read = |text, style| {
            let steps = steps(text, style).unwrap();
            let step = &steps[0];
            (steps.len(), step.variable.to_owned(), step.symbols.clone())
        };
        assert_eq!(read(prose, Style::Prose), (1, "m".into(), vec!["j".into(), "2".into(), "U".into()]));
        assert_eq!(read(terse, Style::Terse), (1, "m".into(), vec!["2".into(), "j".into()]));
    }
}
