//! Every kind has one name: in code, in files and where it is read from text.

use std::fmt::Debug;
use std::str::FromStr;

use serde::Serialize;
use tercet_problems::Split;
use tercet_problems::gold::Mode;
use tercet_problems::mutate::{Harmless, Wrong};
use tercet_problems::verify::{FaultKind, Policy};

/// Checks that a name is read back, and that it names nothing else.
#[track_caller]
fn check<T: Debug + PartialEq + FromStr>(all: &[T], name: impl Fn(&T) -> &'static str) {
    for (i, kind) in all.iter().enumerate() {
        assert_eq!(T::from_str(name(kind)).ok().as_ref(), Some(kind));
        assert!(all[..i].iter().all(|earlier| name(earlier) != name(kind)), "{kind:?}");
    }
    assert!(T::from_str("no such name").is_err());
}

/// Checks that a file holds the same name.
#[track_caller]
fn check_files<T: Serialize>(all: &[T], name: impl Fn(&T) -> &'static str) {
    for kind in all {
        assert_eq!(serde_json::to_value(kind).expect("plain data"), name(kind));
    }
}

#[test]
fn names_are_the_same_everywhere() {
    check(&Mode::ALL, |kind| kind.name());
    check_files(&Mode::ALL, |kind| kind.name());
    check(&Split::ALL, |kind| kind.name());
    check_files(&Split::ALL, |kind| kind.name());
    check(&Policy::ALL, |kind| kind.name());
    check_files(&Policy::ALL, |kind| kind.name());
    check(&FaultKind::ALL, |kind| kind.name());
    check_files(&FaultKind::ALL, |kind| kind.name());
    check(&Harmless::ALL, |kind| kind.name());
    check(&Wrong::ALL, |kind| kind.name());
}
