//! Numbers of a step, gathered under the names that TRL and verl use.

use std::collections::BTreeMap;

use runs::records::MetricsRow;

/// The numbers of one step.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Mean { sum: f64, weight: f64 },
    Max(f64),
    Sum(f64),
}

impl Metrics {
    /// Adds to a weighted mean.
    pub fn mean(&mut self, name: &str, value: f64, weight: f64) {
        self.mean_sum(name, value * weight, weight);
    }

    /// Adds a sum over `weight` things to their mean.
    pub fn mean_sum(&mut self, name: &str, total: f64, count: f64) {
        match self.values.entry(name.to_owned()).or_insert(Value::Mean { sum: 0.0, weight: 0.0 }) {
            Value::Mean { sum, weight } => {
                *sum += total;
                *weight += count;
            }
            other => *other = Value::Mean { sum: total, weight: count },
        }
    }

    /// Adds to a sum.
    pub fn sum(&mut self, name: &str, value: f64) {
        let old = match self.values.get(name) {
            Some(Value::Sum(old)) => *old,
            _ => 0.0,
        };
        self.values.insert(name.to_owned(), Value::Sum(old + value));
    }

    /// Keeps the largest.
    pub fn max(&mut self, name: &str, value: f64) {
        let old = match self.values.get(name) {
            Some(Value::Max(old)) => *old,
            _ => f64::NEG_INFINITY,
        };
        self.values.insert(name.to_owned(), Value::Max(old.max(value)));
    }

    /// Sets a number.
    pub fn set(&mut self, name: &str, value: f64) {
        self.values.insert(name.to_owned(), Value::Sum(value));
    }

    /// The line of the step. A mean over nothing is left out.
    pub fn row(&self, step: u64) -> MetricsRow {
        let number = |value: &Value| match *value {
            Value::Mean { sum, weight } => (weight > 0.0).then(|| sum / weight),
            Value::Max(value) | Value::Sum(value) => Some(value),
        };
        let finite = |value: f64| value.is_finite().then_some(value);
        let values = self.values.iter();
        let values =
            values.filter_map(|(name, value)| Some((name.clone(), finite(number(value)?)))).collect();
        MetricsRow { step, values }
    }
}
