//! Contexts: the stories that problems are told in. Each is a data file with names and phrases, checked on loading: its
//! names are free of what the grammar uses, and the judge verifies correct solutions with each of them.
//!
//! ```
//! use tercet_problems::context::Context;
//! let context = Context::from_toml(r#"
//!     name = "library"
//!     [names]
//!     count = "{kinds} in {place}"
//!     total = "total number of books in {place}"
//!     average = "average number of pages per {kind} in {place}"
//!     grand = "total number of pages in {place}"
//!     [phrases]
//!     how_many = "How many {kinds} does {place} own?"
//!     [[places]]
//!     names = ["Elm Library", "Bay Library", "Hill Library", "Old Library", "New Library"]
//!     [[kinds]]
//!     names = ["novel", "atlas", "play", "guide", "diary"]
//!     plurals = ["novels", "atlases", "plays", "guides", "diaries"]
//! "#)?;
//! assert_eq!(context.name, "library");
//! # Ok::<(), tercet_problems::context::ContextError>(())
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::name::folded;

/// A list of a context has at least this many names, so that any problem can be told in any context.
pub const NAMES_MIN: usize = 5;
/// A list of a context has at most this many names.
pub const NAMES_MAX: usize = 40;

/// How sentences and solutions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// The reference generator's English.
    #[default]
    Prose,
    /// Text of as few tokens as possible, for very small models.
    Terse,
}

