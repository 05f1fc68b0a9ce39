//! The tokenizer as its users see it.

mod agreement;
mod files;
mod foreign;
mod round_trip;
mod training;

use tercet_tokens::Tokenizer;

/// Texts in the two styles, enough of them for words to become tokens.
fn corpus() -> Vec<String> {
    let mut texts = Vec::new();
    for n in 0..60 {
        texts.push(format!(
            "<question> crow zoo ={n}; owl zoo =2 * crow zoo; fox farm ={} + owl zoo; total farm? </question> \
             <solution> crow zoo: j ={n}. owl zoo: m =2 * j =2 *{n} ={}. </solution> <answer> {} </answer>",
            n % 7,
            2 * n,
            3 * n
        ));
        texts.push(format!(
            "The number of adult owl in Bundle Ranch equals {n} times the difference between the number of \
             adult crow in Maple Creek and the teacher's total. Define adult owl in Bundle Ranch as q; so \
             q = {n} * x = {n} * 3 = {}.\n",
            3 * n
        ));
    }
    texts
}

fn trained() -> Tokenizer {
    Tokenizer::train(corpus().into_iter(), 340).expect("the vocabulary has room")
}
