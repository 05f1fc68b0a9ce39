//! Values of the form `a·x + b`: all arithmetic of reverse-mode problems, exactly, in integers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The value `a·x + b`, where `x` is the unknown of a reverse problem. Forward values have `a = 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Linear {
    /// Coefficient of the unknown.
    pub a: i64,
    /// Constant term.
    pub b: i64,
}

impl Linear {
    /// The unknown itself.
    pub const X: Self = Self { a: 1, b: 0 };

    /// A plain number.
    pub const fn number(b: i64) -> Self {
        Self { a: 0, b }
    }

    /// The number, if the value does not depend on the unknown.
    pub fn as_number(self) -> Option<i64> {
        (self.a == 0).then_some(self.b)
    }

    /// Sum; `None` on overflow.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self { a: self.a.checked_add(other.a)?, b: self.b.checked_add(other.b)? })
    }

    /// Difference; `None` on overflow.
    pub fn minus(self, other: Self) -> Option<Self> {
        Some(Self { a: self.a.checked_sub(other.a)?, b: self.b.checked_sub(other.b)? })
    }

    /// Product; `None` on overflow or when it would be quadratic in the unknown.
    pub fn times(self, other: Self) -> Option<Self> {
        let (factor, value) = match (self.as_number(), other.as_number()) {
            (Some(n), _) => (n, other),
            (_, Some(n)) => (n, self),
            _ => return None,
        };
        Some(Self { a: value.a.checked_mul(factor)?, b: value.b.checked_mul(factor)? })
    }

    /// The remainder of both parts by a modulus, from 0 to one less than it; without one the value itself.
    #[must_use]
    pub fn modulo(self, modulus: Option<i64>) -> Self {
        let rest = |n: i64| modulus.and_then(|m| n.checked_rem_euclid(m)).unwrap_or(n);
        Self { a: rest(self.a), b: rest(self.b) }
    }

    /// The value at `x`; `None` on overflow.
    pub fn at(self, x: i64) -> Option<i64> {
        self.a.checked_mul(x)?.checked_add(self.b)
    }
}

/// The reference's canonical text (`REFERENCE` form: `x`, `-x`, `3*x`, `x + 4`, `4 - x`, `3*x - 2`).
impl fmt::Display for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a, b } = *self;
        match (a, b) {
            (0, _) => write!(f, "{b}"),
            (1, 0) => f.write_str("x"),
            (-1, 0) => f.write_str("-x"),
            (_, 0) => write!(f, "{a}*x"),
            (-1, 1..) => write!(f, "{b} - x"),
            (..0, 1..) => write!(f, "{b} - {}*x", a.unsigned_abs()),
            _ => {
                write!(f, "{}", Self { a, b: 0 })?;
                write!(f, " {} {}", if b > 0 { '+' } else { '-' }, b.unsigned_abs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text() {
        let text = |a, b| Linear { a, b }.to_string();
        assert_eq!(text(0, 7), "7");
        assert_eq!(text(0, -7), "-7");
        assert_eq!(text(1, 0), "x");
        assert_eq!(text(-1, 0), "-x");
        assert_eq!(text(3, 0), "3*x");
        assert_eq!(text(1, 4), "x + 4");
        assert_eq!(text(3, -2), "3*x - 2");
        assert_eq!(text(-1, 4), "4 - x");
        assert_eq!(text(-2, 4), "4 - 2*x");
        assert_eq!(text(-2, -4), "-2*x - 4");
    }

    #[test]
    fn arithmetic_is_exact_and_total() {
        let v = Linear::X.times(Linear::number(3)).and_then(|v| v.plus(Linear::number(4)));
        assert_eq!(v, Some(Linear { a: 3, b: 4 }));
        assert_eq!(v.and_then(|v| v.at(5)), Some(19));
        assert_eq!(Linear::X.times(Linear::X), None);
        assert_eq!(Linear { a: 9, b: -3 }.modulo(Some(7)), Linear { a: 2, b: 4 });
        assert_eq!(Linear { a: 9, b: -3 }.modulo(None), Linear { a: 9, b: -3 });
        assert_eq!(Linear::number(i64::MAX).plus(Linear::number(1)), None);
    }
}