/// A context that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// Not TOML, an unknown or a missing key; the text shows the line.
    #[error("the context is not valid: {0}")]
    Toml(#[from] toml::de::Error),
    /// Valid TOML that breaks a rule of contexts.
    #[error("context `{context}`: {problem}")]
    Rule {
        /// Name of the context.
        context: String,
        /// What is wrong, as a sentence fragment.
        problem: String,
    },
    /// The judge cannot read a name in the context's own solutions.
    #[error("context `{context}`: the judge would reject a correct solution with the name `{name}`: {fault}")]
    #[non_exhaustive]
    Unreadable {
        /// Name of the context.
        context: String,
        /// The name, or the step that holds it.
        name: String,
        /// What the judge finds there, as a sentence fragment.
        fault: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    reference_name: Option<String>,
    #[serde(default)]
    style: Style,
    names: NamePatterns,
    #[serde(default)]
    phrases: Phrases,
    places: Vec<List>,
    kinds: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamePatterns {
    count: String,
    total: String,
    average: String,
    grand: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Phrases {
    count: String,
    other: String,
    how_many: String,
    what_is: String,
}

impl Default for Phrases {
    fn default() -> Self {
        Self {
            count: "the number of {name}".into(),
            other: "the {name}".into(),
            how_many: "How many {kind} does {place} have?".into(),
            what_is: "What is the {name}?".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    names: Vec<String>,
    #[serde(default)]
    plurals: Vec<String>,
}

/// The words of a context. Places and kinds are numbered through all lists; problems refer to them by number.
#[derive(Debug, Clone)]
pub struct Context {
    /// e.g. `zoo`
    pub name: String,
    /// What the reference's records call it, e.g. `crazy_zootopia`.
    pub reference_name: Option<String>,
    /// The style that its problems are written in unless the world says otherwise.
    pub style: Style,
    phrases: Phrases,
    places: Words,
    kinds: Words,
    counts: Vec<String>,
    averages: Vec<String>,
    totals: Vec<String>,
    grands: Vec<String>,
}

/// A word of a context: its list and its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word(pub u8, pub u8);

#[derive(Debug, Clone)]
struct Words {
    singular: Vec<String>,
    plural: Vec<String>,
    /// First number and length of each list.
    lists: Vec<(usize, usize)>,
}

impl Words {
    fn new(lists: &[List]) -> Result<Self, String> {
        let mut words = Self { singular: Vec::new(), plural: Vec::new(), lists: Vec::new() };
        for list in lists {
            let n = list.names.len();
            if !(NAMES_MIN..=NAMES_MAX).contains(&n) {
                return Err(format!("a list has {n} names, but needs {NAMES_MIN} to {NAMES_MAX}"));
            }
            if !list.plurals.is_empty() && list.plurals.len() != n {
                return Err(format!("a list has {n} names and {} plurals", list.plurals.len()));
            }
            words.lists.push((words.singular.len(), n));
            words.singular.extend(list.names.iter().cloned());
            words.plural.extend(if list.plurals.is_empty() {
                list.names.clone()
            } else {
                list.plurals.clone()
            });
        }
        if words.singular.len() > usize::from(u8::MAX) {
            return Err("more than 255 names".into());
        }
        if words.lists.is_empty() { Err("there is no list of names".into()) } else { Ok(words) }
    }

    fn words(&self) -> impl Iterator<Item = (usize, Word)> + '_ {
        let list = |(list, &(first, length)): (usize, &(usize, usize))| {
            (0..length).map(move |position| (first + position, Word(list as u8, position as u8)))
        };
        self.lists.iter().enumerate().flat_map(list)
    }

    fn resolve(&self, words: &[Word]) -> Vec<usize> {
        let mut taken: Vec<usize> = Vec::with_capacity(words.len());
        for &Word(list, position) in words {
            let (first, length) = self.lists[usize::from(list) % self.lists.len()];
            let nth = |i: usize| first + (usize::from(position) + i) % length;
            // Lists have at least as many names as a problem has places or kinds: one is free.
            taken.push((0..length).map(nth).find(|n| !taken.contains(n)).unwrap_or(first));
        }
        taken
    }
}

impl Context {
    /// Reads a context and checks the rules of contexts. Whether the judge can read it is checked by
    /// [`Context::from_toml`].
    pub(crate) fn read(text: &str) -> Result<Self, ContextError> {
        let file: File = toml::from_str(text)?;
        let name = file.name.clone();
        Self::from_file(file).map_err(|problem| ContextError::Rule { context: name, problem })
    }

    fn from_file(file: File) -> Result<Self, String> {
        if file.name.is_empty()
            || !file.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err("the name may have lower-case letters, digits and hyphens".into());
        }
        check_pattern("names.count", &file.names.count, &["{place}"], &["{kind}", "{kinds}"])?;
        check_pattern("names.average", &file.names.average, &["{place}"], &["{kind}", "{kinds}"])?;
        check_pattern("names.total", &file.names.total, &["{place}"], &[])?;
        check_pattern("names.grand", &file.names.grand, &["{place}"], &[])?;
        check_pattern("phrases.count", &file.phrases.count, &["{name}"], &[])?;
        check_pattern("phrases.other", &file.phrases.other, &["{name}"], &[])?;
        check_pattern("phrases.what_is", &file.phrases.what_is, &["{name}"], &[])?;
        check_pattern("phrases.how_many", &file.phrases.how_many, &["{place}"], &["{kind}", "{kinds}"])?;
        let places = Words::new(&file.places)?;
        let kinds = Words::new(&file.kinds)?;
        let pair = |pattern: &str| -> Vec<String> {
            let fill = |k: usize, p: usize| fill(pattern, &kinds, k, &places.singular[p]);
            (0..kinds.singular.len())
                .flat_map(|k| (0..places.singular.len()).map(move |p| fill(k, p)))
                .collect()
        };
        let single = |pattern: &str| places.singular.iter().map(|p| pattern.replace("{place}", p)).collect();
        let context = Self {
            counts: pair(&file.names.count),
            averages: pair(&file.names.average),
            totals: single(&file.names.total),
            grands: single(&file.names.grand),
            name: file.name,
            reference_name: file.reference_name,
            style: file.style,
            phrases: file.phrases,
            places,
            kinds,
        };
        context.check_names()?;
        Ok(context)
    }

    /// Names must be distinct and free of anything the grammar of sentences and solutions uses.
    fn check_names(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for name in self.all_names() {
            if name.trim() != name || name.contains("  ") || name.is_empty() {
                return Err(format!("the name `{name}` has blanks at an end or in a row"));
            }
            if let Some(c) =
                name.chars().find(|c| ".,;:=?+*()<>{}".contains(*c) || c.is_control() || c.is_ascii_digit())
            {
                return Err(format!("the name `{name}` contains `{c}`, which sentences use"));
            }
            let padded = format!(" {name} ");
            for word in ["and", "plus", "times", "equals", "exists", "as", "so", "-", "is"] {
                if padded.contains(&format!(" {word} ")) {
                    return Err(format!("the name `{name}` contains the word `{word}`, which sentences use"));
                }
            }
            if name.chars().count() < 2 {
                return Err(format!("the name `{name}` looks like a variable"));
            }
            if name.contains('\u{fffd}') {
                return Err(format!("the name `{name}` contains U+FFFD, the mark of a broken character"));
            }
            if !seen.insert(folded(name)) {
                return Err(format!("two quantities are called `{name}`"));
            }
        }
        Ok(())
    }

    /// Every name that a problem of this context may use.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        [&self.counts, &self.averages, &self.totals, &self.grands].into_iter().flatten().map(String::as_str)
    }

    /// The name of the count of kind `kind` in place `place` (numbers through all lists).
    pub fn count(&self, place: usize, kind: usize) -> &str {
        &self.counts[kind * self.places.singular.len() + place]
    }

    /// The name of the average of kind `kind` in place `place`.
    pub fn average(&self, place: usize, kind: usize) -> &str {
        &self.averages[kind * self.places.singular.len() + place]
    }

    /// The name of a place's total.
    pub fn total(&self, place: usize) -> &str {
        &self.totals[place]
    }

    /// The name of a place's grand total, the sum of counts times averages.
    pub fn grand(&self, place: usize) -> &str {
        &self.grands[place]
    }

    /// The phrase for a count (`the number of …`) in two pieces: before and after the name.
    pub(crate) fn count_phrase(&self) -> (&str, &str) {
        self.phrases.count.split_once("{name}").unwrap_or(("", ""))
    }

    /// The phrase for any other quantity (`the …`) in two pieces.
    pub(crate) fn other_phrase(&self) -> (&str, &str) {
        self.phrases.other.split_once("{name}").unwrap_or(("", ""))
    }

    /// The question for a count.
    pub(crate) fn how_many(&self, place: usize, kind: usize) -> String {
        fill(&self.phrases.how_many, &self.kinds, kind, &self.places.singular[place])
    }

    /// The question for any other quantity.
    pub(crate) fn what_is(&self, name: &str) -> String {
        self.phrases.what_is.replace("{name}", name)
    }

    /// Length of each list of places.
    pub(crate) fn place_lists(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.places.lists.iter().map(|&(_, length)| length)
    }

    /// Length of each list of kinds.
    pub(crate) fn kind_lists(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.kinds.lists.iter().map(|&(_, length)| length)
    }

    /// Every place: its number and its word.
    pub(crate) fn place_words(&self) -> impl Iterator<Item = (usize, Word)> + '_ {
        self.places.words()
    }

    /// Every kind: its number and its word.
    pub(crate) fn kind_words(&self) -> impl Iterator<Item = (usize, Word)> + '_ {
        self.kinds.words()
    }

    /// The numbers of words given by list and position: the same ones where there are, else the next that are free.
    pub(crate) fn resolve(&self, places: &[Word], kinds: &[Word]) -> (Vec<usize>, Vec<usize>) {
        (self.places.resolve(places), self.kinds.resolve(kinds))
    }
}

