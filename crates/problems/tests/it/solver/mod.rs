//! A solver of problems as a reader would solve them: from the sentences and the question alone.
//!
//! It shares no code with the library: it knows no graph, no context and no renderer. What it knows of the world is
//! what a reader knows: a total is the sum over what the text mentions in a place, and an average "per kind" has to
//! be multiplied by the number of that kind.

use std::collections::BTreeMap;

/// `a·x + b`.
type Line = (i128, i128);

enum Side<'t> {
    Number(i128),
    Unknown,
    /// literal operator, joining operator, names
    Mixed(Option<(i128, char)>, char, Vec<&'t str>),
}

#[derive(Default)]
struct Text<'t> {
    definitions: BTreeMap<&'t str, Side<'t>>,
    /// Stated counts and averages by place.
    counts: BTreeMap<&'t str, Vec<(&'t str, &'t str)>>,
    averages: BTreeMap<(&'t str, &'t str), &'t str>,
    /// What averages are averages of, e.g. `children`.
    average_noun: Option<&'t str>,
    /// A value given for a quantity that is not defined by it.
    given: Option<(&'t str, i128)>,
    unknown: Option<&'t str>,
    modulus: Option<i128>,
}

enum Kind<'t> {
    Count(&'t str, &'t str),
    Average(&'t str, &'t str),
    Total(&'t str),
}

/// The answer that problem and question determine, or why they do not.
pub(crate) fn solve(problem: &str, question: &str) -> Result<i128, String> {
    let terse = problem.trim_end().ends_with(';');
    let mut text = Text::default();
    let mut numbers: Vec<(&str, i128)> = Vec::new();
    for sentence in problem.trim().trim_end_matches(['.', ';']).split(if terse { "; " } else { ". " }) {
        let modulus = sentence.strip_prefix(if terse { "modulo" } else { "All numbers are taken modulo " });
        if let Some(number) = modulus.filter(|_| text.modulus.is_none()) {
            text.modulus = Some(number.parse().map_err(|_| "cannot read the modulus")?);
            continue;
        }
        let (name, side) = if terse { read_terse(sentence)? } else { read_prose(sentence)? };
        if let Side::Number(n) = side {
            numbers.push((name, n));
        } else {
            text.state(name)?;
            if let Side::Unknown = side {
                text.unknown = Some(name);
            }
            if text.definitions.insert(name, side).is_some() {
                return Err(format!("`{name}` is stated twice"));
            }
        }
    }
    for (name, n) in numbers {
        let total = matches!(kind_of(name)?, Kind::Total(_));
        if total || text.definitions.contains_key(name) {
            if text.given.replace((name, n)).is_some() {
                return Err("two values are given".into());
            }
        } else {
            text.state(name)?;
            text.definitions.insert(name, Side::Number(n));
        }
    }
    let mut known = BTreeMap::new();
    let x = match (text.unknown, text.given) {
        (None, None) => 0,
        (Some(_), Some((name, n))) => {
            let (a, b) = text.value(name, &mut known, 0)?;
            if a == 0 || (n - b) % a != 0 {
                return Err(format!("{a}x + {b} = {n} does not determine x"));
            }
            (n - b) / a
        }
        _ => return Err("an unknown without a given value, or the reverse".into()),
    };
    let asked = if terse { question.trim_end_matches('?').to_owned() } else { asked(question)? };
    let (a, b) = text.value(&asked, &mut known, 0)?;
    Ok(text.modulus.map_or(a * x + b, |m| (a * x + b).rem_euclid(m)))
}

fn asked(question: &str) -> Result<String, String> {
    let question = question.trim().trim_end_matches('?');
    if let Some(name) = question.strip_prefix("What is the ") {
        return Ok(name.to_owned());
    }
    let rest = question.strip_prefix("How many ").ok_or("not a question")?;
    for verb in [" have", " keep", " own", " show", " hold", " sell", " grow", " launch"] {
        if let Some((kind, place)) = rest.strip_suffix(verb).and_then(|r| r.rsplit_once(" does ")) {
            let joint = if place.contains(' ') || kind.contains(' ') || place.starts_with(char::is_uppercase)
            {
                " in "
            } else {
                " "
            };
            return Ok(format!("{kind}{joint}{place}"));
        }
    }
    Err(format!("cannot read the question `{question}`"))
}

fn read_prose(sentence: &str) -> Result<(&str, Side<'_>), String> {
    if let Some(subject) = sentence.strip_suffix(" exists, and its number is greater than 0") {
        return Ok((unreferenced(subject)?, Side::Unknown));
    }
    if let Some(subject) = sentence.strip_suffix(" is greater than 0") {
        return Ok((unreferenced(subject)?, Side::Unknown));
    }
    let (subject, side) =
        sentence.split_once(" equals ").ok_or_else(|| format!("cannot read `{sentence}`"))?;
    let subject = unreferenced(subject)?;
    if let Ok(n) = side.parse() {
        return Ok((subject, Side::Number(n)));
    }
    let mut literal = None;
    let mut body = side;
    if let Some((first, rest)) = side.split_once(' ')
        && let Ok(n) = first.parse::<i128>()
    {
        let (word, rest) = rest.split_once(' ').ok_or("a literal without an operand")?;
        literal = Some((n, if word == "plus" { '+' } else { '*' }));
        body = rest;
    }
    let (sign, list) = match body.strip_prefix("the difference between ") {
        Some(list) => ('-', list),
        None => ('+', body.strip_prefix("the sum of ").unwrap_or(body)),
    };
    let mut names = Vec::new();
    for part in list.split(", ") {
        for name in part.strip_prefix("and ").unwrap_or(part).split(" and ") {
            names.push(unreferenced(name)?);
        }
    }
    Ok((subject, Side::Mixed(literal, sign, names)))
}

