//! Small solutions by hand.

use crate::judge::gold::GoldNode;
use crate::world::linear::Linear;

use super::*;

fn node(name: &str, parents: &[u32], value: Linear) -> GoldNode {
    GoldNode { name: name.to_owned(), parents: parents.to_vec(), value }
}

/// crow = 3, owl = 2 * crow = 6, total = crow + owl = 9.
fn forward() -> Gold {
    let n = Linear::number;
    Gold {
        nodes: vec![
            node("crow in Zoo", &[], n(3)),
            node("owl in Zoo", &[0], n(6)),
            node("total in Zoo", &[0, 1], n(9)),
        ],
        answer: 9,
        mode: Mode::Forward,
        modulus: None,
    }
}

/// crow = x, owl = 2 * x, total = 3 * x = 12.
fn reverse() -> Gold {
    Gold {
        nodes: vec![
            node("crow in Zoo", &[], Linear::X),
            node("owl in Zoo", &[0], Linear { a: 2, b: 0 }),
            node("total in Zoo", &[0, 1], Linear { a: 3, b: 0 }),
        ],
        answer: 4,
        mode: Mode::Reverse,
        modulus: None,
    }
}

const PROSE: &str = " Define crow in Zoo as a; so a = 3. Define owl in Zoo as b; u = a = 3; so b = 2 * u = 2 * 3 = 6. \
    Define total in Zoo as T; so T = a + b = 3 + 6 = 9. </solution> <answer> 9 </answer>";
const TERSE: &str = " crow in Zoo: a =3. owl in Zoo: u = a =3; b =2 * u =2 *3 =6. \
    total in Zoo: T = a + b =3 +6 =9. </solution> <answer> 9 </answer>";
const REVERSE: &str = " The question is difficult, so we use equations to solve it. Define crow in Zoo as x; \
    we don't know its value yet but will find it out later. Define owl in Zoo as b; u = x = x; \
    so b = 2 * u = (2) * (x) = 2*x. Define total in Zoo as T; so T = x + b = x + 2*x = 3*x. We know T = 12, \
    so we have 3*x = 12 and we solve it through the following steps: Simplifying the equation: 3*x = 12. \
    Move all terms to one side: 3*x - 12 = 0. Isolate the term with x: 3*x = 12. Divide both sides by 3: \
    x = 12 / 3. Solution: x = 4. </solution> <answer> 4 </answer>";
const TERSE_REVERSE: &str = " crow in Zoo: x =?. owl in Zoo: u = x = x; b =2 * u =2 * x. \
    total in Zoo: T = x + b = x +2 * x =3 * x. total in Zoo =12: 3 * x =12; x =4. </solution> <answer> 4 </answer>";

#[track_caller]
fn accepted(gold: &Gold, response: &str) {
    let verdict = verify(gold, response, Policy::Strict);
    assert!(verdict.verified, "{}\n{verdict:#?}", explain(response, &verdict));
    assert!(verdict.steps.iter().all(|s| s.correct && s.fault.is_none()), "{verdict:#?}");
    assert_eq!(verdict.first_fault, None);
    assert_eq!(verdict.process_acc, 1.0);
}

/// What `from` replaced by `to` makes of the response, under paper and strict, and the first fault.
#[track_caller]
fn changed(gold: &Gold, response: &str, from: &str, to: &str) -> (bool, bool, Option<&'static str>) {
    assert!(response.contains(from), "{from:?} is not in the response");
    let response = response.replacen(from, to, 1);
    let strict = verify(gold, &response, Policy::Strict);
    let paper = verify(gold, &response, Policy::Paper);
    (paper.verified, strict.verified, strict.first_fault.map(|f| f.0.name()))
}

#[test]
fn gold_is_accepted_in_either_style_and_mode() {
    accepted(&forward(), PROSE);
    accepted(&forward(), TERSE);
    accepted(&reverse(), REVERSE);
    accepted(&reverse(), TERSE_REVERSE);
}