fn fill(pattern: &str, kinds: &Words, kind: usize, place: &str) -> String {
    pattern
        .replace("{kinds}", &kinds.plural[kind])
        .replace("{kind}", &kinds.singular[kind])
        .replace("{place}", place)
}

fn check_pattern(key: &str, pattern: &str, all_of: &[&str], one_of: &[&str]) -> Result<(), String> {
    if let Some(missing) = all_of.iter().find(|hole| pattern.matches(**hole).count() != 1) {
        return Err(format!("{key} must contain {missing} once"));
    }
    if !one_of.is_empty() && one_of.iter().map(|hole| pattern.matches(*hole).count()).sum::<usize>() != 1 {
        return Err(format!("{key} must contain {} once", one_of.join(" or ")));
    }
    let holes = all_of.iter().chain(one_of).fold(pattern.to_owned(), |text, hole| text.replace(hole, ""));
    if holes.contains('{') || holes.contains('}') {
        return Err(format!("{key} contains an unknown place holder"));
    }
    Ok(())
}

/// A set of contexts, by name.
#[derive(Debug, Clone)]
pub struct Contexts {
    contexts: Vec<Context>,
}

/// The data files that are part of the library.
const BUILTIN: [&str; 11] = [
    include_str!("../../contexts/zoo.toml"),
    include_str!("../../contexts/school.toml"),
    include_str!("../../contexts/festival.toml"),
    include_str!("../../contexts/terse.toml"),
    include_str!("../../contexts/terse-music.toml"),
    include_str!("../../contexts/bakery.toml"),
    include_str!("../../contexts/garden.toml"),
    include_str!("../../contexts/harbour.toml"),
    include_str!("../../contexts/library.toml"),
    include_str!("../../contexts/museum.toml"),
    include_str!("../../contexts/spaceport.toml"),
];

