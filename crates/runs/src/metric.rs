//! The numbers that claims are about, as recipes name them.

use std::{fmt, str::FromStr};

use problems::verify::FaultKind;
use serde::{Deserialize, Serialize};

/// A number per problem. Written as recipes name it: `pass@8`, `process_acc`, `fault:wrong-parents`, …
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// `pass@K`: at least one of K samples verified (answer and process).
    PassAt(u32),
    /// `pass^K`: all of K samples verified.
    PassPow(u32),
    /// `maj@K`: the most frequent of K answers is correct.
    MajAt(u32),
    /// `cover@T`: at least this share of the samples verified.
    Cover(f64),
    /// `process_acc`: share of the gold quantities that a solution computes correctly.
    ProcessAcc,
    /// `right`: correct answer, whatever the process.
    Correct,
    /// `right_wrong_process`: correct answer by a wrong process.
    CorrectByWrongProcess,
    /// `truncated`: length limit reached.
    Truncated,
    /// `fault:KIND+KIND…`: the first fault is of one of these kinds.
    Fault(Faults),
    /// `tokens`: tokens of a response.
    Tokens,
    /// `nll`: negative log-likelihood of the gold solution, nats per token.
    GoldNll,
}

/// In how many ways `k` of `n` samples can be drawn, C(n, k). Infinite where f64 ends: for a half of the samples that is
/// above n = 1,029.
///
/// ```
/// use tercet_runs::draws;
/// assert_eq!((draws(5, 2), draws(5, 6)), (10.0, 0.0));
/// assert!(draws(1029, 514).is_finite() && draws(1030, 515).is_infinite() && draws(9999, 16).is_finite());
/// ```
pub fn draws(n: u32, k: u32) -> f64 {
    let mut ways = f64::from(u8::from(k <= n));
    for i in 0..k.min(n - k.min(n)) {
        let (next, place) = (f64::from(n - i), f64::from(i + 1));
        let product = ways * next;
        // Multiplied first, whole numbers stay whole as long as f64 can; near its end the product does not fit.
        ways = if product.is_finite() { product / place } else { ways / place * next };
        if ways.is_infinite() {
            break;
        }
    }
    ways
}

/// A set of kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// The kinds, in their order.
    pub fn kinds(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL
            .into_iter()
            .enumerate()
            .filter(move |(i, _)| self.0 >> i & 1 == 1)
            .map(|(_, kind)| kind)
    }

    fn parse(names: &str) -> Result<Self, String> {
        let bit = |name: &str| {
            let known = FaultKind::ALL.into_iter().position(|kind| kind.name() == name);
            known.map(|i| 1 << i).ok_or_else(|| {
                let names = FaultKind::ALL.map(FaultKind::name).join(", ");
                format!("there is no fault `{name}`; there are: {names}")
            })
        };
        names.split('+').try_fold(0, |set, name| Ok(set | bit(name)?)).map(Self)
    }
}

impl Metric {
    /// The samples a problem must have; 0 if any number will do.
    pub fn samples(self) -> u32 {
        match self {
            Self::PassAt(k) | Self::PassPow(k) | Self::MajAt(k) => k,
            _ => 0,
        }
    }

    /// Whether it is a share, between 0 and 1.
    pub fn is_rate(self) -> bool {
        !matches!(self, Self::Tokens | Self::GoldNll)
    }

    /// What it is called in tables, e.g. `correct answer, wrong process`.
    pub fn name(self) -> String {
        match self {
            Self::ProcessAcc => "process accuracy".into(),
            Self::Correct => "correct answer".into(),
            Self::CorrectByWrongProcess => "correct answer, wrong process".into(),
            Self::Tokens => "response tokens".into(),
            Self::GoldNll => "gold NLL".into(),
            Self::Fault(faults) => {
                let names: Vec<&str> = faults.kinds().map(FaultKind::name).collect();
                format!("first fault {}", names.join(" or "))
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassAt(k) => write!(f, "pass@{k}"),
            Self::PassPow(k) => write!(f, "pass^{k}"),
            Self::MajAt(k) => write!(f, "maj@{k}"),
            Self::Cover(tau) => write!(f, "cover@{tau}"),
            Self::ProcessAcc => f.write_str("process_acc"),
            Self::Correct => f.write_str("right"),
            Self::CorrectByWrongProcess => f.write_str("right_wrong_process"),
            Self::Truncated => f.write_str("truncated"),
            Self::Tokens => f.write_str("tokens"),
            Self::GoldNll => f.write_str("nll"),
            Self::Fault(faults) => {
                let names: Vec<&str> = faults.kinds().map(FaultKind::name).collect();
                write!(f, "fault:{}", names.join("+"))
            }
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    /// ```
    /// use tercet_runs::Metric;
    /// assert_eq!("pass@128".parse(), Ok(Metric::PassAt(128)));
    /// assert_eq!("fault:wrong-parents".parse::<Metric>().map(|m| m.to_string()), Ok("fault:wrong-parents".into()));
    /// assert!("pass@".parse::<Metric>().is_err() && "pass@0".parse::<Metric>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no metric; there are pass@K, pass^K, maj@K, cover@T, process_acc, right, \
                 right_wrong_process, truncated, fault:KIND, tokens and nll"
            )
        };
        let simple = [
            Self::ProcessAcc,
            Self::Correct,
            Self::CorrectByWrongProcess,
            Self::Truncated,
            Self::Tokens,
            Self::GoldNll,
        ];
        if let Some(metric) = simple.into_iter().find(|metric| metric.to_string() == text) {
            return Ok(metric);
        }
        if let Some(names) = text.strip_prefix("fault:") {
            return Faults::parse(names).map(Self::Fault);
        }
        if let Some(share) = text.strip_prefix("cover@") {
            let share: f64 = share.parse().map_err(|_| wrong())?;
            return if share > 0.0 && share <= 1.0 { Ok(Self::Cover(share)) } else { Err(wrong()) };
        }
        let (name, k) = text.split_at(text.find(['@', '^']).map_or(text.len(), |at| at + 1));
        let k = k.parse().ok().filter(|k| *k > 0).ok_or_else(wrong)?;
        match name {
            "pass@" => Ok(Self::PassAt(k)),
            "pass^" => Ok(Self::PassPow(k)),
            "maj@" => Ok(Self::MajAt(k)),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Metric {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}