#[test]
fn faults_have_names() {
    let check =
        |from, to, expected| assert_eq!(changed(&forward(), PROSE, from, to), expected, "{from} -> {to}");
    check("3 + 6 = 9", "3 + 6 = 8", (false, false, Some("wrong-arithmetic")));
    check("3 + 6 = 9", "4 + 5 = 9", (true, false, Some("misquoted")));
    check("2 * 3 = 6", "2 * 4 = 6", (true, false, Some("wrong-arithmetic")));
    check("a + b", "a + a", (false, false, Some("wrong-parents")));
    check("T = a + b", "T = T + a + b", (false, false, Some("self-reference")));
    check("Define crow in Zoo as a; so a = 3.", "", (false, false, Some("undefined-variable")));
    check("so a = 3", "we skip this", (false, false, Some("missing-value")));
    check("so a = 3", "so a = 3.5", (false, false, Some("wrong-arithmetic")));
    check("so a = 3", "so a = 1,003", (false, false, Some("wrong-value")));
    check("as a;", "a;", (false, false, Some("malformed-step")));
    check("> 9 <", "> 8 <", (false, false, Some("wrong-answer")));
    check("> 9 <", "> nine <", (false, false, Some("malformed-answer")));
    check("<answer> 9 </answer>", "", (false, false, Some("missing-answer")));
    check(" <answer>", " <answer> 7 </answer> <answer>", (false, false, Some("conflicting-answers")));
    check("so a = 3", "so a = 4; so a = 3", (true, false, Some("redefined-step")));
    check("so a = 3", "so a = 3 or 4", (false, false, Some("malformed-expression")));
    check("so a = 3", "so a = 3 × 1", (false, false, Some("malformed-expression")));
    check("so a = 3", "so a, or 4, = 3", (false, false, Some("missing-value")));
    check(" <answer>", " Answer: 7. <answer>", (false, false, Some("conflicting-answers")));
    let again = "so a = 3. Define crow in Zoo as a; so a = 3.";
    check("so a = 3.", again, (true, false, Some("duplicate-step")));
    let other = again.replacen('3', "4", 1);
    check("so a = 3.", &other, (true, false, Some("wrong-value")));
    check("so a = 3.", "so a = 3. Define fox in Zoo as f; so f = 5.", (true, true, Some("extra-step")));
}

#[test]
fn reverse_lines_are_checked_one_by_one() {
    let check =
        |from, to, expected| assert_eq!(changed(&reverse(), REVERSE, from, to), expected, "{from} -> {to}");
    check("T = 12,", "T = 13,", (true, false, Some("wrong-known")));
    check("3*x - 12 = 0", "3*x - 9 = 0", (true, false, Some("wrong-equation")));
    check("Solution: x = 4", "Solution: x = 5", (false, false, Some("wrong-equation")));
    check("x + b = x + 2*x = 3*x", "x + b = x + 2*x = 4*x", (false, false, Some("wrong-arithmetic")));
    let tail = &REVERSE[REVERSE.find("We know").expect("the tail")..REVERSE.find("</sol").expect("the tag")];
    check(tail, "", (false, false, Some("missing-equation")));
}

#[test]
fn harmless_changes_are_accepted() {
    let check =
        |from, to| assert_eq!(changed(&forward(), PROSE, from, to), (true, true, None), "{from} -> {to}");
    check("so a", "a");
    check(" = 3. Define owl", "=3.\nDefine  owl");
    check("so a = 3", "so a , which is obviously = 3");
    check("so a = 3", "so a = 3.0");
    check("so a = 3", "so a = +3");
    check("so a = 3", "so a = 3 owls, as you see");
    check("so a = 3", "so a = 3; so a = 3");
    check("= 2 * 3 =", "= 2 * 3 für zwei =");
    check(" <answer>", " Answer: 9. <answer>");
    check("so a = 3", "so a = (3)");
    check("= 9. </solution>", "= 9 </solution>");
    check("</solution>", "");
    check(" </answer>", "");
    check("> 9 <", "> 9. <");
    check(" Define crow", " Let me think: a = 3, so b = 4. Define crow");
    let raw = PROSE.replace("</solution> <answer> 9 </answer>", "Answer: 9.");
    accepted(&forward(), &raw);
    accepted(&forward(), &PROSE.replace('T', "total1").replace("u ", "u_2 "));
}