impl Contexts {
    /// The contexts that come with the library.
    pub fn builtin() -> Self {
        let load =
            |text: &&str| Context::read(text).expect("the library's own contexts are checked by a test");
        Self { contexts: BUILTIN.iter().map(load).collect() }
    }

    /// The file of a context that comes with the library.
    pub fn builtin_file(name: &str) -> Option<&'static str> {
        let named = |text: &&str| Context::from_toml(text).is_ok_and(|context| context.name == name);
        BUILTIN.into_iter().find(named)
    }

    /// Adds a context.
    ///
    /// # Errors
    /// If another context has its name already, or its name in the reference's records.
    pub fn add(&mut self, context: Context) -> Result<(), ContextError> {
        let names = [Some(&context.name), context.reference_name.as_ref()];
        let taken = names.into_iter().flatten().find(|name| self.get(name).is_some()).cloned();
        if let Some(taken) = taken {
            let problem = format!("there is one named `{taken}` already");
            return Err(ContextError::Rule { context: context.name, problem });
        }
        self.contexts.push(context);
        Ok(())
    }

    /// The context with that name, or with that name in the reference's records.
    pub fn get(&self, name: &str) -> Option<&Context> {
        self.position(name).map(|position| self.at(position))
    }

    /// The position of the context with that name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.contexts.iter().position(|c| c.name == name || c.reference_name.as_deref() == Some(name))
    }

    /// The context at a position.
    pub(crate) fn at(&self, position: usize) -> &Context {
        &self.contexts[position]
    }

    /// All contexts.
    pub fn iter(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter()
    }

    /// The names of all contexts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|c| c.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_contexts_are_valid() {
        for text in BUILTIN {
            Context::from_toml(text).unwrap();
        }
        let contexts = Contexts::builtin();
        assert_eq!(contexts.get("crazy_zootopia").map(|c| c.name.as_str()), Some("zoo"));
        let zoo = contexts.get("zoo").unwrap();
        assert_eq!(zoo.count(5, 1), "adult wolf in South Zoo");
        assert_eq!(zoo.grand(5), "total number of newborn animal children in South Zoo");
    }

    #[test]
    fn a_context_has_names_of_its_own() {
        let taken = |head: &str| {
            let text = include_str!("../../contexts/terse.toml").replacen("name = \"terse\"", head, 1);
            Contexts::builtin().add(Context::read(&text).unwrap()).unwrap_err().to_string()
        };
        assert!(taken("name = \"zoo\"").contains("named `zoo`"));
        let as_the_reference = taken("name = \"own\"\nreference_name = \"crazy_zootopia\"");
        assert!(as_the_reference.contains("named `crazy_zootopia`"), "{as_the_reference}");
    }

    #[test]
    fn what_is_wrong_with_a_context_is_said() {
        let check = |from: &str, to: &str, expected: &str| {
            let text = include_str!("../../contexts/terse.toml");
            assert!(text.contains(from));
            let error = Context::read(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("\"lake\"", "\"zoo\"", "two quantities are called");
        check(", \"lake\"", "", "a list has 4 names");
        check("\"lake\"", "\"la.ke\"", "contains `.`");
        check("\"lake\"", "\"lake and sea\"", "the word `and`");
        check("{kind} {place}", "{kind}", "must contain {place} once");
        check("style", "stile", "unknown field `stile`");
        check("total {place}", "{kind} {place}", "unknown place holder");
        check("name = \"terse\"", "name = \"Terse!\"", "lower-case letters");
    }
}
