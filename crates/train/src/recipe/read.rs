//! From tables to a typed recipe, section by section: what is wrong in one section does not hide what is wrong in another.

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    ModelSource, RecipeDocument, default_seeds, default_split,
    error::Errors,
    known::{choices, quoted},
    text::RecipeText,
};

/// The keys of a recipe.
const KEYS: [&str; 15] = [
    "name",
    "question",
    "scale",
    "seeds",
    "split",
    "context_files",
    "world",
    "mix",
    "tokenizer",
    "model",
    "stage",
    "evaluation",
    "arm",
    "claim",
    "matched",
];

/// The recipe in a table; nothing if a part of it has no such form, after the errors were added.
pub(super) fn document(source: &RecipeText, table: &DeTable<'_>, errors: &Errors) -> Option<RecipeDocument> {
    let reader = Reader { source, errors };
    reader.unknown_keys(table);
    let name = reader.required(table, "name");
    let question = reader.optional(table, "question", String::new);
    let scale = reader.optional(table, "scale", String::new);
    let seeds = reader.optional(table, "seeds", default_seeds);
    let split = reader.optional(table, "split", default_split);
    let context_files = reader.optional(table, "context_files", Vec::new);
    let world = reader.optional(table, "world", Default::default);
    let mix = reader.present(table, "mix").and_then(|value| reader.mixes(value));
    let tokenizer = table.get("tokenizer").map(|value| reader.typed(value.clone()));
    let model = reader.present(table, "model").and_then(|value| reader.model(value));
    let stages = reader.present(table, "stage").and_then(|value| reader.list(value));
    let evaluation = reader.evaluation(table);
    let arms = reader.optional_list(table, "arm");
    let claims = reader.optional_list(table, "claim");
    let matched = reader.optional_list(table, "matched");
    Some(RecipeDocument {
        name: name?,
        question: question?,
        scale: scale?,
        seeds: seeds?,
        split: split?,
        context_files: context_files?,
        world: world?,
        mix: mix?,
        tokenizer: match tokenizer {
            Some(tokenizer) => Some(tokenizer?),
            None => None,
        },
        model: model?,
        stages: stages?,
        evaluation: evaluation?,
        arms: arms?,
        claims: claims?,
        matched: matched?,
    })
}

struct Reader<'a> {
    source: &'a RecipeText,
    errors: &'a Errors,
}

impl Reader<'_> {
    fn typed<T: DeserializeOwned>(&self, value: Spanned<DeValue<'_>>) -> Option<T> {
        self.errors.of(self.source.typed(value))
    }

    fn unknown_keys(&self, table: &DeTable<'_>) {
        for key in table.keys().filter(|key| !KEYS.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let message = format!("unknown field `{}`{}", quoted(name), choices(name, KEYS));
            self.errors.add(self.source.error(message, Some(key.span())));
        }
    }

    fn present<'t, 'i>(&self, table: &'t DeTable<'i>, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = table.get(key);
        if value.is_none() {
            self.errors.add(self.source.missing(key));
        }
        value
    }

    fn required<T: DeserializeOwned>(&self, table: &DeTable<'_>, key: &str) -> Option<T> {
        self.present(table, key).and_then(|value| self.typed(value.clone()))
    }

    fn optional<T: DeserializeOwned>(&self, table: &DeTable<'_>, key: &str, default: fn() -> T) -> Option<T> {
        table.get(key).map_or_else(|| Some(default()), |value| self.typed(value.clone()))
    }

    /// Every item of a list by itself.
    fn list<T: DeserializeOwned>(&self, value: &Spanned<DeValue<'_>>) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else { return self.typed(value.clone()) };
        let items: Vec<Option<T>> = items.iter().map(|item| self.typed(item.clone())).collect();
        items.into_iter().collect()
    }

    fn optional_list<T: DeserializeOwned>(&self, table: &DeTable<'_>, key: &str) -> Option<Vec<T>> {
        table.get(key).map_or_else(|| Some(Vec::new()), |value| self.list(value))
    }

    fn mixes<T: DeserializeOwned, M: DeserializeOwned + FromIterator<(String, Vec<T>)>>(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<M> {
        let Some(mixes) = value.get_ref().as_table() else { return self.typed(value.clone()) };
        let mixes: Vec<Option<(String, Vec<T>)>> =
            mixes.iter().map(|(name, parts)| Some((name.get_ref().to_string(), self.list(parts)?))).collect();
        mixes.into_iter().collect()
    }

    /// A model's shape, or where it is taken from.
    fn model(&self, value: &Spanned<DeValue<'_>>) -> Option<ModelSource> {
        let given = value.get_ref().as_table().is_some_and(|table| table.contains_key("from"));
        if given {
            self.typed(value.clone()).map(ModelSource::From)
        } else {
            self.typed(value.clone()).map(ModelSource::Fresh)
        }
    }

    fn evaluation(&self, table: &DeTable<'_>) -> Option<runs::Evaluation> {
        let Some(value) = table.get("evaluation") else { return Some(runs::Evaluation::default()) };
        let Some(inner) = value.get_ref().as_table() else { return self.typed(value.clone()) };
        let mut rest = inner.clone();
        let suites =
            rest.remove("suite").unwrap_or_else(|| Spanned::new(0..0, DeValue::Array(DeArray::new())));
        let suites = self.list(&suites);
        let rest: Option<runs::Evaluation> = self.typed(Spanned::new(value.span(), DeValue::Table(rest)));
        Some(runs::Evaluation { suites: suites?, ..rest? })
    }
}