/// crow = 3, owl = 2 * crow = 6, total = crow + owl = 9, which is 2 modulo 7.
#[test]
fn numbers_are_equal_modulo_the_problems_modulus() {
    let mut gold = Gold { answer: 2, modulus: Some(7), ..forward() };
    gold.nodes[2].value = Linear::number(2);
    let response = PROSE.replace("= 9", "= 2").replace("> 9", "> 2");
    accepted(&gold, &response);
    accepted(&gold, &response.replace("= 2. <", "= 9 = 2. <"));
    let check =
        |from, to, expected| assert_eq!(changed(&gold, &response, from, to), expected, "{from} -> {to}");
    check("= 2. <", "= 9. <", (false, false, Some("wrong-value")));
    check("3 + 6 = 2", "3 + 6 = 8 = 2", (true, false, Some("wrong-arithmetic")));
    check("3 + 6 = 2", "3 + 13 = 2", (true, false, Some("misquoted")));
    assert!(!verify(&forward(), &response, Policy::Paper).verified);
}

#[test]
fn answers_have_one_normal_form() {
    let normal = |text| normalise_answer(text);
    for text in ["8", " 8 ", "08", "+8", "8.0", "8.", "8.00.", "\n8\n"] {
        assert_eq!(normal(text).as_deref(), Some("8"), "{text:?}");
    }
    assert_eq!(normal("1,008").as_deref(), Some("1008"));
    assert_eq!(normal("-0").as_deref(), Some("0"));
    assert_eq!(normal("-4.50").as_deref(), Some("-4.5"));
    for text in ["", ".", "-", "1,08", "16/2", "8 owls", "٤", "8 9", "1.2.3", "--8"] {
        assert_eq!(normal(text), None, "{text:?}");
    }
}

/// The reason that `explain` gives for the change of a step.
#[track_caller]
fn reason(gold: &Gold, response: &str, from: &str, to: &str) -> String {
    assert!(response.contains(from), "{from:?} is not in the response");
    let response = response.replacen(from, to, 1);
    let text = explain(&response, &verify(gold, &response, Policy::Strict));
    let marked = text.lines().find(|line| line.contains('^')).expect("a marked line");
    marked.trim_start_matches([' ', '^']).to_owned()
}

#[test]
fn what_is_wrong_is_said_with_what_is_true() {
    let check = |from, to, expected: &str| assert_eq!(reason(&forward(), PROSE, from, to), expected);
    check("so a = 3", "so a = 2", "wrong-value: the value is wrong (says 2, is 3)");
    let parents = "wrong-parents: the quantity is computed from the wrong quantities";
    check("a + b", "a + a", &format!("{parents} (missing: owl in Zoo)"));
    check("so a = 3", "so a = 3.5 + 1", "wrong-arithmetic: the two sides are not equal");
    let extra = reason(&reverse(), REVERSE, "u = x = x; so b = 2 * u", "u = x = x; so b = 2 * u + 0 * T");
    assert_eq!(extra, "used-before-defined: a variable is used before it is defined");
    let swapped = reason(&forward(), PROSE, "so T = a + b", "so T = b + b");
    assert_eq!(swapped, format!("{parents} (missing: crow in Zoo)"));
    let verdict =
        verify(&forward(), &PROSE.replacen("a = 3. Define owl", "a = 2. Define owl", 1), Policy::Paper);
    let wrong = |i: usize| verdict.steps[i].wrong_value.as_ref().map(|v| (v.says.as_deref(), v.is.as_str()));
    assert_eq!([wrong(0), wrong(1)], [Some((Some("2"), "3")), None]);
    let foreign = PROSE.replacen("so T = a + b", "so T = a + qq", 1);
    let verdict = verify(&forward(), &foreign, Policy::Paper);
    let step = verdict.steps.last().expect("a step");
    assert_eq!(
        (&step.missing_parents[..], &step.extra_parents[..]),
        (&["owl in Zoo".to_owned()][..], &[OTHER.to_owned()][..])
    );
    // What is not wrong is not in the file.
    let file = serde_json::to_value(verify(&forward(), PROSE, Policy::Paper)).expect("plain data");
    assert_eq!(file["steps"][0].as_object().map(serde_json::Map::len), Some(5));
}
