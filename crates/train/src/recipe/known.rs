//! What to say when a name is not among those that there are.

/// Longest name that is looked for among others, and that is quoted.
pub(super) const NAME_MAX: usize = 64;

/// Most names that are listed.
const LISTED: usize = 30;

/// What to say of a name that is not among those that there are:
/// `there is no mix `egde`: did you mean `edge`? There are: edge, mid, pre`
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    format!("there is no {what} `{}`{}", quoted(name), choices(name, known))
}

/// The end of a sentence about a name that is not among those that there are.
pub(super) fn choices<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return "; there are none".to_owned();
    }
    let list = list(&known);
    match closest(name, &known) {
        Some(meant) => format!(": did you mean `{meant}`? There are: {list}"),
        None => format!("; there are: {list}"),
    }
}

/// The names, the first ones of many.
fn list(known: &[&str]) -> String {
    let shown = known[..known.len().min(LISTED)].join(", ");
    match known.len() - known.len().min(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The name that was probably meant: at most a third of its characters are others, or one.
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let length = name.chars().count();
    // Numbers are not misspelt.
    if length > NAME_MAX || name.parse::<u64>().is_ok() {
        return None;
    }
    let distance = |known: &&'a str| strsim::damerau_levenshtein(name, known);
    let known = known.iter().filter(|known| known.len() <= 4 * NAME_MAX);
    let best = known.map(|known| (distance(known), *known)).min_by_key(|(distance, _)| *distance);
    best.filter(|(distance, _)| *distance <= (length / 3).max(1)).map(|(_, known)| known)
}

/// The beginning of a name, if it is longer than names are.
pub(super) fn quoted(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    name.chars().take(NAME_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_suggested_and_all_are_listed() {
        let known = ["edge", "mid", "pre"];
        for (name, expected) in [
            ("egde", "there is no mix `egde`: did you mean `edge`? There are: edge, mid, pre"),
            ("mdi", "there is no mix `mdi`: did you mean `mid`? There are: edge, mid, pre"),
            ("school", "there is no mix `school`; there are: edge, mid, pre"),
        ] {
            assert_eq!(unknown("mix", name, known), expected);
        }
        assert_eq!(unknown("arm", "x", []), "there is no arm `x`; there are none");
    }

    #[test]
    fn long_names_and_long_lists_are_cut() {
        let long = "x".repeat(70_000);
        assert!(unknown("mix", &long, ["edge"]).len() < 200);
        let many: Vec<String> = (0..1000).map(|i| format!("arm-{i}")).collect();
        let text = unknown("arm", "arm-x", many.iter().map(String::as_str));
        assert!(text.ends_with(", arm-29 and 970 more"), "{text}");
    }
}
