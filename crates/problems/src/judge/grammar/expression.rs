//! Chains and expressions.
//!
//! ```text
//! chain      := member { '=' member }
//! member     := expression [remark]            words that begin with ',' or after a number; no digits, no signs
//! expression := [sign] term { ('+' | '-') term }
//! term       := factor { ('*' | '/') factor }
//! factor     := { '+' | '-' } ( number | phrase | '(' expression ')' )
//! ```

use super::{Atom, Clause, DEPTH_MAX, Factor, Member, NONE, Parser, Span, Term, TermId, Variable};

impl Parser<'_> {
    /// `= member = member …` up to the end of the clause; the next byte is the first `=`.
    pub(super) fn chain(&mut self, start: usize, target: Option<Variable>) {
        let first = self.solution.members.len() as u32;
        while self.peek() == Some(b'=') {
            self.at += 1;
            self.member();
        }
        let members = first..self.solution.members.len() as u32;
        self.solution.clauses.push(Clause { target, span: Span::new(start, self.at), members });
    }

    /// One member; afterwards the parser is at the next `=` or at the end of the clause.
    pub(super) fn member(&mut self) {
        self.skip_blanks();
        let start = self.at;
        let names = self.names;
        let expression = self.expression();
        let mut end = self.at;
        let has_names = self.names > names;
        self.skip_blanks();
        if expression.is_some() && (self.peek() == Some(b'=') || self.at_clause_end()) {
            // Nothing but the expression: nearly always.
            self.solution.members.push(Member { span: Span::new(start, end), expression, has_names });
            return;
        }
        // Words after a comma, after a number or after a parenthesis: `= 8 animals`.
        let after_value = end > 0 && matches!(self.bytes[end - 1], b'0'..=b'9' | b')');
        let remark = self.peek() == Some(b',') || (after_value && self.at_words());
        let words = self.skip_remark();
        let expression = expression.filter(|_| remark && words);
        if expression.is_none() {
            end = self.at;
        }
        let end = start + self.bytes[start..end.max(start)].trim_ascii_end().len();
        self.solution.members.push(Member { span: Span::new(start, end), expression, has_names });
    }

    fn expression(&mut self) -> Option<TermId> {
        if self.depth == DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let expression = self.terms();
        self.depth -= 1;
        expression
    }

    fn terms(&mut self) -> Option<TermId> {
        let mut first_term = NONE;
        let mut last_term = NONE;
        let mut negative = false;
        loop {
            let (product, sign) = self.product()?;
            let id = self.solution.terms.len() as u32;
            self.solution.terms.push(Term { negative, first: product, next: NONE });
            match last_term {
                NONE => first_term = id,
                _ => self.solution.terms[last_term as usize].next = id,
            }
            last_term = id;
            match sign {
                Some(minus) => negative = minus,
                None => return Some(first_term),
            }
        }
    }

    /// A product, and the sign that comes after it: `Some(true)` for a minus.
    fn product(&mut self) -> Option<(u32, Option<bool>)> {
        let mut first = NONE;
        let mut last = NONE;
        let mut divides = false;
        loop {
            let factor = self.factor(divides)?;
            let id = self.solution.factors.len() as u32;
            self.solution.factors.push(factor);
            match last {
                NONE => first = id,
                _ => self.solution.factors[last as usize].next = id,
            }
            last = id;
            let end = self.at;
            self.skip_blanks();
            let mark = self.peek();
            match mark {
                Some(b'*' | b'/') => divides = mark == Some(b'/'),
                Some(b'+' | b'-') => {
                    self.at += 1;
                    return Some((first, Some(mark == Some(b'-'))));
                }
                _ => {
                    self.at = end;
                    return Some((first, None));
                }
            }
            self.at += 1;
        }
    }

    fn factor(&mut self, divides: bool) -> Option<Factor> {
        let mut negative = false;
        self.skip_blanks();
        while let Some(sign @ (b'+' | b'-')) = self.peek() {
            negative ^= sign == b'-';
            self.at += 1;
            self.skip_blanks();
        }
        let start = self.at;
        let atom = match self.peek()? {
            b'0'..=b'9' => Atom::Number(self.number()?.0),
            b'(' => {
                self.at += 1;
                let inner = self.expression()?;
                if !self.take(b')') {
                    return None;
                }
                Atom::Group(inner)
            }
            _ => {
                let span = self.phrase()?;
                self.names += 1;
                Atom::Name(self.solution.symbols.intern(self.text, span))
            }
        };
        let span = Span::new(start, self.at);
        Some(Factor { divides, negative, atom, span, next: NONE })
    }
}