fn unreferenced(reference: &str) -> Result<&str, String> {
    let rest = reference.strip_prefix("the ").or_else(|| reference.strip_prefix("The "));
    let rest = rest.ok_or_else(|| format!("`{reference}` does not begin with an article"))?;
    Ok(rest.strip_prefix("number of ").unwrap_or(rest))
}

fn read_terse(sentence: &str) -> Result<(&str, Side<'_>), String> {
    let (name, side) = sentence.split_once(" =").ok_or_else(|| format!("cannot read `{sentence}`"))?;
    if side == "?" {
        return Ok((name, Side::Unknown));
    }
    if let Ok(n) = side.parse() {
        return Ok((name, Side::Number(n)));
    }
    let digits = side.len() - side.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (literal, body) = match side[..digits].parse::<i128>() {
        Ok(n) => {
            let rest = side[digits..].trim_start();
            (Some((n, rest.chars().next().ok_or("nothing after a literal")?)), rest[1..].trim_start())
        }
        Err(_) => (None, side.trim_start()),
    };
    let body = body.trim_start_matches('(').trim_end_matches(')');
    let sign = if body.contains(" - ") { '-' } else { '+' };
    Ok((name, Side::Mixed(literal, sign, body.split(if sign == '-' { " - " } else { " + " }).collect())))
}

/// What a name means.
fn kind_of(name: &str) -> Result<Kind<'_>, String> {
    if let Some((what, place)) = name.rsplit_once(" in ") {
        if what.starts_with("total ") {
            return Ok(Kind::Total(place));
        }
        return Ok(match what.strip_prefix("average ").and_then(|w| w.split_once(" per ")) {
            Some((_, kind)) => Kind::Average(kind, place),
            None => Kind::Count(what, place),
        });
    }
    let words: Vec<&str> = name.split(' ').collect();
    match words[..] {
        ["total" | "young", place] => Ok(Kind::Total(place)),
        [kind, place] => Ok(Kind::Count(kind, place)),
        ["pups", kind, place] => Ok(Kind::Average(kind, place)),
        _ => Err(format!("cannot read the name `{name}`")),
    }
}

/// Whether two words for a kind are the same but for their number.
fn same_kind(a: &str, b: &str) -> bool {
    let common = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    a == b || common + 2 > a.len().min(b.len())
}

impl<'t> Text<'t> {
    fn state(&mut self, name: &'t str) -> Result<(), String> {
        match kind_of(name)? {
            Kind::Count(kind, place) => self.counts.entry(place).or_default().push((kind, name)),
            Kind::Average(kind, place) => {
                if let Some((what, _)) = name.split_once(" per ") {
                    self.average_noun = what.rsplit(' ').next();
                }
                self.averages.insert((place, kind), name);
            }
            Kind::Total(_) => {}
        }
        Ok(())
    }

    fn value(&self, name: &str, known: &mut BTreeMap<String, Line>, depth: usize) -> Result<Line, String> {
        if let Some(&line) = known.get(name) {
            return Ok(line);
        }
        if depth > 100 {
            return Err(format!("`{name}` depends on itself"));
        }
        let mut value = |name: &str| self.value(name, known, depth + 1);
        let line = if let Kind::Total(place) = kind_of(name)? {
            let counts = self.counts.get(place).ok_or_else(|| format!("nothing is in `{place}`"))?;
            let grand = name.starts_with("young ")
                || self.average_noun.is_some_and(|n| name.split(' ').any(|w| w == n));
            let mut sum = (0, 0);
            for &(kind, count) in counts {
                let mut line = value(count)?;
                if grand {
                    let average = self.averages.iter().find(|((p, k), _)| *p == place && same_kind(k, kind));
                    line =
                        times(line, value(average.ok_or_else(|| format!("no average for `{count}`"))?.1)?)?;
                }
                sum = (sum.0 + line.0, sum.1 + line.1);
            }
            sum
        } else {
            match self.definitions.get(name).ok_or_else(|| format!("`{name}` is nowhere stated"))? {
                Side::Number(n) => (0, *n),
                Side::Unknown => (1, 0),
                Side::Mixed(literal, sign, names) => {
                    let sign = if *sign == '-' { -1 } else { 1 };
                    let mut line = value(names[0])?;
                    for name in &names[1..] {
                        let (a, b) = value(name)?;
                        line = (line.0 + sign * a, line.1 + sign * b);
                    }
                    match *literal {
                        None => line,
                        Some((n, '+')) => (line.0, line.1 + n),
                        Some((n, '*')) => (line.0 * n, line.1 * n),
                        Some((_, c)) => return Err(format!("unknown operator `{c}`")),
                    }
                }
            }
        };
        known.insert(name.to_owned(), line);
        Ok(line)
    }
}

fn times(p: Line, q: Line) -> Result<Line, String> {
    match (p, q) {
        ((0, n), (a, b)) | ((a, b), (0, n)) => Ok((n * a, n * b)),
        _ => Err("the square of the unknown".into()),
    }
}
